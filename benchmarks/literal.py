"""StyleGAN2 as its equations are usually coded, around the same parameters, to be timed against `ui2i.networks`.

Weights that differ from image to image run as one grouped convolution. The FIR filter is a 4x4 convolution after zeros
were inserted, or at full resolution before a strided convolution. It is written in two ways, whose speeds on a CPU have
little in common: `depthwise` has one group a channel, `planes` makes an image of its own of every channel. Mapping
network, fully connected layers and minibatch standard deviation are the library's own: there is one way to write them.
"""

import functools
from collections.abc import Sequence
from typing import Literal, TypeVar, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ui2i.networks.generator import SynthesisBlock
from ui2i.networks.layers import LRELU_GAIN, LRELU_SLOPE, Convolution, SynthesisLayer, ToRGB
from ui2i.settings import NoiseMode

TOLERANCE = 3e-4  # path lengths are gradients of sums over all pixels, in float32
FirForm = Literal["depthwise", "planes"]
FIR_FORMS: tuple[FirForm, ...] = get_args(FirForm)
NetworkT = TypeVar("NetworkT", bound=nn.Module)


def make_literal(network: NetworkT, fir_form: FirForm) -> NetworkT:
    """Let a generator or discriminator compute literally from now on; its parameters stay the same objects."""
    for module in network.modules():
        if type(module) in LITERAL:
            module.__class__ = LITERAL[type(module)]
            module.fir_form = fir_form  # type: ignore[assignment]
    return network


def require_equal(name: str, ours: Tensor, literal: Tensor) -> float:
    """Return the largest difference, as a share of the literal form's largest value where that is above 1.

    Raises:
        SystemExit: it is above `TOLERANCE`; two forms of different functions are not worth timing.
    """
    difference = ((ours - literal).abs().max() / literal.abs().max().clamp(min=1)).item()
    if not difference <= TOLERANCE:
        raise SystemExit(f"{name} of the two forms differ by {difference:.1e}, expected at most {TOLERANCE:.0e}")
    return difference


class LiteralSynthesisLayer(SynthesisLayer):
    """Modulate and demodulate the weight of each image, convolve, blur if upsampling, add noise and bias, activate."""

    fir_form: FirForm

    def forward(self, x: Tensor, w: Tensor, noise_mode: NoiseMode = "const", noise: Tensor | None = None) -> Tensor:
        styles = self.affine(w)
        weight = self.weight * self.weight_gain * styles[:, None, :, None, None]
        weight = weight * torch.rsqrt(weight.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8)
        y = _grouped_conv2d(x, weight.to(x.dtype), up_form=self.fir_form if self.up else None)
        noise_map = self._noise(x, noise_mode, noise)
        if noise_map is not None:
            y = y + (noise_map * self.noise_strength).to(y.dtype)
        y = F.leaky_relu(y + self.bias.to(y.dtype)[:, None, None], LRELU_SLOPE) * LRELU_GAIN
        return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)


class LiteralToRGB(ToRGB):
    """Modulate the 1x1 weight of each image, convolve, add the bias."""

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        styles = self.affine(w) * self.weight_gain
        weight = self.weight * styles[:, None, :, None, None]
        y = _grouped_conv2d(x, weight.to(x.dtype)).float() + self.bias[:, None, None]
        return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)


class LiteralSynthesisBlock(SynthesisBlock):
    """The block with the RGB sum upsampled by zero insertion and FIR."""

    fir_form: FirForm

    def forward(
        self,
        x: Tensor | None,
        img: Tensor | None,
        ws: Tensor,
        *,
        noise_mode: NoiseMode = "const",
        noise: Sequence[Tensor | None] = (None, None),
        dtype: torch.dtype = torch.float32,
    ) -> tuple[Tensor, Tensor]:
        x, rgb = super().forward(x, None, ws, noise_mode=noise_mode, noise=noise, dtype=dtype)
        if img is None:
            return x, rgb
        return x, _fir(_insert_zeros(img), self.fir_form, gain=4.0, pad=(2, 1)) + rgb


class LiteralConvolution(Convolution):
    """Blur and stride if downsampling, bias, activation, gain."""

    fir_form: FirForm

    def forward(self, x: Tensor) -> Tensor:
        weight = (self.weight * self.weight_gain).to(x.dtype)
        if self.down:
            pad = (2, 2) if self.padding else (1, 1)
            # Before a 1x1 convolution only every second pixel is needed.
            x = _fir(x, self.fir_form, pad=pad, stride=1 if self.padding else 2)
            y = F.conv2d(x, weight, stride=2 if self.padding else 1)
        else:
            y = F.conv2d(x, weight, padding=self.padding)
        if self.bias is not None:
            y = y + self.bias.to(y.dtype)[:, None, None]
        if self.activate:
            y = F.leaky_relu(y, LRELU_SLOPE)
        y = y * self.output_gain
        return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)


LITERAL: dict[type[nn.Module], type[nn.Module]] = {
    SynthesisLayer: LiteralSynthesisLayer,
    SynthesisBlock: LiteralSynthesisBlock,
    ToRGB: LiteralToRGB,
    Convolution: LiteralConvolution,
}


def _grouped_conv2d(x: Tensor, weight: Tensor, *, up_form: FirForm | None = None) -> Tensor:
    """x [N, I, r, r], weight [N, O, I, k, k] -> [N, O, r, r] (2 r with `up_form`), one group an image."""
    num_images, out_channels, in_channels, kernel_size = weight.shape[:4]
    grouped = x.reshape(1, num_images * in_channels, *x.shape[2:])
    if up_form is not None:
        flat = weight.transpose(1, 2).reshape(num_images * in_channels, out_channels, kernel_size, kernel_size)
        y = F.conv_transpose2d(grouped, flat, stride=2, groups=num_images)
        y = _fir(y, up_form, gain=4.0, pad=(1, 1))
    else:
        y = F.conv2d(grouped, weight.flatten(0, 1), padding=kernel_size // 2, groups=num_images)
    return y.reshape(num_images, out_channels, *y.shape[2:])


def _insert_zeros(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C, 2 H, 2 W] with x at the even places."""
    num_images, channels, height, width = x.shape
    sparse = F.pad(x[:, :, :, None, :, None], (0, 1, 0, 0, 0, 1))
    return sparse.reshape(num_images, channels, 2 * height, 2 * width)


def _fir(x: Tensor, form: FirForm, *, pad: tuple[int, int], gain: float = 1.0, stride: int = 1) -> Tensor:
    """[1, 3, 3, 1] by itself, sum `gain`."""
    kernel = _kernel(x.device, x.dtype) * gain
    padded = F.pad(x, (pad[0], pad[1], pad[0], pad[1]))
    if form == "depthwise":
        return F.conv2d(padded, kernel.expand(x.shape[1], 1, 4, 4), groups=x.shape[1], stride=stride)
    planes = F.conv2d(padded.flatten(0, 1)[:, None], kernel[None, None], stride=stride)
    return planes.reshape(*x.shape[:2], *planes.shape[2:])


@functools.lru_cache(maxsize=4)
def _kernel(device: torch.device, dtype: torch.dtype) -> Tensor:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return (torch.outer(taps, taps) / 64).to(device=device, dtype=dtype)
