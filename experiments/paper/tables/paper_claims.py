"""The paper's claims about its Tables I to III, and what the ground truth adds to them, from measured tables."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from experiments.paper.tables.claims import Case, Claim, paired, unpaired
from experiments.paper.tables.layout import Cell
from experiments.paper.tables.values import TABLE_1, TABLE_1_COLUMNS, TABLE_2, TABLE_2_METRICS, TABLE_3, TABLE_3_NAMES

if TYPE_CHECKING:
    import pandas as pd

BASELINE = "CycleGAN"
FIRST, SWAPPED = "FC-FT", "FC-FT-LS16"
"""What translates, and the swap that stands for the paper's FC-FT-LS (its LS3 for anime)."""

PAIR_COLUMNS = {"cartoon2portrait": "cartoon2metface"}
PAPER_COLUMNS = {
    "face2anime": "face2anime",
    "face2cartoon": "face2cartoon",
    "face2portrait": "face2portrait",
    **PAIR_COLUMNS,
    "cat2dog": "cat2dog",
    "cat2wild": "cat2wild",
}
"""Our columns of Table I, in the paper's order, and what the paper calls them."""


def table_1_claims(cells: Sequence[Cell]) -> list[Claim]:
    """Return the paper's claims about Table I, from measured cells of any columns."""
    by_place = {(cell.row, cell.column): (cell.value, cell.sem) for cell in cells if cell.origin == "measured"}
    columns = list(dict.fromkeys(cell.column for cell in cells if cell.origin == "measured"))
    rows = list(TABLE_1)

    def step(text: str, pairs: Sequence[tuple[str, str]]) -> Claim:
        cases = [
            unpaired(column if len(pairs) == 1 else f"{column} {near}", by_place[far, column], by_place[near, column])
            for column in columns
            for far, near in pairs
            if (far, column) in by_place and (near, column) in by_place
        ]
        return Claim(source="Table I", text=text, paper=_paper_steps(pairs), cases=tuple(cases))

    return [
        step("Fine-tuned models (FT) are nearer to each other than independently trained ones", [("w/o FT", "FT")]),
        step("A frozen mapping network (FC-FT) brings them nearer than FT", [("FT", "FC-FT")]),
        step("Each further swap of coarse layers (LS) brings them nearer", list(itertools.pairwise(rows[2:]))),
        Claim(
            source="Table I",
            text="Anime is farther from faces than portraits are",
            paper="0.650 against 0.636 (FT), 0.639 against 0.612 (FC-FT)",
            cases=tuple(_between(by_place, ("face2anime", "face2portrait"), ("FT", FIRST))),
        ),
        Claim(
            source="Section IV-E",
            text="Cartoon and portrait, both made from the face model, are nearer to each other than if trained apart",
            paper="0.434 against 0.692",
            cases=tuple(
                unpaired(f"cartoon2portrait {row}", by_place["w/o FT", column], by_place[row, column])
                for column in PAIR_COLUMNS
                for row in ("FT", FIRST)
                if {("w/o FT", column), (row, column)} <= set(by_place)
            ),
        ),
    ]


def table_2_claims(frame: "pd.DataFrame") -> list[Claim]:
    """Return the paper's claims about Table II.

    Args:
        frame: rows of `EVALUATION_SCHEMA` for images that were translated, the last of each system and domain.
    """
    fidelity = "fid" if frame["fid"].notna().all() else "fd"
    label = "FID" if fidelity == "fid" else "Frechet distance on the backbone's features"

    def claim(text: str, metric: str, larger: str, smaller: str) -> Claim:
        return Claim(
            source="Table II",
            text=text,
            paper=_paper_systems(metric, larger, smaller),
            cases=tuple(_systems(frame, metric, larger, smaller)),
        )

    return [
        claim(f"FC-FT is nearer to the target's images than CycleGAN ({label})", fidelity, BASELINE, FIRST),
        claim("FC-FT's outputs are more diverse than CycleGAN's (LPIPS_d)", "lpips_d", FIRST, BASELINE),
        claim("FC-FT's outputs are more like their inputs than CycleGAN's (LPIPS_s)", "lpips_s", BASELINE, FIRST),
        claim(f"Swapped layers ({SWAPPED}) make outputs more like their inputs (LPIPS_s)", "lpips_s", FIRST, SWAPPED),
        claim(f"and a little less like the target's images ({label})", fidelity, SWAPPED, FIRST),
    ]


