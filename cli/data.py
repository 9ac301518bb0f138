"""`ui2i data`: show prepared images, and export them for other trainers."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.epilog import examples
from cli.help import group
from ui2i.errors import DataError

if TYPE_CHECKING:
    from tasks.project.paths import Project
    from ui2i.datasets.manifest import Manifest

data_app = group("Show and export images.", "ui2i data show cartoon", "ui2i data export cartoon --to zip")

_Name = Annotated[str, typer.Argument(metavar="NAME", help="A prepared dataset (datasets in params.yaml).")]


@data_app.command(epilog=examples("ui2i data show cartoon"))
def show(context: typer.Context, name: _Name) -> None:
    """Print what a prepared dataset contains, and which files were rejected and why."""
    from cli.report import print_paths, print_table
    from ui2i.datasets.manifest import REJECTS_NAME, REJECTS_SHEET_NAME, SAMPLES_NAME, read_manifest

    folder = _prepared(context.obj.project, name)
    manifest = read_manifest(folder)
    print_table(f"{name}: {manifest.img_resolution} px", ("", "images"), _counts(manifest))
    if manifest.statistics:
        print_table("Source files", ("", "smallest", "median", "largest"), _spreads(manifest.statistics))
        print_table("Images", ("", "red", "green", "blue"), _levels(manifest.statistics))
    if manifest.num_rejected:
        print_table("Rejects", ("reason", "files", "meaning"), _rejects(manifest))
    files = {"samples": SAMPLES_NAME, "rejects": REJECTS_SHEET_NAME, "list of rejects": REJECTS_NAME}
    there = {label: folder / file for label, file in files.items() if (folder / file).exists()}
    print_paths({"dataset": folder} | there)


@data_app.command(
    epilog=examples("ui2i data export cat --to zip --out cat-64.zip", "ui2i data export cat --to folder --split all")
)
def export(
    context: typer.Context,
    name: _Name,
    to: Annotated[Literal["folder", "zip"], typer.Option(help="A folder of PNGs, or a zip of one.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Folder or zip to create. Default: NAME or NAME.zip in this folder."),
    ] = None,
    split: Annotated[Literal["train", "test", "all"], typer.Option(help="Which images.")] = "train",
) -> None:
    """Export a prepared dataset in the format of stylegan2-ada-pytorch and stylegan3."""
    from cli.report import print_paths
    from flows.display import working
    from ui2i.datasets import export as exporting

    destination = out or Path(name if to == "folder" else f"{name}.zip")
    folder = _prepared(context.obj.project, name)
    with working(f"export {name}") as progress:
        num = exporting.export(folder, destination, to=to, split=None if split == "all" else split, progress=progress)
    print_paths({f"{num:,} images": destination.resolve()})


def _prepared(project: "Project", name: str) -> Path:
    from tasks.project.names import check_name

    check_name(name, where="the dataset")
    folder = project.prepared(name)
    if not folder.is_dir():
        there = sorted(path.name for path in folder.parent.glob("*") if path.is_dir() and path.name[0] != ".")
        raise DataError(
            f"{name} is not prepared, expected one of: {', '.join(there) or 'none'}; correct the name, or, if "
            f"params.yaml has datasets.{name}, run `dvc repro ingest@{name}`"
        )
    return folder


def _counts(manifest: "Manifest") -> Iterable[tuple[str, str]]:
    from ui2i.datasets.facing import describe_mirroring

    yield "train", f"{manifest.num_train:,}"
    yield "test", f"{manifest.num_test:,}"
    yield "rejected", f"{manifest.num_rejected:,}"
    if manifest.statistics:
        yield "mirroring", describe_mirroring(manifest.statistics.get("facing_share"))
    for kind, number in manifest.statistics.get("formats", {}).items():
        yield f"from {kind}", f"{number:,}"
    for suffix, number in manifest.passed_over.items():
        yield f"no images: {suffix}", f"{number:,}"


def _spreads(statistics: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for key, label in (("width", "width, px"), ("height", "height, px"), ("size_bytes", "size, bytes")):
        yield label, *(f"{statistics[key][part]:,}" for part in ("min", "median", "max"))


def _levels(statistics: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for key, label in (("channel_mean", "mean level"), ("channel_std", "standard deviation")):
        yield label, *(f"{value:.1f}" for value in statistics[key])


def _rejects(manifest: "Manifest") -> Iterable[tuple[str, str, str]]:
    from ui2i.images.left_out import REASONS

    for reason, meaning in REASONS.items():
        if reason in manifest.rejected_by_reason:
            yield reason, f"{manifest.rejected_by_reason[reason]:,}", meaning
