"""Stage finetune@: a base model and a prepared dataset -> one model per mode in data/checkpoints/<domain>/<mode>."""

import sys

from tasks.models.training_plan import describe_plan
from tasks.project.params import Params, find_entry, training_config
from tasks.project.paths import Project
from tasks.running.progress import part_of
from tasks.running.rates import TRAINED
from tasks.running.stage_cli import Job, Stage, default_device, main


def work(job: Job) -> None:
    """Train every mode of `domains.<name>` (paper, section III-A), then write all models at once."""
    from tasks.models.model_folder import CURVES_FILE, read_model, write_model
    from tasks.models.model_training import train_model
    from tasks.models.start_models import start_model
    from ui2i.curves import save_curves
    from ui2i.files import atomic_folder, sha256_file
    from ui2i.model_files import GENERATOR_FILE

    domain = find_entry(job.params.domains, job.name, "domains")
    base_folder = job.project.checkpoint(domain.base)
    generator, discriminator, _ = read_model(base_folder, device=default_device())
    base_hash = sha256_file(base_folder / GENERATOR_FILE)
    start = start_model(job.project, domain, generator, device=default_device())
    models = [
        train_model(
            job,
            mode,
            generator.config,
            training_config(job.params, job.name, mode),
            base=None if mode == "scratch" else (generator, discriminator),
            base_name=domain.base,
            base_hash=None if mode == "scratch" else base_hash,
            start=start if start is not None and start.mode == mode else None,
            progress=part_of(job.progress, index, len(domain.modes), mode),
        )
        for index, mode in enumerate(domain.modes)
    ]
    if not job.is_writer:
        return
    with atomic_folder(job.project.checkpoint(job.name)) as folder:
        for model in models:
            write_model(folder / model.card.mode.lower(), model)
        save_curves(folder / CURVES_FILE, {model.card.mode: model.state.log for model in models})


def plan(job: Job) -> str:
    """Describe what training every mode would do and cost."""
    return describe_plan(job.project, job.params, job.name)


def estimate(params: Params, name: str, _num_images: int) -> float:
    """Return the seconds that it takes on two cores."""
    modes = params.domains[name].modes
    return sum(training_config(params, name, mode).total_kimg for mode in modes) * 1000 / TRAINED


STAGE = Stage(
    name="finetune",
    summary="Fine-tune the base of domains.NAME on data/prepared/NAME, once for each of its modes. An interrupted "
    "training resumes.",
    option="domain",
    output=Project.checkpoint,
    work=work,
    estimate=estimate,
    plan=plan,
    trains=True,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
