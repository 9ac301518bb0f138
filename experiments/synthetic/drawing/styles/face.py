"""`face`: like a photograph.

A lit ellipsoid under skin, soft shadows, strands and highlights in the hair, a lens blur behind.
"""

import numpy as np

from experiments.synthetic.drawing.anatomy import MOUTH_Y, Anatomy, Eye, Proportions, anatomy_of
from experiments.synthetic.drawing.attributes import FaceAttributes
from experiments.synthetic.drawing.beard import beard_of
from experiments.synthetic.drawing.canvas import Canvas, Mask
from experiments.synthetic.drawing.clothes import clothes_of
from experiments.synthetic.drawing.curves import ellipse, ribbon, taper
from experiments.synthetic.drawing.eyewear import Glasses, glasses_of
from experiments.synthetic.drawing.hair import Hair, hair_of
from experiments.synthetic.drawing.light import Light, Spot, sum_of_spots
from experiments.synthetic.drawing.palette import GREY_HAIR, HAIR_COLOURS, IRIS_COLOURS, hsv, mix, skin_tone
from experiments.synthetic.drawing.pose import Pose
from experiments.synthetic.drawing.registry import register_style

SHADOW_OF_SKIN = np.array((0.60, 0.43, 0.38))
"""What full shadow leaves of the skin: red passes through flesh, so blue goes first."""


def _backdrop(canvas: Canvas, attributes: FaceAttributes, rng: np.random.Generator) -> None:
    """A wall out of focus: a gradient, with discs of light for `bokeh`."""
    hue, saturation, value = attributes.background_hue, attributes.background_saturation, attributes.background_value
    near, far = hsv(hue, saturation * 0.65, value), hsv(hue + 0.06, saturation * 0.8, value * 0.66)
    slope = canvas.y * 0.75 + canvas.x * (0.35 if attributes.light_x < 0 else -0.35)
    slope = np.clip(slope + (0.0 if attributes.light_x < 0 else 0.35), 0, 1)
    canvas.paint(1 - slope, near)
    canvas.paint(slope, far)
    num_blobs = 7 if attributes.backdrop == "bokeh" else 2
    for x, y, radius, brightness in rng.uniform((0, 0, 0.06, -0.10), (1, 0.8, 0.16, 0.16), (num_blobs, 4)):
        square = ((canvas.x - x) ** 2 + (canvas.y - y) ** 2) / radius**2
        canvas.glow(np.exp(-(square**2)), np.full(3, brightness))


def _hair_colour(attributes: FaceAttributes) -> np.ndarray:
    return mix(HAIR_COLOURS[attributes.hair_colour], GREY_HAIR, attributes.grey)


def _strands(light: Light, attributes: FaceAttributes, rng: np.random.Generator) -> Mask:
    """Streaks in [-1, 1] that run from the crown downwards: noise over the angle around it."""
    angle = np.arctan2(light.u, light.v + 1.25) * np.float32(20 / np.pi)
    bend = angle + np.float32(0.5) * np.sin(light.v * 3 + np.float32(rng.uniform(0, 6)))
    table = rng.uniform(-1, 1, 64).astype(np.float32)
    if attributes.hair_style in ("afro", "curly"):
        bent_u = light.u + 0.12 * np.sin(light.v * 7 + table[0] * 9)
        bent_v = light.v + 0.12 * np.sin(light.u * 8 + table[1] * 9)
        swirl = np.sin(bent_u * 13 + bent_v * 9) * np.sin(bent_v * 14 - bent_u * 6)
        return np.asarray(0.9 * swirl, dtype=np.float32)
    place = (bend + 40) * 1.1
    low = np.floor(place).astype(np.int64)
    blend = place - low
    return table[low % 64] * (1 - blend) + table[(low + 1) % 64] * blend


def _lit_hair(light: Light, attributes: FaceAttributes, strands: Mask, dim: float) -> np.ndarray:
    """Colour [R, R, 3] of hair: diffuse, strands, and the bright band across them."""
    colour = _hair_colour(attributes).astype(np.float32)
    tone = (0.46 + 0.80 * light.hair) * (1 + 0.15 * strands) * np.float32(dim)
    side = np.float32(0.35 if attributes.light_x > 0 else -0.35)
    band = np.exp(-(((light.v + 0.72 + 0.35 * (light.u - side) ** 2) / 0.16) ** 2)) * (0.72 + 0.28 * strands)
    band = band * light.hair * np.float32(dim * (0.06 if attributes.hair_style in ("afro", "curly", "buzz") else 0.17))
    return tone[..., None] * colour + band[..., None] * (0.5 + 0.7 * colour)


