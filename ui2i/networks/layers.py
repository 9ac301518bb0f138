"""Layers with StyleGAN2's equalised learning rate: weights are stored at unit variance and scaled when used.

Convolutions run in the dtype of their input, so that a caller chooses bf16 by casting the activations; styles,
demodulation and everything stored stay float32. Constant gains ride on what is small (weights, biases, styles), never
on activations. Every layer is fastest on activations in channels-last layout, and returns that.
N: images, I: input channels, O: output channels, r: resolution.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ui2i.ops.activation import LRELU_SLOPE, activate, is_fused, scale_channels
from ui2i.ops.convolution import conv2d, conv_transpose2d
from ui2i.ops.modulation import demodulation, map_pixels
from ui2i.ops.resample import blur, downsample2x
from ui2i.settings import NoiseMode

LRELU_GAIN = math.sqrt(2)


def dtype_at(
    resolution: int, img_resolution: int, dtype: torch.dtype, num_low_precision_resolutions: int | None
) -> torch.dtype:
    """Return the dtype of the activations at a resolution.

    Args:
        dtype: of the topmost `num_low_precision_resolutions` resolutions (None: of all); the others take float32.
    """
    if num_low_precision_resolutions is None or resolution << num_low_precision_resolutions > img_resolution:
        return dtype
    return torch.float32


class FullyConnected(nn.Module):
    """Linear layer [N, I] -> [N, O], then leaky ReLU if `activate`."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        activate: bool = False,
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init / lr_multiplier))
        self.activate = activate
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier

    def forward(self, x: Float[Tensor, "n i"], *, gain: float = 1.0) -> Float[Tensor, "n o"]:
        """Return the layer's output times `gain`."""
        if self.activate:  # leaky ReLU is homogeneous
            gain = gain * LRELU_GAIN
        y = torch.addmm(self.bias, x, self.weight.t(), beta=self.bias_gain * gain, alpha=self.weight_gain * gain)
        return F.leaky_relu_(y, LRELU_SLOPE) if self.activate else y


class Convolution(nn.Module):
    """Convolution [N, I, r, r] -> [N, O, r, r], or r/2 with `down`; then leaky ReLU if `activate`, with gain `gain`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        bias: bool = True,
        activate: bool = True,
        down: bool = False,
        gain: float = 1.0,
        clamp: float | None = None,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.activate = activate
        self.down = down
        self.weight_gain = 1 / math.sqrt(in_channels * kernel_size**2)
        # Leaky ReLU is homogeneous: its gain may scale weight and bias instead of every activation.
        self.output_gain = gain * (LRELU_GAIN if activate else 1.0)
        self.clamp = None if clamp is None else clamp * gain
        self.padding = kernel_size // 2

    def forward(self, x: Float[Tensor, "n i _ _"]) -> Float[Tensor, "n o r r"]:
        weight = (self.weight * (self.weight_gain * self.output_gain)).to(x.dtype)
        bias = None if self.bias is None else self.bias * self.output_gain
        slope = LRELU_SLOPE if self.activate else 1.0
        if is_fused(x) and (self.activate or bias is not None or self.clamp is not None):
            return activate(self._convolve(x, weight, None), bias=bias, slope=slope, clamp=self.clamp)
        y = self._convolve(x, weight, None if bias is None else bias.to(x.dtype))
        return activate(y, slope=slope, clamp=self.clamp)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.down and self.padding:
            return conv2d(blur(x, padding=2), weight, bias, stride=2)
        return conv2d(downsample2x(x) if self.down else x, weight, bias, padding=self.padding)


class SynthesisLayer(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU: [N, I, r', r'] -> [N, O, r, r], r = 2 r' with `up`."""

    noise_const: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        w_dim: int,
        resolution: int,
        up: bool = False,
        use_noise: bool = True,
        clamp: float | None = None,
    ):
        super().__init__()
        self.affine = FullyConnected(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.noise_strength = nn.Parameter(torch.zeros([]), requires_grad=use_noise)
        self.use_noise = use_noise
        self.resolution = resolution
        self.up = up
        self.clamp = clamp
        self.weight_gain = 1 / math.sqrt(in_channels * 9)

    def forward(
        self,
        x: Float[Tensor, "n i _ _"],
        w: Float[Tensor, "n w_dim"],
        noise_mode: NoiseMode = "const",
        noise: Float[Tensor, "#n 1 r r"] | None = None,
    ) -> Float[Tensor, "n o r r"]:
        """Args:
        x: [N, I, r', r'].
        w: [N, w_dim].
        noise: [N or 1, 1, r, r], used instead of the stored or a random map; `noise_mode` none still wins.
        """
        styles = self._styles(w, x.dtype)
        scale = demodulation(self.weight, styles) * LRELU_GAIN
        y = self._convolve(scale_channels(x, styles), self.weight.to(x.dtype))
        noise_map = self._noise(x, noise_mode, noise)
        if noise_map is not None:
            noise_map = noise_map * (self.noise_strength * LRELU_GAIN)
        return activate(y, scale=scale, bias=self.bias * LRELU_GAIN, noise=noise_map, clamp=self.clamp)

    def _styles(self, w: Tensor, dtype: torch.dtype) -> Tensor:
        """Scales of the input channels [N, I], the weight's gain among them."""
        styles = self.affine(w, gain=self.weight_gain)
        if dtype == torch.float16:
            # Demodulation cancels any factor, and this one keeps the products in float16's range.
            styles = styles * (self.weight_gain / styles.detach().abs().amax(dim=1, keepdim=True))
        return styles

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.up:
            return blur(conv_transpose2d(x, weight.transpose(0, 1), stride=2), padding=1, gain=4.0)
        return conv2d(x, weight, padding=1)

    def _noise(self, x: Tensor, noise_mode: NoiseMode, noise: Tensor | None) -> Tensor | None:
        if noise_mode == "none" or not self.use_noise:
            return None
        if noise is not None:
            return noise
        if noise_mode == "const":
            return self.noise_const
        return torch.randn(x.shape[0], 1, self.resolution, self.resolution, device=x.device)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution without demodulation: [N, I, r, r] -> [N, 3, r, r] float32."""

    def __init__(self, in_channels: int, *, w_dim: int, clamp: float | None = None):
        super().__init__()
        self.affine = FullyConnected(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(3, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.weight_gain = 1 / math.sqrt(in_channels)
        self.clamp = clamp

    def forward(self, x: Float[Tensor, "n i r r"], w: Float[Tensor, "n w_dim"]) -> Float[Tensor, "n 3 r r"]:
        """Args:
        x: [N, I, r, r].
        w: [N, w_dim].
        """
        styles = self.affine(w, gain=self.weight_gain)
        # Three output channels are few enough that per-image weights cost less than scaling the input.
        weight = (self.weight[None, :, :, 0, 0] * styles[:, None, :]).to(x.dtype)
        y = map_pixels(x, weight).float() + self.bias[:, None, None]
        return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)
