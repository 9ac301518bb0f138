"""Fur: streaks of noise combed away from the nose, and edges of masks frayed along them."""

import numpy as np

from experiments.synthetic.drawing.canvas import Canvas, Mask
from experiments.synthetic.drawing.curves import Points


def combed_noise(canvas: Canvas, centre: Points, length: float, rng: np.random.Generator) -> Mask:
    """Noise [R, R] of unit deviation, averaged over `length` frame units along rays from `centre` (frame units)."""
    size = canvas.resolution
    fine = rng.standard_normal((size + 1, size + 1), dtype=np.float32)
    white = np.float32(0.5) * (fine[1:, 1:] + fine[:-1, 1:] + fine[1:, :-1] + fine[:-1, :-1])
    dx, dy = canvas.x - np.float32(centre[0]), canvas.y - np.float32(centre[1])
    bend = np.float32(0.35) * np.sin(dx * 21 + np.float32(rng.uniform(0, 6))) * np.sin(dy * 17)
    dx, dy = dx - bend * dy, dy + bend * dx
    far = np.sqrt(dx * dx + dy * dy) + np.float32(1e-4)
    dx, dy = dx / far, dy / far
    half = max(2, round(length * size / 2))
    x, y = canvas.x * size - np.float32(0.5), canvas.y * size - np.float32(0.5)
    total = np.zeros_like(white)
    for step in range(-half, half + 1):
        place = np.rint(y + dy * step) * size + np.rint(x + dx * step)
        total += white.ravel().take(place.astype(np.int32), mode="wrap")
    return total * np.float32((2 * half + 2) ** -0.5)


def frayed(canvas: Canvas, mask: Mask, streaks: Mask, depth: float, amount: float) -> Mask:
    """`mask` with an edge of hairs: softened by `depth` frame units and cut along `streaks` by `amount`."""
    soft = canvas.blur(mask, depth)
    cut = soft + np.float32(amount) * streaks * (soft * (1 - soft) * 4)
    return canvas.blur(np.clip((cut - np.float32(0.25)) * np.float32(2), 0, 1), 0.0075)
