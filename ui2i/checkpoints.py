"""The native checkpoint: safetensors with a JSON header. Nothing in such a file is ever executed.

A generator and its discriminator are separate files, so that a generator can be shared alone. The header holds the
architecture and a `ModelCard`; the tensors carry the networks' parameter names, float32 or, to be handed on in half the
size, float16, among them the truncation mean `mapping.w_avg`. Networks are float32 whatever their file holds.
`ui2i.converters` reads and writes the formats of other tools.
"""

import copy
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from ui2i import __version__
from ui2i.errors import CheckpointError, ConfigError
from ui2i.networks.blank import blank_network
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.settings import NetworkConfig, from_mapping, to_mapping
from ui2i.tensor_files import TensorFile, is_finite, last_line, read_tensors, write_tensors
from ui2i.untrusted import shortened, shown

FORMAT_VERSION = 1
NetworkT = TypeVar("NetworkT", Generator, Discriminator)
_KINDS: dict[type[nn.Module], str] = {Generator: "generator", Discriminator: "discriminator"}
_HEADER_KEYS = {"format_version", "kind", "network", "card"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a model is and where it comes from."""

    domain: str
    mode: str  # scratch, FT, ..., or the name of a layer-swapped variant (`ui2i.variants`); imported: somebody else's
    base: str | None = None  # source domain; None: trained from scratch
    base_hash: str | None = None  # sha256 of the source generator's file
    dataset_hash: str | None = None
    images_seen: int = 0  # real images shown, those of the base not counted
    swap_resolution: int | None = None  # pixels; None: no layers swapped
    swap_mode: str | None = None
    license: str = "Apache-2.0"
    version: str = __version__
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def framing(self) -> Mapping[str, Any]:
        """How the images that it was trained on were framed (`ui2i.images.framing`); empty: not recorded."""
        framing = self.provenance.get("framing")
        return framing if isinstance(framing, dict) else {}

    @property
    def started_from(self) -> str | None:
        """SHA-256 of the earlier model of its domain whose training went on; None: it began with its base."""
        started_from = self.provenance.get("started_from")
        return started_from if isinstance(started_from, str) else None


def save_generator(path: Path, generator: Generator, card: ModelCard) -> None:
    """Write a generator atomically; an interrupted call leaves the old file, or none."""
    _save(path, generator, card)


def save_discriminator(path: Path, discriminator: Discriminator, card: ModelCard, *, half: bool = False) -> None:
    """Write a discriminator atomically; an interrupted call leaves the old file, or none.

    Args:
        half: keep float16, in half the size.

    Raises:
        CheckpointError: a weight is beyond float16.
    """
    _save(path, discriminator, card, half=half)


def load_generator(
    path: Path, *, device: torch.device | str = "cpu", share_file: bool = False
) -> tuple[Generator, ModelCard]:
    """Read a generator, in evaluation mode and without gradients.

    Args:
        share_file: take the bytes of a float32 file as the tensors' memory, until they are written to, instead of
            copying them. The file must then not be truncated meanwhile.

    Raises:
        CheckpointError: the file is missing, damaged, changed since it was written, has values that are not finite,
            is not in this format, or holds something else.

    Examples:
        >>> tiny = NetworkConfig(img_resolution=32, w_dim=32, channel_max=16)
        >>> save_generator(Path("generator.safetensors"), Generator(tiny), ModelCard(domain="face", mode="scratch"))
        >>> generator, card = load_generator(Path("generator.safetensors"))
        >>> card.domain, generator(torch.randn(1, 512)).shape
        ('face', torch.Size([1, 3, 32, 32]))
    """
    loaded = load_network(path, Generator, device=device, share_file=share_file, warn=True)
    return loaded.network, loaded.card


def load_discriminator(
    path: Path, *, device: torch.device | str = "cpu", share_file: bool = False
) -> tuple[Discriminator, ModelCard]:
    """Read a discriminator, in evaluation mode and without gradients.

    Args:
        share_file: as for `load_generator`.

    Raises:
        CheckpointError: the file is missing, damaged, changed since it was written, has values that are not finite,
            is not in this format, or holds something else.
    """
    loaded = load_network(path, Discriminator, device=device, share_file=share_file, warn=True)
    return loaded.network, loaded.card


def read_card(path: Path) -> tuple[NetworkConfig, ModelCard]:
    """Read the header alone, which is not compared with the digest: that takes all of the file.

    Raises:
        CheckpointError: the file is missing, damaged, or not in this format.
    """
    return _parse_header(read_tensors(path, what="a checkpoint", with_tensors=False))


def card_from_mapping(values: Mapping[str, Any]) -> ModelCard:
    """Build a card from plain values.

    Raises:
        ConfigError: the values are no mapping, a field is unknown or has the wrong type.
        TypeError: a field is missing.
    """
    plain = dict(values) if isinstance(values, Mapping) else values
    provenance = plain.pop("provenance", {}) if isinstance(plain, dict) else {}
    if not isinstance(provenance, dict):
        raise ConfigError(f"card.provenance is {type(provenance).__name__}, expected values by name; write {{}}")
    return dataclasses.replace(from_mapping(ModelCard, plain, section="card"), provenance=provenance)


def stored_tensors(network: nn.Module, *, half: bool = False) -> dict[str, Tensor]:
    """Return a network's tensors as files hold them: on the CPU, float32 or float16.

    Raises:
        CheckpointError: a value is beyond float16, or not finite before.
    """
    dtype = torch.float16 if half else torch.float32
    tensors = {name: value.detach().to("cpu", dtype).contiguous() for name, value in network.state_dict().items()}
    if half and not all(map(is_finite, tensors.values())):
        raise CheckpointError(
            f"the network has values that float16 does not, expected magnitudes up to {torch.finfo(dtype).max:,.0f}; "
            "keep it in float32"
        )
    return tensors


def _save(path: Path, network: Generator | Discriminator, card: ModelCard, *, half: bool = False) -> None:
    header = {
        "format_version": FORMAT_VERSION,
        "kind": _KINDS[type(network)],
        "network": to_mapping(network.config),
        "card": dataclasses.asdict(card),
    }
    write_tensors(path, stored_tensors(network, half=half), header)


class Loaded(NamedTuple, Generic[NetworkT]):
    """A network out of a file."""

    network: NetworkT
    card: ModelCard
    note: str | None  # what could not be checked, in words


def load_network(
    path: Path,
    network_type: type[NetworkT],
    *,
    device: torch.device | str = "cpu",
    share_file: bool = False,
    warn: bool = False,
) -> Loaded[NetworkT]:
    """Read a network as `load_generator` does, and what could not be checked of it.

    Args:
        warn: issue an UnrecordedDigestWarning for a file that records no digest.

    Raises:
        CheckpointError: as `load_generator`.
    """
    kind = _KINDS[network_type]
    stored = read_tensors(path, what="a checkpoint")
    config, card = _parse_header(stored, kind=kind)
    _check_plausible(path, config, stored.tensors, kind)
    network = blank_network(network_type, config)  # the header may say anything: nothing is allocated by it
    try:
        network.load_state_dict({name: value.float() for name, value in stored.tensors.items()}, assign=True)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} has tensors that do not fit its own header ({shortened(last_line(error))}), expected a {kind} "
            f"of {config.img_resolution} px; the file is damaged: fetch or train it again"
        ) from error
    note = stored.check(warn=warn)
    network = network if share_file else copy.deepcopy(network)
    return Loaded(network.eval().requires_grad_(False).to(device), card, note)


def _check_plausible(path: Path, config: NetworkConfig, tensors: Mapping[str, Tensor], kind: str) -> None:
    """Refuse a header whose network could not possibly be in the file, before a network is made of it."""
    other_types = {str(tensor.dtype) for tensor in tensors.values()} - {"torch.float32", "torch.float16"}
    num_values = sum(tensor.numel() for tensor in tensors.values())
    lengths = (config.z_dim, config.w_dim, *(config.num_channels(size) for size in config.block_resolutions))
    if other_types or max(lengths) > num_values or config.num_mapping_layers > len(tensors):
        what = f"tensors of {other_types.pop()}" if other_types else f"{num_values:,} values in {len(tensors)} tensors"
        raise CheckpointError(
            f"{path} has {what}, expected a {kind} of {config.img_resolution} px in float32 or float16, as its header "
            "says; the file is damaged: fetch or train it again"
        )


def _parse_header(stored: TensorFile, *, kind: str | None = None) -> tuple[NetworkConfig, ModelCard]:
    """Return the architecture and the card; `kind` is the network that the file must hold, None: any."""
    path, header = stored.path, stored.header
    if header.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {shown(header.get('format_version'))}, expected {FORMAT_VERSION}; update ui2i"
        )
    if kind is not None and header.get("kind") != kind:
        found = header.get("kind")
        found = found if found in _KINDS.values() else shown(found)
        raise CheckpointError(f"{path} holds a {found}, expected a {kind}; name the {kind}'s file")
    try:
        if set(header) != _HEADER_KEYS:  # such as a known key with a flipped bit
            raise ConfigError(f"it has {shown(sorted(header))}")
        return from_mapping(NetworkConfig, header["network"], section="network"), card_from_mapping(header["card"])
    except (ConfigError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} has an unusable header ({shortened(str(error))}), expected one that ui2i wrote; fetch or train it "
            "again"
        ) from error
