"""Tall drawn eyes: outlines in frame units, from the same attributes as `anatomy`'s natural ones."""

from dataclasses import dataclass

import numpy as np

from experiments.synthetic.drawing.attributes import FaceAttributes
from experiments.synthetic.drawing.curves import Points, ellipse, ribbon, rotate, taper
from experiments.synthetic.drawing.pose import Pose

LARGE_EYE_Y = 0.03


@dataclass(frozen=True)
class LargeEye:
    """One tall eye: outlines in frame units, and the height of the iris's top and bottom."""

    white: Points
    lash: Points
    lower_lash: Points
    crease: Points
    iris: Points
    pupil: Points
    glints: list[Points]
    top: float
    bottom: float


def large_eye(attributes: FaceAttributes, pose: Pose, side: int) -> LargeEye:
    """The eye on one side (-1 is the left of the image)."""
    made_up = attributes.lashes
    size = 0.55 + 0.45 * attributes.eye_size
    half_width = 0.190 * size
    height = 0.225 * size * float(np.clip(attributes.eye_openness, 0.72, 1.2)) * (0.86 + 0.16 * made_up)
    x, y = side * (attributes.eye_spacing + 0.005), LARGE_EYE_Y
    t = np.linspace(np.pi, 0, 13)
    along = x + half_width * np.sign(np.cos(t)) * np.abs(np.cos(t)) ** 0.8 * side
    upper = np.stack([along, y - height * np.sin(t) ** 0.7], axis=1)
    squint = 1 - 0.15 * max(0.0, attributes.smile)
    lower = np.stack([along, y + 0.95 * height * squint * np.sin(t) ** 0.8], axis=1)
    tilt = -0.9 * attributes.eye_tilt * side - 0.04 * side

    def place(points: Points) -> Points:
        return pose.to_frame(pose.on_face(rotate(points, tilt, (x, y))))

    radius = np.array((0.128 * np.cos(pose.yaw), 0.190)) * size * (0.9 + 0.1 * made_up)
    middle = pose.on_face(np.array([(x + 0.05 * attributes.gaze_x, y - 0.015 + 0.03 * attributes.gaze_y)]))[0]

    def disc(dx: float, dy: float, factor: float, num: int = 20) -> Points:
        return pose.to_frame(ellipse(middle + radius * (dx, dy), factor * radius[0], factor * radius[1], num))

    lit = -1.0 if attributes.light_x < 0 else 1.0
    flick = np.array([(0.035 * side, -0.02 + 0.03 * (1 - made_up))]) * (0.4 + 0.8 * made_up)
    widths = taper(13, 0.014, 0.034 + 0.010 * made_up, 0.036 + 0.014 * made_up)
    frame = pose.to_frame(middle + radius * np.array([(0, -1), (0, 1)]))
    return LargeEye(
        white=place(np.concatenate([upper, lower[::-1]])),
        lash=place(ribbon(np.concatenate([upper, upper[-1:] + flick]), np.append(widths, 0.004))),
        lower_lash=place(ribbon(lower[5:12], taper(7, 0.003, 0.009, 0.012))),
        crease=place(ribbon(upper[3:11] + np.array((0, -0.055)), taper(8, 0.003, 0.009, 0.003))),
        iris=disc(0, 0, 1.0, 24),
        pupil=disc(0, -0.08, 0.48),
        glints=[disc(0.36 * lit, -0.42, 0.36, 14), disc(-0.34 * lit, 0.42, 0.20, 12)],
        top=float(frame[0, 1]),
        bottom=float(frame[1, 1]),
    )
