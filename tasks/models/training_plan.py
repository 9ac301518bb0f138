"""What the trainings of a base or domain would do and cost: for `--dry-run`, before anything is registered or made."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.models.model_training import StartModel
from tasks.models.start_models import start_model
from tasks.project.params import Params, find_entry, training_config
from tasks.project.paths import Project
from tasks.project.sections import Domain
from tasks.running.stage_cli import default_device
from ui2i.model_files import GENERATOR_FILE

if TYPE_CHECKING:
    from ui2i.networks.generator import Generator
    from ui2i.settings import NetworkConfig


class RawImages(NamedTuple):
    """What a plan needs to know of the images."""

    num_training: int
    facing_share: float | None  # `ui2i.datasets.facing.facing_share`


def describe_plan(project: Project, params: Params, name: str, *, raw: RawImages | None = None) -> str:
    """Return the plan of every training of `name` in lines for people. A few steps of each are tried.

    Args:
        name: a base or a domain of `params`.
        raw: the images to be trained on; None: those of the prepared dataset.

    Raises:
        ConfigError, CheckpointError, DataError: as the training would.
    """
    from ui2i.datasets.facing import describe_mirroring
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.training.plan import plan_training

    if raw is None:
        dataset = PreparedDataset(project.prepared(name), verify=False)
        raw = RawImages(len(dataset), dataset.facing_share)
    modes: tuple[str, ...] = ("scratch",)
    network = params.network
    domain: Domain | None = None
    start: StartModel | None = None
    if name not in params.bases:
        domain = find_entry(params.domains, name, "domains")
        modes, network = domain.modes, base_network(project, params, domain.base)
        start = start_model(project, domain, _base_generator(project, params, domain), device=default_device())
    plans = []
    for mode in modes:
        config = training_config(params, name, mode)
        own = start if start is not None and start.mode == mode else None
        plan = plan_training(
            network,
            config,
            num_training_images=raw.num_training,
            base=None if own is None else own.networks,
            device=default_device(),
        )
        lines = [
            *plan.describe().splitlines(),
            f"{'mirroring':<11} {describe_mirroring(raw.facing_share, config.mirror)}",
            f"{'begins with':<11} {_beginning(domain, mode, own)}",
        ]
        plans.append(f"{name}/{mode}\n" + "\n".join(f"  {line}" for line in lines))
    return "\n".join(plans)


def base_network(project: Project, params: Params, base: str) -> "NetworkConfig":
    """Return a base's architecture, whether or not the base is trained or imported yet.

    Raises:
        ConfigError: there is no such base.
        CheckpointError: its file is damaged.
    """
    from ui2i.checkpoints import read_card

    path = _base_file(project, params, base)
    return params.network if path is None else read_card(path)[0]


def _base_generator(project: Project, params: Params, domain: Domain) -> "Generator | None":
    """Return what a model that a training goes on with must fit; None: there is no such model, or the base is to come.

    Raises:
        CheckpointError: the base's file is damaged.
    """
    from ui2i.checkpoints import load_generator

    path = None if domain.start is None else _base_file(project, params, domain.base)
    return None if path is None else load_generator(path, device=default_device())[0]


def _base_file(project: Project, params: Params, base: str) -> Path | None:
    """Return the file of a base, also before its import; None: the base is not trained yet."""
    path = project.checkpoint(base) / GENERATOR_FILE
    if not path.exists() and base in params.imported:
        return project.root / params.imported[base].checkpoint / GENERATOR_FILE
    if not path.exists():
        find_entry(params.bases, base, "bases")
        return None
    return path


def _beginning(domain: Domain | None, mode: str, start: StartModel | None) -> str:
    """Return in words what a training begins with."""
    if start is not None and domain is not None and domain.start is not None:
        return f"{domain.start.model}, trained on {start.images_seen:,} images, SHA-256 {start.hash[:12]}"
    return "random weights" if domain is None or mode == "scratch" else f"the base {domain.base}"
