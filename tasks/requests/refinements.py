"""Single images through the whole pipeline, one after another, for `ui2i serve`: with progress, and to be cancelled."""

import collections
import dataclasses
import queue
import secrets
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from tasks.project.params import find_entry, load_params
from tasks.project.paths import Project
from tasks.requests.translate_folder import command
from tasks.requests.translation_request import TranslationRequest
from tasks.running.dvc_command import dvc_environment
from tasks.running.process_group import listen
from ui2i.errors import UI2IError
from ui2i.settings import dataclass, to_mapping
from ui2i.settings.bounds import Truncation, Whole

MAX_WAITING = 8
MAX_KEPT = 20  # ended ones, whose images can still be looked at

State = Literal["waiting", "working", "done", "failed", "cancelled"]
OPEN: tuple[State, ...] = ("waiting", "working")


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A step along a semantic direction."""

    direction: Annotated[Whole, Field(ge=1, le=8)]  # 1 is the strongest
    strength: Annotated[float, Field(ge=-10, le=10)]  # in standard deviations


@dataclass(frozen=True, kw_only=True)
class RefineSettings:
    """What a visitor may choose. None: as `params.yaml` says. The bounds keep one image from taking hours."""

    steps: Annotated[Whole, Field(ge=1, le=2000)] | None = None  # of inversion
    psi: Truncation | None = None
    styles: Annotated[Whole, Field(ge=0, le=8)] | None = None  # further versions with sampled appearance
    seed: Annotated[Whole, Field(ge=0, le=2**31 - 1)] | None = None  # of these
    style_layers: Annotated[Whole, Field(ge=0, le=18)] | None = None  # that another appearance replaces
    edits: Annotated[tuple[Edit, ...], Field(max_length=8)] = ()  # a further version for each


class BusyError(UI2IError):
    """There are as many refinements waiting as are allowed."""


class _CancelledError(Exception):
    """The visitor does not want it any more."""


@dataclasses.dataclass(kw_only=True)
class Refinement:
    """One image on its way through the pipeline."""

    id: str
    folder: Path
    request: TranslationRequest
    edits: tuple[tuple[int, float], ...] = ()
    state: State = "waiting"
    done: int = 0
    total: int = 0
    note: str = ""
    message: str = ""  # what came of it, or why it failed
    images: Mapping[str, str] = dataclasses.field(default_factory=dict)  # variant -> name of its file

    def shown(self) -> dict[str, Any]:
        """Return what the page may know."""
        fields = ("id", "state", "done", "total", "note", "message")
        return {name: getattr(self, name) for name in fields} | {"images": list(self.images)}

    def image(self, variant: str) -> Path | None:
        """Return the file of a variant."""
        name = self.images.get(variant)
        return None if name is None else self.request.out / name


class Refinements:
    """All of one server: one runs at a time, and those that ended last are kept."""

    def __init__(self, project: Project) -> None:
        """Begin with none; what an earlier server left behind is removed."""
        self._project = project
        self._folder = project.refinements
        shutil.rmtree(self._folder, ignore_errors=True)
        self._all: collections.OrderedDict[str, Refinement] = collections.OrderedDict()
        self._queue: queue.Queue[Refinement] = queue.Queue()
        self._lock = threading.Lock()
        threading.Thread(target=self._run_all, daemon=True).start()

    def add(
        self, data: bytes, domain: str, settings: RefineSettings | None = None, reference: bytes = b""
    ) -> Refinement:
        """Let an image wait for its turn.

        Args:
            data: of the image's file.
            reference: of the file of an image of the domain, whose appearance a further version takes on.

        Raises:
            ConfigError: there is no such domain.
            BusyError: too many are waiting.
            OSError: there is no room for the files. Nothing is kept then.
        """
        find_entry(load_params(self._project).domains, domain, "domains")
        chosen = to_mapping(settings or RefineSettings())
        edits = tuple((edit["direction"], edit["strength"]) for edit in chosen.pop("edits"))
        folder = self._folder / secrets.token_hex(8)
        files = {folder / "input" / "image.png": data}  # what it is, its first bytes say
        if reference:
            files[folder / "reference.png"] = reference
        request = TranslationRequest.checked(
            images=folder / "input",
            domain=domain,
            out=folder / "out",
            references=tuple(path for path in files if path.parent == folder),
            directions=tuple(dict.fromkeys(direction for direction, _ in edits)),
            strengths=tuple(dict.fromkeys(strength for _, strength in edits)),
            **chosen,
        )
        added = Refinement(id=folder.name, folder=folder, request=request, edits=edits)
        with self._lock:
            if sum(one.state in OPEN for one in self._all.values()) >= MAX_WAITING:
                raise BusyError(
                    f"{MAX_WAITING} images are waiting to be refined, expected fewer; wait for one, or cancel one"
                )
            _write(folder, files)
            self._all[added.id] = added
            self._drop_oldest()
        self._queue.put(added)
        return added

    def find(self, key: str) -> Refinement | None:
        """Return the refinement of an id."""
        return self._all.get(key)

    def cancel(self, refinement: Refinement) -> None:
        """Stop one that waits or runs; a second later it has stopped."""
        with self._lock:
            if refinement.state in OPEN:
                refinement.state = "cancelled"

    def _drop_oldest(self) -> None:
        ended = [one for one in self._all.values() if one.state not in OPEN]
        for one in ended[: max(0, len(ended) - MAX_KEPT)]:
            del self._all[one.id]
            shutil.rmtree(one.folder, ignore_errors=True)

    def _run_all(self) -> None:
        while True:
            refinement = self._queue.get()
            with self._lock:
                if refinement.state == "cancelled":
                    continue
                refinement.state = "working"
            try:
                self._run(refinement)
            except _CancelledError:
                pass
            except Exception as error:  # whatever it is, it must not end the thread, for which others wait
                self._end(refinement, "failed", str(error))

    def _run(self, refinement: Refinement) -> None:
        def on_line(*_: Any) -> None:
            if refinement.state == "cancelled":
                raise _CancelledError

        def on_progress(done: int, total: int, note: str = "") -> None:
            on_line()
            refinement.done, refinement.total, refinement.note = done, total, note

        arguments = command(self._project, refinement.request)
        ended = listen(arguments, self._project.root, dvc_environment(), on_progress=on_progress, on_line=on_line)
        if ended.status != 0:
            said = [line for line in ended.lines if line.strip()] or [f"it ended with status {ended.status}"]
            self._end(refinement, "failed", said[-1].removeprefix("error: "))
            return
        rows, refinement.message = _read(refinement)
        refinement.images = rows
        self._end(refinement, "done", refinement.message)

    def _end(self, refinement: Refinement, state: State, message: str) -> None:
        with self._lock:
            refinement.message = message
            if refinement.state == "working":
                refinement.state = state


def _write(folder: Path, files: Mapping[Path, bytes]) -> None:
    """Write files below a new folder: all of them, or nothing."""
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _read(refinement: Refinement) -> tuple[dict[str, str], str]:
    """Return the files by variant, and what ought to be known of them."""
    from tasks.requests.translation_summary import read_summary
    from ui2i.tables import TRANSLATION_SCHEMA, read_rows
    from ui2i.translation_files import MANIFEST_NAME

    out = refinement.request.out
    rows = read_rows(out / MANIFEST_NAME, TRANSLATION_SCHEMA)
    warnings = read_summary(out).warnings()
    said = "; ".join(warnings) or "The image looks like those that the model was trained on."
    wanted = [
        row for row in rows if row["direction"] is None or (row["direction"], row["strength"]) in refinement.edits
    ]
    return {row["variant"]: row["output_file"] for row in wanted}, said
