"""Values of files that strangers made, for messages and tables that people read."""

import reprlib

MAX_LENGTH = 400  # characters of a quoted message

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 60
_repr.maxlevel = 2


def shown(value: object) -> str:
    """Return a value of an untrusted file for a message: short, on one line, with control characters escaped."""
    text = _repr.repr(value)
    return ascii(text)[1:-1] if not text.isascii() or not text.isprintable() else text


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or its type if it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def shortened(text: str) -> str:
    """Return a message about an untrusted file, which may quote it: on one line, escaped, at most `MAX_LENGTH` long."""
    line = text if text.isprintable() else ascii(text)[1:-1]
    return line if len(line) <= MAX_LENGTH else f"{line[: MAX_LENGTH // 2]} ... {line[-MAX_LENGTH // 2 :]}"
