"""The folder of pages and models: static files that any host can serve, without a request to elsewhere."""

import dataclasses
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ui2i.distillation.onnx_session import OnnxTranslator
from ui2i.errors import DataError
from ui2i.files import atomic_folder, sha256_file, write_text
from ui2i.images.sources import check_destination
from ui2i.names import printable
from ui2i.web.runtime import CODE, MODULE

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; media-src blob:; style-src 'self'; frame-src 'self'; base-uri 'none'; "
    "form-action 'none'"
)
"""Pages may load and reach nothing but their own site."""

PAGES = {"index": "Translate", "explore": "Explore"}
SERVED_SCRIPTS = ("measure.js", "refine.js", "runs.js")  # of pages that ask a server
MODELS_FILE = "models/models.json"
WORKER_FILE = "sw.js"
HEADERS_FILE = "_headers"  # of several static hosts
_HERE = Path(__file__).parent

WriteFamily = Callable[[Path], dict[str, Any]]
WriteCheck = Callable[[Path], dict[str, Any]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SiteContent:
    """What a site offers."""

    translators: Sequence[Path]  # ONNX files that `ui2i export-onnx` wrote
    checks: Mapping[str, WriteCheck] = dataclasses.field(default_factory=dict)  # of sources, by name: `ui2i.web.looks`
    families: Sequence[WriteFamily] = ()  # each writes a family's files into a folder: `ui2i.web.family`
    served_pages: Mapping[str, str] = dataclasses.field(default_factory=dict)  # that need `ui2i serve`: file, heading


def write_site(out: Path, content: SiteContent, runtime: Path) -> int:
    """Write the site; it appears complete or not at all, and replaces an earlier one.

    What somebody put beside the earlier site's files, such as `.git` or `CNAME`, stays. Pages that need a server have a
    folder of their own, in which nothing else stays.

    Args:
        runtime: folder with onnxruntime-web: `ui2i.web.runtime.ensure_runtime`.

    Returns:
        The sum of its files' sizes in bytes.

    Raises:
        DataError: `out` holds something else than a site, or a file whose name the site needs.
        CheckpointError: a translator's file is damaged.
        ConfigError: onnxruntime is not installed.
    """
    check_destination((), out, MODELS_FILE, "site")
    is_served = bool(content.served_pages)
    with atomic_folder(out, None if is_served else _others) as folder:
        shutil.copytree(_HERE / "static", folder, dirs_exist_ok=True)
        worker = (folder / WORKER_FILE).read_text(encoding="utf-8")
        (folder / WORKER_FILE).unlink()
        _write_pages(folder, content.served_pages)
        for name in (MODULE, CODE):
            (folder / "runtime").mkdir(exist_ok=True)
            shutil.copyfile(runtime / name, folder / "runtime" / name)
        models = {"offline": not is_served, **_write_models(folder / "models", content)}
        write_text(folder / MODELS_FILE, json.dumps(models, separators=(",", ":")) + "\n")
        if not is_served:
            files = _listing(folder)
            version = hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]
            kept = json.dumps(["./", *files])
            write_text(folder / WORKER_FILE, f"const VERSION = {json.dumps(version)};\nconst FILES = {kept};\n{worker}")
            write_text(folder / HEADERS_FILE, f"/*\n  Content-Security-Policy: {POLICY}\n")
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _write_pages(folder: Path, served: Mapping[str, str]) -> None:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined)
    pages = {**PAGES, **served}
    for page, heading in pages.items():
        text = templates.get_template(f"{page}.html").render(
            page=page, script=page, title=heading, pages=pages.items(), policy=POLICY, is_served=bool(served)
        )
        write_text(folder / f"{page}.html", text + "\n")
    for script in SERVED_SCRIPTS if not served else ():
        (folder / "js" / script).unlink()


def _write_models(folder: Path, content: SiteContent) -> dict[str, Any]:
    folder.mkdir()
    checks = {name: write(folder / f"{name}.check.onnx") for name, write in content.checks.items()}
    translators = []
    for path in content.translators:
        card = OnnxTranslator(path).card
        file = f"{card.domain}-{card.variant}.onnx"
        shutil.copyfile(path, folder / file)
        shown = {name: getattr(card, name) for name in ("domain", "variant", "source", "img_resolution", "license")}
        check = checks.get(card.source)
        located = check and {**check, "file": f"models/{check['file']}"}
        translators.append({**shown, "framing": dict(card.framing), "file": f"models/{file}", "check": located})
    families = [_located(write(folder)) for write in content.families]
    return {"translators": translators, "families": families}


def _located(family: dict[str, Any]) -> dict[str, Any]:
    """Return a family with addresses instead of names of files."""
    models = [{**model, "file": f"models/{model['file']}"} for model in family["models"]]
    return {**family, "models": models, **{name: f"models/{family[name]}" for name in ("mapping", "synthesis")}}


def _others(site: Path, new: Path) -> list[Path]:
    """Return what lies beside the files of an earlier site: relative paths of files, and of folders without any of its.

    Raises:
        DataError: the new site has a file of such a name.
    """
    earlier = _written_earlier(site) or {Path(name) for name in _listing(new)}
    folders = {folder for name in earlier for folder in name.parents}
    others = list(_beside(site, Path(), earlier, folders))
    taken = [printable(name.as_posix()) for name in others if os.path.lexists(new / name)]
    if taken:
        raise DataError(
            f"{site} holds {', '.join(taken)}, which no earlier site wrote and the new one would, expected other "
            "names; rename them or choose another folder"
        )
    return others


def _beside(site: Path, place: Path, names: Collection[Path], folders: Collection[Path]) -> Iterator[Path]:
    """Yield what lies in a folder of a site and is not called as one of its files or folders."""
    for entry in sorted((site / place).iterdir()):
        name = place / entry.name
        if name in folders and entry.is_dir() and not entry.is_symlink():
            yield from _beside(site, name, names, folders)
        elif name not in names:
            yield name


def _written_earlier(site: Path) -> set[Path]:
    """Return the files that an earlier site lists as its own; none: it has no list."""
    try:
        found = re.search(r"^const FILES = (\[.*\]);$", (site / WORKER_FILE).read_text(encoding="utf-8"), re.MULTILINE)
        listed = json.loads(found[1]) if found else []
    except (OSError, ValueError):
        return set()
    return {Path(str(name)) for name in (WORKER_FILE, HEADERS_FILE, *listed)} if listed else set()


def _listing(folder: Path) -> dict[str, str]:
    """Return each file's SHA-256 by its address."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in found}
