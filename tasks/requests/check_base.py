"""How well a base's domain check tells its own images from those of the project's other datasets."""

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tasks.models.domain_checks import extractor_of, find_reference, held_out_images, keep_reference
from tasks.models.domain_models import Model, first_model, named_model
from tasks.models.inversion_models import encoder_of, inversion_of, latent_store
from tasks.project.params import Params, load_params
from tasks.project.paths import Project
from tasks.running.stage_cli import default_device
from ui2i.progress import Progress, no_progress

if TYPE_CHECKING:
    from ui2i.domain_check import DomainReference, Extractor, Reconstructions

NUM_COMPARED = 500


@dataclasses.dataclass(frozen=True, kw_only=True)
class Separation:
    """How a model's check sees a dataset."""

    dataset: str
    num_images: int
    share_unlike: float  # of its images; of the model's own held-out ones this is the rate of false alarms
    auc: float | None  # probability that an image of it is farther off than a held-out one; None: it is these


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckedBase:
    """A model's check and what it is worth."""

    reference: "DomainReference"
    reconstructions: "Reconstructions | None"  # with the project's way of inverting; None: too few held-out images
    separations: list[Separation]

    def lines(self, name: str) -> list[str]:
        """Say what the check rests on."""
        own, found = self.reference, self.reconstructions
        kind = "images" if own.origin == "images" else f"samples of {name} (no images of its own are here)"
        rests_on = f"{own.num_images:,} {kind}, threshold from {own.num_held_out:,} others, features: {own.features}"
        if found is None:
            return [f"reference: {rests_on}", "reconstruction: too few held-out images to judge others by"]
        quality = f"SSIM {found.ssim:.2f} on {found.num_images} held-out images"
        return [
            f"reference: {rests_on}",
            f"reconstruction: {quality}; below {found.ssim_low:.2f} an image is called poorly reconstructed",
        ]


def check_base(project: Project, name: str, *, num_images: int, progress: Progress = no_progress) -> CheckedBase:
    """Invert held-out images of a base or domain, keep how well that went, and compare the project's datasets with it.

    Args:
        num_images: held-out images to invert.

    Raises:
        UI2IError: there is no such model, or it cannot be read.
    """
    from ui2i.domain_check import reconstructions_of
    from ui2i.inversion import Inverter
    from ui2i.perceptual import load_perceptual

    params, device = load_params(project), default_device()
    model = _find(project, params, name, device)
    extractor = extractor_of(model, device=device)
    reference = find_reference(project, model, extractor)
    inversion = inversion_of(project, params, model.domain)
    encoder, encoder_hash = encoder_of(project, model.domain, model.hash, inversion, device=device)
    inverter = Inverter(
        model.generator,
        load_perceptual(params.perceptual, device),
        inversion,
        base_hash=model.hash,
        encoder=encoder,
        encoder_hash=encoder_hash,
        store=latent_store(project),
    )
    resolution = model.generator.config.img_resolution
    images = held_out_images(project, model.domain, resolution, num_images)
    latents = inverter.find(images, progress=progress) if len(images) else []
    measured = reconstructions_of([latent.ssim for latent in latents], inverter.columns)
    if measured is not None:
        reference = reference.with_reconstructions(measured)
        keep_reference(project, model, reference)
    return CheckedBase(
        reference=reference,
        reconstructions=measured,
        separations=_separations(project, model, params.datasets, reference, extractor),
    )


def _separations(
    project: Project, model: Model, datasets: Iterable[str], reference: "DomainReference", extractor: "Extractor"
) -> list[Separation]:
    """Compare held-out images of each dataset that has been prepared, the model's own first."""
    import numpy as np

    found: list[Separation] = []
    sorted_own = np.empty(0)
    own, resolution = model.domain, model.generator.config.img_resolution
    for name in dict.fromkeys([own, *datasets]):
        images = held_out_images(project, name, resolution, NUM_COMPARED)
        if len(images) == 0:
            continue
        distances = reference.distances(extractor(images))
        if name == own:
            sorted_own = np.sort(distances)
        is_compared = name != own and len(sorted_own) > 0
        auc = float(np.searchsorted(sorted_own, distances).mean() / len(sorted_own)) if is_compared else None
        found.append(
            Separation(dataset=name, num_images=len(images), share_unlike=float((distances > 1).mean()), auc=auc)
        )
    return found


def _find(project: Project, params: Params, name: str, device: str) -> Model:
    if name in params.domains:
        return first_model(project, params, name, device=device)
    return named_model(project, params, name, device=device)
