"""`anime`: large shining eyes, a mere hint of a nose, bright hair in pointed locks, two tones inside thin lines."""

import numpy as np

from experiments.synthetic.drawing.anatomy import Anatomy, Proportions, anatomy_of
from experiments.synthetic.drawing.attributes import FaceAttributes
from experiments.synthetic.drawing.beard import beard_of
from experiments.synthetic.drawing.canvas import Canvas, Mask
from experiments.synthetic.drawing.clothes import clothes_of
from experiments.synthetic.drawing.curves import Points, ellipse, ribbon, smooth_open, taper
from experiments.synthetic.drawing.eyewear import Glasses, glasses_of
from experiments.synthetic.drawing.hair import Hair
from experiments.synthetic.drawing.large_eyes import LargeEye, large_eye
from experiments.synthetic.drawing.locks import halo, locks_of, partings
from experiments.synthetic.drawing.palette import hsv, mix, saturated, skin_tone
from experiments.synthetic.drawing.registry import register_style

LINE_WIDTH = 0.012
PROPORTIONS = Proportions(brow=0.72, mouth=0.62, jaw=0.93, chin=0.62)
WHITE = np.ones(3)
FRECKLES = [(0.24, 0.24), (0.36, 0.20), (0.32, 0.29)]

BRIGHT_HAIR = {
    "black": (0.20, 0.21, 0.42),
    "dark_brown": (0.40, 0.22, 0.50),
    "brown": (0.66, 0.30, 0.36),
    "chestnut": (0.93, 0.45, 0.58),
    "auburn": (0.88, 0.22, 0.24),
    "ginger": (1.00, 0.48, 0.14),
    "dark_blond": (0.92, 0.68, 0.22),
    "blond": (1.00, 0.88, 0.42),
    "platinum": (0.74, 0.86, 0.98),
}
"""What becomes of the natural hair colours: as bright or dark as they are, far more colourful."""
SILVER = np.array((0.82, 0.82, 0.92))
BRIGHT_IRISES = {
    "dark_brown": (0.50, 0.20, 0.20),
    "brown": (0.78, 0.36, 0.16),
    "hazel": (0.86, 0.66, 0.16),
    "green": (0.16, 0.72, 0.42),
    "blue": (0.16, 0.52, 0.95),
    "grey": (0.58, 0.46, 0.86),
}


def _line_on(colour: np.ndarray) -> np.ndarray:
    """Lines are a deep shade of what they surround."""
    return np.clip(saturated(np.asarray(colour), 1.2) * 0.34 + (0.03, 0.0, 0.05), 0, 1)


def _cel(canvas: Canvas, outlines: list[Points], colour: np.ndarray) -> Mask:
    """Fill outlines with one colour inside thin lines; returns the coverage of the fill."""
    fill = canvas.fill(*outlines)
    canvas.paint(fill, colour)
    canvas.paint(canvas.stroke(*outlines, width=LINE_WIDTH, closed=True), _line_on(colour), 0.9)
    return fill


def _backdrop(canvas: Canvas, attributes: FaceAttributes) -> None:
    """A pale sky, with a sun, a slanting beam or drifting lights."""
    hue, saturation = attributes.background_hue, 0.12 + 0.35 * attributes.background_saturation
    top, bottom = hsv(hue, saturation + 0.12, 0.95), hsv(hue + 0.08, saturation * 0.45, 1.0)
    canvas.pixels[:] = bottom
    canvas.paint(np.clip(1.05 - canvas.y * 1.2, 0, 1), top)
    if attributes.backdrop == "disc":
        canvas.paint(canvas.fill(ellipse((0.5, 0.46), 0.42, 0.42, 48)), WHITE, 0.55)
    elif attributes.backdrop == "split":
        beams = [np.array([(x, 0.0), (x + 0.16, 0.0), (x - 0.34, 1.0), (x - 0.50, 1.0)]) for x in (0.28, 0.72, 1.16)]
        canvas.paint(canvas.fill(*beams), WHITE, 0.5)
    elif attributes.backdrop == "bokeh":
        rng = np.random.default_rng(attributes.texture_seed)
        spots = [ellipse((x, y), r, r, 20) for x, y, r in rng.uniform((0, 0, 0.02), (1, 0.9, 0.075), (9, 3))]
        canvas.paint(canvas.fill(*spots), WHITE, 0.6)


