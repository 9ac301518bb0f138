"""`ui2i reproduce`: the whole paper on synthetic domains, with a summary page at the end."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.epilog import examples
from cli.terminal import session

if TYPE_CHECKING:
    from tasks.project.params import Params
    from tasks.project.paths import Project


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(
        epilog=examples(
            "ui2i reproduce --quick",
            "ui2i reproduce --backbone ~/squeezenet1_1.pth",
            "ui2i reproduce --quick --only distance --only table@1",
        )
    )(reproduce)


def reproduce(
    context: typer.Context,
    quick: Annotated[bool, typer.Option("--quick", help="A smaller version: fewer images, shorter trainings.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder to work in. Default: reproduction or reproduction-quick, in the clone or else here.",
        ),
    ] = None,
    backbone: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Weights of another perceptual backbone (squeeze, alex or vgg). Default: st-alex."
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="STAGE", help="Stage, or kind of stage, to run; repeatable. Default: all."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the stages and how long each should take.")] = False,
) -> None:
    """Reproduce the paper's tables and figures on synthetic domains.

    Ends with a page that compares our values with the paper's and says which claims hold. If interrupted, rerun the
    command to resume.
    """
    from cli.report import print_outcomes, print_paths
    from experiments.paper.reproduction.page import PAGE_FILE
    from experiments.paper.reproduction.project import REPORT_FOLDER, planned, prepare, reproduction_stages
    from tasks.project.params import load_params
    from tasks.running.dvc_stage import StageFailed

    if dry_run:
        project, params = planned(out, quick=quick)
        _print_plan(project, params, reproduction_stages(params, only or ()))
        return
    prepared = prepare(out, quick=quick, backbone=backbone)
    project = prepared.project
    for note in prepared.notes:
        print(f"note: {note}")
    reproduction_stages(load_params(project), only or ())  # before a server is started
    with session(context.obj, project):
        from experiments.paper import flow as reproduction

        try:
            outcomes = reproduction.reproduce(str(project.root), only)
        except StageFailed as error:
            print(f"stopped in {error.stage}; fix it and rerun the command to resume there", file=sys.stderr)
            raise
    print_outcomes(outcomes)
    _print_claims(project)
    print_paths({"page": project.root / REPORT_FOLDER / PAGE_FILE})


def _print_plan(project: "Project", params: "Params", stages: list[str]) -> None:
    """Print the stages, how long each should take on two cores, and how long it took if it has run."""
    from cli.report import print_table
    from experiments.paper.reproduction.plan import estimate_seconds
    from flows.display import duration
    from tasks.running.costs import read_cost

    rows, total = [], 0.0
    for stage, estimate in estimate_seconds(params, stages).items():
        cost = read_cost(project.cost_file(stage))
        has_run = cost is not None and cost.is_complete
        total += 0 if has_run else estimate
        rows.append((stage, duration(estimate), duration(cost.seconds) if has_run and cost else ""))
    print_table(f"{len(stages)} stages", ("stage", "estimate, two cores", "took"), rows)
    print(f"about {duration(total)} for what has not run yet, on two quiet cores")


def _print_claims(project: "Project") -> None:
    from cli.report import print_table
    from experiments.paper.reproduction.page import read_claims

    rows = [(claim["source"], claim["claim"], claim["verdict"]) for claim in read_claims(project)]
    print_table("What the paper says", ("where", "claim", "here"), rows)
