"""How strongly to augment: the heuristic r_t of adaptive discriminator augmentation."""

import math

from ui2i.errors import TrainingError


def update_probability(
    probability: float, sign_mean: float, *, num_images: int, target: float = 0.6, speed_kimg: float = 500.0
) -> float:
    """Return the augmentation probability moved one step against overfitting (arXiv 2006.06676, section 3).

    A discriminator that overfits is sure of the training images: r_t, the mean sign of its logits on them, nears 1.
    The probability rises by a fixed step while r_t is above `target`, falls while it is below, and stays if equal.

    Args:
        probability: so far, in [0, 1].
        sign_mean: r_t = E[sign(D(real))] since the last update, in [-1, 1]; the logits are of augmented images.
        num_images: real images shown since the last update; the paper updates every 4 batches.
        speed_kimg: thousands of images in which the probability can go from 0 to 1. The paper's 500 is for training
            from scratch; a fine-tuning of 100 to 200 thousand images needs less, or it ends before augmentation acts.

    Returns:
        In [0, 1].

    Raises:
        TrainingError: `sign_mean` is not a number.
    """
    if math.isnan(sign_mean):
        raise TrainingError(
            "the mean sign of the discriminator's logits is NaN, expected -1 to 1; "
            "resume from the last saved state with a lower learning_rate or a higher r1_gamma"
        )
    step = num_images / (1000 * speed_kimg)
    direction = (sign_mean > target) - (sign_mean < target)
    return min(1.0, max(0.0, probability + direction * step))
