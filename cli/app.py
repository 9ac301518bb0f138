"""The `ui2i` command. Heavy imports wait until a command needs them, so that help appears at once."""

import dataclasses
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.checkpoints import base_app, checkpoint_app
from cli.data import data_app
from cli.distillation import register as register_distillation
from cli.epilog import examples
from cli.generation import register as register_generation
from cli.help import WholeSummaries
from cli.init import print_version
from cli.init import register as register_init
from cli.measurement import measurement_app
from cli.operations import register as register_operations
from cli.pipeline import register as register_pipeline
from cli.tables import tables_app
from cli.translation import register as register_translation
from cli.web import register as register_web
from tasks.project.experiment import installed_experiments
from tasks.running.command_line import COMMAND_REMEDY, USER_ERROR, memory_error, print_error
from tasks.running.standard_streams import open_closed_streams
from tasks.running.stop_signals import raise_on
from tasks.running.warning_lines import warnings_as_lines
from ui2i.errors import UI2IError
from ui2i.files import expanded
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
register_pipeline(app)


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
    open_closed_streams()
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
    words = sys.argv[1:] if arguments is None else arguments
    try:
        with warnings_as_lines():
            app(args=[_at_home(word) for word in words], prog_name="ui2i")
    except SystemExit as end:
        return int(end.code or 0)
    except UI2IError as error:
        return _report_error(error)
    except OSError as error:
        if "--verbose" in words:
            traceback.print_exc()
        print_error(error)
        return USER_ERROR
    except (MemoryError, RuntimeError) as error:
        if (told := memory_error(error, COMMAND_REMEDY)) is None:
            raise
        print_error(told)
        return USER_ERROR
    return 0


def _at_home(word: str) -> str:
    """Return `~/path` or `--option=~/path` with the home in place of ~.

    Shells expand it at the beginning of a word that is not quoted, and what starts a command without one does not.
    """
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return f"{option}{equals}{expanded(value)}" if value.startswith("~") else word


@app.callback(epilog=examples("ui2i demo", "ui2i new-domain cat --images ~/cats --base face", "ui2i distances cat"))
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
