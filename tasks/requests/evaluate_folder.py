"""A folder of anybody's outputs -> rows of Table II, on request in data/tables/evaluation/measured.<domain>.parquet.

Outputs and inputs belong together by their names: `a/b.png` among the outputs is what became of `a/b.jpg` among the
inputs. A folder that `ui2i translate` made has several outputs of each input and says in its table which; its variants
become a row each.

Files of inputs and of the target are framed as the images of the base were, so that they are compared with what was
translated. Outputs were made of framed images: of them no faces are looked for, a square is taken as it is.
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.models.evaluation_rows import Row, evaluation_row, find_inception, run_columns
from tasks.project.params import Params, load_params
from tasks.project.paths import Project
from tasks.running.stage_cli import default_device
from ui2i.config import to_mapping
from ui2i.errors import ConfigError, DataError
from ui2i.files import sha256_file, sha256_listing
from ui2i.progress import Progress, no_progress

if TYPE_CHECKING:
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.images.framing import Framer
    from ui2i.metrics.image_sets import ImageSet

MANIFEST_NAME = "manifest.parquet"  # of translations; ui2i.translation would import torch
RECONSTRUCTION = "reconstruction"


Source = Path | int  # a file, or a place in a prepared dataset


@dataclasses.dataclass(frozen=True)
class Target:
    """The images that outputs should look like."""

    domain: str
    source_domain: str
    images: "ImageSet"
    resolution: int  # pixels, to which outputs and inputs are brought
    dataset_hash: str


def judge_folder(
    project: Project,
    outputs: Path,
    target: str,
    *,
    name: str | None = None,
    inputs: "Path | PreparedDataset | None" = None,
    domain: str | None = None,
    framing: str | None = None,
    progress: Progress = no_progress,
) -> list[Row]:
    """Judge outputs and return their rows of `EVALUATION_SCHEMA` (paper, Table II).

    Args:
        target: a domain of the project, or a folder of images.
        name: of the system; None: only for a folder that `ui2i translate` made, whose variants have names.
        inputs: folder or dataset of the images that were translated; None: no similarity is measured.
        domain: column of Table II; None: the target's name.
        framing: center, fit or face, of files; None: as of the images of the domain's base, where it has none as
            `ingest` in `params.yaml` says.

    Raises:
        UI2IError: a folder has no images, an output has no input, or there are too few.
    """
    from ui2i.metrics.evaluation import embed_set, evaluate
    from ui2i.metrics.image_sets import of_files
    from ui2i.perceptual import load_perceptual

    params, device = load_params(project), default_device()
    systems = _systems(outputs, inputs, name)
    column = domain or (target if target in params.datasets else Path(target).resolve().name)
    base = params.domains[column].base if column in params.domains else None
    has_files = isinstance(inputs, Path) or target not in params.datasets
    framer, of_outputs = _framers(project, params, base, framing, has_files=has_files)
    source = base or ("any" if inputs is None else inputs.resolve().name if isinstance(inputs, Path) else inputs.name)
    found = _target(project, params, target, column, source, device, framer)
    perceptual = load_perceptual(params.perceptual, device)
    inception = find_inception(project, params, device)
    embedded = embed_set(found.images, perceptual, inception, progress=progress)
    run, rows = run_columns(params, perceptual, inception, device), []
    for system, pairs in systems.items():
        start = time.perf_counter()
        evaluation = evaluate(
            of_files(list(pairs), found.resolution, device, framer=of_outputs),
            _input_set(inputs, list(pairs.values()), found.resolution, device, framer),
            embedded,
            perceptual,
            inception,
            seed=params.evaluation.seed,
            progress=progress,
        )
        own = {
            "source_domain": found.source_domain,
            "domain": found.domain,
            "system": system,
            "inputs": "images",
            "num_outputs": len(pairs),
            "num_targets": found.images.count,
            "img_resolution": found.resolution,
            "resizer": framer.protocol,
            "dataset_hash": found.dataset_hash,
            "seconds": time.perf_counter() - start,
        }
        rows.append(evaluation_row(run, evaluation, **own))
    return rows


def keep_rows(project: Project, rows: Sequence[Row]) -> None:
    """Append what was judged of one folder to the table of what somebody had evaluated."""
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


def _input_set(
    inputs: "Path | PreparedDataset | None",
    sources: Sequence[Source | None],
    resolution: int,
    device: str,
    framer: "Framer",
) -> "ImageSet | None":
    from ui2i.metrics.image_sets import of_dataset, of_files

    if inputs is None:
        return None
    if isinstance(inputs, Path):
        files = [source for source in sources if isinstance(source, Path)]
        return of_files(files, resolution, device, framer=framer, folder=inputs)
    return of_dataset(inputs, device, chosen=[source for source in sources if isinstance(source, int)])


def _sources(inputs: "Path | PreparedDataset") -> Mapping[str, Source]:
    """Return inputs by their relative path without its ending."""
    from ui2i.metrics.image_sets import find_images

    if isinstance(inputs, Path):
        return find_images(inputs)
    names = inputs.columns("source_path")["source_path"].to_pylist()
    return {_key(name): place for place, name in enumerate(names)}


def _key(path: str) -> str:
    return Path(path).with_suffix("").as_posix()


def _systems(
    outputs: Path, inputs: "Path | PreparedDataset | None", name: str | None
) -> dict[str, dict[Path, Source | None]]:
    """Return each system's outputs with their inputs (None: not asked for)."""
    from ui2i.metrics.image_sets import find_images

    sources = None if inputs is None else _sources(inputs)
    if (outputs / MANIFEST_NAME).is_file():
        return _translations(outputs, sources, name)
    if name is None:
        raise ConfigError(f"{outputs} is no folder that ui2i translate made, expected --name of the system; add it")
    found = find_images(outputs)
    return {name: {path: _input(sources, key, path) for key, path in found.items()}}


