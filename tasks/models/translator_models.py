"""The models that a translator imitates, and the translators that were trained."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.models.domain_models import Model, base_model, model_path, named_model
from tasks.models.model_folder import CARD_FILE
from tasks.project.params import Params, find_entry
from tasks.project.paths import Project
from tasks.project.sections import TranslatorParams
from ui2i.errors import CheckpointError
from ui2i.files import sha256_file
from ui2i.model_files import GENERATOR_FILE, TRANSLATOR_FILE

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


def translator_path(project: Project, params: Params, domain: str) -> Path:
    """Return the file of a domain's translator: the one trained here, else the one beside `domains.<name>.start`.

    Raises:
        ConfigError: there is no such domain.
        CheckpointError: there is no translator.
    """
    start, trained = find_entry(params.domains, domain, "domains").start, project.translator(domain)
    shipped = None if start is None else project.root / start.model / TRANSLATOR_FILE
    for path in (trained, shipped):
        if path is not None and path.is_file():
            return path
    raise CheckpointError(
        f"{trained} does not exist, expected the translator of {domain}; train it with ui2i distill {domain}"
    )


def check_translator(project: Project, params: Params, path: Path, card: "TranslatorCard") -> None:
    """Refuse a translator whose models are not those that are there now.

    A model that went on from the imitated one passes for it, and so do models before their stages have run.

    Raises:
        CheckpointError: a model is another, or gone.
    """
    card.check_models(
        path,
        source_hash=_source_hash(project, params, path, card),
        target_hash=_target_hash(project, params, path, card),
    )


def _source_hash(project: Project, params: Params, path: Path, card: "TranslatorCard") -> str:
    base = find_entry(params.domains, card.domain, "domains").base
    files = [project.checkpoint(base) / GENERATOR_FILE]
    if base in params.imported:
        files.append(project.root / params.imported[base].checkpoint / GENERATOR_FILE)
    for file in files:
        if file.is_file():
            return sha256_file(file)
    raise _missing(files[0], path)


def _target_hash(project: Project, params: Params, path: Path, card: "TranslatorCard") -> str:
    file = model_path(project, params, card.domain, card.variant)
    start = find_entry(params.domains, card.domain, "domains").start
    if file.is_file():
        found = sha256_file(file)
        earlier = _started_from(file.with_name(CARD_FILE), found)
    elif start is not None:
        found, earlier = start.sha256, None
    else:
        raise _missing(file, path)
    return card.target_hash if card.target_hash == earlier else found


def _started_from(path: Path, generator_hash: str) -> str | None:
    """Return what `ModelCard.started_from` says, from the card beside the generator: that needs no torch."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        is_of_it = values["generator_sha256"] == generator_hash
        started_from = values["card"]["provenance"].get("started_from") if is_of_it else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return started_from if isinstance(started_from, str) else None


def _missing(file: Path, translator: Path) -> CheckpointError:
    return CheckpointError(f"{file} does not exist, expected a model that {translator} imitates; run its stage again")


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
