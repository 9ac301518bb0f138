"""Stage evaluate_baseline@: baselines' outputs -> their rows of Table II, and how near they come to the truth.

Both as for the domain's own models and on the same images, so that a row stands beside the others and differences can
be taken image by image.
"""

import dataclasses
import json
import sys

from experiments.paper import paper_paths
from experiments.paper.settings import sections_of
from experiments.paper.stages.evaluate_images import estimate
from tasks.project.params import find_entry
from tasks.running.stage_cli import Job, Stage, default_device, main


def work(job: Job) -> None:
    """Evaluate a baseline's translations (paper, Table II, and the ground truth)."""
    from experiments.paper.baselines.diversity import style_diversities
    from experiments.paper.stages.baseline import CARD_FILE, IMAGES_FOLDER, baseline_images, labels, outputs_folder
    from experiments.paper.stages.truth import load, write_truth
    from tasks.requests.evaluate_folder import evaluate_folder
    from tasks.running.progress import part_of
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.files import sha256_file, write_text
    from ui2i.perceptual import load_perceptual
    from ui2i.tables import EVALUATION_SCHEMA, write_table

    sections = sections_of(job.params)
    settings, baselines = sections.truth[job.name], find_entry(sections.baselines, job.name, "baselines")
    folder = paper_paths.baseline(job.project, job.name)
    folders = {label: outputs_folder(folder, label) for label in labels(baselines)}
    rows = []
    for place, (label, outputs) in enumerate(folders.items()):
        rows += evaluate_folder(
            job.project,
            outputs / IMAGES_FOLDER,
            job.name,
            name=label,
            inputs=PreparedDataset(job.project.prepared(baselines.base), split=None),
            with_ends=False,
            progress=part_of(job.progress, place, 2 * len(folders), label),
        )
    cases = load(job, settings)
    cases = dataclasses.replace(
        cases,
        outputs={label: baseline_images(outputs, cases.input_paths) for label, outputs in folders.items()},
        checkpoint_hashes=cases.checkpoint_hashes
        | {label: sha256_file(outputs / CARD_FILE) for label, outputs in folders.items()},
    )
    second_half = dataclasses.replace(job, progress=part_of(job.progress, 1, 2, ""))
    write_truth(second_half, cases, settings, paper_paths.baseline_truth(job.project, job.name))
    device = default_device()
    diversities = style_diversities(folders, load_perceptual(job.params.perceptual, device), device)
    write_text(paper_paths.baseline_styles(job.project, job.name), json.dumps(diversities, indent=2) + "\n")
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
