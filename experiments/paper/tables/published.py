"""The tables beside a page of results, and the claims that follow from them.

Every verdict of the page follows from these files, so that anyone can derive it again. Tables of earlier versions are
read too; what is not there leaves its claims unmeasured.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.paper.tables import (
    equal_fidelity,
    figure_claims,
    paper_claims,
    translation_claims,
    truth_claims,
)
from experiments.paper.tables.across import Across, doubts_of
from experiments.paper.tables.baselines import TrainedLonger, longest_baselines, with_baselines
from experiments.paper.tables.claims import Claim
from experiments.paper.tables.layout import Cell
from experiments.paper.tables.model_distance import model_distance_table, of_last_backbone
from ui2i.errors import DataError
from ui2i.metrics.moments import estimate
from ui2i.tables import RENAMED_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

DISTANCES, EVALUATIONS, TRUTH_SUMMARY = "distance.parquet", "evaluation.parquet", "truth.json"
INVERTED, INVERTED_TRUTH = "inversion.images.parquet", "inversion.truth.parquet"
TRUTH_ROWS = "truth.images.parquet"
PAIRED, CURVES = "latents.parquet", "curves.parquet"
"""Of repeated trainings (`experiments.paper.seeds`): distances to the base, at their ends and along them."""
COLUMNS = "columns.parquet"
"""Of two domains' repeated trainings (`experiments.paper.seeds.columns`): distances between them, at their ends."""
BETWEEN, AGREED, ACROSS = "pairs.parquet", "agreement.parquet", "models.parquet"
"""Of several domains' trainings (`experiments.paper.seeds.apart`): distances between them, agreement of directions, and
how near each model is to its domain."""
AGREEMENT, MEASURES = "figure6.agreement.parquet", ("figure7.parquet", "figure8.parquet")
MADE_FILE = "made.json"
"""Beside the tables of repeated trainings: what made them."""
BASELINE_CURVE = "curve.parquet"
"""Of baselines along their trainings (`experiments.paper.baselines.curve`)."""
BASELINE_PREFIX = "baseline."
"""Of the names under which tables have a domain's baseline."""

