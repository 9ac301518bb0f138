"""The `.pt` files of rosinality/stylegan2-pytorch and of all that follow it (UI2I, pSp, e4e, JoJoGAN, ...).

Read: trained ones (`g`, `d`, `g_ema`, optimisers, `args`), converted ones (`g_ema`, `latent_avg`), encoders with the
generator in them (`state_dict` with `decoder.*`), bare state_dicts. The averaged generator is taken. Filters
(`*.kernel`), which old files lack, are derived and only checked. Written: what generate.py, projector.py,
closed_form_factorization.py and train.py --ckpt look for; the optimisers are fresh ones.
"""

from collections.abc import Mapping
from typing import Any, BinaryIO, Literal

import torch
from torch import Tensor

from ui2i.config import NetworkConfig
from ui2i.converters.architecture import WHOLE_BATCH, build, check_discriminator, generator_config, mean_w
from ui2i.converters.foreign import ForeignModel, check_filter, normalized_filter, random_noise, tensors, zeros
from ui2i.converters.inert import RefusedError
from ui2i.converters.note import KEY, Note, read_note
from ui2i.converters.rosinality_names import (
    Name,
    convolutions,
    discriminator_kernels,
    discriminator_names,
    generator_kernels,
    generator_names,
)
from ui2i.converters.tensor_views import TensorView, tensor_view
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.untrusted import shown

FORMAT: Literal["rosinality"] = "rosinality"
MINIBATCH_GROUP = 4  # images per minibatch-stddev group, fixed in that code
LEARNING_RATE = 0.002
GENERATOR_INTERVAL, DISCRIMINATOR_INTERVAL = 4, 16  # steps between regularisations, which correct Adam's settings
_LEVELS = range(3, 9)  # numbers of ToRGB layers above 4 px: 32 px has 3, 1024 px has 8

_Views = Mapping[str, TensorView]


def is_rosinality(tree: Mapping[Any, Any]) -> bool:
    """Whether a file's content is of this format."""
    return "g_ema" in tree or "style.1.weight" in tree or _is_encoder(tree)


def read_rosinality(tree: Mapping[Any, Any], *, generator_only: bool = False) -> ForeignModel:
    """Return the networks of a file.

    Raises:
        RefusedError: the networks are not ones that this project makes.
    """
    note = read_note(tree)
    state, mean, remarks = _find_generator(tree)
    config, views = _generator_views(state, note, remarks)
    views["mapping.w_avg"] = zeros(config.w_dim) if mean is None else mean
    generator = build(Generator, config, views)
    if mean is None:
        generator.mapping.w_avg = mean_w(generator)
        remarks.append("has no latent_avg: the mean of w was taken over 10,000 fixed latents")
    discriminator = None
    if "d" in tree and not generator_only:
        views = _ours(tensors("d", tree["d"]), discriminator_names(config), discriminator_kernels(config))
        check_discriminator(views, config)
        discriminator = build(Discriminator, config, views)
    return ForeignModel(
        format=FORMAT, generator=generator, discriminator=discriminator, note=note, remarks=tuple(remarks)
    )


def write_rosinality(
    file: BinaryIO, generator: Generator, discriminator: Discriminator | None, note: Note
) -> tuple[str, ...]:
    """Write networks to a file.

    Returns:
        What that format's own tools will do differently.

    Raises:
        RefusedError: the format has no place for the architecture.
    """
    remarks = _check_writable(generator, discriminator)
    g_state = _state(generator, generator_names(generator.config), generator_kernels(generator.config))
    content: dict[str, Any] = {"g": g_state, "g_ema": g_state, "latent_avg": generator.w_avg, KEY: note.to_mapping()}
    if discriminator is not None:
        content["d"] = _state(
            discriminator, discriminator_names(discriminator.config), discriminator_kernels(discriminator.config)
        )
        content["g_optim"] = _fresh_adam(generator, GENERATOR_INTERVAL)
        content["d_optim"] = _fresh_adam(discriminator, DISCRIMINATOR_INTERVAL)
    torch.save(content, file)
    return remarks


def _find_generator(tree: Mapping[Any, Any]) -> tuple[_Views, TensorView | None, list[str]]:
    """Return the averaged generator's tensors, the mean of w and remarks."""
    mean = _mean(tree.get("latent_avg"))
    if "g_ema" in tree:
        ignored = [name for name in ("g", "g_optim", "d_optim", "args", "ada_aug_p") if name in tree]
        remarks = [f"left out: {', '.join(ignored)}"] if ignored and KEY not in tree else []
        return tensors("g_ema", tree["g_ema"]), mean, remarks
    if not _is_encoder(tree):
        return tensors("the file", {name: value for name, value in tree.items() if name != "latent_avg"}), mean, []
    state = tensors("state_dict", tree["state_dict"])
    prefix = "decoder."
    found = {name.removeprefix(prefix): view for name, view in state.items() if name.startswith(prefix)}
    return found, mean, ["left out: the encoder"]


def _is_encoder(tree: Mapping[Any, Any]) -> bool:
    state = tree.get("state_dict")
    return type(state) is dict and any(type(name) is str and name.startswith("decoder.") for name in state)


