"""Stage pretrain@: a prepared dataset -> a base model trained from scratch in data/checkpoints/<name>."""

import sys

from tasks.models.training_plan import describe_plan
from tasks.project.params import find_entry, training_config
from tasks.project.paths import Project
from tasks.running.stage_cli import Job, Stage, main


def work(job: Job) -> None:
    """Train `bases.<name>`."""
    from tasks.models.model_folder import write_model
    from tasks.models.model_training import train_model
    from ui2i.files import atomic_folder

    find_entry(job.params.bases, job.name, "bases")
    config = training_config(job.params, job.name, "scratch")
    model = train_model(job, "scratch", job.params.network, config, progress=job.progress)
    if not job.is_writer:
        return
    with atomic_folder(job.project.checkpoint(job.name)) as folder:
        write_model(folder, model)


def plan(job: Job) -> str:
    """Describe what the training would do and cost."""
    return describe_plan(job.project, job.params, job.name)


STAGE = Stage(
    name="pretrain",
    summary="Train the base NAME from scratch on data/prepared/NAME. An interrupted training resumes.",
    option="base",
    output=Project.checkpoint,
    work=work,
    plan=plan,
    trains=True,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
