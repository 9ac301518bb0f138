"""An animal's head like a photograph: coat, light and features in the order they cover each other."""

import numpy as np

from experiments.synthetic.drawing.animals.attributes import AnimalAttributes
from experiments.synthetic.drawing.animals.backdrop import paint_backdrop
from experiments.synthetic.drawing.animals.build import Build
from experiments.synthetic.drawing.animals.coat import Coat
from experiments.synthetic.drawing.animals.ears import Ear
from experiments.synthetic.drawing.animals.eyes import eye_of, paint_eyes
from experiments.synthetic.drawing.animals.fur import frayed
from experiments.synthetic.drawing.animals.kind import Kind
from experiments.synthetic.drawing.animals.muzzle import paint_muzzle
from experiments.synthetic.drawing.animals.palette import PINK_SKIN, WHITE_FUR
from experiments.synthetic.drawing.animals.relief import Relief, Spot
from experiments.synthetic.drawing.animals.skull import body_outline, head_outline, pose_of_animal
from experiments.synthetic.drawing.canvas import Canvas, Mask
from experiments.synthetic.drawing.curves import ellipse, ribbon, smooth_open
from experiments.synthetic.drawing.palette import hsv, mix
from experiments.synthetic.drawing.pose import Pose


def _bumps(attributes: AnimalAttributes, build: Build, lift: float) -> list[Spot]:
    """What stands out of the ellipsoid of the head, and what is hollow."""
    wide = build.muzzle_radius * attributes.muzzle_width
    spots: list[Spot] = [
        (build.muzzle_height + 0.5 * lift, 0, build.nose_y + 0.06, 0.5 * lift, wide, build.muzzle_tall),
        (build.bridge, 0, 0.02, 0.1, 0.17, 0.34),
        (0.10, 0, 0.84 + build.gape * attributes.mouth_open, 0.1, 0.19, 0.13),
    ]
    for side in (-1, 1):
        spots += [
            (build.pads, side * 0.17, build.mouth_y - 0.07, lift, 0.16, 0.14),
            (0.07, side * 0.36, build.eye_y - 0.30, 0, 0.24, 0.12),
            (-0.13, side * build.eye_x, build.eye_y, 0, 0.24, 0.19),
            (0.10, side * 0.66, 0.36, 0, 0.26, 0.26),
        ]
    return spots


def _shadows(build: Build, lift: float) -> list[Spot]:
    """Where light hardly reaches: under the mouth, at the inner corners of the eyes, beside the muzzle and the ears."""
    spots: list[Spot] = [(0.14, 0, build.mouth_y + 0.16, 0.6 * lift, 0.22, 0.06)]
    for side in (-1, 1):
        spots += [
            (0.24, side * 0.19, 0.10, 0.06, 0.07, 0.16),
            (0.18, side * 0.38, build.mouth_y - 0.02, 0.5 * lift, 0.09, 0.16),
            (0.16, side * 0.30, -0.80, 0, 0.2, 0.12),
        ]
        if build.snout:
            spots.append((build.snout, side * 0.33, 0.20, 0.4 * lift, 0.10, 0.24))
    return spots


def _light_on_head(attributes: AnimalAttributes, build: Build, relief: Relief, lift: float) -> Mask:
    turn = relief.pose.turn
    height = relief.dome(1.22 * attributes.head_width, 1.18, 0.2 * turn, 0.08) * np.float32(0.95)
    light = relief.lit(height + relief.sum_of(_bumps(attributes, build, lift)))
    return light * (1 - np.clip(relief.sum_of(_shadows(build, lift)), 0, 0.6))


def _paint_ears(canvas: Canvas, ears: list[Ear], coat: Coat, pink: float) -> None:
    attributes, relief = coat.attributes, coat.relief
    outer = frayed(canvas, canvas.fill(*[ear.outer for ear in ears]), coat.streaks, 0.008, 0.15)
    facing = np.clip(0.74 + 0.30 * np.float32(attributes.light_x) * relief.u, 0.3, 1)
    canvas.paint(outer, coat.lit(coat.ears * np.float32(0.95), facing, 0.07))
    hollows = [ear.inner for ear in ears if ear.inner is not None]
    if not hollows:
        return
    inner = canvas.blur(canvas.fill(*hollows), 0.012) * outer
    fur = coat.ear_colour
    skin = mix(mix(PINK_SKIN, fur, 1 - pink), (0.25, 0.14, 0.13), 0.12 + 0.35 * float(np.mean(fur) < 0.35))
    deep = np.clip((relief.v + 1.15) * 1.4, 0, 1)
    canvas.paint(inner, skin * (facing * (1.22 - 0.60 * deep))[..., None])
    tufts = canvas.stroke(*[line for ear in ears for line in ear.tufts], width=0.012)
    pale = mix(coat.base, WHITE_FUR, 0.5) * facing[..., None]
    canvas.paint(canvas.blur(tufts, 0.006) * outer, pale, 0.35 + 0.5 * attributes.fluffiness)


