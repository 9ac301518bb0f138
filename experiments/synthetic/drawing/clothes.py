"""Outlines of shoulders and collars, in frame units; they move with the head but do not roll."""

from dataclasses import dataclass, field

import numpy as np

from experiments.synthetic.drawing.attributes import FaceAttributes
from experiments.synthetic.drawing.curves import PointList, Points, smooth_closed, smooth_open
from experiments.synthetic.drawing.pose import Pose


@dataclass(frozen=True)
class Clothes:
    """A garment with its neckline cut out of it, and collar pieces painted over it."""

    garment: Points
    collar: list[Points] = field(default_factory=list)


NECKLINES: dict[str, list[tuple[float, float]]] = {
    "crew": [(0.50, 1.20), (0.30, 1.40), (0.0, 1.47), (-0.30, 1.40), (-0.50, 1.20)],
    "v_neck": [(0.50, 1.18), (0.26, 1.48), (0.0, 1.76), (-0.26, 1.48), (-0.50, 1.18)],
    "shirt": [(0.46, 1.14), (0.22, 1.36), (0.0, 1.56), (-0.22, 1.36), (-0.46, 1.14)],
    "hood": [(0.54, 1.16), (0.32, 1.40), (0.0, 1.50), (-0.32, 1.40), (-0.54, 1.16)],
}


def clothes_of(attributes: FaceAttributes, pose: Pose) -> Clothes:
    """A person's garment."""
    broad = 1.35 + 0.18 * (attributes.jaw_width - 0.95) / 0.1
    slope = [(-broad - 0.25, 2.4), (-broad - 0.10, 1.75), (-broad + 0.25, 1.46), (-0.78, 1.30), (-0.50, 1.16)]
    shoulders = [*slope, *[(-x, y) for x, y in slope[::-1]]]
    neckline = NECKLINES[attributes.collar]

    def place(points: PointList) -> Points:
        return pose.body_to_frame(points)

    left, right = smooth_open(shoulders[:5]), smooth_open(shoulders[5:])
    cut = smooth_open(neckline) if attributes.collar != "v_neck" else np.asarray(neckline)
    garment = np.concatenate([left, cut[::-1], right])
    collar: list[Points] = []
    if attributes.collar == "shirt":
        collar = [np.array([(s * 0.46, 1.04), (s * 0.58, 1.18), (s * 0.40, 1.62), (s * 0.02, 1.54)]) for s in (-1, 1)]
    elif attributes.collar == "hood":
        collar = [
            smooth_closed(
                [
                    (s * 0.50, 1.05),
                    (s * 0.80, 1.20),
                    (s * 0.62, 1.55),
                    (s * 0.10, 1.72),
                    (s * 0.05, 1.50),
                    (s * 0.36, 1.36),
                ]
            )
            for s in (-1, 1)
        ]
    return Clothes(place(garment), [place(piece) for piece in collar])
