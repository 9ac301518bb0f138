"""Which stages `dvc.yaml` defines, what they read and write, and so their order, read from the file.

DVC itself takes seconds to say so. A stage needs those that write what it reads, such as `finetune@cartoon` the one
that writes `data/checkpoints/face`. One that reads a folder of many outputs, such as `data/encoders`, takes whatever is
in it: it runs after those that write there, and needs none of them.
"""

import dataclasses
import functools
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tasks.project.params import Params, all_sections, find_entry, load_params
from tasks.project.paths import DVC_FILE, PARAMS_FILE, Project
from ui2i.errors import ConfigError

_SECTION = re.compile(r"\$\{(\w+)\}")
_VALUE = re.compile(r"\$\{(key|item\.(\w+))\}")
_COMMAND = re.compile(r"python -m ([\w.]+)")
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
        """Yield stages and paths of their outputs, as far as `params.yaml` gives them."""
        for stage in self._names:
            for path in self._outputs(stage):
                if "${" not in path:
                    yield stage, path

    @functools.cached_property
    def order(self) -> list[str]:
        """All stages, in the order of the file where that is one in which they can run."""
        return self._closed(self._names, lambda stage: [*self._links[stage][0], *self._links[stage][1]])

    def kinds_of(self, section: str) -> list[str]:
        """Return the kinds of stages that are made for each entry of a section, such as `finetune` for `domains`."""
        return [kind for kind, entry in self.groups.items() if entry.get("foreach") == f"${{{section}}}"]

    def leading_to(self, stages: Iterable[str]) -> list[str]:
        """Return stages after all that they need, each once, in an order in which they can run."""
        return self._closed(stages, lambda stage: self._links[stage][0])

    def waves(self, stages: Iterable[str]) -> list[list[str]]:
        """Return stages as waves to be run one after another: what is together in one needs none of the others."""
        waves: dict[str, int] = {}
        once = list(dict.fromkeys(stages))
        for stage in self.leading_to(once):
            waves[stage] = 1 + max((waves[needed] for needed in self._links[stage][0]), default=-1)
        levels = sorted({waves[stage] for stage in once})
        return [[stage for stage in once if waves[stage] == level] for level in levels]

    def maker_of(self, path: str) -> str | None:
        """Return the stage that writes a path; None: no stage does."""
        return next((stage for stage, made in self.output_paths() if _is_in(path, made)), None)

    def module_of(self, stage: str) -> str | None:
        """Return the module that a stage runs; None: it runs something else, or is not defined."""
        command = _COMMAND.fullmatch(str((self._definition(stage) or {}).get("cmd")))
        return command[1] if command else None

    @functools.cached_property
    def _names(self) -> list[str]:
        names = []
        for kind, entry in self.groups.items():
            keys = self._keys(entry["foreach"]) or () if "foreach" in entry else None
            names += [kind] if keys is None else [f"{kind}@{key}" for key in keys]
        return names

    @functools.cached_property
    def _links(self) -> dict[str, tuple[list[str], list[str]]]:
        """By stage, those that it needs, and those that write into a folder that it reads."""
        made = list(self.output_paths())
        links = {}
        for stage in self._names:
            read = [self._filled(stage, str(path)) for path in (self._definition(stage) or {}).get("deps") or ()]
            needed = [maker for path in read for maker, output in made if _is_in(path, output)]
            around = [maker for path in read for maker, output in made if _is_in(output, path) and maker != stage]
            links[stage] = (list(dict.fromkeys(needed)), list(dict.fromkeys(around)))
        return links

    def _closed(self, stages: Iterable[str], parents: Callable[[str], Iterable[str]]) -> list[str]:
        found: list[str] = []
        begun: set[str] = set()

        def visit(stage: str) -> None:
            if stage not in begun:
                begun.add(stage)
                for parent in parents(stage):
                    visit(parent)
                found.append(stage)

        for stage in stages:
            visit(stage)
        return found

    def _filled(self, stage: str, text: str) -> str:
        """Put the name of a stage and the values of its entry into a path of it."""
        kind, _, key = stage.partition("@")
        section = _SECTION.fullmatch(str(self.groups[kind].get("foreach")))
        item = _mapping(_mapping(self.params.get(section[1]) if section else None).get(key))
        return _VALUE.sub(lambda found: key if found[1] == "key" else str(item.get(found[2], found[0])), text)

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
        paths = [str(next(iter(item))) if isinstance(item, dict) and item else str(item) for item in items]
        return [self._filled(stage, path) for path in paths]

    def _keys(self, foreach: Any) -> list[str] | None:
        """Return the keys that a group of stages is made for; None: only DVC can tell."""
        section = _SECTION.fullmatch(foreach) if isinstance(foreach, str) else None
        values = self.params.get(section[1], {}) if section else foreach
        return [str(value) for value in values] if isinstance(values, dict | list) else None


