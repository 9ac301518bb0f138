"""The flows: the order of stages, and the artifacts of a run. Deployments and the `ui2i` command run them.

    pretrain       images -> a model trained from scratch
    new-domain     images -> fine-tuned models -> layer-swapped variants -> distances -> translations
    re-evaluate    measures and translates again; distances are appended to the earlier ones
    distill        a domain's translator, and first what it imitates
    translate      a folder of your images -> their translations

In all of them, `project` is a folder in the project; None: the current folder.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.logging import get_run_logger

from flows.artifacts import show_contact_sheet, show_distances, show_revision
from flows.drift import check_drift
from flows.holding import making, tell_alive
from flows.limits import ensure_training_limit
from flows.naming import tag_this_run, this_run_name
from flows.parameters import Mode, Name, Overrides
from flows.registration import add_asked_base, add_asked_domain
from flows.stages import command_task, ended_with_flow, stage_task
from flows.task_runners import chosen_task_runner, is_parallel, num_workers, threads_per_stage
from flows.translations import tell_translation
from tasks.project.params import find_entry, load_params
from tasks.project.paths import Project, find_project
from tasks.requests.translate_folder import command as translation_command
from tasks.requests.translation_request import TranslationRequest
from tasks.running.dvc_stage import StageOutcome
from tasks.running.dvc_stages import base_stages, domain_stages, stages_of
from tasks.running.dvc_status import leading_up_to_date
from ui2i.errors import UI2IError
from ui2i.settings import Framing


class ReEvaluationFailed(UI2IError):  # noqa: N818  # it says what happened, as the flow's state does
    """Some domains could not be evaluated again; the others could."""


@flow(name="pretrain", flow_run_name=this_run_name)
def pretrain(
    name: Name,
    images: str | None = None,
    overrides: Overrides | None = None,
    framing: Framing | None = None,
    replace: bool = False,
    follow_links: bool = False,
    project: str | None = None,
) -> list[StageOutcome]:
    """Train a base from scratch.

    Args:
        images: folder or .zip of its images; None: the base is registered already.
        overrides: settings of its training that differ from the section `pretrain`.
        framing: of its images; None: as the section `ingest` says.
        replace: replace existing images and settings of this name.
        follow_links: also copy images outside `images` that a link or list points to.

    Raises:
        ConfigError: another parameter comes without `images`.
    """
    found = find_project(project)
    tell_alive(found)
    tag_this_run("pretrain", name)
    with making(found, name):
        given: dict[str, Any] = {"framing": framing, "replace": replace, "follow_links": follow_links}
        _tell(add_asked_base(found, name, images, overrides=overrides, **given))
        stages = base_stages(found, name)
        outcomes = _run_stages(found, stages)
        show_revision(found, name, stages)
    return outcomes


@flow(name="new-domain", flow_run_name=this_run_name)
def new_domain(
    name: Name,
    base: Name | None = None,
    images: str | None = None,
    modes: list[Mode] | None = None,
    overrides: Overrides | None = None,
    framing: Framing | None = None,
    replace: bool = False,
    follow_links: bool = False,
    project: str | None = None,
) -> list[StageOutcome]:
    """Train, measure and translate a domain from its images, and its base if that is missing.

    Args:
        base: model to fine-tune; None: the domain is registered already, and what is not given stays as it is.
        images: folder or .zip of the domain's images; None: its dataset is registered already.
        modes: how to fine-tune, by default FC-FT; variants are made from the first.
        overrides: settings of the fine-tuning that differ from the section `finetune`.
        framing: of its images; None: as the section `ingest` says.
        replace: replace existing images and settings of this name.
        follow_links: also copy images outside `images` that a link or list points to.

    Raises:
        ConfigError: `framing` or `follow_links` comes without `images`, or a new domain without `base`.
    """
    found = find_project(project)
    tell_alive(found)
    tag_this_run("new-domain", name)
    with making(found, name):
        given: dict[str, Any] = {"framing": framing, "replace": replace, "follow_links": follow_links}
        _tell(add_asked_domain(found, name, base, images, modes=modes, overrides=overrides, **given))
        stages = domain_stages(found, name)
        outcomes = _run_stages(found, stages)
        show_results(found, name, stages)
    return outcomes


@flow(name="re-evaluate", flow_run_name=this_run_name, task_runner=chosen_task_runner())
def re_evaluate(domains: list[Name] | None = None, project: str | None = None) -> list[StageOutcome]:
    """Measure distances, evaluate and translate again. If one domain fails, the others still run.

    A distance that has changed by more than chance explains is also a failure (`drift` in `params.yaml`).

    Args:
        domains: None: all of the project.

    Raises:
        ReEvaluationFailed: a domain failed; the message has one part for each.
    """
    found = find_project(project)
    params = load_params(found)
    chosen = list(dict.fromkeys(params.domains if domains is None else domains))
    for name in chosen:
        find_entry(params.domains, name, "domains")
    outcomes: list[StageOutcome] = []
    failures: dict[str, UI2IError] = {}
    tell_alive(found)
    tag_this_run("re-evaluate", *chosen)
    with ended_with_flow(), contextlib.ExitStack() as held:
        ensure_training_limit()
        started: dict[str, list[Callable[[], StageOutcome]]] = {}
        for name in chosen:
            with _noted(failures, name):
                held.enter_context(making(found, name))
                started[name] = [_start(found, stage) for stage in _evaluation_stages(name)]
        for name, runs in started.items():
            with _noted(failures, name):
                outcomes += [run() for run in runs]
                show_results(found, name, _evaluation_stages(name))
                check_drift(found, name)
    if failures:
        raise ReEvaluationFailed("; ".join(f"{name}: {error}" for name, error in failures.items()))
    return outcomes


@flow(name="train-encoder", flow_run_name=this_run_name)
def train_encoder(base: Name, project: str | None = None) -> list[StageOutcome]:
    """Train the encoder of a base that has been trained, as its entry in the section `encoders` says."""
    found = find_project(project)
    find_entry(load_params(found).encoders, base, "encoders")
    tell_alive(found)
    tag_this_run("train-encoder", base)
    return _run_stages(found, [f"encode@{base}"])


@flow(name="distill", flow_run_name=this_run_name)
def distill(domain: Name, project: str | None = None) -> list[StageOutcome]:
    """Train a domain's translator as its entry in the section `translators` says, and first what it imitates.

    The translations that its own are shown beside come first, too.
    """
    found = find_project(project)
    params = load_params(found)
    find_entry(params.translators, domain, "translators")
    tell_alive(found)
    tag_this_run("distill", domain)
    with making(found, domain):
        return _run_stages(found, stages_of(found, params).leading_to([f"translate@{domain}", f"distill@{domain}"]))


@flow(name="translate", flow_run_name=this_run_name, task_runner=chosen_task_runner())
def translate(request: TranslationRequest, project: str | None = None) -> list[StageOutcome]:
    """Translate images to a domain that has been trained."""
    found = find_project(project)
    params = load_params(found)
    targets = params.domains if request.source is None else {**params.bases, **params.imported, **params.domains}
    find_entry(targets, request.domain, "domains")
    request = request.resolved()
    command = translation_command(found, request)
    tell_alive(found)
    tag_this_run("translate", request.domain)
    if is_parallel():
        _find_codes(request.domain, command, found.root)
    outcome = command_task(f"translate to {request.domain}", command, found.root)
    show_contact_sheet(request.out, request.domain)
    tell_translation(request.out, request.domain)
    return [outcome]


def _tell(left_out: str | None) -> None:
    """Log which images were not copied."""
    if left_out is not None:
        get_run_logger().warning("images: %s", left_out)


def _run_stages(project: Project, stages: list[str]) -> list[StageOutcome]:
    ensure_training_limit()
    known = leading_up_to_date(stages, project=project)
    return [stage_task(stage, project.root, is_up_to_date=stage in known) for stage in stages]


def _find_codes(domain: str, command: list[str], root: Path) -> None:
    """Find the latent codes of a folder's images, for the translation, in as many parts as there are workers."""
    count = num_workers()
    parts = range(1, count + 1)
    name = f"latent codes to {domain}, part"
    runs = [command_task.submit(f"{name} {part}", [*command, f"--part={part}/{count}"], root) for part in parts]
    with ended_with_flow():
        for run in runs:
            run.result()


def _evaluation_stages(domain: str) -> list[str]:
    return [f"distance@{domain}", f"evaluate@{domain}", f"translate@{domain}"]


def _start(project: Project, stage: str) -> Callable[[], StageOutcome]:
    """Start a stage if the task runner runs others beside it; return a function that waits for its end, or runs it."""
    if is_parallel():
        return stage_task.submit(stage, project.root, force=True, num_threads=threads_per_stage()).result
    # In this thread, which a request to stop reaches.
    return functools.partial(stage_task, stage, project.root, force=True)


@contextlib.contextmanager
def _noted(failures: dict[str, UI2IError], domain: str) -> Iterator[None]:
    """Note the failure of one domain, so that the others still run."""
    try:
        yield
    except UI2IError as error:
        get_run_logger().error("%s: %s", domain, error)
        failures[domain] = error


def show_results(project: Project, domain: str, stages: list[str]) -> None:
    """Leave a domain's distances, contact sheet and revision as artifacts of the run."""
    show_distances(project, domain)
    show_contact_sheet(project.translations(domain), domain, project=project)
    show_revision(project, domain, stages)
