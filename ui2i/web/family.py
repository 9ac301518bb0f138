"""A base and the models fine-tuned from it, in a form that a page can mix.

They differ in nothing but the parameters of their synthesis networks. So the page gets one mapping network, one
synthesis network whose parameters are inputs, and for each model its parameters, float16: layer swaps, blends and
mixtures of domains are then arithmetic on arrays, and need no further models.
"""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ui2i.distillation.generator_onnx import mapping_model, synthesis_model
from ui2i.distillation.onnx_session import needs_package
from ui2i.factorization import directions, style_weights
from ui2i.networks.equality import have_equal_tensors
from ui2i.networks.generator import Generator
from ui2i.samples import seeded_latents
from ui2i.web.kept_exports import KeptExports

NUM_DIRECTIONS = 8
SPREAD_SEEDS = range(256)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FamilyModel:
    """One model of a family."""

    name: str  # as tables give it: face, cartoon/FC-FT
    generator: Generator
    hash: str  # SHA-256 of its checkpoint
    license: str


def write_family(folder: Path, base: FamilyModel, models: list[FamilyModel], *, exports: KeptExports) -> dict[str, Any]:
    """Write the files of a family into a folder and return what the page must know of it, with names of files alone.

    Args:
        models: each related to the base: `is_related`.
        exports: of earlier sites.

    Raises:
        ConfigError: a package is not installed.
    """
    assert all(is_related(base, model) for model in models)
    stem = base.name.replace("/", "-")
    mapping, synthesis = f"{stem}.mapping.onnx", f"{stem}.synthesis.onnx"
    parts = {mapping: _mapping, synthesis: _opened_synthesis}
    for file, export in parts.items():
        content = exports.find(file, [base.hash], functools.partial(export, base.generator))
        (folder / file).write_bytes(content)
    parameters = _parameters(folder / synthesis, base.generator)
    entries = []
    for model in (base, *models):
        file = f"{model.name.replace('/', '-')}.weights"
        (folder / file).write_bytes(_packed(model.generator, parameters))
        entries.append({"name": model.name, "file": file, "license": model.license})
    config = base.generator.config
    return {
        "base": base.name,
        "mapping": mapping,
        "synthesis": synthesis,
        "models": entries,
        "parameters": _layout(parameters),
        "directions": _directions(base.generator).tolist(),
        "w_spread": _spread(base.generator),
        "resolutions": list(config.block_resolutions),
        "img_resolution": config.img_resolution,
        "z_dim": config.z_dim,
        "w_dim": config.w_dim,
        "num_ws": config.num_ws,
    }


def is_related(base: FamilyModel, model: FamilyModel) -> bool:
    """Whether a latent code means the same to both: their mapping networks and architectures are equal."""
    ours, theirs = base.generator, model.generator
    return ours.config == theirs.config and have_equal_tensors(ours.mapping, theirs.mapping)


def _mapping(generator: Generator) -> bytes:
    content: bytes = mapping_model(generator).SerializeToString()
    return content


def _opened_synthesis(generator: Generator) -> bytes:
    """Return the ONNX model of a synthesis network, whose parameters are inputs."""
    helper, model = needs_package("onnx").helper, synthesis_model(generator)
    stored = generator.synthesis.state_dict()
    initializers = list(model.graph.initializer)
    opened = [item for item in initializers if item.name in stored]
    model.graph.input.extend(helper.make_tensor_value_info(item.name, item.data_type, item.dims) for item in opened)
    del model.graph.initializer[:]
    model.graph.initializer.extend(item for item in initializers if item.name not in stored)
    content: bytes = model.SerializeToString()
    return content


def _parameters(synthesis: Path, generator: Generator) -> dict[str, torch.Tensor]:
    """Return the parameters that an ONNX model of a synthesis network takes as inputs, in their order."""
    stored = generator.synthesis.state_dict()
    inputs = needs_package("onnx").load(synthesis).graph.input
    return {item.name: stored[item.name] for item in inputs if item.name in stored}


def _packed(generator: Generator, parameters: Mapping[str, torch.Tensor]) -> bytes:
    stored = generator.synthesis.state_dict()
    return b"".join(stored[name].numpy().astype("<f2").tobytes() for name in parameters)


def _layout(parameters: Mapping[str, torch.Tensor]) -> list[dict[str, Any]]:
    """Return where each parameter begins in a file of weights, and its size, in values."""
    entries: list[dict[str, Any]] = []
    offset = 0
    for name, tensor in parameters.items():
        entries.append({"name": name, "shape": list(tensor.shape), "offset": offset, "size": tensor.numel()})
        offset += tensor.numel()
    return entries


def _directions(generator: Generator) -> np.ndarray:
    _, found = directions(style_weights(generator))
    rounded: np.ndarray = found[:NUM_DIRECTIONS].numpy().round(6)
    return rounded


@torch.no_grad()
def _spread(generator: Generator) -> float:
    """Return the root mean square of w's components about their mean: what a long step is measured by."""
    w = generator.mapping(seeded_latents(SPREAD_SEEDS, generator.config.z_dim))
    return round(float((w - w.mean(dim=0)).square().mean().sqrt()), 6)
