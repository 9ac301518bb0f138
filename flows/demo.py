"""The flow of `ui2i demo`: domains from their images to translations, stages and domains side by side."""

import contextlib

from prefect import flow

from flows.holding import making, tell_alive
from flows.limits import ensure_training_limit, training_slot
from flows.naming import tag_this_run, this_run_name
from flows.parameters import Name
from flows.pipeline import show_results
from flows.together import run_waves, together_runner
from tasks.project.params import load_params
from tasks.project.paths import find_project
from tasks.running.dvc_stage import StageOutcome
from tasks.running.dvc_stages import domain_stages, stages_of


@flow(name="demo", flow_run_name=this_run_name, task_runner=together_runner())
def demo(domains: list[Name], project: str | None = None) -> list[StageOutcome]:
    """Take registered domains from their images to translations, all of them side by side.

    Args:
        domains: names in `params.yaml`.

    Raises:
        StageFailed: a stage failed.
    """
    found = find_project(project)
    tell_alive(found)
    tag_this_run("demo", *domains)
    with contextlib.ExitStack() as held:
        for name in domains:
            held.enter_context(making(found, name))
        ensure_training_limit()
        stages = [stage for name in domains for stage in domain_stages(found, name)]
        waves = stages_of(found, load_params(found)).waves(stages)
        # One slot for all of them: side by side they take no more cores than one alone.
        held.enter_context(training_slot("demo"))
        outcomes = run_waves(found, waves, has_training_slot=True)
        for name in domains:
            show_results(found, name, domain_stages(found, name))
    return outcomes
