"""The results of a reproduction -> DIR/report/reproduction.md, with images, tables and hashes in a folder next to it.

Made from what is there; what has not been measured yet is said to be so.
"""

import argparse
import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.paper import paper_paths
from experiments.paper.reproduction import verdicts
from experiments.paper.reproduction.project import REPORT_FOLDER
from experiments.paper.reproduction.results import Results, read_results
from experiments.paper.reproduction.verdicts import CLAIMS_FILE
from experiments.paper.tables.claims import Claim
from experiments.paper.tables.published import BASELINE_PREFIX, INVERTED, TRUTH_ROWS, TRUTH_SUMMARY, read_published
from tasks.project.paths import PARAMS_FILE, Project, find_project
from tasks.running.command_line import exit_status
from tasks.running.lock_file import LOCK_FILE
from tasks.running.warning_lines import warnings_as_lines
from ui2i.files import atomic_folder, sha256_file, write_text
from ui2i.markdown import wrap_markdown
from ui2i.model_files import GENERATOR_FILE

if TYPE_CHECKING:
    import pyarrow as pa

PAGE_FILE = "reproduction.md"
FILES_FOLDER = "reproduction"
"""Beside the page, as the page links to it."""
COSTS_FILE = "costs.json"
SHEET_BYTES = 20_000  # of a sheet of translations at most


def write_page(project: Project) -> Path:
    """Write the page and the files beside it, all at once, and return the page's path.

    Raises:
        ConfigError: the settings are not valid.
        DataError: a table is damaged.
    """
    results = read_results(project)
    folder = project.root / REPORT_FOLDER
    with atomic_folder(folder) as report:
        files = report / FILES_FOLDER
        files.mkdir()
        _write_files(results, files)
        images = _write_images(results, files)
        claims = read_published(files).claims
        write_text(files / CLAIMS_FILE, verdicts.to_json(claims))
        names = sorted(path.name for path in files.iterdir())
        write_text(report / PAGE_FILE, page_text(results, claims, images, names))
    return folder / PAGE_FILE


def read_claims(project: Project) -> list[dict[str, str]]:
    """Return the claims of the page that was written last; nothing if there is none."""
    path = project.root / REPORT_FOLDER / FILES_FOLDER / CLAIMS_FILE
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else []


def page_text(results: Results, claims: Sequence[Claim], images: Sequence[str], files: Sequence[str]) -> str:
    """Return the page.

    Args:
        claims: what follows from the tables beside it.
        images: names of the images beside it: figures, and translations of a domain.
        files: names of all files beside it.
    """
    from experiments.paper.reproduction import sections

    links = [f"{FILES_FOLDER}/{name}" for name in images]
    of_figures = [link for link in links if Path(link).stem.startswith("figure")]
    parts = [
        sections.head(results),
        verdicts.verdicts(claims),
        "## Table I: model distance\n",
        sections.table_1(results),
        "## Table II: translation\n",
        sections.table_2(results),
        *(sections.translations(link) for link in links if link not in of_figures),
        f"{verdicts.TABLE_3}\n",
        sections.table_3(results.inversions),
        "## Figures 4 to 8\n",
        sections.figures(of_figures),
        "## What it cost\n",
        sections.costs(results),
        "## What made it\n",
        _provenance(results, files),
        verdicts.sceptic(claims),
    ]
    return wrap_markdown("\n".join(parts))


def _provenance(results: Results, files: Sequence[str]) -> str:
    """Return the hashes of what decides the results, and the files beside the page."""
    from ui2i.provenance import code_commit

    root, params = results.project.root, results.params
    deciding = [PARAMS_FILE, LOCK_FILE]
    deciding += [] if params.perceptual.weights is None else [params.perceptual.weights]
    deciding += [f"{imported.checkpoint}/{GENERATOR_FILE}" for imported in params.imported.values()]
    lines = [f"- the page: commit `{code_commit()}`; that of each stage is in the table above"]
    lines += [f"- `{name}`: sha256 `{sha256_file(root / name)}`" for name in deciding if (root / name).is_file()]
    listing = ", ".join(f"[{name}]({FILES_FOLDER}/{name})" for name in files)
    return (
        "\n".join(lines)
        + f"\n\n`{LOCK_FILE}` has the hash of every dataset, model and table of the run. Files: {listing}.\n"
    )


