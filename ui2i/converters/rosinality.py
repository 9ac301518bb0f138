"""The `.pt` files of rosinality/stylegan2-pytorch and of all that follow it (UI2I, pSp, e4e, JoJoGAN, ...).

Read: trained ones (`g`, `d`, `g_ema`, optimisers, `args`), converted ones (`g_ema`, `latent_avg`), encoders with the
generator in them (`state_dict` with `decoder.*`), bare state_dicts, and others that have the generator's tensors
somewhere (`state_dicts`). The averaged generator is taken, or the one in training where there is no other. Filters
(`*.kernel`), which old files lack, are derived and only checked. Written: what generate.py, projector.py,
closed_form_factorization.py and train.py --ckpt look for; the optimisers are fresh ones.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, BinaryIO, Literal

import torch
from torch import Tensor

from ui2i.converters.architecture import WHOLE_BATCH, build, check_discriminator, generator_config, mean_w
from ui2i.converters.departures import departure
from ui2i.converters.foreign import ForeignModel, check_filter, normalized_filter, random_noise, tensors, view_of, zeros
from ui2i.converters.inert import RefusedError
from ui2i.converters.note import KEY, Note, read_note
from ui2i.converters.numpy_arrays import as_view
from ui2i.converters.rosinality_names import (
    Name,
    convolutions,
    discriminator_kernels,
    discriminator_names,
    generator_kernels,
    generator_names,
)
from ui2i.converters.state_dicts import Place, entry, places, unwrapped
from ui2i.converters.tensor_views import TensorView, tensor_view
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.settings import NetworkConfig
from ui2i.untrusted import shown

FORMAT: Literal["rosinality"] = "rosinality"
MINIBATCH_GROUP = 4  # images per minibatch-stddev group, fixed in that code
LEARNING_RATE = 0.002
GENERATOR_INTERVAL, DISCRIMINATOR_INTERVAL = 4, 16  # steps between regularisations, which correct Adam's settings
_LEVELS = range(3, 9)  # numbers of ToRGB layers above 4 px: 32 px has 3, 1024 px has 8

_GENERATOR_ANCHOR, _DISCRIMINATOR_ANCHOR = "style.1.weight", "final_linear.1.weight"  # names that only they have
_AVERAGED = ("g_ema", "ema", "generator_ema", "params_ema", "g_running", "model_ema")
_TRAINED = ("g", "netg")
_RANKS = (_AVERAGED, ("decoder",), ("", "generator", "params", "state_dict", "model"), _TRAINED)
_DISCRIMINATORS = ("d", "D", "discriminator", "netD", "net_d")
MAX_WORDS = 8  # of what was left out

_Views = Mapping[str, TensorView]


def is_rosinality(tree: Any) -> bool:
    """Whether a file's content is of this format."""
    return type(tree) is dict and ("g_ema" in tree or bool(places(tree, _GENERATOR_ANCHOR)))


def read_rosinality(tree: Mapping[Any, Any], *, generator_only: bool = False) -> ForeignModel:
    """Return the networks of a file.

    Raises:
        RefusedError: the networks are not ones that this project makes.
    """
    note = read_note(tree)
    state, remarks, place = _find_generator(tree)
    mean = _mean(entry(tree, "latent_avg"))
    config, views = _generator_views(state, note, remarks)
    views["mapping.w_avg"] = zeros(config.w_dim) if mean is None else mean
    generator = build(Generator, config, views)
    if mean is None:
        generator.mapping.w_avg = mean_w(generator)
        remarks.append("has no latent_avg: the mean of w was taken over 10,000 fixed latents")
    found, second = (None, None) if generator_only else _find_discriminator(tree)
    discriminator = None
    if found is not None:
        views = _ours(found, discriminator_names(config), discriminator_kernels(config))
        check_discriminator(views, config)
        discriminator = build(Discriminator, config, views)
    remarks += _left_out(tree, place, second)
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


def _find_generator(tree: Mapping[Any, Any]) -> tuple[_Views, list[str], Place | None]:
    """Return the averaged generator's tensors, or another's if there is none, remarks, and where it is."""
    found = places(tree, _GENERATOR_ANCHOR)
    if not found:
        return tensors("g_ema", tree["g_ema"]), [], None
    best = min(map(_rank, found))
    chosen = [place for place in found if _rank(place) == best]
    if len(chosen) > 1:
        raise RefusedError(
            f"has generators under {shown([place.label for place in chosen])}, expected one, or one named g_ema; "
            "remove the others"
        )
    place = chosen[0]
    remarks = []
    if best == _RANKS.index(_TRAINED):
        remarks.append(f"has no averaged generator (g_ema): the one in training, {_plain(place.label)}, was taken")
    elif best == len(_RANKS):
        remarks.append(f"the generator was taken from {_plain(place.label)}")
    views = place.tensors()
    views.pop("latent_avg", None)
    return views, remarks, place


