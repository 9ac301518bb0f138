"""The files that a new project starts from. They are those of a clone itself, and a wheel carries them.

`setup.py` runs this file to learn which they are, so it imports only the standard library.
"""

import re
from pathlib import Path

FILES = (
    ".dvc/.gitignore",
    ".dvc/config",
    ".dvcignore",
    ".gitignore",
    "data/avatars/ATTRIBUTION.md",
    "data/avatars/lorelei.zip",
    "data/avatars/micah-held-out.zip",
    "data/encoders/.gitkeep",
    "dvc.yaml",
    "params.yaml",
    "prefect.yaml",
)
"""Of every project."""
EXPERIMENTS = "data/experiments"
"""Folder of further settings in the form of `params.yaml`."""

PACKAGED = Path(__file__).with_name("shipped")
"""Where a wheel has all of them."""
SHIPPED = PACKAGED if PACKAGED.is_dir() else Path(__file__).resolve().parents[2]
"""Where this installation has them: in the package, or in the clone."""


def shipped_files(root: Path) -> list[str]:
    """Return every file that a wheel carries: of projects, of experiments, and of the models that settings name."""
    settings = [root / "params.yaml", *sorted((root / EXPERIMENTS).glob("*.yaml"))]
    named = [re.findall(r"\{(?:checkpoint|model): ([^,}]+)", path.read_text(encoding="utf-8")) for path in settings]
    models = sorted({folder for found in named for folder in found})
    return [*FILES, *(name for folder in (EXPERIMENTS, *models) for name in files_below(root, folder))]


def files_below(root: Path, folder: str) -> list[str]:
    """Return the files in a folder of `root`, relative to `root`."""
    return [path.relative_to(root).as_posix() for path in sorted((root / folder).rglob("*")) if path.is_file()]
