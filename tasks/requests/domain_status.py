"""When each domain was trained and measured, and whether that is still what `params.yaml` and the images say."""

import dataclasses
import json
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from tasks.project.params import load_params
from tasks.project.paths import Project
from tasks.running.dvc_stages import domain_stages
from tasks.running.dvc_status import changed_stages
from ui2i.model_files import GENERATOR_FILE


@dataclasses.dataclass(frozen=True, kw_only=True)
class DomainStatus:
    """Where one domain stands."""

    domain: str
    trained: datetime | None  # None: not yet
    measured: datetime | None
    verdict: str  # empty: only DVC can tell, and was not asked


def domain_statuses(project: Project, *, asks_dvc: bool = True) -> list[DomainStatus]:
    """Return where each domain of `params.yaml` stands, in its order.

    Args:
        asks_dvc: whether what is made is up to date, which takes seconds.

    Raises:
        ConfigError: `params.yaml` is not valid.
    """
    domains = load_params(project).domains
    stages = {name: domain_stages(project, name) for name in domains}
    names = [stage for own in stages.values() for stage in own]
    changed = changed_stages(names, project=project) if asks_dvc else None
    found = []
    for name, entry in domains.items():
        trained = _trained(project.mode_checkpoint(name, entry.modes[0]))
        measured = _measured(project.distance_table(name))
        is_known = asks_dvc or trained is None or measured is None
        verdict = _verdict(name, trained, measured, stages[name], changed) if is_known else ""
        found.append(DomainStatus(domain=name, trained=trained, measured=measured, verdict=verdict))
    return found


def _verdict(
    name: str,
    trained: datetime | None,
    measured: datetime | None,
    stages: list[str],
    changed: Collection[str] | None,
) -> str:
    if trained is None:
        return f"not trained: `dvc repro distance@{name}`"
    if measured is None:
        return f"not measured: `ui2i re-evaluate {name}`"
    if changed is None:
        return "unknown: DVC does not answer; see `dvc status`"
    stale = next((stage for stage in stages if stage in changed), None)
    return "up to date" if stale is None else f"stale: `dvc repro {stages[-1]}` runs {stale} and what follows"


def _trained(folder: Path) -> datetime | None:
    """Return when a model was made, as its card says, or else its file."""
    from safetensors import SafetensorError, safe_open

    path = folder / GENERATOR_FILE
    try:
        with safe_open(path, framework="numpy") as file:
            card = json.loads((file.metadata() or {})["ui2i"])["card"]
        return datetime.fromisoformat(card["provenance"]["created"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return datetime.fromtimestamp(path.stat().st_mtime, UTC) if path.is_file() else None


def _measured(table: Path) -> datetime | None:
    from ui2i.errors import DataError
    from ui2i.tables import DISTANCE_SCHEMA, read_rows

    try:
        rows = read_rows(table, DISTANCE_SCHEMA)
    except DataError:
        return None
    return max((row["measured_at"] for row in rows), default=None)
