"""What commands print at the end: tables, and the paths of their results."""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flows.display import duration
from ui2i.names import printable

if TYPE_CHECKING:
    from flows.services.runs import Run
    from tasks.project.paths import Project
    from tasks.running.dvc_stage import StageOutcome

PIPE_WIDTH = 200  # characters; no terminal wraps there


def print_outcomes(outcomes: "Iterable[StageOutcome]") -> None:
    """Print how long each stage took."""
    results = {"ran": "done", "skipped": "up to date"}
    rows = [(outcome.stage, results[outcome.status], duration(outcome.seconds)) for outcome in outcomes]
    print_table("Stages", ("stage", "result", "time"), rows)


def print_results(project: "Project", domain: str) -> None:
    """Print a domain's distances and the paths of its results."""
    print_distances(project, domain)
    print_paths(
        {
            "distance table": project.distance_table(domain),
            "same latents, all models": project.shared_samples(domain),
            "contact sheet": project.translations(domain) / "contact_sheet.png",
            "checkpoints": project.checkpoint(domain),
            "variants": project.variants(domain),
        }
    )


def print_distances(project: "Project", domain: str) -> None:
    """Print a domain's most recently measured distances.

    Raises:
        DataError: the domain was not measured yet.
    """
    from flows.distances import COLUMNS, read_distances

    table = read_distances(project, domain)
    print_table(table.title, COLUMNS, table.rows)


def print_runs(runs: "Iterable[Run]") -> None:
    """Print which runs there are."""
    print_table("Running", ("run", "name", "since (UTC)"), [(run.id, run.name, run.started) for run in runs])


def print_paths(paths: dict[str, Path]) -> None:
    """Print labelled paths, relative to the current folder where they are below it."""
    width = max(map(len, paths))
    for label, path in paths.items():
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        print(f"{label:<{width}}  {printable(str(shown))}")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table. Values may come from a stranger's file, so control characters and markup in them are escaped."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    def text(value: str) -> Text:
        return Text(printable(value, keep="\n"))

    table = Table(*(printable(column) for column in columns), title=text(title), title_justify="left")
    table.title_style = "bold"
    for row in rows:
        table.add_row(*map(text, row))
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


def print_translation(translations: Path) -> None:
    """Print what a run of `translate` did, what came of its images, and what to do next."""
    from tasks.requests.translation_summary import read_summary

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    wrapper = textwrap.TextWrapper(width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    for line in read_summary(translations).lines():
        print(wrapper.fill(printable(line)))
