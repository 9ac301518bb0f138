"""StyleGAN2 networks as descriptions of stylegan2-ada-pytorch's modules: classes, attributes, parameters, buffers.

NVIDIA's code rebuilds a module by running the source text in the file, then giving the class of that name the
attributes. The text here only imports the classes from where the reader has them (`training.networks` of
stylegan2-ada-pytorch, `training.networks_stylegan2` of stylegan3), so no file contains anybody's code.
The attributes are those that either version's forward passes read; activations are float32 (`use_fp16` False).
"""

import math
from typing import Any

from torch import Tensor

from ui2i.converters.architecture import WHOLE_BATCH
from ui2i.converters.foreign import normalized_filter
from ui2i.converters.inert import Global
from ui2i.converters.pickle_writer import Call
from ui2i.converters.torch_pickling import parameter, tensor
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import W_AVG_DECAY, Generator
from ui2i.settings import NetworkConfig

RECONSTRUCT = Global("torch_utils.persistence", "_reconstruct_persistent_obj")
PERSISTENCE_VERSION = 6
SOURCE = """\
# Written by ui2i. The classes are those of the code that loads this file.
try:
    from training.networks import *  # stylegan2-ada-pytorch
except ImportError:
    from training.networks_stylegan2 import *  # stylegan3
"""

_HOOKS = ("_backward_hooks", "_forward_hooks", "_forward_pre_hooks", "_state_dict_hooks", "_load_state_dict_pre_hooks")
_ACTIVATION_GAIN = math.sqrt(2)
_Tensors = dict[str, Tensor]


def generator_module(generator: Generator) -> Call:
    """Describe a generator."""
    config, tensors = generator.config, generator.state_dict()
    latents = {"z_dim": config.z_dim, "c_dim": 0, "w_dim": config.w_dim}
    image = {"img_resolution": config.img_resolution, "img_channels": 3}
    synthesis = _widths(config) | {"num_fp16_res": 0, "conv_clamp": config.conv_clamp}
    mapping = {"num_layers": config.num_mapping_layers, "lr_multiplier": config.mapping_lr_multiplier}
    return _module(
        "Generator",
        attributes=latents | image | {"num_ws": config.num_ws},
        modules={"synthesis": _synthesis(config, tensors), "mapping": _mapping(config, tensors)},
        kwargs=latents | image | {"mapping_kwargs": mapping, "synthesis_kwargs": synthesis},
    )


def discriminator_module(discriminator: Discriminator) -> Call:
    """Describe a discriminator."""
    config, tensors = discriminator.config, discriminator.state_dict()
    image = {"img_resolution": config.img_resolution, "img_channels": 3}
    sizes = list(discriminator.resolutions)
    modules = {f"b{size}": _discriminator_block(config, tensors, size) for size in sizes}
    group = None if config.mbstd_group_size >= WHOLE_BATCH else config.mbstd_group_size
    modules["b4"] = _epilogue(config, tensors, group)
    log2 = config.img_resolution.bit_length() - 1
    settings = _widths(config) | {"num_fp16_res": 0, "conv_clamp": config.conv_clamp}
    return _module(
        "Discriminator",
        attributes={"c_dim": 0, **image, "img_resolution_log2": log2, "block_resolutions": sizes},
        modules=modules,
        kwargs={"c_dim": 0, **image, **settings, "epilogue_kwargs": {"mbstd_group_size": group}},
    )


def _module(
    class_name: str,
    *,
    attributes: dict[str, Any],
    modules: dict[str, Call] | None = None,
    parameters: _Tensors | None = None,
    buffers: _Tensors | None = None,
    kwargs: dict[str, Any] | None = None,
) -> Call:
    state: dict[str, Any] = {
        "training": False,
        "_parameters": {name: parameter(value) for name, value in (parameters or {}).items()},
        "_buffers": {name: tensor(value) for name, value in (buffers or {}).items()},
        "_non_persistent_buffers_set": set(),
        "_is_full_backward_hook": None,
        **{name: Call(Global("collections", "OrderedDict"), ()) for name in _HOOKS},
        "_modules": modules or {},
        **attributes,
        "_init_args": (),
        "_init_kwargs": kwargs or {},
    }
    meta = {
        "type": "class",
        "version": PERSISTENCE_VERSION,
        "module_src": SOURCE,
        "class_name": class_name,
        "state": state,
    }
    return Call(RECONSTRUCT, (meta,))


