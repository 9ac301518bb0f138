"""Reading the `.pkl` files of stylegan2-ada-pytorch, and of the StyleGAN2 networks in stylegan3's code.

A file is a dictionary of modules (`G`, `D`, `G_ema`, `augment_pipe`), each with class name, attributes and the source
text that NVIDIA's code would run. The text is left where it is; parameters, buffers and the attributes that decide
what a layer computes are read. Parameter names are this project's already.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from ui2i.converters.architecture import WHOLE_BATCH, build, check_discriminator, generator_config, mean_w
from ui2i.converters.foreign import ForeignModel, check_filter, zeros
from ui2i.converters.inert import PersistentObject, RefusedError
from ui2i.converters.note import KEY, Note, read_note
from ui2i.converters.tensor_views import TensorView
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.untrusted import shown

FORMAT: Literal["ada"] = "ada"
MAX_MODULES = 2000  # a generator of 1024 px has about 80
MAX_TENSORS = 5000  # which has about 150
MAX_MODULE_ENTRIES, MAX_NAME_LENGTH = 500, 100  # modules may share their entries, and names are joined
_FILTER = "resample_filter"
_RESOLUTIONS = {str(4 << level): 4 << level for level in range(9)}  # of blocks, up to 1024 px


def is_ada(tree: Any) -> bool:
    """Whether a file's content is of this format."""
    return type(tree) is PersistentObject or (
        type(tree) is dict and any(type(tree.get(name)) is PersistentObject for name in ("G_ema", "G"))
    )


def read_ada(tree: Any, *, generator_only: bool = False) -> ForeignModel:
    """Return the networks of a file: the averaged generator and, if it is there, the discriminator.

    Raises:
        RefusedError: the networks are not ones that this project makes.
    """
    if type(tree) is PersistentObject:  # a generator that was saved by itself
        tree = {"G_ema": tree}
    note = read_note(tree)
    is_untrained = note is not None and not note.has_discriminator  # it only fills the place that the format demands
    has_discriminator = type(tree.get("D")) is PersistentObject and not generator_only and not is_untrained
    second = _Network(tree["D"], "D") if has_discriminator else None
    name = "G_ema" if type(tree.get("G_ema")) is PersistentObject else "G"
    network = _Network(tree[name], name)
    generator, remarks = _generator(network, note, second)
    if name == "G":
        remarks.append("has no averaged generator (G_ema): the one in training, G, was taken")
    remarks += _precision(network, second)
    discriminator = None if second is None else _discriminator(second, generator)
    ignored = [key for key in ("G", "augment_pipe") if key != name and tree.get(key) is not None]
    if ignored and KEY not in tree:
        remarks.append(f"left out: {', '.join(ignored)}")
    return ForeignModel(
        format=FORMAT, generator=generator, discriminator=discriminator, note=note, remarks=tuple(remarks)
    )


class _Network:
    """A network as it is described: all modules and tensors in it by their dotted names."""

    def __init__(self, root: PersistentObject, name: str):
        self.name = name
        self.modules: dict[str, PersistentObject] = {}
        self.views: dict[str, TensorView] = {}
        for prefix, module in _walk(root):
            self.modules[prefix] = module
            for kind in ("_parameters", "_buffers"):
                for leaf, view in _mapping(module, kind).items():
                    if type(view) is TensorView:
                        self.views[_join(prefix, leaf)] = view
            if len(self.views) > MAX_TENSORS:
                raise RefusedError(f"has more than {MAX_TENSORS:,} tensors in a network, expected 150; it is forged")
        for key in [key for key in self.views if key.endswith(_FILTER)]:
            check_filter(key, self.views.pop(key))

    def only(self, name: str, *parts: str) -> Any:
        """Return the attribute that all modules agree on whose last name is one of `parts`.

        Raises:
            RefusedError: they do not, there are none, or it is no plain value.
        """
        found = [module.state[name] for module in self.named(*parts) if name in module.state]
        plain = [value for value in found if type(value) in (int, float, str, bool, type(None))]
        if not plain or len(plain) < len(found) or any(value != plain[0] for value in plain):
            raise RefusedError(
                f"has {name} {shown(found)} in the layers of {self.name}, expected one value for all of them; it "
                "cannot be converted"
            )
        return plain[0]

    def named(self, *parts: str) -> list[PersistentObject]:
        """Return the modules whose last name is one of `parts`."""
        return [module for path, module in self.modules.items() if _last(path) in parts]

    def check(self, name: str, expected: str, *parts: str) -> None:
        """Raise RefusedError unless an attribute of the modules named has the only value that is supported."""
        value = self.only(name, *parts)
        if value != expected:
            raise RefusedError(
                f"has {self.name} with {name} {shown(value)}, expected {expected!r}, the StyleGAN2 default; take "
                "or train a checkpoint with the default networks"
            )


def _walk(root: PersistentObject) -> Iterator[tuple[str, PersistentObject]]:
    """Yield every module below `root` with its dotted name. Shared modules come as often as they are named."""
    waiting = [("", root)]
    for _ in range(MAX_MODULES):
        if not waiting:
            return
        path, module = waiting.pop()
        yield path, module
        for name, child in _mapping(module, "_modules").items():
            if type(child) is PersistentObject:
                waiting.append((_join(path, name), child))
    raise RefusedError(f"has more than {MAX_MODULES} modules in a network, expected about 80; it is forged")


