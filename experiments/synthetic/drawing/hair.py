"""Outlines of hair styles, in head units before roll: what lies behind the head and what lies in front of it.

A front piece is a closed band: over the top from the left end to the right, and back along the hairline. One function a
style, found by its name in `HAIR_STYLES`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from experiments.synthetic.drawing.attributes import FaceAttributes
from experiments.synthetic.drawing.curves import Points, ellipse, smooth_closed, smooth_open
from experiments.synthetic.drawing.pose import Pose


@dataclass(frozen=True)
class Hair:
    """Closed outlines of a hair style in head units."""

    back: list[Points] = field(default_factory=list)
    front: list[Points] = field(default_factory=list)
    density: float = 1.0
    """How much of the skin the front covers."""
    covers_ears: bool = False


Side = list[tuple[float, float]]


def _over_the_top(
    attributes: FaceAttributes, pose: Pose, side: float, top: float, end: float, lean: float = 0.0
) -> Points:
    """Outer contour from the left temple at height `end` over the crown to the right one."""
    width = attributes.head_width + side
    angle = np.linspace(np.pi, 0, 15)
    x = width * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.85
    y = -0.12 - (0.88 + top) * np.sin(angle) ** 0.92
    x += lean * np.sin(angle) ** 2
    x -= 0.13 * pose.turn
    ends = np.array([(x[0] * 0.995, end), (x[-1] * 0.995, end)])
    return np.concatenate([ends[:1], np.stack([x, y], axis=1), ends[1:]])


def _hairline(attributes: FaceAttributes, pose: Pose, right_to_left: Side) -> Points:
    """Hairline through points whose x is in half head widths; it moves with the face."""
    points = np.asarray(right_to_left) * (attributes.head_width, 1.0)
    return pose.on_face(points, 0.02)


def _band(outer: Points, inner: Points, samples: int = 4) -> Points:
    """Closed band between an outer contour (left to right) and a hairline (right to left)."""
    return np.concatenate([smooth_open(outer, samples), smooth_open(inner, samples)])


def _forehead(attributes: FaceAttributes, height: float) -> Side:
    """Hairline across the forehead, right to left, at `height`, or a fringe."""
    if attributes.fringe > 0:
        low = height + (-0.36 - height) * attributes.fringe
        side = attributes.hair_side
        points = [
            (0.70, low + 0.05),
            (0.42, low - 0.02),
            (0.2, low + 0.02),
            (-0.05, low - 0.03),
            (-0.35, low + 0.01),
            (-0.70, low + 0.05),
        ]
        return [(x, y - 0.10 * side * x) for x, y in points]
    return [
        (0.78, height + 0.10),
        (0.45, height - 0.03),
        (0.0, height - 0.02),
        (-0.45, height - 0.03),
        (-0.78, height + 0.10),
    ]


def _short_front(
    attributes: FaceAttributes, pose: Pose, side: float, top: float, end: float, line: Side, lean: float = 0.0
) -> Points:
    """Front piece that ends in sideburns at height `end`."""
    volume = attributes.hair_volume
    outer = _over_the_top(attributes, pose, side * volume, top * volume, end, lean)
    temple = [(0.93, end), (0.90, -0.30)]
    return _band(outer, _hairline(attributes, pose, [*temple, *line, *[(-x, y) for x, y in temple[::-1]]]))


def short(attributes: FaceAttributes, pose: Pose) -> Hair:
    """Cropped all round."""
    return Hair(front=[_short_front(attributes, pose, 0.055, 0.13, 0.0, _forehead(attributes, -0.60))])


def pixie(attributes: FaceAttributes, pose: Pose) -> Hair:
    """Short, with a fringe swept to one side over the forehead."""
    side = attributes.hair_side
    line = [
        (0.80 * side, -0.30),
        (0.55 * side, -0.34),
        (0.2 * side, -0.44),
        (-0.25 * side, -0.56),
        (-0.55 * side, -0.66),
        (-0.82 * side, -0.42),
    ]
    line = line if side > 0 else line[::-1]
    return Hair(front=[_short_front(attributes, pose, 0.085, 0.15, 0.16, line)])


def side_part(attributes: FaceAttributes, pose: Pose) -> Hair:
    """Parted on one side and combed over to the other."""
    side = attributes.hair_side
    line = [
        (0.82 * side, -0.40),
        (0.58 * side, -0.74),
        (0.30 * side, -0.66),
        (-0.2 * side, -0.55),
        (-0.6 * side, -0.47),
        (-0.84 * side, -0.42),
    ]
    line = line if side > 0 else line[::-1]
    return Hair(front=[_short_front(attributes, pose, 0.05, 0.17, 0.0, line, -0.05 * side)])


def quiff(attributes: FaceAttributes, pose: Pose) -> Hair:
    """Short sides, hair brushed up from the forehead."""
    side = attributes.hair_side
    line = [(0.80, -0.46), (0.5, -0.64), (0.0, -0.60), (-0.5, -0.64), (-0.80, -0.46)]
    return Hair(front=[_short_front(attributes, pose, 0.02, 0.27, -0.02, line, 0.12 * side)])


def buzz(attributes: FaceAttributes, pose: Pose) -> Hair:
    """Shorn to a few millimetres."""
    line = [(0.80, -0.48), (0.55, -0.66), (0.0, -0.64), (-0.55, -0.66), (-0.80, -0.48)]
    return Hair(front=[_short_front(attributes, pose, 0.012, 0.035, -0.03, line)], density=0.82)


def receding(attributes: FaceAttributes, pose: Pose) -> Hair:
    """Thin on top with bare temples."""
    line = [(0.90, -0.55), (0.62, -0.82), (0.22, -0.76), (0.0, -0.74), (-0.22, -0.76), (-0.62, -0.82), (-0.90, -0.55)]
    return Hair(front=[_short_front(attributes, pose, 0.045, 0.06, 0.0, line)])


def bald(attributes: FaceAttributes, pose: Pose) -> Hair:
    """Nothing on top; the old keep a wreath above the ears."""
    if attributes.age < 0.4:
        return Hair()
    width, shift = attributes.head_width, -0.13 * pose.turn
    wreath = [
        smooth_closed(
            [
                (side * (width + 0.05) + shift, -0.30),
                (side * (width + 0.055) + shift, 0.02),
                (side * width * 0.93 + shift, 0.02),
                (side * width * 0.90 + shift, -0.25),
                (side * width * 0.86 + shift, -0.46),
            ]
        )
        for side in (-1, 1)
    ]
    return Hair(front=wreath)


def _bumpy(points: Points, count: int, height: float) -> Points:
    """A closed or open contour whose outline swells into `count` curls away from the head's middle."""
    samples = np.linspace(0, count, len(points))
    centre = np.array([0.0, -0.1])
    outward = points - centre
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    return points + outward * (height * np.abs(np.sin(np.pi * samples)))[:, None]


