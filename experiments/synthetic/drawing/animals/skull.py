"""The head's pose and outline, and the neck below it."""

import numpy as np

from experiments.synthetic.drawing.animals.attributes import AnimalAttributes
from experiments.synthetic.drawing.animals.build import Build
from experiments.synthetic.drawing.curves import Points, smooth_closed
from experiments.synthetic.drawing.pose import Pose

HEAD_SCALE = 0.392
"""Half the head's height in frame units: the head fills the frame."""
HEAD_CENTRE = (0.5, 0.565)


def pose_of_animal(attributes: AnimalAttributes, build: Build) -> Pose:
    """Pose of an animal."""
    return Pose(
        yaw=attributes.yaw,
        pitch=attributes.pitch,
        roll=attributes.roll,
        centre=(HEAD_CENTRE[0] + attributes.shift_x, HEAD_CENTRE[1] + attributes.shift_y),
        scale=HEAD_SCALE * attributes.scale * build.size,
        head_width=attributes.head_width,
    )


def youth(attributes: AnimalAttributes) -> float:
    """1 for a cub to 0 from middle age on."""
    return max(0.0, 1 - attributes.age / 0.45)


def muzzle_lift(attributes: AnimalAttributes, build: Build) -> float:
    """How far the muzzle stands off the face, in head units."""
    return build.muzzle_lift + build.muzzle_reach * attributes.muzzle_length * (1 - 0.4 * youth(attributes))


def head_outline(attributes: AnimalAttributes, build: Build, pose: Pose) -> Points:
    """Closed outline of the head in frame units; the lower face follows the turn."""
    half = np.array(build.outline)
    cheeks = np.interp(half[:, 1], [-0.2, 0.3, 0.7, 1.0], [1, attributes.cheek_width, attributes.cheek_width, 1])
    half[:, 0] *= attributes.head_width * cheeks
    half[:, 1] += np.interp(half[:, 1], [0.5, 1], [0, 1]) * (
        attributes.chin_length + build.gape * attributes.mouth_open
    )
    outline = np.concatenate([half, half[-2:0:-1] * (-1, 1)])
    outline[:, 0] += np.interp(outline[:, 1], [-1, -0.2, 0.3, 1.0], [0.0, 0.05, 0.18, 0.42]) * pose.turn
    outline[:, 1] += np.interp(outline[:, 1], [-1, 0, 1], [0.1, 0, 0.25]) * np.sin(pose.pitch)
    return pose.to_frame(smooth_closed(outline))


def body_outline(attributes: AnimalAttributes, build: Build, pose: Pose) -> Points:
    """Neck and chest, in frame units."""
    wide = build.neck + 0.20 * attributes.fluffiness
    right = [(0.62, 0.2), (wide * 0.95, 0.8), (wide * 1.12, 1.3), (wide * 1.2, 1.8)]
    left = [(-x, y) for x, y in reversed(right)]
    return pose.body_to_frame(smooth_closed([left[-1], *right, (0, 2.0), *left[:-1]], 5))