def _hair_colour(attributes: FaceAttributes) -> np.ndarray:
    return mix(BRIGHT_HAIR[attributes.hair_colour], SILVER, attributes.grey)


def _skin_colour(attributes: FaceAttributes) -> np.ndarray:
    """Porcelain for the light, warm brown for the dark."""
    tone = saturated(skin_tone(attributes.skin_tone), 1.15) * 1.08
    return np.clip(mix(tone, (1.0, 0.93, 0.88), 0.34 - 0.20 * attributes.skin_tone), 0, 1)


def _shade_of(colour: np.ndarray) -> np.ndarray:
    """The darker of a hair colour's two tones, shifted towards violet."""
    return np.asarray(colour) * (0.66, 0.58, 0.74)


def _gleam_of(colour: np.ndarray) -> np.ndarray:
    """The bright band on hair: its hue at full brightness, a little bleached."""
    return mix(mix(colour, colour / colour.max(), 0.6), WHITE, 0.30)


def _paint_body(
    canvas: Canvas, attributes: FaceAttributes, anatomy: Anatomy, skin: np.ndarray, shade: np.ndarray
) -> None:
    clothes = clothes_of(attributes, anatomy.pose)
    colour = hsv(
        attributes.clothes_hue, 0.15 + 0.6 * attributes.clothes_saturation, 0.45 + 0.53 * attributes.clothes_value
    )
    canvas.paint(canvas.fill(anatomy.pose.body_to_frame(ellipse((0, 1.55), 0.8, 0.42))), skin)
    neck = _cel(canvas, [anatomy.neck], skin)
    canvas.paint(canvas.shifted(canvas.fill(anatomy.head), 0, 0.065) * neck, shade)
    garment = _cel(canvas, [clothes.garment], colour)
    fold = -0.9 * np.sign(attributes.light_x)
    dark_side = canvas.fill(anatomy.pose.body_to_frame(ellipse((fold, 2.2), 0.55, 1.0)))
    canvas.paint(dark_side * garment, colour * (0.76, 0.72, 0.84))
    for piece in clothes.collar:
        _cel(canvas, [piece], mix(colour, WHITE, 0.55))


def _paint_eye(canvas: Canvas, attributes: FaceAttributes, eye: LargeEye, face: Mask, line: np.ndarray) -> None:
    white = canvas.fill(eye.white) * face
    canvas.paint(white, (1.0, 0.99, 1.0))
    colour = np.array(BRIGHT_IRISES[attributes.iris_colour])
    down = np.clip((canvas.y - eye.top) / (eye.bottom - eye.top), 0, 1)[..., None]
    gradient = colour * (0.36 + 0.95 * down) + 0.16 * np.maximum(0, down - 0.5)
    iris = canvas.fill(eye.iris) * white
    canvas.paint(iris, np.clip(gradient, 0, 1))
    canvas.paint(canvas.stroke(eye.iris, width=0.010, closed=True) * white, colour * 0.35, 0.8)
    canvas.paint(canvas.fill(eye.pupil) * white, colour * 0.16)
    canvas.paint(canvas.fill(*eye.glints) * white, WHITE)
    canvas.paint(canvas.fill(eye.lower_lash, eye.crease) * face, line, 0.75)
    canvas.paint(canvas.fill(eye.lash) * face, line * 0.55)


