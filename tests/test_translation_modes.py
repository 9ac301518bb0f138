"""Versions of a translation: references, semantic directions, seeds, feature swaps; and codes that are found once."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from tiny_models import random_generator, random_ws

import ui2i.inversion.latents as latents_module
from experiments.paper.style_layers import measure_style_layers, save_style_layers_plot
from ui2i.errors import CheckpointError, ConfigError, DataError
from ui2i.factorization import directions, style_weights
from ui2i.images import to_tensor, to_uint8
from ui2i.images.framing import Framer
from ui2i.inversion import Inverter, code_spread, invert, stack_latents
from ui2i.layer_swap import FeatureSwappedGenerator, synthesize_feature_swap
from ui2i.perceptual import Perceptual, load_perceptual
from ui2i.settings import InversionConfig, PerceptualConfig
from ui2i.tables import read_table
from ui2i.translation import (
    LATENTS_SCHEMA,
    NamedImages,
    TranslationConfig,
    mix_styles,
    sample_style,
    semantic_step,
    share_mapping,
    translate_folder,
)
from ui2i.translation.folder import plain_model

CONFIG = InversionConfig(method="w", num_steps=2, batch_size=2, seed=5)
SOURCE = random_generator(1)
TARGET = random_generator(2)
TARGET.mapping.load_state_dict(SOURCE.mapping.state_dict())


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return to_uint8(SOURCE.synthesis(SOURCE.truncate(random_ws(SOURCE, 3), 0.4)))


@pytest.fixture
def run(perceptual: Perceptual, images: np.ndarray, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    def translate(config: TranslationConfig | None = None, **changes: Any) -> list[dict[str, Any]]:
        inputs = changes.pop("inputs", NamedImages(names=["x", "y", "z"], images=images))
        hashes = {"source_hash": "0" * 64, "target_hashes": {"new": "f" * 64}}
        options = {"domain": "anime", "store": tmp_path / "store"} | hashes | changes
        inversion, out = options.pop("inversion", CONFIG), options.pop("out", tmp_path / "out")
        return translate_folder(inputs, SOURCE, {"new": TARGET}, perceptual, inversion, out, config=config, **options)

    return translate


def read_png(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def codes(folder: Path) -> tuple[torch.Tensor, list[torch.Tensor] | None]:
    rows = read_table(folder / "latents.parquet", LATENTS_SCHEMA)
    latents = [latents_module.latent_from_row(row, SOURCE.config) for _, row in rows.iterrows()]
    return stack_latents(latents, SOURCE)


def assert_shows(folder: Path, ending: str, expected: torch.Tensor) -> None:
    for stem, image in zip("xyz", to_uint8(expected).astype(int), strict=True):
        assert np.abs(read_png(folder / f"{stem}-{ending}.png") - image).max() <= 1


def test_a_reference_gives_its_appearance(run: Callable, images: np.ndarray, tmp_path: Path) -> None:
    guide = to_uint8(TARGET.synthesis(TARGET.truncate(random_ws(TARGET, 2, seed=9), 0.4)))
    rows = run(TranslationConfig(num_style_layers=3), references=NamedImages(names=["g.png", "h.png"], images=guide))
    assert [row["variant"] for row in rows[:4]] == ["reconstruction", "new", "new-reference1", "new-reference2"]
    second = rows[3]
    assert (second["reference_path"], second["num_style_layers"]) == ("h.png", 3)
    assert rows[1]["reference_path"] is None
    ws, noise = codes(tmp_path / "out")
    backbone = load_perceptual(PerceptualConfig(backbone="random"))
    w_style = invert(to_tensor(guide), TARGET, backbone, CONFIG).ws[1:]  # in the model of its own domain
    assert_shows(tmp_path / "out", "new-reference2", TARGET.synthesis(mix_styles(ws, w_style, 3), noise=noise))
    assert not np.array_equal(*(read_png(tmp_path / "out" / f"x-new-reference{k}.png") for k in (1, 2)))


def test_a_reference_per_layer_keeps_its_own_layers() -> None:
    ws, style = torch.randn(2, 8, 4), torch.randn(1, 8, 4)
    mixed = mix_styles(ws, style, 3)
    assert torch.equal(mixed[:, :5], ws[:, :5])
    assert torch.equal(mixed[:, 5:], style[:, 5:].expand(2, -1, -1))


def test_an_unreadable_reference_stops_before_any_work(run: Callable, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"none")
    with pytest.raises(DataError, match=r"the reference bad\.png is unreadable"):
        run(references=[tmp_path / "bad.png"])
    assert not (tmp_path / "store").exists()


def test_directions_move_codes_by_standard_deviations(run: Callable, tmp_path: Path) -> None:
    rows = run(TranslationConfig(directions=(3,), strengths=(2.0, -1.5)))
    assert [row["variant"] for row in rows[2:4]] == ["new-direction3+2", "new-direction3-1.5"]
    assert [(row["direction"], row["strength"]) for row in rows[1:4]] == [(None, None), (3, 2.0), (3, -1.5)]
    unit = directions(style_weights(SOURCE))[1][2]  # of the base, not of the target
    step = 2 * (code_spread(SOURCE).deviations @ unit).std() * unit
    torch.testing.assert_close(semantic_step(SOURCE, 3, 2.0), step)
    ws, noise = codes(tmp_path / "out")
    assert_shows(tmp_path / "out", "new-direction3+2", TARGET.synthesis(ws + step, noise=noise))
    for direction in (0, 9):
        with pytest.raises(ConfigError, match=f"the direction is {direction}, expected 1 .* to 8"):
            run(TranslationConfig(directions=(direction,)))


def test_style_seeds_are_kept(run: Callable, tmp_path: Path) -> None:
    rows = run(TranslationConfig(num_styles=2, num_style_layers=8, style_seed=40))
    assert [row["seed"] for row in rows[:4]] == [5, 5, 41, 42]
    w = sample_style(TARGET, 42)
    _, noise = codes(tmp_path / "out")
    assert_shows(tmp_path / "out", "new-style2", TARGET.synthesis(TARGET.broadcast(w).expand(3, -1, -1), noise=noise))


def test_a_feature_swap_translates_like_a_model(run: Callable, tmp_path: Path) -> None:
    swapped = FeatureSwappedGenerator(SOURCE, TARGET, 8)
    ws = random_ws(TARGET, 2)
    assert torch.equal(swapped.synthesis(ws), synthesize_feature_swap(SOURCE, TARGET, ws, 8))
    assert torch.equal(swapped.w_avg, TARGET.w_avg)
    assert share_mapping(SOURCE, swapped)
    with pytest.raises(ConfigError, match="the first target is a feature swap, expected a model to invert in"):
        plain_model(swapped, ["g.png"])
    assert plain_model(swapped, None) is swapped and plain_model(TARGET, ["g.png"]) is TARGET
    with pytest.raises(ConfigError, match="swap_resolution is 7"):
        FeatureSwappedGenerator(SOURCE, TARGET, 7)
    with pytest.raises(CheckpointError, match="channel_max"):
        FeatureSwappedGenerator(random_generator(channel_max=4), TARGET, 8)


def test_codes_are_found_once(run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(images: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        calls.append(len(images))
        return invert(images, *args, **kwargs)

    monkeypatch.setattr(latents_module, "invert", counted)
    run()
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert calls == [2, 1]
    run()
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == first
    run(TranslationConfig(num_styles=1), out=tmp_path / "styles")
    run(inversion=dataclasses.replace(CONFIG, batch_size=3), out=tmp_path / "batch")
    assert calls == [2, 1]  # the codes do not depend on what is made of them
    run(inversion=dataclasses.replace(CONFIG, num_steps=3))
    run(source_hash="1" * 64)
    run(store=None)
    assert calls == [2, 1] * 4


def test_a_killed_run_goes_on_behind_its_last_batch(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def killed(images: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        calls.append(len(images))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return invert(images, *args, **kwargs)

    monkeypatch.setattr(latents_module, "invert", killed)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert not (tmp_path / "out").exists()
    rows = run()
    assert calls == [2, 1, 1]
    assert len(rows) == 6
    run(out=tmp_path / "uninterrupted", store=None)
    for path in (tmp_path / "out").glob("*.png"):
        assert np.abs(read_png(path) - read_png(tmp_path / "uninterrupted" / path.name)).max() <= 1


def test_a_damaged_entry_of_the_store_is_found_again(
    perceptual: Perceptual, images: np.ndarray, tmp_path: Path
) -> None:
    def find() -> tuple[Inverter, Any]:
        inverter = Inverter(SOURCE, perceptual, CONFIG, base_hash="0", store=tmp_path)
        return inverter, inverter.find(images[:1])[0]

    _, found = find()
    entry = next(tmp_path.rglob("*.parquet"))
    again, stored = find()
    assert again.num_reused == 1
    assert stored.sha256 == found.sha256
    for field in dataclasses.fields(found):
        np.testing.assert_array_equal(getattr(stored, field.name), getattr(found, field.name))
    entry.write_bytes(entry.read_bytes()[:100])
    repaired, _ = find()
    assert repaired.num_reused == 0
    assert find()[0].num_reused == 1


def test_the_latents_table_says_how_codes_were_found(run: Callable, tmp_path: Path) -> None:
    rows = run()
    latents = read_table(tmp_path / "out" / "latents.parquet", LATENTS_SCHEMA)
    assert [len(losses) for losses in latents["losses"]] == [3, 3, 3]
    assert (latents["steps"] == 2).all() and latents["encoder_hash"].isna().all()
    manifest = [row for row in rows if row["variant"] == "new"]
    for row, (_, latent) in zip(manifest, latents.iterrows(), strict=True):
        code = latents_module.latent_from_row(latent, SOURCE.config)
        assert row["latent_sha256"] == code.sha256
        assert row["loss"] == min(np.float32(code.losses)) == code.loss
    with pytest.raises(DataError, match="a latent code has 64 values, expected 8 x 9"):
        latents_module.latent_from_row(latent, dataclasses.replace(SOURCE.config, w_dim=9))


def test_other_shapes_of_images_are_framed_and_recorded(run: Callable, images: np.ndarray, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    wide = np.pad(images[0], ((0, 0), (16, 16), (0, 0)), constant_values=0)
    Image.fromarray(wide).save(folder / "wide.png")
    Image.fromarray(images[1]).convert("L").save(folder / "grey.png")
    Image.fromarray(images[2]).convert("CMYK").save(folder / "print.jpg")
    for framing, width in (("center", 64), ("fit", 64)):
        rows = run(inputs=folder, framer=Framer(framing=framing))
        first = {row["input_path"]: row for row in rows}
        assert set(first) == {"wide.png", "grey.png", "print.jpg"}
        row = first["wide.png"]
        assert (row["input_width"], row["input_height"], row["framing"]) == (width, 32, framing)
    # fit shows all of the image, so that there is white above and below it
    from ui2i.translation.inputs import list_inputs

    shown = {entry.path: entry.image for entry in list_inputs(folder, 32, Framer(framing="fit")).entries}
    assert (shown["wide.png"][:4] == 255).all() and (shown["wide.png"][16, :6] < 8).all()
    assert np.array_equal({e.path: e.image for e in list_inputs(folder, 32).entries}["wide.png"], images[0])


def test_other_families_pass_only_by_force(perceptual: Perceptual, images: np.ndarray, tmp_path: Path) -> None:
    inputs = NamedImages(names=["x"], images=images[:1])
    stranger, hashes = {"new": random_generator(3)}, {"new": "3"}
    options: dict[str, Any] = {"domain": "d", "source_hash": "0", "target_hashes": hashes}
    with pytest.raises(CheckpointError, match=r"another mapping network .* or force it"):
        translate_folder(inputs, SOURCE, stranger, perceptual, CONFIG, tmp_path / "out", **options)
    translate_folder(inputs, SOURCE, stranger, perceptual, CONFIG, tmp_path / "out", force=True, **options)
    assert (tmp_path / "out" / "x-new.png").exists()
    moved = random_generator(1)
    moved.mapping.fc1.bias[0] += 1e-6
    assert not share_mapping(SOURCE, moved)


@pytest.mark.parametrize(
    "settings",
    [
        {"truncation_psi": float("nan")},
        {"truncation_psi": -0.1},
        {"strengths": (999.0,)},
        {"num_styles": -7},
        {"num_style_layers": -7},
        {"style_seed": -7},
    ],
)
def test_settings_out_of_range(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        TranslationConfig(**settings)


def test_more_style_layers_more_diversity(perceptual: Perceptual, images: np.ndarray, tmp_path: Path) -> None:
    x = to_tensor(images)
    ws = random_ws(SOURCE, 3)
    calls: list[int] = []
    rows = measure_style_layers(
        x, ws, TARGET, perceptual, num_styles=3, seed=7, progress=lambda d, t, n="": calls.append(d)
    )
    assert [row["num_style_layers"] for row in rows] == list(range(9))
    assert rows[0]["lpips_d"] == pytest.approx(0, abs=1e-6)
    assert rows[-1]["lpips_d"] > 0.001
    assert calls == [9, 18, 27]
    # by hand, for the middle
    styles = [sample_style(TARGET, 7 + k) for k in (1, 2, 3)]
    made = [TARGET.synthesis(mix_styles(ws, style, 4)).clamp(-1, 1) for style in styles]
    pairs = torch.stack([perceptual.distance(made[a], made[b]) for a, b in ((0, 1), (0, 2), (1, 2))]).mean(dim=0)
    away = torch.stack([perceptual.distance(x, version) for version in made]).mean(dim=0)
    assert rows[4]["lpips_d"] == pytest.approx(pairs.mean().item(), rel=1e-3)
    assert rows[4]["lpips_s"] == pytest.approx(away.mean().item(), rel=1e-3)
    half = 4.302653 * pairs.std().item() / 3**0.5  # Student's t, 2 degrees of freedom
    assert rows[4]["lpips_d_ci95_high"] == pytest.approx(pairs.mean().item() + half, rel=1e-3)
    save_style_layers_plot(tmp_path / "plot.png", {"FC-FT": rows})
    assert read_png(tmp_path / "plot.png").shape[2] >= 3
    with pytest.raises(ConfigError, match="num_styles is 1, expected at least 2"):
        measure_style_layers(x, ws, TARGET, perceptual, num_styles=1)


def test_manifests_of_the_first_version_are_still_read(run: Callable, tmp_path: Path) -> None:
    from ui2i.schemas import TRANSLATION_SCHEMA

    run()
    path = tmp_path / "out" / "manifest.parquet"
    new = pq.ParquetFile(path).read()
    old = new.select(new.column_names[:17]).replace_schema_metadata({"table": "translation", "schema_version": "1"})
    pq.write_table(old, path)
    table = read_table(path, TRANSLATION_SCHEMA)
    assert len(table) == 6
    assert table["latent_sha256"].isna().all()


def test_latent_codes_of_version_0_1_are_found_again(
    perceptual: Perceptual, images: np.ndarray, tmp_path: Path
) -> None:
    made = Inverter(SOURCE, perceptual, CONFIG, base_hash="0", store=tmp_path)
    found = made.find(images[:1])[0]
    entry = next(tmp_path.rglob("*.parquet"))
    table = pq.ParquetFile(entry).read()
    entry.unlink()
    columns = {"trunk_hash" if name == "backbone_hash" else name: value for name, value in made.columns.items()}
    digest = hashlib.sha256(images[0].tobytes()).hexdigest()
    made_of = json.dumps([1, columns, list(images[0].shape), digest], sort_keys=True)
    key = hashlib.sha256(made_of.encode()).hexdigest()
    (tmp_path / key[:2]).mkdir(exist_ok=True)
    names = ["trunk_hash" if name == "backbone_hash" else name for name in table.column_names]
    metadata = {"table": "latents", "schema_version": "2"}
    old = table.rename_columns(names).replace_schema_metadata(metadata)
    pq.write_table(old, tmp_path / key[:2] / f"{key[2:]}.parquet")
    again = Inverter(SOURCE, perceptual, CONFIG, base_hash="0", store=tmp_path)
    assert again.find(images[:1])[0].sha256 == found.sha256
    assert again.num_reused == 1
