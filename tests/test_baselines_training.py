"""MUNIT and DRIT++: training, resuming, what the command writes, and toys on which all must succeed."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import randomize
from PIL import Image
from tiny_baselines import MULTI_MODAL, StopError, blobs, networks, stopping_after, tiny, write_folder

from experiments.paper.baselines import __main__ as command
from experiments.paper.baselines import state, training
from experiments.paper.baselines.diversity import style_distances
from experiments.paper.baselines.image_sets import ImageSet, identity_of
from experiments.paper.baselines.state import Baseline as Model
from experiments.paper.baselines.systems import SYSTEMS, build, choose_settings
from ui2i.images import to_tensor
from ui2i.metrics.image_sets import find_images
from ui2i.perceptual import Perceptual


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


@pytest.mark.parametrize(
    ("system", "paper"),
    [
        (
            "munit",
            {"batch_size": 1, "halving_steps": 100_000, "image_weight": 10, "content_weight": 1, "style_weight": 1},
        ),
        (
            "drit",
            {
                "batch_size": 2,
                "content_learning_rate": 4e-5,
                "content_gradient_norm": 5,
                "content_period": 3,
                "content_adversarial_weight": 1,
                "cycle_weight": 10,
                "domain_adversarial_weight": 1,
                "reconstruction_weight": 10,
                "latent_weight": 10,
                "kl_weight": 0.01,
                "content_norm_weight": 0.01,
                "mode_seeking_weight": 1,
            },
        ),
    ],
)
def test_defaults_are_the_papers(system: str, paper: dict[str, float]) -> None:
    settings = dataclasses.asdict(choose_settings(system, 64, minutes=1, batch_size=None))
    shared = {"learning_rate": 1e-4, "style_dim": 8, "num_blocks": 4, "num_scales": 3, "weight_decay": 1e-4}
    assert (shared | paper).items() <= settings.items()
    model = build(system, tiny(system), "cpu")
    for name in model.parts:
        if name.endswith("_optimizer"):
            (group,) = getattr(model, name).param_groups
            assert (group["betas"], group["weight_decay"]) == ((0.5, 0.999), 1e-4), name


def test_a_state_is_of_its_settings_and_of_the_images_of_both_domains() -> None:
    source, target = (
        ImageSet(name="any", names=["0"], images=blobs(1, 0), sha256=sha256) for sha256 in ("a" * 64, "b" * 64)
    )
    identities = [identity_of(tiny("munit"), *images) for images in ((source, source), (target, target))]
    changed = {"precision": "bf16", "minutes": 1.0, "core_minutes": 1.0}
    for system in SYSTEMS:
        settings = tiny(system)
        identities += [identity_of(settings, source, target), identity_of(settings, target, source)]
        for name, value in dataclasses.asdict(settings).items():
            other = dataclasses.replace(settings, **{name: changed.get(name, 2 * (value or 1))})
            identities.append(identity_of(other, source, target))
    assert len(set(identities)) == len(identities)
    again = dataclasses.replace(source, name="another", names=["1"])
    assert identity_of(tiny("munit"), again, target) in identities, "names and folders do not train"


def test_a_resumed_run_counts_on(tmp_path: Path) -> None:
    models = [build("munit", tiny("munit"), "cpu") for _ in range(2)]
    counters = {"num_steps": 3, "seconds": 4.0, "processor_seconds": 5.0, "log": [{"kimg": 6.0}]}
    vars(models[0]).update(counters)
    models[0].save(tmp_path / "state.pt", "its settings")
    assert models[1].resume(tmp_path / "state.pt", "its settings") == "resumed"
    assert counters.items() <= vars(models[1]).items()


@pytest.mark.parametrize("system", MULTI_MODAL)
def test_each_image_of_each_batch_gets_a_style_of_its_own(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "BATCH_SIZE", 2)
    model = build(system, tiny(system), "cpu")
    randomize(model.target)
    images = blobs(1, 0).repeat(4, axis=0)
    outputs = [*model.translate(images, seed=0), *model.translate(images, seed=1)]
    assert len({output.tobytes() for output in outputs}) == 8
    assert (model.translate(images, seed=1) == outputs[4:]).all()


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


# Several outputs of one input


def test_styles_of_an_input_are_compared_with_one_another(perceptual: Perceptual) -> None:
    many, same = np.stack([blobs(3, number) for number in range(3)], axis=1), np.stack([blobs(3, 0)] * 3, axis=1)
    assert style_distances(same, perceptual, "cpu").tolist() == [0, 0, 0]
    images = [to_tensor(own) for own in many.swapaxes(0, 1)]
    expected = torch.stack([perceptual.distance(images[a], images[b]) for a, b in ((0, 1), (1, 2), (2, 0))]).mean(0)
    assert style_distances(many, perceptual, "cpu") == pytest.approx(expected.flatten().numpy(), rel=1e-4)