def _hollows(attributes: FaceAttributes) -> list[Spot]:
    """Where the face turns away from any light: sockets, cheeks, beside the nose, under nose and lip, wrinkles."""
    age, opened = attributes.age, attributes.mouth_open
    spots: list[Spot] = []
    for side in (-1, 1):
        spots += [
            (0.17, side * 0.31, -0.13, 0, 0.19, 0.10),
            (0.10 + 0.14 * age, side * 0.33, 0.11, 0, 0.15, 0.045),
            (0.16, side * 0.60, 0.45, 0, 0.12, 0.24),
            (0.14, side * 0.13, 0.30, 0.08, 0.045, 0.055),
            (0.05 + 0.22 * age + 0.05 * max(0.0, attributes.smile), side * 0.27, 0.43, 0, 0.05, 0.10),
        ]
    spots += [
        (0.34, -np.sign(attributes.light_x) * 0.105, 0.12, 0.05, 0.05, 0.20),
        (0.30, 0, 0.385, 0.05, 0.12, 0.035),
        (0.22, 0, MOUTH_Y + 0.17 + 0.09 * opened, 0, 0.14, 0.04),
        (0.08, 0, 0.46, 0, 0.03, 0.05),
    ]
    if age > 0.5:
        spots += [(0.16 * (age - 0.4), 0, y, 0, 0.3, 0.018) for y in (-0.44, -0.52)]
    return spots


def _highlights(attributes: FaceAttributes) -> list[Spot]:
    """Where the skin shines: tip and bridge of the nose, and on the side of the light forehead and cheek; the chin."""
    side = float(np.sign(attributes.light_x))
    return [
        (0.10, 0, 0.24, 0.18, 0.05, 0.06),
        (0.07, side * 0.02, 0.05, 0.10, 0.03, 0.16),
        (0.07, side * 0.18, -0.48, 0, 0.22, 0.14),
        (0.05, side * 0.42, 0.20, 0, 0.13, 0.08),
        (0.04, 0, 0.88, 0, 0.12, 0.07),
    ]


BLUSH: list[Spot] = [(1, 0.42, 0.27, 0, 0.19, 0.15), (1, -0.42, 0.27, 0, 0.19, 0.15), (0.7, 0, 0.25, 0.18, 0.08, 0.08)]


def _skin(light: Light, attributes: FaceAttributes, pose: Pose) -> np.ndarray:
    """Colour [R, R, 3] of the face's skin: the ellipsoid's shading, hollows, highlights and blush."""
    lit = np.clip((light.head - 0.05) / 0.78, 0, 1)
    lit = lit * lit * (3 - 2 * lit) * 0.55 + lit * 0.45
    shade = np.clip(1 - lit + sum_of_spots(light, pose, _hollows(attributes)), 0, 1.15)[..., None]
    tone = skin_tone(attributes.skin_tone).astype(np.float32)
    colour = tone * 1.06 * (1 - shade * (1 - SHADOW_OF_SKIN.astype(np.float32)))
    shine = sum_of_spots(light, pose, _highlights(attributes)) * (0.4 + light.head)
    colour += shine[..., None] * np.array((1.0, 0.95, 0.88), dtype=np.float32)
    rosy = np.float32(0.22 * (0.35 + 0.65 * attributes.blush)) * sum_of_spots(light, pose, BLUSH)[..., None]
    colour *= 1 - rosy * np.array((0.02, 0.42, 0.36), dtype=np.float32)
    return colour


def _paint_ears(canvas: Canvas, anatomy: Anatomy, skin: np.ndarray) -> None:
    ears = canvas.fill(*anatomy.ears)
    canvas.paint(ears, skin * (0.92, 0.82, 0.80))
    inner = canvas.fill(*[ear.mean(axis=0) + (ear - ear.mean(axis=0)) * 0.55 for ear in anatomy.ears])
    canvas.shade(canvas.blur(inner, 0.008) * ears, (0.75, 0.60, 0.56))


