"""`portrait`: oil on canvas. Earth colours, light from one side out of the dark, strokes that follow the form."""

from dataclasses import dataclass

import numpy as np

from experiments.synthetic.drawing import oils
from experiments.synthetic.drawing.anatomy import Anatomy, Eye, Proportions, anatomy_of
from experiments.synthetic.drawing.attributes import FaceAttributes
from experiments.synthetic.drawing.beard import beard_of
from experiments.synthetic.drawing.brush import Brush, brushed
from experiments.synthetic.drawing.canvas import Canvas, Mask
from experiments.synthetic.drawing.clothes import clothes_of
from experiments.synthetic.drawing.curves import ellipse, ribbon, taper
from experiments.synthetic.drawing.eyewear import Glasses, glasses_of
from experiments.synthetic.drawing.hair import Hair, hair_of
from experiments.synthetic.drawing.light import Light
from experiments.synthetic.drawing.oils import LEAD_WHITE, OCHRE, UMBER, VERMILION, flesh_tone, light_side
from experiments.synthetic.drawing.palette import IRIS_COLOURS, mix
from experiments.synthetic.drawing.registry import register_style

BROAD = Brush(spacing=0.062, half_length=0.080, half_width=0.026, unsteadiness=0.30, mixing=0.07, relief=0.13)
FLESH = Brush(spacing=0.036, half_length=0.032, half_width=0.013, unsteadiness=0.12, mixing=0.03, relief=0.11)
STRAND = Brush(spacing=0.036, half_length=0.060, half_width=0.011, unsteadiness=0.06, mixing=0.10, relief=0.16)
PROPORTIONS = Proportions(eye=1.08, iris=1.04)


@dataclass(frozen=True)
class Sitting:
    """One image in the making: the sitter, the canvas, and what several steps need."""

    attributes: FaceAttributes
    canvas: Canvas
    anatomy: Anatomy
    hair: Hair
    light: Light
    rng: np.random.Generator
    head: Mask
    front: Mask
    """Coverage of the hair in front of the head."""
    strands: np.ndarray
    """Brushed hair over the whole frame, [R, R, 3]."""


def _sit(attributes: FaceAttributes, resolution: int) -> Sitting:
    canvas, rng = Canvas(resolution), np.random.default_rng(attributes.texture_seed)
    anatomy = anatomy_of(attributes, PROPORTIONS)
    hair, light = hair_of(attributes, anatomy.pose), Light(canvas, attributes, anatomy.pose)
    front = canvas.fill(*hair.front)
    hairy = np.maximum(front, canvas.fill(*hair.back, *beard_of(attributes, anatomy.pose)))
    from_crown = np.arctan2(light.v + np.float32(1.25), light.u)
    strands = brushed(oils.hair(light, attributes), hairy, from_crown, STRAND, rng)
    head = canvas.fill(anatomy.head)
    return Sitting(attributes, canvas, anatomy, hair, light, rng, head, front, strands)


def _paint_behind(sitting: Sitting) -> None:
    """The backdrop in broad strokes, and the hair behind the head."""
    canvas, rng = sitting.canvas, sitting.rng
    flow = oils.backdrop_flow(sitting.light, sitting.attributes, rng.uniform(0, 6))
    seen = 1 - np.maximum(sitting.head, sitting.front)
    canvas.pixels = brushed(oils.backdrop(canvas, sitting.attributes), seen, flow, BROAD, rng)
    if sitting.hair.back:
        canvas.paint(canvas.blur(canvas.fill(*sitting.hair.back), 0.006), sitting.strands * np.float32(0.5))


