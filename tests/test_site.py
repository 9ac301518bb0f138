"""The documentation site builds, every link in it leads somewhere, and no page has a tag of another address."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build in a copy, since the builder writes beside its settings."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", folder / "docs")
    (folder / "ui2i").symlink_to(ROOT / "ui2i")
    shutil.copy(ROOT / "zensical.toml", folder)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder / "site"


def pages(entries: list[dict[str, Any]]) -> list[str]:
    """Return the pages of a navigation, in its order."""
    found: list[str] = []
    for value in (value for entry in entries for value in entry.values()):
        found += [value] if isinstance(value, str) else pages(value)
    return found


def test_every_page_is_in_the_navigation_once() -> None:
    listed = pages(tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"])
    there = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert sorted(listed) == sorted(there)


def test_the_reference_shows_signatures_and_examples(site: Path) -> None:
    page = (site / "api.html").read_text(encoding="utf-8")
    assert "ui2i.checkpoints.load_generator" in page and "share_file" in page
    assert "&gt;&gt;&gt;" in page and "<blockquote>" not in page  # an example that is none would be a quotation


def test_no_tag_names_another_address(site: Path) -> None:
    loaded = r"""<(?:script|img|link|iframe)\b[^>]*?\b(?:src|href)=["']?(?:https?:)?//[^"'> ]+"""
    for page in site.rglob("*.html"):
        outside = re.findall(loaded, page.read_text(encoding="utf-8"))
        assert [tag for tag in outside if "canonical" not in tag] == [], page.name
