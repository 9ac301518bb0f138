"""Stage distance@: a domain's models -> rows in data/tables/distance/<domain>.parquet, a summary and a sheet."""

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from tasks.project.params import Params, num_models
from tasks.project.paths import Project
from tasks.running.rates import GENERATED
from tasks.running.stage_cli import Job, Stage, default_device, main

if TYPE_CHECKING:
    from ui2i.metrics.model_distance import PairDistance
    from ui2i.perceptual import Perceptual


def work(job: Job) -> None:
    """Measure the base, every mode and every variant of a domain against each other (paper, Eq. 1, Table I)."""
    from tasks.models.distance_rows import distance_rows
    from tasks.models.domain_models import base_model, target_models
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
    distances = model_distances(
        generators,
        perceptual,
        job.params.distance,
        progress=job.progress,
        state_file=job.project.unfinished_distances(job.name),
    )
    rows = distance_rows(
        distances,
        {model.name: model for model in models},
        job.params.distance,
        perceptual,
        domain=job.name,
        device=device,
        seconds=time.perf_counter() - start,
    )
    sheet = shared_latents_sheet(generators, title="The same latents in every model, psi 1")
    save_png(job.project.shared_samples(job.name), sheet)
    append_rows(job.project.distance_table(job.name), rows, DISTANCE_SCHEMA)
    summary = _summary(base.name, distances, perceptual)
    write_text(job.project.distance_summary(job.name), json.dumps(summary, indent=2) + "\n")


def _summary(base_name: str, distances: "list[PairDistance]", perceptual: "Perceptual") -> dict[str, Any]:
    """Distances from the base alone, for `dvc metrics`."""
    return {
        "backbone": perceptual.name,
        "num_latents": distances[0].num_latents,
        f"from_{base_name}": {
            pair.target: {"mean": pair.mean, "sem": pair.sem} for pair in distances if pair.source == base_name
        },
    }


def estimate(params: Params, name: str, _num_images: int) -> float:
    """Return the seconds that it takes on two cores."""
    return num_models(params, name) * params.distance.num_latents / GENERATED


STAGE = Stage(
    name="distance",
    summary="Measure the model distance between every pair of the domain NAME's models: base, modes and variants.",
    option="domain",
    output=Project.distance_table,
    work=work,
    estimate=estimate,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
