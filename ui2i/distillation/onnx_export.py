"""A translator as one ONNX file: for onnxruntime, browsers and telephones.

The file takes any number of images of the training's resolution, NCHW float32 in [-1, 1], and its metadata hold the
translator's card. Weights are float16 in the file and float32 once it is open, which halves the file and costs no time:
a translator's weights are numbers of float16. It is compared with the network before it takes the place of an earlier
one.
"""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from ui2i.distillation.network import Translator
from ui2i.distillation.onnx_session import CARD_KEY, HASH_KEY, INPUT, OUTPUT, needs_package, open_session
from ui2i.errors import CheckpointError
from ui2i.files import atomic_file
from ui2i.images import to_tensor, to_uint8
from ui2i.provenance import provenance
from ui2i.settings import to_mapping

OPSET = 20
MAX_DIFFERENCE = 1e-5  # of values in [-1, 1]
MAX_LEVELS = 1  # of 255, after rounding


def export_onnx(
    path: Path, translator: Translator, images: UInt8[np.ndarray, "n r r 3"], *, translator_hash: str
) -> float:
    """Write a translator, on the CPU, as ONNX, atomically.

    Args:
        images: on which the file must agree with the network.
        translator_hash: SHA-256 of the translator's file, by which the ONNX file is known to be of it.

    Returns:
        The largest difference between the file's outputs and the network's, of values in [-1, 1].

    Raises:
        ConfigError: a package is not installed.
        CheckpointError: the file does not agree. What was at `path` stays.
    """
    size = translator.card.img_resolution
    model = onnx_model(translator, (torch.zeros(2, 3, size, size),), inputs=[INPUT], output=OUTPUT)
    halve_weights(model)
    card = json.dumps(to_mapping(translator.card) | {"exported": provenance()})
    notes = {CARD_KEY: card, HASH_KEY: translator_hash, "license": translator.card.license}
    needs_package("onnx").helper.set_model_props(model, notes)
    with atomic_file(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
        return _check(temporary, translator, images)


def onnx_model(
    network: torch.nn.Module, examples: tuple[torch.Tensor, ...], *, inputs: list[str], output: str, fold: bool = True
) -> Any:
    """Return a network as an ONNX model, whose inputs all have the same number n of rows, any.

    Args:
        examples: inputs of two rows.
        fold: compute what is constant now; else the network's parameters are in the model under their names.

    Raises:
        ConfigError: a package is not installed.
    """
    for package in ("onnx", "onnxscript"):
        needs_package(package)
    batch = torch.export.Dim("n", min=1)
    with _quiet(), torch.no_grad():
        network(*examples)  # what it computes once and keeps must be numbers, not the exporter's symbols
        program = torch.onnx.export(
            network,
            examples,
            input_names=inputs,
            output_names=[output],
            dynamic_shapes=tuple({0: batch} for _ in examples),
            opset_version=OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
            optimize=fold,
        )
    assert program is not None
    return _without_traces(program.model_proto)


def _without_traces(model: Any) -> Any:
    """Return a model without what the exporter notes of each node: lines and paths of the code that it came from."""
    model.ClearField("metadata_props")
    for part in (model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        for field in ("metadata_props", "doc_string"):
            part.ClearField(field)
    model.graph.ClearField("value_info")
    return model


def halve_weights(model: Any) -> None:
    """Keep weights that are numbers of float16 as such, and cast them when the file is opened."""
    onnx, casts = needs_package("onnx"), []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or not np.array_equal(half := values.astype(np.float16), values):
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _check(path: Path, translator: Translator, images: np.ndarray) -> float:
    """Return the largest difference of the outputs; raise CheckpointError if it is too large."""
    inputs = to_tensor(images)
    with torch.no_grad():
        expected = translator(inputs)
    (found,) = open_session(path).run([OUTPUT], {INPUT: inputs.numpy()})
    return checked_difference(found, expected, MAX_DIFFERENCE, "translator")


def checked_difference(found: np.ndarray, expected: torch.Tensor, limit: float, network: str) -> float:
    """Return the largest difference of an ONNX file's images from a network's, both [N, 3, R, R] in [-1, 1].

    Raises:
        CheckpointError: it is above the limit, or more than `MAX_LEVELS` of 255 after rounding.
    """
    difference = float(np.abs(found - expected.numpy()).max())
    levels = np.abs(to_uint8(torch.from_numpy(found)).astype(int) - to_uint8(expected)).max()
    if not difference <= limit or levels > MAX_LEVELS:
        raise CheckpointError(
            f"the exported {network}'s images differ from its own by up to {difference:.2g} ({levels} of 255 levels), "
            f"expected at most {limit:g} and {MAX_LEVELS}; nothing was written: use the {network} itself, or try "
            "another version of onnxruntime"
        )
    return difference


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from printing how far it is."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
