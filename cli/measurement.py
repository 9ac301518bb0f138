"""`ui2i measure`, `evaluate` and `report`: measurements on request, and the report."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.epilog import examples

_EVALUATION_HEADER = ("system", "inputs", "outputs", "Frechet distance", "FID", "LPIPS_d", "LPIPS_s")

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
            metavar="MODEL", help="Model names as in the tables (face, cartoon/FC-FT-LS8), or .safetensors files."
        ),
    ],
    latents: Annotated[
        int | None, typer.Option(metavar="N", help="Number of latents. Default: distance.num_latents.")
    ] = None,
    values: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Parquet file to write the distance of every latent to.")
    ] = None,
) -> None:
    """Measure the distance between every pair of the given models.

    Rows are appended to a separate table. If interrupted, rerun the command to resume.
    """
    from cli.report import print_paths, print_table
    from flows.display import working
    from tasks.requests.measure import measure as measure_models

    project = context.obj.project
    with working("measure") as progress:
        rows = measure_models(project, models, num_latents=latents, values_file=values, progress=progress)
    print_table(
        f"Model distance, backbone {rows[0]['backbone']}",
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
    outputs: Annotated[
        Path, typer.Option(metavar="DIR", help="Any system's output images, or a folder that `ui2i translate` wrote.")
    ],
    target: Annotated[
        str, typer.Option(metavar="NAME|DIR", help="Target domain: a prepared dataset or a folder of images.")
    ],
    inputs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Input images, under the outputs' names. Default: unknown.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The system's name, for its row in Table II.")
    ] = None,
    domain: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its column in Table II. Default: the target's name.")
    ] = None,
    framing: Annotated[
        str | None, typer.Option(metavar="FRAMING", help="center, fit or face. Default: that of the base's images.")
    ] = None,
) -> None:
    """Evaluate any folder of output images and add the result to Table II."""
    from cli.report import print_paths, print_table
    from flows.display import working
    from tasks.requests.evaluate_folder import evaluate_folder, keep_rows

    project = context.obj.project
    with working("evaluate") as progress:
        rows = evaluate_folder(
            project, outputs, target, name=name, inputs=inputs, domain=domain, framing=framing, progress=progress
        )
        keep_rows(project, rows)
    title = f"Outputs against {target}, perceptual backbone {rows[0]['backbone']}"
    title += f", Frechet distance on {rows[0].get('fd_network') or 'its features'}"
    print_table(title, _EVALUATION_HEADER, [_evaluation_line(row) for row in rows])
    print_paths({"table": project.measured_evaluations(rows[0]["domain"])})


@measurement_app.command(epilog=examples("ui2i report", "ui2i report --out ~/ui2i.html"))
def report(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="HTML file to write. Default: data/tables/report.html.")
    ] = None,
) -> None:
    """Write all measurements to one self-contained HTML page."""
    from cli.report import print_paths
    from tasks.requests.report import write_report

    project = context.obj.project
    path = (out or project.report).resolve()
    write_report(project, path)
    print_paths({"report": path})


def _distance_line(row: dict[str, Any]) -> tuple[str, ...]:
    interval = f"{row['ci95_low']:.4f} to {row['ci95_high']:.4f}"
    return row["source"], row["target"], f"{row['mean']:.4f}", f"{row['sem']:.4f}", interval


def _evaluation_line(row: dict[str, Any]) -> tuple[str, ...]:
    frechet = f"{row['fd']:.4f}" + ("" if row.get("fd_sem") is None else f" ± {row['fd_sem']:.4f}")
    values = (row.get("fid"), row["lpips_d"], row.get("lpips_s"))
    texts = ("" if value is None else f"{value:.4f}" for value in values)
    return row["system"], row["inputs"], f"{row['num_outputs']:,}", frechet, *texts
