"""The baseline CycleGAN: shapes, losses by hand, the buffer, the schedule, resuming, and what the command writes."""

import dataclasses
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import randomize
from PIL import Image
from torch import nn

from ui2i.datasets.prepared import PreparedDataset
from ui2i.errors import DataError, TrainingError
from ui2i.metrics.image_sets import find_images

MODULES = ("networks", "state", "training", "cyclegan", "outputs")


@pytest.fixture(scope="module")
def gan() -> SimpleNamespace:
    """The program's modules by their last names, and `command`."""
    modules = {name: importlib.import_module(f"experiments.paper.baselines.{name}") for name in MODULES}
    return SimpleNamespace(command=importlib.import_module("experiments.paper.baselines.__main__"), **modules)


def settings_of(gan: SimpleNamespace, **changes: Any) -> Any:
    tiny = {"kimg": 0.008, "width": 2, "num_blocks": 1, "patch_size": 16, "batch_size": 2, "precision": "fp32"}
    return gan.cyclegan.CycleGANSettings(**tiny | changes)


def blobs(count: int, seed: int, size: int = 32) -> np.ndarray:
    random = np.random.default_rng(seed)
    levels = [Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8)) for _ in range(count)]
    return np.stack([np.asarray(level.resize((size, size), Image.Resampling.BICUBIC)) for level in levels])


def write_folder(folder: Path, images: np.ndarray) -> Path:
    folder.mkdir(parents=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index:02d}.png")
    return folder


# Networks


def test_generator_keeps_the_size_and_the_range(gan: SimpleNamespace) -> None:
    generator = randomize(gan.networks.Generator(width=3, num_blocks=2))
    images = generator(10 * torch.randn(2, 3, 36, 36))
    assert images.shape == (2, 3, 36, 36) and images.dtype == torch.float32
    assert images.abs().max() <= 1


def test_generator_has_the_papers_parameters(gan: SimpleNamespace) -> None:
    # c7s1-64, d128, d256, 6 x R256, u128, u64, c7s1-3: weights, and the last layer's bias.
    expected = 2 * 3 * 64 * 49 + 2 * (64 * 128 + 128 * 256) * 9 + 12 * 256 * 256 * 9 + 3
    generator = gan.networks.Generator(width=64, num_blocks=6)
    assert sum(parameter.numel() for parameter in generator.parameters()) == expected


@pytest.mark.parametrize(("patch_size", "outputs"), [(16, 30), (34, 14), (70, 6)])
def test_discriminator_sees_patches(gan: SimpleNamespace, patch_size: int, outputs: int) -> None:
    discriminator = gan.networks.Discriminator(width=2, patch_size=patch_size)
    for name, layer in list(discriminator.layers.named_children()):
        if isinstance(layer, gan.networks.InstanceNorm):  # which sees everything
            setattr(discriminator.layers, name, nn.Identity())
    size = 64 if patch_size < 70 else 160
    images = torch.randn(1, 3, size, size, requires_grad=True)
    logits = discriminator(images)
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    assert images.grad is not None
    seen = images.grad[0].abs().sum(dim=(0, 1)) > 0
    assert int(seen.sum()) == patch_size
    assert discriminator(torch.randn(2, 3, 64, 64)).shape == (2, 1, outputs, outputs)


@pytest.mark.parametrize(("resolution", "patch_size"), [(32, 16), (48, 16), (64, 34), (96, 34), (128, 70), (512, 70)])
def test_patches_are_at_most_about_half_a_image(gan: SimpleNamespace, resolution: int, patch_size: int) -> None:
    assert gan.networks.find_patch_size(resolution) == patch_size


def test_large_images_have_more_blocks(gan: SimpleNamespace) -> None:
    assert [gan.networks.find_num_blocks(resolution) for resolution in (64, 128, 256)] == [6, 6, 9]


@pytest.mark.parametrize("kind", ["Generator", "Discriminator"])
def test_images_of_a_batch_do_not_mix(gan: SimpleNamespace, kind: str) -> None:
    network = randomize(getattr(gan.networks, kind)(2, {"Generator": 1, "Discriminator": 16}[kind]))
    images = torch.randn(3, 3, 32, 32)
    alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(network(images), alone)


