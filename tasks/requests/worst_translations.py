"""A domain's translations by how good they are, the worst first: for the report."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tasks.project.params import Params
from tasks.project.paths import Project
from ui2i.errors import DataError

MAX_SHOWN = 24  # images; the page stays small enough to be sent


@dataclasses.dataclass(frozen=True, kw_only=True)
class Translated:
    """One input and what was made of it."""

    name: str
    score: float | None  # mean over variants, against the true counterparts; None: these are not known
    ssim: float  # of the reconstruction
    png: bytes | None  # of the input; None: it is no longer there
    outputs: tuple[tuple[str, Path], ...]  # variant, file

    @property
    def caption(self) -> str:
        """Name and values."""
        score = "" if self.score is None else f"score {self.score:.2f}, "
        return f"{self.name}: {score}SSIM {self.ssim:.2f}"


def worst_translations(project: Project, params: Params, domain: str) -> tuple[list[Translated], int]:
    """Return the worst translated images of a domain, the worst first, and how many there are in all.

    They are in the order of their score against the truth, or of their reconstruction's SSIM where that is unknown.

    Raises:
        DataError: a table is damaged.
    """
    from ui2i.tables import TRANSLATION_SCHEMA, TRUTH_SCHEMA, read_rows
    from ui2i.translation_files import MANIFEST_NAME, RECONSTRUCTION

    folder = project.translations(domain)
    if not (folder / MANIFEST_NAME).is_file():
        return [], 0
    by_index: dict[int, list[dict[str, Any]]] = {}
    for row in read_rows(folder / MANIFEST_NAME, TRANSLATION_SCHEMA):
        by_index.setdefault(row["index"], []).append(row)
    truth = read_rows(project.truth_table(domain), TRUTH_SCHEMA) if project.truth_table(domain).is_file() else []
    scores = mean_scores(truth)
    order = sorted(by_index, key=lambda index: (scores.get(index, 0.0), by_index[index][0]["ssim"]))[:MAX_SHOWN]
    pngs = input_pngs(project.prepared(params.domains[domain].base), [by_index[i][0]["input_path"] for i in order])
    return [
        Translated(
            name=Path(by_index[index][0]["input_path"]).name,
            score=scores.get(index),
            ssim=by_index[index][0]["ssim"],
            png=pngs.get(by_index[index][0]["input_path"]),
            outputs=_outputs(folder, by_index[index], RECONSTRUCTION),
        )
        for index in order
    ], len(by_index)


def _outputs(folder: Path, rows: Iterable[Mapping[str, Any]], first: str) -> tuple[tuple[str, Path], ...]:
    """Return the variants of one image whose files are there, the reconstruction first."""
    found = {row["variant"]: folder / row["output_file"] for row in rows}
    return tuple(
        sorted(((name, path) for name, path in found.items() if path.is_file()), key=lambda it: it[0] != first)
    )


def mean_scores(rows: Iterable[Mapping[str, Any]]) -> dict[int, float]:
    """Return the mean score of each image against the truth, over variants, by its index."""
    by_index: dict[int, list[float]] = {}
    for row in rows:
        if row["metric"] == "lpips":
            by_index.setdefault(row["index"], []).append(row["score"])
    return {index: sum(scores) / len(scores) for index, scores in by_index.items()}


def input_pngs(prepared: Path, paths: Iterable[str]) -> dict[str, bytes]:
    """Return the prepared inputs by their paths, of those that the dataset still has.

    Raises:
        DataError: a file of it is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    found: dict[str, bytes] = {}
    for shard in sorted(prepared.glob("images-*.parquet")):
        try:
            rows = pq.read_table(shard, columns=["source_path", "png"], filters=[("source_path", "in", list(paths))])
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"{shard} cannot be read ({error}), expected prepared images; run the stage ingest again"
            ) from error
        found |= dict(zip(rows["source_path"].to_pylist(), rows["png"].to_pylist(), strict=True))
    return found
