"""Translate pictures into a folder of results: D_t = G_t(Inv(D_s, G_s)) (paper, Eq. 4), for several targets at once.

The folder appears complete or not at all. It holds, for each picture,

    <stem>-reconstruction.png      G_s(Inv(D_s)): what the code kept of the picture
    <stem>-<variant>.png           one a target
    <stem>-<variant>-style<k>.png  the same with appearance code k, if styles are asked for (Eq. 10)

and for all of them `contact_sheet.png`, `manifest.parquet` (a row for each of these files), `latents.parquet` (the code
of each picture) and `rejects.parquet` (the files that could not be read, as in a prepared dataset).
"""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ui2i.config import InversionConfig
from ui2i.contact_sheet import Row, contact_sheet
from ui2i.datasets.manifest import REJECT_SCHEMA, REJECTS_NAME
from ui2i.errors import DataError
from ui2i.files import atomic_folder
from ui2i.images import save_png, to_tensor, to_uint8
from ui2i.inversion import InversionResult, invert
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.progress import Progress, no_progress
from ui2i.provenance import git_commit
from ui2i.tables import TRANSLATION_SCHEMA, write_table
from ui2i.translation.inputs import Inputs, Listing, Picture, Reject, StemNamer, list_inputs
from ui2i.translation.outputs import Output, plan_outputs

MANIFEST_NAME = "manifest.parquet"
LATENTS_NAME = "latents.parquet"
SHEET_NAME = "contact_sheet.png"
MAX_SHEET_ROWS = 24
MIN_CELL_SIZE = 128  # pixels of a picture on the sheet, smaller ones are enlarged

LATENTS_SCHEMA = pa.schema(
    [
        pa.field("index", pa.int64(), nullable=False),  # of the picture in the dataset or folder
        pa.field("input_path", pa.string(), nullable=False),
        pa.field("input_sha256", pa.string(), nullable=False),
        pa.field("base_hash", pa.string(), nullable=False),  # of the generator whose code this is
        pa.field("method", pa.string(), nullable=False),  # of inversion
        pa.field("learning_rate", pa.float64(), nullable=False),
        pa.field("loss", pa.float64(), nullable=False),
        pa.field("num_ws", pa.int64(), nullable=False),
        pa.field("w_dim", pa.int64(), nullable=False),
        # num_ws * w_dim values, layer by layer. `element` is what Parquet calls a list's items when read back.
        pa.field("ws", pa.list_(pa.field("element", pa.float32())), nullable=False),
    ],
    metadata={"table": "latents", "schema_version": "1"},
)


@dataclasses.dataclass
class _Tables:
    """Rows and sheet as they grow."""

    manifest: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    latents: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    rejects: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    sheet: list[Row] = dataclasses.field(default_factory=list)


def translate_folder(
    inputs: Inputs,
    source: Generator,
    targets: Mapping[str, Generator],
    perceptual: Perceptual,
    inversion_config: InversionConfig,
    out_dir: str | os.PathLike[str],
    *,
    domain: str,
    source_hash: str,
    target_hashes: Mapping[str, str],
    truncation_psi: float = 1.0,
    num_styles: int = 0,
    num_style_layers: int = 4,
    progress: Progress = no_progress,
) -> list[dict[str, Any]]:
    """Invert each picture once in the source model and generate it with every target; see the module for the files.

    Pictures are read, inverted and written `inversion_config.batch_size` at a time, so a folder may be larger than the
    memory. A file that is no readable picture is listed in `rejects.parquet` and passed over.

    Args:
        inputs: a folder, a list of files, or `NamedImages`.
        source: model of the pictures' domain, in which they are inverted.
        targets: variant -> model with the same latent space; the variant is part of file names.
        out_dir: made anew; an earlier result there is replaced once the new one is complete.
        domain: the target domain's name, for the manifest.
        source_hash: SHA-256 of the source's checkpoint.
        target_hashes: the same for each variant.
        truncation_psi: pulls the inverted codes towards the targets' mean; 1 leaves them. Not for reconstructions.
        num_styles: further versions of each translation with sampled appearance codes. The k-th, from 1, has the seed
            `inversion_config.seed + k` for all pictures and targets, which the manifest records.
        num_style_layers: style inputs that an appearance code takes over, from the image's side.
        progress: counts pictures times inversion steps.

    Returns:
        The rows of `manifest.parquet` (`tables.TRANSLATION_SCHEMA`), picture by picture, reconstruction first.

    Raises:
        DataError: there are no (readable) pictures, or `out_dir` holds something else than a translation.
        ConfigError: a variant cannot be part of a file name or has no hash, or a number is out of range.
        CheckpointError: a target has another latent space than the source.
    """
    out_dir = Path(out_dir)
    _check_place(inputs, out_dir)
    outputs = plan_outputs(
        source,
        targets,
        source_hash=source_hash,
        target_hashes=target_hashes,
        seed=inversion_config.seed,
        truncation_psi=truncation_psi,
        num_styles=num_styles,
        num_style_layers=num_style_layers,
    )
    shared_columns = {"domain": domain, "base_hash": source_hash, "trunk": perceptual.name, "commit": git_commit()}
    listing = list_inputs(inputs, source.config.img_resolution)
    tables = _Tables()
    with atomic_folder(out_dir) as folder:
        namer = StemNamer([output.variant for output in outputs])
        for pictures in _batches(listing, inversion_config.batch_size, tables):
            advance = _Advance(listing.count, len(pictures), tables, progress)
            images = to_tensor(np.stack([picture.image for picture in pictures]))
            result = invert(images, source, perceptual, inversion_config, progress=advance)
            stems = [namer.name(picture.path) for picture in pictures]
            _write_batch(folder, stems, pictures, result, outputs, shared_columns, tables)
        _write_tables(folder, tables, outputs, domain)
    progress(listing.count * inversion_config.num_steps, listing.count * inversion_config.num_steps, "written")
    return tables.manifest


