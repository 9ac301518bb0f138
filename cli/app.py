"""The `ui2i` command. Heavy imports wait until a command needs them, so that help appears at once."""

import dataclasses
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.checkpoints import base_app, checkpoint_app
from cli.data import data_app
from cli.distillation import register as register_distillation
from cli.epilog import examples as _examples
from cli.generation import register as register_generation
from cli.help import WholeSummaries
from cli.init import print_version
from cli.init import register as register_init
from cli.measurement import measurement_app
from cli.operations import register as register_operations
from cli.tables import tables_app
from cli.terminal import session as _session
from cli.translation import register as register_translation
from cli.web import register as register_web
from tasks.project.experiment import installed_experiments
from tasks.running.command_line import USER_ERROR, print_error
from tasks.running.stop_signals import raise_on
from tasks.running.warning_lines import warnings_as_lines
from ui2i.errors import DataError, UI2IError
from ui2i.names import printable

if TYPE_CHECKING:
    from tasks.project.paths import Project

CRASH = 1  # exit status

app = typer.Typer(
    name="ui2i",
    help="Unpaired image-to-image translation with StyleGAN2 generators fine-tuned to each domain.",
    cls=WholeSummaries,
    no_args_is_help=True,
    rich_markup_mode=None,  # rich would take as long as all else together
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data_app, name="data")
app.add_typer(checkpoint_app, name="checkpoint")
app.add_typer(base_app, name="base")
app.add_typer(measurement_app)
app.add_typer(tables_app, name="tables")
register_init(app)
register_operations(app)
register_translation(app)
register_generation(app)
register_distillation(app)
register_web(app)
for _experiment in installed_experiments():
    if _experiment.add_commands is not None:
        _experiment.add_commands(app)


@dataclasses.dataclass(frozen=True)
class Options:
    """Options given before the subcommand."""

    project_dir: Path | None
    verbose: bool

    @property
    def project(self) -> "Project":
        """The project the command works on."""
        from tasks.project.paths import find_project

        return find_project(self.project_dir)


def main() -> None:
    """Run the command line and exit."""
    # A closed terminal or a service manager ends stages as Ctrl-C does.
    raise_on((signal.SIGTERM, signal.SIGHUP), lambda _: KeyboardInterrupt())
    sys.exit(run())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status.

    The status is 2, after a one-line message, for what the user or the machine's owner can fix; 1 if a stage crashed;
    130 after Ctrl-C. Other errors propagate. With --verbose, an error of the operating system includes its traceback.

    Args:
        arguments: None: those of the process.
    """
    try:
        with warnings_as_lines():
            app(args=arguments, prog_name="ui2i")
    except SystemExit as end:
        return int(end.code or 0)
    except UI2IError as error:
        return _report_error(error)
    except OSError as error:
        if "--verbose" in (sys.argv if arguments is None else arguments):
            traceback.print_exc()
        print_error(error)
        return USER_ERROR
    return 0


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


@app.callback(epilog=_examples("ui2i demo", "ui2i new-domain cat --images ~/cats --base face", "ui2i distances cat"))
def _options(
    context: typer.Context,
    project: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder with params.yaml. Default: this folder or the nearest parent."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the stages' output and Prefect's log.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    del version  # its callback has printed it
    context.obj = Options(project, verbose)


@app.command(epilog=_examples("ui2i pretrain selfie --images ~/selfies.zip --kimg 400"))
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

    project = context.obj.project
    settings: dict[str, Any] = {"overrides": _overrides(kimg), "framing": framing, "follow_links": follow_links}
    if dry_run:
        print(plan_base(project, name, images, **settings))
        return
    _tell(add_base(project, name, images, replace=replace, **settings))
    with _session(context.obj, project):
        from flows import pipeline

        outcomes = pipeline.pretrain(name, project=str(project.root))
    print_outcomes(outcomes)
    print_paths({"checkpoint": project.checkpoint(name)})


@app.command(
    epilog=_examples(
        "ui2i new-domain anime --images ~/anime.zip --base selfie",
        "ui2i new-domain anime --images ~/anime --base selfie --mode FC-FT --mode FT --kimg 24",
        "ui2i new-domain anime --images ~/anime --base selfie --framing face --dry-run",
    )
)
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
    """Train a translator for your own images.

    Fine-tunes a base on them, swaps layers, measures model distances and translates test images.
    """
    from cli.report import print_outcomes, print_results
    from flows.registration import DEFAULT_MODES, add_domain, plan_domain

    project = context.obj.project
    settings: dict[str, Any] = {"modes": mode or DEFAULT_MODES, "overrides": _overrides(kimg)}
    settings |= {"framing": framing, "follow_links": follow_links}
    if dry_run:
        print(plan_domain(project, name, base, images, **settings))
        return
    _tell(add_domain(project, name, base, images, replace=replace, **settings))
    with _session(context.obj, project):
        from flows import pipeline

        outcomes = pipeline.new_domain(name, project=str(project.root))
    print_outcomes(outcomes)
    print_results(project, name)


@app.command(epilog=_examples("ui2i re-evaluate", "ui2i re-evaluate cartoon anime"))
def re_evaluate(context: typer.Context, names: _Names = None) -> None:
    """Measure model distances and translate test images again.

    New rows are appended to the tables.
    """
    from cli.report import print_outcomes, print_results

    project = context.obj.project
    domains = _domains(project, names)
    with _session(context.obj, project):
        from flows import pipeline

        outcomes = pipeline.re_evaluate(domains, project=str(project.root))
    print_outcomes(outcomes)
    for domain in domains:
        print_results(project, domain)


@app.command(epilog=_examples("ui2i distances", "ui2i distances cartoon"))
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


@app.command(
    epilog=_examples("ui2i demo", "ui2i demo --all", "make demo      the first domain, in a fresh environment")
)
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
    with _session(context.obj, project):
        from flows.demo import demo as demo_flow

        outcomes = demo_flow(domains, project=str(project.root))
    print_outcomes(outcomes)
    for domain in domains:
        print_results(project, domain)


@app.command(epilog=_examples("ui2i mark-crashed", "ui2i mark-crashed 06a0d1f2-7c0e-7a3b-8000-3f5b0c1d2e4f"))
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

    with _session(context.obj, context.obj.project):
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
    return list(names or domains)


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


def _report_error(error: UI2IError) -> int:
    """Print an error in one line, after the last output of a crashed stage, and return the exit status."""
    from tasks.running.dvc_stage import StageFailed

    if isinstance(error, StageFailed) and not error.is_user_error:
        print(*(printable(line, keep="\t") for line in error.lines), sep="\n", file=sys.stderr)
        print_error(UI2IError(str(error).partition("\n")[0]))
        return CRASH
    print_error(error)
    return USER_ERROR


if __name__ == "__main__":
    main()
