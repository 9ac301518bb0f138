"""Which images are kept from training."""

from typing import Literal


def split_of(sha256: str, test_share: float) -> Literal["train", "test"]:
    """Return an image's split, from its file's hash alone: adding images never moves another one.

    Images cut from one file share its hash, so no face is in both splits by way of one photograph.
    """
    return "test" if int(sha256[:16], 16) < test_share * 2.0**64 else "train"
