"""Edits `params.yaml`: new datasets, bases and domains get their entries, and nothing else in the file moves.

The text is edited at the places that the YAML parser names, so comments, order and spacing stay byte for byte. The
result is checked as a whole before it takes the place of the old file.
"""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock
from ruamel.yaml import YAML
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node

from tasks.project.names import check_name, check_path
from tasks.project.params import Params, all_sections, find_entry, load_params, parse_params
from tasks.project.paths import PARAMS_FILE, Project
from ui2i.errors import ConfigError
from ui2i.files import write_text
from ui2i.settings import Framing

LOCK_SECONDS = 30


def register_dataset(
    project: Project,
    name: str,
    images: Path | str,
    *,
    framing: Framing | None = None,
    replace: bool = False,
    dry_run: bool = False,
) -> Params:
    """Add `datasets.<name>` to `params.yaml`. Adding what is there already changes nothing.

    Args:
        images: folder or .zip inside the project; a relative path counts from the project.
        framing: of the images; None: as the section `ingest` says.
        replace: overwrite an entry of that name with other settings instead of refusing.
        dry_run: write nothing, but refuse what would be refused.

    Returns:
        The params as they are now.

    Raises:
        ConfigError: the result would not be valid, or the name exists with other settings.
    """
    return add_entries(project, name, _dataset_entry(project, images, framing), replace=replace, dry_run=dry_run)


def register_base(
    project: Project,
    name: str,
    images: Path | str | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    framing: Framing | None = None,
    replace: bool = False,
    dry_run: bool = False,
) -> Params:
    """Add `bases.<name>`, a model to train from scratch, and its dataset; otherwise as `register_dataset`.

    Args:
        images: None: `datasets.<name>` is there already.
        overrides: of the section `pretrain`, for this base.
        framing: of the images; None: as the section `ingest` says.
    """
    entry = {"pretrain": dict(overrides)} if overrides else {}
    entries = {**_dataset_entry(project, images, framing), "bases": entry}
    return add_entries(project, name, entries, replace=replace, dry_run=dry_run)


def register_imported(
    project: Project,
    name: str,
    checkpoint: Path | str,
    images: Path | str | None = None,
    *,
    framing: Framing | None = None,
    replace: bool = False,
    dry_run: bool = False,
) -> Params:
    """Add `imported.<name>`, a ready model in a folder of the project, and its dataset; as `register_base`."""
    entry = {"checkpoint": _inside(project, checkpoint)}
    entries = {**_dataset_entry(project, images, framing), "imported": entry}
    return add_entries(project, name, entries, replace=replace, dry_run=dry_run)


def register_domain(
    project: Project,
    name: str,
    base: str,
    images: Path | str | None = None,
    *,
    modes: Sequence[str] = ("FC-FT",),
    overrides: Mapping[str, Any] | None = None,
    framing: Framing | None = None,
    replace: bool = False,
    dry_run: bool = False,
) -> Params:
    """Add `domains.<name>`, a model to fine-tune from `base`, and its dataset; otherwise as `register_dataset`.

    Args:
        images: None: `datasets.<name>` is there already.
        overrides: of the section `finetune`, for this domain.
        framing: of the images; None: as the section `ingest` says.
    """
    entry: dict[str, Any] = {"base": base, "modes": list(modes)}
    if overrides:
        entry["finetune"] = dict(overrides)
    entries = {**_dataset_entry(project, images, framing), "domains": entry}
    return add_entries(project, name, entries, replace=replace, dry_run=dry_run)


def register_encoder(project: Project, name: str, settings: Mapping[str, Any], *, replace: bool = False) -> Params:
    """Add `encoders.<name>`, an encoder of a base; otherwise as `register_dataset`."""
    return add_entries(project, name, {"encoders": dict(settings)}, replace=replace)


def register_translator(project: Project, domain: str, settings: Mapping[str, Any], *, replace: bool = False) -> Params:
    """Add `translators.<domain>`, a translator of a domain; otherwise as `register_dataset`."""
    base = find_entry(load_params(project).domains, domain, "domains").base
    return add_entries(project, domain, {"translators": {"base": base, **settings}}, replace=replace)


