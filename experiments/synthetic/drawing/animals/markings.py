"""Markings of the coat as masks [R, R] in [0, 1]: stripes, spots, white, patches and points."""

import numpy as np

from experiments.synthetic.drawing.animals.coat import Coat
from experiments.synthetic.drawing.animals.relief import Spot
from experiments.synthetic.drawing.canvas import Mask
from experiments.synthetic.drawing.curves import ellipse, ribbon, smooth_closed, smooth_open, taper

Line = list[tuple[float, float]]

FOREHEAD: list[Line] = [
    [(0.0, -0.50), (0.0, -0.66), (0.0, -0.90)],
    [(0.11, -0.34), (0.125, -0.54), (0.20, -0.88)],
    [(0.235, -0.40), (0.26, -0.56), (0.36, -0.80)],
    [(0.20, -0.35), (0.30, -0.38), (0.42, -0.46), (0.50, -0.60), (0.53, -0.72)],
]
"""Lines of a tabby's m, on the right half of the face in head units."""
CHEEK: list[Line] = [
    [(0.60, -0.02), (0.80, 0.05), (1.0, 0.14)],
    [(0.52, 0.20), (0.74, 0.27), (0.97, 0.32)],
    [(0.60, 0.42), (0.74, 0.47), (0.90, 0.53)],
]
SPOTS = [
    (0.0, -0.48), (0.0, -0.70), (0.17, -0.42), (0.16, -0.62), (0.34, -0.52), (0.32, -0.72), (0.52, -0.56),
    (0.70, -0.20), (0.86, -0.05), (0.72, 0.10), (0.88, 0.22), (0.68, 0.34), (0.84, 0.44), (0.62, 0.56),
]  # fmt: skip


def stripes(coat: Coat, lines: list[Line], thickness: float) -> Mask:
    """Tapered stripes along `lines` of the right half of the face, mirrored; `thickness` is half the widest."""
    pose, outlines = coat.relief.pose, []
    for line in lines:
        curve = smooth_open(line, 5)
        sides = [curve, curve * (-1, 1)] if any(x for x, _ in line) else [curve]
        widths = taper(len(curve), 0.25, 1.0, 0.45) * thickness
        outlines += [pose.to_frame(ribbon(half, widths)) for half in pose.on_face(np.stack(sides))]
    return coat.canvas.fill(*outlines)


def white_of_muzzle(coat: Coat, lift: float, blaze: float) -> Mask:
    """Muzzle, chin and a blaze between the eyes, from a thin one at `blaze` 0 to a broad one at 1."""
    pose, top, side = coat.relief.pose, -0.42 - 0.35 * blaze, 0.045 + 0.11 * blaze
    half: Line = [
        (0.0, top), (side * 0.7, -0.22), (side + 0.01, 0.08), (0.20, 0.26), (0.42, 0.43), (0.49, 0.70), (0.42, 0.95),
        (0.22, 1.12),
    ]  # fmt: skip
    points = np.array([*half, *[(-x, y) for x, y in half[:0:-1]]])
    raised = np.interp(points[:, 1], [-0.4, 0.3, 1], [0, 0.6 * lift, 0.4 * lift])
    return coat.canvas.fill(pose.to_frame(pose.on_face(points, raised)))


def patches(coat: Coat) -> Mask:
    """A patch over one eye up to its ear, and one on the other cheek."""
    pose, side, size = coat.relief.pose, coat.attributes.pattern_side, coat.attributes.pattern_scale
    angles = np.linspace(0, 2 * np.pi, 11, endpoint=False)
    shapes = []
    for x, y, radius_x, radius_y in ((0.55, -0.42, 0.46, 0.66), (-1.02, 0.22, 0.42, 0.50)):
        wobble = coat.rng.uniform(0.82, 1.15, 11) * size
        circle = np.stack([np.cos(angles) * wobble * radius_x, np.sin(angles) * wobble * radius_y], axis=1)
        shapes.append(pose.to_frame(pose.on_face(smooth_closed((circle + np.array((x, y))) * (side, 1), 4))))
    return coat.canvas.fill(*shapes)


def points_mask(coat: Coat, strength: float) -> Mask:
    """The dark face of a pointed coat: strongest on the muzzle, up between the eyes."""
    spots: list[Spot] = [
        (1.0, 0, 0.42, 0.15, 0.42, 0.40), (0.75, 0, 0.0, 0.05, 0.36, 0.40),
        (0.6, 0.40, -0.02, 0.0, 0.28, 0.26), (0.6, -0.40, -0.02, 0.0, 0.28, 0.26),
    ]  # fmt: skip
    return np.asarray(np.clip(coat.relief.sum_of(spots), 0, 1) * np.float32(strength))


def spots_mask(coat: Coat, places: list[tuple[float, float]] = SPOTS, size: float = 1.0) -> Mask:
    """Rows of spots at `places` of the right half of the face, mirrored, each a little off its place."""
    pose = coat.relief.pose
    both = np.array([(side * x, y) for x, y in places for side in ((-1, 1) if x else (1,))])
    jitter = coat.rng.uniform((-0.03, -0.03, 0.8), (0.03, 0.03, 1.25), (len(both), 3))
    middles = pose.on_face(both + jitter[:, :2])
    radii = 0.062 * size * coat.attributes.pattern_scale * jitter[:, 2]
    rims = np.stack([ellipse(at, r * 0.85, r, 10) for at, r in zip(middles, radii, strict=True)])
    return coat.canvas.fill(*pose.to_frame(rims))
