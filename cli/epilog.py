"""The examples at the end of a command's help."""

import re
from collections.abc import Iterator

WIDTH = 76  # of a terminal's 80 columns, help is indented by two, and examples by two more


def examples(*lines: str) -> str:
    """Return an epilog whose lines are not rewrapped. A long one is broken before an option, as a shell takes it."""
    return "\n".join(["\b", "Examples:", *(f"  {row}" for line in lines for row in _broken(line))])


def _broken(line: str) -> Iterator[str]:
    """Yield the rows of an example."""
    first, *others = re.split(r" (?=--|\| )", line)
    row = first
    for part in others:
        if len(row) + len(part) + len(" \\ ") > WIDTH and len(line) > WIDTH:
            yield f"{row} \\"
            row = f"    {part}"
        else:
            row = f"{row} {part}"
    yield row
