"""`ui2i web` and `ui2i serve`: a project's translators and models as pages."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.models.domain_models import Model, base_model, named_model
from tasks.models.translator_models import check_translator, translator_path
from tasks.project.params import Params, find_entry, load_params
from tasks.project.paths import Project
from tasks.requests.export_onnx import export_translator
from ui2i.errors import CheckpointError, DataError, UI2IError
from ui2i.files import sha256_file

if TYPE_CHECKING:
    from ui2i.distillation.onnx_session import OnnxTranslator
    from ui2i.web.family import FamilyModel

NUM_COMPARED = 8  # images, of an exported domain check with the check itself


def write_project_site(
    project: Project,
    domains: Sequence[str],
    out: Path,
    *,
    archive: Path | None = None,
    served_pages: Mapping[str, str] | None = None,
) -> tuple[int, list[str]]:
    """Write a site of domains' translators and models.

    Args:
        domains: their names; empty: all that have a translator or a model.
        archive: of onnxruntime-web, instead of fetching it: `ui2i.web.runtime.ensure_runtime`.
        served_pages: further pages, which need a server.

    Returns:
        The site's size in bytes, and in a line each what it lacks.

    Raises:
        ConfigError: there is no such domain, or a package is not installed.
        DataError: no domain has anything to show, or `out` holds something else.
        RuntimeMissingError: onnxruntime-web cannot be fetched.
    """
    from ui2i.web.runtime import ensure_runtime
    from ui2i.web.site import SiteContent, write_site

    params = load_params(project)
    chosen = list(dict.fromkeys(domains or params.domains))
    for domain in chosen:
        find_entry(params.domains, domain, "domains")
    runtime = ensure_runtime(project.web_runtime, archive)
    lacking: list[str] = []
    translators = [path for domain in chosen if (path := _translator(project, params, domain, lacking)) is not None]
    families = _families(project, params, chosen, lacking)
    if not (translators or families or served_pages):
        why = f" ({'; '.join(lacking)})" if lacking else ""
        raise DataError(
            f"none of {', '.join(chosen) or 'the domains'} has a model or a translator that can be shown{why}, "
            "expected at least one; train it with ui2i new-domain, then ui2i distill"
        )
    checks = _checks(project, params, translators, lacking)
    content = SiteContent(translators=translators, checks=checks, families=families, served_pages=served_pages or {})
    return write_site(out, content, runtime), lacking


def _translator(project: Project, params: Params, domain: str, lacking: list[str]) -> Path | None:
    """Return the ONNX file of a domain's translator, exported now if need be; None: `lacking` says why."""
    try:
        trained = translator_path(project, params, domain)
    except CheckpointError:
        lacking.append(f"{domain} has no translator: ui2i distill {domain} trains it")
        return None
    path = project.onnx_translator(domain)
    try:
        if (exported := _exported(path, trained)) is None:
            export_translator(project, domain, path)
        else:
            check_translator(project, params, trained, exported.card)
    except UI2IError as error:
        lacking.append(f"the translator of {domain} is left out: {error}")
        return None
    return path


def _exported(path: Path, trained: Path) -> "OnnxTranslator | None":
    """Return what an ONNX file holds if it is whole and of that translator."""
    from ui2i.distillation.onnx_session import OnnxTranslator

    try:
        exported = OnnxTranslator(path)
    except CheckpointError:  # it is missing or damaged
        return None
    return exported if exported.translator_hash == sha256_file(trained) else None


def _checks(project: Project, params: Params, translators: Sequence[Path], lacking: list[str]) -> dict[str, Any]:
    """Return for each source of translators what writes its domain check."""
    from ui2i.distillation.onnx_session import OnnxTranslator

    checks: dict[str, Any] = {}
    for card in (OnnxTranslator(path).card for path in translators):
        try:
            source = base_model(project, params, card.domain, device="cpu")
            if source.name not in checks and source.hash == card.source_hash:
                checks[source.name] = _check(project, source)
        except UI2IError as error:
            lacking.append(f"images for {card.domain} are not compared with those of {card.source}: {error}")
    return checks


def _check(project: Project, source: Model) -> Callable[[Path], dict[str, Any]]:
    """Return what writes the domain check of a model."""
    from tasks.models.domain_checks import extractor_of, find_reference, samples_of
    from ui2i.web.kept_exports import KeptExports
    from ui2i.web.looks import write_check

    extractor = extractor_of(source, device="cpu")
    return functools.partial(
        write_check,
        reference=find_reference(project, source, extractor),
        extractor=extractor,
        images=samples_of(source.generator, NUM_COMPARED),
        exports=KeptExports(project.web_exports),
    )


def _families(project: Project, params: Params, domains: Sequence[str], lacking: list[str]) -> list[Any]:
    """Return for each base what writes its family: itself, and of each domain the first mode."""
    from ui2i.web.family import FamilyModel, is_related, write_family
    from ui2i.web.kept_exports import KeptExports

    related: dict[str, tuple[FamilyModel, list[FamilyModel]]] = {}
    for domain in domains:
        entry = params.domains[domain]
        try:
            base = _family_model(base_model(project, params, domain, device="cpu"))
            model = _family_model(named_model(project, params, f"{domain}/{entry.modes[0]}", device="cpu"))
        except UI2IError:
            lacking.append(f"{domain} has no model to explore: ui2i new-domain or dvc repro trains it")
            continue
        if is_related(base, model):
            related.setdefault(entry.base, (base, []))[1].append(model)
        else:
            lacking.append(f"{model.name} reads other latent codes than {base.name}; Explore leaves it out")
    write = functools.partial(write_family, exports=KeptExports(project.web_exports))
    return [functools.partial(write, base=base, models=models) for base, models in related.values()]


def _family_model(model: Model) -> "FamilyModel":
    from ui2i.web.family import FamilyModel

    return FamilyModel(name=model.name, generator=model.generator, hash=model.hash, license=model.card.license)
