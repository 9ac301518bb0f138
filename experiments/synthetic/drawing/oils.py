"""Colours of an old oil painting over the whole frame, before the brush: backdrop, flesh, hair and cloth.

A few earths, white and black, in a strong light from one side; what turns away from it sinks into umber.
"""

import numpy as np

from experiments.synthetic.drawing.anatomy import MOUTH_Y
from experiments.synthetic.drawing.attributes import FaceAttributes
from experiments.synthetic.drawing.canvas import Canvas, Mask
from experiments.synthetic.drawing.light import Light, Spot, sum_of_spots
from experiments.synthetic.drawing.palette import GREY_HAIR, HAIR_COLOURS, hsv, mix, skin_tone
from experiments.synthetic.drawing.pose import Pose

UMBER = np.array((0.09, 0.055, 0.035))
OCHRE = np.array((0.62, 0.43, 0.22))
VERMILION = np.array((0.66, 0.16, 0.12))
LEAD_WHITE = np.array((1.0, 0.95, 0.84))

FLESH_STOPS = (0.0, 0.26, 0.58, 1.0)
"""Amounts of light to which the colours below belong."""
FLESH_COLOURS = np.array([(0.25, 0.16, 0.12), (0.65, 0.51, 0.42), (0.96, 0.91, 0.85), (1.09, 1.08, 1.03)])
"""What the light makes of the tone of the skin."""


def light_side(attributes: FaceAttributes) -> float:
    """-1 where the light comes from the left, 1 from the right."""
    return float(np.sign(attributes.light_x))


def backdrop(canvas: Canvas, attributes: FaceAttributes) -> np.ndarray:
    """What is behind the sitter [R, R, 3]: a wall lit on one side or in the middle, a curtain, or a land at dusk."""
    hue, saturation = attributes.background_hue, 0.25 + 0.5 * attributes.background_saturation
    ground = mix(hsv(hue, saturation, 0.30), (0.30, 0.20, 0.12), 0.50).astype(np.float32)
    strength = np.float32(0.2 + 2.2 * (attributes.background_value - 0.55))
    if attributes.backdrop == "bokeh":
        return _dusk(canvas, ground, strength)
    middle = 0.5 - (0.06 if attributes.backdrop == "disc" else 0.34) * light_side(attributes)
    glow = np.exp(-(((canvas.x - np.float32(middle)) / np.float32(0.42)) ** 2 + ((canvas.y - 0.42) / 0.5) ** 2))
    wall = (np.float32(0.40) + strength * glow)[..., None] * ground
    if attributes.backdrop != "split":
        return wall
    drawn = np.clip((light_side(attributes) * (canvas.x - 0.5) - 0.10 - 0.1 * canvas.y) * 12, 0, 1)
    folds = 0.75 + 0.40 * np.sin(canvas.x * 34 + 1.5 * np.sin(canvas.y * 4))
    cloth = folds[..., None] * mix(hsv(hue + 0.45, 0.60, 0.34), (0.32, 0.15, 0.10), 0.50).astype(np.float32)
    return wall + drawn[..., None] * (cloth - wall)


def backdrop_flow(light: Light, attributes: FaceAttributes, phase: float) -> Mask:
    """Direction [R, R] of the brush behind the sitter: level in a sky, downwards in a curtain, else in sweeps."""
    wave = np.sin(light.u * 2.1 + light.v * 1.7 + np.float32(phase))
    if attributes.backdrop == "bokeh":
        return np.asarray(0.12 * wave)
    if attributes.backdrop == "split":
        return np.asarray(1.5 + 0.35 * wave)
    return np.asarray(0.7 + 0.9 * wave)


def _dusk(canvas: Canvas, ground: np.ndarray, strength: np.floating) -> np.ndarray:
    """A sky that darkens upwards over dark land, with a glimmer on the horizon."""
    up = np.clip(1 - canvas.y / np.float32(0.66), 0, 1)[..., None]
    glimmer, height = (OCHRE * 0.62).astype(np.float32), np.array((0.17, 0.20, 0.22), dtype=np.float32)
    sky = (np.float32(0.6) + np.float32(0.6) * strength) * (glimmer + np.sqrt(up) * (height - glimmer))
    return np.where(canvas.y[..., None] < 0.66 + 0.03 * np.sin(canvas.x[..., None] * 9), sky, ground * np.float32(0.55))


def _hollows(attributes: FaceAttributes) -> list[Spot]:
    """Where the light does not reach: sockets, cheeks, beside and below the nose, below the lip; folds of the old."""
    age = attributes.age
    spots: list[Spot] = []
    for side in (-1, 1):
        spots += [
            (0.28, side * 0.31, -0.13, 0, 0.19, 0.10),
            (0.05 + 0.22 * age, side * 0.33, 0.12, 0, 0.15, 0.05),
            (0.15, side * 0.58, 0.45, 0, 0.13, 0.24),
            (0.04 + 0.25 * age, side * 0.27, 0.43, 0, 0.05, 0.10),
        ]
    spots += [
        (0.40, 0, 0.395, 0.05, 0.13, 0.04),
        (0.26, 0, MOUTH_Y + 0.17 + 0.09 * attributes.mouth_open, 0, 0.15, 0.045),
    ]
    if age > 0.5:
        spots += [(0.30 * (age - 0.4), 0, y, 0, 0.3, 0.02) for y in (-0.43, -0.52)]
    return spots