def afro(attributes: FaceAttributes, pose: Pose) -> Hair:
    """A round crown of tight curls."""
    volume = attributes.hair_volume
    shift = -0.13 * pose.turn
    ball = ellipse((shift, -0.30), attributes.head_width + 0.30 * volume, 0.90 + 0.14 * volume, 120)
    outer = _over_the_top(attributes, pose, 0.16 * volume, 0.18 * volume, 0.05)
    temple = [(0.95, 0.05), (0.90, -0.28)]
    line = [(0.72, -0.50), (0.4, -0.55), (0, -0.52), (-0.4, -0.55), (-0.72, -0.50)]
    inner = _hairline(attributes, pose, [*temple, *line, *[(-x, y) for x, y in temple[::-1]]])
    return Hair(back=[_bumpy(ball, 15, 0.05)], front=[_band(outer, inner)], covers_ears=False)


def curly(attributes: FaceAttributes, pose: Pose) -> Hair:
    """Loose curls down to the jaw."""
    volume = attributes.hair_volume
    width = attributes.head_width
    end = 0.45 if attributes.lashes > 0.3 else -0.02
    outer = smooth_open(_over_the_top(attributes, pose, 0.13 * volume, 0.15 * volume, end), 6)
    outer = _bumpy(outer, 11, 0.085)
    height = -0.42 - 0.1 * (1 - attributes.fringe)
    line = [
        (0.74, height + 0.06),
        (0.5, height - 0.03),
        (0.25, height + 0.04),
        (0, height - 0.03),
        (-0.25, height + 0.04),
        (-0.5, height - 0.03),
        (-0.74, height + 0.06),
    ]
    inner = _hairline(attributes, pose, [(0.95, end), (0.93, -0.15), *line, (-0.93, -0.15), (-0.95, end)])
    back = [] if end < 0 else [_bumpy(ellipse((-0.13 * pose.turn, 0.05), width + 0.14 * volume, 0.75, 80), 12, 0.06)]
    return Hair(back=back, front=[np.concatenate([outer, smooth_open(inner, 4)])], covers_ears=end > 0)


