"""MUNIT and DRIT++: training, resuming, what the command writes, curves, and toys on which all must succeed."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import randomize
from PIL import Image
from tiny_baselines import MULTI_MODAL, StopError, blobs, networks, stopping_after, tiny, write_folder
from tiny_project import make_project

from experiments.paper.baselines import __main__ as command
from experiments.paper.baselines import curve, curve_table, drit, training
from experiments.paper.baselines.diversity import style_diversities
from experiments.paper.baselines.state import Baseline as Model
from experiments.paper.baselines.systems import build, choose_settings
from experiments.paper.settings import Baseline, BaselineRun
from experiments.paper.stages import baseline as stage
from ui2i.datasets.ingest import ingest
from ui2i.errors import ConfigError
from ui2i.images import to_tensor
from ui2i.metrics.image_sets import find_images
from ui2i.perceptual import Perceptual
from ui2i.provenance import processor
from ui2i.settings import IngestConfig
from ui2i.tables import read_rows


def trained(system: str, path: Path, data: tuple[Any, Any], **changes: Any) -> Model:
    settings = tiny(system, **changes)
    model = build(system, settings, "cpu")
    training.train(model, *data, settings, path)
    return model


# Training and resuming


@pytest.mark.parametrize("system", MULTI_MODAL)
def test_everything_is_trained(system: str, tmp_path: Path) -> None:
    model = trained(system, tmp_path / "state.pt", (blobs(4, 0), blobs(4, 1)))
    fresh = networks(build(system, tiny(system), "cpu"))
    for part, network in networks(model).items():
        others = fresh[part].state_dict()
        for name, value in network.state_dict().items():
            assert not torch.equal(value, others[name]), f"{part}.{name}"


@pytest.mark.parametrize("system", MULTI_MODAL)
def test_resumed_run_equals_an_unbroken_one(system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "LOG_STEPS", 2)
    monkeypatch.setattr(training, "SAVE_SECONDS", 0.0)
    data, settings = (blobs(5, 0), blobs(6, 1)), tiny(system, kimg=0.012)
    whole, killed, resumed = (build(system, settings, "cpu") for _ in range(3))
    training.train(whole, *data, settings, tmp_path / "whole.pt")
    with pytest.raises(StopError):
        training.train(killed, *data, settings, tmp_path / "state.pt", progress=stopping_after(3))
    assert killed.num_steps == 4 and torch.load(tmp_path / "state.pt")["num_steps"] == 2
    for network in networks(resumed).values():
        randomize(network)
    training.train(resumed, *data, settings, tmp_path / "state.pt")
    assert resumed.num_steps == whole.num_steps == 6
    for part, network in networks(whole).items():
        others = getattr(resumed, part).state_dict()
        for name, value in network.state_dict().items():
            assert torch.equal(value, others[name]), f"{part}.{name}"


def test_munit_s_learning_rate_is_halved() -> None:
    settings = dataclasses.replace(tiny("munit"), halving_steps=2)
    model = build("munit", settings, "cpu")
    rates = []
    for model.num_steps in range(5):
        model.set_learning_rate(0.0)
        rates.append(model.generator_optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([1e-4, 1e-4, 5e-5, 5e-5, 2.5e-5])


@pytest.mark.parametrize(("system", "batch_size"), [("munit", 1), ("drit", 2)])
def test_defaults_are_the_papers(system: str, batch_size: int) -> None:
    settings = dataclasses.asdict(choose_settings(system, 64, minutes=1, batch_size=None))
    paper = {"learning_rate": 1e-4, "style_dim": 8, "num_blocks": 4, "num_scales": 3, "weight_decay": 1e-4}
    assert (paper | {"batch_size": batch_size}).items() <= settings.items()
    model = build(system, tiny(system), "cpu")
    for name in model.parts:
        if name.endswith("_optimizer"):
            (group,) = getattr(model, name).param_groups
            assert (group["betas"], group["weight_decay"]) == ((0.5, 0.999), 1e-4), name


def drit_step(num_steps: int = 2, **changes: Any) -> tuple[Model, dict[str, dict[str, torch.Tensor]], dict[str, Any]]:
    """Return a DRIT++ after a step, the weights that it had before, and the step's terms."""
    model = build("drit", dataclasses.replace(tiny("drit"), **changes), "cpu")
    before = {
        name: {key: value.clone() for key, value in part.state_dict().items()} for name, part in networks(model).items()
    }
    model.num_steps = num_steps
    return model, before, model.train_step(*torch.randn(2, 2, 3, 32, 32).clamp(-1, 1))


