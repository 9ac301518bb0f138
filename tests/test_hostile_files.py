"""Hostile files are refused with one clear line, nothing is run, and memory stays bounded."""

import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
import torch
from foreign_files import ada_content, all_modules, tiny_checkpoint, write_ada_content
from hostile_files import HOSTILE, Hostile

from ui2i.converters.formats import read_checkpoint
from ui2i.errors import CheckpointError

MIB = 1 << 20

# Reads every file it is given and prints how many were refused and by how much resident memory grew at most.
READ_ALL = """
import resource, sys
from pathlib import Path
from ui2i.converters.formats import read_checkpoint
from ui2i.errors import CheckpointError

def memory(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":"))

limit = memory("VmSize") + (1 << 30)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
before, refused = memory("VmRSS"), 0
for name in sys.argv[1:]:
    try:
        read_checkpoint(Path(name))
    except CheckpointError:
        refused += 1
print(refused, memory("VmHWM") - before)
"""


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_refused(tmp_path: Path, make: Hostile) -> None:
    path, trap = tmp_path / "model.bin", tmp_path / "trap"
    make(path, trap)
    size = path.stat().st_size
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError) as caught:
            read_checkpoint(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert message.startswith(str(path)) and message.isprintable() and "expected" in message and len(message) < 700
    assert HOSTILE[make] in message
    assert not trap.exists() and not list(tmp_path.glob("**/trap*"))
    # A pickled opcode, one byte, may become an object of some hundred bytes: at most 200,000 of them.
    assert peak < 3 * size + 60 * MIB


def test_there_are_enough() -> None:
    assert len(HOSTILE) >= 30


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_resident_memory_stays_bounded(tmp_path: Path) -> None:
    """All of them in one process that cannot have more than 1 GiB beyond what importing took."""
    paths = []
    for make in HOSTILE:
        paths.append(tmp_path / f"{make.__name__}.bin")
        make(paths[-1], tmp_path / "trap")
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    refused, grown = map(int, done.stdout.split())
    assert refused == len(paths)
    assert grown < 150 * MIB
    assert not (tmp_path / "trap").exists()


def test_embedded_source_text_is_never_run(tmp_path: Path) -> None:
    """A good file whose source text would make a folder is read; nothing is made."""
    trap = tmp_path / "trap"
    source = f"import os\nos.mkdir({str(trap)!r})\nclass Generator: pass\n"
    content = ada_content(tiny_checkpoint())
    for text in (source, source + "#" * 100_000):
        for module in [*all_modules(content["G_ema"]), *all_modules(content["D"])]:
            module.arguments[0]["module_src"] = text
        read_checkpoint(write_ada_content(tmp_path / "model.pkl", content))
        assert not trap.exists()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.5, 0.8, 0.99, 0.9999])
@pytest.mark.parametrize("name", ["ada-auto-64.pkl", "rosinality-source-32.pt"])
def test_truncated_anywhere(golden: Path, tmp_path: Path, name: str, share: float) -> None:
    data = (golden / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CheckpointError, match="expected"):
        read_checkpoint(tmp_path / name)


def test_weights_only_is_not_stricter(tmp_path: Path) -> None:
    """What torch's own weights_only refuses is refused here too; some of what it lets pass takes gigabytes there."""
    for make in HOSTILE:
        path = tmp_path / f"{make.__name__}.bin"
        make(path, tmp_path / "trap")
        if path.read_bytes()[:2] != b"PK" or "bomb" in make.__name__ or "larger" in make.__name__:
            continue
        try:
            torch.load(path, weights_only=True)
        except Exception:  # torch raises many kinds
            with pytest.raises(CheckpointError):
                read_checkpoint(path)
    assert not (tmp_path / "trap").exists()


def test_the_limit_of_this_test_process_is_untouched() -> None:
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
