"""What made a result: commit, versions, device, processor. Every table and card carries it."""

import functools
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

RECORDED_PACKAGES = ("ui2i", "torch", "torchvision", "lpips", "numpy", "pandas", "pyarrow")
_BF16_FEATURES = ("avx512_bf16", "amx_bf16", "bf16")  # of torch.cpu.get_capabilities


def provenance(device: str = "cpu") -> dict[str, Any]:
    """Return the git commit (`-dirty` if files differ from it), package versions, device, processor and UTC time."""
    import torch

    return {
        "commit": git_commit(),
        "versions": _package_versions(),
        "python": platform.python_version(),
        "device": device,
        "device_name": torch.cuda.get_device_name() if device.startswith("cuda") else platform.machine(),
        "processor": processor(),
        "num_threads": torch.get_num_threads(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@functools.cache
def processor() -> dict[str, Any]:
    """Return what the CPU's speed hangs on: its name, cores, the instruction set torch uses, and bf16 in hardware."""
    import torch

    found = torch.cpu.get_capabilities()
    return {
        "name": str(found.get("cpu_name") or "unknown"),
        "num_cores": os.cpu_count(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "native_bf16": any(bool(found.get(feature)) for feature in _BF16_FEATURES),
    }


def git_commit(folder: str | os.PathLike[str] = ".") -> str:
    """Return the commit of a folder, with `-dirty` if tracked files were changed; `unknown` outside git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=20)
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


@functools.cache
def _package_versions() -> dict[str, str]:
    versions = {}
    for package in RECORDED_PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions
