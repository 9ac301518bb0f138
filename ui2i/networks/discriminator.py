"""The StyleGAN2 discriminator with residual blocks (Karras et al., arXiv 1912.04958, Fig. 7c)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ui2i.errors import ConfigError
from ui2i.networks.layers import Convolution, FullyConnected, dtype_at
from ui2i.settings import NetworkConfig


class DiscriminatorBlock(nn.Module):
    """Residual block [N, I, r, r] -> [N, O, r/2, r/2]; the topmost one first turns RGB into I channels."""

    def __init__(self, config: NetworkConfig, resolution: int):
        super().__init__()
        in_channels = config.num_channels(resolution)
        out_channels = config.num_channels(resolution // 2)
        clamp, half = config.conv_clamp, math.sqrt(0.5)
        if resolution == config.img_resolution:
            self.fromrgb = Convolution(3, in_channels, 1, clamp=clamp)
        self.conv0 = Convolution(in_channels, in_channels, 3, clamp=clamp)
        self.conv1 = Convolution(in_channels, out_channels, 3, down=True, gain=half, clamp=clamp)
        self.skip = Convolution(in_channels, out_channels, 1, bias=False, activate=False, down=True, gain=half)

    def forward(self, x: Float[Tensor, "n i r r"]) -> Float[Tensor, "n o r//2 r//2"]:
        if hasattr(self, "fromrgb"):
            x = self.fromrgb(x)
        return self.skip(x).add_(self.conv1(self.conv0(x)))


class DiscriminatorEpilogue(nn.Module):
    """Minibatch standard deviation, then [N, C, 4, 4] -> logits [N, 1], in float32."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        channels = config.num_channels(4)
        self.group_size = config.mbstd_group_size
        self.conv = Convolution(channels + 1, channels, 3, clamp=config.conv_clamp)
        self.fc = FullyConnected(channels * 16, channels, activate=True)
        self.out = FullyConnected(channels, 1)

    def forward(self, x: Float[Tensor, "n c 4 4"], num_batches: int = 1) -> Float[Tensor, "n 1"]:
        x = x.float()
        deviation = [minibatch_stddev(batch, self.group_size) for batch in x.chunk(num_batches)]
        x = self.conv(torch.cat([x, torch.cat(deviation)], dim=1))
        return self.out(self.fc(x.flatten(1)))


class Discriminator(nn.Module):
    """Image [N, 3, R, R] in [-1, 1] -> logits [N, 1]; higher means more real."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        self.resolutions = tuple(reversed(config.block_resolutions[1:]))
        for resolution in self.resolutions:
            setattr(self, f"b{resolution}", DiscriminatorBlock(config, resolution))
        self.b4 = DiscriminatorEpilogue(config)

    def block(self, resolution: int) -> nn.Module:
        """Return the block at `resolution` pixels; the one at 4 px is the epilogue."""
        return getattr(self, f"b{resolution}")

    def forward(
        self,
        img: Float[Tensor, "n 3 r r"],
        *,
        dtype: torch.dtype = torch.float32,
        num_low_precision_resolutions: int | None = None,
        num_batches: int = 1,
    ) -> Float[Tensor, "n 1"]:
        """Args:
            dtype: of the activations above 4 px; the returned logits are float32.
            num_low_precision_resolutions: how many resolutions, from the top, take `dtype`, while those below take
                float32; None: all above 4 px take it.
            num_batches: equal batches that stand one after another in `img`, and whose minibatch-stddev groups stay
                apart: the logits are those of one call for each, in one pass.

        Raises:
            ConfigError: the images have another resolution, or the minibatch-stddev groups do not divide a batch.
        """
        res = self.config.img_resolution
        if tuple(img.shape[1:]) != (3, res, res):
            raise ConfigError(f"img has shape {tuple(img.shape)}, expected (N, 3, {res}, {res}); resize the images")
        assert len(img) % num_batches == 0
        x = img.contiguous(memory_format=torch.channels_last)
        for resolution in self.resolutions:
            x = self.block(resolution)(x.to(dtype_at(resolution, res, dtype, num_low_precision_resolutions)))
        return self.b4(x, num_batches)


def minibatch_stddev(x: Float[Tensor, "n c h w"], group_size: int) -> Float[Tensor, "n 1 h w"]:
    """Return one channel [N, 1, H, W] with each group's mean standard deviation (arXiv 1710.10196, section 3).

    Raises:
        ConfigError: `group_size` neither divides the batch nor exceeds it.
    """
    num_images, channels, height, width = x.shape
    group = min(group_size, num_images)
    if num_images % group:
        raise ConfigError(
            f"the batch has {num_images} images, expected a multiple of the minibatch-stddev group of {group}; "
            "change batch_size or mbstd_group_size"
        )
    grouped = x.reshape(group, -1, channels, height, width)
    variance = (grouped - grouped.mean(dim=0)).square().mean(dim=0)  # Tensor.var takes ten times as long on a CPU
    deviation = (variance + 1e-8).sqrt().mean(dim=(1, 2, 3))
    return deviation.repeat(group).reshape(num_images, 1, 1, 1).expand(-1, 1, height, width)
