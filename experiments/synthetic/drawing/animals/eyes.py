"""Eyes: their outlines, and eyes painted like a photograph."""

from dataclasses import dataclass

import numpy as np

from experiments.synthetic.drawing.animals.attributes import AnimalAttributes
from experiments.synthetic.drawing.animals.build import Build
from experiments.synthetic.drawing.animals.skull import youth
from experiments.synthetic.drawing.canvas import Canvas
from experiments.synthetic.drawing.curves import Points, ellipse, rotate
from experiments.synthetic.drawing.pose import Pose

RIM = np.array((0.09, 0.07, 0.07))


@dataclass(frozen=True)
class Eye:
    """One eye in frame units: the opening between the lids, the line of the upper lid, iris, pupil and glint."""

    opening: Points
    upper_lid: Points
    iris: Points
    pupil: Points
    glint: Points


def eye_of(attributes: AnimalAttributes, build: Build, pose: Pose, side: int) -> Eye:
    """The eye on the left (-1) or right (1) of the image; a cub's is larger and lower."""
    young = youth(attributes)
    size = attributes.eye_size * (1 + 0.10 * young)
    a, b = build.eye_radius * size, build.eye_height * size * attributes.eye_openness
    x, y = side * build.eye_x * attributes.eye_spacing, build.eye_y + 0.04 * young
    t = np.linspace(np.pi, 0, 13)
    along, corner = x + a * np.cos(t) * side, 0.03 * (np.cos(t) < -0.8)
    upper = np.stack([along, y - b * np.sin(t) ** 0.8 + corner], axis=1)
    lower = np.stack([along, y + 0.82 * b * np.sin(t) ** 0.9 + corner], axis=1)
    tilt = -(attributes.eye_tilt + build.eye_slant) * side
    lids = pose.to_frame(pose.on_face(rotate(np.concatenate([upper, lower[::-1]]), tilt, (x, y))))
    middle = pose.on_face(np.array([(x + 0.045 * attributes.gaze_x, y - 0.01 + 0.03 * attributes.gaze_y)]))[0]

    def disc(dx: float, dy: float, radius_x: float, radius_y: float) -> Points:
        return pose.to_frame(ellipse(middle + np.array((dx, dy)), radius_x * np.cos(pose.yaw), radius_y, 20))

    radius, spot = build.iris * a, build.glint
    width, height = (low + (high - low) * attributes.pupil for low, high in (build.pupil_width, build.pupil_height))
    return Eye(
        opening=lids,
        upper_lid=lids[: len(upper)],
        iris=disc(0, 0, radius, radius),
        pupil=disc(0, 0, radius * width, radius * height),
        glint=disc(spot * (-0.06 if attributes.light_x < 0 else 0.06), -0.065 * spot, 0.042 * spot, 0.042 * spot),
    )


def paint_eyes(canvas: Canvas, attributes: AnimalAttributes, eyes: list[Eye], colour: np.ndarray, rim: float) -> None:
    """Dark rims of width `rim`, irises lit from below, pupils, the shadows of the lids, glints."""
    openings = [eye.opening for eye in eyes]
    outline = canvas.stroke(*openings, width=rim, closed=True)
    canvas.shade(canvas.blur(outline, 0.016), (0.62, 0.58, 0.58))
    opening = canvas.fill(*openings)
    canvas.paint(np.maximum(outline, opening), RIM)
    canvas.paint(canvas.fill(*[eye.iris for eye in eyes]) * opening, _iris(canvas, attributes, eyes, colour))
    canvas.paint(canvas.fill(*[eye.pupil for eye in eyes]) * opening, (0.03, 0.03, 0.035))
    lid = canvas.stroke(*[eye.upper_lid for eye in eyes], width=0.03)
    canvas.shade(canvas.blur(canvas.shifted(lid, 0, 0.012), 0.014) * opening, (0.42, 0.40, 0.40))
    canvas.paint(canvas.fill(*[eye.glint for eye in eyes]) * opening, (1, 1, 1), 0.95)


def _iris(canvas: Canvas, attributes: AnimalAttributes, eyes: list[Eye], colour: np.ndarray) -> np.ndarray:
    """Colour [R, R, 3] of both irises: pale round the pupil, dark at the rim, lit on the side away from the light."""
    near = np.full_like(canvas.x, 9.0)
    across = np.zeros_like(canvas.x)
    for eye in eyes:
        middle = eye.iris.mean(axis=0).astype(np.float32)
        radius = np.float32(np.ptp(eye.iris[:, 1]) / 2)
        dx, dy = (canvas.x - middle[0]) / radius, (canvas.y - middle[1]) / radius
        square = dx * dx + dy * dy
        closer = square < near
        near = np.where(closer, square, near)
        across = np.where(closer, dy - np.float32(0.3 * np.sign(attributes.light_x)) * dx, across)
    glow = 0.88 + 0.30 * np.clip(across, -1, 1) - 0.42 * np.clip(near - 0.45, 0, 1)
    pale = np.array((0.10, 0.02, -0.26), dtype=np.float32) * np.exp(-2.2 * near)[..., None]
    return np.asarray(colour * (1 + pale) * glow[..., None])
