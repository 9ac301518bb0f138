"""The native checkpoint: safetensors with a JSON header. Nothing in such a file is ever executed.

A generator and its discriminator are separate files, so that a generator can be shared alone. The header holds the
architecture and a `ModelCard`; the tensors carry the networks' parameter names, float32.
"""

import dataclasses
import json
import struct
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ui2i import __version__
from ui2i.config import NetworkConfig, from_mapping, to_mapping
from ui2i.errors import CheckpointError, ConfigError
from ui2i.files import sha256_file, write_bytes
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator

FORMAT_VERSION = 1
NetworkT = TypeVar("NetworkT", Generator, Discriminator)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a model is and where it comes from."""

    domain: str
    mode: str  # scratch, FT, FC-FT, or one of these with -LS8, -LS16, -LS32
    base: str | None = None  # source domain; None: trained from scratch
    base_hash: str | None = None  # sha256 of the source generator's file
    dataset_hash: str | None = None
    images_seen: int = 0  # real images shown, those of the base not counted
    swap_resolution: int | None = None  # pixels; None: no layers swapped
    swap_mode: str | None = None
    license: str = "Apache-2.0"
    version: str = __version__
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)


def save_generator(path: Path, generator: Generator, card: ModelCard) -> None:
    """Write a generator atomically; an interrupted call leaves the old file, or none."""
    _save(path, generator, card, kind="generator")


def save_discriminator(path: Path, discriminator: Discriminator, card: ModelCard) -> None:
    """Write a discriminator atomically; an interrupted call leaves the old file, or none."""
    _save(path, discriminator, card, kind="discriminator")


def load_generator(path: Path, *, device: torch.device | str = "cpu") -> tuple[Generator, ModelCard]:
    """Read a generator, in evaluation mode and without gradients.

    Raises:
        CheckpointError: the file is missing, damaged, not in this format, or holds something else.
    """
    return _load(path, Generator, kind="generator", device=device)


def load_discriminator(path: Path, *, device: torch.device | str = "cpu") -> tuple[Discriminator, ModelCard]:
    """Read a discriminator, in evaluation mode and without gradients.

    Raises:
        CheckpointError: the file is missing, damaged, not in this format, or holds something else.
    """
    return _load(path, Discriminator, kind="discriminator", device=device)


def read_card(path: Path) -> tuple[NetworkConfig, ModelCard]:
    """Read the header alone.

    Raises:
        CheckpointError: as `load_generator`.
    """
    header, _ = _read_header(path)
    return _parse_header(header, path)


def file_hash(path: Path) -> str:
    """sha256 of a checkpoint file, the identity that cards and tables record."""
    return sha256_file(path)


def _save(path: Path, network: Generator | Discriminator, card: ModelCard, *, kind: str) -> None:
    header = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "network": to_mapping(network.config),
        "card": dataclasses.asdict(card),
    }
    tensors = {name: value.detach().float().cpu().contiguous() for name, value in network.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, save(tensors, metadata={"ui2i": json.dumps(header, sort_keys=True)}))


def _load(
    path: Path, network_type: type[NetworkT], *, kind: str, device: torch.device | str
) -> tuple[NetworkT, ModelCard]:
    header, tensors = _read_header(path, with_tensors=True)
    if header.get("kind") != kind:
        raise CheckpointError(f"{path} holds a {header.get('kind')}, expected a {kind}; name the {kind}'s file")
    config, card = _parse_header(header, path)
    network = network_type(config)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} has tensors that do not fit its own header ({_first_line(error)}), expected a {kind} of "
            f"{config.img_resolution} px; the file is damaged: fetch or train it again"
        ) from error
    return network.eval().requires_grad_(False).to(device), card


def _read_header(path: Path, *, with_tensors: bool = False) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not Path(path).is_file():
        raise CheckpointError(f"{path} does not exist, expected a checkpoint; train it first or correct the path")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["ui2i"])
            tensors = {name: file.get_tensor(name) for name in file.keys()} if with_tensors else {}  # noqa: SIM118
    except KeyError:
        raise CheckpointError(f"{path} has no ui2i header, expected a checkpoint that ui2i wrote") from None
    except (SafetensorError, ValueError, OSError, struct.error) as error:
        raise CheckpointError(
            f"{path} is not a readable checkpoint ({_first_line(error)}), expected safetensors; fetch or train it again"
        ) from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path} has an unusable header, expected one that ui2i wrote; fetch or train it again")
    return header, tensors


def _parse_header(header: dict[str, Any], path: Path) -> tuple[NetworkConfig, ModelCard]:
    if header.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {header.get('format_version')}, expected {FORMAT_VERSION}; update ui2i"
        )
    try:
        return from_mapping(NetworkConfig, header["network"], section="network"), ModelCard(**header["card"])
    except (ConfigError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} has an unusable header ({error}), expected one that ui2i wrote") from error


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
