"""Warnings as people read them: a line on standard error, without the place in the code."""

import contextlib
import sys
import warnings
from collections.abc import Iterator
from typing import TextIO

from ui2i.errors import UI2IWarning
from ui2i.names import printable

PREFIX = "warning: "


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Print this project's own warnings as `warning: ...`, those of libraries as usual."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, UI2IWarning):
                print(f"{PREFIX}{printable(' '.join(str(message).split()))}", file=sys.stderr, flush=True)
            else:
                usual(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield
