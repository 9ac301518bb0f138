"""A folder of anybody's outputs -> rows of Table II, on request in data/tables/evaluation/measured.<domain>.parquet.

Outputs and inputs belong together by their names: `a/b.png` among the outputs is what became of `a/b.jpg` among the
inputs. A folder that `ui2i translate` made has several outputs of each input and says in its table which; its variants
become a row each.

Files of inputs and of the target are framed as the images of the base were, so that they are compared with what was
translated. Outputs were made of framed images: of them no faces are looked for, a square is taken as it is.
"""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.models.evaluation_rows import (
    Measured,
    Row,
    ends_of_scale,
    evaluation_row,
    find_frechet,
    find_inception,
    run_columns,
)
from tasks.project.names import check_label
from tasks.project.params import Params, load_params
from tasks.project.paths import Project
from tasks.running.stage_cli import default_device
from ui2i.errors import ConfigError, DataError
from ui2i.files import sha256_file, sha256_listing
from ui2i.progress import Progress, no_progress
from ui2i.settings import to_mapping
from ui2i.translation_files import MANIFEST_NAME, RECONSTRUCTION

if TYPE_CHECKING:
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.images.framing import Framer
    from ui2i.metrics.image_sets import ImageSet


TRANSLATOR = "translator"
"""What a system is called, before the model that it imitates, whose outputs `ui2i translate --fast` made."""

Pairs = dict[Path, int]  # an output -> the place of its input, -1: not asked for


def evaluate_folder(
    project: Project,
    outputs: Path,
    target: str,
    *,
    name: str | None = None,
    inputs: "Path | PreparedDataset | None" = None,
    domain: str | None = None,
    framing: str | None = None,
    with_ends: bool = True,
    progress: Progress = no_progress,
) -> list[Row]:
    """Evaluate outputs and return their rows of `EVALUATION_SCHEMA` (paper, Table II).

    Args:
        target: a domain of the project, or a folder of images.
        name: of the system; None: only for a folder that `ui2i translate` made, whose variants have names.
        inputs: folder or dataset of the images that were translated; None: no similarity is measured.
        domain: column of Table II; None: the target's name.
        framing: center, fit or face, of files; None: as of the images of the domain's base, where it has none as
            `ingest` in `params.yaml` says.
        with_ends: of a Frechet distance on a network of its own, also return the rows of the data and the inputs.

    Raises:
        UI2IError: a name cannot stand in tables, a folder has no images, an output has no input, or there are too few.
    """
    from ui2i.metrics.evaluation import embed_set
    from ui2i.metrics.image_sets import of_files
    from ui2i.perceptual import load_perceptual

    params, device = load_params(project), default_device()
    column = _column(params, target, domain)
    if name is not None:
        check_label(name, what="--name", mend="choose another")
    base = params.domains[column].base if column in params.domains else None
    if base is None and isinstance(inputs, Path):
        check_label(_name(inputs), what=f"the name of the inputs' folder {inputs}", mend="rename it")
    goal = _target(project, params, target)
    resolution = params.ingest.img_resolution if isinstance(goal, Path) else goal.resolution
    has_files = isinstance(inputs, Path) or isinstance(goal, Path)
    framer, of_outputs = _framers(project, params, base, framing, has_files=has_files)
    sources, names = (None, None) if inputs is None else _images(inputs, resolution, device, framer)
    systems = _systems(outputs, names, name)
    (targets, _), dataset_hash = _images(goal, resolution, device, framer), _hash(goal)
    perceptual = load_perceptual(params.perceptual, device)
    inception = find_inception(project, params, device)
    frechet = find_frechet(params, device)
    embedded = embed_set(targets, perceptual, inception, frechet=frechet, progress=progress)
    made: list[Measured] = []
    for system, pairs in systems.items():
        translated = None if sources is None else sources.take(list(pairs.values()))
        files = of_files(list(pairs), resolution, device, framer=of_outputs)
        made.append(Measured(system, files, translated, embedded))
    if frechet is not None and with_ends:
        made += ends_of_scale(targets, embedded, made[0].inputs, params.evaluation.seed)
    run, rows = run_columns(params, perceptual, inception, frechet, device), []
    for measured in made:
        start = time.perf_counter()
        evaluation = measured.evaluate(
            perceptual, inception, frechet=frechet, seed=params.evaluation.seed, progress=progress
        )
        own = {
            "source_domain": base or ("any" if inputs is None else _name(inputs)),
            "domain": column,
            "system": measured.system,
            "inputs": "images",
            "num_outputs": measured.outputs.count,
            "num_targets": measured.target.count,
            "img_resolution": resolution,
            "resizer": framer.protocol,
            "dataset_hash": dataset_hash,
            "seconds": time.perf_counter() - start,
        }
        rows.append(evaluation_row(run, evaluation, **own))
    return rows


