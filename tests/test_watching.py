"""`ui2i translate --watch`: a folder that fills is translated batch by batch, until Ctrl-C, and goes on from there."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_project import make_project

from cli import app, watching
from flows import pipeline
from tasks.project.paths import Project
from tasks.requests.translation_request import TranslationRequest
from tasks.requests.watched import files_done, next_folder
from tasks.running.dvc_stage import StageFailed
from ui2i.errors import ConfigError
from ui2i.files import write_bytes
from ui2i.images import encode_png


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


def put(folder: Path, name: str) -> None:
    image = np.random.default_rng(len(name)).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    (folder / name).write_bytes(encode_png(image))


@pytest.fixture
def watch(
    project: Project, inbox: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """A function that watches the folder; each pause runs the next of some events, and after the last Ctrl-C comes."""

    @contextlib.contextmanager
    def no_session(_options: Any, _project: Any) -> Iterator[None]:
        yield

    monkeypatch.setattr(watching, "session", no_session)
    monkeypatch.setattr(watching, "_check_models", lambda *_: None)
    monkeypatch.chdir(project.root)

    def run(*events: Callable[[], object], out: Path | None = None) -> tuple[int, str, str]:
        waiting = iter(events)

        def pause(_seconds: float) -> None:
            try:
                next(waiting)()
            except StopIteration:
                raise KeyboardInterrupt from None

        monkeypatch.setattr(watching.time, "sleep", pause)
        out = out or inbox.parent / "out"
        status = app.run(["translate", "--watch", str(inbox), "--domain", "cartoon", "--out", str(out)])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def translated(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str]]:
    """What was handed to the flow, which is not run: the names of the files and of the folder to make."""
    calls: list[tuple[list[str], str]] = []

    def translate(request: TranslationRequest, project: str) -> list[Any]:
        is_list = request.images.suffix == ".txt"
        paths = [Path(line) for line in request.images.read_text().split("\n")] if is_list else [request.images]
        calls.append(([path.name for path in paths], request.out.name))
        if any("bad" in path.name for path in paths):
            raise StageFailed("none of the 1 images can be used", stage="translate", lines=(), is_user_error=True)
        write_bytes(request.out / "manifest.parquet", b"")
        return []

    monkeypatch.setattr(pipeline, "translate", translate)
    monkeypatch.setattr("cli.report.print_translation", lambda folder: None)
    return calls


def nothing() -> None:
    """A pause in which nothing comes."""


def test_files_are_translated_as_they_arrive(
    watch: Callable, inbox: Path, translated: list[tuple[list[str], str]]
) -> None:
    put(inbox, "first.png")
    status, out, err = watch(nothing, lambda: (put(inbox, "b.png"), put(inbox, "a.png")), nothing, nothing)
    assert (status, err) == (0, "")
    assert translated == [(["first.png"], "0001"), (["a.png", "b.png"], "0002")]
    assert "Ctrl-C ends it" in out.splitlines()[0]
    assert out.splitlines()[-1].startswith("stopped watching: 3 files in ")


def test_names_that_no_list_can_hold_are_told_and_hinder_no_others(
    watch: Callable, inbox: Path, translated: list[tuple[list[str], str]]
) -> None:
    odd = [os.fsdecode(b"caf\xe9.png"), "two\nlines.png"]
    for name in (*odd, "a.png", "b\u2028c.png"):
        put(inbox, name)
    status, out, err = watch(nothing, nothing, nothing)
    assert status == 1 and [names for names, _ in translated] == [["a.png", "b\u2028c.png"]]
    assert err.count("was left out: its name is not UTF-8, has a line break, or ends in a blank; rename it") == 2
    assert out.splitlines()[-1].endswith("2 failed")


def test_a_request_with_a_path_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not UTF-8, expected a path that is; rename it"):
        TranslationRequest.checked(images=Path(os.fsdecode(b"caf\xe9.png")), domain="cartoon", out=tmp_path)


def test_a_batch_that_fails_is_told_and_the_next_one_runs(
    watch: Callable, inbox: Path, translated: list[tuple[list[str], str]]
) -> None:
    put(inbox, "bad.png")
    status, out, err = watch(nothing, lambda: put(inbox, "good.png"), nothing, nothing)
    assert status == 1
    assert [names for names, _ in translated] == [["bad.png"], ["good.png"]]
    assert err == "error: none of the 1 images can be used\n"
    assert out.splitlines()[-1].endswith("1 failed")


@pytest.mark.parametrize("place", ["inbox", "inbox/out", "."])
def test_folders_that_overlap_are_refused(watch: Callable, inbox: Path, place: str) -> None:
    status, _, err = watch(out=inbox.parent / place)
    assert status == 2
    assert "overlap" in err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(["--domain", "nope"], "nope"), (["--domain", "cartoon"], "expected the model face; make it with")],
)
def test_what_no_file_could_be_translated_with_is_refused_at_once(
    project: Project,
    inbox: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wrong: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(project.root)
    put(inbox, "a.png")
    assert app.run(["translate", "--watch", str(inbox), "--out", str(inbox.parent / "out"), *wrong]) == 2
    assert said in capsys.readouterr().err and not (inbox.parent / "out").exists()


def test_what_is_no_folder_is_refused(watch: Callable, inbox: Path) -> None:
    inbox.rmdir()
    status, _, err = watch()
    assert (status, len(err.splitlines())) == (2, 1)
    assert "is not a folder, expected one to watch" in err


def test_two_that_watch_write_into_folders_of_their_own(
    project: Project, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def translate(request: TranslationRequest, project: str) -> list[Any]:
        made.append(request.out.name)
        time.sleep(0.3)  # in which the other begins
        write_bytes(request.out / "manifest.parquet", b"")
        return []

    monkeypatch.setattr(pipeline, "translate", translate)
    monkeypatch.setattr("cli.report.print_translation", lambda folder: None)
    out = tmp_path / "out"
    request = TranslationRequest.checked(images=inbox, domain="cartoon", out=out)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: watching._translate(project, request, [inbox / name], out), ["a.png", "b.png"]))
    assert made == ["0001", "0002"]


def test_numbers_of_batches_go_on(tmp_path: Path) -> None:
    assert next_folder(tmp_path).name == "0001"
    for name in ("0001", "0012", "notes", "3x"):
        (tmp_path / name).mkdir()
    assert next_folder(tmp_path).name == "0013"
    assert files_done(tmp_path) == set()
