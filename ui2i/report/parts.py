"""Pieces of the page: tables, heat maps, images."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from ui2i.data_uris import data_uri, image_uri
from ui2i.report.page import render_part

SHORT = 20  # characters; shorter cells, such as a time or a model's name, stay in one line


@dataclasses.dataclass(frozen=True)
class Link:
    """A cell of a table that leads somewhere."""

    text: str
    url: str  # http, or within the page's own site


def paragraph(text: str) -> Markup:
    """Return a paragraph of plain text."""
    return render_part("paragraph", text)


def table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str | Link]], *, reference_columns: Sequence[int] = ()
) -> Markup:
    """Return a table whose columns sort by a click on their heading.

    Args:
        rows: plain text; a cell that begins with a number sorts by it.
        reference_columns: places of columns that are somebody else's values, set apart by their look.
    """
    cells = [[_cell(text, place in reference_columns) for place, text in enumerate(row)] for row in rows]
    return render_part("table", title, header, cells, reference_columns)


def heat_map(title: str, names: Sequence[str], values: Mapping[tuple[str, str], float]) -> Markup:
    """Return a square of numbers, the darker the larger; both (a, b) and (b, a) may hold a pair's value."""
    largest = max(values.values(), default=0.0) or 1.0
    rows = [
        (row, [_heat(values.get((row, name), values.get((name, row))), largest) for name in names]) for row in names
    ]
    return render_part("heat_map", title, names, rows)


def image(path: Path, caption: str) -> Markup:
    """Return an image as part of the page, made smaller where it is very large; a click enlarges it."""
    return render_part("figure", "", image_uri(path), caption)


def gallery(title: str, cards: Sequence[tuple[str, Sequence[tuple[str, str]]]], *, is_open: bool = True) -> Markup:
    """Return cards of small images side by side, as many a row as fit.

    Args:
        cards: caption, and label and URI (`ui2i.data_uris`) of each image.
        is_open: False: a click on the title shows them.
    """
    return render_part("gallery", title, cards, is_open)


def figure(title: str, data: bytes, kind: str, caption: str) -> Markup:
    """Return an encoded image (`kind` is png, jpeg or svg+xml) as part of the page."""
    return render_part("figure", title, data_uri(data, kind), caption)


def _cell(content: str | Link, is_reference: bool) -> dict[str, str]:
    text, url = (content.text, content.url) if isinstance(content, Link) else (content, "")
    number = re.match(r"-?[\d,]*\.?\d+(e-?\d+)?(?=$|\s)", text)
    looks = (("number", number), ("short", len(text) <= SHORT), ("reference", is_reference))
    kinds = [kind for kind, applies in looks if applies]
    return {"text": text, "url": url, "value": number[0].replace(",", "") if number else text, "kinds": " ".join(kinds)}


def _heat(value: float | None, largest: float) -> dict[str, str] | None:
    """Return a cell's look: from white to a dark blue, on which the text is white."""
    if value is None:
        return None
    share = min(1.0, max(0.0, value / largest))
    red, green, blue = (round(255 + (end - 255) * share**0.8) for end in (24, 70, 130))
    ink = "#fff" if share > 0.55 else "#1d2530"
    return {"text": f"{value:.4f}", "background": f"rgb({red},{green},{blue})", "ink": ink}
