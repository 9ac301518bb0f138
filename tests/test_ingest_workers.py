"""Several processes: stopped, killed, or left alone, nothing stays behind."""

import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from image_files import blobs, file_bytes
from PIL import Image

from ui2i.datasets.ingest import ingest
from ui2i.datasets.ingestion import workers
from ui2i.datasets.ingestion.examine import Examiner
from ui2i.datasets.ingestion.workers import default_workers
from ui2i.errors import DataError
from ui2i.images.alignment import Landmarks
from ui2i.images.sources import open_source
from ui2i.settings import IngestConfig

CONFIG = IngestConfig(img_resolution=32, framing="face")


@dataclasses.dataclass(frozen=True)
class OddDetector:
    """Finds no faces; does what a name asks for."""

    identity: str = "odd"

    def find(self, image: Image.Image, path: str) -> Sequence[Landmarks]:
        if path == "deadly.png":
            os._exit(7)
        if path.startswith("slow"):
            time.sleep(30)
        return ()


def write(root: Path, names: Sequence[str]) -> Path:
    root.mkdir()
    for index, name in enumerate(names):
        (root / name).write_bytes(file_bytes(blobs(index), "PNG"))
    return root


def test_a_process_that_dies_is_an_error_that_names_the_files(tmp_path: Path) -> None:
    root = write(tmp_path / "raw", ["a.png", "deadly.png", "z.png"])
    with pytest.raises(DataError, match=r"a process died while it or another examined a\.png to z\.png"):
        ingest(root, tmp_path / "out", CONFIG, name="set", num_workers=2, detector=OddDetector())
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]
    assert multiprocessing.active_children() == []


def test_a_process_that_dies_between_two_hand_overs_is_the_same_error(tmp_path: Path) -> None:
    root = write(tmp_path / "raw", ["a.png", "b.png"])
    examiner = Examiner(CONFIG, OddDetector(), known={})

    def chunks() -> Iterator[workers.Chunk]:
        with open_source(root, workspace=tmp_path) as source:
            first, second = ([(member, workers.read(source, member))] for member in source.members)
            yield first
            while not multiprocessing.active_children():
                time.sleep(0.01)
            for child in multiprocessing.active_children():
                child.kill()
                child.join()
            yield second

    with pytest.raises(DataError, match=r"a process died while it or another examined a\.png to a\.png"):
        list(workers._examine_in_pool(chunks(), examiner, 1))


def test_an_interruption_ends_the_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_CHUNK_FILES", 1)
    root = write(tmp_path / "raw", [f"{index}.png" for index in range(40)])
    seen = []

    def interrupt(done: int, total: int, note: str = "") -> None:
        seen.append(note)
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(root, tmp_path / "out", CONFIG, name="set", num_workers=2, detector=OddDetector(), progress=interrupt)
    assert seen == ["0.png", "1.png", "10.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]
    assert multiprocessing.active_children() == []


PROGRAM = """
from pathlib import Path
from test_ingest_workers import CONFIG, OddDetector
from ui2i.datasets.ingest import ingest

if __name__ == "__main__":
    ingest(Path("raw"), Path("out"), CONFIG, name="set", num_workers=2, detector=OddDetector())
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    write(tmp_path / "raw", ["slow.png", "z.png"])
    (tmp_path / "program.py").write_text(PROGRAM)
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    program = subprocess.Popen([sys.executable, "program.py"], cwd=tmp_path, env=environment)
    try:
        children = wait_for(lambda: started_workers(program.pid), seconds=60)
    finally:
        program.send_signal(signal.SIGKILL)
        program.wait()
    wait_for(lambda: not any(is_alive(child) for child in children), seconds=20)


def started_workers(pid: int) -> list[int]:
    """Children that have got as far as examining: they have a second thread, which watches their parent."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    found = [int(child) for child in text.split()]
    return [child for child in found if is_alive(child) and len(list(Path(f"/proc/{child}/task").iterdir())) > 1]


def is_alive(pid: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def wait_for(condition, *, seconds: float):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def test_few_files_are_examined_by_this_process_and_many_by_one_for_each_of_its_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 5}, raising=False)
    assert default_workers(10) == 1
    assert default_workers(10**6) == 3