@pytest.mark.parametrize("num_steps", range(3))
def test_two_of_three_steps_of_drit_train_the_content_discriminator_alone(num_steps: int) -> None:
    model, before, terms = drit_step(num_steps)
    for name, part in networks(model).items():
        is_same = [torch.equal(value, before[name][key]) for key, value in part.state_dict().items()]
        assert (not any(is_same)) if num_steps == 2 or name == "content_discriminator" else all(is_same), name
    assert (terms.keys() == {"content_discriminator"}) == (num_steps < 2)


def test_drawn_attributes_do_not_train_drit_s_attribute_encoders() -> None:
    silent = dict.fromkeys(("kl_weight", "cycle_weight", "reconstruction_weight", "weight_decay"), 0.0)
    model, before, _ = drit_step(**silent, domain_adversarial_weight=0.0)
    for key, value in model.target.state_dict().items():
        assert torch.equal(value, before["target"][key]) == key.startswith("attributes."), key


def test_rates_of_drit_fall_and_that_of_its_content_discriminator_is_lower() -> None:
    model = build("drit", tiny("drit"), "cpu")
    for share, factor in ((0.0, 1.0), (0.5, 1.0), (0.75, 0.5), (1.0, 0.0)):
        model.set_learning_rate(share)
        assert model.generator_optimizer.param_groups[0]["lr"] == pytest.approx(1e-4 * factor)
        assert model.content_optimizer.param_groups[0]["lr"] == pytest.approx(4e-5 * factor)


def test_gradients_of_drit_s_content_discriminator_are_clipped() -> None:
    model = build("drit", dataclasses.replace(tiny("drit"), content_gradient_norm=1e-3), "cpu")
    model._update_content_discriminator(*(100 * torch.randn(2, 1, 8, 8, 8)))
    gradients = torch.cat([parameter.grad.flatten() for parameter in model.content_discriminator.parameters()])
    assert float(gradients.norm()) == pytest.approx(1e-3, rel=1e-2)


def test_contents_of_drit_are_noisy_in_training_alone() -> None:
    model, images = build("drit", tiny("drit"), "cpu"), torch.zeros(2, 3, 32, 32)
    noise = drit._noisy_content(model, model.source, images, 0) - model.source.content(images)
    assert float(noise.detach().std()) == pytest.approx(1, abs=0.1)
    outputs = [model.translate(np.zeros((2, 32, 32, 3), np.uint8)) for _ in range(2)]
    assert (outputs[0] == outputs[1]).all()


def test_an_odd_batch_of_drit_is_refused() -> None:
    with pytest.raises(ConfigError, match="--batch-size is 3, expected an even number"):
        tiny("drit", batch_size=3)


def test_terms_of_some_steps_are_averaged_over_those() -> None:
    model = build("drit", tiny("drit"), "cpu")
    window = training.LogWindow(model, model.settings)
    for values in ({"a": 1.0}, {"a": 2.0}, {"a": 3.0, "b": 4.0}):
        window.add({name: torch.tensor(value) for name, value in values.items()})
        model.num_steps += 1
        model.seconds += 1
    row = window.close()
    assert (row["a"], row["b"]) == (2, 4)


# The command


@pytest.mark.parametrize("system", MULTI_MODAL)
def test_command_writes_several_outputs_of_an_image(system: str, tmp_path: Path) -> None:
    images = {"source": blobs(5, 0), "target": blobs(4, 1), "test": blobs(3, 2)}
    places = [item for role in images for item in (f"--{role}", str(write_folder(tmp_path / role, images[role])))]
    out = tmp_path / "out"
    options = [
        "--system",
        system,
        "--kimg",
        "0.004",
        "--batch-size",
        "2",
        "--width",
        "2",
        "--num-styles",
        "2",
        "--out",
        str(out),
    ]
    assert command.main([*places, *options, "--device", "cpu", "--precision", "fp32"]) == 0
    folders = [out / "images", out / "styles" / "1", out / "styles" / "2"]
    assert [list(find_images(folder)) for folder in folders] == [["00", "01", "02"]] * 3
    first = [np.asarray(Image.open(folder / "00.png")) for folder in folders]
    assert all((one != other).any() for one, other in ((first[0], first[1]), (first[1], first[2])))
    card = json.loads((out / "card.json").read_text())
    assert card["system"] == {"munit": "MUNIT", "drit": "DRIT++"}[system]
    assert card["processor_seconds"] > 0 and card["num_steps"] == 2
    options[options.index("--num-styles") + 1] = "1"
    assert command.main([*places, *options, "--device", "cpu", "--precision", "fp32"]) == 0
    assert [path.name for path in (out / "styles").iterdir()] == ["1"], "what an earlier call left would be compared"


