"""`ui2i translate` and `train-encoder`: from images to codes and to images."""

from pathlib import Path
from typing import Annotated

import typer

from cli.epilog import examples
from cli.terminal import session
from ui2i.errors import DataError

METHODS = "closed_form, directions, w, closed_form_plus, w_plus, encoder or in_domain"


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
        )
    )(translate)
    app.command(epilog=examples("ui2i train-encoder face", "ui2i train-encoder face --kimg 100"))(train_encoder)


def translate(
    context: typer.Context,
    images: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of images like those of the domain's base.")],
    domain: Annotated[str, typer.Option(metavar="NAME", help="A domain that has been trained.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to make.")],
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="NAME", help="Domain of the images, any of the family. Default: the base."),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(metavar="VARIANT", help="FC-FT, FC-FT-LS8, ... Default: the first mode and its variants."),
    ] = None,
    swap_resolution: Annotated[
        list[int] | None,
        typer.Option(metavar="PX", help="Make a variant now, with the base's layers up to this resolution."),
    ] = None,
    swap_mode: Annotated[
        str | None, typer.Option(metavar="MODE", help="Of it: weights, features or blend. Default: params.yaml's.")
    ] = None,
    psi: Annotated[float | None, typer.Option(metavar="PSI", help="Below 1: nearer to the models' mean.")] = None,
    styles: Annotated[int | None, typer.Option(metavar="N", help="Further versions with sampled appearance.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="The k-th of these has seed N + k.")] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Image of the domain; a further version takes on its appearance."),
    ] = None,
    style_layers: Annotated[
        int | None, typer.Option(metavar="N", help="Style inputs that another appearance takes over.")
    ] = None,
    direction: Annotated[
        list[int] | None, typer.Option(metavar="N", help="Semantic direction to move along; 1 is the strongest.")
    ] = None,
    strength: Annotated[
        list[float] | None, typer.Option(metavar="X", help="How far, in standard deviations. Default: 2.")
    ] = None,
    method: Annotated[str | None, typer.Option(metavar="METHOD", help=f"Of inversion: {METHODS}.")] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Of inversion.")] = None,
    start: Annotated[str | None, typer.Option(metavar="START", help="Of inversion: mean or encoder.")] = None,
    framing: Annotated[
        str | None, typer.Option(metavar="FRAMING", help="center, fit or face; default: as the base's images.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Translate between models of two families.")] = False,
) -> None:
    """Translate a folder of your images. What is not given is taken from params.yaml.

    Stopped, the same command goes on: codes that were found are kept.
    """
    from cli.report import print_left_out, print_outcomes, print_paths
    from tasks.project.params import find_entry, load_params
    from tasks.requests.translation_request import TranslationRequest

    project = context.obj.project
    params = load_params(project)
    targets = params.domains if source is None else {**params.bases, **params.imported, **params.domains}
    find_entry(targets, domain, "domains")  # before a server is started
    if not images.is_dir():
        raise DataError(f"{images} is no folder, expected one with images; check the path")
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
        force=force,
    )
    with session(context.obj, project):
        from flows import pipeline

        outcomes = pipeline.translate(request, project=str(project.root))
    print_outcomes(outcomes)
    print_left_out(out.resolve())
    print_paths({"translations": out.resolve(), "contact sheet": out.resolve() / "contact_sheet.png"})


def train_encoder(
    context: typer.Context,
    base: Annotated[str, typer.Argument(metavar="BASE", help="A base that has been trained or added.")],
    kimg: Annotated[float | None, typer.Option(metavar="N", help="Thousands of images to show in training.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of other settings of this encoder.")
    ] = False,
) -> None:
    """Train what reads codes from a base's images in one pass, and gives searches a start.

    Stopped, the same command goes on.
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
    print_paths({"encoder": project.encoder(base), "what it reads": folder / "reconstructions.png"})
