"""How long threads wait in a loop: stages and the command set it before torch is loaded, unless the user has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ui2i.waiting import SPIN_COUNT, WAITING_VARIABLES, wait_briefly

GNU_OPENMP = list(Path(torch.__file__).parent.glob("lib/libgomp*.so*"))


def test_it_is_set() -> None:
    environment: dict[str, str] = {}
    wait_briefly(environment)
    assert environment == {"GOMP_SPINCOUNT": str(SPIN_COUNT)}


@pytest.mark.parametrize("name", WAITING_VARIABLES)
def test_the_user_s_choice_stays(name: str) -> None:
    environment = {name: "passive"}
    wait_briefly(environment)
    assert environment == {name: "passive"}


@pytest.mark.skipif(not GNU_OPENMP, reason="torch has another OpenMP here")
@pytest.mark.parametrize("package", ["tasks", "flows"])
def test_torch_s_openmp_reads_it(package: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in WAITING_VARIABLES}
    command = [sys.executable, "-c", f"import ctypes, {package}; ctypes.CDLL({str(GNU_OPENMP[0])!r})"]
    environment["OMP_DISPLAY_ENV"] = "verbose"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"GOMP_SPINCOUNT = '{SPIN_COUNT}'" in done.stderr
