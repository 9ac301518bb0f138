"""Turn images of any kind into a prepared dataset: square, one size, split, checked, reproducible.

Every image is framed and resized. What cannot be used is listed with its reason instead of stopping the work, unless
it is too large a share. The result depends on the images, the settings and the versions of the decoders alone: not a
byte of it on the number of workers, on the time, on the order in which a file system lists files, or on whether an
earlier dataset in the same place was taken up.

The parts are in `ui2i.datasets.ingestion`: `sources` lists files, `examine` checks one and frames it, `workers` does so
in several processes, `builder` finds duplicates and writes.
"""

import contextlib
import dataclasses
import os
from pathlib import Path

from ui2i.datasets.ingestion.builder import DatasetBuilder, recorded_settings
from ui2i.datasets.ingestion.examine import Examined, Examiner, processing_record
from ui2i.datasets.ingestion.reuse import EarlierDataset, open_earlier
from ui2i.datasets.ingestion.splits import split_of as split_of
from ui2i.datasets.ingestion.workers import examine_all, read
from ui2i.datasets.manifest import MANIFEST_NAME, SHARD_SIZE, Manifest, written_names
from ui2i.files import atomic_folder
from ui2i.images.landmarks import Detector, open_detector
from ui2i.images.members import Member, Source
from ui2i.images.sources import Images, check_destination, describe, open_source
from ui2i.progress import Progress, no_progress
from ui2i.settings import IngestConfig


def ingest(
    source: Images,
    out_dir: str | os.PathLike[str],
    config: IngestConfig,
    *,
    name: str,
    progress: Progress = no_progress,
    num_workers: int | None = None,
    detector: Detector | None = None,
    reuse: bool = True,
) -> Manifest:
    """Write the prepared dataset of a folder (with its subfolders), an archive, or a list of files.

    Files count as images by their suffix, those of a list in any case; hidden ones are passed over. Archives are not
    unpacked under the names in them. The output is complete or absent: it replaces an earlier prepared dataset at once,
    at the end.

    Args:
        source: a folder, a .zip, a .tar (also .gz, .bz2, .xz), a .parquet with a column of images, a .txt with a path
            a line, or a sequence of paths.
        out_dir: a new folder, an empty one, or an earlier prepared dataset, of which what still holds is taken over.
        config: `max_images` ends the work after that many accepted images in the order of their paths.
        name: the dataset's name in its manifest.
        num_workers: processes; None: one per processor, at most 8, and only this one for few files. Has no influence on
            the result. A script that asks for more than one needs `if __name__ == "__main__":`.
        detector: for the framing `face`; None: what `config.face_landmarks` names.
        reuse: examine only files that an earlier dataset in `out_dir` does not know.

    Raises:
        DataError: the source is missing, cannot be read, or is without usable images; too large a share of its
            images was rejected; or `out_dir` holds anything else or overlaps the source.
        ConfigError: the framing `face` has nothing that finds faces.
    """
    out_path = Path(out_dir)
    check_destination(source, out_path, MANIFEST_NAME, "prepared dataset", written_names)
    if config.framing == "face" and detector is None:
        detector = open_detector(config.face_landmarks)
    processing = processing_record(config, detector)
    earlier = open_earlier(out_path, recorded_settings(config), processing) if reuse else None
    with contextlib.ExitStack() as stack:
        if earlier is not None:
            stack.callback(earlier.close)
        opened = stack.enter_context(open_source(source, workspace=out_path.absolute().parent, progress=progress))
        examiner = Examiner(config, detector, known={} if earlier is None else earlier.known)
        folder = stack.enter_context(atomic_folder(out_path))
        builder = DatasetBuilder(folder, config, SHARD_SIZE)
        stack.callback(builder.abandon)
        _examine_into(builder, opened, examiner, earlier, num_workers, progress)
        return builder.finish(
            name=name,
            where=describe(source),
            passed_over=opened.passed_over,
            processing=processing,
            read=lambda number: read(opened, opened.members[number]).data or None,
        )


def _examine_into(
    builder: DatasetBuilder,
    source: Source,
    examiner: Examiner,
    earlier: EarlierDataset | None,
    num_workers: int | None,
    progress: Progress,
) -> None:
    """Pass every file, examined, to the builder, until there are enough images; the last file is taken whole."""
    afresh = dataclasses.replace(examiner, known={})

    def examine(member: Member) -> Examined:
        return afresh(read(source, member))

    with contextlib.closing(examine_all(source, examiner, num_workers)) as examined:
        for member, file in examined:
            if file.is_known:
                assert earlier is not None  # only an earlier dataset knows files
                file = earlier.recall(file.path, file.num_bytes)
            builder.add(file, lambda member=member: examine(member))  # type: ignore[misc]
            progress(builder.num_files, len(source.members), file.path)
            if (limit := examiner.config.max_images) is not None and builder.num_images >= limit:
                return
