"""Translate images into a folder of results: D_t = G_t(Inv(D_s, G_s)) (paper, Eq. 4), for several targets at once.

The folder appears complete or not at all. It holds, for each image,

    <stem>-reconstruction.png              G_s(Inv(D_s)): what the latent code kept of the image
    <stem>-<variant>.png                   one a target
    <stem>-<variant>-style<k>.png          the same with sampled appearance k (Eq. 10)
    <stem>-<variant>-reference<k>.png      with the appearance of reference image k
    <stem>-<variant>-direction<d><+s>.png  moved by s along semantic direction d

and for all of them `contact_sheet.png`, `manifest.parquet` (a row for each of these files), `latents.parquet` (the
latent code of each image) and `rejects.parquet` (the files that could not be read, as in a prepared dataset). Where the
folder of inputs had more that is left out, `left-out.json` says what.

Nearly all time goes into codes. These are kept in a store as soon as they are found, so that a run that was killed goes
on behind its last batch, and so that other targets, styles or edits of the same images need none of it again.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from ui2i.contact_sheet import Row, contact_sheet
from ui2i.datasets.manifest import REJECT_SCHEMA, REJECTS_NAME
from ui2i.domain_check import DomainCheck, Verdict, refuse
from ui2i.errors import ConfigError
from ui2i.files import atomic_folder
from ui2i.images import save_png, to_uint8
from ui2i.images.framing import CENTERED, Framer
from ui2i.images.left_out import write_left_out
from ui2i.images.sources import check_destination
from ui2i.inversion import LATENTS_SCHEMA, Encoder, Inverter, Latent, stack_latents
from ui2i.layer_swap import FeatureSwappedGenerator
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.progress import Progress, no_progress
from ui2i.provenance import code_commit
from ui2i.settings import InversionConfig
from ui2i.tables import TRANSLATION_SCHEMA, write_table
from ui2i.translation.inputs import (
    Inputs,
    Listing,
    NamedImages,
    Reject,
    SourceImage,
    StemNamer,
    list_inputs,
    readable_batches,
)
from ui2i.translation.outputs import Output, TranslationConfig, plan_outputs
from ui2i.translation.references import find_references
from ui2i.translation.written import written_names
from ui2i.translation_files import (
    LATENTS_NAME,
    LEFT_OUT_NAME,
    MANIFEST_NAME,
    MAX_SHEET_ROWS,
    MIN_CELL_SIZE,
    SHEET_NAME,
)


@dataclasses.dataclass
class _Tables:
    """Rows and sheet as they grow."""

    manifest: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    latents: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    rejects: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    sheet: list[Row] = dataclasses.field(default_factory=list)

    def reject(self, entry: Reject) -> None:
        self.rejects.append(dataclasses.asdict(entry))


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
    source_domain: str | None = None,
    config: TranslationConfig | None = None,
    framer: Framer = CENTERED,
    references: Inputs | None = None,
    reference_generator: Generator | None = None,
    encoder: Encoder | None = None,
    encoder_hash: str | None = None,
    store: Path | None = None,
    force: bool = False,
    check: DomainCheck | None = None,
    is_strict: bool = False,
    progress: Progress = no_progress,
) -> list[dict[str, Any]]:
    """Invert each image once in the source model and generate it with every target; see the module for the files.

    Images are read, inverted and written `inversion_config.batch_size` at a time, so a folder may be larger than the
    memory. A file that is no readable image is listed in `rejects.parquet` and passed over.

    Args:
        inputs: a folder, a list of files, or `NamedImages`.
        source: model of the images' domain, in which they are inverted.
        targets: variant -> model of the same family; the variant is part of file names.
        out_dir: made anew; an earlier result there is replaced once the new one is complete.
        domain: the target domain's name, for the manifest.
        source_hash: SHA-256 of the source's checkpoint.
        target_hashes: the same for each variant.
        source_domain: the source's name, for the manifest.
        config: what is made of every latent code; None: the plain translation.
        framer: cuts the squares of `inputs` and `references`; those of the source's training (`ui2i.images.framing`).
        references: images of the target domain whose appearance further versions take on.
        reference_generator: model of the target domain in which they are inverted; None: the first target.
        encoder: of the source, for the settings of inversion that need one; with its file's hash.
        store: folder of latent codes found before and now; None: latent codes are found anew.
        force: translate with models of another family.
        check: tells whether the images look like the source's; None: nobody does.
        is_strict: refuse all if one does not, before anything is inverted or written.
        progress: counts images times inversion steps.

    Returns:
        The rows of `manifest.parquet` (`tables.TRANSLATION_SCHEMA`), image by image, reconstruction first.

    Raises:
        DataError: there are no (readable) images, `out_dir` holds anything but a translation, or an image is
            unlike the source's and `is_strict` refuses that.
        ConfigError: a variant cannot be part of a file name or has no hash, a number is out of range, or there is no
            encoder.
        CheckpointError: a target is of another family than the source.

    Examples:
        >>> from ui2i.perceptual import load_perceptual
        >>> from ui2i.settings import NetworkConfig, PerceptualConfig
        >>> tiny = NetworkConfig(img_resolution=32, w_dim=32, channel_max=16)
        >>> source = Generator(tiny).requires_grad_(False)
        >>> rows = translate_folder(
        ...     NamedImages(names=["me.png"], images=np.zeros((1, 32, 32, 3), np.uint8)),
        ...     source,
        ...     {"FC-FT": Generator(tiny).requires_grad_(False)},
        ...     load_perceptual(PerceptualConfig(backbone="random")),
        ...     InversionConfig(num_steps=2),
        ...     "translated",
        ...     domain="cartoon",
        ...     source_hash="of the source's file",
        ...     target_hashes={"FC-FT": "of the target's file"},
        ...     force=True,  # two random models are no family
        ... )
        >>> [row["output_file"] for row in rows]
        ['me-reconstruction.png', 'me-FC-FT.png']
    """
    out_dir, config = Path(out_dir), config or TranslationConfig()
    named = () if isinstance(inputs, NamedImages) else inputs
    check_destination(named, out_dir, MANIFEST_NAME, "translation", written_names)
    # Whatever can be refused is refused before the first latent code is searched for.
    plan = {"source_hash": source_hash, "target_hashes": target_hashes, "config": config, "force": force}
    plan_outputs(source, targets, seed=inversion_config.seed, **plan)  # type: ignore[arg-type]
    with list_inputs(inputs, source.config.img_resolution, framer) as listing:
        if check is not None and is_strict:
            _refuse_unlike(listing, check, inversion_config.batch_size)
        found = find_references(
            references,
            reference_generator or plain_model(next(iter(targets.values())), references),
            perceptual,
            inversion_config,
            framer=framer,
            store=store,
        )
        outputs = plan_outputs(source, targets, seed=inversion_config.seed, references=found, **plan)  # type: ignore[arg-type]
        inverter = Inverter(
            source,
            perceptual,
            inversion_config,
            base_hash=source_hash,
            encoder=encoder,
            encoder_hash=encoder_hash,
            store=store,
        )
        steps = 1 if inversion_config.method == "encoder" else inversion_config.num_steps
        advance, tables = _Advance(listing.count, steps, progress), _Tables()
        names = {"domain": domain, "source_domain": source_domain, "backbone": perceptual.name}
        with atomic_folder(out_dir) as folder:
            writer = _Writer(folder, outputs, framer, inverter.columns, names, tables)
            for source_images in readable_batches(listing, inversion_config.batch_size, tables.reject):
                images = np.stack([source_image.image for source_image in source_images])
                advance.settled, advance.num_images = len(tables.rejects) + len(tables.latents), len(source_images)
                latents = inverter.find(images, progress=advance)
                verdicts = _verdicts(check, images, latents, inverter.columns)
                writer.write(source_images, latents, verdicts, *stack_latents(latents, source))
                advance(1, 1, f"{inverter.num_reused} codes were at hand" if inverter.num_reused else "")
            if check is not None and is_strict:
                _refuse_lossy(tables, check)
            _write_tables(folder, tables, outputs, domain)
            write_left_out(folder / LEFT_OUT_NAME, listing.left_out)
    return tables.manifest


def plain_model(target: Generator, references: Inputs | None) -> Generator:
    """Return the model in which references are inverted where none is named.

    Raises:
        ConfigError: it is a feature swap, which has no layers of its own.
    """
    if references is not None and isinstance(target, FeatureSwappedGenerator):
        raise ConfigError(
            "the first target is a feature swap, expected a model to invert in; name a reference_generator"
        )
    return target


def _refuse_unlike(listing: Listing, check: DomainCheck, batch_size: int) -> None:
    """Raise DataError if images do not look like the source's."""
    marked: list[str] = []
    for batch in readable_batches(listing, batch_size):
        distances = check.distances(np.stack([source_image.image for source_image in batch]))
        marked += [image.path for image, distance in zip(batch, distances, strict=True) if distance > 1]
    refuse(marked, listing.count, check.source, f"do not look like what {check.source} was trained on")


