"""The page itself: sections one after the other, with the styles and the script that its template has.

Nothing is fetched: styles, script and images are part of the file, and the page's own policy forbids anything else.
Text is escaped by the templates.
"""

import dataclasses
import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclasses.dataclass(frozen=True)
class Section:
    """One part of the page."""

    title: str
    parts: tuple[Markup, ...]  # made by `ui2i.report.parts` and `ui2i.report.chart`

    @property
    def anchor(self) -> str:
        """What a link to it ends in."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


TITLE_PREFIX = "ui2i: "
"""How the title of every page begins."""
_HEAD_BYTES = 4096


def is_report(path: Path) -> bool:
    """Return whether a file is a page that `render` made."""
    with path.open("rb") as file:
        return f"<title>{TITLE_PREFIX}".encode() in file.read(_HEAD_BYTES)


def render(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """Return the whole page; titles are plain text."""
    return (
        _templates().get_template("page.html").render(title=TITLE_PREFIX + title, subtitle=subtitle, sections=sections)
    )


def render_part(name: str, *values: Any) -> Markup:
    """Return what a macro of `parts.html` makes of some values."""
    return Markup(getattr(_templates().get_template("parts.html").module, name)(*values))


@functools.cache
def _templates() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("ui2i.report")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
