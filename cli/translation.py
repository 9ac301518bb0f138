"""`ui2i translate` and `train-encoder`: from images to latent codes and back to images."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.distillation import translate_fast
from cli.epilog import examples
from cli.terminal import session
from ui2i.translation_files import SHEET_NAME

if TYPE_CHECKING:
    from tasks.requests.translation_request import TranslationRequest

METHODS = "closed_form, closed_form_mapping, directions, w, closed_form_plus, w_plus, encoder or in_domain"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(
        epilog=examples(
            "ui2i translate ~/portraits --domain cartoon --out ~/cartoons",
            "ui2i translate ~/portraits --domain cartoon --out ~/cartoons --variant FC-FT-LS8 --psi 0.8 --steps 1000",
            "ui2i translate ~/portraits --domain cartoon --out ~/styles --styles 4 --seed 7",
            "ui2i translate ~/portraits --domain cartoon --out ~/guided --reference ~/hero.png --style-layers 6",
            "ui2i translate ~/cartoons --from cartoon --domain anime --out ~/anime",
            "ui2i translate ~/portraits --domain cartoon --out ~/turned --direction 3 --strength 2 --strength -2",
            "ui2i translate ~/portraits.zip --domain cartoon --out ~/best --only FC-FT-LS8 --strict",
            "find ~/portraits -name '*.jpg' | ui2i translate - --domain cartoon --out ~/found",
            "ui2i translate --watch ~/inbox --domain cartoon --out ~/outbox",
            "ui2i translate ~/portraits --domain cartoon --out ~/cartoons --fast",
        )
    )(translate)
    app.command(epilog=examples("ui2i train-encoder face", "ui2i train-encoder face --kimg 100"))(train_encoder)


def translate(
    context: typer.Context,
    images: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES",
            help="Images like those of the domain's base: a folder, image, archive (.zip, .tar, .parquet) or list "
            "(.txt); - reads an image or a list from standard input.",
        ),
    ],
    domain: Annotated[str, typer.Option(metavar="NAME", help="Target domain, already trained.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to create.")],
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="NAME", help="Source domain: any of the same family. Default: the base."),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VARIANT", help="FC-FT, FC-FT-LS8, ...; repeatable. Default: the first mode and its variants."
        ),
    ] = None,
    swap_resolution: Annotated[
        list[int] | None,
        typer.Option(metavar="PX", help="Create a variant with the base's layers up to this resolution; repeatable."),
    ] = None,
    swap_mode: Annotated[
        str | None,
        typer.Option(metavar="MODE", help="How to swap: weights, features or blend. Default: from params.yaml."),
    ] = None,
    psi: Annotated[
        float | None, typer.Option(metavar="PSI", help="Truncation; below 1: nearer to the models' mean.")
    ] = None,
    styles: Annotated[
        int | None, typer.Option(metavar="N", help="Additional versions with a sampled appearance.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of the styles: the k-th has seed N + k.")] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="Image of the target domain whose appearance another version takes on; repeatable."
        ),
    ] = None,
    style_layers: Annotated[
        int | None, typer.Option(metavar="N", help="Number of style inputs that another appearance replaces.")
    ] = None,
    direction: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="Semantic direction to edit along; 1 is the strongest; repeatable."),
    ] = None,
    strength: Annotated[
        list[float] | None,
        typer.Option(metavar="X", help="How far, in standard deviations; repeatable. Default: 2."),
    ] = None,
    method: Annotated[str | None, typer.Option(metavar="METHOD", help=f"Inversion method: {METHODS}.")] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Number of inversion steps.")] = None,
    start: Annotated[str | None, typer.Option(metavar="START", help="Where inversion starts: mean or encoder.")] = None,
    framing: Annotated[
        str | None, typer.Option(metavar="FRAMING", help="center, fit or face. Default: that of the base's images.")
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="VARIANT", help="One image per input, from this variant; best: as choose-swap recommends."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse all if an image is unlike what the base was trained on.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Translate new files as they arrive in the folder, until Ctrl-C.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Allow models of two different families.")] = False,
    fast: Annotated[bool, typer.Option("--fast", help="Use the domain's translator (ui2i distill): one pass.")] = False,
) -> None:
    """Translate your images. Defaults come from params.yaml.

    If interrupted, rerun the command to resume: latent codes that were already found are kept.
    """
    from cli.standard_input import given_path
    from tasks.project.params import find_entry, load_params
    from tasks.requests.translation_request import TranslationRequest

    project = context.obj.project
    params = load_params(project)
    targets = params.domains if source is None else {**params.bases, **params.imported, **params.domains}
    find_entry(targets, domain, "domains")  # before a server is started
    request = TranslationRequest.checked(
        images=images,
        domain=domain,
        out=out,
        source=source,
        variants=tuple(variant or ()),
        swap_resolutions=tuple(swap_resolution or ()),
        swap_mode=swap_mode,
        psi=psi,
        styles=styles,
        seed=seed,
        references=tuple(reference or ()),
        style_layers=style_layers,
        directions=tuple(direction or ()),
        strengths=tuple(strength or ()),
        method=method,
        steps=steps,
        start=start,
        framing=framing,
        only=only,
        strict=strict,
        force=force,
    )
    if fast:
        translate_fast(project, request, watch=watch)
        return
    if watch:
        from cli.watching import watch_folder

        if watch_folder(context.obj, project, request):
            raise typer.Exit(1)
        return
    with given_path(images) as path:
        _check_images(path)
        _translate(context, dataclasses.replace(request, images=path))


def _translate(context: typer.Context, request: "TranslationRequest") -> None:
    from cli.report import print_outcomes, print_paths, print_translation

    project, out = context.obj.project, request.out.resolve()
    with session(context.obj, project):
        from flows import pipeline

        outcomes = pipeline.translate(request, project=str(project.root))
    print_outcomes(outcomes)
    print_translation(out)
    print_paths({"translations": out, "contact sheet": out / SHEET_NAME})


def _check_images(images: Path) -> None:
    """Refuse a source without images before a server is started."""
    import tempfile

    from ui2i.images.sources import open_images

    with tempfile.TemporaryDirectory(prefix="ui2i-") as workspace, open_images(images, workspace=Path(workspace)):
        pass


def train_encoder(
    context: typer.Context,
    base: Annotated[str, typer.Argument(metavar="BASE", help="A base model that has been trained or added.")],
    kimg: Annotated[
        float | None,
        typer.Option(metavar="N", help="Training length in thousands of images. Default: from params.yaml."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace this encoder's existing settings.")] = False,
) -> None:
    """Train an encoder that predicts latent codes for a base model.

    If interrupted, rerun the command to resume.
    """
    from cli.report import print_outcomes, print_paths
    from tasks.project.params import load_params
    from tasks.project.register import register_encoder

    project = context.obj.project
    if base not in load_params(project).encoders or kimg is not None:
        register_encoder(project, base, {} if kimg is None else {"total_kimg": kimg}, replace=replace)
    with session(context.obj, project):
        from flows import pipeline

        outcomes = pipeline.train_encoder(base, project=str(project.root))
    print_outcomes(outcomes)
    folder = project.encoder_folder(base)
    print_paths({"encoder": project.encoder(base), "reconstructions": folder / "reconstructions.png"})
