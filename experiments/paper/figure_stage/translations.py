"""Figures 4 and 5: test images of the bases translated with sampled appearances, and with those of references."""

from typing import Any

from experiments.paper import paper_paths
from experiments.paper.figure_stage.setup import Setup, held_out_images, invert_inputs
from tasks.models.inversion_models import latent_store
from tasks.running.progress import part_of
from ui2i.progress import Progress

Numbers = dict[str, Any]


def make_figure4(setup: Setup, progress: Progress) -> Numbers:
    """Write Figure 4, multi-modal and multi-domain translation, and return its numbers by base."""
    from experiments.paper.figures.multi_modal import measure_multi_modal, multi_modal_images, multi_modal_sheet
    from experiments.paper.figures.sheets import below, save_webp
    from ui2i.translation import TranslationConfig

    settings, sheets, numbers = setup.settings, [], {}
    config = TranslationConfig(
        truncation_psi=settings.truncation_psi,
        num_styles=settings.num_styles,
        num_style_layers=settings.num_style_layers,
    )
    for place, family in enumerate(setup.families):
        part = part_of(progress, place, len(setup.families), f"inputs of {family.base.domain}")
        inputs, ws = invert_inputs(setup, family, settings.num_inputs, part)
        images = multi_modal_images(family, ws, config, seed=settings.seed)
        sheets.append(multi_modal_sheet(family, inputs.images, images, settings.num_styles))
        numbers[family.base.domain] = measure_multi_modal(
            family, inputs.images, ws, setup.perceptual, config, seed=settings.seed
        )
    save_webp(paper_paths.figure(setup.job.project, "4"), below(sheets))
    return numbers


def make_figure5(setup: Setup, progress: Progress) -> Numbers:
    """Write Figure 5, translation guided by references, and return its numbers by base and domain."""
    from experiments.paper.figures.guided import guided_images, guided_sheet, measure_guided
    from experiments.paper.figures.sheets import below, save_webp
    from ui2i.translation import TranslationConfig, find_references

    settings, sheets = setup.settings, []
    numbers: dict[str, Numbers] = {}
    config = TranslationConfig(truncation_psi=settings.truncation_psi, num_style_layers=settings.num_reference_layers)
    parts = sum(1 + len(family.domains) for family in setup.families)
    done = iter(range(parts))
    for family in setup.families:
        part = part_of(progress, next(done), parts, f"contents of {family.base.domain}")
        contents, ws = invert_inputs(setup, family, settings.num_contents, part)
        shown, guided, numbers[family.base.domain] = {}, {}, {}
        for domain, model in family.first.items():
            references = held_out_images(setup, domain, settings.num_references)
            found = find_references(
                references,
                model.generator,
                setup.perceptual,
                settings.inversion,
                store=latent_store(setup.job.project),
                progress=part_of(progress, next(done), parts, f"references of {domain}"),
            )
            plain, guided[domain] = guided_images(family, domain, ws, found, config)
            shown[domain] = references.images
            numbers[family.base.domain][domain] = measure_guided(
                plain, references.images, guided[domain], setup.perceptual
            )
        sheets.append(guided_sheet(contents.images, shown, guided))
    save_webp(paper_paths.figure(setup.job.project, "5"), below(sheets))
    return numbers
