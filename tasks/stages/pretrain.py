"""Stage pretrain@: a prepared dataset -> a base model trained from scratch in data/checkpoints/<name>."""

import sys

from tasks.models.training_plan import describe_plan
from tasks.project.params import Params, find_entry, training_config
from tasks.project.paths import Project
from tasks.running.rates import TRAINED
from tasks.running.stage_cli import Job, Stage, main


def work(job: Job) -> None:
    """Train `bases.<name>`."""
    from tasks.models.domain_checks import write_check
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
        write_check(job.project, job.name, folder)


def plan(job: Job) -> str:
    """Describe what the training would do and cost."""
    return describe_plan(job.project, job.params, job.name)


def estimate(params: Params, name: str, _num_images: int) -> float:
    """Return the seconds that it takes on two cores."""
    return training_config(params, name, "scratch").total_kimg * 1000 / TRAINED


STAGE = Stage(
    name="pretrain",
    summary="Train the base NAME from scratch on data/prepared/NAME. An interrupted training resumes.",
    option="base",
    output=Project.checkpoint,
    work=work,
    estimate=estimate,
    plan=plan,
    trains=True,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
