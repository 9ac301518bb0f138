"""What the ground truth says of the paper's central claim, and of a baseline, from small tables."""

import pandas as pd
import pytest

from experiments.paper.tables.truth_claims import truth_claims


def truth(variant: str, distances: list[float], copy: float = 0.6) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"variant": variant, "metric": "lpips", "input_path": str(place), "distance": value, "copy_distance": copy}
            for place, value in enumerate(distances)
        ]
    )


def test_the_truth_decides_image_by_image() -> None:
    """Images differ by far more than systems do, so that only pairs show which is nearer."""
    own = [0.1, 0.5, 0.3, 0.9]
    others = truth("CycleGAN", [value + 0.02 + 0.001 * place for place, value in enumerate(own)])
    nearer, than_inputs, swapped = truth_claims({"anime": truth("FC-FT", own)}, {"anime": others.iloc[::-1]})
    (case,) = nearer.cases
    assert (case.column, case.aspect) == ("anime", "lpips") and not nearer.is_of_the_paper
    assert case.differences == pytest.approx((0.0215,)) and case.errors[0] < 0.001
    assert nearer.verdict == "direction only", "of one training"
    assert than_inputs.verdict == "cannot be told", "0.15 ± 0.54 over four images"
    assert swapped.verdict == "not measured"


def test_a_baseline_that_is_farther_than_its_inputs_is_no_control() -> None:
    own, others = {"anime": truth("FC-FT", [0.1, 0.11])}, {"anime": truth("CycleGAN", [0.7, 0.71])}
    nearer, than_inputs, _ = truth_claims(own, others)
    assert (
        nearer.verdict == "control missing"
        and "anime: LPIPS to the truth 0.705 against 0.600" in nearer.missing_control
    )
    assert than_inputs.verdict == "direction only"
