"""Which animal is in the image: semantic attributes, sampled so that image i depends on (seed, i) alone."""

from dataclasses import dataclass

import numpy as np

from experiments.synthetic.drawing.attributes import cut_normal, weighted_choice

PATTERNS = {"plain": 22, "tabby": 28, "tuxedo": 16, "patches": 14, "points": 10, "spots": 10}
FUR_COLOURS = {
    "black": 13, "charcoal": 8, "grey": 15, "silver": 10, "white": 8, "cream": 11, "ginger": 16, "fawn": 8, "brown": 11,
}  # fmt: skip
EYE_COLOURS = {"green": 24, "yellow": 20, "amber": 20, "copper": 14, "hazel": 10, "blue": 14}
BACKDROPS = {"wall": 4, "window": 3, "foliage": 3, "floor": 3}


@dataclass(frozen=True, kw_only=True)
class AnimalAttributes:
    """One animal, one pose, one light. Lengths in head units (1 = half the head's height), angles in radians."""

    head_width: float
    """Half width of the head, 1 is average."""
    cheek_width: float
    """Factor on the cheeks, 1 is average."""
    chin_length: float
    """How far the chin reaches below the average."""
    muzzle_length: float
    """0 flat to 1 long."""
    muzzle_width: float
    """Factor, 1 is average."""
    yaw: float
    """Positive turns the face to the right of the image."""
    pitch: float
    """Positive looks down."""
    roll: float
    """Positive tilts clockwise."""
    shift_x: float
    """Offset of the head in frame units."""
    shift_y: float
    scale: float
    """Factor on the head's size, 1 is average."""
    ear_size: float
    """Factor on the ears' height, 1 is average."""
    ear_width: float
    ear_spread: float
    """-1 upright to 1 sideways."""
    ear_fold: float
    """0 pricked to 1 hanging, where the kind of animal has such ears."""
    eye_size: float
    eye_spacing: float
    """Factor on the distance of the eyes, 1 is average."""
    eye_tilt: float
    """Positive lifts the outer corners."""
    eye_openness: float
    eye_colour: str
    pupil: float
    """0 narrow to 1 wide."""
    gaze_x: float
    """-1 to 1."""
    gaze_y: float
    fur_colour: str
    second_colour: str
    """The other colour of `patches`."""
    fur_brightness: float
    """Factor on the fur's colours, 1 is average."""
    pattern: str
    pattern_contrast: float
    """0 faint to 1 strong."""
    pattern_scale: float
    """Factor on the size of stripes, spots and patches."""
    pattern_side: int
    """-1 or 1: the side of the larger patch."""
    white: float
    """0 none to 1: white on chin, muzzle and chest."""
    nose_pigment: float
    """0 pink to 1 black."""
    nose_size: float
    mouth_open: float
    """0 closed to 1 wide open."""
    tongue: bool
    smile: float
    """-1 corners of the mouth down to 1 up."""
    whiskers: float
    """Factor on their length, 1 is average."""
    age: float
    """0 a cub to 1 old."""
    fluffiness: float
    """0 short fur to 1 long fur."""
    collar: bool
    collar_hue: float
    collar_tag: bool
    light_x: float
    """-1 from the left to 1 from the right."""
    light_y: float
    """-1 from above to 0 level."""
    light_warmth: float
    """-1 cool to 1 warm."""
    backdrop: str
    background_hue: float
    background_saturation: float
    background_value: float
    texture_seed: int
    """Seeds what is left to chance in a drawing: hairs, grain, the edges of markings."""


