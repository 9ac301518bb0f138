"""Where the translations of a watched folder lie: one folder a batch, numbered from 0001."""

from pathlib import Path

from ui2i.datasets.manifest import REJECTS_NAME
from ui2i.tables import TRANSLATION_SCHEMA, read_parquet, read_rows
from ui2i.translation_files import MANIFEST_NAME

LOCK_NAME = ".watch.lock"
"""File that is locked from the choice of a batch's folder until the folder is there."""


def files_done(out: Path) -> set[str]:
    """Return the SHA-256 of the files that the batches in a folder were made of, rejects among them.

    Raises:
        DataError: a table of a batch is damaged.
    """
    done: set[str] = set()
    for folder in _batches(out):
        done |= {row["input_sha256"] for row in read_rows(folder / MANIFEST_NAME, TRANSLATION_SCHEMA)}
        done |= set(read_parquet(folder / REJECTS_NAME)["sha256"].to_pylist())
    return done - {None}


def next_folder(out: Path) -> Path:
    """Return the folder of the next batch, for who holds the lock."""
    numbers = [int(path.name) for path in out.glob("[0-9]*") if path.name.isascii() and path.name.isdigit()]
    return out / f"{max(numbers, default=0) + 1:04d}"


def _batches(out: Path) -> list[Path]:
    return sorted(path.parent for path in out.glob(f"[0-9]*/{MANIFEST_NAME}"))
