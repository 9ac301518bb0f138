"""Experiments add to the product what it does not know of: sections of `params.yaml`, commands, parts of the report.

An experiment registers itself in the entry points of its distribution:

    [project.entry-points."ui2i.experiments"]
    paper = "experiments.paper.experiment:EXPERIMENT"
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.project.params import Params
    from tasks.project.paths import Project

ENTRY_POINTS = "ui2i.experiments"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """What one experiment adds."""

    name: str
    add_commands: Callable[[Any], None] | None = None  # gets the Typer app of `ui2i`; imports nothing heavy
    # Further sections of the HTML report, as title and pieces of HTML.
    report_sections: "Callable[[Project, Params], Iterator[tuple[str, list[str]]]] | None" = None


@functools.cache
def installed_experiments() -> tuple[Experiment, ...]:
    """Return all experiments that are installed, by name."""
    return tuple(entry.load() for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name))
