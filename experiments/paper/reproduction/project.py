"""The project in which `ui2i reproduce` works, and the stages that lead to the paper's tables and figures.

It is a folder of its own with the shipped `dvc.yaml`, a `params.yaml` from data/experiments and copies of the
shipped bases. It is git-ignored, so DVC runs there without git; what was made from what is in its `dvc.lock`.
"""

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.paper.settings import PaperSections, sections_of
from tasks.project.params import Params, all_sections, load_params, parse_params
from tasks.project.paths import DVC_FILE, Project
from tasks.project.shipped import EXPERIMENTS, PACKAGED, SHIPPED
from tasks.running.dvc_command import run_dvc
from tasks.running.dvc_stages import DefinedStages, read_stages
from ui2i.errors import BackboneError, ConfigError
from ui2i.files import atomic_folder, expanded, write_bytes, write_text

if TYPE_CHECKING:
    from ui2i.settings import BackboneName

MARKER = "reproduction.json"
"""Says that a folder is a reproduction, and which."""
REPORT_FOLDER = "report"

_IGNORE_FILE = ".dvcignore"
_DVC_CONFIG = "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n"
_BACKBONES: "tuple[BackboneName, ...]" = ("squeeze", "alex", "vgg")


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A prepared project, and notes for the user."""

    project: Project
    notes: tuple[str, ...]


def experiment_name(*, quick: bool) -> str:
    """Return the name of the file of settings, and of the folder."""
    return "reproduction-quick" if quick else "reproduction"


def prepare(out: Path | None, *, quick: bool, backbone: Path | None = None) -> Prepared:
    """Make the project, or bring one that is there up to date with the code; settings that are there stay.

    Args:
        out: its folder; None: one in the clone, or in the current folder if the code is an installed package.
        quick: the small experiment.
        backbone: file with the perceptual backbone's weights; None: as the settings say.

    Raises:
        ConfigError: the folder holds something else, or a setting is not valid.
        BackboneError: the file holds no backbone.
        DvcError: DVC cannot be set up.
    """
    name, project, source = _place(out, quick=quick)
    root = project.root
    root.mkdir(parents=True, exist_ok=True)
    write_text(root / MARKER, json.dumps({"experiment": name}) + "\n")
    for file in (DVC_FILE, _IGNORE_FILE):
        _copy(SHIPPED / file, root / file)
    if not project.params_path.is_file():
        _copy(source, project.params_path)
    if not (root / ".dvc").is_dir():
        run_dvc(root, "init", "--no-scm")
        write_text(root / ".dvc" / "config", _DVC_CONFIG)
    if backbone is not None:
        _set_backbone(project, backbone)
    params = load_params(project)
    _copy_bases(project, params)
    project.encoders.mkdir(parents=True, exist_ok=True)  # stages depend on whatever is in it
    return Prepared(project, tuple(_notes(project, params, source)))


def experiment_of(project: Project) -> str:
    """Return which experiment a folder is.

    Raises:
        ConfigError: none.
    """
    try:
        return str(json.loads((project.root / MARKER).read_text(encoding="utf-8"))["experiment"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{project.root} has no {MARKER} that can be read, expected a folder of `ui2i reproduce`; name one"
        ) from error


def planned(out: Path | None, *, quick: bool) -> tuple[Project, Params]:
    """Return the project as `prepare` would make it, and its settings; nothing is written.

    Raises:
        ConfigError: as `prepare`.
    """
    _, project, source = _place(out, quick=quick)
    path = project.params_path if project.params_path.is_file() else source
    return project, parse_params(path.read_text(encoding="utf-8"))


def defined_stages(params: Params) -> DefinedStages:
    """Return the stages of a reproduction's project, whether or not that has been made."""
    return read_stages(SHIPPED / DVC_FILE, all_sections(params))


def reproduction_stages(params: Params, only: Sequence[str] = ()) -> list[str]:
    """Return the stages in the order in which they run.

    Args:
        only: stages (`distance@cartoon`) or kinds of stages (`distance`); empty: all.

    Raises:
        ConfigError: one of them does not exist.
    """
    sections, defined = sections_of(params), defined_stages(params)
    stages = [stage for stage in defined.order if _leads_to_results(sections, *stage.split("@"))]
    kinds = list(dict.fromkeys(stage.split("@")[0] for stage in stages))
    for wish in only:
        if wish not in stages and wish not in kinds:
            raise ConfigError(
                f"there is no stage {wish!r}, expected one of {', '.join(stages)}, or one of the kinds "
                f"{', '.join(kinds)}; correct the name"
            )
    return [stage for stage in stages if not only or stage in only or stage.split("@")[0] in only]


