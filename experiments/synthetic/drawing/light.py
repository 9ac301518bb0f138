"""One distant light on a head: the head is an ellipsoid, its features are Gaussian bumps and hollows on it."""

import numpy as np

from experiments.synthetic.drawing.attributes import FaceAttributes
from experiments.synthetic.drawing.canvas import Canvas, Mask
from experiments.synthetic.drawing.curves import Points
from experiments.synthetic.drawing.pose import Pose

Spot = tuple[float, float, float, float, float, float]
"""A Gaussian on the face: strength, x, y and lift of its middle, radius along x and along y, in head units."""


class Light:
    """Light on the head, taken as an ellipsoid: the Lambert term and the coordinates of each pixel in head units."""

    def __init__(self, canvas: Canvas, attributes: FaceAttributes, pose: Pose) -> None:
        self.u, self.v = pose.to_head(canvas.x, canvas.y)
        direction = np.array([attributes.light_x, attributes.light_y, 0.95])
        self.direction = (direction / np.linalg.norm(direction)).astype(np.float32)
        self.radii = (attributes.head_width * 1.12, 1.22)
        self.head = self.lambert(*self.radii, 0.0, 0.05)
        self.hair = self.lambert(attributes.head_width * 1.35, 1.30, -0.13 * pose.turn, 0.0, 0.25)

    def lambert(self, radius_x: float, radius_y: float, x: float, y: float, lowest: float = 9.0) -> Mask:
        """max(0, n . l) on an ellipsoid [R, R] that goes on as a cylinder below `lowest`.

        Beyond the rim the normal lies in the image's plane.
        """
        nx = (self.u - np.float32(x)) / np.float32(radius_x)
        ny = (np.minimum(self.v, np.float32(lowest)) - np.float32(y)) / np.float32(radius_y)
        square = nx * nx + ny * ny
        nz = np.sqrt(np.maximum(0, 1 - square))
        length = np.sqrt(np.maximum(1, square))
        along = (nx * self.direction[0] + ny * self.direction[1]) / length + nz * self.direction[2]
        return np.maximum(0, along)

    def contours(self) -> Mask:
        """Direction [R, R] in radians of the lines of equal light on the head's ellipsoid, n . l = constant."""
        nx, ny = self.u / np.float32(self.radii[0]), (self.v - np.float32(0.05)) / np.float32(self.radii[1])
        nz = np.sqrt(np.maximum(0, 1 - nx * nx - ny * ny))
        slope_x = (self.direction[0] * nz - self.direction[2] * nx) / np.float32(self.radii[0])
        slope_y = (self.direction[1] * nz - self.direction[2] * ny) / np.float32(self.radii[1])
        return np.arctan2(slope_x, -slope_y)

    def spot(self, at: Points, radius_x: float, radius_y: float | None = None) -> Mask:
        """Gaussian [R, R] around a point of head units."""
        dx = (self.u - np.float32(at[0])) / np.float32(radius_x)
        dy = (self.v - np.float32(at[1])) / np.float32(radius_y or radius_x)
        return np.exp(-(dx * dx + dy * dy))


def sum_of_spots(light: Light, pose: Pose, spots: list[Spot]) -> Mask:
    """Sum [R, R] of Gaussians that move with the face."""
    table = np.array(spots)
    middles = pose.on_face(table[:, 1:3], table[:, 3])
    total = np.zeros_like(light.u)
    for (strength, *_, radius_x, radius_y), middle in zip(table.astype(np.float32), middles, strict=True):
        total += strength * light.spot(middle, radius_x, radius_y)
    return total
