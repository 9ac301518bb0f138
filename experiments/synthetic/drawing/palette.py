"""The colours people, clothes and backdrops are drawn from: sRGB in [0, 1]."""

import colorsys

import numpy as np

SKIN_TONES = np.array(
    [
        (0.98, 0.85, 0.77), (0.95, 0.79, 0.69), (0.92, 0.74, 0.61), (0.88, 0.68, 0.53), (0.82, 0.60, 0.44),
        (0.74, 0.52, 0.37), (0.64, 0.43, 0.30), (0.52, 0.34, 0.23), (0.41, 0.26, 0.18),
    ]
)  # fmt: skip
"""From the lightest to the darkest; tones between neighbours are interpolated."""

HAIR_COLOURS = {
    "black": (0.10, 0.085, 0.09),
    "dark_brown": (0.22, 0.14, 0.10),
    "brown": (0.36, 0.22, 0.13),
    "chestnut": (0.46, 0.25, 0.14),
    "auburn": (0.56, 0.24, 0.12),
    "ginger": (0.76, 0.40, 0.16),
    "dark_blond": (0.62, 0.46, 0.27),
    "blond": (0.83, 0.67, 0.38),
    "platinum": (0.91, 0.84, 0.68),
}

GREY_HAIR = (0.76, 0.76, 0.78)

IRIS_COLOURS = {
    "dark_brown": (0.22, 0.12, 0.07),
    "brown": (0.38, 0.21, 0.10),
    "hazel": (0.48, 0.36, 0.16),
    "green": (0.30, 0.47, 0.26),
    "blue": (0.25, 0.46, 0.68),
    "grey": (0.42, 0.50, 0.55),
}


def skin_tone(position: float) -> np.ndarray:
    """Skin colour [3] at `position` in [0, 1], from the lightest to the darkest."""
    at = position * (len(SKIN_TONES) - 1)
    return np.array([np.interp(at, np.arange(len(SKIN_TONES)), SKIN_TONES[:, channel]) for channel in range(3)])


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """Colour [3] of a hue in turns, a saturation and a value in [0, 1]."""
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0)))


def saturated(colour: np.ndarray, amount: float) -> np.ndarray:
    """`colour` [3] pushed away from its own grey by `amount` (1 leaves it)."""
    grey = colour @ np.array([0.30, 0.59, 0.11])
    return np.clip(grey + (colour - grey) * amount, 0, 1)


def mix(first: np.ndarray | tuple[float, ...], second: np.ndarray | tuple[float, ...], amount: float) -> np.ndarray:
    """Colour [3] at `amount` of the way from `first` to `second`."""
    return np.asarray(first) * (1 - amount) + np.asarray(second) * amount
