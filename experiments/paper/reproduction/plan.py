"""Estimates of how long the stages of a reproduction take on two cores, from rates that were measured once."""

from collections.abc import Callable, Mapping

from experiments.paper.settings import pair_modes, sections_of
from experiments.synthetic.settings import synthetic_of
from tasks.project.params import Params, training_config

START_SECONDS = 6.0  # of DVC and of the stage's own process
# Images a second on two cores of an AMD EPYC (AVX-512, bf16), 64 px, the shipped bases' widths.
DRAWN, INGESTED, TRAINED, ENCODED = 330.0, 1300.0, 90.0, 130.0
GENERATED = 650.0  # and looked at by the backbone
EVALUATED = 600.0  # read from files and looked at by the backbone
READ = 1200.0  # by an attribute regressor in training
INVERSION_STEPS = 170.0  # image times step a second, a mean over methods
SEARCHES = 6.2  # methods of Table III, in whole searches of one kind of images
FIGURES_SECONDS = 115.0


def estimate_seconds(params: Params, stage: str) -> float:
    """Return what a stage of `reproduction_stages` takes on two quiet cores."""
    kind, name = stage.split("@")
    work = _WORK.get(kind)
    return START_SECONDS + (work(params, name) if work else 0.0)


def _draw(params: Params, name: str) -> float:
    return synthetic_of(params)[name].num_images / DRAWN


def _ingest(params: Params, name: str) -> float:
    return synthetic_of(params)[name].num_images / INGESTED if name in synthetic_of(params) else 0.0


def _finetune(params: Params, name: str) -> float:
    modes = params.domains[name].modes
    return sum(training_config(params, name, mode).total_kimg for mode in modes) * 1000 / TRAINED


def _distance(params: Params, name: str) -> float:
    num_models = 1 + len(params.domains[name].modes) + len(params.swap.resolutions)
    return num_models * params.distance.num_latents / GENERATED


def _pair(params: Params, name: str) -> float:
    return 2 * len(pair_modes(params, name)) * params.distance.num_latents / GENERATED


def _evaluate(params: Params, name: str) -> float:
    num_models = 1 + len(params.domains[name].modes) + len(params.swap.resolutions)
    return num_models * params.evaluation.num_images / GENERATED + synthetic_of(params)[name].num_images / EVALUATED


def _translate(params: Params, name: str) -> float:
    base, evaluated = params.domains[name].base, sections_of(params).evaluated
    first = next(domain for domain in evaluated if params.domains[domain].base == base)
    searched = params.translate.num_images * params.inversion.num_steps / INVERSION_STEPS
    return searched if name == first else 0.0  # the others of a family find the latent codes at hand


def _evaluate_images(params: Params, name: str) -> float:
    num_outputs = (1 + len(params.swap.resolutions)) * params.translate.num_images
    return (num_outputs + synthetic_of(params)[name].num_images) / EVALUATED


def _truth(params: Params, name: str) -> float:
    truth = sections_of(params).truth[name]
    variants = 1 + len(params.swap.resolutions)
    readers = truth.regressor.num_drawings * (1 / DRAWN + truth.regressor.num_epochs / READ)
    return 1.5 * readers + params.translate.num_images * (variants + truth.num_draws) / EVALUATED


def _baseline(params: Params, name: str) -> float:
    minutes = sections_of(params).baselines[name].minutes
    mode = params.domains[name].modes[0]
    return minutes * 60 if minutes else training_config(params, name, mode).total_kimg * 1000 / TRAINED


def _encode(params: Params, name: str) -> float:
    return params.encoders[name].total_kimg * 1000 / ENCODED


def _compare_inversions(params: Params, name: str) -> float:
    contest = sections_of(params).inversions[name]
    return 2 * contest.num_images * contest.num_steps * SEARCHES / INVERSION_STEPS


def _figures(params: Params, name: str) -> float:
    return FIGURES_SECONDS * (1 if sections_of(params).figures[name].quick else 4)


_WORK: Mapping[str, Callable[[Params, str], float]] = {
    "draw": _draw,
    "ingest": _ingest,
    "finetune": _finetune,
    "distance": _distance,
    "pair": _pair,
    "evaluate": _evaluate,
    "translate": _translate,
    "evaluate_images": _evaluate_images,
    "evaluate_baseline": _evaluate_images,
    "truth": _truth,
    "baseline": _baseline,
    "encode": _encode,
    "compare_inversions": _compare_inversions,
    "figures": _figures,
}