def _paint_nose(canvas: Canvas, attributes: FaceAttributes, anatomy: Anatomy, shade: np.ndarray) -> None:
    """A little wedge of shadow on the side away from the light."""
    base, bridge = anatomy.nose.base, anatomy.nose.bridge
    away = 3 if attributes.light_x < 0 else 1
    tip = base[2] * 0.8 + bridge[2] * 0.2
    wedge = np.array([bridge[2], base[away] * 0.55 + tip * 0.45, tip])
    canvas.paint(canvas.fill(wedge), shade * (0.86, 0.78, 0.80))


def _paint_mouth(
    canvas: Canvas, attributes: FaceAttributes, anatomy: Anatomy, skin: np.ndarray, line: np.ndarray
) -> None:
    mouth = anatomy.mouth
    if attributes.lipstick > 0:
        lips = canvas.fill(mouth.upper_lip, mouth.lower_lip)
        canvas.paint(lips, mix(skin, (0.93, 0.30, 0.42), 0.35 + 0.45 * attributes.lipstick))
    if mouth.cavity is not None and mouth.teeth is not None:
        cavity = canvas.fill(mouth.cavity)
        canvas.paint(cavity, (0.72, 0.20, 0.26))
        canvas.paint(canvas.fill(mouth.teeth) * cavity, WHITE)
        canvas.paint(canvas.stroke(mouth.cavity, width=0.010, closed=True), line)
    else:
        canvas.paint(canvas.fill(ribbon(mouth.line, taper(len(mouth.line), 0.004, 0.008, 0.004))), line)


def _paint_hair(
    canvas: Canvas, hair: Hair, attributes: FaceAttributes, anatomy: Anatomy, face: Mask, shade: np.ndarray
) -> None:
    if not hair.front:
        return
    colour, pose = _hair_colour(attributes), anatomy.pose
    if hair.density < 1:
        colour = mix(colour, skin_tone(attributes.skin_tone), 0.2)
    front = canvas.fill(*hair.front)
    canvas.paint(canvas.shifted(front, 0, 0.045) * face * (1 - front), shade)
    canvas.paint(front, colour)
    side = float(np.sign(attributes.light_x))
    lit = canvas.fill(pose.to_frame(ellipse((0.34 * side - 0.13 * pose.turn, -0.25), 1.0, 1.15, 40)))
    canvas.paint(front * (1 - lit), _shade_of(colour))
    if attributes.hair_style not in ("buzz", "bald", "receding", "afro"):
        canvas.paint(canvas.fill(*partings(attributes, pose)) * front, _shade_of(colour))
        canvas.paint(canvas.fill(halo(attributes, pose)) * front, _gleam_of(colour))
    canvas.paint(canvas.stroke(*hair.front, width=LINE_WIDTH, closed=True), _line_on(colour), 0.9)


def _frame_colour(attributes: FaceAttributes) -> np.ndarray:
    bright = attributes.glasses_colour > 0.5
    return hsv(attributes.glasses_colour * 7, 0.8, 0.45) if bright else np.array((0.20, 0.12, 0.22))


def _paint_glasses(canvas: Canvas, attributes: FaceAttributes, glasses: Glasses) -> None:
    lenses = canvas.fill(*glasses.lenses)
    canvas.paint(lenses, (0.20, 0.16, 0.30) if glasses.dark else WHITE, 0.92 if glasses.dark else 0.14)
    lines = canvas.stroke(*glasses.rims, width=0.016, closed=attributes.glasses != "half_rim")
    canvas.paint(np.maximum(lines, canvas.stroke(glasses.bridge, width=0.014)), _frame_colour(attributes))


def _paint_beard(canvas: Canvas, attributes: FaceAttributes, anatomy: Anatomy, skin: np.ndarray) -> None:
    outlines = beard_of(attributes, anatomy.pose)
    if attributes.facial_hair == "stubble":
        canvas.paint(canvas.fill(*outlines), mix(skin, _shade_of(_hair_colour(attributes)), 0.20))
    elif outlines:
        _cel(canvas, outlines, _hair_colour(attributes))


