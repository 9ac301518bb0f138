"""Layer swap: the coarse layers of the source in front of the fine layers of the target (paper, Eq. 3, Fig. 8).

Layers are named by resolution: the paper's tables call swaps through 8, 16 and 32 px LS1, LS3 and LS5. There are
three forms, which are different models:

* `swap_weights` replaces parameters. The result is an ordinary generator that can be saved and fine-tuned.
* `blend_weights` mixes parameters, with a share of the source that falls smoothly with resolution.
* `synthesize_feature_swap` runs both models and hands the source's activations to the target; no parameter moves.

Nothing here asks whether the models are close enough for the result to be an image: without fine-tuning from the
source it is not (Direct-LS in Fig. 8), and being able to show that is part of the method.
"""

import copy
import math
import re
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ui2i.config import NetworkConfig, NoiseMode
from ui2i.errors import CheckpointError, ConfigError
from ui2i.networks.generator import Generator
from ui2i.ops.resample import upsample2x

Side = Literal["source", "target"]

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
    _check_resolution(target.config, swap_resolution)
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
    _check_resolution(target.config, swap_resolution)
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
    _check_resolution(config, swap_resolution)
    resolutions = config.block_resolutions
    return sum(r <= swap_resolution for r in resolutions) / len(resolutions)


def synthesize_feature_swap(
    source: Generator,
    target: Generator,
    ws: Float[Tensor, "n num_ws w_dim"],
    swap_resolution: int,
    *,
    noise_mode: NoiseMode = "const",
    noise: Sequence[Tensor] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "n 3 r r"]:
    """Generate with the source's activations up to `swap_resolution` and the target's layers above.

    Every ToRGB layer is the target's. Those below `swap_resolution` read the target's own activations, the one at
    `swap_resolution` and those above the activations that began in the source; so the coarse part of the RGB sum stays
    the target's entirely.

    Args:
        noise: as in `SynthesisNetwork.forward`, for both models; None: each model's own, as `noise_mode` says.
        dtype: of the activations; the returned image is float32.

    Raises:
        ConfigError: no block has that resolution, or `ws` does not fit the models.
        CheckpointError: the models' synthesis networks differ in architecture.
    """
    _check_resolution(target.config, swap_resolution)
    _check_same_synthesis(source.config, target.config)
    target.synthesis.check_ws(ws)
    split_ws, split_noise = target.synthesis.block_ws(ws), target.synthesis.block_noise(noise)
    source_x, source_img, x, img = None, None, None, None
    for r in target.config.block_resolutions:
        source_block, target_block, w = source.synthesis.block(r), target.synthesis.block(r), split_ws[r]
        maps = split_noise[r]
        if r <= swap_resolution:
            source_x, source_img = source_block(source_x, source_img, w, noise_mode=noise_mode, noise=maps, dtype=dtype)
        if r == swap_resolution:
            x, rgb = source_x, target_block.torgb(source_x, w[:, -1])
            img = rgb if img is None else upsample2x(img) + rgb
        else:
            x, img = target_block(x, img, w, noise_mode=noise_mode, noise=maps, dtype=dtype)
    assert img is not None
    return img


def _mix_blocks(source: Generator, target: Generator, shares: dict[int, float], torgb_from: Side) -> Generator:
    """Copy the target and move each block's parameters towards the source's by the block's share."""
    _check_same_synthesis(source.config, target.config)
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


def _check_resolution(config: NetworkConfig, swap_resolution: int) -> None:
    if swap_resolution not in config.block_resolutions:
        known = ", ".join(map(str, config.block_resolutions))
        raise ConfigError(f"swap_resolution is {swap_resolution}, expected one of {known} (pixels); correct it")


def _check_same_synthesis(source: NetworkConfig, target: NetworkConfig) -> None:
    different = [name for name in _SYNTHESIS_FIELDS if getattr(source, name) != getattr(target, name)]
    if different:
        came = ", ".join(f"{name} {getattr(source, name)} and {getattr(target, name)}" for name in different)
        raise CheckpointError(
            f"source and target differ in {came}, expected the same architecture; "
            "layers can only be swapped between a model and one fine-tuned from it"
        )