def _paint_body(sitting: Sitting) -> None:
    """Neck and clothes."""
    attributes, canvas, light, rng = sitting.attributes, sitting.canvas, sitting.light, sitting.rng
    pose = sitting.anatomy.pose
    neck = canvas.fill(sitting.anatomy.neck, pose.body_to_frame(ellipse((0, 1.55), 0.8, 0.42)))
    flesh = brushed(oils.body(light, attributes), neck * (1 - sitting.head), light.contours(), FLESH, rng)
    canvas.paint(neck, flesh)
    throat = canvas.blur(canvas.shifted(sitting.head, -0.03 * light_side(attributes), 0.06), 0.03)
    canvas.shade(throat * neck * 0.85, (0.40, 0.28, 0.22))
    clothes, folds = clothes_of(attributes, pose), oils.folds(light, attributes)
    garment, colour = canvas.fill(clothes.garment), oils.cloth_colour(attributes)
    sweep = 1.1 + 0.5 * light_side(attributes) * light.u
    canvas.paint(garment, brushed(colour * folds, garment, sweep, BROAD, rng))
    if clothes.collar:
        lining = LEAD_WHITE * 0.85 if attributes.collar == "shirt" else mix(colour * 1.5, OCHRE, 0.3)
        canvas.paint(canvas.fill(*clothes.collar), lining * folds)


def _paint_head(sitting: Sitting) -> None:
    """Ears and face, without features, under the shadow of the hair; the beard."""
    attributes, canvas, light, head = sitting.attributes, sitting.canvas, sitting.light, sitting.head
    ears = np.zeros_like(head) if sitting.hair.covers_ears else canvas.fill(*sitting.anatomy.ears)
    skin = oils.skin(light, attributes, sitting.anatomy.pose)
    flesh = brushed(skin, np.maximum(head, ears), light.contours(), FLESH, sitting.rng)
    canvas.paint(ears, flesh * np.array((0.85, 0.72, 0.68), dtype=np.float32))
    canvas.paint(head, flesh)
    cast = canvas.blur(canvas.shifted(sitting.front, -0.025 * light_side(attributes), 0.03), 0.016)
    canvas.shade(cast * head * 0.8, (0.52, 0.40, 0.34))
    beard = beard_of(attributes, sitting.anatomy.pose)
    if beard:
        opacity = 0.3 if attributes.facial_hair == "stubble" else 0.9
        canvas.paint(canvas.blur(canvas.fill(*beard), 0.012), sitting.strands * np.float32(0.8), opacity)
    if attributes.freckles:
        canvas.shade(_freckles(sitting) * 0.7, (0.80, 0.62, 0.52))
    if attributes.earrings and not sitting.hair.covers_ears:
        pearls = [ellipse(ear.mean(axis=0) + np.array((0, 0.08)), 0.018, 0.020, 12) for ear in sitting.anatomy.ears]
        canvas.paint(canvas.fill(*pearls), LEAD_WHITE * 0.92)


def _freckles(sitting: Sitting) -> Mask:
    spots = sitting.rng.uniform((-0.5, 0.14), (0.5, 0.36), (9, 2))
    pose = sitting.anatomy.pose
    return sitting.canvas.fill(*[pose.to_frame(ellipse(spot, 0.028, 0.028, 10)) for spot in pose.on_face(spots, 0.02)])


def _paint_nose(canvas: Canvas, attributes: FaceAttributes, anatomy: Anatomy, light: Light) -> None:
    """The dark side of the bridge, nostrils, and a dab of white on the tip."""
    base, bridge, side = anatomy.nose.base, anatomy.nose.bridge, light_side(attributes)
    away = 0 if side > 0 else 4
    plane = canvas.blur(canvas.fill(np.array([bridge[0], bridge[1], bridge[2], base[2], base[away]])), 0.007)
    canvas.shade(plane * 0.8, (0.62, 0.50, 0.44))
    canvas.paint(canvas.fill(*anatomy.nose.nostrils), flesh_tone(attributes) * (0.28, 0.16, 0.12), 0.75)
    tip = anatomy.pose.on_face([(0.03 * side, 0.25 * attributes.nose_length)], 0.18)[0]
    ridge = anatomy.pose.on_face([(0.03 * side, 0.06)], 0.12)[0]
    shine = 0.30 * light.spot(tip, 0.055, 0.06) + 0.15 * light.spot(ridge, 0.035, 0.15)
    canvas.glow(shine * light.head, LEAD_WHITE)


