"""Modules with the class names, attributes and signatures of NVIDIA's, around the literal formulas of reference.py.

Every number comes from an attribute, parameter or buffer of the module itself: a missing or wrong one shows.
"""

import torch
import torch.nn.functional as F
from reference import minibatch_stddev, modulated_weight, upfirdn2d
from torch import Tensor, nn


def activated(x: Tensor, layer: nn.Module, gain: float = 1.0) -> Tensor:
    y = F.leaky_relu(x, 0.2) if layer.activation == "lrelu" else x
    y = y * (layer.act_gain * gain)
    return y if layer.conv_clamp is None else y.clamp(-layer.conv_clamp * gain, layer.conv_clamp * gain)


def resampled(x: Tensor, weight: Tensor, kernel: Tensor, *, up: int, down: int, padding: int) -> Tensor:
    """One image's convolution with its filter."""
    if up == 2:
        return upfirdn2d(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), kernel * 4, pad=(1, 1))
    if down == 2:
        return F.conv2d(upfirdn2d(x, kernel, pad=(padding + 1, padding + 1)), weight, stride=2)
    return F.conv2d(x, weight, padding=padding)


class FullyConnectedLayer(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        assert self.weight.shape == (self.out_features, self.in_features)
        y = x @ (self.weight * self.weight_gain).t() + self.bias * self.bias_gain
        return F.leaky_relu(y, 0.2) * 2**0.5 if self.activation == "lrelu" else y


class Conv2dLayer(nn.Module):
    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        assert self.weight.shape[:2] == (self.out_channels, self.in_channels)
        kernel, weight = self.resample_filter, self.weight * self.weight_gain
        if self.bias is None and self.down == 2:  # 1x1: filter, then every second pixel
            y = F.conv2d(upfirdn2d(x, kernel, down=2, pad=(1, 1)), weight)
        else:
            y = resampled(x, weight, kernel, up=self.up, down=self.down, padding=self.padding)
        return activated(y if self.bias is None else y + self.bias[:, None, None], self, gain)


class MappingNetwork(nn.Module):
    def forward(self, z: Tensor, c: Tensor | None, truncation_psi: float = 1.0) -> Tensor:
        assert z.shape[1] == self.z_dim and self.c_dim == 0 and self.w_avg_beta > 0
        x = z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
        for index in range(self.num_layers):
            x = getattr(self, f"fc{index}")(x)
        return self.w_avg.lerp(x[:, None].repeat(1, self.num_ws, 1), truncation_psi)


class SynthesisLayer(nn.Module):
    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        assert x.shape[2] == self.resolution // self.up and w.shape[1] == self.w_dim
        styles = self.affine(w)
        weights = modulated_weight(self.weight / self.weight[0].numel() ** 0.5, styles)
        images = [
            resampled(image[None], weight, self.resample_filter, up=self.up, down=1, padding=self.padding)
            for image, weight in zip(x, weights, strict=True)
        ]
        y = torch.cat(images)
        if self.use_noise:
            y = y + self.noise_const * self.noise_strength
        return activated(y + self.bias[:, None, None], self)


class ToRGBLayer(nn.Module):
    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        styles = self.affine(w) * self.weight_gain
        weights = modulated_weight(self.weight, styles, demodulate=False)
        y = torch.cat([F.conv2d(image[None], weight) for image, weight in zip(x, weights, strict=True)])
        y = y + self.bias[:, None, None]
        return y if self.conv_clamp is None else y.clamp(-self.conv_clamp, self.conv_clamp)


class SynthesisBlock(nn.Module):
    def forward(self, x: Tensor | None, img: Tensor | None, ws: list[Tensor]) -> tuple[Tensor, Tensor]:
        assert len(ws) == self.num_conv + self.num_torgb and self.architecture == "skip" and not self.use_fp16
        codes = iter(ws)
        if self.in_channels == 0:
            x = self.const.expand(len(ws[0]), -1, -1, -1)
        else:
            assert x is not None and x.shape[1] == self.in_channels
            x = self.conv0(x, next(codes))
        x = self.conv1(x, next(codes))
        rgb = self.torgb(x, next(codes))
        if img is None:
            return x, rgb
        return x, upfirdn2d(img, self.resample_filter * 4, up=2, pad=(2, 1)) + rgb


class SynthesisNetwork(nn.Module):
    def forward(self, ws: Tensor, noise_mode: str = "const") -> Tensor:
        assert noise_mode == "const"
        assert ws.shape[1:] == (self.num_ws, self.w_dim)
        x = img = None
        start = 0
        for resolution in self.block_resolutions:
            block = getattr(self, f"b{resolution}")
            codes = [ws[:, start + index] for index in range(block.num_conv + block.num_torgb)]
            x, img = block(x, img, codes)
            start += block.num_conv
        assert img is not None and img.shape[1:] == (self.img_channels, self.img_resolution, self.img_resolution)
        return img


class Generator(nn.Module):
    def forward(self, z: Tensor, c: Tensor | None, truncation_psi: float = 1.0) -> Tensor:
        return self.synthesis(self.mapping(z, c, truncation_psi=truncation_psi))


class DiscriminatorBlock(nn.Module):
    def forward(self, x: Tensor | None, img: Tensor | None) -> Tensor:
        assert self.architecture == "resnet" and not self.use_fp16
        if self.in_channels == 0:
            x = self.fromrgb(img)
        y = self.conv1(self.conv0(x), gain=0.5**0.5)
        return y + self.skip(x, gain=0.5**0.5)


class MinibatchStdLayer(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        assert self.num_channels == 1
        return torch.cat([x, minibatch_stddev(x, len(x) if self.group_size is None else self.group_size)], dim=1)


class DiscriminatorEpilogue(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1:] == (self.in_channels, self.resolution, self.resolution) and self.cmap_dim == 0
        return self.out(self.fc(self.conv(self.mbstd(x)).flatten(1)))


class Discriminator(nn.Module):
    def forward(self, img: Tensor, c: Tensor | None) -> Tensor:
        assert self.c_dim == 0
        x = None
        for resolution in self.block_resolutions:
            x = getattr(self, f"b{resolution}")(x, img)
        return self.b4(x)
