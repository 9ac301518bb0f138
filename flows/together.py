"""Stages of a flow side by side: each is a process with its share of the cores, and all end with the flow.

Two trainings with a core each show more images a second than one after the other with both, and what is short and
has one core of work is done beside what is long.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.stages import ended_with_flow, stage_task
from tasks.project.paths import Project
from tasks.running.dvc_stage import StageFailed, StageOutcome
from tasks.running.dvc_status import leading_up_to_date
from ui2i.processors import usable_cores

MAX_TOGETHER = 3
"""Stages at a time; each holds the models of a domain in memory."""


def together_runner() -> TaskRunner[Any]:
    """Return the task runner of a flow that calls `run_waves`."""
    return ThreadPoolTaskRunner(max_workers=num_together())


def num_together() -> int:
    """Return how many stages run at a time: one a core, and no more than `MAX_TOGETHER`."""
    return min(usable_cores(), MAX_TOGETHER)


def run_waves(
    project: Project, waves: Iterable[Sequence[str]], *, has_training_slot: bool = False
) -> list[StageOutcome]:
    """Bring stages up to date, those of a wave side by side. A wave begins when the one before it has ended.

    Args:
        has_training_slot: the flow holds the slot that trainings would wait for (`flows.limits`).

    Raises:
        StageFailed: a stage failed; those that ran beside it have ended.
    """
    waves = list(waves)
    known = set(leading_up_to_date([stage for wave in waves for stage in wave], project=project))
    outcomes: list[StageOutcome] = []
    for wave in waves:
        num_threads = max(1, usable_cores() // min(num_together(), len(set(wave) - known) or 1))
        runs = [
            stage_task.submit(
                stage,
                project.root,
                is_up_to_date=stage in known,
                has_training_slot=has_training_slot,
                num_threads=num_threads,
            )
            for stage in wave
        ]
        failures: list[StageFailed] = []
        with ended_with_flow():
            for run in runs:
                try:
                    outcomes.append(run.result())
                except StageFailed as error:
                    failures.append(error)
        if failures:
            raise failures[0]
    return outcomes
