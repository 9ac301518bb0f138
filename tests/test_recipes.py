"""The recipes of CONTRIBUTING.md, done: each test adds what its recipe adds, and uses it."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import numpy as np
import pytest
import torch
from tiny_models import random_generator, random_ws
from tiny_project import REPOSITORY, make_project, set_param

from cli.translation import METHODS
from experiments.synthetic.drawing import registry
from experiments.synthetic.drawing.attributes import FaceAttributes
from experiments.synthetic.procedural import draw_dataset, style_names
from tasks.running.dvc_stages import list_stages
from ui2i.checkpoints import ModelCard
from ui2i.converters import formats
from ui2i.converters.architecture import build
from ui2i.converters.foreign import ForeignFormat, ForeignModel, tensors
from ui2i.converters.formats import Checkpoint, differences, read_checkpoint, write_checkpoint
from ui2i.converters.note import KEY, Note, read_note
from ui2i.errors import ConfigError, DataError
from ui2i.images import save_png
from ui2i.inversion import SEARCHES, LatentSpace, Search, invert
from ui2i.metrics.image_sets import ImageSet, find_images, generated, in_memory, of_files
from ui2i.metrics.moments import Estimate, estimate
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.settings import InversionConfig, InversionMethod, TrainingConfig, dataclass, from_mapping
from ui2i.settings.bounds import Share

# A stage

STAGE = '''
"""Stage count@: images of a dataset -> data/counts/<name>.txt, their number."""

import sys
from pathlib import Path

from tasks.project.paths import Project
from tasks.running.stage_cli import Job, Stage, main


def counts(project: Project, name: str) -> Path:
    return project.data_dir / "counts" / f"{name}.txt"


def work(job: Job) -> None:
    from ui2i.files import write_text

    path = counts(job.project, job.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, f"{len(list(job.project.raw(job.name).iterdir()))} images\\n")


STAGE = Stage(name="count", summary="Count the images of NAME.", option="dataset", output=counts, work=work)

if __name__ == "__main__":
    sys.exit(main(STAGE))
'''
ENTRY = """
  count:
    foreach: ${datasets}
    do:
      desc: Count the images of ${key}
      cmd: python -m count_images
      deps:
        - data/raw/${key}
      outs:
        - data/counts/${key}.txt: {persist: true}
