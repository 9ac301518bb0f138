"""StyleGAN2's formulas read literally: zeros are inserted, weights differ from image to image, gradients are Jacobians.

Slow and plain, to be compared with. Every function computes in the dtype it is given; tests give float64. Images are
NCHW. Networks are functions of a state dict with the names that `ui2i.networks` uses.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ui2i.settings import NetworkConfig

State = Mapping[str, Tensor]


def fir_kernel(gain: float = 1.0) -> Tensor:
    """[1, 3, 3, 1] by itself, float64 [4, 4], whose sum is `gain`."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64)
    return torch.outer(taps, taps) / 64 * gain


def upfirdn2d(x: Tensor, kernel: Tensor, *, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)) -> Tensor:
    """Insert `up` - 1 zeros after each pixel, pad, convolve with the flipped kernel, keep every `down`-th pixel."""
    num_images, channels, height, width = x.shape
    sparse = x.new_zeros(num_images, channels, height * up, width * up)
    sparse[:, :, ::up, ::up] = x
    padded = F.pad(sparse, (pad[0], pad[1], pad[0], pad[1]))
    taps_y, taps_x = kernel.shape
    out_height, out_width = padded.shape[2] - taps_y + 1, padded.shape[3] - taps_x + 1
    result = x.new_zeros(num_images, channels, out_height, out_width)
    for i in range(taps_y):
        for j in range(taps_x):
            tap = kernel[taps_y - 1 - i, taps_x - 1 - j].to(x.dtype)
            result = result + tap * padded[:, :, i : i + out_height, j : j + out_width]
    return result[:, :, ::down, ::down]


def upsample2x(x: Tensor) -> Tensor:
    """RGB skip of the generator: padding (2, 1), gain 4."""
    return upfirdn2d(x, fir_kernel(4.0), up=2, pad=(2, 1))


def downsample2x(x: Tensor) -> Tensor:
    """Residual skip of the discriminator: blur with padding (1, 1), then every second pixel."""
    return upfirdn2d(x, fir_kernel(), down=2, pad=(1, 1))


def upsampling_conv2d(x: Tensor, weight: Tensor) -> Tensor:
    """Transposed 3x3 convolution of stride 2 without padding, then a blur of gain 4 with padding (1, 1)."""
    y = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    return upfirdn2d(y, fir_kernel(4.0), pad=(1, 1))


def downsampling_conv2d(x: Tensor, weight: Tensor) -> Tensor:
    """Blur with padding (2, 2), then a 3x3 convolution of stride 2 without padding."""
    return F.conv2d(upfirdn2d(x, fir_kernel(), pad=(2, 2)), weight, stride=2)


def modulated_weight(weight: Tensor, styles: Tensor, *, demodulate: bool = True) -> Tensor:
    """[N, O, I, kh, kw]: w'_oi = s_i w_oi, then divided by its norm over i and taps (arXiv 1912.04958, Eq. 1 and 3)."""
    modulated = weight[None] * styles[:, None, :, None, None]
    if not demodulate:
        return modulated
    return modulated / (modulated.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).sqrt()