def _translations(
    folder: Path, sources: Mapping[str, Source] | None, name: str | None
) -> dict[str, dict[Path, Source | None]]:
    from ui2i.tables import TRANSLATION_SCHEMA, read_table

    systems: dict[str, dict[Path, Source | None]] = {}
    for _, row in read_table(folder / MANIFEST_NAME, TRANSLATION_SCHEMA).iterrows():
        if row["variant"] == RECONSTRUCTION:
            continue
        path = folder / row["output_file"]
        system = row["variant"] if name is None else f"{name} {row['variant']}"
        systems.setdefault(system, {})[path] = _input(sources, _key(row["input_path"]), path)
    return systems


def _input(sources: Mapping[str, Source] | None, key: str, output: Path) -> Source | None:
    if sources is None:
        return None
    if key not in sources:
        raise DataError(
            f"{output} has no input: {key} with the ending of an image is not there, expected an input of the same "
            "name for each output; rename the outputs or leave out --inputs"
        )
    return sources[key]


def _target(
    project: Project,
    params: Params,
    target: str,
    column: str,
    source: str,
    device: str,
    framer: "Framer",
) -> Target:
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.metrics.image_sets import find_images, of_dataset, of_files

    if target in params.datasets:
        dataset = PreparedDataset(project.prepared(target), split=None)
        return Target(column, source, of_dataset(dataset, device), dataset.resolution, dataset.hash)
    folder = Path(target)
    if not folder.is_dir():
        known = ", ".join(params.datasets) or "none"
        raise ConfigError(
            f"the target is {target}, expected a dataset of the project ({known}) or a folder of images; correct it"
        )
    paths = find_images(folder)
    resolution = params.ingest.img_resolution
    images = of_files(list(paths.values()), resolution, device, framer=framer, folder=folder)
    listing = sha256_listing((key, sha256_file(path)) for key, path in paths.items())
    return Target(column, source, images, resolution, listing)
