"""Sizes, widths and depths of a network from its tensors, and the network itself.

Both formats are read into this project's tensor names first; what tensors cannot say (clamping, minibatch groups)
comes from the format.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from ui2i.converters.inert import RefusedError
from ui2i.converters.note import Note
from ui2i.converters.tensor_views import TensorView
from ui2i.errors import ConfigError
from ui2i.networks.blank import blank_network
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.samples import sample_latents
from ui2i.settings import NetworkConfig
from ui2i.untrusted import shown

WHOLE_BATCH = 1 << 16  # mbstd_group_size that no batch exceeds: one group of all images
MEAN_LATENTS, MEAN_SEED = 10_000, 123  # of the latent codes whose mean stylegan2-ada-pytorch's projector takes

_VISIBLE = ("img_resolution", "z_dim", "w_dim", "num_mapping_layers")  # in the shapes of tensors

_Views = Mapping[str, TensorView]
NetworkT = TypeVar("NetworkT", Generator, Discriminator)


def generator_config(views: _Views, *, note: Note | None = None, **settings: Any) -> NetworkConfig:
    """Read a generator's architecture from its tensors.

    Args:
        note: what this project wrote beside the tensors, and takes where it does not contradict them.
        settings: of `NetworkConfig`, where the format has more than the defaults.

    Raises:
        RefusedError: it is conditional, not of the skip architecture, not RGB, or of sizes this project does not make.
    """
    if "mapping.embed.weight" in views:
        raise RefusedError(
            "is a conditional model (c_dim > 0), expected one without labels; fine-tune it without --cond, or take an "
            "unconditional checkpoint"
        )
    resolution = 4 * 2 ** (sum(name.endswith(".torgb.weight") for name in views) - 1)
    resolutions = [size for size in (4 << step for step in range(16)) if size <= resolution]
    widths = {size: _shape(views, f"synthesis.b{size}.conv1.weight", 4)[0] for size in resolutions}
    colours = _shape(views, "synthesis.b4.torgb.weight", 4)[0]
    if colours != 3:
        raise RefusedError(
            f"makes images of {colours} colour channels, expected 3 (RGB); train it on RGB images: grey ones can "
            "be converted"
        )
    layers = sum(name.startswith("mapping.fc") and name.endswith(".weight") for name in views)
    config = _config(
        widths,
        z_dim=_shape(views, "mapping.fc0.weight", 2)[1],
        w_dim=_shape(views, f"mapping.fc{max(0, layers - 1)}.weight", 2)[0],
        num_mapping_layers=layers,
        **settings,
    )
    return config if note is None else _noted(config, note.network)


def check_discriminator(views: _Views, generator: NetworkConfig) -> None:
    """Raise RefusedError unless a discriminator's tensors have the sizes and widths of the generator's."""
    sizes = [size for size in generator.block_resolutions if f"b{size}.conv0.weight" in views]
    widths = {size: _shape(views, f"b{size}.conv0.weight", 4)[0] for size in sizes}
    widths[4] = _shape(views, "b4.conv.weight", 4)[0]
    expected = {size: generator.num_channels(size) for size in generator.block_resolutions}
    if widths != expected:
        raise RefusedError(
            f"has a discriminator of the widths {_widths(widths)}, expected the generator's ({_widths(expected)}); "
            "convert the generator alone with --generator-only"
        )


def build(network_type: type[NetworkT], config: NetworkConfig, views: _Views) -> NetworkT:
    """Return a network with the tensors of a file, in evaluation mode and without gradients.

    Raises:
        RefusedError: names or shapes differ from the architecture's, or a value is not finite.
    """
    network: NetworkT = blank_network(network_type, config)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    _check_names(expected, views, config)
    state: dict[str, Tensor] = {}
    for name, shape in expected.items():
        if views[name].shape != shape:
            raise RefusedError(
                f"has {name} of shape {views[name].shape}, expected {shape} in a network of {_described(config)}; "
                "it is of another architecture, or damaged"
            )
        state[name] = views[name].to_tensor(name)
    network.load_state_dict(state, assign=True)
    assert not any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers()))
    return network.eval().requires_grad_(False)


def mean_w(generator: Generator) -> Tensor:
    """Return the mean of w over fixed latents [w_dim], for files that have no truncation mean."""
    with torch.no_grad():
        return generator.mapping(sample_latents(MEAN_SEED, MEAN_LATENTS, generator.config.z_dim)).mean(dim=0)


def _config(widths: Mapping[int, int], **settings: Any) -> NetworkConfig:
    base, maximum = _channels(widths)
    try:
        return NetworkConfig(img_resolution=max(widths), channel_base=base, channel_max=maximum, **settings)
    except ConfigError as error:
        raise RefusedError(f"has a network that this project does not make: {error}") from error


def _noted(found: NetworkConfig, noted: NetworkConfig) -> NetworkConfig:
    """Return what this project noted, which must agree with the tensors in what they show."""
    if any(getattr(noted, name) != getattr(found, name) for name in _VISIBLE) or any(
        noted.num_channels(size) != found.num_channels(size) for size in found.block_resolutions
    ):
        raise RefusedError(
            f"has a note of a network of {_described(noted)}, expected what its tensors are ({_described(found)}); "
            "it is damaged: fetch it again"
        )
    return noted


def _channels(widths: Mapping[int, int]) -> tuple[int, int]:
    """Return channel_base and channel_max such that min(channel_base // size, channel_max) are the widths."""
    maximum = max(widths.values())
    base = max(width * size for size, width in widths.items())
    if any(min(base // size, maximum) != width for size, width in widths.items()):
        raise RefusedError(
            f"has layers of the widths {_widths(widths)}, expected min(channel_base / resolution, channel_max); "
            "take a checkpoint of a usual configuration"
        )
    return base, maximum


def _shape(views: _Views, name: str, dimensions: int) -> tuple[int, ...]:
    if name not in views or len(views[name].shape) != dimensions:
        raise RefusedError(
            f"lacks {name}, or it is no tensor of {dimensions} dimensions, expected a StyleGAN2 of the skip and "
            "residual architectures; others (StyleGAN1, StyleGAN3, resnet, orig) cannot be converted"
        )
    return views[name].shape


def _check_names(expected: Mapping[str, Any], views: _Views, config: NetworkConfig) -> None:
    missing = [name for name in expected if name not in views]
    extra = [name for name in views if name not in expected]
    if missing or extra:
        what = f"lacks {missing[0]}" if missing else f"has the additional tensor {shown(extra[0])}"
        raise RefusedError(
            f"{what} ({len(missing)} missing, {len(extra)} too many), expected those of {_described(config)}; "
            "it is of another architecture, or damaged"
        )


def _described(config: NetworkConfig) -> str:
    return (
        f"{config.img_resolution} px with {config.num_mapping_layers} mapping layers, channel_base "
        f"{config.channel_base} and channel_max {config.channel_max}"
    )


def _widths(widths: Mapping[int, int]) -> str:
    return ", ".join(f"{width} at {size} px" for size, width in sorted(widths.items()))