def _paint_eye(canvas: Canvas, attributes: FaceAttributes, eye: Eye, face: Mask, tone: np.ndarray) -> None:
    iris_colour = np.array(IRIS_COLOURS[attributes.iris_colour])
    white = canvas.fill(eye.white) * face
    canvas.paint(white, (0.90, 0.88, 0.86))
    iris = canvas.fill(eye.iris) * white
    canvas.paint(iris, iris_colour * 0.95)
    canvas.paint(canvas.fill(eye.pupil) * white, (0.03, 0.025, 0.03))
    lid = canvas.fill(eye.upper_lid) * face
    canvas.shade(canvas.blur(lid, 0.012) * white, (0.45, 0.42, 0.42))
    canvas.paint(canvas.fill(eye.crease) * face, tone * (0.52, 0.38, 0.34), 0.55)
    canvas.paint(lid, mix((0.06, 0.04, 0.04), tone * 0.4, 0.35 * (1 - attributes.lashes)), 0.92)
    canvas.paint(canvas.fill(eye.glint) * white, (1, 1, 1), 0.95)


def _paint_mouth(canvas: Canvas, attributes: FaceAttributes, anatomy: Anatomy, light: Light, face: Mask) -> None:
    mouth, tone = anatomy.mouth, skin_tone(attributes.skin_tone)
    bare = tone * (0.84, 0.62, 0.60)
    colour = mix(bare, (0.70, 0.13, 0.18), 0.75 * attributes.lipstick)
    lit = (0.62 + 0.42 * light.head)[..., None]
    opacity = 0.85 if attributes.lashes > 0.3 else 0.65
    canvas.paint(canvas.fill(mouth.upper_lip) * face, colour * 0.80 * lit, opacity)
    lower = canvas.fill(mouth.lower_lip) * face
    canvas.paint(lower, colour * lit, opacity)
    if mouth.cavity is not None and mouth.teeth is not None:
        canvas.paint(canvas.fill(mouth.cavity) * face, (0.22, 0.06, 0.06))
        canvas.paint(canvas.fill(mouth.teeth) * face, np.array((0.95, 0.92, 0.87)) * lit)
    else:
        width = taper(len(mouth.line), 0.004, 0.0058, 0.004)
        canvas.paint(canvas.fill(ribbon(mouth.line, width)) * face, tone * (0.36, 0.18, 0.17), 0.85)
    middle = anatomy.pose.on_face([(0, MOUTH_Y + 0.075 + 0.10 * attributes.mouth_open)], 0.05)[0]
    canvas.glow(light.spot(middle, 0.09, 0.025) * lower, np.full(3, 0.10 + 0.10 * attributes.lipstick))


def _paint_body(canvas: Canvas, attributes: FaceAttributes, anatomy: Anatomy, light: Light) -> None:
    tone = skin_tone(attributes.skin_tone)
    clothes = clothes_of(attributes, anatomy.pose)
    side = np.clip(0.84 + 0.26 * attributes.light_x * light.u, 0.45, 1.12)[..., None]
    neck = canvas.fill(anatomy.neck)
    chest = canvas.fill(anatomy.pose.body_to_frame(ellipse((0, 1.55), 0.8, 0.42)))
    flesh = np.maximum(neck, chest)
    canvas.paint(flesh, tone * (0.93, 0.88, 0.86) * side)
    throat = canvas.blur(canvas.shifted(canvas.fill(anatomy.head), -0.02 * attributes.light_x, 0.05), 0.03)
    canvas.shade(throat * flesh * 0.75, (0.55, 0.42, 0.38))
    colour = hsv(attributes.clothes_hue, attributes.clothes_saturation, attributes.clothes_value)
    garment = canvas.fill(clothes.garment)
    canvas.shade(canvas.blur(garment, 0.015) * flesh, (0.72, 0.66, 0.64))
    folds = 1 + 0.06 * np.sin(light.u * 9 + light.v * 5 + attributes.clothes_hue * 20)
    canvas.paint(garment, colour * (side * folds[..., None]))
    if clothes.collar:
        pieces = canvas.fill(*clothes.collar)
        canvas.shade(canvas.blur(pieces, 0.02) * (1 - pieces) * garment, (0.65, 0.65, 0.68))
        canvas.paint(pieces, np.clip(colour * 1.12 + 0.03, 0, 1) * side)


def _paint_hair(canvas: Canvas, hair: Hair, colour: np.ndarray, face: Mask, attributes: FaceAttributes) -> None:
    if not hair.front:
        return
    front = canvas.fill(*hair.front)
    cast = canvas.blur(canvas.shifted(front, -0.018 * attributes.light_x, 0.028), 0.016)
    canvas.shade(cast * face * 0.75, (0.55, 0.45, 0.42))
    canvas.paint(canvas.blur(front, 0.007), colour, hair.density)