def _write_files(results: Results, folder: Path) -> None:
    """Write the small files: settings, hashes, claims, costs, tables of means."""
    from ui2i.tables import DISTANCE_SCHEMA, EVALUATION_SCHEMA, INVERSION_SCHEMA

    project, tables = results.project, results.project.data_dir / "tables"
    copied = [project.params_path, project.root / LOCK_FILE]
    copied += [*paper_paths.figures(project).glob("*.parquet"), *paper_paths.figures(project).glob("*.json")]
    for path in copied:
        if path.is_file():
            shutil.copyfile(path, folder / path.name)
    schemas = {"distance": DISTANCE_SCHEMA, "evaluation": EVALUATION_SCHEMA}
    for kind in schemas:
        _join_tables(sorted((tables / kind).glob("*.parquet")), folder / f"{kind}.parquet", schemas[kind])
    of_means = [path for path in sorted((tables / "inversion").glob("*.parquet")) if "." not in path.stem]
    _join_tables(of_means, folder / verdicts.INVERSION_MEANS, INVERSION_SCHEMA)
    truth = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((tables / "truth").glob("*.json"))
    }
    _write_json(folder / TRUTH_SUMMARY, truth)
    _write_rows(results, folder)
    _write_json(folder / COSTS_FILE, {stage: dataclasses.asdict(cost) for stage, cost in results.costs.items()})


def _write_rows(results: Results, folder: Path) -> None:
    """Write what the verdicts need image by image."""
    import pandas as pd

    from ui2i.tables import INVERTED_SCHEMA

    truth = {**results.truth, **{f"{BASELINE_PREFIX}{name}": rows for name, rows in results.baseline_truth.items()}}
    columns = ["variant", "metric", "input_path", "distance", "copy_distance"]
    frames = [rows[columns].assign(table=name) for name, rows in truth.items()]
    if frames:
        joined = pd.concat(frames, ignore_index=True)
        floats = dict.fromkeys(joined.select_dtypes("float64"), "float32")
        joined.astype(floats).to_parquet(folder / TRUTH_ROWS, compression="zstd", index=False)
    paths = [paper_paths.inverted_table(results.project, base) for base in results.inversions]
    _join_tables(paths, folder / INVERTED, INVERTED_SCHEMA)


def _join_tables(paths: Sequence[Path], path: Path, schema: "pa.Schema") -> None:
    """Write the rows of tables of one kind, of whatever version, into one file, if there are any."""
    from ui2i.tables import read_rows, write_table

    if paths:
        write_table(path, [row for each in paths for row in read_rows(each, schema)], schema)


def _write_json(path: Path, values: Any) -> None:
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def _write_images(results: Results, folder: Path) -> list[str]:
    """Copy the figures and draw sheets of translations; return their names."""
    from experiments.paper.figures.sheets import save_webp
    from experiments.paper.reproduction.sheets import translation_sheet

    names = []
    for path in sorted(paper_paths.figures(results.project).glob("figure*.webp")):
        shutil.copyfile(path, folder / path.name)
        names.append(path.name)
    for domain in results.truth:
        if (results.project.translations(domain)).is_dir():
            names.append(f"translations-{domain}.webp")
            save_webp(folder / names[-1], translation_sheet(results, domain), max_bytes=SHEET_BYTES)
    return names


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 2 after printing one line `error: ...`."""
    parser = argparse.ArgumentParser(description="Write the page of a reproduction.")
    parser.add_argument("--project", metavar="FOLDER", help="the reproduction (default: this folder)")
    options: Any = parser.parse_args(arguments)

    def work() -> None:
        project = find_project(options.project)
        os.chdir(project.root)
        with warnings_as_lines():
            print(write_page(project))

    return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())