def defined_stages(project: Project) -> DefinedStages | None:
    """Return the stages that a project defines; None: its files cannot be read, so nobody can tell."""
    try:
        return read_stages(project.root / DVC_FILE, _load(project.root / PARAMS_FILE))
    except (OSError, ValueError, YAMLError):
        return None


def read_stages(path: Path, params: Mapping[str, Any]) -> DefinedStages:
    """Return the stages that a `dvc.yaml` defines for values of `params.yaml`.

    Raises:
        OSError, ValueError, YAMLError: the file cannot be read.
    """
    groups = {str(name): _mapping(entry) for name, entry in _mapping(_load(path).get("stages")).items()}
    return DefinedStages(groups=groups, params=params)


def stages_of(project: Project, params: Params) -> DefinedStages:
    """Return the stages of a project with valid params.

    Raises:
        ConfigError: its `dvc.yaml` cannot be read.
    """
    try:
        return read_stages(project.root / DVC_FILE, all_sections(params))
    except (OSError, ValueError, YAMLError) as error:
        raise ConfigError(f"{project.root / DVC_FILE} cannot be read ({error}), expected stages; restore it") from error


def list_stages(project: Project) -> list[str]:
    """Return the names of all stages of a project in an order in which they can run.

    Raises:
        ConfigError: `params.yaml` is not valid.
    """
    return stages_of(project, load_params(project)).order


def base_stages(project: Project, name: str) -> list[str]:
    """Return the stages that lead to a base's model and prepared images, in an order in which they can run.

    Raises:
        ConfigError: `params.yaml` is not valid or has no such base.
    """
    params = load_params(project)
    if name not in params.imported:
        find_entry(params.bases, name, "bases")
    stages = stages_of(project, params)
    return stages.leading_to(_of_base(stages, params, name))


def domain_stages(project: Project, name: str) -> list[str]:
    """Return the stages that lead to a domain's models, table and translations, in an order in which they can run.

    Raises:
        ConfigError: `params.yaml` is not valid or has no such domain.
    """
    params = load_params(project)
    base = find_entry(params.domains, name, "domains").base
    stages = stages_of(project, params)
    own = [f"{kind}@{name}" for kind in stages.kinds_of("domains")]
    own += [f"{kind}@{name}" for kind in stages.kinds_of("translators") if name in params.translators]
    return stages.leading_to([*_of_base(stages, params, base), f"ingest@{name}", *own])


def _of_base(stages: DefinedStages, params: Params, name: str) -> list[str]:
    kinds = stages.kinds_of("imported" if name in params.imported else "bases")
    return [f"ingest@{name}", *(f"{kind}@{name}" for kind in kinds)]


def _load(path: Path) -> Mapping[str, Any]:
    return _mapping(YAML(typ="safe").load(path.read_text(encoding="utf-8")))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_in(path: str, folder: str) -> bool:
    path, folder = posixpath.normpath(path), posixpath.normpath(folder)
    return path == folder or path.startswith(folder + "/")
