"""Names that come from outside, made fit to be shown, kept in tables and used in file names.

A file's name, an archive's entry or a header's value may hold anything: bytes that are no UTF-8, control characters
that steer a terminal, marks that turn the direction of text, megabytes. What is printed or written goes through here.
"""

import hashlib
import unicodedata
from pathlib import PurePosixPath

MAX_NAME_BYTES = 255  # of one file's name, on nearly every file system
MAX_CHOSEN_BYTES = MAX_NAME_BYTES - 15 - 8  # with room for a temporary name (ui2i.files) and for a number
MAX_PATH_BYTES = 1024  # of a path in a table

_ESCAPED = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode's categories of what is no visible character
_JOINERS = "\u200c\u200d"  # which Persian names and joined emoji need
_MAX_SUFFIX_BYTES = 16
_DIGEST_DIGITS = 16


def is_text(name: str) -> bool:
    """Whether a name is UTF-8; one of a file need not be, and comes with surrogates then."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def printable(text: str, *, keep: str = "") -> str:
    r"""Return `text` with everything that does not print as an escape: `\x1b`, `\n`, `\u202e`, `\udce9`.

    Python reads a byte that is no UTF-8 in a file's name as one of U+DC80 to U+DCFF.

    Args:
        keep: characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(character if character in keep else _shown(character) for character in text)


def printable_path(path: str) -> str:
    """Return a relative path as tables hold it: printable, without a leading `./`, at most `MAX_PATH_BYTES` long."""
    # Cut before it is escaped too: that takes time and memory, and an archive's name may have megabytes.
    path = cut_name(path.removeprefix("./"), MAX_PATH_BYTES)
    return cut_name(printable(path), MAX_PATH_BYTES)


def file_name(name: str, *, max_bytes: int = MAX_NAME_BYTES) -> str:
    """Return a name that a file can have: printable, at most `max_bytes` long, with its suffix.

    A longer one ends in `~` and a hash of all of it, so that two that differ stay two.
    """
    return cut_name(printable(name).replace("\0", ""), max_bytes)


def _shown(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _ESCAPED:
        return character
    return character.encode("unicode_escape").decode()


def cut_name(name: str, max_bytes: int) -> str:
    """Return a name or path that is at most `max_bytes` long, with its suffix, and otherwise as it is."""
    data = name.encode("utf-8", "surrogatepass")
    if len(data) <= max_bytes:
        return name
    suffix = PurePosixPath(name[-64:]).suffix
    num_suffix = len(suffix.encode("utf-8", "surrogatepass"))
    if num_suffix > _MAX_SUFFIX_BYTES:
        suffix, num_suffix = "", 0
    ending = f"~{hashlib.sha256(data).hexdigest()[:_DIGEST_DIGITS]}"
    head = data[: max_bytes - len(ending) - num_suffix]
    while head and head[-1] & 0xC0 == 0x80:  # not within a character
        head = head[:-1]
    if head and head[-1] >= 0xC0:
        head = head[:-1]
    return head.decode("utf-8", "surrogatepass") + ending + suffix
