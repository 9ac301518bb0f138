"""`ui2i generate`: images of numbered seeds."""

from pathlib import Path
from typing import Annotated

import typer

from cli.epilog import examples


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(
        epilog=examples(
            "ui2i generate face --seeds 0-15 --out ~/faces",
            "ui2i generate cartoon --variant FC-FT-LS8 --seeds 3,8,20-29 --psi 0.7 --out ~/cartoons",
        )
    )(generate)


def generate(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="DOMAIN", help="Domain, base, model as in the tables, or .safetensors file.")
    ],
    seeds: Annotated[str, typer.Option(metavar="SEEDS", help="Numbers and ranges: 0-15 or 3,8,20-29.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to create: one PNG per seed, and a grid.")],
    variant: Annotated[
        str | None, typer.Option(metavar="VARIANT", help="FC-FT, FC-FT-LS8, ... Default: the domain's first mode.")
    ] = None,
    psi: Annotated[
        float, typer.Option(metavar="PSI", help="Truncation; below 1: nearer to the model's mean.", show_default=True)
    ] = 1.0,
) -> None:
    """Generate images from numbered seeds. A seed draws the same latent as in NVIDIA's StyleGAN tools."""
    from cli.report import print_paths
    from flows.display import working
    from tasks.requests import generate as request

    chosen = request.parse_seeds(seeds)
    with working(f"generate {name}") as progress:
        request.generate(context.obj.project, name, chosen, out, variant=variant, psi=psi, progress=progress)
    print_paths({"images": out.resolve(), "grid": out.resolve() / request.GRID_FILE})
