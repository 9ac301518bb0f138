"""What the trainings of a base or domain would do and cost: for `--dry-run`, before anything is registered or made."""

from typing import TYPE_CHECKING

from tasks.models.model_folder import GENERATOR_FILE
from tasks.project.params import Params, find_entry, training_config
from tasks.project.paths import Project
from tasks.running.stage_cli import default_device

if TYPE_CHECKING:
    from ui2i.settings import NetworkConfig


def describe_plan(project: Project, params: Params, name: str, *, num_training_images: int | None = None) -> str:
    """Return the plan of every training of `name` in lines for people. A few steps of each are tried.

    Args:
        name: a base or a domain of `params`.
        num_images: for training; None: those of the prepared dataset.

    Raises:
        ConfigError, CheckpointError, DataError: as the training would.
    """
    from ui2i.datasets.prepared import PreparedDataset
    from ui2i.training.plan import plan_training

    if num_training_images is None:
        num_training_images = len(PreparedDataset(project.prepared(name), verify=False))
    modes: tuple[str, ...] = ("scratch",)
    network = params.network
    if name not in params.bases:
        domain = find_entry(params.domains, name, "domains")
        modes, network = domain.modes, base_network(project, params, domain.base)
    plans = []
    for mode in modes:
        config = training_config(params, name, mode)
        plan = plan_training(network, config, num_training_images=num_training_images, device=default_device())
        plans.append(f"{name}/{mode}\n" + "\n".join(f"  {line}" for line in plan.describe().splitlines()))
    return "\n".join(plans)


def base_network(project: Project, params: Params, base: str) -> "NetworkConfig":
    """Return a base's architecture, whether or not the base is trained or imported yet.

    Raises:
        ConfigError: there is no such base.
        CheckpointError: its file is damaged.
    """
    from ui2i.checkpoints import read_card

    path = project.checkpoint(base) / GENERATOR_FILE
    if not path.exists() and base in params.imported:
        path = project.root / params.imported[base].checkpoint / GENERATOR_FILE
    elif not path.exists():
        find_entry(params.bases, base, "bases")
        return params.network
    return read_card(path)[0]
