"""`cat`: a cat's head like a photograph."""

import numpy as np

from experiments.synthetic.drawing.animals import markings
from experiments.synthetic.drawing.animals.attributes import AnimalAttributes
from experiments.synthetic.drawing.animals.build import Build
from experiments.synthetic.drawing.animals.coat import Coat
from experiments.synthetic.drawing.animals.kind import Kind
from experiments.synthetic.drawing.animals.muzzle import Muzzle
from experiments.synthetic.drawing.animals.palette import FURS, POINTS, WHITE_FUR
from experiments.synthetic.drawing.animals.portrait import paint_animal
from experiments.synthetic.drawing.animals.relief import Spot
from experiments.synthetic.drawing.palette import mix
from experiments.synthetic.drawing.registry import register_style


def _pale_face(coat: Coat, lift: float, amount: float) -> None:
    """Lighter fur on the muzzle, over and under the eyes."""
    soft: list[Spot] = [(amount, 0, 0.62, lift, 0.30, 0.26)]
    soft += [(0.7 * amount, side * 0.40, y, 0, 0.24, 0.09) for side in (-1, 1) for y in (-0.24, 0.14)]
    coat.over(coat.head, np.clip(coat.relief.sum_of(soft), 0, 1), coat.pale)


def _dark_marks(coat: Coat) -> None:
    """Stripes of a tabby or spots of a spotted cat, and bars on the chest."""
    attributes, relief = coat.attributes, coat.relief
    spotted = attributes.pattern == "spots"
    lines = markings.FOREHEAD[:1] + markings.CHEEK[:1] if spotted else markings.FOREHEAD + markings.CHEEK
    marks = markings.stripes(coat, lines, 0.052 * attributes.pattern_scale)
    if spotted:
        marks = np.maximum(marks, markings.spots_mask(coat))
    strength = np.float32(0.55 + 0.4 * attributes.pattern_contrast)
    coat.over(coat.head, coat.hairy(marks, 0.008) * strength, coat.dark)
    bars = np.sin(relief.v * 15 + relief.u * relief.u * 3) > 0.2
    coat.over(coat.body, bars * np.float32(0.45), coat.dark)


def _white(coat: Coat, lift: float) -> None:
    """White on muzzle and chest, with a blaze where the pattern has one."""
    attributes = coat.attributes
    amount = {"tuxedo": 1.0, "patches": 1.0, "points": 0.0}.get(attributes.pattern, attributes.white - 0.35)
    if amount <= 0:
        return
    blaze = attributes.white if attributes.pattern in ("tuxedo", "patches") else 0.0
    coat.over(coat.head, coat.hairy(markings.white_of_muzzle(coat, lift, blaze)), WHITE_FUR)
    bib = np.exp(-((coat.relief.u / 0.55) ** 2)) * np.float32(1.0)
    coat.over(coat.body, np.clip(bib * 1.6, 0, 1), WHITE_FUR)


def _mark(coat: Coat, muzzle: Muzzle) -> None:
    attributes = coat.attributes
    if attributes.pattern in ("tabby", "spots", "plain"):
        _pale_face(coat, muzzle.lift, 0.35 if attributes.pattern == "plain" else 0.8)
    if attributes.pattern in ("tabby", "spots"):
        _dark_marks(coat)
    elif attributes.pattern == "patches":
        second = FURS[attributes.second_colour]
        coat.over(coat.head, coat.hairy(markings.patches(coat)), second)
        coat.ears[coat.relief.u * attributes.pattern_side > 0] = second
    elif attributes.pattern == "points":
        dark = np.array(POINTS[attributes.second_colour])
        coat.over(coat.head, markings.points_mask(coat, 0.65 + 0.3 * attributes.pattern_contrast), dark)
        coat.ears[:] = coat.ear_colour = dark
    _white(coat, muzzle.lift)
    grey = max(0.0, attributes.age - 0.7) * 1.6
    old = coat.relief.sum_of([(grey, 0, 0.60, muzzle.lift, 0.34, 0.28)])
    coat.over(coat.head, old, mix(coat.base, (0.8, 0.8, 0.8), 0.7))


CAT = Kind(build=Build(), mark=_mark)


@register_style("cat", subject="animal")
def paint_cat(attributes: AnimalAttributes, resolution: int) -> np.ndarray:
    """A photo-like cat, uint8 [R, R, 3]."""
    return paint_animal(attributes, CAT, resolution)
