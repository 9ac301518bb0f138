"""Layer swap that hands the source's activations to the target; no parameter moves (paper, Fig. 8)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ui2i.errors import ConfigError
from ui2i.layer_swap.weights import check_resolution, check_same_synthesis
from ui2i.networks.generator import Generator
from ui2i.ops.resample import upsample2x
from ui2i.settings import NoiseMode


def synthesize_feature_swap(
    source: Generator,
    target: Generator,
    ws: Float[Tensor, "n num_ws w_dim"],
    swap_resolution: int,
    *,
    noise_mode: NoiseMode = "const",
    noise: Sequence[Float[Tensor, "#n 1 _ _"]] | None = None,
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
    check_resolution(target.config, swap_resolution)
    check_same_synthesis(source.config, target.config)
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


class FeatureSwappedGenerator(Generator):
    """A feature swap in the shape of a generator, so that whatever translates with a generator translates with it.

    It cannot be saved or fine-tuned.
    """

    def __init__(self, source: Generator, target: Generator, swap_resolution: int) -> None:
        """Join two models, whose parameters are shared and not copied.

        Raises:
            ConfigError: no block has that resolution.
            CheckpointError: the models' synthesis networks differ in architecture.
        """
        nn.Module.__init__(self)
        self.config = target.config
        self.mapping = target.mapping
        self.synthesis = _Synthesis(source, target, swap_resolution)  # type: ignore[assignment]
        with torch.no_grad():  # so that what cannot be joined is found out now
            self.synthesis(self.broadcast(self.w_avg[None]))


class _Synthesis(nn.Module):
    """ws [N, num_ws, w_dim] -> image [N, 3, R, R]."""

    def __init__(self, source: Generator, target: Generator, swap_resolution: int) -> None:
        super().__init__()
        self.source = source
        self.target = target
        self.swap_resolution = swap_resolution

    def forward(
        self,
        ws: Float[Tensor, "n num_ws w_dim"],
        *,
        noise_mode: NoiseMode = "const",
        noise: Sequence[Tensor] | None = None,
        dtype: torch.dtype = torch.float32,
        num_low_precision_resolutions: int | None = None,
    ) -> Float[Tensor, "n 3 r r"]:
        """Generate images; arguments are those of `SynthesisNetwork.forward`."""
        if num_low_precision_resolutions is not None:
            raise ConfigError("num_low_precision_resolutions is set for a feature swap, expected None; leave it out")
        return synthesize_feature_swap(
            self.source, self.target, ws, self.swap_resolution, noise_mode=noise_mode, noise=noise, dtype=dtype
        )