# Toys on which every baseline must succeed


def discs(count: int, seed: int, domain: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images of a disc somewhere, and where it is: red on grey, or white on a tint between green and blue.

    The tint fills the image, so that instance normalisation takes it out of a content: it has to become a style.
    """
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:32, :32]
    masks = np.stack([(rows - y) ** 2 + (columns - x) ** 2 <= 49 for y, x in random.integers(9, 23, (count, 2))])
    images = np.full((count, 32, 32, 3), 110, np.uint8)
    for image, mask, share in zip(images, masks, random.random(count), strict=True):
        if domain == "target":
            image[:] = (20, 40 + 200 * share, 240 - 200 * share)
        image[mask] = (240, 240, 240) if domain == "target" else (230, 30, 30)
    return images, masks


@pytest.mark.slow
@pytest.mark.parametrize(("system", "kimg"), [("cyclegan", 2.0), ("munit", 2.0), ("drit", 4.0)])
def test_discs_stay_where_they_are_and_everything_gets_the_target_s_colours(
    system: str, kimg: float, tmp_path: Path
) -> None:
    source, target = (discs(300, seed, domain)[0] for seed, domain in enumerate(("source", "target")))
    settings = choose_settings(system, 32, kimg=kimg, width=8, batch_size=4, precision="fp32")
    settings = dataclasses.replace(settings, learning_rate=1e-3)  # a toy has no 60,000 steps
    model = build(system, settings, "cpu")
    training.train(model, source, target, settings, tmp_path / "state.pt")
    inputs, masks = discs(32, 2, "source")
    outputs = model.translate(inputs).astype(float)
    on, off = outputs[masks], outputs[~masks]
    assert on.mean(axis=0).min() > 170, "discs are white, and where they were"
    assert off[:, 0].mean() < 70 and off[:, 1:].sum(axis=1).mean() > 220, "the rest is between green and blue"
    if model.is_multi_modal:
        styles = [model.translate(inputs[:1], seed=seed)[0][~masks[0]].astype(float) for seed in range(8)]
        assert np.std([style[:, 1].mean() for style in styles]) > 20, "one image has outputs of many tints"


# The stage


def test_each_training_of_a_domain_has_a_label_and_a_folder() -> None:
    more = ({"system": "MUNIT", "core_minutes": 480}, {"system": "CycleGAN", "core_minutes": 80.5, "width": 64})
    settings = Baseline(base="face", more=tuple(BaselineRun(**run) for run in more))
    assert stage.labels(settings) == ["CycleGAN", "MUNIT, 480 core minutes", "CycleGAN, 80.5 core minutes, width 64"]
    folders = [stage.outputs_folder(Path("out"), label).as_posix() for label in stage.labels(settings)]
    assert folders == ["out", "out/more/munit-480-core-minutes", "out/more/cyclegan-80-5-core-minutes-width-64"]


def test_styles_of_an_input_are_compared_with_one_another(tmp_path: Path, perceptual: Perceptual) -> None:
    for number in range(3):
        write_folder(tmp_path / "many" / "styles" / str(number), blobs(3, number))
        write_folder(tmp_path / "same" / "styles" / str(number), blobs(3, 0))
    write_folder(tmp_path / "one" / "images", blobs(3, 0))
    found = style_diversities({name: tmp_path / name for name in ("many", "same", "one")}, perceptual, "cpu")
    assert found.keys() == {"many", "same"} and found["same"]["lpips_d"] == 0
    images = [to_tensor(blobs(3, number)) for number in range(3)]
    expected = torch.stack([perceptual.distance(images[a], images[b]) for a, b in ((0, 1), (1, 2), (2, 0))]).mean()
    assert found["many"]["lpips_d"] == pytest.approx(float(expected), rel=1e-4)
    assert (found["many"]["num_inputs"], found["many"]["num_styles"]) == (3, 3)


# Curves


def test_lines_of_a_curve_are_trainings(tmp_path: Path) -> None:
    rows = [
        {"system": "MUNIT", "mark": mark, "core_minutes": mark, "budget_core_minutes": 4.0, "identity": identity}
        for mark in (2.0, 4.0)
        for identity in ('{"seed": 0, "width": 32}', '{"seed": 1, "width": 32}')
    ]
    lines = curve_table._lines(rows)
    assert {name: [row["mark"] for row in line] for name, line in lines.items()} == {
        "MUNIT, 4, seed 0": [2, 4],
        "MUNIT, 4, seed 1": [2, 4],
    }
    assert list(curve_table._lines(rows[::2])) == ["MUNIT, 4"]


def test_a_curve_has_rows_at_its_marks_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = make_project(tmp_path / "project")
    for name, seed in (("face", 0), ("cartoon", 1)):
        write_folder(tmp_path / name, blobs(40, seed))
        ingest(tmp_path / name, project.prepared(name), IngestConfig(img_resolution=32, test_share=0.2), name=name)
    monkeypatch.setattr(curve, "load_efficientnet", lambda _device: Colours())
    monkeypatch.setattr(training, "LOG_STEPS", 1)
    clock = Clock()
    monkeypatch.setattr(training.time, "process_time", clock)
    out = tmp_path / "out"
    monkeypatch.chdir(tmp_path)
    arguments = ["--project", str(project.root), "--base", "face", "--domain", "cartoon", "--out", str(out)]
    arguments += ["--system", "munit", "--core-minutes", "4", "--width", "2", "--num-test", "6"]
    clock.stop_after = 3
    with pytest.raises(StopError):
        curve.main([*arguments, "--marks", "2"])
    clock.stop_after = 1000
    assert curve.main([*arguments, "--marks", "2"]) == 0
    assert Path.cwd() == project.root, "from where params.yaml's paths count"
    rows = pd.DataFrame(read_rows(out / curve.TABLE_FILE, curve.CURVE_SCHEMA))
    trained = rows[rows["system"] == "MUNIT"]
    assert trained["mark"].tolist() == [2, 2, 4, 4] and trained["core_minutes"].tolist() == [2, 2, 4, 4]
    assert trained["fd_network"].isna().tolist() == [True, False] * 2 and (trained["styles_lpips_d"] > 0).all()
    assert trained["fd_sem"].notna().tolist() == [False, True] * 2 and (trained["num_outputs"] == 6).all()
    assert rows["processor"].map(json.loads).tolist() == [processor()] * len(rows)
    assert rows["system"].tolist()[:4] == ["the data itself", "the input itself"] * 2
    assert {path.name for path in (out / "munit-4-0-w2").glob("*.png")} == {"sheet-2.png", "sheet-4.png"}
    assert (out / curve.PLOT_FILE).is_file()
    assert curve.main([*arguments, "--marks", "2", "3"]) == 0, "a mark that is past is left out"
    assert "has 2 of 3 marks of munit-4-0-w2" in capsys.readouterr().out
    for mark in ("5", "0", "-1", "nan"):
        assert curve.main([*arguments, "--marks", mark]) == 2
        assert f"a mark is {mark}, expected core minutes above 0 up to --core-minutes, 4" in capsys.readouterr().err
    assert curve.main([*arguments, "--num-test", "5"]) == 2
    assert "has curves of 6 images from face to cartoon, expected 5 images" in capsys.readouterr().err
    assert len(read_rows(out / curve.TABLE_FILE, curve.CURVE_SCHEMA)) == len(rows)


class Clock:
    """Processor time of which a step takes a minute, and which ends the process once."""

    stop_after = 1000

    def __init__(self) -> None:
        self.num_calls = 0

    def __call__(self) -> float:
        self.num_calls += 1
        if self.num_calls > self.stop_after:
            raise StopError
        return 60.0 * self.num_calls


class Colours:
    """Stands for the Frechet network, whose weights are not everywhere."""

    name, weights_hash = "colours", "0"

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3))
