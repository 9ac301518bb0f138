"""Trained encoders on disk: safetensors with a JSON header, as generators are. Nothing in a file is ever executed."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ui2i.checkpoints import stored_tensors
from ui2i.errors import CheckpointError, UI2IError
from ui2i.inversion.encoder import Encoder
from ui2i.networks.blank import blank_network
from ui2i.provenance import provenance
from ui2i.settings import EncoderConfig, NetworkConfig, from_mapping, to_mapping
from ui2i.tensor_files import read_tensors, write_tensors
from ui2i.untrusted import first_line

FORMAT_VERSION = 1
KIND = "encoder"


def save_encoder(path: Path, encoder: Encoder, *, half: bool = False) -> None:
    """Write a trained encoder atomically; an interrupted call leaves the old file, or none.

    Args:
        half: keep float16, in half the size.

    Raises:
        CheckpointError: a weight is not finite, or beyond float16.
    """
    header = {
        "format_version": FORMAT_VERSION,
        "kind": KIND,
        "network": to_mapping(encoder.network),
        "config": to_mapping(encoder.config),
        "base_hash": encoder.base_hash,
        "held_out": dict(encoder.held_out),
        "provenance": provenance(),
    }
    write_tensors(path, stored_tensors(encoder, half=half), header)


def load_encoder(path: Path, *, base_hash: str | None = None, device: torch.device | str = "cpu") -> Encoder:
    """Read an encoder, in evaluation mode and without gradients.

    Args:
        base_hash: SHA-256 of the checkpoint of the generator that it is to be used with; None: not compared.

    Raises:
        CheckpointError: the file is missing, damaged, changed since it was written, holds something else, or is of
            another generator.
    """
    if not path.exists():
        raise CheckpointError(f"{path} does not exist, expected an encoder; train it with ui2i train-encoder")
    stored = read_tensors(path, what="an encoder")
    try:
        encoder = _build(stored.header, {name: value.float().clone() for name, value in stored.tensors.items()})
    except (UI2IError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} is no readable encoder ({first_line(error)}), expected one that this version wrote; train it again"
        ) from error
    stored.check()
    if base_hash is not None and encoder.base_hash != base_hash:
        raise CheckpointError(
            f"{path} predicts latent codes of the generator {encoder.base_hash[:12] or 'unknown'}, expected "
            f"{base_hash[:12]}; train it again with ui2i train-encoder"
        )
    return encoder.requires_grad_(False).eval().to(device)


def _build(header: dict[str, Any], tensors: dict[str, Tensor]) -> Encoder:
    """Return the encoder of a file."""
    if (header["format_version"], header["kind"]) != (FORMAT_VERSION, KIND):
        raise ValueError(f"it is a {header['kind']} of format version {header['format_version']}")
    network = from_mapping(NetworkConfig, header["network"], section="network")
    config = from_mapping(EncoderConfig, header["config"], section="config")
    num_values = sum(tensor.numel() for tensor in tensors.values())
    if max(network.w_dim, config.channel_max or 0) > num_values:  # the header may say anything
        raise ValueError(f"it has {num_values:,} values, fewer than its header says")
    encoder = blank_network(Encoder, network, config, base_hash=str(header["base_hash"]))
    encoder.load_state_dict(tensors, assign=True)
    encoder.held_out = {str(name): float(value) for name, value in header["held_out"].items()}
    if not all(map(math.isfinite, encoder.held_out.values())):
        raise ValueError("its header has measures that are not finite")
    return encoder
