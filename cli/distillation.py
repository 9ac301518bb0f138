"""`ui2i distill`, `export-onnx` and `translate --fast`: translators, which need one pass an image."""

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.epilog import examples
from cli.terminal import session
from ui2i.errors import ConfigError
from ui2i.translation_files import SHEET_NAME

if TYPE_CHECKING:
    from tasks.project.params import Params
    from tasks.project.paths import Project
    from tasks.project.sections import TranslatorParams
    from tasks.requests.translation_request import TranslationRequest


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(
        epilog=examples("ui2i distill cartoon", "ui2i distill cartoon --kimg 100 --dry-run"),
    )(distill)
    app.command(epilog=examples("ui2i export-onnx cartoon", "ui2i export-onnx face --generator --out ~/face.onnx"))(
        export_onnx
    )


_Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="A domain that has been trained.")]


def distill(
    context: typer.Context,
    domain: _Domain,
    variant: Annotated[
        str | None, typer.Option(metavar="VARIANT", help="The model to imitate: FC-FT, FC-FT-LS8, ...")
    ] = None,
    kimg: Annotated[
        float | None,
        typer.Option(metavar="N", help="Training length in thousands of pairs. Default: from params.yaml."),
    ] = None,
    pairs: Annotated[
        int | None, typer.Option(metavar="N", help="Number of pairs to generate. Default: from params.yaml.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace this translator's existing settings.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the pairs, steps, parameters and time; change nothing.")
    ] = False,
) -> None:
    """Train a translator: a small network that imitates a domain's model in one pass.

    If interrupted, rerun the command to resume.
    """
    from cli.report import print_outcomes, print_paths
    from tasks.project.params import load_params
    from tasks.project.register import register_translator
    from tasks.running.locks import hold_model

    project = context.obj.project
    params = load_params(project)
    given = {"variant": variant, "total_kimg": kimg, "num_pairs": pairs}
    settings = {name: value for name, value in given.items() if value is not None}
    if dry_run:
        from tasks.models.translator_models import describe_distillation

        print(describe_distillation(project, params, domain, _planned(params, domain, settings)))
        return
    if domain not in params.translators or settings:
        with hold_model(project, domain):
            register_translator(project, domain, settings, replace=replace)
    with session(context.obj, project):
        from flows import pipeline

        outcomes = pipeline.distill(domain, project=str(project.root))
    print_outcomes(outcomes)
    folder = project.translator_folder(domain)
    print_paths({"translator": project.translator(domain), "translations": folder / "translations.png"})


def export_onnx(
    context: typer.Context,
    domain: Annotated[
        str, typer.Argument(metavar="DOMAIN", help="A domain with a translator; with --generator, any model.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="File to write. Default: DOMAIN.onnx or DOMAIN-VARIANT.onnx in data/exports."
        ),
    ] = None,
    generator: Annotated[
        bool, typer.Option("--generator", help="Write the generator: FILE.mapping.onnx and FILE.synthesis.onnx.")
    ] = False,
    variant: Annotated[
        str | None, typer.Option(metavar="VARIANT", help="With --generator: FC-FT, FC-FT-LS8, ... of the domain.")
    ] = None,
) -> None:
    """Write a domain's translator as one ONNX file, or a generator as two.

    The files are compared with the network before they replace earlier ones.
    """
    from cli.report import print_paths
    from tasks.requests.export_onnx import export_model, export_translator

    project = context.obj.project
    if generator:
        name = f"{domain}-{variant}" if variant else domain
        path = out or project.onnx_translator(name.removesuffix(".safetensors").replace("/", "-"))
        difference, parts = export_model(project, domain, variant, path.resolve())
        print_paths(dict(zip(("mapping", "synthesis"), parts, strict=True)))
        print(f"images differ by at most {difference:.1e} of values in [-1, 1]")
        return
    if variant is not None:
        raise ConfigError(
            f"--variant is {variant} without --generator, expected both: a translator has its own variant; add "
            "--generator, or leave out --variant"
        )
    path = (out or project.onnx_translator(domain)).resolve()
    difference, num_images = export_translator(project, domain, path)
    print_paths({"onnx": path})
    print(f"compared on {num_images} images: outputs differ by at most {difference:.1e} of values in [-1, 1]")


def translate_fast(project: "Project", request: "TranslationRequest", *, watch: bool) -> None:
    """Translate images with the domain's translator, and print what did it and what came of them.

    Raises:
        ConfigError: a folder is to be watched.
    """
    from cli.report import print_paths
    from cli.standard_input import given_path
    from flows.display import working
    from tasks.requests.fast_translation import describe_images
    from tasks.requests.fast_translation import translate_fast as translate

    if watch:
        raise ConfigError("--watch came with --fast, expected one of them; leave out the other")
    start = time.perf_counter()
    with given_path(request.images) as images, working(f"translate to {request.domain}") as progress:
        found = translate(project, dataclasses.replace(request, images=images).resolved(), progress=progress)
    out, card = request.out.resolve(), found.card
    print(
        f"{card.domain}/{card.variant} by its translator, {card.img_resolution} px, in {found.engine}, "
        f"{time.perf_counter() - start:.1f} s"
    )
    print(*describe_images(out), sep="\n")
    print_paths({"translations": out, "contact sheet": out / SHEET_NAME})


def _planned(params: "Params", domain: str, settings: dict[str, Any]) -> "TranslatorParams":
    """Return the settings as they would be registered."""
    from tasks.project.params import find_entry
    from tasks.project.sections import TranslatorParams
    from ui2i.settings import from_mapping

    if domain in params.translators and not settings:
        return params.translators[domain]
    base = find_entry(params.domains, domain, "domains").base
    return from_mapping(TranslatorParams, {"base": base, **settings}, section=f"translators.{domain}")
