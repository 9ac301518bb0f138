"""Experiments add to the product what it does not know of: sections of `params.yaml`, commands, parts of the report.

An experiment registers itself in the entry points of its distribution:

    [project.entry-points."ui2i.experiments"]
    paper = "experiments.paper.experiment:EXPERIMENT"
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from markupsafe import Markup

ENTRY_POINTS = "ui2i.experiments"


class Sections(Protocol):
    """The sections of an experiment: a dataclass of `ui2i.settings` with a field for each.

    One that has a default may be left out of `params.yaml`; `dvc.yaml` says so too, in `vars`.
    """

    def check(self, params: Any) -> None:
        """Raise ConfigError if the sections do not fit the other ones, `params` (`tasks.project.params.Params`)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """What one experiment adds. Its functions import what they need when they are called."""

    name: str
    add_commands: Callable[[Any], None] | None = None  # gets the Typer app of `ui2i`; imports nothing heavy
    sections: Callable[[], type[Sections]] | None = None  # an instance is in `Params.experiments`, by `name`
    # Further sections of the HTML report of a Project with Params, as title and pieces of HTML.
    report_sections: "Callable[[Any, Any], Iterator[tuple[str, list[Markup]]]] | None" = None


@functools.cache
def installed_experiments() -> tuple[Experiment, ...]:
    """Return all experiments that are installed, by name."""
    return tuple(entry.load() for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name))
