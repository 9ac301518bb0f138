"""Stage pair@: two domains' models -> their distances in equal modes in data/tables/distance/pair.<name>.parquet."""

import sys
import time

from experiments.paper import paper_paths
from experiments.paper.settings import pair_modes, sections_of
from tasks.project.params import Params
from tasks.running.rates import GENERATED
from tasks.running.stage_cli import Job, Stage, default_device, main


def work(job: Job) -> None:
    """Measure a pair of domains (paper, Eq. 1; Table I, cartoon2metface): FT with FT, FC-FT with FC-FT, and so on."""
    from experiments.paper.settings import pair_modes
    from tasks.models.distance_rows import distance_rows
    from tasks.models.domain_models import named_model
    from tasks.project.params import find_entry
    from ui2i.metrics.model_distance import model_distances
    from ui2i.perceptual import load_perceptual
    from ui2i.tables import DISTANCE_SCHEMA, append_rows

    pair, device = find_entry(sections_of(job.params).pairs, job.name, "pairs"), default_device()
    pairs = [(f"{pair.source}/{mode}", f"{pair.target}/{mode}") for mode in pair_modes(job.params, job.name)]
    models = {
        name: named_model(job.project, job.params, name, device=device)
        for both in zip(*pairs, strict=True)
        for name in both
    }
    perceptual = load_perceptual(job.params.perceptual, device)
    start = time.perf_counter()
    distances = model_distances(
        {name: model.generator for name, model in models.items()},
        perceptual,
        job.params.distance,
        pairs=pairs,
        progress=job.progress,
        state_file=job.project.unfinished_distances(f"pair.{job.name}"),
    )
    seconds = time.perf_counter() - start
    rows = distance_rows(
        distances, models, job.params.distance, perceptual, domain=job.name, device=device, seconds=seconds
    )
    append_rows(paper_paths.pair_table(job.project, job.name), rows, DISTANCE_SCHEMA)


def estimate(params: Params, name: str, _num_images: int) -> float:
    """Return the seconds that it takes on two cores."""
    return 2 * len(pair_modes(params, name)) * params.distance.num_latents / GENERATED


STAGE = Stage(
    name="pair",
    summary="Measure the distances between two domains' models of the same modes; pairs.NAME names the domains.",
    option="pair",
    output=paper_paths.pair_table,
    work=work,
    estimate=estimate,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
