"""Outlines of facial hair, in frame units."""

import numpy as np

from experiments.synthetic.drawing.anatomy import MOUTH_Y, head_outline
from experiments.synthetic.drawing.attributes import FaceAttributes
from experiments.synthetic.drawing.curves import Points, smooth_closed
from experiments.synthetic.drawing.pose import Pose


def _moustache(attributes: FaceAttributes, pose: Pose) -> Points:
    half, y = 0.27 * attributes.mouth_width, MOUTH_Y - 0.05 - 0.04 * max(0.0, attributes.mouth_open)
    droop = 0.07 - 0.05 * attributes.smile
    edge = [
        (0, y - 0.085), (half * 0.6, y - 0.06), (half, y + droop), (half * 0.75, y + 0.045), (0, y + 0.01),
        (-half * 0.75, y + 0.045), (-half, y + droop), (-half * 0.6, y - 0.06),
    ]  # fmt: skip
    return pose.to_frame(pose.on_face(smooth_closed(edge), 0.05))


def _goatee(attributes: FaceAttributes, pose: Pose) -> Points:
    low = 1.03 + attributes.chin_length
    top = MOUTH_Y + 0.17 + 0.1 * attributes.mouth_open
    edge = [
        (0, top),
        (0.15, top + 0.02),
        (0.21, 0.86),
        (0.12, low),
        (0, low + 0.04),
        (-0.12, low),
        (-0.21, 0.86),
        (-0.15, top + 0.02),
    ]
    points = smooth_closed(edge) + np.array((0.30 * pose.turn, 0.2 * np.sin(pose.pitch)))
    return pose.to_frame(points)


def _beard(attributes: FaceAttributes, pose: Pose, fullness: float) -> Points:
    """Band along the jaw from ear to ear, leaving the mouth and cheeks bare."""
    outline = head_outline(attributes, pose)
    middle = np.array([0.1 * pose.turn, 0.1])
    jaw = outline[outline[:, 1] > 0.12]
    jaw = jaw[np.argsort(np.arctan2(jaw[:, 1] - 0.1, jaw[:, 0] - middle[0]))]
    outer = middle + (jaw - middle) * (1 + fullness)
    cheek = [
        (-0.90, 0.14),
        (-0.80, 0.40),
        (-0.56, 0.52),
        (-0.36, 0.44),
        (0, 0.42),
        (0.36, 0.44),
        (0.56, 0.52),
        (0.80, 0.40),
        (0.90, 0.14),
    ]
    inner = np.array([(x * attributes.head_width, y) for x, y in cheek])
    inner[1:-1] = pose.on_face(inner[1:-1], 0.02)
    return pose.to_frame(np.concatenate([outer, inner]))


def beard_of(attributes: FaceAttributes, pose: Pose) -> list[Points]:
    """Outlines of a person's facial hair; stubble has the outline of a beard."""
    if attributes.facial_hair == "moustache":
        return [_moustache(attributes, pose)]
    if attributes.facial_hair == "goatee":
        return [_moustache(attributes, pose), _goatee(attributes, pose)]
    if attributes.facial_hair in ("beard", "stubble"):
        return [_beard(attributes, pose, 0.06 if attributes.facial_hair == "beard" else 0.0)]
    return []
