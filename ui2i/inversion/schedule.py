"""The course of the learning rate in StyleGAN2's projector (arXiv 1912.04958, appendix D)."""

import math

RAMP_UP_SHARE = 0.05  # of all steps, linear
RAMP_DOWN_SHARE = 0.25  # of all steps, half a cosine


def rate_scale(step: int, num_steps: int) -> float:
    """Return the factor on the learning rate at `step` of 0 .. num_steps - 1, in (0, 1].

    Taken at the middle of each step, so that neither the first nor the last one stands still.
    """
    share_done = (step + 0.5) / num_steps
    up = min(1.0, share_done / RAMP_UP_SHARE)
    down = min(1.0, (1 - share_done) / RAMP_DOWN_SHARE)
    return up * 0.5 * (1 - math.cos(math.pi * down))