def _highlights(attributes: FaceAttributes) -> list[Spot]:
    """Where the paint is thickest: the forehead, cheek and chin on the side of the light."""
    side = light_side(attributes)
    return [
        (0.15, side * 0.20, -0.46, 0, 0.22, 0.14),
        (0.13, side * 0.42, 0.20, 0, 0.14, 0.09),
        (0.07, 0, 0.88, 0, 0.12, 0.07),
    ]


BLUSH: list[Spot] = [(1, 0.42, 0.27, 0, 0.18, 0.14), (1, -0.42, 0.27, 0, 0.18, 0.14), (0.8, 0, 0.25, 0.18, 0.09, 0.09)]


def flesh_tone(attributes: FaceAttributes) -> np.ndarray:
    """Colour [3] of the skin in the image's palette."""
    return mix(skin_tone(attributes.skin_tone), (0.80, 0.66, 0.52), 0.10) * (1.02, 0.98, 0.90)


def flesh_in(light: Mask, tone: np.ndarray) -> np.ndarray:
    """Flesh [R, R, 3] in an amount of light from 0 to 1: from umber through sienna and the tone towards white."""
    stops = (FLESH_COLOURS * tone).astype(np.float32)
    return np.stack(
        [np.interp(light, FLESH_STOPS, stops[:, channel]) for channel in range(3)], axis=-1, dtype=np.float32
    )


def skin(light: Light, attributes: FaceAttributes, pose: Pose) -> np.ndarray:
    """Colour [R, R, 3] of the face."""
    lit = np.clip((light.head - np.float32(0.10)) / np.float32(0.66), 0, 1)
    lit = np.clip(lit - sum_of_spots(light, pose, _hollows(attributes)) * (0.35 + 0.65 * lit), 0, 1)
    colour = flesh_in(lit, flesh_tone(attributes))
    shine = sum_of_spots(light, pose, _highlights(attributes)) * lit
    colour += shine[..., None] * LEAD_WHITE.astype(np.float32)
    rosy = np.float32(0.21 * (0.4 + 0.6 * attributes.blush)) * sum_of_spots(light, pose, BLUSH)
    return colour * (1 - rosy[..., None] * np.array((0.02, 0.44, 0.48), dtype=np.float32))


def body(light: Light, attributes: FaceAttributes) -> np.ndarray:
    """Colour [R, R, 3] of neck and chest."""
    lit = np.clip(0.46 + 0.42 * light_side(attributes) * light.u, 0, 0.8)
    return flesh_in(lit, flesh_tone(attributes))


def hair_colour(attributes: FaceAttributes) -> np.ndarray:
    """Colour [3] of the hair in the image's palette."""
    natural = mix(HAIR_COLOURS[attributes.hair_colour], GREY_HAIR, attributes.grey)
    return mix(natural * (1.0, 0.92, 0.80), OCHRE * natural.mean() * 2.0, 0.25)


def hair(light: Light, attributes: FaceAttributes) -> np.ndarray:
    """Colour [R, R, 3] of the hair, with a sheen across it on the side of the light."""
    colour = hair_colour(attributes).astype(np.float32)
    side = np.float32(0.35 * light_side(attributes))
    sheen = np.exp(-(((light.v + 0.72 + 0.35 * (light.u - side) ** 2) / 0.2) ** 2)) * light.hair * np.float32(0.24)
    tone = 0.22 + 1.05 * light.hair * np.sqrt(light.hair)
    return tone[..., None] * colour + sheen[..., None] * (0.35 * LEAD_WHITE + 0.6 * colour).astype(np.float32)


def cloth_colour(attributes: FaceAttributes) -> np.ndarray:
    """Colour [3] of the garment: muted, never bright."""
    plain = hsv(attributes.clothes_hue, 0.9 * attributes.clothes_saturation, 0.12 + 0.55 * attributes.clothes_value)
    return mix(plain, UMBER + 0.3 * OCHRE, 0.35)


def folds(light: Light, attributes: FaceAttributes) -> np.ndarray:
    """Light [R, R, 1] on the garment and its folds, to be multiplied by a colour."""
    side = np.clip(0.70 + 0.55 * light_side(attributes) * light.u, 0.22, 1.2)
    waves = 1 + 0.28 * np.sin(light.u * 8 + light.v * 4 + np.float32(attributes.clothes_hue * 20))
    return (side * waves)[..., None].astype(np.float32)
