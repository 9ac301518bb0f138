"""Drift found by a re-evaluation: an artifact, and a failure if a change is larger than chance explains."""

from prefect.artifacts import create_table_artifact

from flows.artifacts import artifact_key
from tasks.project.params import load_params
from tasks.project.paths import Project
from ui2i.errors import UI2IError


class DriftFound(UI2IError):  # noqa: N818  # it says what happened, as the flow's state does
    """A distance has changed; the new rows are in the table nevertheless."""


def check_drift(project: Project, domain: str) -> None:
    """Compare a domain's last distances with the ones before, and leave the comparison as an artifact.

    Raises:
        DriftFound: one has changed by more than `drift.max_sems`; the message names the largest change and its cause.
    """
    from ui2i.metrics.drift import find_drift
    from ui2i.tables import DISTANCE_SCHEMA, read_table

    drifts = find_drift(read_table(project.distance_table(domain), DISTANCE_SCHEMA))
    if not drifts:
        return
    limit = load_params(project).drift.max_sems
    found = [drift for drift in drifts if drift.exceeds(limit)]
    verdict = f"{len(found)} of {len(drifts)} distances changed by more than {limit:g} standard errors"
    rows = [
        (
            drift.source,
            drift.target,
            f"{drift.before:.4f}",
            f"{drift.after:.4f}",
            f"{drift.num_sems:.1f}",
            "yes" if drift in found else "no",
            "; ".join(drift.causes) or "nothing recorded",
        )
        for drift in drifts
    ]
    header = ("source", "target", "before", "after", "standard errors", "drift", "what differs")
    create_table_artifact(
        [dict(zip(header, row, strict=True)) for row in rows],
        key=artifact_key("drift", domain),
        description=f"Change of {domain}'s distances since the run before: {verdict}",
    )
    if found:
        raise DriftFound(
            f"{verdict}, expected the distances of the run before; the largest: {found[0]}; if that was "
            "intended, there is nothing to do; if such changes are normal, raise drift.max_sems in params.yaml"
        )
