"""The commands that run the pipeline, and those that show what it left."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.epilog import examples
from cli.terminal import session
from ui2i.errors import DataError

if TYPE_CHECKING:
    from tasks.project.paths import Project

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and dashes.")]
_Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Domains. Default: all.")]
_Images = Annotated[
    Path,
    typer.Option(metavar="PATH", help="Folder, .zip, .tar, .parquet or list (.txt) of images; copied to data/raw."),
]
_Kimg = Annotated[
    float | None, typer.Option(metavar="N", help="Training length in thousands of images. Default: from params.yaml.")
]
_FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Also copy files outside PATH that a link or list points to.")
]
_Framing = Annotated[str | None, typer.Option(metavar="FRAMING", help="center, fit or face. Default: ingest.framing.")]
_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the images, steps, parameters, time and memory; change nothing.")
]
_Replace = Annotated[bool, typer.Option("--replace", help="Replace existing images and settings of this name.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(epilog=examples("ui2i pretrain selfie --images ~/selfies.zip --kimg 400"))(pretrain)
    app.command(
        epilog=examples(
            "ui2i new-domain anime --images ~/anime.zip --base selfie",
            "ui2i new-domain anime --images ~/anime --base selfie --mode FC-FT --mode FT --kimg 24",
            "ui2i new-domain anime --images ~/anime --base selfie --framing face --dry-run",
        )
    )(new_domain)
    app.command(epilog=examples("ui2i re-evaluate", "ui2i re-evaluate cartoon anime"))(re_evaluate)
    app.command(epilog=examples("ui2i distances", "ui2i distances cartoon"))(distances)
    app.command(
        epilog=examples("ui2i demo", "ui2i demo --all", "make demo      the first domain, in a fresh environment")
    )(demo)
    app.command(epilog=examples("ui2i mark-crashed", "ui2i mark-crashed 06a0d1f2-7c0e-7a3b-8000-3f5b0c1d2e4f"))(
        mark_crashed
    )


def pretrain(
    context: typer.Context,
    name: _Name,
    images: _Images,
    kimg: _Kimg = None,
    framing: _Framing = None,
    replace: _Replace = False,
    follow_links: _FollowLinks = False,
    dry_run: _DryRun = False,
) -> None:
    """Train a base model from scratch on your images."""
    from cli.report import print_outcomes, print_paths
    from flows.registration import add_base, plan_base
    from tasks.running.locks import hold_model

    project = context.obj.project
    settings: dict[str, Any] = {"overrides": _overrides(kimg), "framing": framing}
    settings |= {"replace": replace, "follow_links": follow_links}
    if dry_run:
        print(plan_base(project, name, images, **settings))
        return
    with hold_model(project, name):
        _tell(add_base(project, name, images, **settings))
    with session(context.obj, project):
        from flows import pipeline

        outcomes = pipeline.pretrain(name, project=str(project.root))
    print_outcomes(outcomes)
    print_paths({"checkpoint": project.checkpoint(name)})


def new_domain(
    context: typer.Context,
    name: _Name,
    images: _Images,
    base: Annotated[
        str, typer.Option(metavar="BASE", help="Model to fine-tune, from bases or imported in params.yaml.")
    ],
    mode: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODE",
            help="FC-FT, FT, FreezeD, FreezeG or scratch; repeatable. Variants are made from the first.",
        ),
    ] = None,
    kimg: _Kimg = None,
    framing: _Framing = None,
    replace: _Replace = False,
    follow_links: _FollowLinks = False,
    dry_run: _DryRun = False,
) -> None:
    """Train a domain from your own images.

    Fine-tunes a base on them, swaps layers, measures model distances and translates test images.
    """
    from cli.report import print_outcomes, print_results
    from flows.registration import DEFAULT_MODES, add_domain, plan_domain
    from tasks.running.locks import hold_model

    project = context.obj.project
    settings: dict[str, Any] = {"modes": mode or DEFAULT_MODES, "overrides": _overrides(kimg)}
    settings |= {"framing": framing, "replace": replace, "follow_links": follow_links}
    if dry_run:
        print(plan_domain(project, name, base, images, **settings))
        return
    with hold_model(project, name):
        _tell(add_domain(project, name, base, images, **settings))
    with session(context.obj, project):
        from flows import pipeline

        outcomes = pipeline.new_domain(name, project=str(project.root))
    print_outcomes(outcomes)
    print_results(project, name)


def re_evaluate(context: typer.Context, names: _Names = None) -> None:
    """Measure model distances and translate test images again.

    New rows are appended to the tables.
    """
    from cli.report import print_outcomes, print_results

    project = context.obj.project
    domains = _domains(project, names)
    with session(context.obj, project):
        from flows import pipeline

        outcomes = pipeline.re_evaluate(domains, project=str(project.root))
    print_outcomes(outcomes)
    for domain in domains:
        print_results(project, domain)


def distances(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Domain. Default: every measured one.")] = None,
) -> None:
    """Print the most recently measured model distances."""
    from cli.report import print_distances

    project = context.obj.project
    if name is not None:
        print_distances(project, *_domains(project, [name]))
        return
    measured = [domain for domain in _domains(project, None) if project.distance_table(domain).exists()]
    if not measured:
        raise DataError("no domain has been measured, expected at least one; run `ui2i demo` or `ui2i new-domain`")
    for domain in measured:
        print_distances(project, domain)


def demo(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Run every domain in params.yaml, side by side.")] = False,
) -> None:
    """Run the first domain in params.yaml, from images to translations, and show the results.

    A project without domains gets that of the example first.
    """
    from cli.expectation import expected_duration
    from cli.report import print_outcomes, print_results

    project = context.obj.project
    domains = _domains(project, None)[: None if every else 1] or _add_example(project, every=every)
    print(expected_duration(len(domains)), flush=True)
    with session(context.obj, project):
        from flows.demo import demo as demo_flow

        outcomes = demo_flow(domains, project=str(project.root))
    print_outcomes(outcomes)
    for domain in domains:
        print_results(project, domain)


def mark_crashed(
    context: typer.Context,
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="Run ids. Default: only list the runs marked Running."),
    ] = None,
) -> None:
    """Mark runs whose process has died as crashed.

    After kill -9 or a power failure, Prefect keeps showing such runs as Running.
    """
    from cli.report import print_runs

    with session(context.obj, context.obj.project):
        from flows.services.runs import mark_crashed, running_runs

        if runs:
            mark_crashed(runs)
        still_running = running_runs()
    print_runs(still_running)


def _domains(project: "Project", names: list[str] | None) -> list[str]:
    """Return the domains named, or all; unknown ones raise ConfigError."""
    from tasks.project.params import find_entry, load_params

    domains = load_params(project).domains
    for name in names or ():
        find_entry(domains, name, "domains")
    return list(dict.fromkeys(names or domains))


def _add_example(project: "Project", *, every: bool) -> list[str]:
    from tasks.requests.new_project import add_example

    names = add_example(project, every=every)
    print(f"params.yaml had no domain; added the example's: {', '.join(names)}")
    return names


def _tell(left_out: str | None) -> None:
    """Print which images were not copied."""
    if left_out is not None:
        print(f"images: {left_out}", file=sys.stderr)


def _overrides(kimg: float | None) -> dict[str, float] | None:
    return None if kimg is None else {"total_kimg": kimg}
