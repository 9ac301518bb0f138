"""What made a result: commit, versions, device, processor. Every table and card records it.

The commit is that of this code, wherever the command runs and whatever the project's folder is part of. An installed
package stands outside git: its version takes the place of a commit, or the commit that pip installed it from.
"""

import functools
import json
import os
import platform
import subprocess
import warnings
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

from ui2i.errors import UI2IWarning

RECORDED_PACKAGES = ("ui2i", "torch", "torchvision", "lpips", "numpy", "pandas", "pyarrow")
UNKNOWN = "unknown"
_BF16_FEATURES = ("avx512_bf16", "amx_bf16", "bf16")  # of torch.cpu.get_capabilities
_CODE = Path(__file__).resolve()
_TIMEOUT_SECONDS = 20


def provenance(device: str = "cpu") -> dict[str, Any]:
    """Return the git commit (`-dirty` if files differ from it), package versions, device, processor and UTC time."""
    import torch

    return {
        "commit": code_commit(),
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
        "name": str(found.get("cpu_name") or UNKNOWN),
        "num_cores": os.cpu_count(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "native_bf16": any(bool(found.get(feature)) for feature in _BF16_FEATURES),
    }


@functools.cache
def code_commit() -> str:
    """Return the commit of the code that runs, with `-dirty` if its repository's tracked files were changed.

    Of an installed package, the commit it was installed from if pip knows it, else `ui2i-<version>`. `unknown` if git
    does not track other code or does not answer; then a warning says why.
    """
    if (package := installed_package()) is not None:
        return package
    try:
        _git(_CODE.parent, "ls-files", "--error-unmatch", "--", _CODE.name)  # an environment may lie in a repository
        return _describe(_CODE.parent)
    except (OSError, subprocess.SubprocessError) as error:
        warnings.warn(
            f"the commit of the code in {_CODE.parent} is unknown ({_reason(error)}), expected a git repository that "
            "this user may read; tables and cards made now say 'unknown' in its place",
            UI2IWarning,
            stacklevel=2,
        )
        return UNKNOWN


@functools.cache
def installed_package() -> str | None:
    """Return what identifies this code if it is an installed package, None if it runs from a clone or an archive."""
    try:
        package = distribution("ui2i")
    except PackageNotFoundError:
        return None
    is_this = Path(str(package.locate_file("ui2i/provenance.py"))).resolve() == _CODE  # not a link to a clone
    if not is_this or package.read_text("WHEEL") is None:  # setuptools leaves metadata without one in a clone
        return None
    origin = json.loads(package.read_text("direct_url.json") or "{}")  # PEP 610
    commit = origin.get("vcs_info", {}).get("commit_id")
    return str(commit)[:12] if commit else f"ui2i-{package.version}"


def git_commit(folder: str | os.PathLike[str]) -> str:
    """Return the commit of a folder, with `-dirty` if tracked files were changed; `unknown` outside git."""
    try:
        return _describe(folder)
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN


def _describe(folder: str | os.PathLike[str]) -> str:
    return _git(folder, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*").strip()


def _git(folder: str | os.PathLike[str], *arguments: str) -> str:
    elsewhere = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")  # set in a hook of another repository
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in elsewhere},
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
        timeout=_TIMEOUT_SECONDS,
    )
    return done.stdout


def _reason(error: OSError | subprocess.SubprocessError) -> str:
    said = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
    return " ".join(str(said or error).split())


@functools.cache
def _package_versions() -> dict[str, str]:
    versions = {}
    for package in RECORDED_PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions
