"""Stage evaluate@: what a domain's models make of the base's images -> data/tables/evaluation/<domain>.parquet.

The inputs are images that the base generates from random latents; the outputs are what each model generates from the
same latents. No inversion comes between the models and the numbers, and thousands of images take a minute. `ui2i
evaluate` evaluates translations of real images, and those of other systems.
"""

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from tasks.project.params import Params, num_models
from tasks.project.paths import Project
from tasks.running.rates import EVALUATED, GENERATED
from tasks.running.stage_cli import Job, Stage, default_device, main

if TYPE_CHECKING:
    from torch import Tensor

    from ui2i.metrics.image_sets import ImageSet
    from ui2i.networks.generator import Generator


def work(job: Job) -> None:
    """Evaluate every mode and every variant of a domain by its outputs (paper, Table II)."""
    from tasks.models.domain_models import Model, base_model, target_models
    from tasks.models.evaluation_rows import (
        NUM_ENDS,
        Measured,
        ends_of_scale,
        evaluation_row,
        find_frechet,
        find_inception,
        run_columns,
    )
    from tasks.running.progress import part_of
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.files import sha256_file, write_text
    from ui2i.metrics.evaluation import embed_set
    from ui2i.metrics.image_sets import of_dataset
    from ui2i.perceptual import load_perceptual
    from ui2i.samples import sample_latents
    from ui2i.tables import EVALUATION_SCHEMA, append_rows

    device, settings = default_device(), job.params.evaluation
    base = base_model(job.project, job.params, job.name, device=device)
    models = target_models(job.project, job.params, job.name, device=device)
    perceptual = load_perceptual(job.params.perceptual, device)
    inception = find_inception(job.project, job.params, device)
    frechet = find_frechet(job.params, device)
    dataset = PreparedDataset(job.project.prepared(job.name), split=None)
    data = of_dataset(dataset, device)
    z = sample_latents(settings.seed, settings.num_images, base.generator.config.z_dim)
    inputs = outputs_of(base.generator, z, settings.truncation_psi, device)
    count = len(models) + (0 if frechet is None else NUM_ENDS) + 1
    target = embed_set(data, perceptual, inception, frechet=frechet, progress=part_of(job.progress, 0, count, ""))
    made: list[tuple[Measured, Model | None]] = [
        (
            Measured(model.card.mode, outputs_of(model.generator, z, settings.truncation_psi, device), inputs, target),
            model,
        )
        for model in models
    ]
    if frechet is not None:
        made += [(end, None) for end in ends_of_scale(data, target, inputs, settings.seed)]
    run, rows = run_columns(job.params, perceptual, inception, frechet, device), []
    for place, (measured, model) in enumerate(made):
        start = time.perf_counter()
        evaluation = measured.evaluate(
            perceptual,
            inception,
            frechet=frechet,
            seed=settings.seed,
            progress=part_of(job.progress, place + 1, count, measured.system),
        )
        own = {
            "source_domain": base.domain,
            "domain": job.name,
            "system": measured.system,
            "inputs": "generated",
            "num_outputs": measured.outputs.count,
            "num_targets": measured.target.count,
            "truncation_psi": None if measured.inputs is None else settings.truncation_psi,
            "img_resolution": base.generator.config.img_resolution,
            "checkpoint_hash": None if model is None else sha256_file(model.path),
            "base_hash": sha256_file(base.path),
            "dataset_hash": dataset.hash,
            "seconds": time.perf_counter() - start,
        }
        rows.append(evaluation_row(run, evaluation, **own))
    append_rows(job.project.evaluation_table(job.name), rows, EVALUATION_SCHEMA)
    write_text(job.project.evaluation_summary(job.name), json.dumps(_summary(rows), indent=2) + "\n")


def outputs_of(generator: "Generator", z: "Tensor", truncation_psi: float, device: str) -> "ImageSet":
    """Return what a generator makes of latent codes z, with its stored noise maps."""
    from ui2i.metrics.image_sets import generated

    return generated(z, lambda batch: generator(batch, truncation_psi=truncation_psi, noise_mode="const"), device)


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the values by system, for `dvc metrics`."""
    names = ("fid", "kid", "fd", "fd_sem", "kd", "lpips_d", "lpips_s")
    systems = {row["system"]: {name: row[name] for name in names if row[name] is not None} for row in rows}
    networks = {name: rows[0][name] for name in ("backbone", "fd_network") if rows[0][name] is not None}
    return {**networks, "num_outputs": rows[0]["num_outputs"], "systems": systems}


def estimate(params: Params, name: str, num_images: int) -> float:
    """Return the seconds that it takes on two cores."""
    return num_models(params, name) * params.evaluation.num_images / GENERATED + num_images / EVALUATED


STAGE = Stage(
    name="evaluate",
    summary="Evaluate the outputs of the domain NAME's models: fidelity to the domain's images, diversity, "
    "similarity to the inputs.",
    option="domain",
    output=Project.evaluation_table,
    work=work,
    estimate=estimate,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