def _long(attributes: FaceAttributes, pose: Pose, contour: Side, inner_end: Side, wave: float) -> Hair:
    """Hair that frames the face: `contour` goes down the outside in units off the head, `inner_end` up the inside."""
    volume, width, side = attributes.hair_volume, attributes.head_width, attributes.hair_side
    shift = -0.13 * pose.turn
    top = _over_the_top(attributes, pose, contour[0][0] * volume, 0.13 * volume, contour[0][1])
    down = np.array([(width + dx * volume, y) for dx, y in contour])
    ripple = wave * np.sin(np.arange(len(down)) * np.pi * 0.8 + 0.5)
    down[:, 0] += ripple
    moved = np.array((shift, 0))
    right, left = down + moved, down * (-1, 1) + moved
    outer = np.concatenate([left[:0:-1], top, right[1:]])
    ends = np.array([(width * x, y) for x, y in inner_end])
    ends[:, 0] += 0.5 * wave * np.sin(np.arange(len(ends)) * 2.2)
    parting = [(0.22 * side, -0.72)]
    if attributes.fringe > 0:
        line = _forehead(attributes, -0.62)
    else:
        line = [(0.84, -0.28), (0.58, -0.56), *parting, (-0.58, -0.56), (-0.84, -0.28)]
    follow = np.array((0.25 * pose.turn, 0))
    inner = np.concatenate([ends + follow, _hairline(attributes, pose, line), (ends * (-1, 1) + follow)[::-1]])
    back = smooth_closed(np.concatenate([left[::-1], _over_the_top(attributes, pose, 0.0, 0.02, 0.0), right]), 4)
    return Hair(back=[back], front=[_band(outer, inner)], covers_ears=True)


def long_straight(attributes: FaceAttributes, pose: Pose) -> Hair:
    """Straight, past the shoulders."""
    contour = [(0.12, 0.0), (0.16, 0.5), (0.20, 1.0), (0.22, 1.5), (0.16, 2.0)]
    return _long(attributes, pose, contour, [(0.80, 2.0), (0.82, 1.4), (0.88, 0.8), (0.90, 0.3), (0.90, 0.0)], 0.0)


def long_wavy(attributes: FaceAttributes, pose: Pose) -> Hair:
    """Wavy, past the shoulders."""
    contour = [(0.13, -0.1), (0.19, 0.25), (0.18, 0.6), (0.27, 0.95), (0.24, 1.3), (0.33, 1.65), (0.24, 2.0)]
    return _long(
        attributes,
        pose,
        contour,
        [(0.76, 2.0), (0.80, 1.5), (0.84, 1.1), (0.88, 0.7), (0.88, 0.35), (0.90, 0.0)],
        0.055,
    )


def bob(attributes: FaceAttributes, pose: Pose) -> Hair:
    """Chin-length and curled in."""
    contour = [(0.13, -0.05), (0.20, 0.35), (0.20, 0.65), (0.06, 0.90)]
    return _long(attributes, pose, contour, [(0.86, 0.86), (0.88, 0.6), (0.89, 0.3), (0.90, 0.0)], 0.0)


def _swept_back(attributes: FaceAttributes, pose: Pose) -> Points:
    """Front piece of hair drawn back tightly."""
    return _short_front(attributes, pose, 0.035, 0.09, 0.0, _forehead(attributes, -0.64))


def bun(attributes: FaceAttributes, pose: Pose) -> Hair:
    """Hair drawn back into a bun on the crown."""
    knot = ellipse((-0.3 * pose.turn, -1.14), 0.33 * attributes.hair_volume**0.5, 0.27, 32)
    return Hair(back=[knot], front=[_swept_back(attributes, pose)])


def ponytail(attributes: FaceAttributes, pose: Pose) -> Hair:
    """Hair drawn back into a tail that falls over one shoulder."""
    side, width = attributes.hair_side, attributes.head_width
    shift = -0.2 * pose.turn
    tail = [
        (0.35, -0.85), (width + 0.10, -0.80), (width + 0.34, -0.35), (width + 0.36, 0.25), (width + 0.24, 0.95),
        (width + 0.02, 1.45), (width - 0.02, 0.95), (width + 0.02, 0.3), (0.6, -0.3),
    ]  # fmt: skip
    return Hair(back=[smooth_closed([(side * x + shift, y) for x, y in tail])], front=[_swept_back(attributes, pose)])


HAIR_STYLES: dict[str, Callable[[FaceAttributes, Pose], Hair]] = {
    style.__name__: style
    for style in (
        short, pixie, side_part, quiff, buzz, receding, bald, afro, curly, long_straight, long_wavy, bob, bun, ponytail,
    )
}  # fmt: skip


def hair_of(attributes: FaceAttributes, pose: Pose) -> Hair:
    """Outlines of a person's hair in frame units."""
    hair = HAIR_STYLES[attributes.hair_style](attributes, pose)
    return Hair(
        back=[pose.to_frame(outline) for outline in hair.back],
        front=[pose.to_frame(outline) for outline in hair.front],
        density=hair.density,
        covers_ears=hair.covers_ears,
    )