def sample_animal(seed: int, index: int) -> AnimalAttributes:
    """Attributes of image `index` of the dataset of `seed`; nothing else has an influence."""
    rng = np.random.default_rng([seed, index])
    pattern = weighted_choice(rng, PATTERNS)
    fur = weighted_choice(rng, FUR_COLOURS)
    if pattern == "points":
        fur = weighted_choice(rng, {"cream": 5, "white": 3, "fawn": 3, "silver": 2})
    if pattern == "tuxedo" and fur in ("white", "cream"):
        fur = weighted_choice(rng, {"black": 5, "charcoal": 2, "grey": 3, "ginger": 2})
    if pattern == "tabby" and fur in ("black", "white"):
        fur = weighted_choice(rng, {"silver": 3, "brown": 4, "ginger": 4, "grey": 3})
    second = {"ginger": "black", "black": "ginger", "charcoal": "ginger", "brown": "cream"}.get(fur, "ginger")
    if fur in ("white", "cream", "silver"):
        second = weighted_choice(rng, {"black": 3, "grey": 2, "ginger": 3, "brown": 2})
    opened = float(rng.uniform(0.35, 1)) if rng.random() < 0.16 else 0.0
    return AnimalAttributes(
        head_width=cut_normal(rng, 1.0, 0.028),
        cheek_width=cut_normal(rng, 1.0, 0.03),
        chin_length=cut_normal(rng, 0.0, 0.025),
        muzzle_length=float(rng.beta(2, 2)),
        muzzle_width=cut_normal(rng, 1.0, 0.07),
        yaw=cut_normal(rng, 0, 0.13),
        pitch=cut_normal(rng, 0, 0.075),
        roll=cut_normal(rng, 0, 0.06),
        shift_x=cut_normal(rng, 0, 0.012),
        shift_y=cut_normal(rng, 0, 0.012),
        scale=cut_normal(rng, 1, 0.03),
        ear_size=cut_normal(rng, 1, 0.09),
        ear_width=cut_normal(rng, 1, 0.07),
        ear_spread=cut_normal(rng, 0, 0.4),
        ear_fold=float(rng.random()),
        eye_size=cut_normal(rng, 1, 0.07),
        eye_spacing=cut_normal(rng, 1, 0.04),
        eye_tilt=cut_normal(rng, 0.10, 0.06),
        eye_openness=cut_normal(rng, 1, 0.10),
        eye_colour=weighted_choice(rng, {"blue": 1} if pattern == "points" else EYE_COLOURS),
        pupil=float(rng.beta(1.1, 1.9)),
        gaze_x=cut_normal(rng, 0, 0.3),
        gaze_y=cut_normal(rng, 0, 0.2),
        fur_colour=fur,
        second_colour=second,
        fur_brightness=cut_normal(rng, 1, 0.05),
        pattern=pattern,
        pattern_contrast=float(rng.uniform(0.45, 1)),
        pattern_scale=cut_normal(rng, 1, 0.14),
        pattern_side=int(rng.choice([-1, 1])),
        white=float(np.clip(rng.uniform(-0.5, 1), 0, 1)),
        nose_pigment=float(np.clip(rng.uniform(-0.4, 1.4), 0, 1)),
        nose_size=cut_normal(rng, 1, 0.08),
        mouth_open=opened,
        tongue=bool(opened > 0 and rng.random() < 0.6),
        smile=cut_normal(rng, 0.2, 0.3),
        whiskers=cut_normal(rng, 1, 0.14),
        age=float(rng.beta(1.6, 1.9)),
        fluffiness=float(rng.beta(1.5, 1.7)),
        collar=bool(rng.random() < 0.25),
        collar_hue=float(rng.random()),
        collar_tag=bool(rng.random() < 0.5),
        light_x=float(rng.choice([-1, 1]) * rng.uniform(0.2, 0.9)),
        light_y=float(-rng.uniform(0.35, 0.8)),
        light_warmth=cut_normal(rng, 0.1, 0.45),
        backdrop=weighted_choice(rng, BACKDROPS),
        background_hue=float(rng.random()),
        background_saturation=float(rng.uniform(0.1, 0.5)),
        background_value=float(rng.uniform(0.25, 0.95)),
        texture_seed=int(rng.integers(2**31)),
    )
