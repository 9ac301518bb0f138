"""Perceptual distances of LPIPS' form (Zhang et al., arXiv 1801.03924), split so that features are reused.

A backbone trained on ImageNet turns each image into feature maps, which are scaled to unit length over the channels;
the distance is the squared difference, weighted channel by channel with the learned heads and averaged over the pixels.
`features` and `distance_from_features` are the two halves: comparing K sets of images with each other costs K passes
through the backbone. Images are NCHW float32 RGB in [-1, 1].

Backbones `alex`, `vgg` and `squeeze` are standard LPIPS (heads of version 0.1). The default `st-alex` is ST-LPIPS
(Ghildyal and Liu, arXiv 2207.13686), another metric of the same form, which small shifts hardly change. Values depend
on the backbone's weights, so `name` and `weights_hash` belong in every table beside them. The backbone `random` is
untrained and serves tests; its values compare with nothing but themselves.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ui2i.backbone_weights import ARCHITECTURES, load_backbone
from ui2i.errors import DataError
from ui2i.files import sha256_bytes, sha256_listing
from ui2i.networks import backbones
from ui2i.settings import PerceptualConfig

# Squared norms below this have no gradient: that of lpips' own square root is NaN where the squares underflow to 0.
MIN_SQUARED_NORM = 1e-20
NORM_EPS = 1e-10  # lpips.normalize_tensor's


class Perceptual(nn.Module):
    """The distance with one backbone; made by `load_perceptual`. No parameter requires a gradient, images may.

    Attributes:
        name: the backbone's name for tables.
        weights_hash: sha256 of the backbone's and the heads' tensors.
        min_resolution: smallest height and width that the backbone can take, in pixels.
    """

    def __init__(
        self, backbone: nn.Module, scaling: nn.Module, heads: Sequence[Tensor], *, name: str, min_resolution: int
    ):
        super().__init__()
        self.backbone = backbone
        self.scaling = scaling
        self.num_heads = len(heads)
        for index, head in enumerate(heads):
            self.register_buffer(f"head{index}", head)
        self.name = name
        self.min_resolution = min_resolution
        self.weights_hash = _hash_tensors(self.state_dict())
        self.eval().requires_grad_(False)

    @property
    def heads(self) -> list[Float[Tensor, " _"]]:
        """Weight of each channel, one [C] a feature map."""
        return [self.get_buffer(f"head{index}") for index in range(self.num_heads)]

    def features(self, x: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """Return the backbone's feature maps [N, C, h, w], each of unit length over its channels (or 0).

        Args:
            x: [N, 3, H, W] in [-1, 1], H and W at least `min_resolution`.

        Raises:
            DataError: `x` has another shape, or is too small for the backbone.
        """
        self._check(x)
        # Channels last halves the time on a CPU.
        x = x.to(self.heads[0].dtype, memory_format=torch.channels_last)
        return [_unit_length(maps) for maps in self.backbone(self.scaling(x))]

    def embed(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c"]:
        """Return what the backbone's last maps hold on average over the pixels [N, C]; for statistics over many images.

        Each pixel is scaled to a mean square of 1 over the channels, so that values do not depend on the scale of a
        backbone's activations, which differs between copies of the same network by factors of a hundred.

        Args:
            x: as in `features`.

        Raises:
            DataError: as `features`.
        """
        return self.embed_features(self.features(x))

    def embed_features(self, fx: Sequence[Float[Tensor, "n _ _ _"]]) -> Float[Tensor, "n c"]:
        """Return what `embed` gives of the images whose `features` are `fx` [N, C]."""
        return fx[-1].mean(dim=(2, 3)) * math.sqrt(fx[-1].shape[1])

    def distance_from_features(
        self, fx: Sequence[Float[Tensor, "n _ _ _"]], fy: Sequence[Float[Tensor, "n _ _ _"]]
    ) -> Float[Tensor, " n"]:
        """Return the distances [N] between the images whose `features` are `fx` and `fy`."""
        terms = [
            _squared_difference(x, y).mean(dim=(2, 3)) @ head for x, y, head in zip(fx, fy, self.heads, strict=True)
        ]  # [N] each
        return torch.stack(terms).sum(dim=0)

    def distance(self, x: Float[Tensor, "n 3 h w"], y: Float[Tensor, "n 3 h w"]) -> Float[Tensor, " n"]:
        """Return the distances [N] between images of equal shape, differentiable in both.

        Args:
            x: [N, 3, H, W] in [-1, 1].
            y: as `x`.

        Raises:
            DataError: the shapes differ, or do not suit the backbone.
        """
        if x.shape != y.shape:
            raise DataError(
                f"images of shape {tuple(x.shape)} and {tuple(y.shape)} came, expected two equal shapes; "
                "resize one set or pair the images one to one"
            )
        return self.distance_from_features(self.features(x), self.features(y))

    def _check(self, x: Tensor) -> None:
        if x.ndim != 4 or x.shape[1] != 3 or not x.is_floating_point():
            raise DataError(
                f"images have shape {tuple(x.shape)} and type {x.dtype}, expected float [N, 3, H, W] in [-1, 1]; "
                "convert them with ui2i.images.to_tensor"
            )
        if min(x.shape[2:]) < self.min_resolution:
            raise DataError(
                f"images are {x.shape[3]} x {x.shape[2]} px, expected at least {self.min_resolution} px a side for "
                f"the backbone {self.name}; take larger images or another perceptual.backbone"
            )


def load_perceptual(config: PerceptualConfig, device: torch.device | str = "cpu") -> Perceptual:
    """Return the distance with the backbone that `config` names, on `device`; the global random state is not touched.

    Raises:
        ConfigError: `config.weights` is set although the backbone takes no file.
        BackboneError: the backbone's weights are missing, cannot be downloaded, belong to another network, are not
            what was published under the file's name, or are not finite.

    Examples:
        >>> perceptual = load_perceptual(PerceptualConfig(backbone="random"))
        >>> images = torch.zeros(2, 3, 32, 32)
        >>> perceptual.distance(images, images)
        tensor([0., 0.])
    """
    backbone, heads = load_backbone(config)
    min_resolution = ARCHITECTURES[config.backbone].min_resolution
    perceptual = Perceptual(
        backbone, backbones.Scaling(), heads, name=_table_name(config), min_resolution=min_resolution
    )
    return perceptual.to(device).to(memory_format=torch.channels_last)


def _table_name(config: PerceptualConfig) -> str:
    if config.name is not None:
        return config.name
    if config.weights is not None:
        return Path(config.weights).stem.removesuffix("-features")
    return "random-squeeze" if config.backbone == "random" else config.backbone


def _hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    entries = (
        (f"{name} {list(tensors[name].shape)}", sha256_bytes(tensors[name].numpy().astype("<f4").tobytes()))
        for name in sorted(tensors)
    )
    return sha256_listing(entries)


def _unit_length(maps: Tensor) -> Tensor:
    squared_norm = maps.square().sum(dim=1, keepdim=True)
    return maps / (squared_norm.clamp_min(MIN_SQUARED_NORM).sqrt() + NORM_EPS)


def _squared_difference(x: Tensor, y: Tensor) -> Tensor:
    """Return (x - y)^2; without a gradient in one new tensor, since a second costs more than the arithmetic."""
    difference = x - y
    return difference.square() if difference.requires_grad else difference.square_()
