"""How much of an image a program of the Triton kernels takes at once."""

import triton

_BLOCK_ELEMENTS = 2048  # pixels x channels


def block_shape(channels: int, num_pixels: int) -> tuple[int, int]:
    """Return how many channels, and how many pixels in a row or an image, a program takes: powers of two."""
    block_c = min(64, triton.next_power_of_2(channels))
    return block_c, min(_BLOCK_ELEMENTS // block_c, triton.next_power_of_2(num_pixels))
