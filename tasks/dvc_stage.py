"""Runs a stage through DVC: the only bridge between flows and DVC."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

from tasks.params import Params
from tasks.project import Project
from ui2i.errors import UI2IError
from ui2i.progress import Progress

STAGE_ORDER = ("draw", "ingest", "import", "pretrain", "finetune", "swap", "distance", "translate")


class StageFailed(UI2IError):
    """A stage did not finish; its message is the stage's own `error: ...` line if it printed one.

    `stage`: e.g. "finetune@anime"; `lines`: the last lines of output; `is_user_error`: the stage printed such a line.
    """


@dataclasses.dataclass(frozen=True)
class StageOutcome:
    """How a stage ended well."""

    stage: str
    status: Literal["ran", "skipped"]
    seconds: float
    lines: tuple[str, ...]  # the last lines of output


def run_stage(
    stage: str,
    *,
    project: Project,
    force: bool = False,
    on_progress: Progress | None = None,
    on_line: Callable[[str], None] | None = None,
) -> StageOutcome:
    """Bring one stage up to date with `dvc repro --single-item`; what is upstream must be there.

    Blocks. Whatever ends it (also an exception thrown in from outside, such as a cancellation), no process of the
    stage is left behind.

    Args:
        stage: e.g. `finetune@anime`.
        force: run it even if nothing changed, and train anew instead of taking up a saved training state.
        on_progress: told how the stage advances, in this thread.
        on_line: told every other line of output, in this thread.

    Raises:
        StageFailed: the stage or DVC failed, or another process kept the stage busy for too long.
        ConfigError: `params.yaml` is not valid or there is no such stage.
    """


def list_stages(params: Params) -> list[str]:
    """Return the names of all stages of a project in an order in which they can run."""


def domain_stages(params: Params, domain: str) -> list[str]:
    """Return the stages that lead to a domain's models, tables and translations, in an order in which they can run.

    Raises:
        ConfigError: there is no such domain.
    """


def base_stages(params: Params, base: str) -> list[str]:
    """Return the stages that lead to a base's model, in an order in which they can run.

    Raises:
        ConfigError: there is no such base.
    """
