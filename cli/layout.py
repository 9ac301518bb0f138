"""Tables as text in which nothing is cut: cells wrap between words, and where that is not enough, rows become blocks.

Into a pipe or a file a table is as wide as it needs to be.
"""

import re
import shutil
import sys
import textwrap
from collections.abc import Sequence

UNBROKEN = 16  # characters; shorter cells, such as a time or an interval, do not wrap
LONG = 30
"""Characters of a word, such as a hash, whose row becomes a block where that lets the others stand side by side."""

MAX_LINES = 8  # of a cell; where one would be taller, rows become blocks
GAP = 2  # characters between two columns

_NUMBER = re.compile(r"[-+]?[\d,]*\.?\d+(e[-+]?\d+)?")

Rows = Sequence[Sequence[str]]


def terminal_width() -> int | None:
    """Return how many characters a line of the terminal has; None: stdout goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def column_widths(columns: Sequence[str], rows: Rows, room: int | None) -> list[int] | None:
    """Return how wide each column is so that no word is cut.

    Args:
        room: characters; None: any number.

    Returns:
        None: the columns do not fit side by side, or only with cells that are taller than `MAX_LINES`.
    """
    cells = list(zip(columns, *rows, strict=True))
    natural = [max(map(_length, column)) for column in cells]
    if room is None:
        return natural
    least = [max(_word_length(head), *map(_least, column), 1) for head, *column in cells]
    spare = room - sum(least) - GAP * (len(columns) - 1)
    if spare < 0:
        return None
    widths = list(least)
    by_need = sorted(range(len(columns)), key=lambda place: natural[place] - least[place])
    for number, place in enumerate(by_need):
        given = min(max(0, natural[place] - least[place]), spare // (len(by_need) - number))
        widths[place] += given
        spare -= given
    is_tall = any(length > MAX_LINES * width for length, width in zip(natural, widths, strict=True))
    return None if is_tall else widths


def apart(rows: Rows) -> tuple[list[Sequence[str]], list[Sequence[str]]]:
    """Return the rows without a long word, and those that have one."""
    long = [row for row in rows if any(_word_length(cell) > LONG for cell in row)]
    return [row for row in rows if row not in long], long


def wrapped(text: str) -> str:
    """Return a sentence in lines of the terminal's width."""
    room = terminal_width()
    return text if room is None else textwrap.fill(text, room, break_long_words=False, break_on_hyphens=False)


def blocks(columns: Sequence[str], rows: Rows, room: int) -> str:
    """Return each row as lines of `column  value`, with an empty line between rows.

    A word that does not fit beside its column's name, such as an address, stands below it. One that is longer than a
    line stays whole: the terminal wraps it, and it can be copied.
    """
    margin = max(map(len, columns)) + GAP
    return "\n\n".join(
        "\n".join(_line(column, value, margin, room) for column, value in zip(columns, row, strict=True))
        for row in rows
    )


def is_number(text: str) -> bool:
    """Whether a cell is a number, or empty."""
    return not text or _NUMBER.fullmatch(text) is not None


def _line(column: str, value: str, margin: int, room: int) -> str:
    if room - margin < _word_length(value) <= room - GAP:
        return f"{column}\n" + textwrap.indent(_line("", value, 0, room - GAP), " " * GAP)
    wrapped = textwrap.wrap(value, max(room - margin, UNBROKEN), break_long_words=False, break_on_hyphens=False) or [""]
    return f"{column:<{margin}}" + f"\n{'':<{margin}}".join(wrapped)


def _length(text: str) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, text.split("\n")))


def _word_length(text: str) -> int:
    return max(map(_length, text.split()), default=0)


def _least(text: str) -> int:
    length = _length(text)
    return length if length <= UNBROKEN else _word_length(text)