def _rank(place: Place) -> int:
    """Return how well a place's name says that it has the averaged generator; less is better."""
    last = place.label.rpartition(".")[2].lower()
    return next((rank for rank, names in enumerate(_RANKS) if last in names), len(_RANKS))


def _find_discriminator(tree: Mapping[Any, Any]) -> tuple[_Views | None, Place | None]:
    """Return the discriminator's tensors and where it is; None: there is none."""
    found = [
        place for place in places(tree, _DISCRIMINATOR_ANCHOR) if place.label.rpartition(".")[2] in _DISCRIMINATORS
    ]
    if len(found) == 1:
        return found[0].tensors(), found[0]
    return (tensors("d", tree["d"]), None) if "d" in tree else (None, None)


def _left_out(tree: Mapping[Any, Any], generator: Place | None, discriminator: Place | None) -> list[str]:
    """Say what of a file is not taken; of this project's own nothing is lost."""
    if generator is None or KEY in tree:
        return []
    if any(name.startswith("encoder.") for name in generator.others):
        return ["left out: the encoder"]
    rest = dict.fromkeys(
        _plain(key.partition(".")[0] if type(key) is str else key)
        for key, value in tree.items()
        if not any(_is_taken(key, value, place) for place in (generator, discriminator))
    )
    words = [word for word in rest if word not in ("latent_avg", "d")]
    more = [f"and {len(words) - MAX_WORDS} more"] if len(words) > MAX_WORDS else []
    return [f"left out: {', '.join([*words[:MAX_WORDS], *more])}"] if words else []


def _is_taken(key: Any, value: Any, place: Place | None) -> bool:
    """Whether an entry of the top level is in a place, or is the mean of w."""
    if place is None or type(key) is not str:
        return False
    if place.root_key is not None:
        return bool(key == place.root_key)
    name = unwrapped(key)
    is_below = name.startswith(place.prefix) and (bool(place.prefix) or type(as_view(value)) is TensorView)
    return is_below or name.rpartition(".")[2] == "latent_avg"


def _plain(value: Any) -> str:
    """Return a name as it is if it is a usual one."""
    is_usual = type(value) is str and len(value) < 40 and value.replace(".", "_").isidentifier()
    return value if is_usual else shown(value)


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
    return view_of(rows[0].numpy())


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
    noises = _random_noises(depths)
    missing = [name for name in noises if name not in views]
    if len(missing) == len(noises):
        remarks.append("has no noise maps: fixed random ones were taken")
    elif missing:
        lacking = ", ".join(name.removesuffix(".noise_const") for name in missing)
        remarks.append(f"lacks the noise maps of {lacking}: fixed random ones were taken")
    views |= {name: noises[name] for name in missing}
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
    remarks, there = [], config
    widths = [config.num_channels(size) for size in config.block_resolutions]
    if not any(widths == _usual_widths(config, multiplier) for multiplier in (1, 2)):
        remarks.append("its widths are not those of rosinality's code, whose own tools need their table changed")
    if not config.use_noise and any(value.any() for name, value in generator.named_parameters() if "strength" in name):
        remarks.append("noise inputs are switched off here and not there")
        there = dataclasses.replace(there, use_noise=True)
    if config.conv_clamp is not None:
        remarks.append(f"activations are clamped at {config.conv_clamp:g} here and not there")
        there = dataclasses.replace(there, conv_clamp=None)
    if there != config:
        remarks.append(departure(generator, there))
    group = None if discriminator is None else discriminator.config.mbstd_group_size
    if group not in (None, MINIBATCH_GROUP):
        shown_group = "the whole batch" if group >= WHOLE_BATCH else group
        remarks.append(f"minibatch-stddev groups are of {shown_group} here and of {MINIBATCH_GROUP} there")
    return tuple(remarks)


def _usual_widths(config: NetworkConfig, multiplier: int) -> list[int]:
    return [512 if size <= 32 else 16384 // size * multiplier for size in config.block_resolutions]
