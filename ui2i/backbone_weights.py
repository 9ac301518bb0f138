"""Where the weights of perceptual backbones and of the heads that weight their channels come from.

`st-alex` is complete in the package stlpips_pytorch: a backbone and heads that were trained for each other. The others
have heads from the package lpips and a backbone from torchvision's cache, its download or a file; `random` draws one.
Of the packages only the files are read. None of their code runs.
"""

import dataclasses
import http.client
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ui2i.errors import BackboneError, ConfigError
from ui2i.networks import backbones
from ui2i.networks.blank import blank_network
from ui2i.published_weights import packaged_file, read_published
from ui2i.settings import BackboneName, PerceptualConfig

RANDOM_BACKBONE_SEED = 0


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A backbone, and where its weights are."""

    make: Callable[[], backbones.Backbone]
    heads: str  # name of the heads in their package
    file_name: str  # torchvision's, of the trained weights: <network>-<first digits of the SHA-256>.pth
    min_resolution: int  # pixels; smaller images vanish in the backbone's pooling


_DOWNLOADS = "https://download.pytorch.org/models/"  # torchvision's
_SHIFT_TOLERANT = "alex_shift_tolerant.pth"
_SQUEEZE = Architecture(backbones.squeezenet, "squeeze", "squeezenet1_1-b8a52dc0.pth", 17)
ARCHITECTURES: dict[BackboneName, Architecture] = {
    "st-alex": Architecture(backbones.shift_tolerant_alexnet, _SHIFT_TOLERANT, _SHIFT_TOLERANT, 21),
    "alex": Architecture(backbones.alexnet, "alex", "alexnet-owt-7be5be79.pth", 31),
    "vgg": Architecture(backbones.vgg16, "vgg", "vgg16-397923af.pth", 16),
    "squeeze": _SQUEEZE,
    "random": _SQUEEZE,
}


def load_backbone(config: PerceptualConfig) -> tuple[backbones.Backbone, list[Tensor]]:
    """Return a backbone with weights, and the weight of each channel of its maps, one [C] a map.

    Raises:
        ConfigError: `config.weights` is set although the backbone takes no file.
        BackboneError: as `ui2i.perceptual.load_perceptual`.
    """
    if config.backbone in ("random", "st-alex") and config.weights is not None:
        owner = "an untrained backbone" if config.backbone == "random" else "a backbone that a package brings along"
        raise ConfigError(
            f"perceptual.weights is {config.weights} with perceptual.backbone {config.backbone}, expected no file for "
            f"{owner}; remove perceptual.weights or name the file's backbone"
        )
    architecture = ARCHITECTURES[config.backbone]
    backbone = blank_network(architecture.make)
    if config.backbone == "st-alex":
        state = _packaged("stlpips_pytorch", f"weights/vST0.0/{_SHIFT_TOLERANT}")
        own = {name: state[f"net.{name}"] for name in backbone.state_dict()}
    else:
        # A backbone's parameter slice<k>.<i>.<rest> is features.<i>.<rest> in torchvision's files.
        names = {name: f"features.{name.split('.', 1)[1]}" for name, _ in backbone.named_parameters()}
        shapes = {names[name]: parameter.shape for name, parameter in backbone.named_parameters()}
        tensors = _random_backbone(shapes) if config.backbone == "random" else _trained_backbone(config, shapes)
        own = {name: tensors[theirs] for name, theirs in names.items()}
        state = _packaged("lpips", f"weights/v0.1/{architecture.heads}.pth")
    backbone.load_state_dict(own, assign=True)
    heads = [state[f"lin{index}.model.1.weight"].flatten() for index in range(backbone.num_slices)]  # [1, C, 1, 1]
    return backbone, heads


def _packaged(package: str, inner: str) -> dict[str, Tensor]:
    path = packaged_file(package, inner)
    return read_published(path, what="trained weights", way_out=f"install the package {package} again")


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
    url = download_url(backbone)
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
        f"put torchvision's file at {_cache_path(download_url(backbone))}, or set perceptual.weights to a copy of it, "
        "or set perceptual.backbone: st-alex, which needs neither"
    )


def download_url(backbone: BackboneName) -> str:
    """Return where torchvision's weights of a backbone are."""
    return _DOWNLOADS + ARCHITECTURES[backbone].file_name


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
            f"torchvision's {_cache_path(download_url(backbone)).stem.split('-')[0]} or its features.* part; set "
            f"perceptual.backbone to the file's network, or {_ways_out(backbone)}"
        )
    return {name: state[name].float().contiguous() for name in shapes}
