"""Which stages `dvc.yaml` defines and what they write, read from the file: DVC itself takes seconds to say so."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tasks.project.paths import DVC_FILE, PARAMS_FILE, Project

_SECTION = re.compile(r"\$\{(\w+)\}")
_OUTPUT_KINDS = ("outs", "metrics", "plots")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DefinedStages:
    """The stages of a `dvc.yaml` with the names that `params.yaml` gives it."""

    groups: Mapping[str, Mapping[str, Any]]
    params: Mapping[str, Any]

    def __contains__(self, stage: str) -> bool:
        """Whether it is defined; yes, where only DVC can tell."""
        return self._definition(stage) is not None

    def num_outputs(self, stage: str) -> int:
        """Return how many outputs a stage has; 0 if it is not defined."""
        return len(self._outputs(stage))

    def param_keys(self, stage: str) -> list[str]:
        """Return the keys of `params.yaml`, with dots between, that a stage depends on."""
        key = stage.partition("@")[2]
        names = (self._definition(stage) or {}).get("params") or ()
        return [str(name).replace("${key}", key) for name in names]

    def dependencies(self, stage: str) -> list[str]:
        """Return the paths that a stage depends on as `dvc.yaml` has them, with `${key}` and `${item...}`."""
        return [str(path) for path in (self._definition(stage) or {}).get("deps") or ()]

    def item(self, stage: str) -> Any:
        """Return what `${item}` is for a stage; None: nothing, or only DVC can tell."""
        group, _, key = stage.partition("@")
        foreach = self.groups.get(group, {}).get("foreach")
        section = _SECTION.fullmatch(foreach) if isinstance(foreach, str) else None
        return _mapping(self.params.get(section[1])).get(key) if section else None

    def output_paths(self) -> Iterator[tuple[str, str]]:
        """Yield stages and paths of their outputs, as far as the name of the stage gives them."""
        for group, entry in self.groups.items():
            keys: Sequence[str | None] | None = self._keys(entry["foreach"]) if "foreach" in entry else [None]
            for key in keys or ():
                stage = group if key is None else f"{group}@{key}"
                for path in self._outputs(stage):
                    path = path if key is None else path.replace("${key}", key)
                    if "${" not in path:
                        yield stage, path

    def _definition(self, stage: str) -> Mapping[str, Any] | None:
        group, at, key = stage.partition("@")
        entry = self.groups.get(group)
        if entry is None or "foreach" not in entry:
            return entry
        keys = self._keys(entry["foreach"])
        return _mapping(entry.get("do")) if at and (keys is None or key in keys) else None

    def _outputs(self, stage: str) -> list[str]:
        definition = self._definition(stage) or {}
        items = [item for kind in _OUTPUT_KINDS for item in definition.get(kind) or ()]
        return [str(next(iter(item))) if isinstance(item, dict) and item else str(item) for item in items]

    def _keys(self, foreach: Any) -> list[str] | None:
        """Return the keys that a group of stages is made for; None: only DVC can tell."""
        section = _SECTION.fullmatch(foreach) if isinstance(foreach, str) else None
        values = self.params.get(section[1], {}) if section else foreach
        return [str(value) for value in values] if isinstance(values, dict | list) else None


def defined_stages(project: Project) -> DefinedStages | None:
    """Return the stages that a project defines; None: its files cannot be read, so nobody can tell."""
    try:
        pipeline, params = (_load(project.root / name) for name in (DVC_FILE, PARAMS_FILE))
    except (OSError, ValueError, YAMLError):
        return None
    groups = {str(name): _mapping(entry) for name, entry in _mapping(pipeline.get("stages")).items()}
    return DefinedStages(groups=groups, params=params)


def _load(path: Path) -> Mapping[str, Any]:
    return _mapping(YAML(typ="safe").load(path.read_text(encoding="utf-8")))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