def _leads_to_results(sections: PaperSections, kind: str, name: str) -> bool:
    """Whether a stage is for the paper's tables and figures: only some domains' images are evaluated."""
    if kind in ("evaluate", "translate", "truth"):
        return name in sections.evaluated
    return kind != "table" or bool({"1": True, "2": sections.evaluated, "3": sections.inversions}[name])


def _place(out: Path | None, *, quick: bool) -> tuple[str, Project, Path]:
    """Return the experiment's name, its project and the file of its settings."""
    name = experiment_name(quick=quick)
    home = Path.cwd() if SHIPPED == PACKAGED else SHIPPED
    root = expanded(home / name if out is None else out).resolve()
    source = SHIPPED / EXPERIMENTS / f"{name}.yaml"
    _check_folder(root, name)
    return name, Project(root), source


def _check_folder(root: Path, name: str) -> None:
    """Refuse a folder with another project, another experiment or other files."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return
    try:
        found = experiment_of(Project(root))
    except ConfigError:
        found = None
    if found != name:
        what = "something else" if found is None else f"the experiment {found}"
        raise ConfigError(f"{root} holds {what}, expected a new folder or one of {name}; choose another with --out")


def _copy(source: Path, destination: Path) -> None:
    """Copy a file unless an equal one exists: DVC would hash it again."""
    data = source.read_bytes()
    if not destination.is_file() or destination.read_bytes() != data:
        write_bytes(destination, data)


def _copy_bases(project: Project, params: Params) -> None:
    for imported in params.imported.values():
        source, destination = SHIPPED / imported.checkpoint, project.root / imported.checkpoint
        if destination.is_dir():
            continue
        with atomic_folder(destination) as folder:
            shutil.copytree(source, folder, dirs_exist_ok=True)


def _set_backbone(project: Project, backbone: Path) -> None:
    """Copy a file of weights into the project and name it in the settings."""
    place = project.data_dir / "backbones" / backbone.name
    kind = _backbone_kind(backbone)
    _copy(backbone, place)
    text = _with_perceptual(project.params_path.read_text(encoding="utf-8"), kind, project.relative(place))
    parse_params(text)
    if text != project.params_path.read_text(encoding="utf-8"):
        write_text(project.params_path, text)


def _backbone_kind(path: Path) -> "BackboneName":
    """Return which backbone a file has the weights of.

    Raises:
        BackboneError: none that is known, or it cannot be read.
    """
    from ui2i.perceptual import load_perceptual
    from ui2i.settings import PerceptualConfig

    for kind in _BACKBONES:
        try:
            load_perceptual(PerceptualConfig(backbone=kind, weights=str(path)))
        except BackboneError:
            continue
        return kind
    raise BackboneError(
        f"{path} holds the weights of no backbone, expected torchvision's file of squeezenet1_1, alexnet or vgg16; "
        "correct the path, or leave out --backbone for st-alex"
    )


def _with_perceptual(text: str, backbone: str, weights: str) -> str:
    """Return the settings with another backbone, and every other line as it was."""
    lines = text.splitlines(keepends=True)
    start = next(place for place, line in enumerate(lines) if line.startswith("perceptual:"))
    end = start + 1
    while end < len(lines) and lines[end][:1].isspace() and lines[end].strip():
        end += 1
    return "".join([*lines[:start], f"perceptual: {{backbone: {backbone}, weights: {weights}}}\n", *lines[end:]])


def _notes(project: Project, params: Params, source: Path) -> "Sequence[str]":
    notes = []
    if params.perceptual.backbone == "random":
        notes.append(
            "the perceptual backbone is untrained (random): distances compare with each other and with nothing else; "
            "set perceptual.backbone to st-alex, or take a trained one by --backbone FILE"
        )
    chosen, shipped = (_without_perceptual(path) for path in (project.params_path, source))
    if chosen != shipped:
        notes.append(
            f"{project.params_path} differs from {source} and stays as it is; remove it to start from that one"
        )
    return notes


def _without_perceptual(path: Path) -> dict[str, Any]:
    params = parse_params(path.read_text(encoding="utf-8"))
    values = {field.name: getattr(params, field.name) for field in dataclasses.fields(params)}
    del values["perceptual"]
    return values