def _paint_face(
    canvas: Canvas, attributes: FaceAttributes, anatomy: Anatomy, skin: np.ndarray, shade: np.ndarray
) -> Mask:
    """The head without features: its shaded edge, rosy cheeks, freckles, the lines of age. Returns its coverage."""
    pose = anatomy.pose
    face = _cel(canvas, [anatomy.head], skin)
    middle = anatomy.head.mean(axis=0)
    lit = middle + (anatomy.head - middle) * 1.06 + (0.055 * np.sign(attributes.light_x), -0.012)
    canvas.paint(face * (1 - canvas.fill(lit)), shade)
    cheeks = pose.to_frame(pose.on_face([(-0.45, 0.34), (0.45, 0.34)]))
    rosy = canvas.blur(canvas.fill(*[ellipse(cheek, 0.046, 0.022) for cheek in cheeks]), 0.008)
    canvas.paint(rosy * face, skin * (1.0, 0.66, 0.68), 0.35 + 0.5 * attributes.blush)
    if attributes.freckles:
        spots = pose.to_frame(pose.on_face([(s * x, y) for s in (-1, 1) for x, y in FRECKLES], 0.02))
        canvas.paint(canvas.fill(*[ellipse(spot, 0.008, 0.008, 8) for spot in spots]), shade * 0.75)
    if attributes.age > 0.5:
        folds = [
            pose.on_face(smooth_open([(s * 0.24, 0.40), (s * 0.31, 0.50), (s * 0.30, 0.60)]), 0.02) for s in (-1, 1)
        ]
        lines = canvas.fill(*[pose.to_frame(ribbon(fold, taper(len(fold), 0.002, 0.010, 0.002))) for fold in folds])
        canvas.paint(lines, _line_on(skin), min(0.8, attributes.age - 0.2))
    return face


@register_style("anime")
def paint_anime(attributes: FaceAttributes, resolution: int) -> np.ndarray:
    """A frame of an animated film, uint8 [R, R, 3]."""
    canvas = Canvas(resolution)
    anatomy = anatomy_of(attributes, PROPORTIONS)
    pose, hair = anatomy.pose, locks_of(attributes, anatomy.pose)
    skin = _skin_colour(attributes)
    shade, line = skin * (0.87, 0.70, 0.74), _line_on(skin)
    _backdrop(canvas, attributes)
    if hair.back:
        _cel(canvas, hair.back, _shade_of(_hair_colour(attributes)))
    _paint_body(canvas, attributes, anatomy, skin, shade)
    if not hair.covers_ears:
        _cel(canvas, anatomy.ears, skin)
    face = _paint_face(canvas, attributes, anatomy, skin, shade)
    if attributes.earrings and not hair.covers_ears:
        rings = [ellipse(ear.mean(axis=0) + np.array((0, 0.08)), 0.018, 0.022, 12) for ear in anatomy.ears]
        _cel(canvas, rings, np.array((1.0, 0.85, 0.35)))
    _paint_beard(canvas, attributes, anatomy, skin)
    _paint_nose(canvas, attributes, anatomy, shade)
    _paint_mouth(canvas, attributes, anatomy, skin, line)
    for side in (-1, 1):
        _paint_eye(canvas, attributes, large_eye(attributes, pose, side), face, line)
    glasses = glasses_of(attributes, pose)
    if glasses is not None and glasses.arms:
        canvas.paint(canvas.stroke(*glasses.arms, width=0.014), _frame_colour(attributes))
    _paint_hair(canvas, hair, attributes, anatomy, face, shade)
    canvas.paint(canvas.fill(*anatomy.brows) * face, _line_on(_hair_colour(attributes)), 0.8)
    if glasses is not None:
        _paint_glasses(canvas, attributes, glasses)
    return canvas.to_uint8()
