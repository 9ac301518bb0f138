"""`ui2i init` and `ui2i --version`: what somebody needs who has installed the package and nothing else."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from cli.epilog import examples
from ui2i.names import printable


def register(app: typer.Typer) -> None:
    """Add the command to the `ui2i` command."""
    app.command(epilog=examples("ui2i init faces --example", "ui2i init"))(init)


def init(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="New or empty folder. Default: the current one.")
    ] = None,
    example: Annotated[
        bool, typer.Option("--example", help="Include the demo's domains: avatars, and faces to cartoons.")
    ] = False,
) -> None:
    """Make a project: settings, stages, deployments, base models and a README."""
    from cli.report import print_wrapped
    from tasks.project.params import load_params
    from tasks.requests.new_project import create_project
    from ui2i.provenance import installed_package

    project = create_project(folder or context.obj.project_dir or Path(), example=example)
    params = load_params(project)
    shown = project.root.relative_to(Path.cwd()) if project.root.is_relative_to(Path.cwd()) else project.root
    lines = {
        "project": f"{printable(str(project.root))}, described in its README.md",
        "bases": ", ".join(params.imported),
        "domains": ", ".join(params.domains) or "none yet",
    }
    if not any((parent / ".git").exists() for parent in (project.root, *project.root.parents)):
        lines["git"] = "none here, so DVC works without it; run `git init` if you want a history of your settings"
    if (package := installed_package()) is not None:
        lines["code"] = f"an installed package: tables and model cards record {package} in place of a commit"
    lines["next"] = ("" if shown == Path() else f"cd {printable(shlex.quote(str(shown)))} && ") + "ui2i demo"
    for label, text in lines.items():
        print_wrapped(f"{label:<7}  {text}", indent=9)


def print_version(is_asked: bool) -> None:
    """Print the version, and what tables and model cards record of the code; then end the program."""
    from ui2i import __version__
    from ui2i.provenance import code_commit, installed_package

    if is_asked:
        kind = "installed package" if installed_package() else "commit"
        print(f"ui2i {__version__} ({kind} {code_commit()})")
        raise typer.Exit
