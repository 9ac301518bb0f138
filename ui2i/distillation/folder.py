"""A folder of images through a translator: no latent codes, no inversion, one pass an image. It needs no torch itself.

The folder appears complete or not at all. It holds `<stem>-<variant>.png` for each image, `contact_sheet.png`,
`manifest.parquet` (a row for each translation), `rejects.parquet` and, if the inputs had more, `left-out.json`.
"""

import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import UInt8

from ui2i.columns import described, required
from ui2i.contact_sheet import Row, contact_sheet
from ui2i.datasets.manifest import REJECT_SCHEMA, REJECTS_NAME
from ui2i.distillation.card import TranslatorCard
from ui2i.files import atomic_folder
from ui2i.images import encode_png, save_png
from ui2i.images.framing import CENTERED, Framer
from ui2i.images.left_out import write_left_out
from ui2i.images.sources import check_destination
from ui2i.progress import Progress, no_progress
from ui2i.provenance import code_commit
from ui2i.schemas import TRANSLATION_SCHEMA
from ui2i.tables import read_parquet, write_table
from ui2i.translation.inputs import Inputs, Reject, SourceImage, StemNamer, list_inputs, readable_batches
from ui2i.translation.written import written_names
from ui2i.translation_files import LEFT_OUT_NAME, MANIFEST_NAME, MAX_SHEET_ROWS, MIN_CELL_SIZE, SHEET_NAME

BATCH = 16

_AS_IN_TRANSLATIONS = (
    "index input_path input_sha256 input_width input_height framing output_file domain source_domain variant "
    "checkpoint_hash base_hash seconds_per_image commit"
)
_OWN = ("translator_hash", "engine")
FAST_TRANSLATION_SCHEMA = pa.schema(
    [
        *(TRANSLATION_SCHEMA.field(name) for name in _AS_IN_TRANSLATIONS.split()),
        *described("fast-translation", (required(name, pa.string()) for name in _OWN)),
    ],
    metadata={"table": "fast-translation", "schema_version": "1"},
)
"""Of the manifest; a translation found by inversion has the columns of `TRANSLATION_SCHEMA`."""

Translate = Callable[[UInt8[np.ndarray, "n r r 3"]], UInt8[np.ndarray, "n r r 3"]]


def manifest_schema(folder: Path) -> pa.Schema:
    """Return the schema of a folder of translations: `FAST_TRANSLATION_SCHEMA` if a translator made it.

    Raises:
        DataError: its manifest is missing or damaged.
    """
    found = read_parquet(folder / MANIFEST_NAME, what="manifest of translations").schema.metadata or {}
    own = FAST_TRANSLATION_SCHEMA
    return own if found.get(b"table") == own.metadata[b"table"] else TRANSLATION_SCHEMA


def translate_folder_fast(
    inputs: Inputs,
    translate: Translate,
    card: TranslatorCard,
    out_dir: str | os.PathLike[str],
    *,
    engine: str,
    translator_hash: str,
    framer: Framer = CENTERED,
    progress: Progress = no_progress,
) -> list[dict[str, Any]]:
    """Translate each image that can be read; see the module for the files.

    Args:
        inputs: a folder, an archive, an image or a list of files.
        translate: the translator of `card`.
        out_dir: made anew; an earlier result there is replaced once the new one is complete.
        engine: what computes, for the manifest: torch or onnxruntime.
        translator_hash: SHA-256 of the translator's file.
        framer: cuts the squares of `inputs`.
        progress: counts images.

    Returns:
        The rows of `manifest.parquet` (`FAST_TRANSLATION_SCHEMA`).

    Raises:
        DataError: there are no (readable) images, or `out_dir` holds anything but a translation.
    """
    out_dir = Path(out_dir)
    check_destination(inputs, out_dir, MANIFEST_NAME, "translation", written_names)  # type: ignore[arg-type]
    rejects: list[Reject] = []
    with list_inputs(inputs, card.img_resolution, framer) as listing, atomic_folder(out_dir) as folder:
        writer = _Writer(folder, card, {"engine": engine, "translator_hash": translator_hash}, framer.framing)
        for batch in readable_batches(listing, BATCH, rejects.append):
            start = time.perf_counter()
            outputs = translate(np.stack([source.image for source in batch]))
            writer.write(batch, outputs, (time.perf_counter() - start) / len(batch))
            progress(len(writer.rows) + len(rejects), listing.count)
        write_table(folder / MANIFEST_NAME, writer.rows, FAST_TRANSLATION_SCHEMA)
        write_table(folder / REJECTS_NAME, [dataclasses.asdict(reject) for reject in rejects], REJECT_SCHEMA)
        upscale = max(1, MIN_CELL_SIZE // card.img_resolution)
        sheet = contact_sheet(writer.sheet, ["input", card.variant], upscale=upscale, title=f"to {card.domain}")
        save_png(folder / SHEET_NAME, sheet)
        write_left_out(folder / LEFT_OUT_NAME, listing.left_out)
    return writer.rows


class _Writer:
    """Saves the translations of a batch, and keeps their rows."""

    def __init__(self, folder: Path, card: TranslatorCard, made_with: Mapping[str, str], framing: str) -> None:
        self.rows: list[dict[str, Any]] = []
        self.sheet: list[Row] = []
        self._folder = folder
        self._namer = StemNamer([card.variant])
        self._shared = {
            **made_with,
            "domain": card.domain,
            "source_domain": card.source,
            "variant": card.variant,
            "base_hash": card.source_hash,
            "checkpoint_hash": card.target_hash,
            "framing": framing,
            "commit": code_commit(),
        }

    def write(self, sources: Sequence[SourceImage], outputs: UInt8[np.ndarray, "n r r 3"], seconds: float) -> None:
        for source, output in zip(sources, outputs, strict=True):
            stem = self._namer.name(source.path)
            output_file = f"{stem}-{self._shared['variant']}.png"
            # The folder is flushed to disk as a whole; flushing each file at once would take longer than translating.
            (self._folder / output_file).write_bytes(encode_png(output))
            width, height = source.size or (None, None)
            self.rows.append(
                {
                    **self._shared,
                    "index": source.index,
                    "input_path": source.path,
                    "input_sha256": source.sha256,
                    "input_width": width,
                    "input_height": height,
                    "output_file": output_file,
                    "seconds_per_image": seconds,
                }
            )
            if len(self.sheet) < MAX_SHEET_ROWS:
                self.sheet.append(Row(stem, np.stack([source.image, output])))
