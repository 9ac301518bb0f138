"""Registration of new names: images are copied into `data/raw/`, and entries are added to `params.yaml`."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.project.names import check_name
from tasks.project.params import Params, check_mode, find_entry, load_params
from tasks.project.paths import Project
from tasks.project.register import register_base, register_domain
from tasks.project.sections import Base, Domain
from tasks.requests.raw_images import add_raw, count_images, not_copied, raw_place, sample_facing

if TYPE_CHECKING:
    from tasks.models.training_plan import RawImages
    from ui2i.settings import Framing

DEFAULT_MODES = ("FC-FT",)


def add_base(
    project: Project,
    name: str,
    images: Path | str,
    *,
    overrides: Mapping[str, Any] | None = None,
    framing: "Framing | None" = None,
    replace: bool = False,
    follow_links: bool = False,
) -> str | None:
    """Register a model to train from scratch, with its images.

    Args:
        images: folder or .zip, anywhere.
        overrides: of the section `pretrain`, for this base.
        framing: center, fit or face; None: as the section `ingest` says.
        replace: replace existing images and settings of this name.
        follow_links: also copy images outside `images` that a link or list points to.

    Returns:
        In a line, what of `images` was not copied; None: nothing.

    Raises:
        UI2IError: the name is not valid or taken, or there are no images.
    """
    _check_framing(project, load_params(project), framing)
    check_name(name, where="the base")
    settings: dict[str, Any] = {"overrides": overrides, "framing": framing, "replace": replace}
    register_base(project, name, raw_place(project, name, images), **settings, dry_run=True)
    raw = add_raw(project, name, images, replace=replace, follow_links=follow_links)
    register_base(project, name, raw, **settings)
    return not_copied(raw)


def add_domain(
    project: Project,
    name: str,
    base: str,
    images: Path | str | None = None,
    *,
    modes: Sequence[str] = DEFAULT_MODES,
    overrides: Mapping[str, Any] | None = None,
    framing: "Framing | None" = None,
    replace: bool = False,
    follow_links: bool = False,
) -> str | None:
    """Register a domain to fine-tune `base` to, with its images.

    Args:
        images: folder or .zip, anywhere; None: the dataset of this name is registered.
        overrides: of the section `finetune`, for this domain.
        framing: center, fit or face; None: as the section `ingest` says.
        replace: replace existing images and settings of this name.
        follow_links: also copy images outside `images` that a link or list points to.

    Returns:
        In a line, what of `images` was not copied; None: nothing.

    Raises:
        UI2IError: a name is not valid or taken, there is no such base or mode, or there are no images.
    """
    _check_domain(project, name, base, modes, framing)  # before any image is copied
    settings: dict[str, Any] = {"modes": modes, "overrides": overrides, "framing": framing, "replace": replace}
    raw = None if images is None else raw_place(project, name, images)
    register_domain(project, name, base, raw, **settings, dry_run=True)
    if images is not None:
        raw = add_raw(project, name, images, replace=replace, follow_links=follow_links)
    register_domain(project, name, base, raw, **settings)
    return None if raw is None else not_copied(raw)


def plan_base(
    project: Project,
    name: str,
    images: Path | str,
    *,
    overrides: Mapping[str, Any] | None = None,
    framing: "Framing | None" = None,
    follow_links: bool = False,
) -> str:
    """Return the plan and the cost of training a base on these images; nothing is registered.

    Raises:
        UI2IError: as `add_base`.
    """
    from tasks.models.training_plan import describe_plan

    params = load_params(project)
    _check_framing(project, params, framing)
    check_name(name, where="the base")
    planned = dataclasses.replace(params, bases={**params.bases, name: Base(pretrain=overrides or {})})
    raw = _look_at(planned, images, follow_links=follow_links)
    return describe_plan(project, planned, name, raw=raw)


def plan_domain(
    project: Project,
    name: str,
    base: str,
    images: Path | str,
    *,
    modes: Sequence[str] = DEFAULT_MODES,
    overrides: Mapping[str, Any] | None = None,
    framing: "Framing | None" = None,
    follow_links: bool = False,
) -> str:
    """Return the plan and the cost of fine-tuning `base` to these images; nothing is registered.

    Raises:
        UI2IError: as `add_domain`.
    """
    from tasks.models.training_plan import describe_plan

    params = _check_domain(project, name, base, modes, framing)
    domain = Domain(base=base, modes=tuple(check_mode(mode, where=name) for mode in modes), finetune=overrides or {})
    planned = dataclasses.replace(params, domains={**params.domains, name: domain})
    raw = _look_at(planned, images, follow_links=follow_links)
    return describe_plan(project, planned, name, raw=raw)


def _check_domain(project: Project, name: str, base: str, modes: Sequence[str], framing: str | None) -> Params:
    """Refuse what can be refused before anything is done."""
    params = load_params(project)
    _check_framing(project, params, framing)
    check_name(name, where="the domain")
    find_entry({**params.bases, **params.imported}, base, "bases or imported")
    for mode in modes:
        check_mode(mode, where="the domain")
    return params


def _check_framing(project: Project, params: Params, framing: str | None) -> None:
    """Refuse a framing that is none, or whose faces nothing can find."""
    from tasks.models.framing import choose_framer

    if framing is not None:
        choose_framer(project, params, {}, framing)


def _look_at(params: Params, images: Path | str, *, follow_links: bool) -> "RawImages":
    """Return what training would have if no image is rejected."""
    from tasks.models.training_plan import RawImages

    count = count_images(images, follow_links=follow_links)
    num_training = max(1, round(count * (1 - params.ingest.test_share)))
    return RawImages(num_training, sample_facing(images, params.ingest))
