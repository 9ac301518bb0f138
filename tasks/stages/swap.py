"""Stage swap@: a domain's first model and its base -> layer-swapped generators in data/variants/<domain>."""

import dataclasses
import sys

from tasks.project.params import find_entry
from tasks.project.paths import Project, variant_file
from tasks.running.stage_cli import Job, Stage, main


def work(job: Job) -> None:
    """Make one variant for each resolution in `swap.resolutions` (paper, Eq. 3)."""
    from ui2i.checkpoints import load_generator, save_generator
    from ui2i.files import atomic_folder
    from ui2i.layer_swap import VariantName, swap
    from ui2i.model_files import GENERATOR_FILE
    from ui2i.provenance import provenance

    domain, settings = find_entry(job.params.domains, job.name, "domains"), job.params.swap
    source, _ = load_generator(job.project.checkpoint(domain.base) / GENERATOR_FILE)
    target, card = load_generator(job.project.mode_checkpoint(job.name, domain.modes[0]) / GENERATOR_FILE)
    with atomic_folder(job.project.variants(job.name)) as folder:
        for index, resolution in enumerate(settings.resolutions):
            config = settings.at(resolution)
            variant_card = dataclasses.replace(
                card,
                mode=str(VariantName(mode=card.mode, swap=config)),
                swap_resolution=resolution,
                swap_mode=config.mode,
                provenance=provenance(),
            )
            save_generator(folder / variant_file(resolution), swap(source, target, config), variant_card)
            job.progress(index + 1, len(settings.resolutions), variant_card.mode)


STAGE = Stage(
    name="swap",
    summary="Combine the base's coarse layers with the fine layers of the domain NAME, once for each resolution in "
    "swap.resolutions.",
    option="domain",
    output=Project.variants,
    work=work,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