_RENAMED_INPUTS = {"pictures": "images"}
_SAME_WEIGHTS = {
    "9f4abb8670ab1c8bd1c8fb42c9b8dfaca04ad9fbee35235b8ef4455a1e5cb0c1": (
        "a8f76c94284e1272806b9d2fe436f8c2e1ac2757e07030c1c8dbcaa7794c121c"
    ),
}
"""Hashes of squeezenet1_1-caffe by version 0.1, which covered other names of the same tensors, and by this one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """What lies beside a page."""

    distances: "list[list[Cell]]"  # measured cells of Table I, of each training
    curves: "list[pd.DataFrame]"  # of each folder of pairs of trainings
    across: list[Across]  # trainings of several domains' models, with models of another base
    evaluations: "list[pd.DataFrame]"  # of translated images, of each training
    baselines: Mapping[tuple[str, str, str], TrainedLonger]  # by source, target and system; evaluations have them
    truth: "dict[str, pd.DataFrame]"  # rows by domain, image by image
    baseline_truth: "dict[str, pd.DataFrame]"
    truth_summary: Mapping[str, Any]
    inversions: "dict[str, pd.DataFrame]"  # rows by base, image by image
    inverted_truth: "pd.DataFrame | None"  # of inversion methods, image by image
    agreement: "pd.DataFrame | None"
    measures: "dict[str, pd.DataFrame]"  # by figure

    @property
    def claims(self) -> list[Claim]:
        """What the paper says, and whether it holds; then what only the ground truth can say."""
        figure_8 = self.measures.get("8")
        apart = "" if figure_8 is None else figure_claims.unfinished_control(figure_8)
        baseline = self._unfinished_baselines()
        nearer, left_out = equal_fidelity.nearer_than_apart(self.curves)
        claims = paper_claims.table_1_claims(
            self.distances,
            across=self.across,
            missing_control=apart,
            apart=nearer,
            left_out=left_out,
        )
        if self.evaluations:
            claims += translation_claims.table_2_claims(self.evaluations, unfinished=baseline)
        claims += paper_claims.table_3_claims(self.inversions)
        if self.agreement is not None:
            claims += figure_claims.figure_6_claims(self.agreement, self.across, missing_control=apart)
        if "7" in self.measures:
            claims += figure_claims.figure_7_claims(self.measures["7"])
        if figure_8 is not None:
            claims += figure_claims.figure_8_claims(figure_8)
        if self.truth:
            claims += truth_claims.truth_claims(self.truth, self.baseline_truth)
        if self.inverted_truth is not None:
            claims += truth_claims.inversion_claims(self.inverted_truth)
        return claims

    def _unfinished_baselines(self) -> dict[str, dict[str, str]]:
        """Return why a baseline is no control, by its name and the domain: its inputs are nearer to the truth or goal.

        Where image by image nothing is known, the means of scores decide; of a baseline of the curves, its own rows.
        """
        worse = {}
        for name, summary in self.truth_summary.items():
            gain = (
                summary.get("gain_over_copy", {}).get(translation_claims.BASELINE, {}).get("lpips", {}).get("mean", 0.0)
            )
            if name.startswith(BASELINE_PREFIX) and gain < 0:
                worse[name.removeprefix(BASELINE_PREFIX)] = f"by {-gain:.3f} of the score from the truth"
        for name in self.truth.keys() & self.baseline_truth.keys():
            worse.pop(name, None)
        worse |= truth_claims.unfinished_baselines(self.truth, self.baseline_truth)
        found = {translation_claims.BASELINE: worse}
        for (_, domain, system), baseline in self.baselines.items():
            found.setdefault(system, {}).pop(domain, None)
            if why := baseline.unfinished:
                found[system][domain] = why
        return found


def read_published(folder: Path, more_runs: Sequence[Path] = ()) -> Published:
    """Read the tables beside a page.

    Args:
        more_runs: folders with tables of distances and of translated images of other trainings of the same models, or
            of pairs of them, or with curves of baselines.
    """
    _check_backbones((folder, *more_runs))
    evaluations = [frame for each in (folder, *more_runs) if (frame := _of_images(each / EVALUATIONS)) is not None]
    curves = [frame for each in more_runs if (frame := _read(each / BASELINE_CURVE)) is not None]
    baselines = longest_baselines(curves)
    truth: dict[str, pd.DataFrame] = {}
    baseline_truth: dict[str, pd.DataFrame] = {}
    for name, rows in _split(_read(folder / TRUTH_ROWS), "table").items():
        side = baseline_truth if name.startswith(BASELINE_PREFIX) else truth
        side[name.removeprefix(BASELINE_PREFIX)] = rows
    summary = folder / TRUTH_SUMMARY
    measures = {path.removeprefix("figure")[0]: _read(folder / path) for path in MEASURES}
    return Published(
        distances=[
            cells
            for each in (folder, *more_runs)
            for cells in (_cells(each), *_paired(each / PAIRED).values(), *_paired(each / COLUMNS).values())
            if cells
        ],
        curves=[frame for each in (folder, *more_runs) if (frame := _read(each / CURVES)) is not None],
        across=[training for each in more_runs for training in _read_across(each)],
        evaluations=with_baselines(evaluations, baselines),
        baselines=baselines,
        truth=truth,
        baseline_truth=baseline_truth,
        truth_summary=json.loads(summary.read_text(encoding="utf-8")) if summary.is_file() else {},
        inversions=_split(_read(folder / INVERTED), "base"),
        inverted_truth=_read(folder / INVERTED_TRUTH),
        agreement=_read(folder / AGREEMENT),
        measures={number: frame for number, frame in measures.items() if frame is not None},
    )


def _of_images(path: Path) -> "pd.DataFrame | None":
    """Return the last rows of each system and domain that are of translated images; None: the table is not there."""
    frame = _read(path)
    if frame is None:
        return None
    is_of_images = frame["inputs"].replace(_RENAMED_INPUTS) == "images"
    return frame[is_of_images].drop_duplicates(["source_domain", "domain", "system"], keep="last")


def _cells(folder: Path) -> list[Cell]:
    """Return the cells of Table I from a folder's tables of distances."""
    import pandas as pd

    frames = [frame for path in sorted(folder.glob("distance*.parquet")) if (frame := _read(path)) is not None]
    if not frames:
        return []
    joined = pd.concat(frames)
    if "source_mode" not in joined:  # version 0.1 measured from bases alone
        joined["source_mode"] = None
    return [cell for cell in model_distance_table(joined).cells if cell.origin == "measured"]


