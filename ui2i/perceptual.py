"""LPIPS, the perceptual distance between images (Zhang et al., arXiv 1801.03924), split so that features are reused.

A backbone trained on ImageNet turns each image into feature maps, which are scaled to unit length over the channels;
the distance is the squared difference, weighted channel by channel with the learned heads (version 0.1, from the
`lpips` package) and averaged over the pixels. `features` and `distance_from_features` are the two halves: comparing K
sets of images with each other costs K passes through the backbone. Images are NCHW float32 RGB in [-1, 1].

Values depend on the backbone's weights, so `name` and `weights_hash` belong in every table beside them. The backbone
`random` needs no download and serves trials and tests; its values compare with nothing but themselves.
"""

import dataclasses
import http.client
import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ui2i.errors import BackboneError, ConfigError, DataError
from ui2i.files import sha256_bytes, sha256_listing
from ui2i.networks import backbones
from ui2i.networks.blank import blank_network
from ui2i.published_weights import read_published
from ui2i.settings import BackboneName, PerceptualConfig

RANDOM_BACKBONE_SEED = 0
# Squared norms below this have no gradient: that of lpips' own square root is NaN where the squares underflow to 0.
MIN_SQUARED_NORM = 1e-20
NORM_EPS = 1e-10  # lpips.normalize_tensor's


@dataclasses.dataclass(frozen=True)
class _Architecture:
    make: Callable[[], backbones.Backbone]
    heads: str  # name of the heads in the lpips package
    file_name: str  # torchvision's, of the trained weights: <network>-<first digits of the SHA-256>.pth
    min_resolution: int  # pixels; smaller images vanish in the backbone's pooling


_DOWNLOADS = "https://download.pytorch.org/models/"  # torchvision's
_SQUEEZE = _Architecture(backbones.squeezenet, "squeeze", "squeezenet1_1-b8a52dc0.pth", 17)
_ARCHITECTURES: dict[BackboneName, _Architecture] = {
    "alex": _Architecture(backbones.alexnet, "alex", "alexnet-owt-7be5be79.pth", 31),
    "vgg": _Architecture(backbones.vgg16, "vgg", "vgg16-397923af.pth", 16),
    "squeeze": _SQUEEZE,
    "random": _SQUEEZE,
}


class Perceptual(nn.Module):
    """LPIPS with one backbone; made by `load_perceptual`. No parameter requires a gradient, images may.

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
        """Return LPIPS [N] between the images whose `features` are `fx` and `fy`."""
        terms = [
            _squared_difference(x, y).mean(dim=(2, 3)) @ head for x, y, head in zip(fx, fy, self.heads, strict=True)
        ]  # [N] each
        return torch.stack(terms).sum(dim=0)

    def distance(self, x: Float[Tensor, "n 3 h w"], y: Float[Tensor, "n 3 h w"]) -> Float[Tensor, " n"]:
        """Return LPIPS [N] between images of equal shape, differentiable in both.

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
    """Return LPIPS with the backbone that `config` names, on `device`. The global random state is left as it was.

    Raises:
        ConfigError: `config.weights` is set although the backbone is random.
        BackboneError: the backbone's weights are missing, cannot be downloaded, belong to another network, are not
            what was published under the file's name, or are not finite.

    Examples:
        >>> perceptual = load_perceptual(PerceptualConfig(backbone="random"))
        >>> images = torch.zeros(2, 3, 32, 32)
        >>> perceptual.distance(images, images)
        tensor([0., 0.])
    """
    if config.backbone == "random" and config.weights is not None:
        raise ConfigError(
            f"perceptual.weights is {config.weights} with perceptual.backbone random, expected no file for an "
            "untrained backbone; remove perceptual.weights or name the file's backbone"
        )
    architecture = _ARCHITECTURES[config.backbone]
    backbone = blank_network(architecture.make)
    # A backbone's parameter slice<k>.<i>.<rest> is features.<i>.<rest> in torchvision's files.
    parameters = {f"features.{name.split('.', 1)[1]}": (name, p.shape) for name, p in backbone.named_parameters()}
    shapes = {name: shape for name, (_, shape) in parameters.items()}
    tensors = _random_backbone(shapes) if config.backbone == "random" else _trained_backbone(config, shapes)
    backbone.load_state_dict({own_name: tensors[name] for name, (own_name, _) in parameters.items()}, assign=True)
    heads = _read_heads(architecture)
    perceptual = Perceptual(
        backbone, backbones.Scaling(), heads, name=_table_name(config), min_resolution=architecture.min_resolution
    )
    return perceptual.to(device).to(memory_format=torch.channels_last)


