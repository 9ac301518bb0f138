"""The models that a translator imitates, and the translators that were trained."""

from typing import TYPE_CHECKING

from tasks.models.domain_models import Model, base_model, named_model
from tasks.project.params import Params, TranslatorParams
from tasks.project.paths import Project

if TYPE_CHECKING:
    from ui2i.distillation.card import TranslatorCard


def imitated_models(
    project: Project, params: Params, domain: str, variant: str, *, device: str = "cpu"
) -> tuple[Model, Model]:
    """Return the base and the model of a domain that a translator imitates.

    Raises:
        ConfigError: there is no such domain or variant.
        CheckpointError: a file is missing or damaged.
    """
    return (
        base_model(project, params, domain, device=device),
        named_model(project, params, f"{domain}/{variant}", device=device),
    )


def card_of(project: Project, source: Model, target: Model, variant: str) -> "TranslatorCard":
    """Return the card of a translator that is to imitate these models."""
    from tasks.models.framing import framing_of
    from ui2i.distillation.card import TranslatorCard

    return TranslatorCard(
        source=source.domain,
        domain=target.domain,
        variant=variant,
        source_hash=source.hash,
        target_hash=target.hash,
        img_resolution=source.generator.config.img_resolution,
        license=target.card.license,
        framing=framing_of(project, source.domain, source.card),
    )


def describe_distillation(project: Project, params: Params, domain: str, settings: TranslatorParams) -> str:
    """Return in lines what a domain's translator would take. A batch of pairs and a few steps are tried.

    Raises:
        ConfigError, CheckpointError, DataError: as the training would.
    """
    from tasks.running.stage_cli import default_device
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.distillation.plan import plan_distillation
    from ui2i.perceptual import load_perceptual

    device = default_device()
    source, target = imitated_models(project, params, domain, settings.variant, device=device)
    domains = [PreparedDataset(project.prepared(name), verify=False) for name in (source.domain, domain)]
    plan = plan_distillation(
        source.generator,
        target.generator,
        (domains[0], domains[1]) if settings.adversarial_weight else None,
        load_perceptual(params.perceptual, device),
        settings.training,
        card_of(project, source, target, settings.variant),
    )
    return f"{domain}/{settings.variant} from {settings.base}\n" + "\n".join(f"  {line}" for line in plan.splitlines())
