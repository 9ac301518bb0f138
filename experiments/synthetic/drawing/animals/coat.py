"""The coat: colours of the fur on head, ears and body before light, and the fur under light."""

import numpy as np

from experiments.synthetic.drawing.animals.attributes import AnimalAttributes
from experiments.synthetic.drawing.animals.fur import combed_noise, frayed
from experiments.synthetic.drawing.animals.palette import WHITE_FUR
from experiments.synthetic.drawing.animals.relief import Relief
from experiments.synthetic.drawing.canvas import Canvas, Mask
from experiments.synthetic.drawing.palette import mix

SHADOW = np.array((0.34, 0.32, 0.36), dtype=np.float32)
"""What full shadow leaves of the fur."""


class Coat:
    """One colour of fur everywhere, to be painted over with markings; `streaks` are its hairs.

    `head`, `ears` and `body` are images [R, R, 3]; the hollow of an ear takes its tone from the colour `ear_colour`.
    """

    def __init__(
        self, canvas: Canvas, relief: Relief, attributes: AnimalAttributes, base: np.ndarray, rng: np.random.Generator
    ) -> None:
        self.canvas, self.relief, self.attributes, self.base, self.rng = canvas, relief, attributes, base, rng
        self.ear_colour = base
        self.dark = base * mix((0.52, 0.46, 0.42), (0.28, 0.24, 0.22), attributes.pattern_contrast)
        self.pale = mix(base, WHITE_FUR, 0.55)
        pose = relief.pose
        centre = pose.to_frame(pose.on_face([(0, 0.25)], 0.2))[0]
        self.streaks = combed_noise(canvas, centre, 0.06 + 0.05 * attributes.fluffiness, rng)
        self.head = np.empty_like(canvas.pixels)
        self.head[:] = base
        self.body, self.ears = self.head.copy(), self.head.copy()

    def over(self, image: np.ndarray, mask: Mask, colour: np.ndarray | tuple[float, ...]) -> None:
        """Paint a colour [3] over `image` in place where `mask` is 1."""
        image += mask[..., None] * (np.asarray(colour, dtype=np.float32) - image)

    def hairy(self, mask: Mask, depth: float = 0.016, amount: float = 0.22) -> Mask:
        """`mask` with an edge of hairs."""
        return frayed(self.canvas, mask, self.streaks, depth, amount)

    def lit(self, image: np.ndarray, light: Mask, depth: float) -> np.ndarray:
        """`image` [R, R, 3] under `light` [R, R], its hairs `depth` lighter and darker."""
        warmth = self.attributes.light_warmth
        warm = np.array((1 + 0.05 * warmth, 1.0, 1 - 0.07 * warmth), dtype=np.float32)
        colour = light[..., None] * (1.16 * warm - SHADOW)
        colour += SHADOW
        colour *= image
        colour *= (1 + np.float32(depth) * self.streaks)[..., None]
        colour += (np.float32(0.03) * light * (1 + np.float32(0.5) * self.streaks))[..., None]
        return np.asarray(colour)
