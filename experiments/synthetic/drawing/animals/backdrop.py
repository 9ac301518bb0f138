"""What is behind an animal, out of focus."""

import numpy as np

from experiments.synthetic.drawing.animals.attributes import AnimalAttributes
from experiments.synthetic.drawing.canvas import Canvas
from experiments.synthetic.drawing.palette import hsv, mix


def _colours(attributes: AnimalAttributes) -> tuple[np.ndarray, np.ndarray]:
    """Near and far colour: muted, green for foliage, brown for a floor."""
    hue, saturation, value = (
        attributes.background_hue,
        0.7 * attributes.background_saturation,
        attributes.background_value,
    )
    if attributes.backdrop == "foliage":
        hue, saturation, value = 0.19 + 0.17 * hue, 0.20 + 0.5 * saturation, 0.15 + 0.62 * value
    elif attributes.backdrop == "floor":
        hue, saturation = 0.05 + 0.07 * hue, 0.20 + 0.5 * saturation
    return hsv(hue, saturation, value), hsv(hue + 0.05, saturation * 0.8, value * 0.55)


def paint_backdrop(canvas: Canvas, attributes: AnimalAttributes, rng: np.random.Generator) -> None:
    """A wall, a window's light, leaves or a floor."""
    near, far = _colours(attributes)
    side = np.float32(0.4 if attributes.light_x < 0 else -0.4)
    slope = np.clip(canvas.y * 0.7 + (canvas.x - np.float32(0.5)) * side + np.float32(0.15), 0, 1)
    if attributes.backdrop == "floor":
        level = np.float32(0.35 + 0.4 * rng.random())
        slope = slope * np.float32(0.5) + np.float32(0.5) * np.clip((canvas.y - level) * 9 + np.float32(0.5), 0, 1)
    canvas.pixels[:] = near.astype(np.float32) + slope[..., None] * (far - near).astype(np.float32)
    strength = {"wall": 0.05, "floor": 0.07, "window": 0.22, "foliage": 0.16}[attributes.backdrop]
    tint = mix((1.0, 1.0, 1.0), near, 0.5)
    blobs = rng.uniform((0, 0, 0.08, -1), (1, 0.9, 0.24, 1), (7, 4)).astype(np.float32)
    x, y, radius, brightness = blobs.T[:, :, None, None]
    square = ((canvas.x - x) ** 2 + (canvas.y - y) ** 2) / (radius * radius)
    canvas.glow((brightness * np.exp(-square * square)).sum(axis=0), tint * strength)
