"""The backbones of perceptual distances: the convolutional parts of AlexNet, VGG16 and SqueezeNet 1.1.

AlexNet is Krizhevsky's one-tower network (arXiv 1404.5997), VGG16 configuration D of Simonyan and Zisserman
(arXiv 1409.1556), SqueezeNet that of Iandola et al. (arXiv 1602.07360) in its smaller version. The shift-tolerant
AlexNet of ST-LPIPS (Ghildyal and Liu, arXiv 2207.13686) blurs before it subsamples. Each is cut into slices where
LPIPS (Zhang et al., arXiv 1801.03924) reads its features. A parameter is `slice<k>.<i>.<name>`, where i counts the
layers from the image on, as files of trained weights do. Made with `blank_network`, a backbone has no weights yet.

The classes of torchvision and of the package lpips compute the same, but importing them brings torch's compiler along.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
"""Mean and standard deviation of ImageNet's colours in [-1, 1], as LPIPS rounds them."""


class Scaling(nn.Module):
    """Images [N, 3, H, W] in [-1, 1] -> the range that backbones were trained in."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor(SHIFT).reshape(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).reshape(1, 3, 1, 1))

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        return (x - self.shift) / self.scale


class Backbone(nn.Module):
    """Scaled images [N, 3, H, W] -> the output [N, C, h, w] of each slice."""

    def __init__(self, layers: Sequence[nn.Module], ends: Sequence[int]) -> None:
        """Cut `layers` into slices, each of which stops before the layer of that number in `ends`."""
        super().__init__()
        self.num_slices = len(ends)
        for index, (start, end) in enumerate(zip((0, *ends), ends, strict=False)):
            layer_slice = nn.Sequential()
            for place in range(start, end):
                layer_slice.add_module(str(place), layers[place])
            self.add_module(f"slice{index + 1}", layer_slice)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        maps = []
        for index in range(self.num_slices):
            x = self.get_submodule(f"slice{index + 1}")(x)
            maps.append(x)
        return maps


class Fire(nn.Module):
    """SqueezeNet's block: a 1x1 convolution to few channels, from which a 1x1 and a 3x3 one make `2 * expanded`."""

    def __init__(self, in_channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeezed, kernel_size=1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, kernel_size=1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, kernel_size=3, padding=1)

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o h w"]:
        x = self.squeeze(x).relu_()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1).relu_()


class BlurPool(nn.Module):
    """Blurs with (1, 2, 1) / 4 in both directions and keeps every second pixel (Zhang, arXiv 1904.11486).

    Edges are mirrored. Two means of two pixels are such a blur.
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c p q"]:
        return F.avg_pool2d(F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), 2, stride=1), 2)


class BlurredConv(nn.Module):
    """A convolution with `padding` and then `BlurPool`, as one convolution of stride 2: a third of the work.

    Beyond its edge the convolution's output is mirrored. So the first pixel of a row equals the second; the last one
    equals that before it, or, where the output's width is even, is a mean of the last two pixels.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, *, padding: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.padding = padding

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o p q"]:
        x = F.pad(x, (self.padding,) * 4)
        rows = [
            torch.cat([self._convolve(part, down, across) for part, across in self._bands(band, 3)], dim=3)
            for band, down in self._bands(x, 2)
        ]
        repeated = [int(len(self._bands(x, dim)) == 1) for dim in (3, 2)]
        return F.pad(torch.cat(rows, dim=2), (1, repeated[0], 1, repeated[1]), mode="replicate")

    def _bands(self, x: Tensor, dim: int) -> list[tuple[Tensor, Sequence[float]]]:
        """Return what the output is made from along a dimension, and with which blur."""
        bands: list[tuple[Tensor, Sequence[float]]] = [(x, (0.25, 0.5, 0.25))]
        size, kernel_size = x.shape[dim], self.weight.shape[dim]
        if (size - kernel_size) % 2:
            bands.append((x.narrow(dim, size - kernel_size - 1, kernel_size + 1), (0.5, 0.5)))
        return bands

    def _convolve(self, x: Tensor, down: Sequence[float], across: Sequence[float]) -> Tensor:
        blur = torch.outer(x.new_tensor(down), x.new_tensor(across))[None, None]
        kernels = self.weight.flatten(0, 1)[:, None]
        blurred = F.conv2d(kernels, blur, padding=(len(down) - 1, len(across) - 1))
        weight = blurred.reshape(*self.weight.shape[:2], *blurred.shape[2:])
        return F.conv2d(x, weight.contiguous(memory_format=torch.channels_last), self.bias, stride=2)


def alexnet() -> Backbone:
    """Return AlexNet's five convolutions."""
    layers = [
        *_conv(3, 64, kernel_size=11, stride=4, padding=2),
        nn.MaxPool2d(3, stride=2),
        *_conv(64, 192, kernel_size=5, padding=2),
        nn.MaxPool2d(3, stride=2),
        *_conv(192, 384, kernel_size=3, padding=1),
        *_conv(384, 256, kernel_size=3, padding=1),
        *_conv(256, 256, kernel_size=3, padding=1),
    ]
    return Backbone(layers, ends=(2, 5, 8, 10, 12))


def shift_tolerant_alexnet() -> Backbone:
    """Return AlexNet's five convolutions at stride 1, with blurred pooling; its first blur precedes the activation."""
    layers = [
        *(BlurredConv(3, 64, kernel_size=11, padding=2), nn.Identity(), nn.ReLU(inplace=True)),  # a blur is layer 1
        *(nn.MaxPool2d(3, stride=1), BlurPool()),
        *_conv(64, 192, kernel_size=5, padding=2),
        *(nn.MaxPool2d(3, stride=1), BlurPool()),
        *_conv(192, 384, kernel_size=3, padding=1),
        *_conv(384, 256, kernel_size=3, padding=1),
        *_conv(256, 256, kernel_size=3, padding=1),
    ]
    return Backbone(layers, ends=(3, 7, 11, 13, 15))


def vgg16() -> Backbone:
    """Return VGG16's thirteen convolutions; the last pooling layer is left out."""
    layers: list[nn.Module] = []
    in_channels = 3
    for num_convs, channels in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        if layers:
            layers.append(nn.MaxPool2d(2, stride=2))
        for _ in range(num_convs):
            layers += _conv(in_channels, channels, kernel_size=3, padding=1)
            in_channels = channels
    return Backbone(layers, ends=(4, 9, 16, 23, 30))


def squeezenet() -> Backbone:
    """Return SqueezeNet 1.1's first convolution and eight blocks."""
    layers: list[nn.Module] = _conv(3, 64, kernel_size=3, stride=2)
    in_channels = 64
    for squeezed, expanded, num_blocks in ((16, 64, 2), (32, 128, 2), (48, 192, 2), (64, 256, 2)):
        if expanded <= 192:
            layers.append(nn.MaxPool2d(3, stride=2, ceil_mode=True))
        for _ in range(num_blocks):
            layers.append(Fire(in_channels, squeezed, expanded))
            in_channels = 2 * expanded
    return Backbone(layers, ends=(2, 5, 8, 10, 11, 12, 13))


def _conv(in_channels: int, out_channels: int, **shape: int) -> list[nn.Module]:
    return [nn.Conv2d(in_channels, out_channels, **shape), nn.ReLU(inplace=True)]  # type: ignore[arg-type]
