"""`ui2i checkpoint` and `ui2i base`: importing and exporting checkpoints of any tool."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.epilog import examples
from cli.help import group
from ui2i.errors import CheckpointError
from ui2i.names import printable

if TYPE_CHECKING:
    from tasks.project.paths import Project
    from tasks.requests.add_base import AddedBase
    from ui2i.converters.formats import Checkpoint

checkpoint_app = group(
    "Inspect, convert and verify checkpoints.",
    "ui2i checkpoint show ffhq.pkl",
    "ui2i checkpoint convert ffhq.pkl ffhq.pt",
)
base_app = group(
    "Add models to the project as bases to fine-tune.", "ui2i base add ffhq ~/ffhq.pkl", "ui2i base check ffhq"
)


MAX_VALUE_LENGTH = 2000  # characters of a value in a file's header that are printed

_Path = Annotated[
    Path,
    typer.Argument(metavar="PATH", help="A .pt, .pkl or .safetensors file, or a checkpoint folder of this project."),
]
_GeneratorOnly = Annotated[bool, typer.Option("--generator-only", help="Leave out the discriminator.")]
_License = Annotated[str | None, typer.Option("--license", metavar="TEXT", help="The model's licence, for its card.")]
_Replace = Annotated[bool, typer.Option("--replace", help="Replace what exists.")]
_FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Also copy images outside --images that a link or list points to.")
]
_Sha256 = Annotated[str | None, typer.Option(metavar="HEX", help="The file's expected SHA-256.")]


@checkpoint_app.command(epilog=examples("ui2i checkpoint show ffhq.pkl", "ui2i checkpoint show data/checkpoints/face"))
def show(path: _Path) -> None:
    """Print a checkpoint's architecture and card, and what a conversion would leave out."""
    from ui2i.converters.formats import read_checkpoint

    _print_rows(str(path), [*_network_rows(read_checkpoint(path)), *_file_rows(path)])


@checkpoint_app.command(
    epilog=examples(
        "ui2i checkpoint convert ffhq.pkl ffhq.pt  # for rosinality's code",
        "ui2i checkpoint convert data/checkpoints/face face.pkl  # for NVIDIA's code",
        "ui2i checkpoint convert 550000.pt ffhq-256  # this project's own kind",
    )
)
def convert(
    source: _Path,
    destination: Annotated[
        Path,
        typer.Argument(metavar="NEW", help="By suffix: .pt rosinality, .pkl stylegan2-ada-pytorch, else this project."),
    ],
    generator_only: _GeneratorOnly = False,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Domain, for the card.")] = None,
    license_: _License = None,
    replace: _Replace = False,
) -> None:
    """Write a checkpoint in another format.

    The new file is read back and compared bit for bit before it is moved into place.
    """
    from cli.report import print_paths
    from ui2i.converters.formats import format_of, read_checkpoint, write_checkpoint

    format_ = format_of(destination)
    if destination.exists() and not replace:
        raise CheckpointError(f"{destination} already exists, expected a new name; choose another or pass --replace")
    _check_replaced(source, destination)
    checkpoint = read_checkpoint(source, generator_only=generator_only)
    card = dataclasses.replace(
        checkpoint.card, domain=name or checkpoint.card.domain, license=license_ or checkpoint.card.license
    )
    remarks = write_checkpoint(destination, dataclasses.replace(checkpoint, card=card), format_)
    _print_remarks(source, checkpoint.remarks)
    _print_remarks(destination, remarks)
    print_paths({format_: destination.resolve()})
    print("verified: read again and equal, bit for bit: every tensor, and the settings that the file has a place for")


def _check_replaced(source: Path, destination: Path) -> None:
    """Refuse to replace a folder that is no checkpoint, holds more, or has the checkpoint itself in it."""
    from tasks.models.model_folder import MODEL_FILES
    from ui2i.images.sources import check_destination
    from ui2i.model_files import GENERATOR_FILE

    if not destination.is_dir():
        return
    if source.resolve().is_relative_to(destination.resolve()):
        raise CheckpointError(f"{source} lies in {destination}, which would be replaced; choose another name")
    check_destination((), destination, GENERATOR_FILE, "checkpoint folder", lambda _: MODEL_FILES)


@checkpoint_app.command(
    epilog=examples("ui2i checkpoint verify ffhq.pkl", "ui2i checkpoint verify ffhq.pt --against ffhq.pkl")
)
def verify(
    path: _Path,
    against: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Checkpoint, in any format, that must be the same model.")
    ] = None,
    sha256: _Sha256 = None,
) -> None:
    """Read a checkpoint, check every value and generate two images with it."""
    from ui2i.converters.verification import verify_checkpoint

    if sha256 is not None:
        _check_hash(path, sha256)
    checks = verify_checkpoint(path, against=against)
    _print_rows(f"{path}: good", [(check.name, check.result) for check in checks])


@base_app.command(
    epilog=examples(
        "ui2i base add ffhq-256 550000.pt",
        "ui2i base add metfaces https://HOST/metfaces.pkl --sha256 HEX --images ~/metfaces.zip",
        "docs/checkpoints.md has the addresses and licences of public ones.",
    )
)
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and dashes.")],
    source: Annotated[str, typer.Argument(metavar="PATH|URL", help="A .pt, .pkl or .safetensors file, or a folder.")],
    sha256: _Sha256 = None,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Folder, .zip, .tar, .parquet or list (.txt) of images like the model's own."
        ),
    ] = None,
    license_: _License = None,
    generator_only: _GeneratorOnly = False,
    replace: _Replace = False,
    follow_links: _FollowLinks = False,
) -> None:
    """Add a checkpoint to the project as a base to fine-tune.

    If a download is interrupted, rerun the command to resume.
    """
    from flows.display import working
    from tasks.requests.add_base import add_base_model

    project = context.obj.project
    with working(f"base {name}") as progress:
        added = add_base_model(
            project,
            name,
            source,
            sha256=sha256,
            images=images,
            license_=license_,
            generator_only=generator_only,
            replace=replace,
            follow_links=follow_links,
            progress=progress,
        )
    _print_added(project, name, added)


