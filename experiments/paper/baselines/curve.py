r"""How good does a baseline become with the compute that it is given? Rows at marks along a training, resumably.

    python -m experiments.paper.baselines.curve --system cyclegan --project reproduction --base face --domain cartoon \
        --core-minutes 230 --marks 10 80 --out curves

trains for 230 minutes of processor time, and after 10, 80 and 230 of them translates test images, draws a contact sheet
and adds rows to `curves/curve.parquet`: Frechet distances with bootstrap errors, LPIPS_d, LPIPS_s and, of MUNIT and
DRIT++, LPIPS_d among the outputs of one input. `curve.png` shows all rows of the folder. The learning rates of CycleGAN
and DRIT++ fall to zero at the end of the budget and are higher at marks before it (column `rate_factor`); what a
smaller budget buys takes a run of its own. Rerun the command to resume.
"""

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.paper.baselines.curve_table import CURVE_SCHEMA, save_curve
from experiments.paper.baselines.diversity import style_distances
from experiments.paper.baselines.image_sets import ImageSet, check, identity_of, read_images
from experiments.paper.baselines.outputs import NUM_STYLED, sheet
from experiments.paper.baselines.state import Baseline, Images, Settings, settle_precision
from experiments.paper.baselines.systems import SYSTEMS, build, choose_settings
from experiments.paper.baselines.training import train
from tasks.models.evaluation_rows import Measured, Row, ends_of_scale, evaluation_row, run_columns
from tasks.project.params import Params, find_entry, load_params
from tasks.project.paths import find_project
from tasks.running.command_line import exit_status
from tasks.running.progress import report_progress
from ui2i.allocator import keep_freed_memory
from ui2i.datasets.prepared import PreparedDataset
from ui2i.devices import find_device
from ui2i.errors import ConfigError
from ui2i.images import save_png
from ui2i.metrics import image_sets
from ui2i.metrics.efficientnet import load_efficientnet
from ui2i.metrics.evaluation import Embedded, Embedder, embed_set
from ui2i.metrics.moments import estimate
from ui2i.perceptual import Perceptual, load_perceptual
from ui2i.provenance import processor
from ui2i.tables import append_rows, read_rows

TABLE_FILE, PLOT_FILE = "curve.parquet", "curve.png"
NUM_STYLES = 4  # outputs of one input
TOLERANCE = 1.05  # share of a mark up to which a state may be past it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Meter:
    """Measures translations of the test images by one Frechet network."""

    params: Params
    base: str
    domain: str
    target: PreparedDataset
    embedded: Embedded
    test: ImageSet
    perceptual: Perceptual
    frechet: Embedder | None  # None: the perceptual backbone
    device: str

    def row(self, system: str, outputs: Images, **columns: Any) -> Row:
        """Return a row of `CURVE_SCHEMA` of a system's translations of the test images."""
        made, inputs = (image_sets.in_memory(images, self.device) for images in (outputs, self.test.images))
        return self._measured(Measured(system, made, inputs, self.embedded), columns)

    def ends(self) -> Iterator[Row]:
        """Yield rows of what a good and a bad Frechet distance are: of the data and of the inputs."""
        data = image_sets.of_dataset(self.target, self.device)
        inputs = image_sets.in_memory(self.test.images, self.device)
        for end in ends_of_scale(data, self.embedded, inputs, self.params.evaluation.seed):
            yield self._measured(end, {})

    def _measured(self, each: Measured, columns: Row) -> Row:
        seed, start = self.params.evaluation.seed, time.perf_counter()
        found = each.evaluate(self.perceptual, frechet=self.frechet, seed=seed)
        shared = {
            "source_domain": self.base,
            "domain": self.domain,
            "system": each.system,
            "inputs": "images",
            "num_outputs": each.outputs.count,
            "num_targets": each.target.count,
            "img_resolution": self.test.resolution,
            "dataset_hash": self.target.hash,
            "inputs_hash": self.test.sha256,
            "processor": json.dumps(processor(), sort_keys=True),
            "seconds": time.perf_counter() - start,
        }
        run = run_columns(self.params, self.perceptual, None, self.frechet, self.device)
        return evaluation_row(run, found, **shared, **columns)


def run(options: argparse.Namespace) -> None:
    """Train from mark to mark, and add rows at each."""
    marks = _marks(options)
    device = find_device("auto")
    project, out = find_project(options.project), options.out.resolve()
    os.chdir(project.root)  # paths in params.yaml count from there
    params = load_params(project)
    find_entry(params.domains, options.domain, "domains")
    folders = project.prepared(options.base), project.prepared(options.domain)
    source, target = (read_images(folder, "train") for folder in folders)
    test = read_images(folders[0], "test", options.num_test or params.translate.num_images)
    check(source, target, test)
    chosen = {name: getattr(options, name) for name in ("core_minutes", "width", "seed")}
    settings = choose_settings(options.system, source.resolution, **chosen)
    folder = out / _folder_name(options.system, settings)
    settings = settle_precision(settings, device, folder / "state.pt")
    model, identity = build(options.system, settings, device), identity_of(settings, source, target)
    table = out / TABLE_FILE
    _check_images(table, test, PreparedDataset(folders[1], split=None).hash)
    meters: list[Meter] = []
    num_past = 0
    for mark in marks:
        if _has(table, model.system, identity, mark):
            continue
        with report_progress(f"{options.system} {mark:g}") as progress:
            train(
                model,
                source.images,
                target.images,
                settings,
                folder / "state.pt",
                identity=identity,
                until_core_minutes=mark,
                progress=progress,
            )
        if model.processor_seconds / 60 > TOLERANCE * mark:
            print(f"{folder} is past {mark:g} core minutes, which are left out", file=sys.stderr, flush=True)
            num_past += 1
            continue
        meters = meters or list(_meters(options, params, PreparedDataset(folders[1], split=None), test, device))
        save_png(folder / f"sheet-{mark:g}.png", sheet(model, test, model.translate(test.images[:12]), target))
        _measure(table, model, identity, mark, meters)  # last: with its rows a mark is done
        save_curve(out / PLOT_FILE, read_rows(table, CURVE_SCHEMA))
    print(f"{table} has {len(marks) - num_past} of {len(marks)} marks of {folder.name}")