"""


def test_a_stage_is_a_module_and_an_entry(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    (project.root / "count_images.py").write_text(STAGE)
    with (project.root / "dvc.yaml").open("a") as file:
        file.write(ENTRY)
    order = list_stages(project)
    assert order.index("count@face") > order.index("draw@face")  # which makes what it reads
    project.raw("face").mkdir(parents=True)
    for index in range(3):
        save_png(project.raw("face") / f"{index}.png", np.zeros((32, 32, 3), np.uint8))
    environment = os.environ | {"DVC_STAGE": "count@face", "PYTHONPATH": str(REPOSITORY)}
    command = re.search(r"cmd: python (-m \w+)$", ENTRY, re.MULTILINE)
    assert command is not None
    ran = subprocess.run(
        [sys.executable, *command[1].split()], cwd=project.root, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert (project.data_dir / "counts" / "face.txt").read_text() == "3 images\n"


# A setting


@dataclass(frozen=True, kw_only=True)
class ShinyConfig(TrainingConfig):
    shine: Share = 0.5  # of each image that is polished


def test_a_setting_is_a_field_with_bounds() -> None:
    assert from_mapping(ShinyConfig, {"shine": 0.25, "total_kimg": 1e3}, section="finetune").shine == 0.25
    assert from_mapping(ShinyConfig, {}).shine == 0.5
    with pytest.raises(ConfigError, match=r"^finetune\.shine is 1\.5, expected a number from 0 to 1; correct it in"):
        from_mapping(ShinyConfig, {"shine": 1.5}, section="finetune", source="params.yaml")
    with pytest.raises(ConfigError, match="did you mean 'shine'"):
        from_mapping(ShinyConfig, {"shiny": 0.5}, section="finetune")


def test_a_setting_is_read_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.project import params

    @dataclass(frozen=True, kw_only=True)
    class Drift(params.Drift):
        patience: Share = 0.5

    @dataclass(frozen=True, kw_only=True)
    class Params(params.Params):
        drift: Drift

    monkeypatch.setattr(params, "Params", Params)
    project = make_project(tmp_path / "project")
    set_param(project, "drift.patience", 0.125)
    drift = params.load_params(project).drift
    assert isinstance(drift, Drift)
    assert drift.patience == 0.125
    set_param(project, "drift.patience", -1)
    with pytest.raises(ConfigError, match=r"^drift\.patience is -1, expected a number from 0 to 1; correct it in"):
        params.load_params(project)


# A metric


def brightness(images: ImageSet, *, batch_size: int = 2) -> Estimate:
    """Return the mean level of images, -1 to 1."""
    if images.count < 2:
        raise DataError(f"{images.count} images came, expected at least 2; name more")
    places = range(images.count)
    batches = [images.read(places[start : start + batch_size]) for start in places[::batch_size]]
    return estimate(torch.cat(batches).mean(dim=(1, 2, 3)).double().numpy())


def test_a_metric_reads_any_set_of_images(tmp_path: Path) -> None:
    model = random_generator()
    ws = random_ws(model, 3)
    outputs = generated(ws, model.synthesis)
    pixels = np.stack([np.full((32, 32, 3), level, np.uint8) for level in (0, 51, 255)])
    for index, image in enumerate(pixels):
        save_png(tmp_path / f"{index}.png", image)
    files = of_files(list(find_images(tmp_path).values()), 32)
    expected = pixels.mean(axis=(1, 2, 3)) / 127.5 - 1  # NumPy's, of the levels
    for images in (files, in_memory(pixels)):
        assert brightness(images).mean == pytest.approx(expected.mean(), abs=1e-6)
        assert brightness(images).std == pytest.approx(expected.std(ddof=1), abs=1e-6)
    assert brightness(outputs).mean == pytest.approx(brightness(outputs, batch_size=3).mean, abs=1e-6)
    with pytest.raises(DataError, match="1 images came, expected at least 2"):
        brightness(outputs.take([0]))


# A method of inversion

Mine = Literal["coarse"]


@dataclass(frozen=True, kw_only=True)
class MyInversionConfig(InversionConfig):
    method: Mine = "coarse"  # type: ignore[assignment]


def coarse(generator: Generator) -> LatentSpace:
    """W with steps of twice the length."""
    basis = 2 * torch.eye(generator.config.w_dim)
    return LatentSpace(generator.w_avg.clone(), basis, generator.config.num_ws)


def test_a_method_of_inversion_is_a_name_and_an_entry(perceptual: Perceptual, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SEARCHES, "coarse", Search(coarse, 0.05))  # type: ignore[arg-type,misc]
    model = random_generator()
    images = model.synthesis(random_ws(model, 2)).clamp(-1, 1)
    found = invert(images, model, perceptual, MyInversionConfig(num_steps=2, optimize_noise=False))
    assert (found.method, found.learning_rate, found.num_steps) == ("coarse", 0.05, 2)
    assert found.ws.shape == (2, model.config.num_ws, 8)
    assert (found.loss < found.losses[0]).all()
    same = InversionConfig(method="w", num_steps=2, learning_rate=0.1, optimize_noise=False)  # as long a step in w
    torch.testing.assert_close(found.ws, invert(images, model, perceptual, same).ws)


def test_every_method_of_inversion_is_in_the_help() -> None:
    assert set(re.split(", | or ", METHODS)) == set(get_args(InversionMethod))


# A style of synthetic images


def paint_plain(attributes: FaceAttributes, resolution: int) -> np.ndarray:
    """The colour of the skin and nothing else."""
    level = 255 * attributes.skin_tone
    return np.full((resolution, resolution, 3), level, np.uint8)


def test_a_style_is_one_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    style_names()  # all that are there are registered before the tables are copied
    for table in ("_styles", "_subjects"):
        monkeypatch.setattr(registry, table, dict(getattr(registry, table)))
    registry.register_style("plain")(paint_plain)
    assert {"plain", "face"} <= set(style_names("person"))
    folder = draw_dataset("plain", 2, 0, tmp_path / "plain", resolution=32)
    images = of_files(sorted(folder.glob("*.png")), 32).read([0, 1])
    assert (images == images[:, :1, :1, :1]).all()
    assert images[0, 0, 0, 0] != images[1, 0, 0, 0]


# A format of checkpoints


def is_boxed(tree: Any) -> bool:
    return type(tree) is dict and "box" in tree


def read_boxed(tree: Any, *, generator_only: bool = False) -> ForeignModel:
    note = read_note(tree)
    assert note is not None
    generator = build(Generator, note.network, tensors("box", tree["box"]))
    return ForeignModel(format="boxed", generator=generator, discriminator=None, note=note)  # type: ignore[arg-type]


def write_boxed(
    file: BinaryIO, generator: Generator, discriminator: Discriminator | None, note: Note
) -> tuple[str, ...]:
    note = dataclasses.replace(note, has_discriminator=False)
    torch.save({"box": dict(generator.state_dict()), KEY: note.to_mapping()}, file)
    return ("it has no discriminator",)


BOXED = ForeignFormat(tool="box", content="box", suffixes=(".box",), holds=is_boxed, read=read_boxed, write=write_boxed)


def test_a_format_of_checkpoints_is_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(formats.FOREIGN_FORMATS, "boxed", BOXED)  # type: ignore[misc]
    model = Checkpoint(
        format="ui2i",
        generator=random_generator(),
        discriminator=None,
        card=ModelCard(domain="face", mode="scratch"),
    )
    assert write_checkpoint(tmp_path / "model.box", model) == ("it has no discriminator",)
    again = read_checkpoint(tmp_path / "model.box")
    assert again.format == "boxed"
    assert not differences(model, again)
    write_checkpoint(tmp_path / "model.pt", again)  # and so to any other
    assert not differences(model, read_checkpoint(tmp_path / "model.pt"))