def _dataset_entry(
    project: Project, images: Path | str | None, framing: Framing | None = None
) -> dict[str, dict[str, Any]]:
    if images is None:
        return {}
    return {"datasets": {"images": _inside(project, images)} | ({} if framing is None else {"framing": framing})}


def _inside(project: Project, path: Path | str) -> str:
    """Return a path as `params.yaml` writes it."""
    absolute = project.root / path
    if not absolute.is_relative_to(project.root):
        raise ConfigError(f"{path} is outside the project {project.root}, expected a path in it; copy it there first")
    relative = project.relative(absolute)
    check_path(relative, where=f"the path {path}")
    return relative


def add_entries(
    project: Project, name: str, entries: Mapping[str, Any], *, replace: bool = False, dry_run: bool = False
) -> Params:
    """Add an entry `name` to several sections at once; otherwise as `register_dataset`.

    Args:
        entries: by section.
        dry_run: write nothing, but refuse what would be refused.
    """
    check_name(name, where=", ".join(entries))
    lock_path = project.file_lock_path(PARAMS_FILE)
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock_path, timeout=LOCK_SECONDS):
        before = load_params(project)
        with project.params_path.open(encoding="utf-8", newline="") as file:
            text = old_text = file.read()
        for section, entry in entries.items():
            text = _set_entry(text, section, name, entry)
        if "\r\n" in old_text:
            text = re.sub(r"(?<!\r)\n", "\r\n", text)
        after = parse_params(text)
        changed = [
            section for section in entries if _entry(before, section, name) not in (None, _entry(after, section, name))
        ]
        if changed and not replace:
            raise ConfigError(
                f"{PARAMS_FILE} has {changed[0]}.{name} with other settings, expected a new name or equal settings; "
                "choose another name, or pass --replace (replace: true in a flow)"
            )
        if dry_run or after == before:
            return after
        if text != old_text:
            write_text(project.params_path, text)
    return after


def _entry(params: Params, section: str, name: str) -> Any:
    return all_sections(params)[section].get(name)


def _set_entry(text: str, section: str, name: str, entry: Mapping[str, Any]) -> str:
    """Return `text` with the entry `section.name` set, and every other character as it was."""
    root = YAML(typ="rt", pure=True).compose(text)
    assert isinstance(root, MappingNode)  # parse_params accepted it
    parent = _child(root, section)
    written = _flow(entry)
    if parent is None:  # a section that may be left out
        return text.rstrip("\n") + f"\n\n{section}:\n  {name}: {written}\n"
    assert isinstance(parent, MappingNode)
    existing = _child(parent, name)
    if existing is not None:
        return text[: existing.start_mark.index] + written + text[_end(existing) :]
    if not parent.value:
        return text[: parent.start_mark.index].rstrip(" ") + f"\n  {name}: {written}" + text[_end(parent) :]
    if parent.flow_style:
        return text[: _end(parent) - 1] + f", {name}: {written}" + text[_end(parent) - 1 :]
    indent = " " * parent.value[0][0].start_mark.column
    line_end = text.find("\n", _end(parent))
    line_end = len(text) if line_end < 0 else line_end
    return text[:line_end] + f"\n{indent}{name}: {written}" + text[line_end:]


def _child(node: MappingNode, key: str) -> Node | None:
    return next((value for key_node, value in node.value if key_node.value == key), None)


def _end(node: Node) -> int:
    """Return the offset after a node's last character. A block's own mark lies behind the comments that follow it."""
    if not isinstance(node, CollectionNode) or node.flow_style or not node.value:
        return node.end_mark.index
    last = node.value[-1]
    return _end(last[1] if isinstance(node, MappingNode) else last)


def _flow(entry: Mapping[str, Any]) -> str:
    """Write an entry on one line."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = True
    yaml.width = 10_000
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # ruamel declares a None
    stream = io.StringIO()
    yaml.dump(dict(entry), stream)
    return stream.getvalue().strip()