def keep_rows(project: Project, rows: Sequence[Row]) -> None:
    """Append the rows of one folder to the table of evaluations on request."""
    from ui2i.tables import EVALUATION_SCHEMA, append_rows

    append_rows(project.measured_evaluations(rows[0]["domain"]), rows, EVALUATION_SCHEMA)


def _framers(
    project: Project, params: Params, base: str | None, framing: str | None, *, has_files: bool
) -> "tuple[Framer, Framer]":
    """Return what frames the files of inputs and targets, which there may be none of, and what frames outputs."""
    from tasks.models.framing import choose_framer, framing_of

    record = to_mapping(params.ingest) if base is None else framing_of(project, base)
    framing = framing or record.get("framing")
    of_outputs = choose_framer(project, params, record, "center" if framing == "face" else framing)
    return choose_framer(project, params, record, framing) if has_files else of_outputs, of_outputs


def _column(params: Params, target: str, domain: str | None) -> str:
    """Return the column of Table II, which a file is named after.

    Raises:
        ConfigError: no file can be.
    """
    if domain is not None:
        check_label(domain, what="--domain", mend="choose another", names_file=True)
        return domain
    column = target if target in params.datasets else _name(Path(target))
    what = f"the name of the target's folder {target}"
    check_label(column, what=what, mend="rename it, or name the column with --domain", names_file=True)
    return column


def _target(project: Project, params: Params, target: str) -> "Path | PreparedDataset":
    from ui2i.datasets.prepared import PreparedDataset

    if target in params.datasets:
        return PreparedDataset(project.prepared(target), split=None)
    if not Path(target).is_dir():
        known = ", ".join(params.datasets) or "none"
        raise ConfigError(
            f"the target is {target}, expected a dataset of the project ({known}) or a folder of images; correct it"
        )
    return Path(target)


def _name(images: "Path | PreparedDataset") -> str:
    if not isinstance(images, Path):
        return images.name
    return Path(os.path.abspath(images)).name  # noqa: PTH100 -- of a link, its own


def _hash(images: "Path | PreparedDataset") -> str:
    from ui2i.metrics.image_sets import find_images

    if not isinstance(images, Path):
        return images.hash
    return sha256_listing((key, sha256_file(path)) for key, path in find_images(images).items())


def _images(
    images: "Path | PreparedDataset", resolution: int, device: str, framer: "Framer"
) -> "tuple[ImageSet, Mapping[str, int]]":
    """Return images, and the place of each by its relative path without its ending."""
    from ui2i.metrics.image_sets import find_images, of_dataset, of_files

    if isinstance(images, Path):
        paths = find_images(images)
        files = of_files(list(paths.values()), resolution, device, framer=framer, folder=images)
        return files, {key: place for place, key in enumerate(paths)}
    names = images.columns("source_path")["source_path"].to_pylist()
    return of_dataset(images, device), {_key(name): place for place, name in enumerate(names)}


def _key(path: str) -> str:
    return Path(path).with_suffix("").as_posix()


def _systems(outputs: Path, inputs: Mapping[str, int] | None, name: str | None) -> dict[str, Pairs]:
    """Return each system's outputs with the places of their inputs."""
    from ui2i.metrics.image_sets import find_images

    if (outputs / MANIFEST_NAME).is_file():
        return _translations(outputs, inputs, name)
    if name is None:
        raise ConfigError(f"{outputs} is not a folder that ui2i translate made, expected --name of the system; add it")
    return {name: {path: _input(inputs, key, path) for key, path in find_images(outputs).items()}}


def _translations(folder: Path, inputs: Mapping[str, int] | None, name: str | None) -> dict[str, Pairs]:
    from ui2i.distillation.folder import FAST_TRANSLATION_SCHEMA, manifest_schema
    from ui2i.tables import read_table

    schema = manifest_schema(folder)
    if schema is FAST_TRANSLATION_SCHEMA:
        name = name or TRANSLATOR
    systems: dict[str, Pairs] = {}
    for _, row in read_table(folder / MANIFEST_NAME, schema).iterrows():
        if row["variant"] == RECONSTRUCTION:
            continue
        path = folder / row["output_file"]
        system = row["variant"] if name is None else f"{name} {row['variant']}"
        systems.setdefault(system, {})[path] = _input(inputs, _key(row["input_path"]), path)
    return systems


def _input(inputs: Mapping[str, int] | None, key: str, output: Path) -> int:
    if inputs is None:
        return -1
    if key not in inputs:
        raise DataError(
            f"{output} has no input: {key} with the ending of an image is not there, expected an input of the same "
            "name for each output; rename the outputs or leave out --inputs"
        )
    return inputs[key]
