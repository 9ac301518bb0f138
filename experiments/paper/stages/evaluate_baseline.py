"""Stage evaluate_baseline@: a baseline's outputs -> its row of Table II, and how near they come to the truth.

Both as for the domain's own models and on the same images, so that a row stands beside the others and differences can
be taken image by image.
"""

import dataclasses
import sys

from experiments.paper import paper_paths
from experiments.paper.settings import sections_of
from experiments.paper.stages.evaluate_images import estimate
from tasks.project.params import find_entry
from tasks.running.stage_cli import Job, Stage, main


def work(job: Job) -> None:
    """Evaluate a baseline's translations (paper, Table II, and the ground truth)."""
    from experiments.paper.stages.baseline import CARD_FILE, IMAGES_FOLDER, SYSTEM, baseline_images
    from experiments.paper.stages.truth import load, write_truth
    from tasks.requests.evaluate_folder import evaluate_folder
    from tasks.running.progress import part_of
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.files import sha256_file
    from ui2i.tables import EVALUATION_SCHEMA, write_table

    sections = sections_of(job.params)
    settings, baselines = sections.truth[job.name], find_entry(sections.baselines, job.name, "baselines")
    folder = paper_paths.baseline(job.project, job.name)
    rows = evaluate_folder(
        job.project,
        folder / IMAGES_FOLDER,
        job.name,
        name=SYSTEM,
        inputs=PreparedDataset(job.project.prepared(baselines.base), split=None),
        with_ends=False,
        progress=part_of(job.progress, 0, 2, SYSTEM),
    )
    cases = load(job, settings)
    cases = dataclasses.replace(
        cases,
        outputs={SYSTEM: baseline_images(folder, cases.input_paths)},
        checkpoint_hashes=cases.checkpoint_hashes | {SYSTEM: sha256_file(folder / CARD_FILE)},
    )
    second_half = dataclasses.replace(job, progress=part_of(job.progress, 1, 2, ""))
    write_truth(second_half, cases, settings, paper_paths.baseline_truth(job.project, job.name))
    write_table(paper_paths.baseline_evaluation(job.project, job.name), rows, EVALUATION_SCHEMA)


STAGE = Stage(
    name="evaluate_baseline",
    summary="Evaluate the translations of the domain NAME's baseline: its row of Table II, and the ground truth.",
    option="domain",
    output=paper_paths.baseline_evaluation,
    work=work,
    estimate=estimate,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
