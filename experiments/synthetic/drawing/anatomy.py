"""Outlines of head, ears, neck, eyes, brows, nose and mouth, in frame units.

A style only chooses `Proportions`; everything else follows from the attributes, which is what makes two styles of the
same attributes a pair.
"""

from dataclasses import dataclass

import numpy as np

from experiments.synthetic.drawing.attributes import FaceAttributes
from experiments.synthetic.drawing.curves import Points, ellipse, ribbon, rotate, smooth_closed, smooth_open, taper
from experiments.synthetic.drawing.pose import Pose, pose_of

EYE_Y, BROW_Y, NOSE_Y, MOUTH_Y = -0.03, -0.27, 0.31, 0.57


@dataclass(frozen=True, kw_only=True)
class Proportions:
    """How a style departs from nature: factors, 1 is natural."""

    eye: float = 1.0
    iris: float = 1.0
    brow: float = 1.0
    mouth: float = 1.0
    jaw: float = 1.0
    chin: float = 1.0
    lash_line: float = 1.0


@dataclass(frozen=True)
class Eye:
    """One eye: outlines in frame units; `side` is -1 for the left of the image."""

    side: int
    white: Points
    upper_lid: Points
    crease: Points
    iris: Points
    pupil: Points
    glint: Points
    centre: Points


@dataclass(frozen=True)
class Nose:
    """Points down the ridge [3, 2], along the base from wing to wing [5, 2], and the nostrils' outlines."""

    bridge: Points
    base: Points
    nostrils: list[Points]


@dataclass(frozen=True)
class Mouth:
    """Lips, the line between them and, when open, the cavity and teeth."""

    upper_lip: Points
    lower_lip: Points
    line: Points
    cavity: Points | None
    teeth: Points | None


@dataclass(frozen=True)
class Anatomy:
    """Every outline of a head."""

    pose: Pose
    head: Points
    ears: list[Points]
    neck: Points
    eyes: list[Eye]
    brows: list[Points]
    nose: Nose
    mouth: Mouth


def head_outline(attributes: FaceAttributes, pose: Pose, jaw: float = 1.0, chin: float = 1.0) -> Points:
    """Closed outline of skull and jaw in head units; chin and jaw follow the turn, the skull lags behind."""
    width, jaw = attributes.head_width, attributes.jaw_width * jaw
    cheek = attributes.cheek_width
    half = np.array(
        [
            (0.0, -1.0), (0.54 * width, -0.885), (0.90 * width, -0.54), (1.0 * width, -0.08),
            (0.955 * width * cheek, 0.32), (0.80 * width * jaw, 0.67),
            (0.45 * width * jaw * chin, 0.93 + attributes.chin_length), (0.0, 1.01 + attributes.chin_length),
        ]
    )  # fmt: skip
    outline = np.concatenate([half, half[-2:0:-1] * (-1, 1)])
    follow = np.interp(outline[:, 1], [-1, -0.2, 0.3, 1.0], [-0.10, 0.0, 0.10, 0.30])
    outline[:, 0] += follow * pose.turn
    outline[:, 1] += np.interp(outline[:, 1], [-1, 0, 1], [0, 0, 0.25]) * np.sin(pose.pitch)
    return smooth_closed(outline)


def _ears(attributes: FaceAttributes, pose: Pose) -> list[Points]:
    shift = -0.12 * pose.turn
    y = 0.08 - 0.35 * float(np.sin(pose.pitch))
    return [ellipse((side * (attributes.head_width + 0.015) + shift, y), 0.115, 0.20, 20) for side in (-1, 1)]


def _neck(attributes: FaceAttributes, pose: Pose) -> Points:
    half = attributes.head_width * (0.50 + 0.12 * (attributes.jaw_width - 0.9) / 0.15)
    half = float(np.clip(half, 0.36, 0.50))
    top = pose.to_frame([(half + 0.1 * pose.turn, 0.4), (-half + 0.1 * pose.turn, 0.4)])
    base = pose.body_to_frame(
        [(-half - 0.03, 1.15), (-half - 0.22, 1.5), (0, 1.9), (half + 0.22, 1.5), (half + 0.03, 1.15)]
    )
    return np.concatenate([top, base])


def _eye(attributes: FaceAttributes, pose: Pose, proportions: Proportions, side: int) -> Eye:
    size = attributes.eye_size * proportions.eye
    a, b = 0.178 * (0.5 + 0.5 * size), 0.096 * size * attributes.eye_openness
    squint = 1 - 0.22 * max(0.0, attributes.smile)
    x, y = side * attributes.eye_spacing, EYE_Y
    t = np.linspace(np.pi, 0, 13)
    along = x + a * np.cos(t) * side
    upper = np.stack([along, y - b * np.sin(t) ** 0.85], axis=1)
    lower = np.stack([along, y + 0.72 * b * squint * np.sin(t)], axis=1)
    tilt = -attributes.eye_tilt * side - 0.02 * side

    def place(points: Points) -> Points:
        return pose.to_frame(pose.on_face(rotate(points, tilt, (x, y))))

    radius = 0.088 * proportions.iris * (0.6 + 0.4 * size)
    middle = pose.on_face(np.array([(x + 0.055 * attributes.gaze_x, y - 0.008 + 0.025 * attributes.gaze_y)]))[0]

    def disc(dx: float, dy: float, r: float) -> Points:
        return pose.to_frame(ellipse(middle + np.array((dx, dy)), r * np.cos(pose.yaw), r, 20))

    widths = taper(13, 0.008, 0.018, 0.024 + 0.012 * attributes.lashes) * proportions.lash_line
    flick = np.array([(0.03, -0.015)]) * attributes.lashes * proportions.lash_line
    lash = np.concatenate([upper, upper[-1:] + flick * (side, 1)])
    glint = (-0.030 if attributes.light_x < 0 else 0.030, -0.032)
    return Eye(
        side=side,
        white=place(np.concatenate([upper, lower[::-1]])),
        upper_lid=place(ribbon(lash, np.append(widths, 0.002))),
        crease=place(ribbon(upper + np.array((0, -0.042)), taper(13, 0.004, 0.011, 0.004))),
        iris=disc(0, 0, radius),
        pupil=disc(0, 0, 0.48 * radius),
        glint=disc(glint[0] * proportions.iris, glint[1] * proportions.iris, 0.028 * proportions.iris),
        centre=pose.to_frame(pose.on_face(np.array([(x, y)])))[0],
    )


