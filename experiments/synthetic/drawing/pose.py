"""From head units to the frame: the head as an ellipsoid that turns, tilts, and sits somewhere in the image."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from experiments.synthetic.drawing.attributes import FaceAttributes
from experiments.synthetic.drawing.curves import PointList, Points

HEAD_SCALE = 0.338
"""Half the head's height in frame units."""
HEAD_CENTRE = (0.5, 0.485)


@dataclass(frozen=True)
class Pose:
    """Maps head units (origin in the middle of the head, x right, y down, chin near y = 1) to frame units."""

    yaw: float
    pitch: float
    roll: float
    centre: tuple[float, float]
    scale: float
    head_width: float

    @cached_property
    def turn(self) -> float:
        """How far, in head units, the middle of the face moves sideways."""
        return float(np.sin(self.yaw)) * self.head_width

    @cached_property
    def _cosines(self) -> tuple[Any, Any, Any, Any]:
        """Cosine and sine of yaw and of pitch."""
        return np.cos(self.yaw), np.sin(self.yaw), np.cos(self.pitch), np.sin(self.pitch)

    @cached_property
    def _rolled(self) -> np.ndarray:
        """Matrix that turns rows by the roll."""
        c, s = np.cos(self.roll), np.sin(self.roll)
        return np.array([[c, s], [-s, c]])

    def on_face(self, points: PointList, lift: float | np.ndarray = 0.0) -> Points:
        """Points on the face, moved by yaw and pitch as points on an ellipsoid, `lift` units proud of it."""
        flat = np.asarray(points, dtype=np.float64)
        x, y = flat[..., 0], flat[..., 1]
        depth = np.sqrt(np.maximum(0.04, 1 - (x / (1.04 * self.head_width)) ** 2 - (y / 1.25) ** 2))
        cos_yaw, sin_yaw, cos_pitch, sin_pitch = self._cosines
        placed = np.empty_like(flat)
        placed[..., 0] = x * cos_yaw + (depth * self.head_width + lift) * sin_yaw
        placed[..., 1] = y * cos_pitch + (depth * 0.9 + lift) * sin_pitch
        return placed

    def to_frame(self, points: PointList) -> Points:
        """Head units to frame units, with the head's roll."""
        return np.asarray(points, dtype=np.float64) @ self._rolled * self.scale + self.centre

    def body_to_frame(self, points: PointList) -> Points:
        """Head units to frame units for what does not roll with the head."""
        return np.asarray(points, dtype=np.float64) * self.scale + self.centre

    def to_head(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frame coordinates [R, R] to head units [R, R]."""
        c, s = np.float32(np.cos(self.roll)), np.float32(np.sin(self.roll))
        dx = (x - np.float32(self.centre[0])) / np.float32(self.scale)
        dy = (y - np.float32(self.centre[1])) / np.float32(self.scale)
        return c * dx + s * dy, c * dy - s * dx


def pose_of(attributes: FaceAttributes) -> Pose:
    """Pose of a person."""
    return Pose(
        yaw=attributes.yaw,
        pitch=attributes.pitch,
        roll=attributes.roll,
        centre=(HEAD_CENTRE[0] + attributes.shift_x, HEAD_CENTRE[1] + attributes.shift_y),
        scale=HEAD_SCALE * attributes.scale,
        head_width=attributes.head_width,
    )