def _mapping(module: PersistentObject, kind: str) -> Mapping[str, Any]:
    value = module.state.get(kind)
    if (
        type(value) is not dict
        or len(value) > MAX_MODULE_ENTRIES
        or any(type(key) is not str or len(key) > MAX_NAME_LENGTH for key in value)
    ):
        raise RefusedError(f"has a module without {kind}, or with odd ones, expected one of torch; it is damaged")
    return value


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _generator(network: _Network, note: Note | None, second: _Network | None) -> tuple[Generator, list[str]]:
    """Return the generator and remarks; its settings take in those of the discriminator, `second`, to train with."""
    _check_kind(network)
    mapping = [_last(path) for path in network.modules if path.startswith("mapping.fc")]
    network.check("architecture", "skip", *_block_names(network))
    network.check("activation", "lrelu", "conv0", "conv1", *mapping)
    views, remarks = dict(network.views), []
    use_noise = network.only("use_noise", "conv0", "conv1") is not False
    settings = {
        "conv_clamp": _clamp(network, "conv0", "conv1", "torgb"),
        "mapping_lr_multiplier": _positive("bias_gain", network.only("bias_gain", *mapping)),
        "use_noise": use_noise,
    } | ({} if second is None else {"mbstd_group_size": _group_size(second)})
    if not use_noise:
        views = _unused_noise(network) | views
    has_mean = "mapping.w_avg" in views
    config = generator_config(views, note=note, **settings)
    generator = build(Generator, config, views if has_mean else views | {"mapping.w_avg": zeros(config.w_dim)})
    if not has_mean:
        generator.mapping.w_avg = mean_w(generator)
        remarks.append("has no w_avg: the mean of w was taken over 10,000 fixed latents")
    return generator, remarks


def _precision(*networks: "_Network | None") -> list[str]:
    """Say which layers compute in float16 there, which neither other formats nor files written from this model say."""
    found = []
    for network in networks:
        modules = {} if network is None else {_last(path): module for path, module in network.modules.items()}
        sizes = sorted(_RESOLUTIONS[name[1:]] for name in modules if _is_block(name) and _is_half(modules[name]))
        if network is not None and sizes:
            found.append(f"{network.name} at {', '.join(map(str, sizes))} px")
    if not found:
        return []
    where = " and ".join(found)
    return [f"computes {where} in float16 there (use_fp16, num_fp16_res), but in float32 here and if written again"]


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _is_block(name: str) -> bool:
    return name[:1] == "b" and name[1:] in _RESOLUTIONS


def _is_half(module: PersistentObject) -> bool:
    return module.state.get("use_fp16") is True


def _discriminator(network: _Network, generator: Generator) -> Discriminator:
    _check_conditions(network)
    network.check("architecture", "resnet", *_block_names(network))
    network.check("activation", "lrelu", "fromrgb", "conv0", "conv1", "conv", "fc")
    if network.only("num_channels", "mbstd") != 1:
        raise RefusedError(
            "has a discriminator with other minibatch-stddev channels, expected 1; it cannot be converted"
        )
    check_discriminator(network.views, generator.config)
    clamp = _clamp(network, "fromrgb", "conv0", "conv1", "conv")
    if clamp != generator.config.conv_clamp:
        raise RefusedError(
            f"has a discriminator with conv_clamp {clamp}, expected the generator's ({generator.config.conv_clamp}), "
            "to train them together; convert the generator alone with --generator-only"
        )
    return build(Discriminator, generator.config, network.views)


def _group_size(network: _Network) -> int:
    group = network.only("group_size", "mbstd")
    if group is not None and (type(group) is not int or group < 1):
        raise RefusedError(f"has minibatch-stddev groups of {shown(group)}, expected a number; fetch it again")
    return WHOLE_BATCH if group is None else group


def _check_kind(network: _Network) -> None:
    """Refuse, by name, what looks like a generator of StyleGAN2 and is none."""
    if "synthesis.input" in network.modules:
        raise RefusedError(
            "is a StyleGAN3 generator, whose layers are others, expected a StyleGAN2; take the StyleGAN2 checkpoint of "
            "the same images (stylegan3's code trains one with --cfg=stylegan2)"
        )
    if "mapping" not in network.modules or "synthesis" not in network.modules:
        raise RefusedError(
            f"has {shown(network.modules[''].class_name)} as {network.name}, expected a generator of "
            "stylegan2-ada-pytorch with mapping and synthesis; check which file it is"
        )
    _check_conditions(network)


def _check_conditions(network: _Network) -> None:
    if network.modules[""].state.get("c_dim") not in (0, None):
        raise RefusedError(
            f"has a conditional {network.name} (c_dim {shown(network.modules[''].state['c_dim'])}), expected c_dim 0; "
            "train it without --cond, or take an unconditional checkpoint"
        )


def _block_names(network: _Network) -> list[str]:
    return [name for name in map(_last, network.modules) if name[:1] == "b" and name[1:].isdecimal()]


def _clamp(network: _Network, *parts: str) -> float | None:
    value = network.only("conv_clamp", *parts)
    return None if value is None else _positive("conv_clamp", value)


def _positive(name: str, value: Any) -> float:
    if type(value) not in (int, float) or not 0 < value < math.inf:
        raise RefusedError(f"has {name} {shown(value)}, expected a number above 0; it is damaged")
    return float(value)


def _unused_noise(network: _Network) -> dict[str, TensorView]:
    """Return zeros for the noise inputs that a network was trained without."""
    result = {}
    for path in network.modules:
        block, _, layer = path.rpartition(".")
        size = _RESOLUTIONS.get(block.removeprefix("synthesis.b"))
        if layer in ("conv0", "conv1") and size:
            result[f"{path}.noise_strength"] = zeros()
            result[f"{path}.noise_const"] = zeros(size, size)
    return result
