"""`cartoon`: flat bright colours inside dark outlines, large eyes, a stroke for a nose, one hard shadow."""

import numpy as np

from experiments.synthetic.drawing.anatomy import Anatomy, Eye, Proportions, anatomy_of
from experiments.synthetic.drawing.attributes import FaceAttributes
from experiments.synthetic.drawing.beard import beard_of
from experiments.synthetic.drawing.canvas import Canvas, Mask
from experiments.synthetic.drawing.clothes import clothes_of
from experiments.synthetic.drawing.curves import Points, ellipse, ribbon, smooth_open, taper
from experiments.synthetic.drawing.eyewear import Glasses, glasses_of
from experiments.synthetic.drawing.hair import Hair, hair_of
from experiments.synthetic.drawing.palette import GREY_HAIR, HAIR_COLOURS, IRIS_COLOURS, hsv, mix, saturated, skin_tone
from experiments.synthetic.drawing.registry import register_style

INK = np.array((0.13, 0.08, 0.13))
LINE_WIDTH = 0.022
PROPORTIONS = Proportions(eye=1.5, iris=1.42, brow=1.15, mouth=1.0, jaw=0.97, lash_line=1.45)


def _flat(canvas: Canvas, outlines: list[Points], colour: np.ndarray) -> tuple[Mask, Mask]:
    """Fill outlines with one colour and ink their edges; returns the coverage of the fill and of the line."""
    fill = canvas.fill(*outlines)
    line = canvas.stroke(*outlines, width=LINE_WIDTH, closed=True)
    canvas.paint(fill, colour)
    canvas.paint(line, _ink_on(colour))
    return fill, line


def _ink_on(colour: np.ndarray) -> np.ndarray:
    """Ink with a hint of the colour it surrounds."""
    return mix(INK, colour * 0.4, 0.25)


def _backdrop(canvas: Canvas, attributes: FaceAttributes) -> None:
    """One flat colour, with a plain shape of a second one."""
    hue, value = attributes.background_hue, 0.78 + 0.2 * attributes.background_value
    saturation = 0.22 + 0.55 * attributes.background_saturation
    canvas.pixels[:] = hsv(hue, saturation, value)
    second = hsv(hue + 0.03, saturation * 0.6, min(1.0, value * 1.08))
    if attributes.backdrop in ("disc", "bokeh"):
        canvas.paint(canvas.fill(ellipse((0.5, 0.5), 0.43, 0.43, 48)), second)
    elif attributes.backdrop == "split":
        canvas.paint(canvas.fill(np.array([(0.0, 1.0), (0.0, 0.55), (1.0, 0.15), (1.0, 1.0)])), second)


def _hair_colour(attributes: FaceAttributes) -> np.ndarray:
    natural = saturated(np.array(HAIR_COLOURS[attributes.hair_colour]), 1.25) * 1.12 + 0.02
    return np.clip(mix(natural, GREY_HAIR, attributes.grey), 0, 1)


def _paint_body(
    canvas: Canvas, attributes: FaceAttributes, anatomy: Anatomy, skin: np.ndarray, shadow: np.ndarray
) -> None:
    clothes = clothes_of(attributes, anatomy.pose)
    colour = hsv(
        attributes.clothes_hue, 0.25 + 0.65 * attributes.clothes_saturation, 0.35 + 0.6 * attributes.clothes_value
    )
    canvas.paint(canvas.fill(anatomy.pose.body_to_frame(ellipse((0, 1.55), 0.8, 0.42))), skin)
    neck, _ = _flat(canvas, [anatomy.neck], skin)
    throat = canvas.shifted(canvas.fill(anatomy.head), 0, 0.05)
    canvas.paint(throat * neck, shadow)
    garment, hem = _flat(canvas, [clothes.garment], colour)
    fold = -0.9 * np.sign(attributes.light_x)
    dark_side = anatomy.pose.body_to_frame(ellipse((fold, 2.2), 0.55, 1.0))
    canvas.paint(canvas.fill(dark_side) * garment, colour * 0.82)
    canvas.paint(hem, _ink_on(colour))
    for piece in clothes.collar:
        _flat(canvas, [piece], np.clip(colour * 1.15 + 0.04, 0, 1))


