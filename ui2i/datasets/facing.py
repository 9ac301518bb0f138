"""Whether the images of a set all look one way, so that their mirror images do not belong to it.

The mean difference between images and their mirror images, taken over half of the set, is a direction; the share of the
other half that lies on its side is how well it tells an image from its mirror image. Faces seen from the front give
about one half, drawn people who all look to the right give one.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

ONE_SIDED_SHARE = 0.8  # from here on mirror images are strangers to the set: docs/results/near_duplicates.md
MIN_IMAGES = 32  # with fewer the share is not worth a decision


def facing_share(thumbnails: Sequence[UInt8[np.ndarray, "h w 3"]]) -> float | None:
    """Return the share of images, 0.5 to 1, that can be told from their mirror images; None: there are too few."""
    if len(thumbnails) < MIN_IMAGES:
        return None
    levels = np.stack(thumbnails).astype(np.int64)  # whole numbers, for equal results on every machine
    odd = (levels - levels[:, :, ::-1]).reshape(len(levels), -1)  # changes its sign in the mirror
    halves = odd[::2], odd[1::2]
    sides = [np.sign(tested @ learnt.sum(axis=0)) for learnt, tested in (halves, halves[::-1])]
    return float(max(0.5, (1 + np.concatenate(sides).mean()) / 2))


def describe_mirroring(share: float | None, mirror: bool | None = None) -> str:
    """Say whether training will mirror images with such a share, and why.

    Args:
        mirror: as `ui2i.settings.TrainingConfig.mirror`.
    """
    told = "it was not measured" if share is None else f"{share:.0%} of the images can be told from their mirror images"
    if mirror is not None:
        return f"{'on' if mirror else 'off'}, as set ({told})"
    return f"off: {told}" if is_one_sided(share) else f"on: {told}"


def is_one_sided(share: float | None) -> bool:
    """Tell whether images with such a share should not be mirrored."""
    return share is not None and share >= ONE_SIDED_SHARE
