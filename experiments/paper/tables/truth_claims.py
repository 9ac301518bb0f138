"""What the ground truth, which the paper does not have, says of its central claim, and of the baseline."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from experiments.paper.tables.claims import Case, Claim, of_images
from experiments.paper.tables.controls import Control, control_baseline
from experiments.paper.tables.paper_claims import CLOSED_FORMS
from experiments.paper.tables.translation_claims import BASELINE, FIRST, SWAPPED
from experiments.paper.tables.values import TABLE_3_NAMES

if TYPE_CHECKING:
    import pandas as pd


def inversion_claims(frame: "pd.DataFrame") -> list[Claim]:
    """Return the ground truth's verdict on methods of inversion: whose codes translate nearer to the true counterparts?

    Both readings of Eq. 9 are judged, by each metric an aspect.

    Args:
        frame: rows of `TRUTH_SCHEMA` whose variants are methods, of one or more domains.
    """
    return [
        Claim(
            source="Ground truth",
            text=f"The closed form's codes translate nearer to the true counterparts than those of "
            f"{TABLE_3_NAMES[other]} ({other})",
            paper="no such measurement",
            cases=tuple(
                case
                for own in CLOSED_FORMS
                for domain, rows in frame.groupby("domain", sort=False)
                for case in _nearer(str(domain), _distances(rows, other), _distances(rows, own), prefix=f"{own}, ")
            ),
            is_of_the_paper=False,
        )
        for other in ("w", "in_domain")
    ]


def truth_claims(frames: "Mapping[str, pd.DataFrame]", baselines: "Mapping[str, pd.DataFrame]") -> list[Claim]:
    """Return the ground truth's verdict on the paper's central claim. The paper could not measure it.

    Args:
        frames: rows of `TRUTH_SCHEMA` of each domain's own translations.
        baselines: the same of its baseline's, as far as there is one.
    """

    def claim(text: str, cases: Iterable[Case], control: Control | None = None) -> Claim:
        return Claim(
            source="Ground truth",
            text=text,
            paper="no such measurement",
            cases=tuple(cases),
            missing_control=control.missing_control if control else "",
            left_out=control.left_out if control else "",
            is_of_the_paper=False,
        )

    both = {name: (frame, baselines[name]) for name, frame in frames.items() if name in baselines}
    unfinished = unfinished_baselines(frames, baselines)
    control = control_baseline(BASELINE, both, unfinished)
    own = {name: _distances(frame, FIRST) for name, frame in frames.items()}
    return [
        claim(
            "FC-FT's translations are nearer to the true counterparts than CycleGAN's",
            (
                case
                for name, (_, other) in both.items()
                if not control.left_out or name not in unfinished
                for case in _nearer(name, _distances(other, BASELINE), own[name])
            ),
            control,
        ),
        claim(
            "FC-FT's translations are nearer to the true counterparts than the inputs themselves are",
            (
                case
                for name, frame in frames.items()
                for case in _nearer(name, _distances(frame, FIRST, "copy_distance"), own[name])
            ),
        ),
        claim(
            f"Swapped layers ({SWAPPED}) bring translations nearer to the true counterparts",
            (case for name, frame in frames.items() for case in _nearer(name, own[name], _distances(frame, SWAPPED))),
        ),
    ]


def unfinished_baselines(
    frames: "Mapping[str, pd.DataFrame]", baselines: "Mapping[str, pd.DataFrame]"
) -> dict[str, str]:
    """Return by domain how far a baseline's outputs are from the truth where its inputs are nearer: it is no control.

    Args:
        frames, baselines: as `truth_claims` takes them.
    """
    worse = {}
    for name, frame in baselines.items():
        if name in frames:
            outputs = _distances(frame, BASELINE).get("lpips")
            inputs = _distances(frame, BASELINE, "copy_distance").get("lpips")
            if outputs is not None and inputs is not None and outputs.mean() > inputs.mean():
                worse[name] = f"LPIPS to the truth {outputs.mean():.3f} against {inputs.mean():.3f}"
    return worse


def _distances(frame: "pd.DataFrame", variant: str, column: str = "distance") -> "dict[str, pd.Series]":
    """Return by metric the distance of each input's output, or of the input, to the truth."""
    own = frame[frame["variant"] == variant]
    return {str(metric): rows.set_index("input_path")[column] for metric, rows in own.groupby("metric", sort=False)}


def _nearer(
    name: str, farther: "dict[str, pd.Series]", nearer: "dict[str, pd.Series]", *, prefix: str = ""
) -> Iterator[Case]:
    for metric, distances in farther.items():
        if metric in nearer:
            differences = {str(path): float(value) for path, value in (distances - nearer[metric]).items()}
            yield of_images(name, differences, aspect=prefix + metric, has_trainings=True)