def _paint_flaps(canvas: Canvas, ears: list[Ear], coat: Coat) -> None:
    """Ears that hang in front of the head: rounded by light, with a shadow beside them."""
    attributes, relief = coat.attributes, coat.relief
    covered = canvas.fill(*[ear.outer for ear in ears])
    flap = frayed(canvas, covered, coat.streaks, 0.010, 0.12)
    soft = canvas.blur(covered, 0.035)
    canvas.shade(canvas.blur(canvas.shifted(covered, -0.012 * attributes.light_x, 0.018), 0.02), (0.55, 0.52, 0.54))
    level = 0.74 + 0.26 * np.float32(attributes.light_x) * relief.u - 0.16 * (relief.v + np.float32(0.5))
    canvas.paint(flap, coat.lit(coat.ears, np.clip(level * (0.35 + 0.65 * soft), 0.1, 1), 0.08))


def _paint_body(canvas: Canvas, kind: Kind, coat: Coat, head: Mask) -> None:
    attributes, pose = coat.attributes, coat.relief.pose
    outline = body_outline(attributes, kind.build, pose)
    body = frayed(canvas, canvas.fill(outline), coat.streaks, 0.016, 0.25)
    across = (canvas.x - np.float32(pose.centre[0])) / np.float32(0.42)
    light = np.clip(0.66 + 0.30 * np.float32(attributes.light_x) * across - 0.25 * across * across, 0.1, 1)
    canvas.paint(body, coat.lit(coat.body, light, 0.08))
    cast = canvas.blur(canvas.shifted(head, -0.03 * attributes.light_x, 0.055), 0.035)
    canvas.shade(cast * body * np.float32(0.95), (0.36, 0.34, 0.37))
    if kind.collar and attributes.collar:
        _paint_collar(canvas, attributes, coat.relief, pose)


def _paint_collar(canvas: Canvas, attributes: AnimalAttributes, relief: Relief, pose: Pose) -> None:
    line = smooth_open([(-0.80, 0.74), (-0.5, 1.02), (0, 1.13), (0.5, 1.02), (0.80, 0.74)], 6)
    band = canvas.fill(pose.body_to_frame(ribbon(line, 0.06)))
    light = np.clip(0.80 + 0.3 * np.float32(attributes.light_x) * relief.u, 0.35, 1.1)
    canvas.shade(canvas.blur(band, 0.02), (0.7, 0.68, 0.68))
    canvas.paint(band, hsv(attributes.collar_hue, 0.62, 0.62) * light[..., None])
    if attributes.collar_tag:
        tag = canvas.fill(pose.body_to_frame(ellipse((0.04, 1.19), 0.085, 0.085, 16)))
        canvas.paint(tag, np.array((0.95, 0.82, 0.42)) * light[..., None])


def paint_animal(attributes: AnimalAttributes, kind: Kind, resolution: int) -> np.ndarray:
    """A photo-like head, uint8 [R, R, 3]."""
    rng = np.random.default_rng(attributes.texture_seed)
    canvas = Canvas(resolution)
    build = kind.build
    pose = pose_of_animal(attributes, build)
    relief = Relief(canvas, pose, attributes.light_x, attributes.light_y)
    muzzle = kind.muzzle(attributes, build, pose)
    paint_backdrop(canvas, attributes, rng)
    coat = Coat(canvas, relief, attributes, kind.fur(attributes), rng)
    kind.mark(coat, muzzle)
    light = _light_on_head(attributes, build, relief, muzzle.lift)
    outline = canvas.fill(head_outline(attributes, build, pose))
    fluff = attributes.fluffiness
    head = frayed(canvas, outline, coat.streaks, 0.010 + 0.014 * fluff, 0.13 + 0.18 * fluff)
    _paint_body(canvas, kind, coat, outline)
    if kind.mane is not None:
        kind.mane(coat)
    ears = [kind.ear(attributes, build, pose, side) for side in (-1, 1)]
    if not ears[0].in_front:
        _paint_ears(canvas, ears, coat, build.ear_pink)
    canvas.paint(head, coat.lit(coat.head, light, 0.07))
    if ears[0].in_front:
        _paint_flaps(canvas, ears, coat)
    eyes = [eye_of(attributes, build, pose, side) for side in (-1, 1)]
    paint_eyes(canvas, attributes, eyes, kind.eyes(attributes), build.rim)
    paint_muzzle(canvas, muzzle, coat.base, kind.nose(coat), light)
    canvas.pixels += rng.normal(0, 0.004, (resolution, resolution, 1)).astype(np.float32)
    return canvas.to_uint8()
