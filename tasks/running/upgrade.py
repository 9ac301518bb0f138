"""`ui2i upgrade`: gives a project of version 0.1 the names of today, so that nothing in it has to run again.

Version 0.2 renamed modules, stages, sections and files. DVC compares the words of a command and of a setting with those
in `dvc.lock`, so that every stage would run again. Here the words are replaced in both, and files are moved. A project
that left the perceptual backbone to the default keeps what that was, `alex`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from tasks.project.old_names import KEYS, SECTIONS
from tasks.project.paths import DVC_FILE, PARAMS_FILE, Project
from tasks.running.dvc_locks import repository_lock
from tasks.running.lock_file import LOCK_FILE, keep_copy
from ui2i.errors import ConfigError
from ui2i.files import write_text

MODULES = {
    "draw": "experiments.synthetic.draw",
    **{name: f"tasks.stages.{name}" for name in ("ingest", "pretrain", "import_base", "finetune", "swap")},
    **{name: f"tasks.stages.{name}" for name in ("distance", "evaluate", "translate", "encode")},
    **{name: f"experiments.paper.stages.{name}" for name in ("truth", "compare_inversions", "pair", "baseline")},
    **{name: f"experiments.paper.stages.{name}" for name in ("table", "figures")},
    "judge": "experiments.paper.stages.evaluate_images",
    "judge_baseline": "experiments.paper.stages.evaluate_baseline",
}
"""What `python -m tasks.<name>` of version 0.1 is now."""

STAGES = {"judge": "evaluate_images", "judge_baseline": "evaluate_baseline"}
FILES = {
    "tables/evaluation/pictures.*.parquet": ("pictures.", "images."),
    "tables/inversion/*.pictures.parquet": (".pictures.", ".images."),
}

OLD_BACKBONE = "backbone: alex"
"""What a section `perceptual` meant that named none."""

_OLD_COMMAND = re.compile(r"(?m)^(?P<key> +cmd: )python -m tasks\.(?P<module>\w+)(?: --\w+ \S+)?$")
_OLD_STAGE = re.compile(rf"(?m)^  (?P<kind>{'|'.join(STAGES)})(?P<name>@[a-z0-9-]+)?:")
_OLD_SECTION = re.compile(rf"(?P<before>\$\{{|- |(?m:^) +)(?P<section>{'|'.join(SECTIONS)})(?P<after>\.|:|\}}|(?m:$))")
_OLD_KEY = re.compile(r"(?m)^( +perceptual:\n(?: {8,}.*\n)*? {8,})trunk:")
_OLD_PATH = re.compile(r"(data/tables/(?:evaluation/|inversion/[^/\s]+\.))pictures\.")


def require_upgraded(project: Project) -> None:
    """Refuse to run a stage of a project whose record would have DVC run every stage again.

    Raises:
        ConfigError: it is one.
    """
    text = _read(project.root / LOCK_FILE)
    old = (match["module"] for match in _OLD_COMMAND.finditer(text or "") if match["module"] in MODULES)
    if (module := next(old, None)) is not None:
        raise ConfigError(
            f"{LOCK_FILE} records commands of version 0.1 (python -m tasks.{module}), expected today's; "
            "run `ui2i upgrade`, which keeps all that was made"
        )


def upgrade(project: Project, *, dry_run: bool = False) -> list[str]:
    """Give a project the names of today; return what was, or with `dry_run` would be, changed.

    It can be repeated after an interruption.

    Raises:
        ConfigError: a file cannot be read.
    """
    if not dry_run:
        keep_copy(project)  # mends what was cut off, while the copy has the same names
    with repository_lock(project.root):
        changes = []
        for source, target in _moves(project):
            changes.append(f"{project.relative(source)} is now {target.name}")
            if not dry_run:
                source.rename(target)
        for name, text in _texts(project):
            path = project.root / name
            if text != _read(path):
                changes.append(f"{name} has the names of version 0.2")
                if not dry_run:
                    write_text(path, text)
    if changes and not dry_run:
        keep_copy(project)
    return changes


def _texts(project: Project) -> Iterator[tuple[str, str]]:
    """Yield each file that may have old names, as it should be; dvc.lock last, which says that all else is done."""
    texts = {name: _read(project.root / name) for name in (PARAMS_FILE, DVC_FILE, LOCK_FILE)}
    is_old = _OLD_COMMAND.search(texts[LOCK_FILE] or "") is not None
    for name, text in texts.items():
        if text is not None:
            kept = _with_old_backbone(text) if is_old and name != DVC_FILE else text
            yield name, _renewed_params(kept) if name == PARAMS_FILE else _renewed_dvc(kept)


def _with_old_backbone(text: str) -> str:
    """Return `params.yaml` or `dvc.lock` where each section `perceptual` that names no backbone names the default."""
    for value in reversed(list(_sections("perceptual", YAML(typ="rt", pure=True).compose(text)))):
        if not {"trunk", "backbone"} & {key.value for key, _ in value.value}:
            start = value.start_mark.index + value.flow_style
            after = (", " if value.value else "") if value.flow_style else "\n" + " " * value.start_mark.column
            text = text[:start] + OLD_BACKBONE + after + text[start:]
    return text


def _sections(name: str, node: Node | None) -> Iterator[MappingNode]:
    """Yield the mappings of that name at any depth, in their order."""
    for key, value in node.value if isinstance(node, MappingNode) else ():
        if isinstance(value, MappingNode) and key.value == name:
            yield value
        else:
            yield from _sections(name, value)


def _renewed_params(text: str) -> str:
    """Return `params.yaml` with its sections and keys renamed, and every other character as it was."""
    root = YAML(typ="rt", pure=True).compose(text)
    places = []
    for key, value in root.value if isinstance(root, MappingNode) else ():
        places += [(key, SECTIONS[key.value])] if key.value in SECTIONS else []
        for inner, _ in value.value if isinstance(value, MappingNode) else ():
            if isinstance(inner, ScalarNode) and (key.value, inner.value) in KEYS:
                places.append((inner, KEYS[key.value, inner.value]))
    for node, new in sorted(places, key=lambda place: -place[0].start_mark.index):
        text = text[: node.start_mark.index] + new + text[node.end_mark.index :]
    return text


def _renewed_dvc(text: str) -> str:
    """Return `dvc.yaml` or `dvc.lock` with the words of today."""
    text = _OLD_COMMAND.sub(
        lambda match: f"{match['key']}python -m {MODULES[match['module']]}" if match["module"] in MODULES else match[0],
        text,
    )
    text = _OLD_STAGE.sub(lambda match: f"  {STAGES[match['kind']]}{match['name'] or ''}:", text)
    text = _OLD_SECTION.sub(lambda match: f"{match['before']}{SECTIONS[match['section']]}{match['after']}", text)
    text = _OLD_KEY.sub(r"\1backbone:", text)
    return _OLD_PATH.sub(r"\1images.", text)


def _moves(project: Project) -> Iterator[tuple[Path, Path]]:
    for pattern, (old, new) in FILES.items():
        for path in sorted(project.data_dir.glob(pattern)):
            yield path, path.with_name(path.name.replace(old, new, 1))


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}), expected text; restore it") from error
