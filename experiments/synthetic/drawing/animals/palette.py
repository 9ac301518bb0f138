"""The colours animals are drawn from: sRGB in [0, 1]."""

FURS = {
    "black": (0.13, 0.12, 0.125),
    "charcoal": (0.27, 0.26, 0.27),
    "grey": (0.47, 0.48, 0.52),
    "silver": (0.70, 0.70, 0.70),
    "white": (0.95, 0.94, 0.92),
    "cream": (0.92, 0.83, 0.70),
    "ginger": (0.86, 0.54, 0.25),
    "fawn": (0.74, 0.60, 0.45),
    "brown": (0.47, 0.35, 0.25),
}

WHITE_FUR = (0.96, 0.95, 0.93)

EYES = {
    "green": (0.52, 0.70, 0.32),
    "yellow": (0.86, 0.78, 0.30),
    "amber": (0.87, 0.62, 0.18),
    "copper": (0.74, 0.42, 0.14),
    "hazel": (0.62, 0.60, 0.28),
    "blue": (0.38, 0.65, 0.90),
}

PINK_NOSE = (0.86, 0.54, 0.52)
DARK_NOSE = (0.16, 0.12, 0.12)
PINK_SKIN = (0.92, 0.60, 0.55)

POINTS = {
    "black": (0.22, 0.16, 0.14),
    "grey": (0.38, 0.36, 0.39),
    "ginger": (0.68, 0.40, 0.22),
    "brown": (0.38, 0.26, 0.18),
}
"""Colour of the face and ears of a pointed coat, by its second colour."""
