"""Stage pretrain@: a prepared dataset -> a base model trained from scratch in data/checkpoints/<name>."""

import sys

from tasks.params import find_entry, training_config
from tasks.project import Project
from tasks.stage_cli import Job, Stage, main


def work(job: Job) -> None:
    """Train `bases.<name>`."""
    from tasks.model_folder import write_model
    from tasks.model_training import train_model
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.files import atomic_folder

    find_entry(job.params.bases, job.name, "bases")
    state, card = train_model(
        PreparedDataset(job.project.prepared(job.name)),
        job.project.run_dir(job.name, "scratch"),
        job.params.network,
        training_config(job.params, job.name, "scratch"),
        mode="scratch",
        restart=job.restart,
        progress=job.progress,
    )
    with atomic_folder(job.project.checkpoint(job.name)) as folder:
        write_model(folder, state, card)


STAGE = Stage(
    name="pretrain",
    summary="Train the base NAME from scratch on data/prepared/NAME; a stopped training goes on where it was.",
    option="base",
    output=Project.checkpoint,
    work=work,
    can_restart=True,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
