"""A sheet of translations: input, reconstruction, each system's output, and the true counterpart."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from experiments.paper import paper_paths
from experiments.paper.reproduction.results import Results
from experiments.synthetic.settings import synthetic_of

if TYPE_CHECKING:
    import pandas as pd

    from experiments.paper.truth import DrawnImage

NUM_ROWS = 5


def translation_sheet(results: Results, domain: str) -> np.ndarray:
    """Return the first translated images (not cherry-picked), one per row."""
    from ui2i.contact_sheet import Row, contact_sheet
    from ui2i.tables import TRANSLATION_SCHEMA, read_table
    from ui2i.translation_files import MANIFEST_NAME

    folder = results.project.translations(domain)
    table = read_table(folder / MANIFEST_NAME, TRANSLATION_SCHEMA)
    paths = list(dict.fromkeys(table["input_path"]))[:NUM_ROWS]
    columns = dict(_columns(results, domain, folder, table, paths))
    rows = [Row("", np.stack([images[place] for images in columns.values()])) for place in range(len(paths))]
    return contact_sheet(rows, list(columns))


def _columns(
    results: Results, domain: str, folder: Path, table: "pd.DataFrame", paths: list[str]
) -> Iterator[tuple[str, list[np.ndarray]]]:
    from experiments.paper.stages.baseline import SYSTEM, baseline_images
    from experiments.paper.truth import RECONSTRUCTION

    project, base = results.project, results.params.domains[domain].base
    yield "input", [_read(project.raw(base) / path) for path in paths]
    for variant, rows in table.groupby("variant", sort=False):
        files = dict(zip(rows["input_path"], rows["output_file"], strict=True))
        yield (
            "reconstruction" if variant == RECONSTRUCTION else str(variant),
            [_read(folder / files[path]) for path in paths],
        )
    if paper_paths.baseline(project, domain).is_dir():
        yield SYSTEM, list(baseline_images(paper_paths.baseline(project, domain), paths))
    yield "truth", list(_counterparts(results, domain, base, paths))


def _counterparts(results: Results, domain: str, base: str, paths: list[str]) -> np.ndarray:
    from experiments.paper.truth import draw_images

    drawn = _drawn(results.project.raw(base), paths)
    style, resolution = synthetic_of(results.params)[domain].style, results.params.ingest.img_resolution
    people = [image.attributes for image in drawn]
    return draw_images(people, style, resolution, drawn_resolution=synthetic_of(results.params)[base].resolution)


def _drawn(folder: Path, paths: list[str]) -> "list[DrawnImage]":
    """Return the attributes that some files of a folder were drawn from, without reading all the others."""
    import pyarrow.parquet as pq

    from experiments.paper.truth import DrawnImage
    from experiments.synthetic.procedural import ATTRIBUTES_FILE

    columns = ["file", "style", "seed", "index"]
    rows = {row.pop("file"): row for row in pq.ParquetFile(folder / ATTRIBUTES_FILE).read(columns).to_pylist()}
    return [DrawnImage(**rows[path]) for path in paths]


def _read(path: Path) -> np.ndarray:
    from ui2i.images import load_image

    return np.asarray(load_image(path.read_bytes(), name=path.name))