def _refuse_lossy(tables: "_Tables", check: DomainCheck) -> None:
    """Raise DataError if images were reconstructed worse than the source's own."""
    worse = {row["index"]: row["input_path"] for row in tables.manifest if row["reconstructs_as_source"] is False}
    refuse(list(worse.values()), len(tables.latents), check.source, "are reconstructed worse than its own")


def _verdicts(
    check: DomainCheck | None,
    images: UInt8[np.ndarray, "n r r 3"],
    latents: Sequence[Latent],
    inverted_with: Mapping[str, Any],
) -> list[Verdict]:
    if check is None:
        return [Verdict()] * len(images)
    return check.verdicts(check.distances(images), [latent.ssim for latent in latents], inverted_with)


@dataclasses.dataclass
class _Advance:
    """Turns a batch's progress into that of the whole listing, in images times steps."""

    num_listed: int
    num_steps: int  # of one image
    progress: Progress
    settled: int = 0  # images before the batch, unreadable ones among them
    num_images: int = 0  # in the batch

    def __call__(self, done: int, total: int, note: str = "") -> None:
        steps = self.num_images * self.num_steps * done // max(1, total)
        self.progress(self.settled * self.num_steps + steps, self.num_listed * self.num_steps, note)


class _Writer:
    """Generates and saves the outputs of a batch, and adds their rows."""

    def __init__(
        self,
        folder: Path,
        outputs: Sequence[Output],
        framer: Framer,
        inverted_with: Mapping[str, Any],
        names: Mapping[str, str | None],
        tables: _Tables,
    ) -> None:
        self._folder = folder
        self._outputs = outputs
        self._framing = framer.framing
        self._inverted_with = inverted_with
        shared = ("base_hash", "method", "start", "encoder_hash", "backbone_hash")
        self._shared = {**names, **{name: inverted_with[name] for name in shared}, "commit": code_commit()}
        self._tables = tables
        self._namer = StemNamer([output.file_ending for output in outputs], reserved=[SHEET_NAME])

    def write(
        self,
        source_images: Sequence[SourceImage],
        latents: Sequence[Latent],
        verdicts: Sequence[Verdict],
        ws: Tensor,
        noise: Sequence[Tensor] | None,
    ) -> None:
        """Write a batch, whose latent codes and noise maps are given once image by image and once together."""
        generated = [to_uint8(output.generate(ws, noise)) for output in self._outputs]
        for place, (source_image, latent) in enumerate(zip(source_images, latents, strict=True)):
            row = {**self._shared, **_columns(source_image, latent, self._framing), **verdicts[place].columns()}
            self._write_image(source_image, [images[place] for images in generated], row, verdicts[place])
            of_image = {name: row[name] for name in ("index", "input_path", "input_sha256")}
            self._tables.latents.append({**self._inverted_with, **of_image, **latent.row()})

    def _write_image(
        self, source_image: SourceImage, images: Sequence[np.ndarray], columns: Mapping[str, Any], verdict: Verdict
    ) -> None:
        stem = self._namer.name(source_image.path)
        for output, image in zip(self._outputs, images, strict=True):
            output_file = f"{stem}{output.file_ending}"
            save_png(self._folder / output_file, image)
            self._tables.manifest.append({**columns, **output.columns(), "output_file": output_file})
        if len(self._tables.sheet) < MAX_SHEET_ROWS:
            label = f"{stem}\n{verdict.label}" if verdict.label else stem
            shown = np.stack([source_image.image, *images])
            self._tables.sheet.append(Row(label, shown, is_marked=verdict.is_marked))