def _mean(view: Any) -> TensorView | None:
    """Return the one mean [w_dim] of a `latent_avg` [w_dim], [1, w_dim] or [layers, w_dim] of equal rows."""
    if view is None:
        return None
    if type(view) is not TensorView or len(view.shape) not in (1, 2) or 0 in view.shape:
        raise RefusedError(f"has the latent_avg {shown(view)}, expected a vector; remove it, and a mean is computed")
    if len(view.shape) == 1:
        return view
    rows = view.to_tensor("latent_avg")
    if not torch.equal(rows, rows[:1].expand_as(rows)):
        raise RefusedError(
            f"has a latent_avg of {len(rows)} different rows, expected one mean of w for all layers; remove latent_avg "
            "from the file, and a mean is computed"
        )
    return tensor_view(view.storage, view.offset, view.shape[1:], view.strides[1:])


def _generator_views(
    state: _Views, note: Note | None, remarks: list[str]
) -> tuple[NetworkConfig, dict[str, TensorView]]:
    """Return architecture and tensors under this project's names."""
    levels = sum(name.startswith("to_rgbs.") and name.endswith(".conv.weight") for name in state)
    layers = sum(name.startswith("style.") and name.endswith(".weight") for name in state)
    if levels not in _LEVELS or not layers:
        raise RefusedError(
            f"has {levels} ToRGB layers above 4 px and {layers} mapping layers, expected a StyleGAN2 of 32 to 1024 px; "
            "take another checkpoint"
        )
    depths = NetworkConfig(img_resolution=4 << levels, num_mapping_layers=layers)  # all that names depend on
    views = _ours(state, generator_names(depths), generator_kernels(depths))
    if not any(name.startswith("noises.") for name in state):
        views |= _random_noises(depths)
        remarks.append("has no noise maps: fixed random ones were taken")
    return generator_config(views, note=note, mbstd_group_size=MINIBATCH_GROUP), views


def _random_noises(config: NetworkConfig) -> dict[str, TensorView]:
    result = {}
    for index, layer in enumerate(convolutions(config)):
        size = config.block_resolutions[(index + 1) // 2]
        result[f"{layer}.noise_const"] = random_noise(size, seed=index)
    return result


def _ours(state: _Views, names: Mapping[str, Name], kernels: Mapping[str, float]) -> dict[str, TensorView]:
    """Rename and reshape; what has no name here keeps its own and is refused later."""
    places = {place.name: (ours, place) for ours, place in names.items()}
    result = {}
    for name, view in state.items():
        if name in kernels:
            check_filter(name, view, kernels[name])
        elif name in places:
            ours, place = places[name]
            result[ours] = _without_ones(name, view, place)
        else:
            result[name] = view
    return result


def _without_ones(name: str, view: TensorView, place: Name) -> TensorView:
    first, last = place.leading_ones, len(view.shape) - place.trailing_ones
    if any(size != 1 for size in (*view.shape[:first], *view.shape[max(first, last) :])) or last < first:
        raise RefusedError(
            f"has {shown(name)} of shape {view.shape}, expected {place.leading_ones} ones in front; it is damaged"
        )
    return tensor_view(view.storage, view.offset, view.shape[first:last], view.strides[first:last])


def _state(
    network: Generator | Discriminator, names: Mapping[str, Name], kernels: Mapping[str, float]
) -> dict[str, Tensor]:
    ours = network.state_dict()
    state = {place.name: ours[name].reshape(place.shape(tuple(ours[name].shape))) for name, place in names.items()}
    return state | {name: gain * normalized_filter() for name, gain in kernels.items()}


def _fresh_adam(network: Generator | Discriminator, interval: int) -> dict[str, Any]:
    """Return the state of an Adam that has made no step, with the settings of rosinality's train.py."""
    ratio = interval / (interval + 1)
    group = {
        "lr": LEARNING_RATE * ratio,
        "betas": (0.0, 0.99**ratio),
        "eps": 1e-8,
        "weight_decay": 0,
        "amsgrad": False,
        "params": list(range(len(list(network.parameters())))),
    }
    return {"state": {}, "param_groups": [group]}


def _check_writable(generator: Generator, discriminator: Discriminator | None) -> tuple[str, ...]:
    config = generator.config
    if config.z_dim != config.w_dim or config.mapping_lr_multiplier != 0.01:
        raise RefusedError(
            f"has z of {config.z_dim}, w of {config.w_dim} and a mapping learning rate multiplier of "
            f"{config.mapping_lr_multiplier}, expected equal lengths and 0.01 in rosinality's format; write ada instead"
        )
    remarks = []
    widths = [config.num_channels(size) for size in config.block_resolutions]
    if not any(widths == _usual_widths(config, multiplier) for multiplier in (1, 2)):
        remarks.append("its widths are not those of rosinality's code, whose own tools need their table changed")
    if not config.use_noise and any(value.any() for name, value in generator.named_parameters() if "strength" in name):
        remarks.append("noise inputs are switched off here and not there")
    if config.conv_clamp is not None:
        remarks.append(f"activations are clamped at {config.conv_clamp:g} here and not there")
    group = None if discriminator is None else discriminator.config.mbstd_group_size
    if group not in (None, MINIBATCH_GROUP):
        shown_group = "the whole batch" if group >= WHOLE_BATCH else group
        remarks.append(f"minibatch-stddev groups are of {shown_group} here and of {MINIBATCH_GROUP} there")
    return tuple(remarks)


def _usual_widths(config: NetworkConfig, multiplier: int) -> list[int]:
    return [512 if size <= 32 else 16384 // size * multiplier for size in config.block_resolutions]
