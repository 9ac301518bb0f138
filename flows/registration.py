"""Registration of new names: images are copied into `data/raw/`, and entries are added to `params.yaml`."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.project.names import check_name
from tasks.project.params import Params, check_mode, find_entry, load_params
from tasks.project.paths import Project
from tasks.project.register import register_base, register_dataset, register_domain
from tasks.requests.raw_images import add_raw, count_images, not_copied, raw_place, remove_replaced, sample_facing
from ui2i.errors import ConfigError

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
    register = _registering_base(project, name, overrides=overrides, framing=framing, replace=replace)
    return _add_images(project, name, images, register, replace=replace, follow_links=follow_links)


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
    settings: dict[str, Any] = {"modes": modes, "overrides": overrides, "framing": framing, "replace": replace}
    register = _registering_domain(project, name, base, **settings)  # which refuses before any image is copied
    if images is None:
        register()
        return None
    return _add_images(project, name, images, register, replace=replace, follow_links=follow_links)


def add_asked_base(
    project: Project, name: str, images: Path | str | None, *, overrides: Mapping[str, Any] | None, **options: Any
) -> str | None:
    """Register a base as the parameters of a run say, unless only its name is given; returns as `add_base`.

    Args:
        options: the others of `add_base`.

    Raises:
        UI2IError: as `add_base`; or something is asked for without images.
    """
    if images is None:
        _refuse_without("images", name, {"overrides": overrides, **options})
        return None
    return add_base(project, name, images, overrides=overrides, **options)


def add_asked_domain(
    project: Project,
    name: str,
    base: str | None,
    images: Path | str | None,
    *,
    modes: Sequence[str] | None,
    overrides: Mapping[str, Any] | None,
    **options: Any,
) -> str | None:
    """Register a domain as the parameters of a run say, unless only its name is given; returns as `add_domain`.

    Without a base, what is not given stays as it is registered.

    Args:
        options: the others of `add_domain`.

    Raises:
        UI2IError: as `add_domain`; or something is asked for without images, or without a base of a new domain.
    """
    if images is None:
        _refuse_without("images", name, {key: value for key, value in options.items() if key != "replace"})
    if base is not None:
        return add_domain(project, name, base, images, modes=modes or DEFAULT_MODES, overrides=overrides, **options)
    registered = load_params(project).domains.get(name)
    if registered is None:
        _refuse_without("base", name, {"images": images, "modes": modes, "overrides": overrides, **options})
        return None
    if modes or overrides:
        settings: dict[str, Any] = {"modes": modes or registered.modes, "overrides": overrides or registered.finetune}
        return add_domain(project, name, registered.base, images, **settings, **options)
    return None if images is None else _replace_images(project, name, images, **options)


def plan_base(
    project: Project,
    name: str,
    images: Path | str,
    *,
    overrides: Mapping[str, Any] | None = None,
    framing: "Framing | None" = None,
    replace: bool = False,
    follow_links: bool = False,
) -> str:
    """Return the plan and the cost of training a base on these images; nothing is registered.

    Raises:
        UI2IError: as `add_base`, but for images of this name that are there and are others.
    """
    from tasks.models.training_plan import describe_plan

    register = _registering_base(project, name, overrides=overrides, framing=framing, replace=replace)
    planned = register(raw_place(project, name, images), dry_run=True)
    return describe_plan(project, planned, name, raw=_look_at(planned, images, follow_links=follow_links))


def plan_domain(
    project: Project,
    name: str,
    base: str,
    images: Path | str,
    *,
    modes: Sequence[str] = DEFAULT_MODES,
    overrides: Mapping[str, Any] | None = None,
    framing: "Framing | None" = None,
    replace: bool = False,
    follow_links: bool = False,
) -> str:
    """Return the plan and the cost of fine-tuning `base` to these images; nothing is registered.

    Raises:
        UI2IError: as `add_domain`, but for images of this name that are there and are others.
    """
    from tasks.models.training_plan import describe_plan

    settings: dict[str, Any] = {"modes": modes, "overrides": overrides, "framing": framing, "replace": replace}
    planned = _registering_domain(project, name, base, **settings)(raw_place(project, name, images), dry_run=True)
    return describe_plan(project, planned, name, raw=_look_at(planned, images, follow_links=follow_links))


def _registering_base(
    project: Project, name: str, *, framing: "Framing | None", **settings: Any
) -> Callable[..., Params]:
    """Return what registers a base once its images' place is known; it refuses what can be refused before."""
    _check_framing(project, load_params(project), framing)
    check_name(name, where="the base")
    return functools.partial(register_base, project, name, framing=framing, **settings)


def _registering_domain(
    project: Project, name: str, base: str, *, modes: Sequence[str], framing: "Framing | None", **settings: Any
) -> Callable[..., Params]:
    """Return what registers a domain once its images' place is known; it refuses what can be refused before."""
    _check_domain(project, name, base, modes, framing)
    return functools.partial(register_domain, project, name, base, modes=modes, framing=framing, **settings)


def _add_images(
    project: Project,
    name: str,
    images: Path | str,
    register: Callable[..., Params],
    *,
    replace: bool,
    follow_links: bool,
) -> str | None:
    """Copy images and register them, then remove what they replace; `register` refuses before any is copied."""
    register(raw_place(project, name, images), dry_run=True)
    raw = add_raw(project, name, images, replace=replace, follow_links=follow_links)
    register(raw)
    if replace:
        remove_replaced(project, name, raw)
    return not_copied(raw)


def _replace_images(
    project: Project, name: str, images: Path | str, *, framing: "Framing | None", replace: bool, follow_links: bool
) -> str | None:
    """Give a registered name other images, and leave its other settings as they are."""
    _check_framing(project, load_params(project), framing)
    register = functools.partial(register_dataset, project, name, framing=framing, replace=replace)
    return _add_images(project, name, images, register, replace=replace, follow_links=follow_links)


def _refuse_without(missing: str, name: str, given: Mapping[str, Any]) -> None:
    """Refuse parameters that mean nothing without another one."""
    if names := [key for key, value in given.items() if value]:
        raise ConfigError(
            f"{name} came with {', '.join(names)} but without {missing}, expected {missing} too; add it, or give the "
            "name alone to run what is registered"
        )


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
