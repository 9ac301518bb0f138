"""Translation with onnxruntime and an exported translator: no torch, so a process starts in a fraction of a second."""

import contextlib
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from ui2i.distillation.card import TranslatorCard
from ui2i.errors import CheckpointError, ConfigError, is_out_of_memory
from ui2i.settings import from_mapping
from ui2i.untrusted import first_line, shortened

INPUT, OUTPUT = "images", "translations"
CARD_KEY, HASH_KEY = "ui2i.card", "ui2i.translator_sha256"
NUM_THREADS = 1  # two were never faster for networks of this size


class OnnxTranslator:
    """An exported translator, ready to translate.

    Attributes:
        card: which models it imitates.
        translator_hash: SHA-256 of the translator's file that it was exported from.
    """

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            ConfigError: onnxruntime is not installed.
            CheckpointError: the file is missing, damaged or no translator.
        """
        self._session = open_session(path)
        notes = self._session.get_modelmeta().custom_metadata_map
        try:
            values = json.loads(notes[CARD_KEY])
            values.pop("exported", None)
            self.card = from_mapping(TranslatorCard, values, section="card")
            self.translator_hash = str(notes[HASH_KEY])
        except (KeyError, ValueError, AttributeError, ConfigError) as error:
            raise CheckpointError(
                f"{path} has no usable card of a translator ({shortened(str(error))}), expected a file that ui2i "
                "export-onnx wrote; export it again"
            ) from error

    def __call__(self, images: UInt8[np.ndarray, "n r r 3"]) -> UInt8[np.ndarray, "n r r 3"]:
        """Translate images of the training's resolution."""
        inputs = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) / np.float32(127.5) - 1
        (outputs,) = self._session.run([OUTPUT], {INPUT: inputs})
        levels = ((outputs + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
        return np.ascontiguousarray(levels.transpose(0, 2, 3, 1))


def open_session(path: Path) -> Any:
    """Return onnxruntime's session of a file.

    Raises:
        ConfigError: onnxruntime is not installed.
        CheckpointError: the file is missing, or no ONNX model.
    """
    runtime = needs_package("onnxruntime")
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist, expected an ONNX file; make it with ui2i export-onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = NUM_THREADS
    options.log_severity_level = 4  # what it says of a damaged file is in its error
    try:
        return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no class
        if is_out_of_memory(error):
            raise
        raise CheckpointError(
            f"{path} is no readable ONNX file ({shortened(first_line(error))}), expected one that ui2i "
            "export-onnx wrote; export it again"
        ) from error


def has_runtime() -> bool:
    """Whether onnxruntime is installed."""
    with contextlib.suppress(ConfigError):
        return bool(needs_package("onnxruntime"))
    return False


def needs_package(name: str) -> Any:
    """Import a package of the extra `onnx`.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(
            f'the package {name} is not installed, expected it for ONNX files; pip install "ui2i[onnx]"'
        ) from None
