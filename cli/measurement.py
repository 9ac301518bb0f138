"""`ui2i measure`, `evaluate`, `table`, `choose-swap` and `report`: what is measured on request, and how it is shown."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.epilog import examples

if TYPE_CHECKING:
    from experiments.paper.tables import PaperTable

measurement_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@measurement_app.command(
    epilog=examples(
        "ui2i measure face cartoon/FC-FT anime/FC-FT",
        "ui2i measure face cartoon/FC-FT-LS8 other.safetensors --latents 500 --values values.parquet",
    )
)
def measure(
    context: typer.Context,
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", help="As tables name them (face, cartoon/FC-FT-LS8), or .safetensors files."
        ),
    ],
    latents: Annotated[int | None, typer.Option(metavar="N", help="Default: distance.num_latents.")] = None,
    values: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Parquet file to make with the distance of every latent.")
    ] = None,
) -> None:
    """Measure the distance between any models, every pair.

    Rows are added to a table of their own. Stopped, the same command goes on.
    """
    from flows.display import working
    from cli.report import print_paths, print_table
    from tasks.requests.measure import measure as measure_models

    project = context.obj.project
    with working("measure") as progress:
        rows = measure_models(project, models, num_latents=latents, values_file=values, progress=progress)
    print_table(
        f"Model distance, trunk {rows[0]['trunk']}",
        ("source", "target", "mean", "standard error", "95 % interval"),
        [_distance_line(row) for row in rows],
    )
    print_paths({"table": project.measured_distances} | ({} if values is None else {"values": values.resolve()}))


@measurement_app.command(
    epilog=examples(
        "ui2i evaluate --outputs ~/cyclegan --inputs ~/selfies --target anime --name cyclegan",
        "ui2i evaluate --outputs ~/friends-anime --inputs ~/friends --target ~/anime",
    )
)
def evaluate(
    context: typer.Context,
    outputs: Annotated[Path, typer.Option(metavar="DIR", help="Any system's pictures; or what ui2i translate made.")],
    target: Annotated[str, typer.Option(metavar="NAME|DIR", help="What they should look like: a dataset or a folder.")],
    inputs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="What was translated, under the same names. Default: unknown.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Of the system, for its row of Table II.")] = None,
    domain: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of Table II. Default: the target's name.")
    ] = None,
) -> None:
    """Judge any folder of outputs and put it into Table II."""
    from flows.display import working
    from cli.report import print_paths
    from tasks.requests.evaluate_folder import judge_folder, keep_rows
    from tasks.project.params import load_params
    from experiments.paper.stages.table import build_table

    project = context.obj.project
    with working("evaluate") as progress:
        rows = judge_folder(project, outputs, target, name=name, inputs=inputs, domain=domain, progress=progress)
        keep_rows(project, rows)
    _print_paper_table(build_table(project, load_params(project), "2"))
    print_paths({"table": project.measured_evaluations(rows[0]["domain"])})


@measurement_app.command(epilog=examples("ui2i table 1", "ui2i table 2 --out docs/results"))
def table(
    context: typer.Context,
    number: Annotated[str, typer.Argument(metavar="1|2|3", help="1: model distance; 2: translation; 3: inversion.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for table<number>.md, .parquet and .csv. Default: none.")
    ] = None,
) -> None:
    """Print a table of the paper from what was measured in all domains, with the paper's own values beside it."""
    from cli.report import print_paths
    from tasks.project.params import load_params
    from experiments.paper.stages.table import build_table, write_paper_table

    project = context.obj.project
    built = build_table(project, load_params(project), number)
    _print_paper_table(built)
    if out is not None:
        path = out / f"table{number}.parquet"
        write_paper_table(path, built)
        print_paths({"table": path.with_suffix(".md").resolve()})


@measurement_app.command(
    epilog=examples("ui2i choose-swap cartoon", "ui2i choose-swap anime --num 2000 --mode weights --mode blend")
)
def choose_swap(
    context: typer.Context,
    domain: Annotated[str, typer.Argument(metavar="NAME", help="A domain that has been trained.")],
    num: Annotated[
        int | None, typer.Option(metavar="N", help="Outputs of each variant. Default: params.yaml's.")
    ] = None,
    mode: Annotated[
        list[str] | None, typer.Option(metavar="MODE", help="weights, features or blend. Default: all three.")
    ] = None,
) -> None:
    """Say how many layers to swap: fidelity against similarity over resolution and mode, and what to take."""
    from flows.display import working
    from cli.report import print_paths, print_table
    from experiments.paper.requests.choose_swap import MODES, choose

    project = context.obj.project
    with working(f"choose-swap {domain}") as progress:
        choice = choose(project, domain, num_images=num, modes=mode or MODES, progress=progress)
    print_table(f"{domain}: fidelity against similarity", choice.header, choice.text_rows())
    print(choice.reason)
    path = project.swap_choice(domain)
    print_paths({"table": path, "plot": path.with_suffix(".png"), "text": path.with_suffix(".md")})


@measurement_app.command(epilog=examples("ui2i report", "ui2i report --out ~/ui2i.html"))
def report(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Page to make. Default: data/tables/report.html.")
    ] = None,
) -> None:
    """Write everything that was measured into one page that needs no network."""
    from cli.report import print_paths
    from tasks.requests.report import write_report

    project = context.obj.project
    path = (out or project.data_dir / "tables" / "report.html").resolve()
    write_report(project, path)
    print_paths({"report": path})


def _print_paper_table(built: "PaperTable") -> None:
    from cli.report import print_table

    print_table(built.title, built.header, built.text_rows())
    for note in built.notes:
        print(note)


def _distance_line(row: dict[str, Any]) -> tuple[str, ...]:
    interval = f"{row['ci95_low']:.4f} to {row['ci95_high']:.4f}"
    return row["source"], row["target"], f"{row['mean']:.4f}", f"{row['sem']:.4f}", interval
