"""The head as a relief: an ellipsoid with Gaussian bumps and hollows, lit from a distance."""

import numpy as np

from experiments.synthetic.drawing.canvas import Canvas, Mask
from experiments.synthetic.drawing.pose import Pose

Spot = tuple[float, float, float, float, float, float]
"""A Gaussian on the face: strength, x, y and lift of its middle, radius along x and along y, in head units."""


class Relief:
    """Coordinates of each pixel in head units, Gaussians that move with the face, and light on a height field."""

    def __init__(self, canvas: Canvas, pose: Pose, light_x: float, light_y: float) -> None:
        self.pose = pose
        self.u, self.v = pose.to_head(canvas.x, canvas.y)
        self.pixel = 1 / (canvas.resolution * pose.scale)
        direction = np.array([light_x, light_y, 0.85])
        self.direction = (direction / np.linalg.norm(direction)).astype(np.float32)

    def spots(self, spots: list[Spot]) -> np.ndarray:
        """Gaussians [n, R, R] of `spots` times their strengths."""
        table = np.array(spots)
        middles = self.pose.on_face(table[:, 1:3], table[:, 3])
        near = np.float32(1) / table[:, 4:6].astype(np.float32)
        shift = middles.astype(np.float32) * near
        column = (slice(None), None, None)
        dx = self.u * near[:, 0][column] - shift[:, 0][column]
        dy = self.v * near[:, 1][column] - shift[:, 1][column]
        dx *= dx
        dy *= dy
        dx += dy
        np.negative(dx, out=dx)
        bumps = np.exp(dx, out=dx)
        bumps *= table[:, 0].astype(np.float32)[column]
        return bumps

    def sum_of(self, spots: list[Spot]) -> Mask:
        """Sum [R, R] of `spots`."""
        return np.asarray(self.spots(spots).sum(axis=0))

    def dome(self, radius_x: float, radius_y: float, x: float, y: float) -> Mask:
        """Height [R, R] of an ellipsoid of depth 1, smoothly 0 outside."""
        square = ((self.u - np.float32(x)) / np.float32(radius_x)) ** 2 + (
            (self.v - np.float32(y)) / np.float32(radius_y)
        ) ** 2
        return np.sqrt(np.maximum(np.float32(0.02), 1 - square))

    def lit(self, height: Mask, wrap: float = 0.3) -> Mask:
        """Light [R, R] in [0, 1] on a height field in head units, wrapped round the edge by `wrap` as fur does."""
        along_y, along_x = np.gradient(height, np.float32(self.pixel))
        facing = self.direction[2] - along_x * self.direction[0] - along_y * self.direction[1]
        facing = facing / np.sqrt(1 + along_x * along_x + along_y * along_y)
        return np.maximum(0, (facing + np.float32(wrap)) / np.float32(1 + wrap))
