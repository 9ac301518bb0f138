"""Trained translators on disk: safetensors with a JSON header, as generators are. Nothing in one is ever executed."""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ui2i.checkpoints import stored_tensors
from ui2i.distillation.card import TranslatorCard
from ui2i.distillation.network import Translator, level_widths
from ui2i.errors import CheckpointError, UI2IError
from ui2i.networks.blank import blank_network
from ui2i.provenance import provenance
from ui2i.settings import TranslatorConfig, from_mapping, to_mapping
from ui2i.tensor_files import read_tensors, write_tensors
from ui2i.untrusted import first_line

FORMAT_VERSION = 3  # with two blocks at coarse levels
KIND = "translator"


def save_translator(path: Path, translator: Translator) -> None:
    """Write a trained translator atomically, in float16; an interrupted call leaves the old file, or none.

    Raises:
        CheckpointError: a weight is not finite, or beyond float16.
    """
    card = dataclasses.replace(translator.card, provenance=provenance())
    header = {"format_version": FORMAT_VERSION, "kind": KIND}
    header |= {"config": to_mapping(translator.config), "card": to_mapping(card)}
    write_tensors(path, stored_tensors(translator, half=True), header)


def load_translator(path: Path, *, device: torch.device | str = "cpu") -> Translator:
    """Read a translator, in evaluation mode and without gradients.

    Raises:
        CheckpointError: the file is missing, damaged, changed since it was written, or holds something else.
    """
    if not path.exists():
        raise CheckpointError(f"{path} does not exist, expected a translator; train it with ui2i distill")
    stored = read_tensors(path, what="a translator")
    try:
        translator = _build(stored.header, {name: value.float().clone() for name, value in stored.tensors.items()})
    except (UI2IError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} is no readable translator ({first_line(error)}), expected one that this version wrote; train it "
            "again"
        ) from error
    stored.check()
    return translator.requires_grad_(False).eval().to(device)


def _build(header: dict[str, Any], tensors: dict[str, Tensor]) -> Translator:
    """Return the translator of a file."""
    if (header["format_version"], header["kind"]) != (FORMAT_VERSION, KIND):
        raise ValueError(f"it is a {header['kind']} of format version {header['format_version']}")
    config = from_mapping(TranslatorConfig, header["config"], section="config")
    card = from_mapping(TranslatorCard, header["card"], section="card")
    num_values = sum(tensor.numel() for tensor in tensors.values())
    if max(level_widths(config, card.img_resolution)) > num_values:  # the header may say anything
        raise ValueError(f"it has {num_values:,} values, fewer than its header says")
    translator = blank_network(Translator, config, card)
    translator.load_state_dict(tensors, assign=True)
    return translator
