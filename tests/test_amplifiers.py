"""Small hostile files cost what their size allows, in memory and in processor time, and are refused with one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_amplifiers import HOSTILE

MIB = 1 << 20
MAX_SECONDS = 20  # of the processor, for all of them; one took minutes and more

# Reads a file and prints its refusal and by how much resident memory grew at most.
READ = """
import resource, sys
from pathlib import Path
from ui2i.converters.formats import read_checkpoint
from ui2i.errors import CheckpointError

def memory(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":"))

limit = memory("VmSize") + (1 << 30)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
used = int(resource.getrusage(resource.RUSAGE_SELF).ru_utime)
resource.setrlimit(resource.RLIMIT_CPU, (used + int(sys.argv[1]), used + int(sys.argv[1])))
for name in sys.argv[2:]:
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = memory("VmRSS")
    try:
        read_checkpoint(Path(name))
        message = "read"
    except CheckpointError as error:
        message = str(error)
    print(memory("VmHWM") - before, message, flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_small_files_cost_little(tmp_path: Path) -> None:
    """All of them in one process that has a second or so of processor time for each, and a gibibyte of memory."""
    paths = []
    for make in HOSTILE:
        paths.append(tmp_path / make.__name__)
        make(paths[-1], tmp_path / "trap")
        assert paths[-1].stat().st_size < 8 * MIB
    (tmp_path / "tmp").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", READ, str(MAX_SECONDS), *map(str, paths)],
        capture_output=True,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
        timeout=300,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, (paths[len(lines) : len(lines) + 1], done.stderr[-2000:])
    assert len(lines) == len(paths)
    for line, path, reason in zip(lines, paths, HOSTILE.values(), strict=True):
        grown, _, message = line.partition(" ")
        assert message.startswith(str(path)) and reason in message and "expected" in message and len(message) < 700
        assert int(grown) < 3 * path.stat().st_size + 60 * MIB, (path.name, grown)
    assert list((tmp_path / "tmp").iterdir()) == [] and not (tmp_path / "trap").exists()
