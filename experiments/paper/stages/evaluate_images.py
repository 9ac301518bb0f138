"""Stage evaluate_images@: translations of images -> rows of Table II in data/tables/evaluation/images.<domain>.parquet.

Like `evaluate@`, but it evaluates the images in data/translations, which were inverted first: the paper's
protocol, and the one by which other systems can be compared.
"""

import sys

from experiments.paper import paper_paths
from tasks.project.params import Params
from tasks.running.rates import EVALUATED
from tasks.running.stage_cli import Job, Stage, main


def work(job: Job) -> None:
    """Evaluate every variant's translations (paper, Table II)."""
    from tasks.project.params import find_entry
    from tasks.requests.evaluate_folder import evaluate_folder
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.tables import EVALUATION_SCHEMA, write_table

    base = find_entry(job.params.domains, job.name, "domains").base
    rows = evaluate_folder(
        job.project,
        job.project.translations(job.name),
        job.name,
        inputs=PreparedDataset(job.project.prepared(base), split=None),
        progress=job.progress,
    )
    write_table(paper_paths.image_evaluation(job.project, job.name), rows, EVALUATION_SCHEMA)


def estimate(params: Params, _name: str, num_images: int) -> float:
    """Return the seconds that it takes on two cores."""
    num_outputs = (1 + len(params.swap.resolutions)) * params.translate.num_images
    return (num_outputs + num_images) / EVALUATED


STAGE = Stage(
    name="evaluate_images",
    summary="Evaluate the translations of images to the domain NAME: fidelity, diversity, similarity to the input.",
    option="domain",
    output=paper_paths.image_evaluation,
    work=work,
    estimate=estimate,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