def _paint_beard(canvas: Canvas, attributes: FaceAttributes, anatomy: Anatomy, light: Light, strands: Mask) -> None:
    outlines = beard_of(attributes, anatomy.pose)
    if not outlines:
        return
    mask = canvas.blur(canvas.fill(*outlines), 0.012)
    colour = _hair_colour(attributes) * 0.9
    lit = ((0.45 + 0.6 * light.head) * (1 + 0.15 * strands))[..., None]
    canvas.paint(mask, colour * lit, 0.27 if attributes.facial_hair == "stubble" else 0.93)


def _frame_colour(attributes: FaceAttributes) -> np.ndarray:
    return mix((0.07, 0.06, 0.07), hsv(0.09, 0.55, 0.55), max(0.0, attributes.glasses_colour * 2 - 1.1))


def _paint_glasses(canvas: Canvas, attributes: FaceAttributes, glasses: Glasses) -> None:
    lenses = canvas.fill(*glasses.lenses)
    if glasses.dark:
        sheen = np.clip(0.10 + 0.28 * (0.62 - canvas.y) + 0.10 * (canvas.x - 0.5), 0.03, 0.4)[..., None]
        canvas.paint(lenses, np.array((0.9, 0.85, 0.9)) * sheen, 0.95)
    else:
        canvas.paint(lenses, (0.92, 0.96, 1.0), 0.09)
    lines = canvas.stroke(*glasses.rims, width=0.019, closed=attributes.glasses != "half_rim")
    lines = np.maximum(lines, canvas.stroke(glasses.bridge, width=0.015))
    canvas.shade(canvas.blur(canvas.shifted(lines, 0, 0.016), 0.008) * (1 - lines), (0.72, 0.66, 0.64))
    canvas.paint(lines, _frame_colour(attributes), 0.95)


def _freckles(canvas: Canvas, light: Light, anatomy: Anatomy, rng: np.random.Generator) -> None:
    for x, y in rng.uniform((-0.5, 0.14), (0.5, 0.36), (9, 2)):
        canvas.shade(0.30 * light.spot(anatomy.pose.on_face([(x, y)], 0.02)[0], 0.035), (0.75, 0.55, 0.45))


@register_style("face")
def paint_face(attributes: FaceAttributes, resolution: int) -> np.ndarray:
    """A photo-like portrait, uint8 [R, R, 3]."""
    rng = np.random.default_rng(attributes.texture_seed)
    canvas = Canvas(resolution)
    anatomy = anatomy_of(attributes, Proportions(eye=1.08, iris=1.04))
    hair = hair_of(attributes, anatomy.pose)
    light = Light(canvas, attributes, anatomy.pose)
    tone = skin_tone(attributes.skin_tone)
    _backdrop(canvas, attributes, rng)
    strands = _strands(light, attributes, rng)
    if hair.back:
        canvas.paint(canvas.blur(canvas.fill(*hair.back), 0.007), _lit_hair(light, attributes, strands, 0.62))
    _paint_body(canvas, attributes, anatomy, light)
    skin = _skin(light, attributes, anatomy.pose)
    if not hair.covers_ears:
        _paint_ears(canvas, anatomy, skin)
    face = canvas.fill(anatomy.head)
    canvas.paint(face, skin)
    if attributes.freckles:
        _freckles(canvas, light, anatomy, rng)
    _paint_beard(canvas, attributes, anatomy, light, strands)
    canvas.paint(canvas.fill(*anatomy.nose.nostrils), tone * (0.42, 0.26, 0.23), 0.62)
    for eye in anatomy.eyes:
        _paint_eye(canvas, attributes, eye, face, tone)
    brow = mix(_hair_colour(attributes) * 0.72, (0.10, 0.07, 0.06), 0.25)
    canvas.paint(canvas.blur(canvas.fill(*anatomy.brows), 0.005) * face, brow, 0.85)
    _paint_mouth(canvas, attributes, anatomy, light, face)
    if attributes.earrings and not hair.covers_ears:
        rings = [ellipse(ear.mean(axis=0) + np.array((0, 0.075)), 0.014, 0.016, 12) for ear in anatomy.ears]
        canvas.paint(canvas.fill(*rings), (0.95, 0.85, 0.55))
    glasses = glasses_of(attributes, anatomy.pose)
    if glasses is not None and glasses.arms:
        canvas.paint(canvas.stroke(*glasses.arms, width=0.015), _frame_colour(attributes), 0.95)
    _paint_hair(canvas, hair, _lit_hair(light, attributes, strands, 1.0), face, attributes)
    if glasses is not None:
        _paint_glasses(canvas, attributes, glasses)
    canvas.pixels += rng.normal(0, 0.003, (resolution, resolution, 1)).astype(np.float32)
    return canvas.to_uint8()