def modulated_conv2d(x: Tensor, weight: Tensor, styles: Tensor, *, demodulate: bool = True, up: bool = False) -> Tensor:
    """One convolution an image, each with its own weight, as one grouped convolution."""
    num_images, in_channels = x.shape[:2]
    weights = modulated_weight(weight, styles, demodulate=demodulate)
    out_channels, kernel_size = weights.shape[1], weights.shape[3]
    grouped = x.reshape(1, num_images * in_channels, *x.shape[2:])
    if up:
        flat = weights.transpose(1, 2).reshape(num_images * in_channels, out_channels, kernel_size, kernel_size)
        y = F.conv_transpose2d(grouped, flat, stride=2, groups=num_images)
        y = upfirdn2d(y, fir_kernel(4.0), pad=(1, 1))
    else:
        flat = weights.flatten(0, 1)
        y = F.conv2d(grouped, flat, padding=kernel_size // 2, groups=num_images)
    return y.reshape(num_images, out_channels, *y.shape[2:])


def leaky_relu(x: Tensor, clamp: float | None = None, gain: float = math.sqrt(2)) -> Tensor:
    """Slope 0.2, gain sqrt 2, then the clamp."""
    y = torch.where(x >= 0, x, 0.2 * x) * gain
    return y if clamp is None else y.clamp(-clamp, clamp)


def fully_connected(state: State, name: str, x: Tensor, *, lr_multiplier: float = 1.0) -> Tensor:
    """Equalised linear layer."""
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    return x @ (weight * (lr_multiplier / math.sqrt(weight.shape[1]))).t() + bias * lr_multiplier


def mapping(state: State, config: NetworkConfig, z: Tensor) -> Tensor:
    """z on the sphere of radius sqrt(z_dim), then the fully connected layers."""
    x = z / (z.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()
    for index in range(config.num_mapping_layers):
        lr_multiplier = config.mapping_lr_multiplier
        x = leaky_relu(fully_connected(state, f"mapping.fc{index}", x, lr_multiplier=lr_multiplier))
    return x


def synthesis(state: State, config: NetworkConfig, ws: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
    """Skip generator; `noise` is one map a convolution, None stands for the stored ones."""
    x = state["synthesis.b4.const"].expand(len(ws), -1, -1, -1)
    img = None
    noises = None if noise is None else iter(noise)
    index = 0  # of the next convolution's code; ToRGB shares its own with the next block's first convolution
    for resolution in config.block_resolutions:
        for layer in ("conv1",) if resolution == 4 else ("conv0", "conv1"):
            name = f"synthesis.b{resolution}.{layer}"
            noise_map = state[f"{name}.noise_const"] if noises is None else next(noises)
            x = _synthesis_layer(state, name, x, ws[:, index], noise_map, up=layer == "conv0", clamp=config.conv_clamp)
            index += 1
        rgb = _to_rgb(state, f"synthesis.b{resolution}.torgb", x, ws[:, index], clamp=config.conv_clamp)
        img = rgb if img is None else upsample2x(img) + rgb
    assert img is not None
    return img


def _synthesis_layer(
    state: State, name: str, x: Tensor, w: Tensor, noise_map: Tensor, *, up: bool, clamp: float | None
) -> Tensor:
    weight = state[f"{name}.weight"]
    styles = fully_connected(state, f"{name}.affine", w)
    y = modulated_conv2d(x, weight / math.sqrt(weight[0].numel()), styles, up=up)
    y = y + noise_map * state[f"{name}.noise_strength"]
    return leaky_relu(y + state[f"{name}.bias"][:, None, None], clamp)


def _to_rgb(state: State, name: str, x: Tensor, w: Tensor, *, clamp: float | None) -> Tensor:
    weight = state[f"{name}.weight"]
    styles = fully_connected(state, f"{name}.affine", w)
    y = modulated_conv2d(x, weight / math.sqrt(weight.shape[1]), styles, demodulate=False)
    y = y + state[f"{name}.bias"][:, None, None]
    return y if clamp is None else y.clamp(-clamp, clamp)


def discriminator(state: State, config: NetworkConfig, img: Tensor) -> Tensor:
    """Residual discriminator: logits [N, 1]."""
    return fully_connected(state, "b4.out", _discriminator_features(state, config, img))


def logit_magnitudes(state: State, config: NetworkConfig, img: Tensor) -> Tensor:
    """What rounding errors of logits are to be measured against [N, 1]: the sum of the magnitudes of each one's terms.

    The terms nearly cancel by chance, and errors do not shrink with what is left of them.
    """
    magnitudes = {name: value.abs() for name, value in state.items() if name.startswith("b4.out")}
    return fully_connected(magnitudes, "b4.out", _discriminator_features(state, config, img).abs())


def _discriminator_features(state: State, config: NetworkConfig, img: Tensor) -> Tensor:
    clamp = config.conv_clamp
    top = f"b{config.img_resolution}.fromrgb"
    x = leaky_relu(_conv2d(state, top, img), clamp)
    for resolution in reversed(config.block_resolutions[1:]):
        name = f"b{resolution}"
        y = leaky_relu(_conv2d(state, f"{name}.conv0", x), clamp)
        y = downsampling_conv2d(y, _scaled_weight(state, f"{name}.conv1"))
        y = leaky_relu(y + state[f"{name}.conv1.bias"][:, None, None], clamp)
        skip = F.conv2d(downsample2x(x), _scaled_weight(state, f"{name}.skip"))
        x = (y + skip) / math.sqrt(2)
    x = torch.cat([x, minibatch_stddev(x, config.mbstd_group_size)], dim=1)
    x = leaky_relu(_conv2d(state, "b4.conv", x), clamp)
    return leaky_relu(fully_connected(state, "b4.fc", x.flatten(1)))


def minibatch_stddev(x: Tensor, group_size: int) -> Tensor:
    """One number a group, the mean over pixels and channels of the standard deviation over its images.

    With N images in groups of G there are N / G groups, and image n belongs to group n mod (N / G).
    """
    num_images, _, height, width = x.shape
    num_groups = num_images // min(group_size, num_images)
    result = x.new_empty(num_images, 1, height, width)
    for group in range(num_groups):
        members = x[group::num_groups]
        mean = members.mean(dim=0)
        variance = (members - mean).square().mean(dim=0)
        result[group::num_groups] = (variance + 1e-8).sqrt().mean()
    return result


def _scaled_weight(state: State, name: str) -> Tensor:
    weight = state[f"{name}.weight"]
    return weight / math.sqrt(weight[0].numel())


def _conv2d(state: State, name: str, x: Tensor) -> Tensor:
    weight = _scaled_weight(state, name)
    return F.conv2d(x, weight, padding=weight.shape[2] // 2) + state[f"{name}.bias"][:, None, None]


def r1_penalty(logits_of: Callable[[Tensor], Tensor], img: Tensor) -> float:
    """Mean over images of the squared norm of each logit's gradient, one image after the other."""
    norms = []
    for index in range(len(img)):
        jacobian = torch.autograd.functional.jacobian(lambda one: logits_of(one).sum(), img[index : index + 1])
        norms.append(float(jacobian.square().sum()))
    return sum(norms) / len(norms)


def path_lengths(img_of: Callable[[Tensor], Tensor], ws: Tensor, noise: Tensor) -> list[float]:
    """Norm of J^T y an image, with the whole Jacobian J = d image / d ws of one image; y is `noise` / sqrt(H W).

    The mean over layers of the squared norms of one code a layer stands for the square of Eq. 4's norm.
    """
    lengths = []
    for index in range(len(ws)):
        jacobian = torch.autograd.functional.jacobian(lambda one: img_of(one)[0], ws[index : index + 1])
        y = noise[index] / math.sqrt(noise.shape[2] * noise.shape[3])
        pulled = torch.einsum("chw,chwnld->ld", y, jacobian)
        lengths.append(math.sqrt(float(pulled.square().sum(dim=1).mean())))
    return lengths