def _table_name(config: PerceptualConfig) -> str:
    if config.name is not None:
        return config.name
    if config.weights is not None:
        return Path(config.weights).stem.removesuffix("-features")
    return "random-squeeze" if config.backbone == "random" else config.backbone


def _read_heads(architecture: _Architecture) -> list[Tensor]:
    package = importlib.util.find_spec("lpips")  # found and not imported: with torchvision that takes seconds
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent / "weights" / "v0.1" / f"{architecture.heads}.pth"
    weights = read_published(path, what="the heads of lpips", way_out="install the package lpips again")
    return [weights[f"lin{index}.model.1.weight"].flatten() for index in range(len(weights))]  # [1, C, 1, 1] -> [C]


def _random_backbone(shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Draw weights as He et al. (arXiv 1502.01852, Eq. 10), biases 0, from a stream that never changes."""
    random = np.random.RandomState(RANDOM_BACKBONE_SEED)
    tensors = {}
    for name, shape in shapes.items():
        if name.endswith(".bias"):
            tensors[name] = torch.zeros(shape)
        else:
            values = random.standard_normal(shape) * math.sqrt(2 / math.prod(shape[1:]))
            tensors[name] = torch.from_numpy(values).float()
    return tensors


def _trained_backbone(config: PerceptualConfig, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    path = _torchvision_file(config.backbone) if config.weights is None else Path(config.weights)
    if not path.is_file():
        raise BackboneError(
            f"the {config.backbone} backbone's weights are not at {path}, where perceptual.weights says, expected a "
            f"file; {_ways_out(config.backbone)}"
        )
    state = read_published(path, what="a state dict saved by torch", way_out=_ways_out(config.backbone))
    return _fit(state, shapes, path, config.backbone)


def _torchvision_file(backbone: BackboneName) -> Path:
    """Return the file in torch hub's cache, downloaded first if it is not there."""
    url = _url(backbone)
    path = _cache_path(url)
    if not path.is_file():
        hash_prefix = path.stem.rsplit("-", 1)[1]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), hash_prefix, progress=False)
        # RuntimeError: what came has another hash.
        except (OSError, http.client.HTTPException, RuntimeError) as error:
            raise BackboneError(
                f"the {backbone} backbone's weights were looked for at {path} and could not be downloaded ({error}), "
                f"expected torchvision's {path.name}; {_ways_out(backbone)}"
            ) from error
    return path


def _ways_out(backbone: BackboneName) -> str:
    return (
        f"put torchvision's file at {_cache_path(_url(backbone))}, or set perceptual.weights to a copy of it, or set "
        "perceptual.backbone: random for a trial"
    )


def _url(backbone: BackboneName) -> str:
    return _DOWNLOADS + _ARCHITECTURES[backbone].file_name


def _cache_path(url: str) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]


def _fit(
    state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size], path: Path, backbone: BackboneName
) -> dict[str, Tensor]:
    """Check names and shapes and return the backbone's part; a classifier beside it is left out."""
    faults = [f"{name} is missing" for name in shapes if name not in state]
    faults += [f"{name} is unknown" for name in state if name.startswith("features.") and name not in shapes]
    faults += [
        f"{name} is {list(state[name].shape)} and not {list(shape)}"
        for name, shape in shapes.items()
        if name in state and state[name].shape != shape
    ]
    if faults:
        more = f", and {len(faults) - 2} more" if len(faults) > 2 else ""
        raise BackboneError(
            f"{path} does not fit the backbone {backbone}: {', '.join(faults[:2])}{more}; expected the state dict of "
            f"torchvision's {_cache_path(_url(backbone)).stem.split('-')[0]} or its features.* part; set "
            f"perceptual.backbone to the file's network, or {_ways_out(backbone)}"
        )
    return {name: state[name].float().contiguous() for name in shapes}


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
