"""The models that the tables and pictures of a domain compare: its base, its modes, its layer-swapped variants."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.model_folder import GENERATOR_FILE
from tasks.params import Params, find_entry
from tasks.project import Project

if TYPE_CHECKING:
    from ui2i.checkpoints import ModelCard
    from ui2i.networks.generator import Generator


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """One generator and what tables say about it."""

    name: str  # face, cartoon/FC-FT, cartoon/FC-FT-LS8
    domain: str
    path: Path
    generator: "Generator"
    card: "ModelCard"


def base_model(project: Project, params: Params, domain: str, *, device: str) -> Model:
    """Return the base that a domain was fine-tuned from.

    Raises:
        ConfigError: there is no such domain.
        CheckpointError: its file is missing or damaged.
    """
    base = find_entry(params.domains, domain, "domains").base
    return _read(base, base, project.checkpoint(base) / GENERATOR_FILE, device)


def target_models(project: Project, params: Params, domain: str, *, device: str) -> list[Model]:
    """Return a domain's own models: its modes in their order, then the variants of the first.

    Raises:
        ConfigError: there is no such domain.
        CheckpointError: a file is missing or damaged.
    """
    modes = find_entry(params.domains, domain, "domains").modes
    paths = [project.mode_checkpoint(domain, mode) / GENERATOR_FILE for mode in modes]
    paths += [project.variant(domain, resolution) for resolution in params.swap.resolutions]
    return [_read(None, domain, path, device) for path in paths]


def _read(name: str | None, domain: str, path: Path, device: str) -> Model:
    from ui2i.checkpoints import load_generator

    generator, card = load_generator(path, device=device)
    return Model(name=name or f"{domain}/{card.mode}", domain=domain, path=path, generator=generator, card=card)
