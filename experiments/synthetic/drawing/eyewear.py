"""Outlines of glasses, in frame units, centred on the eyes and moved by the same pose."""

from dataclasses import dataclass

import numpy as np

from experiments.synthetic.drawing.anatomy import EYE_Y
from experiments.synthetic.drawing.attributes import FaceAttributes
from experiments.synthetic.drawing.curves import Points, rounded_box
from experiments.synthetic.drawing.pose import Pose

LENSES = {
    "round": (0.225, 0.215, 1.0),
    "square": (0.245, 0.180, 0.55),
    "half_rim": (0.245, 0.160, 0.60),
    "sunglasses": (0.265, 0.200, 0.70),
}
"""Half width, half height and superellipse exponent of a lens."""


@dataclass(frozen=True)
class Glasses:
    """Two lenses, their rims, the bridge, the arms (which go under the hair), and whether the lenses are dark."""

    lenses: list[Points]
    rims: list[Points]
    bridge: Points
    arms: list[Points]
    dark: bool


def glasses_of(attributes: FaceAttributes, pose: Pose) -> Glasses | None:
    """A person's glasses, or None."""
    if attributes.glasses == "none":
        return None
    half_width, half_height, exponent = LENSES[attributes.glasses]
    spacing, y = max(attributes.eye_spacing, half_width + 0.06), EYE_Y + 0.02

    def place(points: np.ndarray | list[tuple[float, float]]) -> Points:
        return pose.to_frame(pose.on_face(points, 0.05))

    boxes = [rounded_box(side * spacing, y, half_width, half_height, exponent) for side in (-1, 1)]
    upper_half = [np.concatenate([box[15:], box[:2]]) for box in boxes]
    bridge = [
        (x, y - 0.05 - 0.03 * (1 - (x / 0.1) ** 2)) for x in np.linspace(half_width - spacing, spacing - half_width, 5)
    ]
    arms = []
    for side in (-1, 1):
        hinge = pose.on_face([(side * (spacing + half_width), y - 0.05)], 0.05)[0]
        ear = (side * attributes.head_width - 0.12 * pose.turn, y - 0.03)
        if side * (ear[0] - hinge[0]) > 0:
            arms.append(pose.to_frame([tuple(hinge), ear]))
    return Glasses(
        lenses=[place(box) for box in boxes],
        rims=[place(line) for line in (upper_half if attributes.glasses == "half_rim" else boxes)],
        bridge=place(bridge),
        arms=arms,
        dark=attributes.glasses == "sunglasses",
    )
