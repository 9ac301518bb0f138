"""How a kind of animal is built: numbers that a style chooses, in head units."""

from dataclasses import dataclass

HALF_OF_A_CAT = (
    (0.0, -0.90), (0.44, -0.83), (0.80, -0.56), (0.97, -0.10), (1.0, 0.28), (0.84, 0.63), (0.47, 0.87), (0.0, 0.95),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Build:
    """Proportions of a kind of animal, a cat's by default; what an attribute varies is the average here."""

    size: float = 1.0
    """Factor on the head: less where a mane needs room."""
    outline: tuple[tuple[float, float], ...] = HALF_OF_A_CAT
    """Right half of the head, from crown to chin."""
    ears: float = 1.0
    """Factor on how far the ears are from the middle of the head."""
    ear_height: float = 0.64
    ear_pink: float = 0.75
    """1 for bare skin in the hollow of an ear, 0 for fur."""
    neck: float = 0.78
    """Half width of the neck in short fur."""
    eye_x: float = 0.415
    eye_y: float = -0.06
    eye_radius: float = 0.205
    eye_height: float = 0.165
    """Half height of an open eye."""
    eye_slant: float = 0.12
    """Tilt added to that of the attributes: positive lifts the outer corners."""
    iris: float = 0.90
    """Radius of the iris over that of the opening."""
    rim: float = 0.022
    """Width, in frame units, of the dark skin round the eyes."""
    glint: float = 1.0
    pupil_width: tuple[float, float] = (0.16, 0.72)
    """Half width of the narrowest and of the widest pupil over the radius of the iris."""
    pupil_height: tuple[float, float] = (0.74, 0.70)
    nose_y: float = 0.36
    nose_radius: float = 0.115
    nose_height: float = 0.085
    mouth_y: float = 0.58
    mouth_radius: float = 0.23
    gape: float = 0.10
    """How far the chin drops when the mouth is wide open."""
    muzzle_radius: float = 0.33
    muzzle_tall: float = 0.30
    """Radius of the muzzle upwards and downwards; `muzzle_radius` is sideways."""
    muzzle_height: float = 0.34
    """How far the muzzle bulges out of the relief that the light falls on."""
    pads: float = 0.13
    """The same for the pads that the whiskers grow on."""
    bridge: float = 0.13
    """The same for the bridge of the nose."""
    snout: float = 0.0
    """How dark the sides of the bridge of the nose are."""
    muzzle_lift: float = 0.22
    """How far the muzzle stands off the face, and `muzzle_reach` more at muzzle length 1."""
    muzzle_reach: float = 0.16
