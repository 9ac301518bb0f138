"""The notebook of the examples runs from its first cell to its last, with small numbers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALL = {"QUICKSTART_KIMG": "0.032", "QUICKSTART_IMAGES": "48", "QUICKSTART_STEPS": "2"}
CHECKS = """
assert sheet.size[0] > 8 * 128 and len(distances) == 3
assert len(list(translated.glob("*-FC-FT-LS8.png"))) == 4
assert all(torch.equal(value, cartoon.mapping.state_dict()[key]) for key, value in face.mapping.state_dict().items())
import shutil; shutil.rmtree(workspace)
"""


@pytest.mark.slow
def test_the_quickstart_runs(tmp_path: Path) -> None:
    cells = json.loads((ROOT / "examples" / "quickstart.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code"), "outputs are not committed"
    done = subprocess.run(
        [sys.executable, "-c", code + CHECKS],
        cwd=ROOT,
        env=os.environ | SMALL | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
