"""The examples at the end of a command's help."""

import re
from collections.abc import Iterator

_WIDTH = 76  # of a terminal's 80 columns, help is indented by two, and examples by two more


def examples(*lines: str) -> str:
    """Return an epilog whose lines are not rewrapped. A long one is broken before an option, as a shell takes it."""
    return "\n".join(["\b", "Examples:", *(f"  {row}" for line in lines for row in _broken(line))])


def _broken(line: str) -> Iterator[str]:
    """Yield the rows of an example."""
    if len(line) <= _WIDTH:
        yield line
        return
    row, *others = re.split(r" (?=--|\| )", line)
    for part in others:
        if len(f"{row} {part} \\") <= _WIDTH:
            row = f"{row} {part}"
        else:
            yield f"{row} \\"
            row = f"    {part}"
    yield row
