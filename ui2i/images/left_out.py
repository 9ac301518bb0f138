"""What a source contains besides usable images: one record, for everything that reads images.

Where images are copied into a project, what stays behind is noted in a hidden file beside them; who reads the copy
then reports the same as who reads the source.
"""

import collections
import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ui2i.errors import DataError
from ui2i.files import write_text
from ui2i.images.decoding import NO_MEMORY, SUFFIXES, open_regular_file
from ui2i.names import printable_path

LEFT_OUT_NAME = ".left-out.json"
MAX_NOTE_BYTES = 1 << 26
MAX_SUFFIXES_NAMED = 5

REASONS = {
    "unsafe_name": "a name that leaves its archive",
    "link": "a link to elsewhere",
    "too_large": "over 256 MiB",
    "decompression_bomb": "unpacking to more than an image does",
    "unreadable": "missing, unreadable, or no image",
    "truncated": "cut short",
    "damaged": "complete, but cannot be decoded",
    "unsupported": "a kind of image that is not read here",
    NO_MEMORY: "too little memory to read it",
    "too_small": "would have to be enlarged too much",
    "extreme_aspect": "too long for its width, or the reverse",
    "no_face": "no face was found in it",
    "near_uniform": "of one colour",
    "duplicate": "the same file came before",
    "near_duplicate": "an image that looks the same came before",
}
"""Why a file is not taken, in the order in which reasons are shown; the first five are known before it is decoded."""


@dataclasses.dataclass(frozen=True)
class Left:
    """A file that looks like an image and cannot be taken."""

    path: str
    num_bytes: int
    fault: str  # of REASONS


@dataclasses.dataclass
class LeftOut:
    """Everything that is not taken."""

    files: list[Left] = dataclasses.field(default_factory=list)
    passed_over: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)  # by suffix

    def __bool__(self) -> bool:
        return bool(self.files or self.passed_over)

    def __str__(self) -> str:
        """Say it in a line: `3 files left out: 1 a link to elsewhere, 2 of .txt`."""
        faults = collections.Counter(left.fault for left in self.files)
        parts = [f"{count} {REASONS[fault]}" for fault, count in sorted(faults.items())]
        common = self.passed_over.most_common(MAX_SUFFIXES_NAMED)
        parts += [f"{count} of {'no suffix' if suffix == 'none' else suffix}" for suffix, count in common]
        if num_others := self.passed_over.total() - sum(count for _, count in common):
            parts.append(f"{num_others} of other suffixes")
        count = len(self.files) + self.passed_over.total()
        return f"{count} file{'s' if count != 1 else ''} left out: {', '.join(parts)}"


def no_images(what: str, left_out: LeftOut, *, mend: str = "add some") -> DataError:
    """Return the error for a source without an image that can be taken."""
    why = f" ({left_out})" if left_out else ""
    return DataError(f"{what} contains no images{why}, expected files ending in {', '.join(SUFFIXES)}; {mend}")


def write_left_out(path: Path, left_out: LeftOut) -> None:
    """Write the account as JSON; nothing is written where nothing was left out."""
    if left_out:
        values = {
            "files": [dataclasses.asdict(left) for left in left_out.files],
            "passed_over": dict(sorted(left_out.passed_over.items())),
        }
        write_text(path, json.dumps(values, indent=1) + "\n")


def read_left_out(path: Path) -> LeftOut:
    """Return what such a file says. One that is missing, was spoilt, or was written by something else says nothing."""
    try:
        with open_regular_file(path) as handle:
            values = json.loads(handle.read(MAX_NOTE_BYTES))
        return LeftOut(list(_files(values["files"])), _counts(values["passed_over"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return LeftOut()


def _files(values: Iterable[Mapping[str, Any]]) -> Iterable[Left]:
    for value in values:
        path, num_bytes, fault = value["path"], value["num_bytes"], value["fault"]
        if not isinstance(path, str) or type(num_bytes) is not int or num_bytes < 0 or fault not in REASONS:
            raise ValueError("no file of this note")
        yield Left(printable_path(path), num_bytes, fault)


def _counts(values: Mapping[str, Any]) -> collections.Counter[str]:
    if not all(type(count) is int and count > 0 for count in values.values()):
        raise ValueError("no counts of this note")
    return collections.Counter({printable_path(suffix): count for suffix, count in values.items()})
