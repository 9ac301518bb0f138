"""A comparison of inversions that goes on where it was interrupted: the rows of each finished method are kept."""

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ui2i.files import sha256_bytes, write_text
from ui2i.progress import Progress
from ui2i.settings import InversionConfig

Row = dict[str, Any]
Compare = Callable[[InversionConfig, Progress], list[Row]]


def compare_in_parts(
    folder: Path,
    configs: Sequence[InversionConfig],
    compare: Compare,
    *,
    decides: Mapping[str, Any],
    progress: Progress,
) -> list[Row]:
    """Return the rows of all methods, by kind of images, then method; those that are kept are not made again.

    Args:
        folder: where rows are kept until all are there; then it is removed.
        compare: makes the rows of one method.
        decides: what rows depend on besides the method's own settings.
    """
    rows: list[Row] = []
    for place, config in enumerate(configs):

        def report(done: int, total: int, note: str = "", before: int = place) -> None:
            progress(before * total + done, len(configs) * total, note)

        text = json.dumps({**dataclasses.asdict(config), **decides}, sort_keys=True, default=str)
        path = folder / f"{config.method}-{sha256_bytes(text.encode())[:16]}.json"
        if path.is_file():
            found: list[Row] = json.loads(path.read_text(encoding="utf-8"))
        else:
            found = compare(config, report)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(found))
        rows += found
    shutil.rmtree(folder, ignore_errors=True)
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    return sorted(rows, key=lambda row: kinds.index(row["kind"]))
