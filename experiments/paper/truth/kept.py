"""Which attributes a translation kept: those of the input, predicted again from the output.

An attribute is compared by correlation (numbers: a translation may make everybody smile more, as long as who smiled
most still does), accuracy (categories) or the mean cosine of the angle between (hues). The regressor's own errors are
no fault of the translation, so its agreement on the true counterparts is the ceiling, and that of shuffled readings
the floor:

    kept = (agreement - chance) / (ceiling - chance)

is 1 if the attribute can be read from the translation as well as from the truth and 0 if nothing is left of it.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, UInt8

from experiments.paper.truth.columns import MEASURES, Column, Kind, Values, agreement
from experiments.paper.truth.regressor import AttributeRegressor
from ui2i.errors import DataError
from ui2i.images import to_tensor

MIN_SKILL = 0.25
NUM_RESAMPLES = 1000
_MIN_RANGE = 0.01  # between chance and ceiling; below, `kept` would be noise divided by nothing


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeptAttribute:
    """How well one attribute of the inputs can be predicted from their translations."""

    attribute: str
    kind: Kind
    measure: str  # correlation, mean cosine, accuracy
    agreement: float  # between the true attribute and the one read from the translation
    ceiling: float  # the same, read from the true counterparts
    chance: float  # the same, with the readings of the translations shuffled
    kept: float | None  # 1: all that can be read; 0: no more than chance; None: the ceiling is no better than chance
    ci95_low: float | None  # of `kept`, over the choice of images
    ci95_high: float | None
    skill: float  # of the regressor, on held-out drawings
    num_images: int


def kept_attributes(
    regressor: AttributeRegressor,
    outputs: UInt8[np.ndarray, "n r r 3"],
    counterparts: UInt8[np.ndarray, "n r r 3"],
    people: Sequence[object],
    *,
    min_skill: float = MIN_SKILL,
    seed: int = 0,
) -> list[KeptAttribute]:
    """Compare the attributes predicted from translations with the true ones.

    Args:
        regressor: of the style of `outputs`.
        outputs: translations.
        counterparts: the same people drawn in that style.
        people: who is in each.
        min_skill: attributes that the regressor reads worse from held-out drawings are left out
            (`regressor.unreadable` names them); from 0 to 1.
        seed: of the resampling for the intervals.

    Returns:
        One entry a readable attribute, in the order of the regressor's columns.

    Raises:
        DataError: the numbers of images differ, or there are fewer than two, or they are too small.
    """
    if not len(outputs) == len(counterparts) == len(people) or len(people) < 2:
        raise DataError(
            f"{len(outputs)} outputs, {len(counterparts)} counterparts and {len(people)} attributes came, expected the "
            "same number of each, at least 2; pass as many, or translate more images"
        )
    read, read_truth = regressor.read(to_tensor(outputs)), regressor.read(to_tensor(counterparts))
    left_out = set(regressor.unreadable(min_skill))
    resamples = np.random.default_rng(seed).integers(len(people), size=(NUM_RESAMPLES, len(people)))
    return [
        _compare(
            column,
            column.values(people),
            read[column.name],
            read_truth[column.name],
            resamples,
            skill=regressor.held_out[column.name].skill,
        )
        for column in regressor.columns
        if column.name not in left_out
    ]


def _compare(
    column: Column, true: Values, read: Values, read_truth: Values, resamples: np.ndarray, *, skill: float
) -> KeptAttribute:
    value, chance = agreement(column.kind, true, read)
    ceiling, _ = agreement(column.kind, true, read_truth)
    kept = _kept(column.kind, true, read, read_truth)
    again = _kept(column.kind, true[resamples], read[resamples], read_truth[resamples])
    low, high = np.nanquantile(again, [0.025, 0.975]) if np.isfinite(again).any() else (np.nan, np.nan)
    return KeptAttribute(
        attribute=column.name,
        kind=column.kind,
        measure=MEASURES[column.kind],
        agreement=float(value),
        ceiling=float(ceiling),
        chance=float(chance),
        kept=_finite(kept),
        ci95_low=_finite(low),
        ci95_high=_finite(high),
        skill=skill,
        num_images=len(true),
    )


def _kept(kind: Kind, true: Values, read: Values, read_truth: Values) -> Float64[np.ndarray, "..."]:
    """Return the share kept over the last dimension; NaN where the ceiling is no better than chance."""
    value, chance = agreement(kind, true, read)
    room = agreement(kind, true, read_truth)[0] - chance
    return np.where(room > _MIN_RANGE, (value - chance) / np.maximum(room, _MIN_RANGE), np.nan)


def _finite(value: Values | float) -> float | None:
    return float(value) if np.isfinite(value) else None