def _check_backbones(folders: Sequence[Path]) -> None:
    """Refuse folders whose model distances were measured on different backbones.

    Raises:
        DataError: they are refused.
    """
    by_folder = {folder.name: _backbones(folder) for folder in folders}
    if len(set().union(*by_folder.values())) > 1:
        said = ", ".join(f"{name} {' and '.join(sorted(found))}" for name, found in by_folder.items() if found)
        raise DataError(
            f"model distances were measured on different backbones ({said}), expected one; leave out --run of the "
            "others, or measure again"
        )


def _backbones(folder: Path) -> set[str]:
    """Return the hashes of the backbones of a folder's model distances, as far as they are known."""
    tables = [frame for path in sorted(folder.glob("distance*.parquet")) if (frame := _read(path)) is not None]
    found = {str(value) for frame in tables for value in of_last_backbone(frame, ["target"])["backbone_hash"]}
    made, is_of_trainings = folder / MADE_FILE, any((folder / name).is_file() for name in (PAIRED, COLUMNS, BETWEEN))
    notes = json.loads(made.read_text(encoding="utf-8")) if is_of_trainings and made.is_file() else {}
    return found | {str(note["backbone_hash"]) for note in notes.values() if "backbone_hash" in note}


def _read_across(folder: Path) -> Iterator[Across]:
    """Yield each training of several domains in a folder; none where nobody knows how near models are to their domains.

    Of the agreement of directions a folder has the last training only.
    """
    models, cells = _read(folder / ACROSS), _paired(folder / BETWEEN)
    if models is None:
        return
    seeds = list(dict.fromkeys(models["seed"]))
    for seed in seeds:
        yield Across(
            cells=cells.get(str(seed), ()),
            agreement=_read(folder / AGREED) if seed == seeds[-1] else None,
            doubts=doubts_of(models[models["seed"] == seed]),
        )


def _paired(path: Path) -> "dict[str, list[Cell]]":
    """Return the cells of Table I by the seed of a table that `experiments.paper.seeds` wrote."""
    frame = _read(path)
    if frame is None:
        return {}
    runs: dict[str, list[Cell]] = {}
    for key, rows in frame.groupby(["base", "domain", "seed", "variant"], sort=False):
        base, domain, seed, variant = (str(part) for part in key)
        found = estimate(rows["d"].to_numpy(float))
        cell = Cell(row=variant, column=f"{base}2{domain}", metric="d", value=found.mean, sem=found.sem)
        runs.setdefault(seed, []).append(cell)
    return runs


def _split(frame: "pd.DataFrame | None", column: str) -> "dict[str, pd.DataFrame]":
    if frame is None:
        return {}
    return {str(name): rows.reset_index(drop=True) for name, rows in frame.groupby(column, sort=False)}


def _read(path: Path) -> "pd.DataFrame | None":
    import pandas as pd

    if not path.is_file():
        return None
    frame = pd.read_parquet(path).rename(columns=RENAMED_COLUMNS)
    return frame.replace({"backbone_hash": _SAME_WEIGHTS}) if "backbone_hash" in frame else frame
