"""`ui2i table`, `choose-swap`, `compare-inversions` and `style-layers`: the paper's measurements on request."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.epilog import examples
from cli.translation import METHODS
from experiments.paper import paper_paths

if TYPE_CHECKING:
    from experiments.paper.tables import PaperTable


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(epilog=examples("ui2i table 1", "ui2i table 2 --out docs/results"))(table)
    app.command(
        epilog=examples("ui2i choose-swap cartoon", "ui2i choose-swap anime --num 2000 --mode weights --mode blend")
    )(choose_swap)
    app.command(
        epilog=examples(
            "ui2i compare-inversions face --num 32 --steps 1000",
            "ui2i compare-inversions face --num 8 --steps 200 --method w --method closed_form",
        )
    )(compare_inversions)
    app.command(epilog=examples("ui2i style-layers cartoon --num 16 --styles 4"))(style_layers)


def table(
    context: typer.Context,
    number: Annotated[str, typer.Argument(metavar="1|2|3", help="1: model distance; 2: translation; 3: inversion.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to write table<number>.md, .parquet and .csv to. Default: none."),
    ] = None,
) -> None:
    """Print a table of the paper, measured over all domains, next to the paper's own values."""
    from cli.report import print_paths
    from experiments.paper.stages.table import build_table, write_paper_table
    from tasks.project.params import load_params

    project = context.obj.project
    built = build_table(project, load_params(project), number)
    _print_paper_table(built)
    if out is not None:
        path = out / f"table{number}.parquet"
        write_paper_table(path, built)
        print_paths({"table": path.with_suffix(".md").resolve()})


def choose_swap(
    context: typer.Context,
    domain: Annotated[str, typer.Argument(metavar="NAME", help="A domain that has been trained.")],
    num: Annotated[
        int | None, typer.Option(metavar="N", help="Number of outputs per variant. Default: from params.yaml.", min=4)
    ] = None,
    mode: Annotated[
        list[str] | None,
        typer.Option(metavar="MODE", help="How to swap: weights, features or blend; repeatable. Default: all."),
    ] = None,
) -> None:
    """Recommend how many layers to swap.

    Measures fidelity against similarity to the input over resolutions and modes.
    """
    from cli.report import print_paths, print_table
    from experiments.paper.requests.choose_swap import MODES, choose
    from flows.display import working

    project = context.obj.project
    with working(f"choose-swap {domain}") as progress:
        choice = choose(project, domain, num_images=num, modes=mode or MODES, progress=progress)
    print_table(f"{domain}: fidelity against similarity", choice.header, choice.text_rows())
    print(choice.reason)
    path = project.swap_choice(domain)
    print_paths({"table": path, "plot": path.with_suffix(".png"), "text": path.with_suffix(".md")})


def compare_inversions(
    context: typer.Context,
    base: Annotated[str, typer.Argument(metavar="BASE", help="Base model to invert with.")],
    num: Annotated[
        int, typer.Option(metavar="N", help="Number of images of each kind, generated and real.", min=2)
    ] = 16,
    steps: Annotated[
        int | None, typer.Option(metavar="N", help="Steps of each search. Default: from params.yaml.", min=1)
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(metavar="METHOD", help=f"{METHODS}; repeatable. Default: all.")
    ] = None,
    encoder_steps: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Steps of the search in w that starts from the encoder's latent code."),
    ] = 150,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the generated images and of the search's noise.")] = 0,
) -> None:
    """Invert the same images with every method, and measure quality and speed (Table III of the paper)."""
    from cli.report import print_paths, print_table
    from experiments.paper.stages.compare_inversions import compare
    from flows.display import working

    project = context.obj.project
    with working(f"compare-inversions {base}") as progress:
        rows = compare(
            project,
            base,
            num_images=num,
            num_steps=steps,
            methods=method or (),
            encoder_steps=encoder_steps,
            seed=seed,
            progress=progress,
        )
    header = ("images", "method", "start", "steps", "SSIM", "distance", "L2", "s an image")
    title = f"Inversion with {base}, {num} images each, perceptual backbone {rows[0]['backbone']}"
    print_table(title, header, [_inversion_line(row) for row in rows])
    print_paths(
        {"table": paper_paths.inversion_table(project, base), "images": paper_paths.inverted_table(project, base)}
    )


def style_layers(
    context: typer.Context,
    domain: Annotated[str, typer.Argument(metavar="NAME", help="A domain that has been trained.")],
    num: Annotated[int, typer.Option(metavar="N", help="Number of images to translate.", min=2)] = 16,
    styles: Annotated[int, typer.Option(metavar="N", help="Number of sampled appearances per image.", min=2)] = 4,
    variant: Annotated[
        list[str] | None, typer.Option(metavar="VARIANT", help="FC-FT, FC-FT-LS8, ... Default: the first mode's.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the appearances.")] = 0,
) -> None:
    """Measure diversity and similarity to the input for every number of style layers."""
    from cli.report import print_paths, print_table
    from experiments.paper.requests.style_layers import measure
    from flows.display import working

    project = context.obj.project
    with working(f"style-layers {domain}") as progress:
        rows = measure(
            project, domain, num_images=num, num_styles=styles, variants=variant or (), seed=seed, progress=progress
        )
    lines = [
        (row["variant"], str(row["num_style_layers"]), *(_with_interval(row, name) for name in ("lpips_d", "lpips_s")))
        for row in rows
    ]
    title = f"{domain}: appearance, perceptual backbone {rows[0]['backbone']}"
    print_table(title, ("variant", "style layers", "LPIPS_d", "LPIPS_s"), lines)
    path = paper_paths.style_layers_table(project, domain)
    print_paths({"table": path, "plot": path.with_suffix(".png")})


def _inversion_line(row: dict[str, Any]) -> Sequence[str]:
    measures = (_with_interval(row, name) for name in ("ssim", "lpips", "l2"))
    return row["kind"], row["method"], row["start"], str(row["steps"]), *measures, f"{row['seconds_per_image']:.2f}"


def _with_interval(row: dict[str, Any], name: str) -> str:
    """Return a mean and half of its 95 % interval."""
    return f"{row[name]:.3f} ± {(row[f'{name}_ci95_high'] - row[f'{name}_ci95_low']) / 2:.3f}"


def _print_paper_table(built: "PaperTable") -> None:
    from cli.layout import column_widths, terminal_width, wrapped
    from cli.report import print_table

    def fits(part: "PaperTable") -> bool:
        return column_widths(part.header, part.text_rows(), terminal_width()) is not None

    for part in built.in_parts(fits):  # a block for each row would hide the order down a column
        print_table(part.title, part.header, part.text_rows())
    for note in built.notes:
        print(wrapped(note))
