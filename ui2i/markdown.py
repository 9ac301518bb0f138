"""Tables and paragraphs in Markdown."""

import textwrap
from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(_markdown_row(line) for line in lines) + "\n"


def wrap_markdown(text: str, width: int = 120) -> str:
    """Return Markdown whose paragraphs and list items have lines of at most `width`; tables and images stay whole."""
    return "\n".join(line if line.startswith(("|", "#", "![")) else _wrapped(line, width) for line in text.split("\n"))


def _wrapped(line: str, width: int) -> str:
    indent = "  " if line.startswith("- ") else ""
    return textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