def _paint_eye(canvas: Canvas, attributes: FaceAttributes, eye: Eye, face: Mask) -> None:
    shaded = 0.62 if eye.side * attributes.light_x < 0 else 1.0
    white = canvas.fill(eye.white) * face
    canvas.paint(white, np.array((0.86, 0.80, 0.70)) * shaded)
    canvas.paint(canvas.fill(eye.iris) * white, np.array(IRIS_COLOURS[attributes.iris_colour]) * (0.78, 0.72, 0.66))
    canvas.paint(canvas.fill(eye.pupil) * white, (0.03, 0.02, 0.02))
    canvas.paint(canvas.fill(eye.crease) * face, flesh_tone(attributes) * (0.40, 0.26, 0.20), 0.6)
    canvas.paint(canvas.fill(eye.upper_lid) * face, UMBER * 0.8, 0.95)
    canvas.paint(canvas.fill(eye.glint) * white, LEAD_WHITE)


def _paint_mouth(canvas: Canvas, attributes: FaceAttributes, anatomy: Anatomy, light: Light, face: Mask) -> None:
    mouth = anatomy.mouth
    colour = mix(flesh_tone(attributes) * (0.80, 0.52, 0.46), VERMILION, 0.20 + 0.6 * attributes.lipstick)
    lit = (0.45 + 0.66 * light.head)[..., None]
    canvas.paint(canvas.fill(mouth.upper_lip) * face, colour * 0.74 * lit, 0.85)
    canvas.paint(canvas.fill(mouth.lower_lip) * face, colour * 1.05 * lit, 0.85)
    if mouth.cavity is not None and mouth.teeth is not None:
        canvas.paint(canvas.fill(mouth.cavity) * face, (0.14, 0.05, 0.04))
        canvas.paint(canvas.fill(mouth.teeth) * face, np.array((0.86, 0.80, 0.68)) * lit)
    else:
        canvas.paint(canvas.fill(ribbon(mouth.line, taper(len(mouth.line), 0.004, 0.006, 0.004))) * face, UMBER, 0.8)


def _wire(attributes: FaceAttributes) -> np.ndarray:
    """Colour [3] of a pair of glasses: horn or brass."""
    return mix(UMBER, OCHRE * 1.2, max(0.0, attributes.glasses_colour * 2 - 1))


def _paint_glasses(canvas: Canvas, attributes: FaceAttributes, glasses: Glasses) -> None:
    if glasses.dark:
        canvas.paint(canvas.fill(*glasses.lenses), UMBER, 0.9)
    lines = canvas.stroke(*glasses.rims, width=0.017, closed=attributes.glasses != "half_rim")
    canvas.paint(np.maximum(lines, canvas.stroke(glasses.bridge, width=0.014)), _wire(attributes), 0.95)


def _on_linen(canvas: Canvas) -> np.ndarray:
    """The finished image with the weave of its canvas, 21 threads a side, uint8 [R, R, 3]."""
    threads = np.float32(2 * np.pi * 64 / 3)
    weave = 1 + np.float32(0.010) * (np.sin(canvas.x * threads) + np.sin(canvas.y * threads))
    canvas.pixels *= weave[..., None]
    return canvas.to_uint8()


@register_style("portrait")
def paint_portrait(attributes: FaceAttributes, resolution: int) -> np.ndarray:
    """An oil painting, uint8 [R, R, 3]."""
    sitting = _sit(attributes, resolution)
    canvas, anatomy, head = sitting.canvas, sitting.anatomy, sitting.head
    _paint_behind(sitting)
    _paint_body(sitting)
    _paint_head(sitting)
    _paint_nose(canvas, attributes, anatomy, sitting.light)
    for eye in anatomy.eyes:
        _paint_eye(canvas, attributes, eye, head)
    canvas.paint(canvas.fill(*anatomy.brows) * head, mix(oils.hair_colour(attributes) * 0.6, UMBER, 0.35), 0.85)
    _paint_mouth(canvas, attributes, anatomy, sitting.light, head)
    glasses = glasses_of(attributes, anatomy.pose)
    if glasses is not None and glasses.arms:
        canvas.paint(canvas.stroke(*glasses.arms, width=0.014), _wire(attributes), 0.9)
    canvas.paint(canvas.blur(sitting.front, 0.006), sitting.strands, sitting.hair.density)
    if glasses is not None:
        _paint_glasses(canvas, attributes, glasses)
    return _on_linen(canvas)
