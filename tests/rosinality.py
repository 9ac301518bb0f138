"""Names of the rosinality format's tensors in this project's networks, for the parity tests."""

import re

from torch import Tensor


def generator_state(state: dict[str, Tensor], latent_avg: Tensor) -> dict[str, Tensor]:
    """Rename and reshape a rosinality generator's tensors."""
    converted = {"mapping.w_avg": latent_avg.reshape(-1)}
    for name, value in state.items():
        if name.endswith("kernel"):
            continue
        if match := re.fullmatch(r"style\.(\d+)\.(weight|bias)", name):
            converted[f"mapping.fc{int(match[1]) - 1}.{match[2]}"] = value
        elif name == "input.input":
            converted["synthesis.b4.const"] = value[0]
        elif match := re.fullmatch(r"noises\.noise_(\d+)", name):
            converted[f"synthesis.{_conv_name(int(match[1]) - 1)}.noise_const"] = value[0, 0]
        else:
            layer, rest = _layer_name(name)
            rest, value = _layer_tensor(rest, value, is_rgb="torgb" in layer)
            converted[f"synthesis.{layer}.{rest}"] = value
    return converted


def discriminator_state(state: dict[str, Tensor], resolution: int) -> dict[str, Tensor]:
    """Rename a rosinality discriminator's tensors."""
    fixed = {"convs.0.0": "fromrgb", "convs.0.1": "fromrgb"}
    converted = {}
    for name, value in state.items():
        if name.endswith("kernel"):
            continue
        stem, leaf = name.rsplit(".", 1)
        if stem in fixed:
            converted[f"b{resolution}.fromrgb.{leaf}"] = value
        elif match := re.fullmatch(r"convs\.(\d+)\.(conv1|conv2|skip)\.\d", stem):
            part = {"conv1": "conv0", "conv2": "conv1", "skip": "skip"}[match[2]]
            converted[f"b{resolution >> (int(match[1]) - 1)}.{part}.{leaf}"] = value
        else:
            part = {"final_conv": "conv", "final_linear.0": "fc", "final_linear.1": "out"}[
                re.sub(r"final_conv\.\d", "final_conv", stem)
            ]
            converted[f"b4.{part}.{leaf}"] = value
    return converted


def _conv_name(index: int) -> str:
    """Layer of `convs.{index}`; -1 is the layer at 4 px."""
    return "b4.conv1" if index < 0 else f"b{2 ** (index // 2 + 3)}.conv{index % 2}"


def _layer_name(name: str) -> tuple[str, str]:
    head, rest = name.split(".", 1)
    if head == "conv1":
        return "b4.conv1", rest
    if head == "to_rgb1":
        return "b4.torgb", rest
    index, rest = rest.split(".", 1)
    return (_conv_name(int(index)) if head == "convs" else f"b{2 ** (int(index) + 3)}.torgb"), rest


def _layer_tensor(rest: str, value: Tensor, *, is_rgb: bool) -> tuple[str, Tensor]:
    if rest == "conv.weight":
        return "weight", value[0]
    if rest.startswith("conv.modulation."):
        return rest.replace("conv.modulation", "affine"), value
    if rest == "noise.weight":
        return "noise_strength", value.reshape(())
    return "bias", value.reshape(-1)
