"""What tests of perceptual distances share."""

import torch
from torch import Tensor

from ui2i.settings import BackboneName

NETWORKS: dict[BackboneName, str] = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}


def images(num_images: int, height: int, width: int, *, seed: int) -> Tensor:
    return torch.rand(num_images, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1