@dataclasses.dataclass(frozen=True)
class _Advance:
    """Turns a batch's progress into that of the whole listing, in pictures times steps."""

    num_listed: int
    num_pictures: int  # in the batch
    tables: _Tables
    progress: Progress

    def __call__(self, done: int, total: int, note: str = "") -> None:
        num_settled = len(self.tables.rejects) + len(self.tables.latents)
        self.progress(num_settled * total + self.num_pictures * done, self.num_listed * total, note)


def _batches(listing: Listing, batch_size: int, tables: _Tables) -> Iterator[list[Picture]]:
    """Yield the readable pictures, `batch_size` at a time, and note the others down."""
    batch: list[Picture] = []
    num_pictures = 0
    for entry in listing.entries:
        if isinstance(entry, Reject):
            tables.rejects.append(dataclasses.asdict(entry))
            continue
        num_pictures += 1
        batch.append(entry)
        if len(batch) == batch_size:
            yield batch
            batch = []
    if batch:
        yield batch
    if num_pictures == 0:
        first = tables.rejects[0]
        raise DataError(
            f"none of the {listing.count} pictures can be used (the first, {first['path']}: {first['reason']}), "
            "expected at least one; replace them"
        )


def _write_batch(
    folder: Path,
    stems: Sequence[str],
    pictures: Sequence[Picture],
    result: InversionResult,
    outputs: Sequence[Output],
    shared_columns: Mapping[str, str],
    tables: _Tables,
) -> None:
    """Generate and save every output of a batch, and add its rows."""
    generated = [to_uint8(output.generate(result.ws)) for output in outputs]
    for position, (stem, picture) in enumerate(zip(stems, pictures, strict=True)):
        images = [batch[position] for batch in generated]
        columns = {
            **shared_columns,
            **_quality_columns(result, position, len(pictures)),
            "index": picture.index,
            "input_path": picture.path,
            "input_sha256": picture.sha256,
        }
        for output, image in zip(outputs, images, strict=True):
            output_file = f"{stem}-{output.variant}.png"
            save_png(folder / output_file, image)
            own = {"variant": output.variant, "checkpoint_hash": output.checkpoint_hash, "seed": output.seed}
            tables.manifest.append({**columns, **own, "output_file": output_file})
        tables.latents.append(_latents_row(columns, result, position))
        if len(tables.sheet) < MAX_SHEET_ROWS:
            tables.sheet.append(Row(stem, np.stack([picture.image, *images])))


def _quality_columns(result: InversionResult, position: int, num_pictures: int) -> dict[str, Any]:
    return {
        "method": result.method,
        "ssim": result.ssim[position].item(),
        "lpips": result.lpips[position].item(),
        "loss": result.loss[position].item(),
        "seconds_per_image": result.seconds / num_pictures,
        "steps": result.num_steps,
    }


def _latents_row(columns: Mapping[str, Any], result: InversionResult, position: int) -> dict[str, Any]:
    ws = result.ws[position].cpu().numpy()
    return {
        **{name: columns[name] for name in ("index", "input_path", "input_sha256", "base_hash", "method", "loss")},
        "learning_rate": result.learning_rate,
        "num_ws": ws.shape[0],
        "w_dim": ws.shape[1],
        "ws": ws.ravel(),
    }


def _write_tables(folder: Path, tables: _Tables, outputs: Sequence[Output], domain: str) -> None:
    write_table(folder / MANIFEST_NAME, tables.manifest, TRANSLATION_SCHEMA)
    write_table(folder / LATENTS_NAME, tables.latents, LATENTS_SCHEMA)
    write_table(folder / REJECTS_NAME, tables.rejects, REJECT_SCHEMA)
    upscale = max(1, MIN_CELL_SIZE // tables.sheet[0].images.shape[1])
    labels = ["input", *(output.variant for output in outputs)]
    save_png(folder / SHEET_NAME, contact_sheet(tables.sheet, labels, upscale=upscale, title=f"to {domain}"))


def _check_place(inputs: Inputs, out_dir: Path) -> None:
    """Refuse to replace a folder that holds the inputs or anything but an earlier translation."""
    if isinstance(inputs, (str, os.PathLike)):
        folder, place = Path(inputs).resolve(), out_dir.resolve()
        if folder.is_relative_to(place) or place.is_relative_to(folder):
            raise DataError(
                f"the results would go to {out_dir}, expected a place outside the pictures in {folder}; "
                "choose another folder for the results"
            )
    if out_dir.exists() and not (
        out_dir.is_dir() and (not any(out_dir.iterdir()) or (out_dir / MANIFEST_NAME).is_file())
    ):
        raise DataError(
            f"{out_dir} is there and is no translation (it has no {MANIFEST_NAME}), expected a new or empty folder, or "
            "an earlier translation to replace; move it away or choose another"
        )
