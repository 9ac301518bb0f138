"""Which stages are up to date, asked of DVC for many of them at once: one process instead of one for each."""

import itertools
import json
from collections.abc import Sequence

from tasks.project.paths import Project
from tasks.running.dvc_command import DvcError, ensure_dvc, run_dvc
from tasks.running.lock_file import LOCK_FILE


def leading_up_to_date(stages: Sequence[str], *, project: Project) -> list[str]:
    """Return those of `stages`, from the first on, that DVC would pass over, up to the first that it would run.

    What comes after that one may depend on it, so `tasks.running.dvc_stage.run_stage` has to ask again when its turn
    comes. An empty answer decides nothing either: where DVC fails, the stage itself says why, or mends it.

    Args:
        stages: in an order in which they can run.

    Raises:
        DvcError: DVC cannot be set up in the project.
    """
    changed = changed_stages(stages, project=project)
    return [] if changed is None else list(itertools.takewhile(lambda stage: stage not in changed, stages))


def changed_stages(stages: Sequence[str], *, project: Project) -> set[str] | None:
    """Return those of `stages` that have changed themselves; what depends on them may have to run too.

    Returns:
        None: nothing has run yet, or DVC fails.

    Raises:
        DvcError: DVC cannot be set up in the project.
    """
    if not stages or not (project.root / LOCK_FILE).exists():
        return None
    ensure_dvc(project.root)
    try:
        return set(json.loads(run_dvc(project.root, "status", "--json", *stages)))
    except (DvcError, ValueError):
        return None
