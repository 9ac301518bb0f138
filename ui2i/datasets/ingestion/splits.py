"""Which pictures are kept from training."""

from typing import Literal


def split_of(sha256: str, test_share: float) -> Literal["train", "test"]:
    """Return a picture's split, from its file's hash alone: adding pictures never moves another one.

    Pictures cut from one file share its hash, so no face is in both splits by way of one photograph.
    """
    return "test" if int(sha256[:16], 16) < test_share * 2.0**64 else "train"