def _folder_name(system: str, settings: Settings) -> str:
    """Return where a training has its state and sheets, beside those of other budgets, seeds and widths."""
    width = "" if settings.width == Settings.width else f"-w{settings.width}"
    return f"{system}-{settings.core_minutes:g}-{settings.seed}{width}"


def _marks(options: argparse.Namespace) -> list[float]:
    """Return the marks in their order, the end among them.

    Raises:
        ConfigError: one is not within the budget.
    """
    for mark in options.marks:
        if not 0 < mark <= options.core_minutes:
            raise ConfigError(
                f"a mark is {mark:g}, expected core minutes above 0 up to --core-minutes, {options.core_minutes:g}; "
                "correct --marks, or raise the budget"
            )
    return sorted({*options.marks, options.core_minutes})


def _check_images(table: Path, test: ImageSet, dataset_hash: str) -> None:
    """Refuse a folder whose curves are of other images: their distances cannot be compared.

    Raises:
        ConfigError: it is one.
    """
    own = (dataset_hash, test.sha256, len(test.images))
    for row in read_rows(table, CURVE_SCHEMA) if table.is_file() else []:
        if row["mark"] is not None and (row["dataset_hash"], row["inputs_hash"], row["num_outputs"]) != own:
            raise ConfigError(
                f"{table} has curves of {row['num_outputs']} images from {row['source_domain']} to {row['domain']}, "
                f"expected {len(test.images)} images of the present data; name another folder with --out"
            )


def _meters(
    options: argparse.Namespace, params: Params, target: PreparedDataset, test: ImageSet, device: str
) -> Iterator[Meter]:
    """Yield one of the backbone's distance, as in the published tables, and one of the product's own network."""
    perceptual = load_perceptual(params.perceptual, device)
    networks: tuple[Embedder | None, ...] = (None, load_efficientnet(device))
    for frechet in networks:
        yield Meter(
            params=params,
            base=options.base,
            domain=options.domain,
            target=target,
            embedded=embed_set(image_sets.of_dataset(target, device), perceptual, frechet=frechet),
            test=test,
            perceptual=perceptual,
            frechet=frechet,
            device=device,
        )


def _measure(table: Path, model: Baseline, identity: str, mark: float, meters: Sequence[Meter]) -> None:
    """Add the rows of a mark, and before the first ones those of the ends of the scale."""
    settings: Settings = model.settings
    outputs = model.translate(meters[0].test.images, seed=settings.seed)
    columns = {
        "mark": mark,
        "core_minutes": model.processor_seconds / 60,
        "budget_core_minutes": settings.core_minutes,
        "kimg": model.num_steps * settings.batch_size / 1000,
        "rate_factor": model.rate_factor(
            1.0 if mark == settings.core_minutes else mark / (settings.core_minutes or mark)
        ),
        "identity": identity,
        **_style_columns(model, meters[0]),
    }
    rows = [] if table.is_file() else [row for meter in meters for row in meter.ends()]
    rows += [meter.row(model.system, outputs, **columns) for meter in meters]
    empty = dict.fromkeys(CURVE_SCHEMA.names)
    append_rows(table, [empty | row for row in rows], CURVE_SCHEMA)


def _style_columns(model: Baseline, meter: Meter) -> Row:
    """Return how much the outputs of one input differ; nothing of a system that makes one."""
    if not model.is_multi_modal:
        return {}
    inputs = meter.test.images[:NUM_STYLED]
    styles = [model.translate(inputs, seed=model.settings.seed + 1000 + number) for number in range(NUM_STYLES)]
    found = estimate(style_distances(np.stack(styles, axis=1), meter.perceptual, meter.device))
    return {"styles_lpips_d": found.mean, "styles_lpips_d_sem": found.sem, "num_styles": NUM_STYLES}


def _has(table: Path, system: str, identity: str, mark: float) -> bool:
    rows = read_rows(table, CURVE_SCHEMA) if table.is_file() else []
    return any((row["system"], row["identity"], row["mark"]) == (system, identity, mark) for row in rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 2 after printing one line `error: ...`."""
    options = _parser().parse_args(arguments)
    keep_freed_memory()
    return exit_status(lambda: run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--system", choices=tuple(SYSTEMS), required=True, help="which baseline")
    add("--project", metavar="FOLDER", help="a project with prepared images of both domains (default: this)")
    add("--base", metavar="NAME", required=True, help="dataset whose test images are translated")
    add("--domain", metavar="NAME", required=True, help="domain into which they are translated")
    add("--core-minutes", metavar="M", type=float, required=True, help="the whole budget, in minutes of one core")
    add("--marks", metavar="M", type=float, nargs="*", default=[], help="core minutes before the end to measure at")
    add("--width", type=int, help="channels of the first layer (default: 32)")
    add("--seed", type=int, help="seed of the training (default: 0)")
    add("--num-test", metavar="N", type=int, help="test images (default: translate.num_images of params.yaml)")
    add("--out", metavar="DIR", type=Path, required=True, help="output folder, for tables, sheets and states")
    return parser


if __name__ == "__main__":
    sys.exit(main())
