"""The flows: in which order stages run, and what is left to look at. Served by deployments and by the `ui2i` command.

    pretrain       pictures -> a model trained from scratch
    new-domain     pictures -> fine-tuned models -> layer-swapped variants -> distances -> translations
    re-evaluate    distances and translations anew; distances are appended to those measured before
    translate      a folder of anybody's pictures -> their translations

`project` is a folder in the project (None: the current folder) in all of them.
"""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.logging import get_run_logger

from flows.artifacts import show_contact_sheet, show_distances
from flows.limits import ensure_training_limit
from flows.registration import DEFAULT_MODES, add_base, add_domain
from flows.stages import command_task, stage_task
from tasks.dvc_stage import StageOutcome, base_stages, domain_stages
from tasks.params import find_entry, load_params
from tasks.project import Project, find_project
from tasks.translate_folder import command as translation_command
from ui2i.errors import UI2IError


class ReEvaluationFailed(UI2IError):  # noqa: N818  # it says what happened, as the flow's state does
    """Some domains could not be evaluated again; the others were."""


@flow(name="pretrain", flow_run_name="pretrain {name}")
def pretrain(
    name: str,
    images: str | None = None,
    overrides: dict[str, Any] | None = None,
    replace: bool = False,
    project: str | None = None,
) -> list[StageOutcome]:
    """Train a base from scratch.

    Args:
        images: folder or .zip of its pictures; None: the base is registered already.
        overrides: settings of its training that differ from the section `pretrain`.
        replace: take the place of other pictures or settings of this name.
    """
    found = find_project(project)
    if images is not None:
        add_base(found, name, images, overrides=overrides, replace=replace)
    return _run_stages(found, base_stages(found, name))


@flow(name="new-domain", flow_run_name="new-domain {name}")
def new_domain(
    name: str,
    base: str | None = None,
    images: str | None = None,
    modes: list[str] | None = None,
    overrides: dict[str, Any] | None = None,
    replace: bool = False,
    project: str | None = None,
) -> list[StageOutcome]:
    """Take a domain from its pictures to translations, with its base where that is missing.

    Args:
        base: model to fine-tune; None: the domain is registered already.
        images: folder or .zip of the domain's pictures; None: its dataset is registered already.
        modes: how to fine-tune, by default FC-FT; variants are made from the first.
        overrides: settings of the fine-tuning that differ from the section `finetune`.
        replace: take the place of other pictures or settings of this name.
    """
    found = find_project(project)
    if base is not None:
        add_domain(found, name, base, images, modes=modes or DEFAULT_MODES, overrides=overrides, replace=replace)
    outcomes = _run_stages(found, domain_stages(found, name))
    show_distances(found, name)
    show_contact_sheet(found.translations(name), name)
    return outcomes


@flow(name="re-evaluate", flow_run_name="re-evaluate")
def re_evaluate(domains: list[str] | None = None, project: str | None = None) -> list[StageOutcome]:
    """Measure distances and translate again; one domain's failure does not keep the others from it.

    Args:
        domains: None: all of the project.

    Raises:
        ReEvaluationFailed: a domain failed; the message has one part for each.
    """
    found = find_project(project)
    params = load_params(found)
    chosen = list(params.domains) if domains is None else domains
    for name in chosen:
        find_entry(params.domains, name, "domains")
    outcomes: list[StageOutcome] = []
    failures: dict[str, UI2IError] = {}
    for name in chosen:
        try:
            outcomes += _run_stages(found, [f"distance@{name}", f"translate@{name}"], force=True)
            show_distances(found, name)
            show_contact_sheet(found.translations(name), name)
        except UI2IError as error:
            get_run_logger().error("%s: %s", name, error)
            failures[name] = error
    if failures:
        raise ReEvaluationFailed("; ".join(f"{name}: {error}" for name, error in failures.items()))
    return outcomes


@flow(name="translate", flow_run_name="translate to {domain}")
def translate(
    images: str,
    domain: str,
    out: str,
    variants: list[str] | None = None,
    psi: float | None = None,
    method: str | None = None,
    steps: int | None = None,
    project: str | None = None,
) -> list[StageOutcome]:
    """Translate a folder of pictures to a domain that has been trained.

    Args:
        images: folder.
        out: folder to make; gets the translations, a contact sheet and tables.
        variants: FC-FT, FC-FT-LS8, ...; None: the first mode and its variants.
        psi: below 1 pulls the codes towards the models' mean; None: as `params.yaml` says, as for the others.
        method: of inversion.
        steps: of inversion.
    """
    found = find_project(project)
    find_entry(load_params(found).domains, domain, "domains")
    folder = Path(out).resolve()
    command = translation_command(
        found, domain, Path(images).resolve(), folder, variants=variants or (), psi=psi, method=method, num_steps=steps
    )
    outcome = command_task(f"translate to {domain}", command, found.root)
    show_contact_sheet(folder, domain)
    return [outcome]


def _run_stages(project: Project, stages: list[str], *, force: bool = False) -> list[StageOutcome]:
    ensure_training_limit()
    return [stage_task(stage, project.root, force=force) for stage in stages]
