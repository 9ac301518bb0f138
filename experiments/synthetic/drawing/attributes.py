"""Who is in the image: semantic attributes, sampled so that image i depends on (seed, i) alone."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from experiments.synthetic.drawing.palette import HAIR_COLOURS, IRIS_COLOURS

HAIR_STYLES_OF_WOMEN = {
    "long_straight": 5, "long_wavy": 5, "bob": 4, "bun": 3, "ponytail": 3, "curly": 2, "afro": 1, "pixie": 2,
}  # fmt: skip
HAIR_STYLES_OF_MEN = {
    "short": 5, "side_part": 5, "quiff": 3, "buzz": 2, "curly": 2, "afro": 1, "receding": 2, "bald": 2, "long_wavy": 1,
}  # fmt: skip
EYEWEAR = {"none": 68, "round": 9, "square": 10, "half_rim": 6, "sunglasses": 4}
FACIAL_HAIR = {"none": 50, "stubble": 16, "moustache": 7, "goatee": 9, "beard": 18}
COLLARS = {"crew": 4, "v_neck": 3, "shirt": 3, "hood": 2}
BACKDROPS = {"gradient": 4, "disc": 3, "split": 2, "bokeh": 3}


@dataclass(frozen=True, kw_only=True)
class FaceAttributes:
    """One person, one pose, one light. Lengths in head units (1 = half the head's height), angles in radians."""

    head_width: float
    """Half width of the head, about 0.7 to 0.82."""
    jaw_width: float
    """Factor on the jaw, 1 is average."""
    chin_length: float
    """How far the chin reaches below the average."""
    cheek_width: float
    """Factor on the cheekbones, 1 is average."""
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
    skin_tone: float
    """0 is the lightest, 1 the darkest."""
    hair_style: str
    hair_colour: str
    hair_volume: float
    """Factor on how far the hair stands off the head."""
    hair_side: int
    """-1 or 1: the side of the parting or of the ponytail."""
    fringe: float
    """0 none, 1 down to the brows."""
    grey: float
    """0 natural hair colour, 1 grey."""
    eye_size: float
    eye_spacing: float
    """Distance of an eye from the middle of the face."""
    eye_tilt: float
    """Positive lifts the outer corners."""
    eye_openness: float
    iris_colour: str
    gaze_x: float
    """-1 to 1."""
    gaze_y: float
    lashes: float
    """0 bare to 1 made up."""
    brow_thickness: float
    brow_angle: float
    """Positive lowers the inner ends, a stern look."""
    brow_raise: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lip_fullness: float
    smile: float
    """-1 frown to 1 broad smile."""
    mouth_open: float
    """0 closed to 1 wide open."""
    lipstick: float
    """0 bare to 1 red."""
    blush: float
    age: float
    """0 young to 1 old: wrinkles."""
    freckles: bool
    glasses: str
    glasses_colour: float
    """Brightness or hue of the frame, 0 to 1."""
    facial_hair: str
    earrings: bool
    light_x: float
    """-1 from the left to 1 from the right."""
    light_y: float
    """-1 from above to 0 level."""
    backdrop: str
    background_hue: float
    background_saturation: float
    background_value: float
    clothes_hue: float
    clothes_saturation: float
    clothes_value: float
    collar: str
    texture_seed: int
    """Seeds what is left to chance in a drawing: strands, grain, bokeh."""


def weighted_choice(rng: np.random.Generator, weights: dict[str, int]) -> str:
    """One key, with probability in proportion to its weight."""
    bounds = list(accumulate(weights.values()))
    return list(weights)[bisect_right(bounds, rng.random() * bounds[-1])]


def cut_normal(rng: np.random.Generator, mean: float, deviation: float) -> float:
    """Normal deviate cut at two standard deviations, so that no attribute is a caricature."""
    return mean + deviation * min(max(rng.standard_normal(), -2.0), 2.0)


def sample_attributes(seed: int, index: int) -> FaceAttributes:
    """Attributes of image `index` of the dataset of `seed`; nothing else has an influence."""
    rng = np.random.default_rng([seed, index])
    woman = bool(rng.random() < 0.5)
    age = float(rng.beta(1.2, 2.2))
    tone = float(rng.random() ** 1.15)
    fair = list(HAIR_COLOURS) if tone < 0.35 else list(HAIR_COLOURS)[:4] if tone < 0.65 else list(HAIR_COLOURS)[:2]
    irises = list(IRIS_COLOURS) if tone < 0.4 else list(IRIS_COLOURS)[:3] if tone < 0.65 else list(IRIS_COLOURS)[:2]
    smile = float(np.clip(cut_normal(rng, 0.6, 0.36), -0.3, 1))
    opened = float(rng.uniform(0.25, 1)) if rng.random() < 0.35 else 0.0
    return FaceAttributes(
        head_width=cut_normal(rng, 0.745 if woman else 0.765, 0.022),
        jaw_width=cut_normal(rng, 0.90 if woman else 1.0, 0.04),
        chin_length=cut_normal(rng, 0.0 if woman else 0.03, 0.025),
        cheek_width=cut_normal(rng, 1.0, 0.02),
        yaw=cut_normal(rng, 0, 0.19),
        pitch=cut_normal(rng, 0, 0.07),
        roll=cut_normal(rng, 0, 0.055),
        shift_x=cut_normal(rng, 0, 0.014),
        shift_y=cut_normal(rng, 0, 0.012),
        scale=cut_normal(rng, 1, 0.03),
        skin_tone=tone,
        hair_style=weighted_choice(rng, HAIR_STYLES_OF_WOMEN if woman else HAIR_STYLES_OF_MEN),
        hair_colour=str(rng.choice(fair)),
        hair_volume=cut_normal(rng, 1, 0.2),
        hair_side=int(rng.choice([-1, 1])),
        fringe=float(rng.uniform(0.5, 1)) if rng.random() < 0.35 else 0.0,
        grey=float(np.clip((age - 0.5) * 3.2 + rng.uniform(-0.3, 0.3), 0, 1)) if age > 0.45 else 0.0,
        eye_size=cut_normal(rng, 1.06 if woman else 1.0, 0.07),
        eye_spacing=cut_normal(rng, 0.335, 0.014),
        eye_tilt=cut_normal(rng, 0.05 if woman else 0.02, 0.06),
        eye_openness=cut_normal(rng, 1.0, 0.13),
        iris_colour=str(rng.choice(irises)),
        gaze_x=cut_normal(rng, 0, 0.3),
        gaze_y=cut_normal(rng, 0, 0.15),
        lashes=float(rng.uniform(0.4, 1)) if woman else float(rng.uniform(0, 0.2)),
        brow_thickness=cut_normal(rng, 0.82 if woman else 1.15, 0.14),
        brow_angle=cut_normal(rng, 0, 0.08),
        brow_raise=cut_normal(rng, 0, 0.025),
        nose_width=cut_normal(rng, 0.95 if woman else 1.08, 0.1) + 0.12 * tone,
        nose_length=cut_normal(rng, 1, 0.07),
        mouth_width=cut_normal(rng, 1, 0.08),
        lip_fullness=cut_normal(rng, 1.1 if woman else 0.9, 0.14) + 0.2 * tone,
        smile=smile,
        mouth_open=opened,
        lipstick=float(rng.uniform(0.3, 1)) if woman and rng.random() < 0.55 else 0.0,
        blush=float(rng.uniform(0.2, 1)),
        age=age,
        freckles=bool(tone < 0.25 and rng.random() < 0.15),
        glasses=weighted_choice(rng, EYEWEAR),
        glasses_colour=float(rng.random()),
        facial_hair="none" if woman else weighted_choice(rng, FACIAL_HAIR),
        earrings=bool(woman and rng.random() < 0.4),
        light_x=float(rng.choice([-1, 1]) * rng.uniform(0.2, 0.9)),
        light_y=float(-rng.uniform(0.3, 0.8)),
        backdrop=weighted_choice(rng, BACKDROPS),
        background_hue=float(rng.random()),
        background_saturation=float(rng.uniform(0.15, 0.6)),
        background_value=float(rng.uniform(0.6, 1.0)),
        clothes_hue=float(rng.random()),
        clothes_saturation=float(rng.uniform(0.05, 0.8)),
        clothes_value=float(rng.uniform(0.25, 0.95)),
        collar=weighted_choice(rng, COLLARS),
        texture_seed=int(rng.integers(2**31)),
    )
