"""What the trainings of a base or domain would do and cost: for `--dry-run`, before anything is registered or made."""

from typing import TYPE_CHECKING, NamedTuple

from tasks.models.model_folder import GENERATOR_FILE
from tasks.project.params import Params, find_entry, training_config
from tasks.project.paths import Project
from tasks.running.stage_cli import default_device

if TYPE_CHECKING:
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
    if name not in params.bases:
        domain = find_entry(params.domains, name, "domains")
        modes, network = domain.modes, base_network(project, params, domain.base)
    plans = []
    for mode in modes:
        config = training_config(params, name, mode)
        plan = plan_training(network, config, num_training_images=raw.num_training, device=default_device())
        lines = [
            *plan.describe().splitlines(),
            f"{'mirroring':<11} {describe_mirroring(raw.facing_share, config.mirror)}",
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

    path = project.checkpoint(base) / GENERATOR_FILE
    if not path.exists() and base in params.imported:
        path = project.root / params.imported[base].checkpoint / GENERATOR_FILE
    elif not path.exists():
        find_entry(params.bases, base, "bases")
        return params.network
    return read_card(path)[0]
