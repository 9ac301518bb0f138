"""Stage finetune@: a base model and a prepared dataset -> one model a mode in data/checkpoints/<domain>/<mode>."""

import sys

from tasks.params import find_entry, training_config
from tasks.progress import part_of
from tasks.project import Project
from tasks.stage_cli import Job, Stage, default_device, main


def work(job: Job) -> None:
    """Train every mode of `domains.<name>` (paper, section III-A); then write all of them at once."""
    from tasks.model_folder import GENERATOR_FILE, read_model, write_model
    from tasks.model_training import train_model
    from ui2i.checkpoints import file_hash
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.files import atomic_folder

    domain = find_entry(job.params.domains, job.name, "domains")
    base_folder = job.project.checkpoint(domain.base)
    generator, discriminator, _ = read_model(base_folder, device=default_device())
    base_hash = file_hash(base_folder / GENERATOR_FILE)
    dataset = PreparedDataset(job.project.prepared(job.name))
    models = {}
    for index, mode in enumerate(domain.modes):
        models[mode] = train_model(
            dataset,
            job.project.run_dir(job.name, mode),
            generator.config,
            training_config(job.params, job.name, mode),
            mode=mode,
            base=None if mode == "scratch" else (generator, discriminator),
            base_name=domain.base,
            base_hash=None if mode == "scratch" else base_hash,
            restart=job.restart,
            progress=part_of(job.progress, index, len(domain.modes), mode),
        )
    with atomic_folder(job.project.checkpoint(job.name)) as folder:
        for mode, (state, card) in models.items():
            write_model(folder / mode.lower(), state, card)


STAGE = Stage(
    name="finetune",
    summary="Fine-tune the base of domains.NAME on data/prepared/NAME, once for each of its modes; a stopped training "
    "goes on where it was.",
    option="domain",
    output=Project.checkpoint,
    work=work,
    can_restart=True,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
