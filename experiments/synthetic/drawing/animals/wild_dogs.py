"""Foxes and wolves: coats of wild dogs."""

from dataclasses import replace

import numpy as np

from experiments.synthetic.drawing.animals import markings
from experiments.synthetic.drawing.animals.attributes import AnimalAttributes
from experiments.synthetic.drawing.animals.build import Build
from experiments.synthetic.drawing.animals.coat import Coat
from experiments.synthetic.drawing.animals.dog_muzzle import dog_muzzle
from experiments.synthetic.drawing.animals.kind import Kind, natural_fur
from experiments.synthetic.drawing.animals.markings import Line
from experiments.synthetic.drawing.animals.muzzle import Muzzle
from experiments.synthetic.drawing.animals.palette import EYES, WHITE_FUR
from experiments.synthetic.drawing.animals.relief import Spot
from experiments.synthetic.drawing.canvas import Mask
from experiments.synthetic.drawing.palette import mix

FOX = Build(
    outline=(
        (0.0, -0.82), (0.42, -0.78), (0.74, -0.54), (0.88, -0.10), (1.06, 0.28), (0.92, 0.56), (0.46, 0.82),
        (0.0, 0.95),
    ),
    ears=1.0,
    ear_height=0.74,
    ear_pink=0.10,
    neck=0.72,
    eye_x=0.385,
    eye_y=-0.08,
    eye_radius=0.140,
    eye_height=0.100,
    eye_slant=0.22,
    rim=0.026,
    glint=0.72,
    pupil_width=(0.22, 0.45),
    pupil_height=(0.62, 0.55),
    nose_y=0.47,
    nose_radius=0.125,
    nose_height=0.095,
    mouth_y=0.68,
    mouth_radius=0.25,
    gape=0.16,
    muzzle_radius=0.26,
    muzzle_tall=0.36,
    muzzle_height=0.52,
    bridge=0.28,
    snout=0.14,
    muzzle_lift=0.34,
    muzzle_reach=0.14,
)  # fmt: skip
WOLF = replace(
    FOX, ears=0.92, ear_height=0.58, neck=0.86, eye_y=-0.12, eye_height=0.088, nose_y=0.45, nose_radius=0.165,
    nose_height=0.12, mouth_y=0.69, mouth_radius=0.31, muzzle_radius=0.32, pupil_width=(0.30, 0.42),
    pupil_height=(0.30, 0.42), snout=0.26,
)  # fmt: skip

BLACK = (0.11, 0.09, 0.085)


def _eyes(attributes: AnimalAttributes) -> np.ndarray:
    """Between amber and the colour that the attributes say."""
    return mix((0.86, 0.60, 0.18), EYES[attributes.eye_colour], 0.35)


def _nose(coat: Coat) -> np.ndarray:
    """Black, or nearly."""
    return np.array((0.15, 0.125, 0.125)) - 0.04 * coat.attributes.nose_pigment


def _cheeks(coat: Coat, lift: float, half: Line) -> Mask:
    """Both cheeks down to the chin, given the upper edge of the right one from the nose outwards."""
    pose = coat.relief.pose
    right = np.array([*half, (0.70, 0.95), (0.20, 1.15)])
    points = np.concatenate([right, right[::-1] * (-1, 1)])
    raised = np.interp(np.abs(points[:, 0]), [0.1, 0.45], [lift, 0.0])
    return coat.canvas.fill(pose.to_frame(pose.on_face(points, raised)))


def _mark_fox(coat: Coat, muzzle: Muzzle) -> None:
    """White cheeks, chin and chest, a dark line from eye to nose, black ears."""
    white = _cheeks(
        coat, muzzle.lift, [(0.06, 0.62), (0.16, 0.40), (0.30, 0.20), (0.52, 0.20), (0.78, 0.30), (1.2, 0.26)]
    )
    coat.over(coat.head, coat.hairy(white, 0.018), WHITE_FUR)
    line: list[Line] = [[(0.20, 0.0), (0.22, 0.20), (0.22, 0.42)]]
    coat.over(coat.head, coat.hairy(markings.stripes(coat, line, 0.05), 0.008) * np.float32(0.55), BLACK)
    brows: list[Spot] = [(0.5, side * 0.32, -0.27, 0, 0.14, 0.07) for side in (-1, 1)]
    coat.over(coat.head, coat.relief.sum_of(brows), WHITE_FUR)
    coat.over(coat.body, np.clip(1.7 * np.exp(-((coat.relief.u / 0.55) ** 2)), 0, 1), WHITE_FUR)
    coat.over(coat.ears, np.clip((-0.92 - coat.relief.v) * 4, 0, 1), BLACK)


def _mark_wolf(coat: Coat, muzzle: Muzzle) -> None:
    """Pale cheeks and brows, a dark cap and bridge, dark rims of the ears."""
    relief = coat.relief
    cap: list[Spot] = [
        (0.75, 0, -0.62, 0, 0.60, 0.30), (0.55, 0, -0.10, 0.1, 0.12, 0.45), (0.35, 0, 0.25, 0.3, 0.13, 0.2),
    ]  # fmt: skip
    coat.over(coat.head, np.clip(relief.sum_of(cap) * (1 + 0.35 * coat.streaks), 0, 0.85), coat.dark)
    pale = _cheeks(
        coat, muzzle.lift, [(0.10, 0.56), (0.18, 0.34), (0.34, 0.14), (0.56, 0.08), (0.76, 0.26), (0.86, 0.70)]
    )
    coat.over(coat.head, coat.hairy(pale, 0.03) * np.float32(0.85), WHITE_FUR)
    brows: list[Spot] = [(0.75, side * 0.33, -0.33, 0, 0.15, 0.09) for side in (-1, 1)]
    coat.over(coat.head, relief.sum_of(brows), WHITE_FUR)
    coat.over(coat.body, np.clip(0.8 * np.exp(-((relief.u / 0.5) ** 2)), 0, 1), WHITE_FUR)
    coat.over(coat.ears, np.clip((-0.95 - relief.v) * 3, 0, 0.8), coat.dark)


def _fox_fur(attributes: AnimalAttributes) -> np.ndarray:
    """Red, or the silver fox's dark grey where a cat's would be black or grey."""
    if attributes.fur_colour in ("black", "charcoal", "grey", "silver"):
        return mix((0.36, 0.34, 0.35), natural_fur(attributes), 0.45)
    return mix((0.88, 0.44, 0.14), natural_fur(attributes), 0.22)


def _wolf_fur(attributes: AnimalAttributes) -> np.ndarray:
    return mix((0.56, 0.52, 0.47), natural_fur(attributes), 0.42)


FOX_KIND = Kind(build=FOX, mark=_mark_fox, fur=_fox_fur, eyes=_eyes, nose=_nose, muzzle=dog_muzzle, collar=False)
WOLF_KIND = Kind(build=WOLF, mark=_mark_wolf, fur=_wolf_fur, eyes=_eyes, nose=_nose, muzzle=dog_muzzle, collar=False)
