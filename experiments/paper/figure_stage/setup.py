"""The inputs of all figures: model families, their images and latent codes, attribute regressors."""

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from experiments.paper.settings import Figures, sections_of
from experiments.synthetic.settings import drawn_style
from tasks.models.domain_models import Model, base_model, target_models
from tasks.models.inversion_models import encoder_of, latent_store
from tasks.project.params import Params, find_entry
from tasks.project.paths import Project
from tasks.running.progress import part_of
from tasks.running.stage_cli import Job, default_device
from ui2i.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

    from experiments.paper.figures.models import Family, FigureModel
    from experiments.paper.truth import AttributeRegressor
    from ui2i.perceptual import Perceptual
    from ui2i.translation import NamedImages


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup:
    """One run of the stage."""

    job: Job
    settings: Figures
    device: str
    families: "list[Family]"
    perceptual: "Perceptual"
    made: dict[str, Any]  # columns that all rows share

    def latents(self, count: int, z_dim: int) -> "Tensor":
        """Return latent codes z [count, z_dim]; fewer are a prefix of more."""
        from ui2i.samples import sample_latents

        return sample_latents(self.settings.seed, count, z_dim)


def set_up(job: Job) -> Setup:
    """Load the models.

    Raises:
        ConfigError: `figures` has no such entry.
        CheckpointError: a model is missing or damaged.
        BackboneError: the backbone's weights cannot be had.
    """
    settings, device = find_entry(sections_of(job.params).figures, job.name, "figures"), default_device()
    bases = settings.bases or tuple(dict.fromkeys(domain.base for domain in job.params.domains.values()))
    return set_up_families(job, settings, [_family(job, base, device) for base in bases], device)


def set_up_families(job: Job, settings: Figures, families: "list[Family]", device: str) -> Setup:
    """Return the run of these families.

    Raises:
        BackboneError: the backbone's weights cannot be had.
    """
    from ui2i.perceptual import load_perceptual
    from ui2i.provenance import provenance

    provenances = provenance(device)
    made = {
        "seed": settings.seed,
        "truncation_psi": settings.truncation_psi,
        "commit": provenances["commit"],
        "device": device,
        "versions": json.dumps(provenances["versions"], sort_keys=True),
    }
    perceptual = load_perceptual(job.params.perceptual, device)
    return Setup(job=job, settings=settings, device=device, families=families, perceptual=perceptual, made=made)


def held_out_images(setup: Setup, name: str, count: int) -> "NamedImages":
    """Return the first images of a dataset's test split."""
    from tasks.stages.translate import first_images
    from ui2i.datasets.prepared import PreparedDataset

    return first_images(PreparedDataset(setup.job.project.prepared(name), "test"), count)


def invert_inputs(setup: Setup, family: "Family", count: int, progress: Progress) -> "tuple[NamedImages, Tensor]":
    """Return the first test images of a family's base and their latent codes in it [count, num_ws, w_dim]."""
    from ui2i.inversion import Inverter, stack_latents

    inputs = held_out_images(setup, family.base.domain, count)
    base, project, config = family.base, setup.job.project, setup.settings.inversion
    encoder, encoder_hash = encoder_of(project, base.domain, base.hash, config, device=setup.device)
    inverter = Inverter(
        base.generator,
        setup.perceptual,
        config,
        base_hash=base.hash,
        encoder=encoder,
        encoder_hash=encoder_hash,
        store=latent_store(project),
    )
    ws, _ = stack_latents(inverter.find(inputs.images, progress=progress), base.generator)
    return inputs, ws


def regressors(setup: Setup, family: "Family", progress: Progress) -> "dict[str, AttributeRegressor]":
    """Return the attribute regressors of a base and its domains, by name.

    Missing ones are trained. There are none unless all these domains are synthetic.
    """
    from experiments.paper.truth import cached_regressor

    names = [family.base.domain, *family.domains]
    styles = {name: drawn_style(setup.job.params, name) for name in names}
    if None in styles.values():
        return {}
    return {
        name: cached_regressor(
            setup.job.project.regressors,
            str(style),
            setup.settings.regressor,
            resolution=family.base.generator.config.img_resolution,
            device=setup.device,
            progress=part_of(progress, place, len(names), ""),
        )
        for place, (name, style) in enumerate(styles.items())
    }


def base_of(project: Project, params: Params, domain: str, device: str) -> "FigureModel":
    """Return the base of a domain as figures have it: of an imported one too it is `scratch`, made from no other here.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    from experiments.paper.figures.models import SCRATCH

    return dataclasses.replace(_figure_model(base_model(project, params, domain, device=device)), mode=SCRATCH)


def _family(job: Job, base: str, device: str) -> "Family":
    from experiments.paper.figures.models import Family

    names = [name for name, domain in job.params.domains.items() if domain.base == base]
    return Family(
        base=base_of(job.project, job.params, names[0], device),
        domains={
            name: [_figure_model(each) for each in target_models(job.project, job.params, name, device=device)]
            for name in names
        },
    )


def _figure_model(model: Model) -> "FigureModel":
    from experiments.paper.figures.models import FigureModel

    return FigureModel(
        domain=model.domain,
        mode=model.card.mode,
        generator=model.generator,
        hash=model.hash,
        swap_resolution=model.card.swap_resolution,
    )
