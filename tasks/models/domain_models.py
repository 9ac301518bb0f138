"""The models that the tables and images of a domain compare: its base, its modes, its layer-swapped variants."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.project.params import Params, find_entry
from tasks.project.paths import Project
from ui2i.errors import CheckpointError, ConfigError
from ui2i.files import sha256_file
from ui2i.model_files import GENERATOR_FILE
from ui2i.variants import VariantName

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

    @property
    def hash(self) -> str:
        """SHA-256 of the checkpoint."""
        return sha256_file(self.path)


def base_model(project: Project, params: Params, domain: str, *, device: str) -> Model:
    """Return the base that a domain was fine-tuned from.

    Raises:
        ConfigError: there is no such domain.
        CheckpointError: its file is missing or damaged.
    """
    base = find_entry(params.domains, domain, "domains").base
    return _read(base, base, project.checkpoint(base) / GENERATOR_FILE, device, made_by=_stage_of_base(params, base))


def first_model(project: Project, params: Params, domain: str, *, device: str) -> Model:
    """Return a domain's model of its first mode, and read no other.

    Raises:
        ConfigError: there is no such domain.
        CheckpointError: its file is missing or damaged.
    """
    path = project.mode_checkpoint(domain, find_entry(params.domains, domain, "domains").modes[0]) / GENERATOR_FILE
    return _read(None, domain, path, device, made_by=f"finetune@{domain}")


def target_models(project: Project, params: Params, domain: str, *, device: str) -> list[Model]:
    """Return a domain's own models: its modes in their order, then the variants of the first.

    Raises:
        ConfigError: there is no such domain.
        CheckpointError: a file is missing or damaged.
    """
    modes = find_entry(params.domains, domain, "domains").modes
    own = [project.mode_checkpoint(domain, mode) / GENERATOR_FILE for mode in modes]
    swapped = [project.variant(domain, resolution) for resolution in params.swap.resolutions]
    return [
        *(_read(None, domain, path, device, made_by=f"finetune@{domain}") for path in own),
        *(_read(None, domain, path, device, made_by=f"swap@{domain}") for path in swapped),
    ]


def named_model(project: Project, params: Params, name: str, *, device: str) -> Model:
    """Return a model by the name that tables give it (`face`, `cartoon/FC-FT-LS8`), or by its file.

    Raises:
        ConfigError: there is no model of that name.
        CheckpointError: its file is missing or damaged.
    """
    from ui2i.checkpoints import read_card

    if name.endswith(".safetensors"):
        path = Path(name).resolve()
        return _read(name, read_card(path)[1].domain, path, device)
    domain, _, mode = name.partition("/")
    if not mode:
        find_entry({**params.bases, **params.imported}, domain, "bases or imported")
        path = project.checkpoint(domain) / GENERATOR_FILE
        return _read(domain, domain, path, device, made_by=_stage_of_base(params, domain))
    return _read(name, domain, model_path(project, params, domain, mode), device, made_by=f"swap@{domain}")


def model_path(project: Project, params: Params, domain: str, mode: str) -> Path:
    """Return the file of a domain's model by its mode, or by its variant of the first.

    Raises:
        ConfigError: there is no such domain, or it has no such model.
        CheckpointError: a variant's file is damaged.
    """
    modes = find_entry(params.domains, domain, "domains").modes
    paths: dict[str, Path] = {each: project.mode_checkpoint(domain, each) / GENERATOR_FILE for each in modes}
    if mode in paths:  # before torch is imported
        return paths[mode]
    from ui2i.checkpoints import read_card

    for size in params.swap.resolutions:
        path = project.variant(domain, size)  # its card has the name that tables give it, whatever `swap` says by now
        swapped = VariantName(mode=modes[0], swap=params.swap.at(size))
        paths[read_card(path)[1].mode if path.is_file() else str(swapped)] = path
    if mode not in paths:
        raise ConfigError(
            f"{domain} has no model {mode!r}, expected one of {', '.join(paths)}; correct the name, or add the mode or "
            "resolution to params.yaml and run the domain again"
        )
    return paths[mode]


def _stage_of_base(params: Params, base: str) -> str:
    """Return the stage that puts a base where the project has it."""
    return f"{'import' if base in params.imported else 'pretrain'}@{base}"


def _read(name: str | None, domain: str, path: Path, device: str, *, made_by: str = "") -> Model:
    """Read a model.

    Args:
        made_by: the last of the stages that make it; empty: nobody knows.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    from ui2i.checkpoints import load_generator

    if made_by and not path.is_file():
        raise CheckpointError(
            f"{path} does not exist, expected the model {name or domain}; make it with `dvc repro {made_by}`"
        )
    generator, card = load_generator(path, device=device)
    return Model(name=name or f"{domain}/{card.mode}", domain=domain, path=path, generator=generator, card=card)