def _synthesis(config: NetworkConfig, tensors: _Tensors) -> Call:
    sizes = list(config.block_resolutions)
    own = {"w_dim": config.w_dim, "img_resolution": config.img_resolution, "img_channels": 3, "num_fp16_res": 0}
    log2 = config.img_resolution.bit_length() - 1
    return _module(
        "SynthesisNetwork",
        attributes={**own, "img_resolution_log2": log2, "block_resolutions": sizes, "num_ws": config.num_ws},
        modules={f"b{size}": _synthesis_block(config, tensors, size) for size in sizes},
        kwargs={**own, **_widths(config), "conv_clamp": config.conv_clamp},
    )


def _synthesis_block(config: NetworkConfig, tensors: _Tensors, size: int) -> Call:
    prefix, is_first = f"synthesis.b{size}", size == 4
    convolutions = ("conv1",) if is_first else ("conv0", "conv1")
    modules = {name: _synthesis_layer(config, tensors, f"{prefix}.{name}", size) for name in convolutions}
    modules["torgb"] = _to_rgb(config, tensors, f"{prefix}.torgb")
    attributes = {
        "in_channels": 0 if is_first else config.num_channels(size // 2),
        "w_dim": config.w_dim,
        "resolution": size,
        "img_channels": 3,
        "is_last": size == config.img_resolution,
        "architecture": "skip",
        "use_fp16": False,
        "channels_last": False,
        "fused_modconv_default": True,
        "num_conv": len(convolutions),
        "num_torgb": 1,
    }
    return _module(
        "SynthesisBlock",
        attributes=attributes,
        modules=modules,
        parameters={"const": tensors[f"{prefix}.const"]} if is_first else {},
        buffers={"resample_filter": normalized_filter()},
    )


def _synthesis_layer(config: NetworkConfig, tensors: _Tensors, prefix: str, size: int) -> Call:
    weight = tensors[f"{prefix}.weight"]
    attributes = _channels(weight) | {
        "w_dim": config.w_dim,
        "resolution": size,
        "up": 2 if prefix.endswith("conv0") else 1,
        "use_noise": config.use_noise,
        "activation": "lrelu",
        "conv_clamp": config.conv_clamp,
        "padding": 1,
        "act_gain": _ACTIVATION_GAIN,
    }
    return _module(
        "SynthesisLayer",
        attributes=attributes,
        modules={"affine": _linear(tensors, f"{prefix}.affine")},
        parameters={
            "weight": weight,
            "noise_strength": tensors[f"{prefix}.noise_strength"],
            "bias": tensors[f"{prefix}.bias"],
        },
        buffers={"resample_filter": normalized_filter(), "noise_const": tensors[f"{prefix}.noise_const"]},
    )


def _to_rgb(config: NetworkConfig, tensors: _Tensors, prefix: str) -> Call:
    weight = tensors[f"{prefix}.weight"]
    gains = {"conv_clamp": config.conv_clamp, "weight_gain": 1 / math.sqrt(weight.shape[1])}
    return _module(
        "ToRGBLayer",
        attributes=_channels(weight) | {"w_dim": config.w_dim, **gains},
        modules={"affine": _linear(tensors, f"{prefix}.affine")},
        parameters={"weight": weight, "bias": tensors[f"{prefix}.bias"]},
    )


def _mapping(config: NetworkConfig, tensors: _Tensors) -> Call:
    own = {"z_dim": config.z_dim, "c_dim": 0, "w_dim": config.w_dim, "num_ws": config.num_ws}
    own["num_layers"] = config.num_mapping_layers
    lr = config.mapping_lr_multiplier
    names = [f"fc{index}" for index in range(config.num_mapping_layers)]
    return _module(
        "MappingNetwork",
        attributes={**own, "w_avg_beta": W_AVG_DECAY},
        modules={name: _linear(tensors, f"mapping.{name}", "lrelu", lr) for name in names},
        buffers={"w_avg": tensors["mapping.w_avg"]},
        kwargs={**own, "lr_multiplier": lr},
    )


def _linear(tensors: _Tensors, prefix: str, activation: str = "linear", lr_multiplier: float = 1.0) -> Call:
    weight = tensors[f"{prefix}.weight"]
    attributes = {
        "in_features": weight.shape[1],
        "out_features": weight.shape[0],
        "activation": activation,
        "weight_gain": lr_multiplier / math.sqrt(weight.shape[1]),
        "bias_gain": lr_multiplier,
    }
    parameters = {"weight": weight, "bias": tensors[f"{prefix}.bias"]}
    return _module("FullyConnectedLayer", attributes=attributes, parameters=parameters)


def _discriminator_block(config: NetworkConfig, tensors: _Tensors, size: int) -> Call:
    prefix, is_first = f"b{size}", size == config.img_resolution
    layers = ["fromrgb"] * is_first + ["conv0", "conv1", "skip"]
    attributes = {
        "in_channels": 0 if is_first else config.num_channels(size),
        "resolution": size,
        "img_channels": 3,
        # Layers are counted from the image: four in the first block, three in each other.
        "first_layer_idx": 0 if is_first else 3 * (config.img_resolution // size).bit_length() - 2,
        "architecture": "resnet",
        "use_fp16": False,
        "channels_last": False,
        "num_layers": len(layers),
    }
    return _module(
        "DiscriminatorBlock",
        attributes=attributes,
        modules={name: _convolution(config, tensors, f"{prefix}.{name}") for name in layers},
        buffers={"resample_filter": normalized_filter()},
    )


def _convolution(config: NetworkConfig, tensors: _Tensors, prefix: str) -> Call:
    weight, bias = tensors[f"{prefix}.weight"], tensors.get(f"{prefix}.bias")
    is_skip = bias is None
    attributes = _channels(weight) | {
        "activation": "linear" if is_skip else "lrelu",
        "up": 1,
        "down": 2 if prefix.endswith((".conv1", ".skip")) else 1,
        "conv_clamp": None if is_skip else config.conv_clamp,
        "padding": weight.shape[2] // 2,
        "weight_gain": 1 / math.sqrt(math.prod(weight.shape[1:])),
        "act_gain": 1.0 if is_skip else _ACTIVATION_GAIN,
    }
    parameters = {"weight": weight}
    if bias is None:
        attributes["bias"] = None
    else:
        parameters["bias"] = bias
    return _module(
        "Conv2dLayer", attributes=attributes, parameters=parameters, buffers={"resample_filter": normalized_filter()}
    )


def _epilogue(config: NetworkConfig, tensors: _Tensors, group: int | None) -> Call:
    own = {"resolution": 4, "img_channels": 3, "architecture": "resnet", "cmap_dim": 0}
    return _module(
        "DiscriminatorEpilogue",
        attributes={"in_channels": config.num_channels(4), **own},
        modules={
            "mbstd": _module("MinibatchStdLayer", attributes={"group_size": group, "num_channels": 1}),
            "conv": _convolution(config, tensors, "b4.conv"),
            "fc": _linear(tensors, "b4.fc", "lrelu"),
            "out": _linear(tensors, "b4.out"),
        },
    )


def _channels(weight: Tensor) -> dict[str, Any]:
    return {"in_channels": weight.shape[1], "out_channels": weight.shape[0]}


def _widths(config: NetworkConfig) -> dict[str, Any]:
    return {"channel_base": config.channel_base, "channel_max": config.channel_max}
