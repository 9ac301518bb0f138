"""Hair as pointed locks: the outlines of `hair`, with their edges drawn out into tips, and the lines between locks."""

from dataclasses import replace

import numpy as np

from experiments.synthetic.drawing.attributes import FaceAttributes
from experiments.synthetic.drawing.curves import Points, ribbon, taper
from experiments.synthetic.drawing.hair import HAIR_STYLES, Hair
from experiments.synthetic.drawing.pose import Pose

TIDY = ("buzz", "receding", "bald", "bun", "ponytail", "afro")
"""Styles whose hairline is tidy: short tips."""
SMOOTH = ("buzz", "receding", "bald", "afro", "bun", "ponytail", "long_straight", "bob")
"""Styles whose crown is smooth."""


def _resample(line: Points, num: int) -> Points:
    """`num` points at equal distances along an open polyline."""
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.linspace(0, length[-1], num)
    return np.stack([np.interp(at, length, line[:, axis]) for axis in (0, 1)], axis=1)


def _drawn_out(line: Points, reach: np.ndarray) -> Points:
    """An open polyline whose equal pieces bulge and end in tips: piece i reaches by the vector `reach[i]` [n, 2]."""
    nodes = _resample(line, len(reach) + 1)
    start, end = nodes[:-1], nodes[1:]
    tips = (start + end) / 2 + reach
    near, far = start * 0.6 + tips * 0.4 + 0.16 * (start - end), end * 0.6 + tips * 0.4 + 0.16 * (end - start)
    pieces = np.stack([start, near, tips, far], axis=1).reshape(-1, 2)
    return np.concatenate([pieces, nodes[-1:]])


def _run(chosen: np.ndarray) -> slice | None:
    """The longest run of consecutive chosen vertices, if it has at least four."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]])))
    starts, ends = edges[::2], edges[1::2]
    if not len(starts) or (ends - starts).max() < 4:
        return None
    longest = int(np.argmax(ends - starts))
    return slice(int(starts[longest]), int(ends[longest]))


def _inside_head(outline: Points, attributes: FaceAttributes, pose: Pose) -> np.ndarray:
    """Which vertices lie on the hairline, not on the outer contour of the hair."""
    x = (outline[:, 0] - 0.2 * pose.turn) / (attributes.head_width * 0.99)
    return (np.hypot(x, outline[:, 1]) < 0.985) & (outline[:, 1] < -0.12)


def _fringe(outline: Points, attributes: FaceAttributes, pose: Pose) -> Points:
    """The outline with tips along the hairline; they fall away from the parting."""
    run = _run(_inside_head(outline, attributes, pose))
    if run is None:
        return outline
    hairline = outline[run]
    tidy = attributes.hair_style in TIDY and attributes.fringe == 0
    uneven = np.array((0.9, 1.5, 0.75, 1.35, 0.65, 1.45, 0.9))
    middle = _resample(hairline, 2 * len(uneven) + 1)[1::2, 0] / attributes.head_width
    away = np.clip((middle - 0.35 * attributes.hair_side) * 0.9, -0.55, 0.55)
    reach = (0.06 if tidy else 0.20) * uneven[:, None] * np.stack([away, np.ones(len(uneven))], axis=1)
    return np.concatenate([outline[: run.start], _drawn_out(hairline, reach), outline[run.stop :]])


def _crown(outline: Points, attributes: FaceAttributes, pose: Pose) -> Points:
    """The outline with tips along its outer contour: long ones where hair curls, none where it lies smooth."""
    if attributes.hair_style in SMOOTH:
        return outline
    run = _run(~_inside_head(outline, attributes, pose) & (outline[:, 1] < 0.55))
    if run is None:
        return outline
    contour = outline[run]
    uneven = np.array((0.8, 1.2, 0.8, 1.1, 0.6, 1.1, 0.8, 1.2, 0.8))
    middle = _resample(contour, 2 * len(uneven) + 1)[1::2]
    outward = middle - np.array((-0.13 * pose.turn, -0.1))
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    down = np.stack([np.sign(outward[:, 0]) * np.abs(outward[:, 1]), np.abs(outward[:, 0])], axis=1)
    curled = attributes.hair_style == "curly"
    length = (0.145 if curled else 0.12) * attributes.hair_volume
    reach = length * uneven[:, None] * ((1.1 if curled else 0.65) * outward + (0.3 if curled else 1.0) * down)
    return np.concatenate([outline[: run.start], _drawn_out(contour, reach), outline[run.stop :]])


def locks_of(attributes: FaceAttributes, pose: Pose) -> Hair:
    """Outlines of a person's hair in frame units, drawn out into pointed locks."""
    hair = HAIR_STYLES[attributes.hair_style](attributes, pose)
    front = hair.front
    if attributes.hair_style != "bald":
        front = [_crown(_fringe(outline, attributes, pose), attributes, pose) for outline in front]
    return replace(
        hair,
        back=[pose.to_frame(outline) for outline in hair.back],
        front=[pose.to_frame(outline) for outline in front],
    )


def partings(attributes: FaceAttributes, pose: Pose) -> list[Points]:
    """Thin strokes in frame units that part the locks, from the crown towards the forehead."""
    root = np.array((0.22 * attributes.hair_side - 0.1 * pose.turn, -0.98))
    strokes = []
    for angle in (-1.15, -0.7, -0.3, 0.1, 0.5, 0.95):
        end = np.array((0.92 * np.sin(angle) * attributes.head_width + 0.1 * pose.turn, -0.25 - 0.35 * np.cos(angle)))
        bend = (root + end) / 2 + np.array((0.16 * np.sin(angle), -0.12))
        t = np.linspace(0.25, 1, 7)[:, None]
        line = (1 - t) ** 2 * root + 2 * t * (1 - t) * bend + t**2 * end
        strokes.append(pose.to_frame(ribbon(line, taper(7, 0.004, 0.016, 0.004))))
    return strokes


def halo(attributes: FaceAttributes, pose: Pose) -> Points:
    """The bright band across the crown, jagged below, in frame units."""
    across = np.linspace(-1, 1, 11)
    angle = 0.78 * across + 0.12 * float(np.sign(attributes.light_x))
    thin = 1 - across**2
    upper = 0.76 + 0.05 * thin
    lower = 0.76 - thin * np.where(np.arange(11) % 2 == 0, 0.03, 0.16)

    def arc(radius: np.ndarray) -> Points:
        x = np.sin(angle) * attributes.head_width * 1.02 - 0.10 * pose.turn
        return np.stack([x, -0.06 - radius * np.cos(angle)], axis=1)

    return pose.to_frame(np.concatenate([arc(upper), arc(lower)[::-1]]))
