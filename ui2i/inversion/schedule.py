"""How the learning rate rises and falls in an inversion, and in the training of an encoder or a translator."""

import math

RAMP_UP_SHARE = 0.05  # of all steps, linear; in a training too
RAMP_DOWN_SHARE = 0.25  # of all steps, half a cosine


def rate_scale(step: int, num_steps: int) -> float:
    """Return the factor on the learning rate at `step` of 0 .. num_steps - 1, in (0, 1] (arXiv 1912.04958, appendix D).

    Taken at the middle of each step, so that neither the first nor the last one stands still.
    """
    share_done = (step + 0.5) / num_steps
    up = min(1.0, share_done / RAMP_UP_SHARE)
    down = min(1.0, (1 - share_done) / RAMP_DOWN_SHARE)
    return up * 0.5 * (1 - math.cos(math.pi * down))


def training_rate_scale(step: int, num_steps: int) -> float:
    """Return the factor on a training's learning rate at `step`: a short rise, and half a cosine over all steps."""
    warmup = max(1, round(RAMP_UP_SHARE * num_steps))
    return min((step + 1) / warmup, 0.5 * (1 + math.cos(math.pi * step / num_steps)))