def _cel_shadow(canvas: Canvas, attributes: FaceAttributes, anatomy: Anatomy, face: Mask, shadow: np.ndarray) -> None:
    """The crescent of the head that an offset disc of light does not reach."""
    middle = anatomy.head.mean(axis=0)
    lit = middle + (anatomy.head - middle) * 1.06 + (0.075 * np.sign(attributes.light_x), -0.025)
    canvas.paint(face * (1 - canvas.fill(lit)), shadow)


def _paint_eye(canvas: Canvas, attributes: FaceAttributes, eye: Eye, face: Mask) -> None:
    white = canvas.fill(eye.white) * face
    canvas.paint(canvas.stroke(eye.white, width=0.014, closed=True) * face, INK, 0.75)
    canvas.paint(white, (1.0, 1.0, 1.0))
    colour = np.clip(saturated(np.array(IRIS_COLOURS[attributes.iris_colour]), 1.4) * 1.15, 0, 1)
    canvas.paint(canvas.fill(eye.iris) * white, colour)
    canvas.paint(canvas.fill(eye.pupil) * white, INK * 0.5)
    canvas.paint(canvas.fill(eye.glint) * white, (1, 1, 1))
    canvas.paint(canvas.fill(eye.upper_lid) * face, INK)


def _paint_nose(canvas: Canvas, attributes: FaceAttributes, anatomy: Anatomy, shadow: np.ndarray) -> None:
    """A hard shadow beside the bridge and a short stroke under the tip."""
    base, bridge = anatomy.nose.base, anatomy.nose.bridge
    away = 3 if attributes.light_x < 0 else 1
    side = np.array([bridge[1] * 0.6 + bridge[2] * 0.4, base[away], base[2]])
    canvas.paint(canvas.fill(side), shadow)
    line = smooth_open(base[1:4], 6)
    canvas.paint(canvas.fill(ribbon(line, taper(len(line), 0.005, 0.010, 0.005))), mix(INK, shadow * 0.5, 0.4))


def _paint_mouth(canvas: Canvas, attributes: FaceAttributes, anatomy: Anatomy, skin: np.ndarray) -> None:
    mouth = anatomy.mouth
    colour = mix(skin * (0.88, 0.62, 0.60), (0.86, 0.16, 0.24), 0.15 + 0.8 * attributes.lipstick)
    if attributes.lashes > 0.3 or mouth.cavity is not None:
        canvas.paint(canvas.fill(mouth.upper_lip, mouth.lower_lip), colour, 0.95 if attributes.lashes > 0.3 else 0.5)
    if mouth.cavity is not None and mouth.teeth is not None:
        cavity = canvas.fill(mouth.cavity)
        canvas.paint(cavity, (0.48, 0.10, 0.13))
        canvas.paint(canvas.fill(mouth.teeth) * cavity, (1, 1, 1))
        canvas.paint(canvas.stroke(mouth.cavity, width=0.013, closed=True), INK)
    else:
        canvas.paint(canvas.fill(ribbon(mouth.line, taper(len(mouth.line), 0.006, 0.010, 0.006))), INK)


def _paint_hair(
    canvas: Canvas, hair: Hair, attributes: FaceAttributes, anatomy: Anatomy, face: Mask, shadow: np.ndarray
) -> None:
    if not hair.front:
        return
    colour = _hair_colour(attributes)
    if hair.density < 1:
        colour = mix(colour, skin_tone(attributes.skin_tone), 0.25)
    front = canvas.fill(*hair.front)
    line = canvas.stroke(*hair.front, width=LINE_WIDTH, closed=True)
    canvas.paint(canvas.shifted(front, 0, 0.035) * face * (1 - front), shadow)
    canvas.paint(front, colour)
    canvas.paint(line, _ink_on(colour))
    side, pose = float(np.sign(attributes.light_x)), anatomy.pose
    dark = canvas.fill(pose.to_frame(ellipse((0.30 * side - 0.13 * pose.turn, -0.15), 1.0, 1.12, 40)))
    canvas.paint(front * (1 - dark), colour * 0.68)
    if attributes.hair_style not in ("buzz", "bald", "receding"):
        angle = np.linspace(-0.62, 0.05, 9) if side < 0 else np.linspace(0.62, -0.05, 9)
        shine = np.stack(
            [np.sin(angle) * attributes.head_width * 0.98 - 0.13 * pose.turn, -0.02 - 0.90 * np.cos(angle)], axis=1
        )
        stroke = ribbon(pose.to_frame(shine), taper(9, 0.004, 0.017, 0.004))
        canvas.paint(canvas.fill(stroke) * front, mix(colour, (1, 1, 1), 0.42))
    canvas.paint(line, _ink_on(colour))


