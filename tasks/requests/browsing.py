"""A domain's translations with their scores, in any order and a page at a time: for `ui2i serve`."""

from pathlib import Path
from typing import Any, Literal

from tasks.project.params import load_params
from tasks.project.paths import Project
from tasks.requests.worst_translations import input_pngs, mean_scores
from ui2i.errors import DataError
from ui2i.images.folders import ends_within
from ui2i.settings import dataclass
from ui2i.translation_files import MANIFEST_NAME

PAGE_SIZE = 24
Order = Literal["worst", "best", "name"]


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which translations are wanted."""

    order: Order = "worst"
    name: str = ""  # part of the input's name
    variant: str = ""  # empty: all
    max_ssim: float = 1.0  # of the reconstruction
    max_score: float | None = None  # against the true counterparts, where these are known
    start: int = 0


def translated_domains(project: Project) -> list[str]:
    """Return the domains whose test images have been translated."""
    domains = load_params(project).domains
    return [domain for domain in domains if (project.translations(domain) / MANIFEST_NAME).is_file()]


def translated_variants(project: Project, domain: str) -> list[str]:
    """Return the variants among a domain's translations; none where there are no translations."""
    if not (project.translations(domain) / MANIFEST_NAME).is_file():
        return []
    return list(dict.fromkeys(row["variant"] for row in _rows(project, domain)))


def browse(project: Project, domain: str, wanted: Filter) -> dict[str, Any]:
    """Return a page of translations, how many there are, and the variants among them.

    Raises:
        DataError: the domain has none, or a table is damaged.
    """
    rows = _rows(project, domain)
    images: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        images.setdefault(row["index"], []).append(row)
    scores = _scores(project, domain)
    found: list[dict[str, Any]] = [
        {
            "index": index,
            "name": Path(own[0]["input_path"]).name,
            "ssim": round(own[0]["ssim"], 3),
            "score": round(scores[index], 3) if index in scores else None,
            "variants": [row["variant"] for row in own if wanted.variant in ("", row["variant"])],
        }
        for index, own in images.items()
        if wanted.name.lower() in Path(own[0]["input_path"]).name.lower()
        and own[0]["ssim"] <= wanted.max_ssim
        and (wanted.max_score is None or scores.get(index, wanted.max_score) <= wanted.max_score)
        and any(wanted.variant in ("", row["variant"]) for row in own)
    ]
    if wanted.order == "name":
        found.sort(key=lambda it: it["name"])
    else:
        found.sort(key=lambda it: (it["score"] or 0.0, it["ssim"]), reverse=wanted.order == "best")
    return {
        "total": len(found),
        "has_scores": bool(scores),
        "variants": list(dict.fromkeys(row["variant"] for row in rows)),
        "images": found[max(0, wanted.start) :][:PAGE_SIZE],
    }


def image_of(project: Project, domain: str, index: int, variant: str) -> bytes | None:
    """Return an image as PNG: the variant `input`, or one of the manifest's; None: there is none.

    Raises:
        DataError: the domain has no translations, or a table is damaged.
    """
    own = [row for row in _rows(project, domain) if row["index"] == index]
    if variant == "input" and own:
        path = own[0]["input_path"]
        return input_pngs(project.prepared(load_params(project).domains[domain].base), [path]).get(path)
    for row in own:
        file = project.translations(domain) / row["output_file"]
        if row["variant"] == variant and file.is_file() and ends_within(file, project.translations(domain)):
            return file.read_bytes()
    return None


def _rows(project: Project, domain: str) -> list[dict[str, Any]]:
    from ui2i.tables import TRANSLATION_SCHEMA, read_rows

    if domain not in translated_domains(project):
        raise DataError(f"{domain} has no translations, expected a manifest; run ui2i new-domain or re-evaluate")
    return read_rows(project.translations(domain) / MANIFEST_NAME, TRANSLATION_SCHEMA)


def _scores(project: Project, domain: str) -> dict[int, float]:
    from ui2i.tables import TRUTH_SCHEMA, read_rows

    table = project.truth_table(domain)
    return mean_scores(read_rows(table, TRUTH_SCHEMA)) if table.is_file() else {}