@base_app.command(
    epilog=examples(
        "ui2i base pack face ~/face-base  # for `imported` of another project",
        "ui2i base pack cartoon/FC-FT ~/cartoon  # for `start` of another's domain",
    )
)
def pack(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A base of the project, or a domain's model.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder to create.")],
) -> None:
    """Pack a base and its encoder, or a domain's model and its translator, into one folder to share.

    The discriminator and the encoder are stored in half precision.
    """
    from cli.report import print_paths
    from tasks.requests.pack_base import pack_base

    print_paths({"base": pack_base(context.obj.project, name, folder.resolve())})


@base_app.command(epilog=examples("ui2i base check face", "ui2i base check face --num 200"))
def check(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A base, or a domain as the source of --from.")],
    num: Annotated[int, typer.Option(metavar="N", help="Held-out images to invert.", min=0)] = 64,
) -> None:
    """Show how well a base's domain check tells its own images from those of other datasets.

    Also inverts held-out images with the settings in params.yaml; translate compares its reconstructions with theirs.
    """
    from cli.report import print_table
    from flows.display import working
    from tasks.requests.check_base import check_base

    with working(f"check {name}") as progress:
        checked = check_base(context.obj.project, name, num_images=num, progress=progress)
    rows = [
        (it.dataset, str(it.num_images), f"{it.share_unlike:.1%}", "" if it.auc is None else f"{it.auc:.3f}")
        for it in checked.separations
    ]
    print_table(f"Held-out images beside those of {name}", ("dataset", "images", "called unlike", "AUC"), rows)
    print(*checked.lines(name), sep="\n")


def _print_added(project: "Project", name: str, added: "AddedBase") -> None:
    from cli.report import print_paths
    from tasks.project.params import load_params

    _print_remarks(name, added.remarks)
    print_paths({"base": added.folder})
    steps = []
    wanted = load_params(project).ingest.img_resolution
    if wanted != added.img_resolution:
        steps.append(f"set ingest.img_resolution to {added.img_resolution} in params.yaml (it is {wanted})")
    if not added.has_images:
        steps.append(f"put images like the model's into data/raw/{name}: those to translate are taken from them")
    if not added.has_discriminator:
        steps.append("expect longer fine-tuning: there is no discriminator to start from")
    steps.append(f"ui2i new-domain NAME --images PATH --base {name}")
    print("next:", *(f"  {step}" for step in steps), sep="\n")


def _print_rows(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print a table of what a file contains, one escaped and shortened value a line."""
    from cli.report import print_table

    print_table(printable(title), ("", ""), [(printable(name), _short(text)) for name, text in rows])


def _print_remarks(what: object, remarks: Iterable[str]) -> None:
    for remark in remarks:
        print(_short(f"{what}: {remark}"))


def _short(text: str) -> str:
    shown = printable(text[:MAX_VALUE_LENGTH])
    return shown if len(text) <= MAX_VALUE_LENGTH else f"{shown} ..."


def _network_rows(checkpoint: "Checkpoint") -> list[tuple[str, str]]:
    generator, discriminator, card = checkpoint.generator, checkpoint.discriminator, checkpoint.card
    config = generator.config
    widths = ", ".join(f"{config.num_channels(size)} at {size}" for size in config.block_resolutions)
    sizes = {"generator": generator, "discriminator": discriminator}
    counts = {name: sum(p.numel() for p in network.parameters()) for name, network in sizes.items() if network}
    clamp = "none" if config.conv_clamp is None else f"{config.conv_clamp:g}"
    rows = [
        ("format", checkpoint.format),
        ("resolution", f"{config.img_resolution} px"),
        ("z, w", f"{config.z_dim}, {config.w_dim}"),
        ("mapping layers", f"{config.num_mapping_layers}, learning rate x {config.mapping_lr_multiplier:g}"),
        ("widths", widths),
        ("noise inputs", "yes" if config.use_noise else "no"),
        ("clamped at", clamp),
        ("truncation mean", f"length {float(generator.w_avg.norm()):.3g}"),
        *((f"{name} parameters", f"{count:,}") for name, count in counts.items()),
    ]
    if discriminator is None:
        rows.append(("discriminator", "none"))
    else:
        rows.append(("minibatch-stddev group", str(discriminator.config.mbstd_group_size)))
    rows += [
        (f"card: {field.name.replace('_', ' ')}", str(getattr(card, field.name)))
        for field in dataclasses.fields(card)
        if getattr(card, field.name) not in (None, 0, {}) and field.name != "provenance"
    ]
    return rows + [("remark", remark) for remark in checkpoint.remarks]


def _file_rows(path: Path) -> list[tuple[str, str]]:
    from ui2i.files import sha256_file

    if not path.is_file():
        return []
    return [("size", f"{path.stat().st_size:,} bytes"), ("sha256", sha256_file(path))]


def _check_hash(path: Path, sha256: str) -> None:
    from ui2i.files import sha256_file

    found = sha256_file(path) if path.is_file() else "none: it is no file"
    if found != sha256.lower():
        raise CheckpointError(f"{path} has the SHA-256 {found}, expected {sha256.lower()}; fetch it again")