def _columns(source_image: SourceImage, latent: Latent, framing: str) -> dict[str, Any]:
    """Return what an image's rows of the manifest have in common."""
    width, height = source_image.size or (None, None)
    return {
        "index": source_image.index,
        "input_path": source_image.path,
        "input_sha256": source_image.sha256,
        "input_width": width,
        "input_height": height,
        "framing": None if source_image.size is None else framing,
        "ssim": latent.ssim,
        "lpips": latent.lpips,
        "loss": latent.loss,
        "seconds_per_image": latent.seconds,
        "steps": latent.steps,
        "latent_sha256": latent.sha256,
    }


def _write_tables(folder: Path, tables: _Tables, outputs: Sequence[Output], domain: str) -> None:
    write_table(folder / MANIFEST_NAME, tables.manifest, TRANSLATION_SCHEMA)
    write_table(folder / LATENTS_NAME, tables.latents, LATENTS_SCHEMA)
    write_table(folder / REJECTS_NAME, tables.rejects, REJECT_SCHEMA)
    upscale = max(1, MIN_CELL_SIZE // tables.sheet[0].images.shape[1])
    labels = ["input", *(output.variant for output in outputs)]
    save_png(folder / SHEET_NAME, contact_sheet(tables.sheet, labels, upscale=upscale, title=f"to {domain}"))
