"""Layer swaps that move parameters: a hard border between source and target, or a smooth one (paper, Eq. 3)."""

import copy
import math
import re

import torch

from ui2i.errors import CheckpointError, ConfigError
from ui2i.networks.generator import Generator
from ui2i.settings import NetworkConfig
from ui2i.variants import Side

# What must agree for two synthesis networks to exchange layers; their mapping networks may differ.
_SYNTHESIS_FIELDS = ("img_resolution", "w_dim", "channel_base", "channel_max", "use_noise", "conv_clamp")


def swap_weights(
    source: Generator, target: Generator, swap_resolution: int, *, torgb_from: Side = "target"
) -> Generator:
    """Return a new generator with the source's convolutions up to `swap_resolution` and the target's above (Eq. 3).

    A convolution is its weight, bias, style modulation and noise; the constant input goes with the block at 4 px. The
    mapping network is the target's; under freeze-FC it is the source's as well.

    Args:
        swap_resolution: pixels, 4 to the models' resolution; the last block that comes from the source.
        torgb_from: whose ToRGB layers the swapped blocks get; those above are always the target's.

    Returns:
        A generator on the target's device, with the target's mode and gradient flags. Neither input is changed.

    Raises:
        ConfigError: no block has that resolution.
        CheckpointError: the models' synthesis networks differ in architecture.
    """
    check_resolution(target.config, swap_resolution)
    shares = {r: float(r <= swap_resolution) for r in target.config.block_resolutions}
    return _mix_blocks(source, target, shares, torgb_from)


def blend_weights(
    source: Generator, target: Generator, swap_resolution: int, width: float, *, torgb_from: Side = "target"
) -> Generator:
    """Return a new generator whose share of the source falls smoothly over resolutions (arXiv 2010.05334).

    See `source_share` for the course; width 0 gives `swap_weights`, a very large one the mean of both models.

    Args:
        swap_resolution: pixels; the share passes 1/2 halfway between this block and the next.
        width: of the transition, in blocks; about 1 mixes a handful of blocks noticeably.
        torgb_from: target: ToRGB layers are all the target's. source: they are mixed like the convolutions.

    Raises:
        ConfigError: no block has that resolution, or `width` is negative or not finite.
        CheckpointError: the models' synthesis networks differ in architecture.
    """
    check_resolution(target.config, swap_resolution)
    shares = {r: source_share(r, swap_resolution, width) for r in target.config.block_resolutions}
    return _mix_blocks(source, target, shares, torgb_from)


def source_share(resolution: int, swap_resolution: int, width: float) -> float:
    """Share of the source in the block at `resolution`: sigmoid((log2(swap / resolution) + 1/2) / width), in [0, 1].

    Raises:
        ConfigError: `width` is negative or not finite.
    """
    if not (math.isfinite(width) and width >= 0):
        raise ConfigError(f"width is {width}, expected a number of blocks, 0 or more; 0 is a plain swap")
    blocks_below = math.log2(swap_resolution / resolution) + 0.5
    if width == 0:
        return float(blocks_below > 0)
    return 0.5 * (1 + math.tanh(0.5 * blocks_below / width))  # the sigmoid, without overflow


def swapped_share(config: NetworkConfig, swap_resolution: int) -> float:
    """Share of the synthesis blocks that a swap takes from the source, in (0, 1].

    Raises:
        ConfigError: no block has that resolution.
    """
    check_resolution(config, swap_resolution)
    resolutions = config.block_resolutions
    return sum(r <= swap_resolution for r in resolutions) / len(resolutions)


def _mix_blocks(source: Generator, target: Generator, shares: dict[int, float], torgb_from: Side) -> Generator:
    """Copy the target and move each block's parameters towards the source's by the block's share."""
    check_same_synthesis(source.config, target.config)
    if torgb_from not in ("source", "target"):
        raise ConfigError(f"torgb_from is {torgb_from!r}, expected source or target; correct it")
    mixed = copy.deepcopy(target)
    source_tensors = source.state_dict()
    with torch.no_grad():
        for name, value in mixed.state_dict().items():
            share = _share_of(name, shares, torgb_from)
            # Exact at both ends: lerp returns its first argument at 0 and its second at 1, bit for bit.
            value.copy_(value.lerp(source_tensors[name].to(value.device), share))
    return mixed


def _share_of(name: str, shares: dict[int, float], torgb_from: Side) -> float:
    """Source's share of the tensor called `name` in the state dict; 0 for the mapping network."""
    match = re.fullmatch(r"synthesis\.b(\d+)\.(\w+)(\..*)?", name)
    if match is None or (match[2] == "torgb" and torgb_from == "target"):
        return 0.0
    return shares[int(match[1])]


def check_resolution(config: NetworkConfig, swap_resolution: int) -> None:
    """Raise ConfigError unless a block of the synthesis network has that resolution."""
    if swap_resolution not in config.block_resolutions:
        known = ", ".join(map(str, config.block_resolutions))
        raise ConfigError(f"swap_resolution is {swap_resolution}, expected one of {known} (pixels); correct it")


def check_same_synthesis(source: NetworkConfig, target: NetworkConfig) -> None:
    """Raise CheckpointError unless two models can exchange layers."""
    different = [name for name in _SYNTHESIS_FIELDS if getattr(source, name) != getattr(target, name)]
    if different:
        came = ", ".join(f"{name} {getattr(source, name)} and {getattr(target, name)}" for name in different)
        raise CheckpointError(
            f"source and target differ in {came}, expected the same architecture; "
            "layers can only be swapped between a model and one fine-tuned from it"
        )