def _brow(attributes: FaceAttributes, pose: Pose, proportions: Proportions, side: int) -> Points:
    y = (
        BROW_Y
        - attributes.brow_raise
        - 0.045 * (proportions.eye - 1) / 0.3
        - 0.02 * max(0.0, attributes.mouth_open - 0.5)
    )
    slope = attributes.brow_angle
    line = smooth_open(
        [
            (side * 0.135, y + 0.035 + 0.25 * slope), (side * 0.30, y - 0.02 - 0.02 * slope),
            (side * 0.44, y - 0.025 - 0.2 * slope), (side * 0.55, y + 0.045 - 0.2 * slope),
        ]
    )  # fmt: skip
    widths = taper(len(line), 0.032, 0.036, 0.008) * attributes.brow_thickness * proportions.brow
    return pose.to_frame(pose.on_face(ribbon(line, widths)))


def _mouth(attributes: FaceAttributes, pose: Pose, proportions: Proportions) -> Mouth:
    half = 0.262 * attributes.mouth_width * proportions.mouth * (1 + 0.18 * max(0.0, attributes.smile))
    lift = 0.115 * attributes.smile
    full, gap = 0.065 * attributes.lip_fullness, 0.115 * attributes.mouth_open
    t = np.linspace(-1, 1, 15)
    bend = MOUTH_Y - lift * t**2 + 0.35 * lift
    dome = np.sqrt(np.maximum(0, 1 - t**2))
    cupid = dome * (1 + 0.12 * np.cos(2 * np.pi * t * 1.1)) * (1 - 0.18 * np.exp(-((t / 0.14) ** 2)))
    line_top, line_bottom = bend - 0.25 * gap * dome, bend + 0.9 * gap * dome
    line_top = line_top + 0.012 * np.exp(-((t / 0.2) ** 2))

    def place(top: np.ndarray, bottom: np.ndarray) -> Points:
        edge = np.concatenate([np.stack([t * half, top], axis=1), np.stack([t * half, bottom], axis=1)[::-1]])
        return pose.to_frame(pose.on_face(edge, 0.03))

    return Mouth(
        upper_lip=place(line_top - full * 0.8 * cupid, line_top + 0.005),
        lower_lip=place(line_bottom - 0.005, line_bottom + full * 1.15 * dome**1.2),
        line=pose.to_frame(pose.on_face(np.stack([t * half * 1.06, (line_top + line_bottom) / 2], axis=1), 0.03)),
        cavity=place(line_top, line_bottom) if attributes.mouth_open > 0 else None,
        teeth=place(line_top, np.minimum(line_top + 0.062 * dome, line_bottom)) if attributes.mouth_open > 0 else None,
    )


def _nose(attributes: FaceAttributes, pose: Pose) -> Nose:
    y = EYE_Y + (NOSE_Y - EYE_Y) * attributes.nose_length
    wing = 0.125 * attributes.nose_width
    ridge = [(0, EYE_Y - 0.08), (0, 0.12), (0, y - 0.07)]
    base = [(-wing, y - 0.035), (-0.6 * wing, y + 0.02), (0, y + 0.03), (0.6 * wing, y + 0.02), (wing, y - 0.035)]
    holes = pose.on_face([(side * 0.5 * wing, y + 0.005) for side in (-1, 1)], 0.11)
    return Nose(
        bridge=pose.to_frame(pose.on_face(ridge, np.array((0.04, 0.10, 0.17)))),
        base=pose.to_frame(pose.on_face(base, 0.10)),
        nostrils=[pose.to_frame(ellipse(hole, 0.03 * attributes.nose_width, 0.018, 12)) for hole in holes],
    )


def anatomy_of(attributes: FaceAttributes, proportions: Proportions) -> Anatomy:
    """Every outline of a head under a style's proportions."""
    pose = pose_of(attributes)
    return Anatomy(
        pose=pose,
        head=pose.to_frame(head_outline(attributes, pose, proportions.jaw, proportions.chin)),
        ears=[pose.to_frame(ear) for ear in _ears(attributes, pose)],
        neck=_neck(attributes, pose),
        eyes=[_eye(attributes, pose, proportions, side) for side in (-1, 1)],
        brows=[_brow(attributes, pose, proportions, side) for side in (-1, 1)],
        nose=_nose(attributes, pose),
        mouth=_mouth(attributes, pose, proportions),
    )
