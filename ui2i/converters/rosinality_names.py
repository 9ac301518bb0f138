"""Tensor names and shapes of rosinality/stylegan2-pytorch against this project's. The numbers are the same.

rosinality                                 here
style.{i+1}.*                              mapping.fc{i}.*
input.input [1, C, 4, 4]                   synthesis.b4.const [C, 4, 4]
conv1, to_rgb1                             synthesis.b4.conv1, .torgb
convs.{2j}, convs.{2j+1}, to_rgbs.{j}      synthesis.b{2^(j+3)}.conv0, .conv1, .torgb
X.conv.weight [1, O, I, k, k]              X.weight [O, I, k, k]
X.conv.modulation.*                        X.affine.*
X.activate.bias, to_rgb bias [1, 3, 1, 1]  X.bias [O]
X.noise.weight [1]                         X.noise_strength []
noises.noise_{k} [1, 1, r, r]              X.noise_const [r, r]
D convs.0.{0,1}                            b{R}.fromrgb
D convs.{k}.conv1, .conv2, .skip           b{R / 2^(k-1)}.conv0, .conv1, .skip
D final_conv, final_linear.0, .1           b4.conv, .fc, .out
"""

import dataclasses

from ui2i.settings import NetworkConfig


@dataclasses.dataclass(frozen=True)
class Name:
    """A tensor's place in rosinality's format."""

    name: str
    leading_ones: int = 0  # axes of size 1 in front of this project's shape
    trailing_ones: int = 0  # and behind it

    def shape(self, ours: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape there of a tensor that has the shape `ours` here."""
        return (1,) * self.leading_ones + ours + (1,) * self.trailing_ones


def generator_names(config: NetworkConfig) -> dict[str, Name]:
    """Return where each tensor of a generator is, but `mapping.w_avg`, in the order of rosinality's own files."""
    names = {
        f"mapping.fc{index}.{leaf}": Name(f"style.{index + 1}.{leaf}")
        for index in range(config.num_mapping_layers)
        for leaf in ("weight", "bias")
    }
    names["synthesis.b4.const"] = Name("input.input", 1)
    names |= _convolution("synthesis.b4.conv1", "conv1") | _to_rgb("synthesis.b4.torgb", "to_rgb1")
    above = list(enumerate(config.block_resolutions[1:]))
    for index, size in above:
        names |= _convolution(f"synthesis.b{size}.conv0", f"convs.{2 * index}")
        names |= _convolution(f"synthesis.b{size}.conv1", f"convs.{2 * index + 1}")
    for index, size in above:
        names |= _to_rgb(f"synthesis.b{size}.torgb", f"to_rgbs.{index}")
    for index, layer in enumerate(convolutions(config)):
        names[f"{layer}.noise_const"] = Name(f"noises.noise_{index}", 2)
    return names


def discriminator_names(config: NetworkConfig) -> dict[str, Name]:
    """Return where each tensor of a discriminator is, in the order of rosinality's own files."""
    top = config.img_resolution
    names = {f"b{top}.fromrgb.weight": Name("convs.0.0.weight"), f"b{top}.fromrgb.bias": Name("convs.0.1.bias")}
    for index, size in enumerate(reversed(config.block_resolutions[1:])):
        ours, theirs = f"b{size}", f"convs.{index + 1}"
        names |= {
            f"{ours}.conv0.weight": Name(f"{theirs}.conv1.0.weight"),
            f"{ours}.conv0.bias": Name(f"{theirs}.conv1.1.bias"),
            f"{ours}.conv1.weight": Name(f"{theirs}.conv2.1.weight"),
            f"{ours}.conv1.bias": Name(f"{theirs}.conv2.2.bias"),
            f"{ours}.skip.weight": Name(f"{theirs}.skip.1.weight"),
        }
    for layer, place in (("conv", "final_conv.{}"), ("fc", "final_linear.0"), ("out", "final_linear.1")):
        names[f"b4.{layer}.weight"] = Name(place.format(0) + ".weight")
        names[f"b4.{layer}.bias"] = Name(place.format(1) + ".bias")
    return names


def convolutions(config: NetworkConfig) -> list[str]:
    """Return the names of the synthesis network's 3x3 convolutions, lowest resolution first."""
    sizes = config.block_resolutions
    return ["synthesis.b4.conv1"] + [f"synthesis.b{size}.{conv}" for size in sizes[1:] for conv in ("conv0", "conv1")]


def generator_kernels(config: NetworkConfig) -> dict[str, float]:
    """Return the gains of the resampling filters that a generator's file repeats, by name."""
    count = len(config.block_resolutions) - 1
    kernels = {f"convs.{2 * index}.conv.blur.kernel": 4.0 for index in range(count)}
    return kernels | {f"to_rgbs.{index}.upsample.kernel": 4.0 for index in range(count)}


def discriminator_kernels(config: NetworkConfig) -> dict[str, float]:
    """Return the gains of the resampling filters that a discriminator's file repeats, by name."""
    count = len(config.block_resolutions) - 1
    return {f"convs.{index}.{part}.0.kernel": 1.0 for index in range(1, count + 1) for part in ("conv2", "skip")}


def _convolution(ours: str, theirs: str) -> dict[str, Name]:
    return {
        f"{ours}.weight": Name(f"{theirs}.conv.weight", 1),
        f"{ours}.affine.weight": Name(f"{theirs}.conv.modulation.weight"),
        f"{ours}.affine.bias": Name(f"{theirs}.conv.modulation.bias"),
        f"{ours}.noise_strength": Name(f"{theirs}.noise.weight", 1),
        f"{ours}.bias": Name(f"{theirs}.activate.bias"),
    }


def _to_rgb(ours: str, theirs: str) -> dict[str, Name]:
    return {
        f"{ours}.bias": Name(f"{theirs}.bias", 1, 2),
        f"{ours}.weight": Name(f"{theirs}.conv.weight", 1),
        f"{ours}.affine.weight": Name(f"{theirs}.conv.modulation.weight"),
        f"{ours}.affine.bias": Name(f"{theirs}.conv.modulation.bias"),
    }
