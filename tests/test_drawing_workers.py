"""Drawing in several processes: stopped in whatever way, it leaves no process, no half a dataset and no noise."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.synthetic.drawing import workers
from experiments.synthetic.drawing.files import draw_files
from experiments.synthetic.procedural import CHUNK, draw_dataset
from ui2i.errors import DataError

PROGRAM = """
import signal, sys
from experiments.synthetic.procedural import draw_dataset

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *arguments: sys.exit(143))
    progress = lambda done, total, note="": print(done, flush=True)
    try:
        draw_dataset("face", 100_000, 0, "out", resolution=32, num_workers=2, progress=progress)
    except KeyboardInterrupt:
        sys.exit(130)
"""

needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")


def test_an_interruption_drops_what_waits(tmp_path: Path) -> None:
    seen: list[int] = []

    def interrupt(done: int, total: int, note: str = "") -> None:
        seen.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_dataset("face", 100 * CHUNK, 0, tmp_path / "out", resolution=32, num_workers=2, progress=interrupt)
    assert seen == [CHUNK]
    assert list(tmp_path.iterdir()) == []
    assert multiprocessing.active_children() == []


def test_work_in_hand_ends_with_its_image(tmp_path: Path) -> None:
    draw_files("face", 0, range(5), 32, tmp_path, unwanted=lambda: len(list(tmp_path.iterdir())) == 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000.png", "000001.png", "000002.png"]


def test_few_images_start_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(workers, "ProcessPoolExecutor")
    draw_dataset("face", 2, 0, tmp_path / "out", resolution=32, num_workers=8)


def test_a_process_that_dies_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_draw", _die)
    with pytest.raises(DataError, match="a process that drew face images died, expected it to go on; if memory"):
        list(workers.draw_chunks("face", 0, [range(1), range(1, 2)], 32, tmp_path, 2))
    assert multiprocessing.active_children() == []


def _die(*arguments: object) -> None:
    os._exit(7)


@needs_proc
@pytest.mark.parametrize(
    ("number", "everyone", "status"),
    [
        pytest.param(signal.SIGINT, True, 130, id="Ctrl-C in a terminal"),
        pytest.param(signal.SIGTERM, True, 143, id="a group that is terminated"),
        pytest.param(signal.SIGKILL, False, -9, id="a process that is killed"),
    ],
)
def test_a_signal_ends_all_processes_in_silence(
    tmp_path: Path, number: signal.Signals, everyone: bool, status: int
) -> None:
    program = _start(tmp_path)
    assert program.stdout is not None and program.stdout.readline().strip() == str(CHUNK)
    children = _wait_for(lambda: _children(program.pid), seconds=60)
    (os.killpg if everyone else os.kill)(program.pid, number)
    _, errors = program.communicate(timeout=60)
    assert program.returncode == status
    if number != signal.SIGKILL:
        assert errors == ""
        assert not list(tmp_path.glob("*out*"))
    _wait_for(lambda: not any(_is_alive(child) for child in children), seconds=20)


@needs_proc
def test_an_interruption_while_a_process_starts_is_silent_too(tmp_path: Path) -> None:
    program = _start(tmp_path)
    _wait_for(lambda: any(_is_loading_numpy(child) for child in _children(program.pid)), seconds=60)
    os.killpg(program.pid, signal.SIGINT)
    _, errors = program.communicate(timeout=60)
    assert (program.returncode, errors) == (130, "")


def _start(folder: Path) -> subprocess.Popen[str]:
    (folder / "program.py").write_text(PROGRAM)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_loading_numpy(pid: int) -> bool:
    """Whether a worker is past its first imports, where a signal that it saw would be told with a traceback."""
    process = Path(f"/proc/{pid}")
    try:
        is_worker = "--multiprocessing-fork" in (process / "cmdline").read_text()  # no longer a copy of its parent
        return is_worker and "_multiarray_umath" in (process / "maps").read_text()
    except OSError:
        return False


def _is_alive(pid: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def _wait_for(condition: Callable[[], Any], *, seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")
