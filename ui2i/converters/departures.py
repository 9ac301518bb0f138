"""How much images change where another format cannot store a setting: sampled, and reported in a remark."""

import torch

from ui2i.networks.blank import blank_network
from ui2i.networks.generator import Generator
from ui2i.settings import NetworkConfig

NUM_IMAGES, SEED = 4, 0


def departure(generator: Generator, there: NetworkConfig) -> str:
    """Return, in words, how far images of the same tensors depart under another tool's settings.

    Args:
        there: what the other tool computes with; of the shapes of `generator.config`.
    """
    other = blank_network(Generator, there)
    other.load_state_dict(generator.state_dict(), assign=True)
    random = torch.Generator().manual_seed(SEED)
    largest, distance = 0.0, 0.0
    with torch.no_grad():
        # One at a time: an image of 1024 px takes a gigabyte on its way.
        for z in torch.randn(NUM_IMAGES, generator.config.z_dim, generator=random).split(1):
            ours, theirs = generator(z), other.eval()(z)
            distance = max(distance, float((ours - theirs).abs().max()))
            largest = max(largest, float(ours.abs().max()))
    sampled = f"in {NUM_IMAGES} images sampled (psi 1, values up to {largest:.2g})"
    if distance == 0:
        return f"images are the same there {sampled}"
    return f"images differ there by up to {distance:.2g} {sampled}, although the tensors are the same"
