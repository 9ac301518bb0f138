"""The table of model distances as people read it: on the terminal and as an artifact of a run."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tasks.project.paths import Project

COLUMNS = ("source", "model", "mean", "95 % interval", "latents")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistanceTable:
    """The latest measurement of a domain, as text."""

    title: str  # with the backbone, without which no value means anything
    rows: tuple[tuple[str, ...], ...]  # of `COLUMNS`


def read_distances(project: Project, domain: str) -> DistanceTable:
    """Return the distances that were measured last: by source, the largest first.

    Raises:
        DataError: the domain was not measured yet, or its table is damaged.
    """
    from ui2i.errors import DataError
    from ui2i.tables import DISTANCE_SCHEMA, read_rows

    if not project.distance_table(domain).is_file():
        is_trained = project.checkpoint(domain).is_dir()
        command = f"ui2i re-evaluate {domain}" if is_trained else f"dvc repro distance@{domain}"
        raise DataError(
            f"{domain} has not been {'measured' if is_trained else 'trained'} yet, expected its distances in "
            f"{project.relative(project.distance_table(domain))}; run `{command}`"
        )
    rows = read_rows(project.distance_table(domain), DISTANCE_SCHEMA)
    latest = [row for row in rows if row["run_id"] == rows[-1]["run_id"]]
    first = latest[0]
    # Sources in the order of measurement, which begins with the base.
    order = {source: place for place, source in enumerate(dict.fromkeys(row["source"] for row in latest))}
    latest.sort(key=lambda row: (order[row["source"]], -row["mean"]))
    when = first["measured_at"].strftime("%Y-%m-%d %H:%M UTC")
    title = (
        f"Model distance, {domain}: perceptual backbone {first['backbone']}, psi {first['truncation_psi']:g}, "
        f"measured {when}"
    )
    return DistanceTable(title=title, rows=tuple(map(_row, latest)))


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    interval = f"{row['ci95_low']:z.4f} to {row['ci95_high']:z.4f}"
    return row["source"], row["target"], f"{row['mean']:z.4f}", interval, f"{row['num_latents']:,}"