def truth_claims(frames: "Mapping[str, pd.DataFrame]", baselines: "Mapping[str, pd.DataFrame]") -> list[Claim]:
    """Return the ground truth's verdict on the paper's central claim. The paper could not measure it.

    Args:
        frames: rows of `TRUTH_SCHEMA` of each domain's own translations.
        baselines: the same of its baseline's, as far as there is one.
    """
    none = "no such measurement"

    def claim(text: str, cases: Iterable[Case]) -> Claim:
        return Claim(source="Ground truth", text=text, paper=none, cases=tuple(cases))

    both = {name: (frame, baselines[name]) for name, frame in frames.items() if name in baselines}
    return [
        claim(
            "FC-FT's translations are nearer to the true counterparts than CycleGAN's",
            (
                case
                for name, (own, other) in both.items()
                for case in _nearer(name, _distances(other, BASELINE), _distances(own, FIRST))
            ),
        ),
        claim(
            "FC-FT's translations are nearer to the true counterparts than the inputs themselves are",
            (
                case
                for name, own in frames.items()
                for case in _nearer(name, _distances(own, FIRST, "copy_distance"), _distances(own, FIRST))
            ),
        ),
        claim(
            f"Swapped layers ({SWAPPED}) bring translations nearer to the true counterparts",
            (
                case
                for name, own in frames.items()
                for case in _nearer(name, _distances(own, FIRST), _distances(own, SWAPPED))
            ),
        ),
    ]


def table_3_claims(frames: "Mapping[str, pd.DataFrame]") -> list[Claim]:
    """Return the paper's claims about Table III: its own method reconstructs images best (SSIM, real images).

    Args:
        frames: rows of `INVERTED_SCHEMA` by base.
    """
    claims = []
    for other in ("w", "in_domain", "w_plus", "encoder"):
        cases = []
        for base, frame in frames.items():
            found = frame[(frame["kind"] == "real") & (frame["start"] == "mean")]
            own, theirs = (found[found["method"] == name].set_index("image")["ssim"] for name in ("closed_form", other))
            if len(own) > 1 and len(theirs) > 1:
                cases.append(paired(base, list((own - theirs).astype(float))))
        claims.append(
            Claim(
                source="Table III",
                text=f"The closed form reconstructs images better than {TABLE_3_NAMES[other]} ({other})",
                paper=f"{TABLE_3['closed_form']:.3f} against {TABLE_3[other]:.3f}",
                cases=tuple(cases),
            )
        )
    return claims


def _paper_steps(pairs: Sequence[tuple[str, str]]) -> str:
    differences = [far - near for a, b in pairs for far, near in zip(TABLE_1[a], TABLE_1[b], strict=True)]
    return f"{min(differences):+.3f} to {max(differences):+.3f} in {len(TABLE_1_COLUMNS)} columns"


def _between(
    by_place: Mapping[tuple[str, str], tuple[float, float | None]], columns: tuple[str, str], rows: Sequence[str]
) -> Iterator[Case]:
    for row in rows:
        if all((row, column) in by_place for column in columns):
            yield unpaired(row, by_place[row, columns[0]], by_place[row, columns[1]])


def _systems(frame: "pd.DataFrame", metric: str, larger: str, smaller: str) -> Iterator[Case]:
    """Yield for each domain how much larger a metric is for one system than for another."""
    for domain, rows in frame.groupby("domain", sort=False):
        by_system = {row["system"]: row for _, row in rows.iterrows()}
        if {larger, smaller} <= set(by_system):
            column = f"{by_system[smaller]['source_domain']}2{domain}"
            sems = f"{metric}_sem"
            values = [
                (float(by_system[system][metric]), float(by_system[system][sems]) if sems in rows else None)
                for system in (larger, smaller)
            ]
            yield unpaired(column, *values)


def _paper_systems(metric: str, larger: str, smaller: str) -> str:
    """Return the paper's values of the two systems, the one that the claim speaks of first."""
    place = {"fd": 0, "fid": 0, "lpips_d": 1, "lpips_s": 2}[metric]
    names = {BASELINE: BASELINE, FIRST: "Ours (FC-FT)", SWAPPED: "Ours (FC-FT-LS)"}
    better, worse = (larger, smaller) if metric == "lpips_d" else (smaller, larger)
    values = [
        f"{column} {TABLE_2[names[better]][column][place]:g} against {TABLE_2[names[worse]][column][place]:g}"
        for column in TABLE_2[BASELINE]
    ]
    return f"{TABLE_2_METRICS[place]}: {', '.join(values)}"


def _distances(frame: "pd.DataFrame", variant: str, column: str = "distance") -> "dict[str, pd.Series]":
    """Return by metric the distance of each input's output, or of the input, to the truth."""
    own = frame[frame["variant"] == variant]
    return {str(metric): rows.set_index("input_path")[column] for metric, rows in own.groupby("metric", sort=False)}


def _nearer(name: str, farther: "dict[str, pd.Series]", nearer: "dict[str, pd.Series]") -> Iterator[Case]:
    for metric, distances in farther.items():
        if metric in nearer:
            differences = (distances - nearer[metric]).dropna()
            yield paired(f"{name} {metric}", list(differences.astype(float)))
