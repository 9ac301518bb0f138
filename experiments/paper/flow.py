"""The flow that reproduces the paper: every stage of the project, one after the other, then the page of results."""

import sys

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from experiments.paper.reproduction.page import PAGE_FILE
from experiments.paper.reproduction.project import REPORT_FOLDER, reproduction_stages
from flows.artifacts import artifact_key, show_contact_sheet, show_distances, show_revision
from flows.display import current_display
from flows.holding import making, tell_alive
from flows.limits import ensure_training_limit
from flows.naming import tag_this_run
from flows.stages import command_task, stage_task
from tasks.project.params import load_params
from tasks.project.paths import Project, find_project
from tasks.running.dvc_stage import StageOutcome
from tasks.running.dvc_status import leading_up_to_date

NAME = "reproduction"


@flow(name="reproduce", flow_run_name="reproduce in {project}")
def reproduce(project: str, only: list[str] | None = None) -> list[StageOutcome]:
    """Make the paper's tables and figures, and the page that compares them with the paper's own.

    Stages that are up to date are skipped, so that an interrupted run resumes. The page is made from what exists.

    Args:
        project: folder of a reproduction.
        only: stages or kinds of stages; None: all.

    Raises:
        StageFailed: a stage failed; its name is in `stage`. Those before it are done.
    """
    found = find_project(project)
    params = load_params(found)
    stages = reproduction_stages(params, only or ())
    tell_alive(found)
    tag_this_run("reproduce", *params.domains)
    with making(found, NAME):
        ensure_training_limit()
        known = leading_up_to_date(stages, project=found)
        outcomes = []
        for place, stage in enumerate(stages, 1):
            current_display().message(f"stage {place} of {len(stages)}")
            outcomes.append(stage_task(stage, found.root, is_up_to_date=stage in known))
        page = [sys.executable, "-m", "experiments.paper.reproduction.page", "--project", str(found.root)]
        outcomes.append(command_task("report", page, found.root))
        _show_results(found, stages)
    return outcomes


def _show_results(project: Project, stages: list[str]) -> None:
    """Leave the existing tables, sheets, hashes and the page as artifacts."""
    for domain in load_params(project).domains:
        if project.distance_table(domain).is_file():
            show_distances(project, domain)
        if project.translations(domain).is_dir():
            show_contact_sheet(project.translations(domain), domain, project=project)
    show_revision(project, NAME, stages)
    page = project.root / REPORT_FOLDER / PAGE_FILE
    create_markdown_artifact(
        page.read_text(encoding="utf-8"), key=artifact_key(NAME, "page"), description=f"what was reproduced, {page}"
    )
