"""A generator as two ONNX files, its mapping network and its synthesis network, for onnxruntime and browsers.

    mapping     z [n, z_dim], truncation_psi [n, 1]  ->  w [n, w_dim]
    synthesis   ws [n, num_ws, w_dim], a latent code for each layer  ->  images [n, 3, R, R] in about [-1, 1]

Both take any number of rows. The parameters of the synthesis network are in its file under their own names, so that a
program can replace or mix them: models of a family differ in nothing else.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ui2i.checkpoints import ModelCard
from ui2i.distillation.onnx_export import checked_difference, onnx_model
from ui2i.distillation.onnx_session import CARD_KEY, needs_package, open_session
from ui2i.files import atomic_file
from ui2i.networks.generator import Generator
from ui2i.provenance import provenance
from ui2i.samples import seeded_latents
from ui2i.settings import to_mapping

MAX_DIFFERENCE = 1e-4  # of values in [-1, 1]
COMPARED_SEEDS = range(8)
COMPARED_PSI = 0.7
NETWORK_KEY, HASH_KEY = "ui2i.network", "ui2i.generator_sha256"


class _Mapping(nn.Module):
    """z [n, z_dim] and psi [n, 1] -> truncated w [n, w_dim]."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.mapping = generator.mapping

    def forward(self, z: Float[Tensor, "n z_dim"], truncation_psi: Float[Tensor, "n 1"]) -> Float[Tensor, "n w_dim"]:
        """Return the latent codes."""
        w_avg = self.mapping.w_avg
        return w_avg + truncation_psi * (self.mapping(z) - w_avg)


def part_paths(path: Path) -> tuple[Path, Path]:
    """Return the files of `model.onnx`: `model.mapping.onnx` and `model.synthesis.onnx`."""
    return path.with_suffix(".mapping.onnx"), path.with_suffix(".synthesis.onnx")


def export_generator(path: Path, generator: Generator, card: ModelCard, *, generator_hash: str) -> float:
    """Write a generator, on the CPU, as the files `part_paths` names, each atomically.

    Args:
        generator_hash: SHA-256 of its checkpoint.

    Returns:
        The largest difference between the files' images and the generator's, of values in [-1, 1].

    Raises:
        ConfigError: a package is not installed.
        CheckpointError: the files do not agree with the generator. What was there stays.
    """
    mapping_path, synthesis_path = part_paths(path)
    notes = {
        CARD_KEY: json.dumps(to_mapping(card) | {"exported": provenance()}),
        NETWORK_KEY: json.dumps(to_mapping(generator.config)),
        HASH_KEY: generator_hash,
        "license": card.license,
    }
    with atomic_file(mapping_path) as mapping, atomic_file(synthesis_path) as synthesis:
        mapping.write_bytes(_with_notes(mapping_model(generator), notes))
        synthesis.write_bytes(_with_notes(synthesis_model(generator), notes))
        return _check(mapping, synthesis, generator)


def mapping_model(generator: Generator) -> Any:
    """Return the mapping network with truncation as an ONNX model."""
    examples = torch.zeros(2, generator.config.z_dim), torch.ones(2, 1)
    return onnx_model(_Mapping(generator), examples, inputs=["z", "truncation_psi"], output="w")


def synthesis_model(generator: Generator) -> Any:
    """Return the synthesis network as an ONNX model, with its parameters under their names."""
    examples = (torch.zeros(2, generator.config.num_ws, generator.config.w_dim),)
    return onnx_model(generator.synthesis, examples, inputs=["ws"], output="images", fold=False)


def _with_notes(model: Any, notes: Mapping[str, str]) -> bytes:
    needs_package("onnx").helper.set_model_props(model, dict(notes))
    content: bytes = model.SerializeToString()
    return content


def _check(mapping: Path, synthesis: Path, generator: Generator) -> float:
    """Return the largest difference of the images; raise CheckpointError if it is too large."""
    z = seeded_latents(COMPARED_SEEDS, generator.config.z_dim)
    with torch.no_grad():
        expected = generator(z, truncation_psi=COMPARED_PSI)
    psi = np.full((len(z), 1), COMPARED_PSI, np.float32)
    (w,) = open_session(mapping).run(["w"], {"z": z.numpy(), "truncation_psi": psi})
    ws = np.ascontiguousarray(np.repeat(w[:, None], generator.config.num_ws, axis=1))
    (found,) = open_session(synthesis).run(["images"], {"ws": ws})
    return checked_difference(found, expected, MAX_DIFFERENCE, "generator")
