"""The baseline CycleGAN: training, resuming, and what the command writes."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import randomize
from PIL import Image
from tiny_baselines import StopError, blobs, settings_of, stopping_after, write_folder
from tiny_baselines import gan as gan

from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import DataError, TrainingError
from ui2i.metrics.image_sets import find_images

# Training and resuming


def test_resumed_run_equals_an_unbroken_one(
    gan: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gan.training, "LOG_STEPS", 2)
    monkeypatch.setattr(gan.training, "SAVE_SECONDS", 0.0)
    settings = settings_of(gan, kimg=0.016, buffer_size=3)
    data = blobs(5, 0), blobs(6, 1)
    whole, killed, resumed = (gan.cyclegan.CycleGAN(settings) for _ in range(3))
    gan.training.train(whole, *data, settings, tmp_path / "whole.pt")
    with pytest.raises(StopError):
        gan.training.train(killed, *data, settings, tmp_path / "state.pt", progress=stopping_after(4))
    assert killed.num_steps == 6 and torch.load(tmp_path / "state.pt")["num_steps"] == 4
    randomize(resumed.to_target)
    gan.training.train(resumed, *data, settings, tmp_path / "state.pt")
    assert resumed.num_steps == whole.num_steps == 8
    for part in ("to_target", "to_source", "discriminator_target", "discriminator_source"):
        others = getattr(resumed, part).state_dict()
        for name, value in getattr(whole, part).state_dict().items():
            assert torch.equal(value, others[name]), f"{part}.{name}"
    times = ("seconds", "images_per_second")
    logs = [[{key: row[key] for key in row if key not in times} for row in model.log] for model in (whole, resumed)]
    assert logs[0] == logs[1] and len(logs[0]) == 4


def test_everything_is_trained(gan: SimpleNamespace, tmp_path: Path) -> None:
    settings = settings_of(gan, kimg=0.004)
    model, fresh = gan.cyclegan.CycleGAN(settings), gan.cyclegan.CycleGAN(settings)
    gan.training.train(model, blobs(4, 0), blobs(4, 1), settings, tmp_path / "state.pt")
    for part in ("to_target", "to_source", "discriminator_target", "discriminator_source"):
        others = getattr(fresh, part).state_dict()
        for name, value in getattr(model, part).state_dict().items():
            assert not torch.equal(value, others[name]), f"{part}.{name}"


@pytest.mark.parametrize("damaged", [False, True])
def test_a_state_of_another_run_is_set_aside(gan: SimpleNamespace, tmp_path: Path, damaged: bool) -> None:
    path, model = tmp_path / "state.pt", gan.cyclegan.CycleGAN(settings_of(gan))
    assert model.resume(path, "ours") == "start"
    model.num_steps = 3
    model.save(path, "another")
    if damaged:
        path.write_bytes(path.read_bytes()[:1000])
    saved, model.num_steps = path.read_bytes(), 0
    assert model.resume(path, "ours").startswith("start afresh")
    assert model.num_steps == 0 and not path.exists()
    assert (tmp_path / "state-superseded.pt").read_bytes() == saved


def test_losses_that_are_not_finite_end_training(
    gan: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gan.training, "LOG_STEPS", 1)
    monkeypatch.setattr(gan.cyclegan.CycleGAN, "train_step", lambda *_: {"cycle": torch.tensor(float("nan"))})
    settings = settings_of(gan)
    with pytest.raises(TrainingError, match="the loss cycle is nan at step 1"):
        gan.training.train(gan.cyclegan.CycleGAN(settings), blobs(4, 0), blobs(4, 1), settings, tmp_path / "state.pt")
    assert not (tmp_path / "state.pt").exists()


def test_no_state_is_saved_of_steps_behind_the_last_row_that_broke(
    gan: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gan.cyclegan.CycleGAN, "train_step", lambda *_: {"cycle": torch.tensor(float("nan"))})
    settings = settings_of(gan)
    assert 1000 * settings.kimg / settings.batch_size < gan.training.LOG_STEPS
    with pytest.raises(TrainingError, match="the loss cycle is nan"):
        gan.training.train(gan.cyclegan.CycleGAN(settings), blobs(4, 0), blobs(4, 1), settings, tmp_path / "state.pt")
    assert not (tmp_path / "state.pt").exists()


# The command


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    images = {"source": blobs(5, 0), "target": blobs(4, 1), "test": blobs(3, 2)}
    return {role: write_folder(tmp_path / role, images[role]) for role in images} | {"out": tmp_path / "out"}


def command_line(folders: dict[str, Path], *options: str) -> list[str]:
    places = [item for role, folder in folders.items() for item in (f"--{role}", str(folder))]
    return [*places, "--kimg", "0.004", "--width", "2", "--batch-size", "2", "--device", "cpu", *options]


def test_command_writes_a_image_for_each_of_the_test(gan: SimpleNamespace, folders: dict[str, Path]) -> None:
    (folders["test"] / "sub").mkdir()
    (folders["test"] / "02.png").rename(folders["test"] / "sub" / "02.png")
    assert gan.command.main(command_line(folders)) == 0
    written = find_images(folders["out"] / "images")
    assert written.keys() == find_images(folders["test"]).keys() == {"00", "01", "sub/02"}
    assert all(np.asarray(Image.open(path)).shape == (32, 32, 3) for path in written.values())
    card = json.loads((folders["out"] / "card.json").read_text())
    assert card["images_shown"] == 4 and card["num_steps"] == 2 and card["seconds"] > 0
    assert [card["data"][role]["num_images"] for role in ("source", "target", "test")] == [5, 4, 3]
    assert card["settings"]["patch_size"] == 16 and card["settings"]["cycle_weight"] == 10
    assert {"commit", "versions", "device"} <= card["provenance"].keys()
    assert card["parameters"]["to_target"] > card["parameters"]["discriminator_target"] > 0
    assert Image.open(folders["out"] / "sheet.png").width > 3 * 128


def test_same_command_again_writes_the_same(gan: SimpleNamespace, folders: dict[str, Path]) -> None:
    results = []
    for _ in range(2):
        assert gan.command.main(command_line(folders)) == 0
        results.append((folders["out"] / "images" / "01.png").read_bytes())
        card = json.loads((folders["out"] / "card.json").read_text())
        assert card["num_steps"] == 2
    assert results[0] == results[1]


def test_prepared_data_are_split(gan: SimpleNamespace, tiny_prepared: Path, tmp_path: Path) -> None:
    train, test = PreparedDataset(tiny_prepared), PreparedDataset(tiny_prepared, "test")
    assert len(gan.command.read_images(tiny_prepared, "train").images) == len(train)
    folders = {"source": tiny_prepared, "target": write_folder(tmp_path / "target", blobs(4, 1))}
    folders |= {"test": tiny_prepared, "out": tmp_path / "out"}
    assert gan.command.main(command_line(folders)) == 0
    written = find_images(tmp_path / "out" / "images")
    assert len(written) == len(test)
    assert written.keys() <= find_images(tiny_prepared.parent / "raw").keys()
    assert json.loads((tmp_path / "out" / "card.json").read_text())["data"]["source"]["sha256"] == train.hash
    assert gan.command.main(command_line(folders, "--num-test", "1")) == 0
    assert len(find_images(tmp_path / "out" / "images")) == 1


def refuse(gan: SimpleNamespace, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert gan.command.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    return error


def test_bad_input_is_refused_in_a_line(
    gan: SimpleNamespace, folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no images" in refuse(gan, command_line(folders | {"target": empty}), capsys)
    assert "is not a folder" in refuse(gan, command_line(folders | {"test": tmp_path / "nowhere"}), capsys)
    larger = write_folder(tmp_path / "larger", blobs(2, 3, size=36))
    assert "36 px and source 32 px, expected one size for all" in refuse(
        gan, command_line(folders | {"target": larger}), capsys
    )
    small = write_folder(tmp_path / "small", blobs(2, 3, size=16))
    every = {"source": small, "target": small, "test": write_folder(tmp_path / "small-test", blobs(2, 4, size=16))}
    assert "a multiple of 4 from 32" in refuse(gan, command_line(folders | every), capsys)
    Image.fromarray(blobs(1, 5)[0][:20]).save(folders["source"] / "wide.png")
    assert "wide.png has 32 x 20 pixels, expected 32 x 32" in refuse(gan, command_line(folders), capsys)
    (folders["source"] / "wide.png").write_bytes(b"no image")
    assert "wide.png" in refuse(gan, command_line(folders), capsys)
    assert not folders["out"].exists()


def test_bad_settings_are_refused(
    gan: SimpleNamespace, folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    no_end = [item for item in command_line(folders) if item not in ("--kimg", "0.004")]
    assert "there is no end of training" in refuse(gan, no_end, capsys)
    wrong = {"--width": "0", "--minutes": "nan", "--batch-size": "-1", "--num-test": "0", "--num-styles": "0"}
    for option, value in wrong.items():
        assert f"{option} is {value}" in refuse(gan, command_line(folders, option, value), capsys)
    assert "--seed is -1" in refuse(gan, command_line(folders, "--seed=-1"), capsys)


def test_an_error_of_the_operating_system_is_told_in_a_line(
    gan: SimpleNamespace, folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folders["out"].write_text("a file")
    assert str(folders["out"]) in refuse(gan, command_line(folders), capsys)


def test_another_run_in_the_same_place_starts_afresh(gan: SimpleNamespace, folders: dict[str, Path]) -> None:
    write_folder(folders["out"] / "styles" / "1", blobs(3, 3))  # of a system that has several outputs
    assert gan.command.main(command_line(folders)) == 0
    assert not (folders["out"] / "styles").exists()
    before = (folders["out"] / "images" / "01.png").read_bytes()
    assert gan.command.main(command_line(folders, "--seed", "1")) == 0
    assert (folders["out"] / "images" / "01.png").read_bytes() != before
    assert (folders["out"] / "state-superseded.pt").is_file()


def test_test_images_that_were_trained_on_are_refused(
    gan: SimpleNamespace, folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    error = refuse(gan, command_line(folders | {"test": folders["source"]}), capsys)
    assert "5 test images are among those of source that are trained on" in error


@pytest.mark.parametrize("names", [["a.png", "a.jpg"], ["../a.png", "b.png"], ["/a.png", "b.png"]])
def test_names_without_a_place_of_their_own_are_refused(gan: SimpleNamespace, tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(DataError, match="has no place of its own"):
        gan.outputs.write_images(tmp_path / "images", names, blobs(2, 0))
    assert not list(tmp_path.iterdir())


def test_long_logs_are_thinned(gan: SimpleNamespace) -> None:
    rows = [{"kimg": float(number)} for number in range(1, 121)]
    thinned = [row["kimg"] for row in gan.command._thinned(rows)]
    assert len(thinned) == 40 and thinned[-1] == 120 and set(np.diff(thinned)) == {3}
    assert list(gan.command._thinned([])) == []


@pytest.mark.parametrize("chosen", ["fp32", "bf16"])
def test_auto_keeps_the_precision_of_a_saved_run(
    gan: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    monkeypatch.setattr(gan.state, "choose_precision", lambda _wanted, _device: chosen)
    path, auto = tmp_path / "state.pt", settings_of(gan, precision="auto")
    begun = gan.state.settle_precision(auto, "cpu", path)
    assert begun.precision == chosen
    gan.cyclegan.CycleGAN(begun).save(path, json.dumps(dataclasses.asdict(begun)))
    monkeypatch.setattr(gan.state, "choose_precision", lambda _wanted, _device: "another machine's")
    assert gan.state.settle_precision(auto, "cpu", path) == begun
    assert gan.state.settle_precision(settings_of(gan, precision="fp32"), "cpu", path).precision == "fp32"
