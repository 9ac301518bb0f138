"""How long the stages of a reproduction take on two cores, as the stages themselves estimate it."""

from collections.abc import Sequence

from experiments.paper.reproduction.project import defined_stages
from experiments.synthetic.settings import synthetic_of
from tasks.project.params import Params
from tasks.running.stage_cli import find_stage

START_SECONDS = 6.0  # of DVC and of the stage's own process


def estimate_seconds(params: Params, stages: Sequence[str]) -> dict[str, float]:
    """Return what each of some stages takes on two quiet cores."""
    defined, seconds = defined_stages(params), {}
    for stage in stages:
        name, known = stage.partition("@")[2], find_stage(defined, stage)
        synthetic = synthetic_of(params).get(name)
        num_images = synthetic.num_images if synthetic else 0
        work = known.estimate(params, name, num_images) if known and known.estimate else 0.0
        seconds[stage] = START_SECONDS + work
    return seconds
