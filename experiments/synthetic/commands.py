"""`ui2i data draw`: synthetic images of people and animals."""

from pathlib import Path
from typing import Annotated

import typer

from cli.epilog import examples


def register(app: typer.Typer) -> None:
    """Add the command to `ui2i data`."""
    app.command(epilog=examples("ui2i data draw cartoon --num 3000 --out ~/cartoons --seed 2 --workers 4"))(draw)


def draw(
    style: Annotated[str, typer.Argument(metavar="STYLE", help="face, cartoon, cat, dog, ...")],
    num: Annotated[int, typer.Option(metavar="N", help="Number of images.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to create.")],
    seed: Annotated[int, typer.Option(metavar="N", help="Equal seeds draw the same faces in every style.")] = 0,
    resolution: Annotated[int, typer.Option(metavar="N", help="Side in pixels, at least 32.")] = 64,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Number of processes. Default: one per core.")
    ] = None,
) -> None:
    """Draw synthetic faces of people or animals in a given style."""
    from cli.report import print_paths
    from experiments.synthetic.procedural import draw_dataset
    from flows.display import working
    from ui2i.processors import usable_cores

    with working(f"draw {style}") as progress:
        draw_dataset(style, num, seed, out, resolution, usable_cores() if workers is None else workers, progress)
    print_paths({"images": out.resolve()})