def _frame_colour(attributes: FaceAttributes, glasses: Glasses) -> np.ndarray:
    bright = attributes.glasses_colour > 0.6 and not glasses.dark
    return hsv(attributes.glasses_colour * 7, 0.75, 0.62) if bright else INK


def _paint_glasses(canvas: Canvas, attributes: FaceAttributes, glasses: Glasses) -> None:
    lenses = canvas.fill(*glasses.lenses)
    canvas.paint(lenses, (0.16, 0.16, 0.24) if glasses.dark else (0.85, 0.95, 1.0), 1.0 if glasses.dark else 0.18)
    if glasses.dark:
        for lens in glasses.lenses:
            x, y = lens.mean(axis=0)
            gleam = np.array(
                [(x - 0.035, y - 0.045), (x - 0.005, y - 0.045), (x - 0.03, y + 0.03), (x - 0.055, y + 0.03)]
            )
            canvas.paint(canvas.fill(gleam) * lenses, (0.55, 0.62, 0.78))
    lines = canvas.stroke(*glasses.rims, width=0.024, closed=attributes.glasses != "half_rim")
    canvas.paint(np.maximum(lines, canvas.stroke(glasses.bridge, width=0.020)), _frame_colour(attributes, glasses))


def _paint_beard(canvas: Canvas, attributes: FaceAttributes, anatomy: Anatomy, skin: np.ndarray) -> None:
    outlines = beard_of(attributes, anatomy.pose)
    if attributes.facial_hair == "stubble":
        canvas.paint(canvas.fill(*outlines), mix(skin, _hair_colour(attributes), 0.32))
    elif outlines:
        _flat(canvas, outlines, _hair_colour(attributes))


@register_style("cartoon")
def paint_cartoon(attributes: FaceAttributes, resolution: int) -> np.ndarray:
    """A flat inked drawing, uint8 [R, R, 3]."""
    canvas = Canvas(resolution)
    anatomy = anatomy_of(attributes, PROPORTIONS)
    hair = hair_of(attributes, anatomy.pose)
    skin = np.clip(saturated(skin_tone(attributes.skin_tone), 1.25) * 1.05, 0, 1)
    shadow = skin * (0.82, 0.66, 0.64)
    _backdrop(canvas, attributes)
    if hair.back:
        _flat(canvas, hair.back, _hair_colour(attributes) * 0.72)
    _paint_body(canvas, attributes, anatomy, skin, shadow)
    if not hair.covers_ears:
        _flat(canvas, anatomy.ears, skin)
    face, _ = _flat(canvas, [anatomy.head], skin)
    _cel_shadow(canvas, attributes, anatomy, face, shadow)
    blush = [
        ellipse(anatomy.pose.to_frame(anatomy.pose.on_face([(side * 0.46, 0.28)]))[0], 0.042, 0.026) for side in (-1, 1)
    ]
    canvas.paint(canvas.fill(*blush) * face, skin * (1.0, 0.70, 0.70), 0.25 + 0.4 * attributes.blush)
    _paint_beard(canvas, attributes, anatomy, skin)
    _paint_nose(canvas, attributes, anatomy, shadow)
    for eye in anatomy.eyes:
        _paint_eye(canvas, attributes, eye, face)
    canvas.paint(canvas.fill(*anatomy.brows) * face, mix(INK, _hair_colour(attributes) * 0.6, 0.6))
    _paint_mouth(canvas, attributes, anatomy, skin)
    if attributes.earrings and not hair.covers_ears:
        rings = [ellipse(ear.mean(axis=0) + np.array((0, 0.075)), 0.018, 0.020, 12) for ear in anatomy.ears]
        canvas.paint(canvas.fill(*rings), (1.0, 0.85, 0.30))
    glasses = glasses_of(attributes, anatomy.pose)
    if glasses is not None and glasses.arms:
        canvas.paint(canvas.stroke(*glasses.arms, width=0.020), _frame_colour(attributes, glasses))
    _paint_hair(canvas, hair, attributes, anatomy, face, shadow)
    if glasses is not None:
        _paint_glasses(canvas, attributes, glasses)
    return canvas.to_uint8()