def test_norm_is_that_of_an_instance(gan: SimpleNamespace) -> None:
    x = 3 * torch.randn(2, 5, 8, 8) + 1
    torch.testing.assert_close(gan.networks.InstanceNorm()(x), nn.functional.instance_norm(x))
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(gan.networks.InstanceNorm(), x)


# Losses


class Scaled(nn.Module):
    """Multiplies by a parameter: a generator or discriminator whose losses can be worked out by hand."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.factor * images


def scaled_model(gan: SimpleNamespace, settings: Any) -> Any:
    """G doubles, F halves and negates, D_Y multiplies by 3 and D_X by 5."""
    model = gan.cyclegan.CycleGAN(settings)
    model.to_target, model.to_source = Scaled(2.0), Scaled(-0.5)
    model.discriminator_target, model.discriminator_source = Scaled(3.0), Scaled(5.0)
    # Plain descent at rate 1, so that a parameter's change is its gradient.
    generators = [model.to_target.factor, model.to_source.factor]
    discriminators = [model.discriminator_target.factor, model.discriminator_source.factor]
    model.generator_optimizer = torch.optim.SGD(generators, lr=1.0)
    model.discriminator_optimizer = torch.optim.SGD(discriminators, lr=1.0)
    return model


def test_loss_terms_by_hand(gan: SimpleNamespace) -> None:
    settings = settings_of(gan)
    model = scaled_model(gan, settings)
    source, target = torch.full((2, 3, 4, 4), 0.1), torch.full((2, 3, 4, 4), 0.4)
    terms = {name: float(term) for name, term in model.train_step(source, target).items()}
    fake_target, fake_source = 2 * 0.1, -0.5 * 0.4
    assert terms["adversarial"] == pytest.approx((3 * fake_target - 1) ** 2 + (5 * fake_source - 1) ** 2)
    assert terms["cycle"] == pytest.approx(abs(-0.5 * fake_target - 0.1) + abs(2 * fake_source - 0.4))
    assert terms["identity"] == pytest.approx(abs(2 * 0.4 - 0.4) + abs(-0.5 * 0.1 - 0.1))
    of_target = ((3 * 0.4 - 1) ** 2 + (3 * fake_target) ** 2) / 2
    of_source = ((5 * 0.1 - 1) ** 2 + (5 * fake_source) ** 2) / 2
    assert terms["discriminator"] == pytest.approx(of_target + of_source)


def test_step_updates_by_the_weighted_sum(gan: SimpleNamespace) -> None:
    settings = settings_of(gan)
    model = scaled_model(gan, settings)
    x, y, g, f = 0.1, 0.4, 2.0, -0.5
    model.train_step(torch.full((2, 3, 4, 4), x), torch.full((2, 3, 4, 4), y))
    # d/dg of (3 g x - 1)^2 + 10 (|f g x - x| + |g f y - y|) + 5 |g y - y|; both cycles' insides are negative.
    change = 2 * (3 * g * x - 1) * 3 * x + 10 * (-f * x - f * y) + 5 * y
    assert model.to_target.factor.item() == pytest.approx(g - change)
    # d/dd of ((d y - 1)^2 + (d g x)^2) / 2: the fake is the one from before the update.
    change = (3 * y - 1) * y + 3 * (g * x) ** 2
    assert model.discriminator_target.factor.item() == pytest.approx(3 - change)


def test_bf16_gives_nearly_the_same_losses(gan: SimpleNamespace) -> None:
    source, target = torch.randn(2, 2, 3, 32, 32).clamp(-1, 1)
    terms = []
    for precision in ("fp32", "bf16"):
        settings = settings_of(gan, precision=precision)
        terms.append(gan.cyclegan.CycleGAN(settings).train_step(source, target))
    for name in terms[0]:
        torch.testing.assert_close(terms[1][name], terms[0][name], rtol=0.02, atol=0.01)


# Buffer


def numbered(first: int, count: int) -> torch.Tensor:
    return torch.arange(first, first + count).float().view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


def test_buffer_hands_out_what_comes_until_it_is_full(gan: SimpleNamespace) -> None:
    buffer = gan.cyclegan.ImageBuffer(4, seed=0)
    assert torch.equal(buffer.exchange(numbered(0, 4)), numbered(0, 4))
    assert [float(picture.mean()) for picture in buffer.images] == [0, 1, 2, 3]


def test_buffer_hands_out_older_images_half_of_the_time(gan: SimpleNamespace) -> None:
    buffer = gan.cyclegan.ImageBuffer(50, seed=0)
    buffer.exchange(numbered(0, 50))
    older = 0
    for first in range(50, 1050):
        kept = {float(picture.mean()) for picture in buffer.images}
        (got,) = buffer.exchange(numbered(first, 1)).mean(dim=(1, 2, 3)).tolist()
        now = {float(picture.mean()) for picture in buffer.images}
        if got == first:
            assert now == kept
        else:
            assert got in kept and now == kept - {got} | {first}
            older += 1
    assert 450 < older < 550


# Schedule


def test_learning_rate_is_constant_and_then_falls_to_zero(gan: SimpleNamespace) -> None:
    factors = [gan.cyclegan.falling_factor(share) for share in (0, 0.3, 0.5, 0.75, 0.9, 1, 1.2)]
    assert factors == pytest.approx([1, 1, 1, 0.5, 0.2, 0, 0])


def test_the_budget_that_is_spent_first_counts(gan: SimpleNamespace) -> None:
    model = SimpleNamespace(num_steps=100, seconds=30.0, processor_seconds=48.0)
    assert gan.state.spent_share(model, settings_of(gan, minutes=2, kimg=None)) == 0.25
    assert gan.state.spent_share(model, settings_of(gan, minutes=2, kimg=0.4)) == 0.5
    assert gan.state.spent_share(model, settings_of(gan, minutes=0.5, kimg=0.4)) == 1
    assert gan.state.spent_share(model, settings_of(gan, core_minutes=1, kimg=None)) == 0.8


def test_training_uses_the_schedule(gan: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates, settings = [], settings_of(gan, kimg=0.016)

    def step(model: Any, *_: Any) -> dict[str, torch.Tensor]:
        rates.append(model.discriminator_optimizer.param_groups[0]["lr"])
        return {}

    monkeypatch.setattr(gan.cyclegan.CycleGAN, "train_step", step)
    gan.training.train(gan.cyclegan.CycleGAN(settings), blobs(4, 0), blobs(4, 1), settings, tmp_path / "state.pt")
    assert rates == pytest.approx([2e-4] * 5 + [1.5e-4, 1e-4, 0.5e-4])


def test_batches_are_mirrored_half_of_the_time_and_not_paired(gan: SimpleNamespace) -> None:
    settings = settings_of(gan, batch_size=8)
    images = blobs(8, 0)
    streams = [gan.training.batches(images, settings, 0, stream) for stream in (0, 1)]
    first, second = (np.concatenate([(next(stream).numpy() + 1) * 127.5 for _ in range(20)]) for stream in streams)
    plain = images.transpose(0, 3, 1, 2)
    orders, mirrored = [], 0
    for pictures in (first, second):
        order = []
        for picture in pictures:
            both = np.stack([picture, picture[..., ::-1]])
            distances = [np.abs(both - other).mean(axis=(1, 2, 3)) for other in plain]
            order.append(int(np.argmin([distance.min() for distance in distances])))
            mirrored += int(distances[order[-1]].argmin())
        orders.append(order)
    assert 120 < mirrored < 200  # of 320
    assert orders[0] != orders[1]
    assert all(sorted(order[:8]) == list(range(8)) for order in orders)


# Training and resuming


class StopError(Exception):
    pass


def stopping_after(num_reports: int) -> Callable[..., None]:
    seen = iter(range(num_reports - 1))

    def progress(done: int, total: int, note: str = "") -> None:
        if next(seen, None) is None:
            raise StopError

    return progress


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


def test_defaults_are_the_papers(gan: SimpleNamespace) -> None:
    settings = dataclasses.asdict(gan.cyclegan.CycleGANSettings(minutes=1))
    paper = {"learning_rate": 2e-4, "cycle_weight": 10, "identity_weight": 5, "buffer_size": 50, "batch_size": 1}
    assert paper.items() <= settings.items()
    model = gan.cyclegan.CycleGAN(settings_of(gan))
    for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
        assert optimizer.param_groups[0]["betas"] == (0.5, 0.999)


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
