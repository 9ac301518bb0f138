"""Stage distance@: a domain's models -> rows in data/tables/distance/<domain>.parquet, a summary and a sheet beside."""

import dataclasses
import json
import sys
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks.project import Project
from tasks.stage_cli import Job, Stage, default_device, main

if TYPE_CHECKING:
    from tasks.domain_models import Model
    from ui2i.metrics.model_distance import PairDistance
    from ui2i.perceptual import Perceptual


def work(job: Job) -> None:
    """Measure the base, every mode and every variant of a domain against each other (paper, Eq. 1, Table I)."""
    from tasks.domain_models import base_model, target_models
    from ui2i.files import write_text
    from ui2i.images import save_png
    from ui2i.metrics.model_distance import model_distances
    from ui2i.perceptual import load_perceptual
    from ui2i.samples import shared_latents_sheet
    from ui2i.tables import DISTANCE_SCHEMA, append_rows

    device = default_device()
    base = base_model(job.project, job.params, job.name, device=device)
    models = [base, *target_models(job.project, job.params, job.name, device=device)]
    generators = {model.name: model.generator for model in models}
    perceptual = load_perceptual(job.params.perceptual, device)
    start = time.perf_counter()
    distances = model_distances(generators, perceptual, job.params.distance, progress=job.progress)
    run = _run_columns(job, perceptual, device, time.perf_counter() - start)
    by_name = {model.name: model for model in models}
    rows = [run | _pair_columns(by_name[pair.source], by_name[pair.target], pair) for pair in distances]
    sheet = shared_latents_sheet(generators, title="The same latents in every model, psi 1")
    save_png(job.project.shared_samples(job.name), sheet)
    append_rows(job.project.distance_table(job.name), rows, DISTANCE_SCHEMA)
    summary = _summary(base.name, distances, perceptual)
    write_text(job.project.distance_summary(job.name), json.dumps(summary, indent=2) + "\n")


def _run_columns(job: Job, perceptual: "Perceptual", device: str, seconds: float) -> dict[str, Any]:
    """Columns that all rows of one measurement share."""
    from ui2i.provenance import provenance

    config, made = job.params.distance, provenance(device)
    return {
        "run_id": uuid.uuid4().hex,
        "measured_at": datetime.now(UTC),
        "domain": job.name,
        "seed": config.seed,
        "truncation_psi": config.truncation_psi,
        "noise_mode": config.noise_mode,
        "trunk": perceptual.name,
        "trunk_hash": perceptual.weights_hash,
        "commit": made["commit"],
        "device": device,
        "seconds": seconds,
        "versions": json.dumps(made["versions"], sort_keys=True),
    }


def _pair_columns(source: "Model", target: "Model", pair: "PairDistance") -> dict[str, Any]:
    from ui2i.checkpoints import file_hash
    from ui2i.layer_swap import swapped_share

    values = dataclasses.asdict(pair)
    del values["values"]
    network, swap_resolution = target.generator.config, target.card.swap_resolution
    return values | {
        "source_domain": source.domain,
        "target_domain": target.domain,
        "mode": target.card.mode,
        "swap_resolution": swap_resolution,
        "swapped_share": None if swap_resolution is None else swapped_share(network, swap_resolution),
        "img_resolution": network.img_resolution,
        "source_hash": file_hash(source.path),
        "target_hash": file_hash(target.path),
        "dataset_hash": target.card.dataset_hash,
    }


def _summary(base_name: str, distances: "list[PairDistance]", perceptual: "Perceptual") -> dict[str, Any]:
    """Distances from the base alone, for `dvc metrics`."""
    return {
        "trunk": perceptual.name,
        "num_latents": distances[0].num_latents,
        f"from_{base_name}": {
            pair.target: {"mean": pair.mean, "sem": pair.sem} for pair in distances if pair.source == base_name
        },
    }


STAGE = Stage(
    name="distance",
    summary="Measure the model distances of the domain NAME: its base, its modes and its variants, every pair.",
    option="domain",
    output=Project.distance_table,
    work=work,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
