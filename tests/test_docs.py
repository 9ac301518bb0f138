"""What the documentation names exists: files, modules, commands; no line is too long; hooks run the pinned ruff."""

import importlib
import importlib.util
import re
from pathlib import Path

import pytest
import typer

from cli.app import app

ROOT = Path(__file__).parents[1]
PROJECT_README = ROOT / "tasks" / "requests" / "new_project.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), PROJECT_README])
RESULTS = ROOT / "docs" / "results"
PACKAGES = "ui2i|tasks|flows|cli|experiments"


def prose(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


CURRENT = [page for page in PAGES if page.name != "CHANGELOG.md" and RESULTS not in page.parents]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", prose(page))
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_files_and_modules_are_there(page: Path) -> None:
    files = re.findall(rf"`((?:{PACKAGES}|tests|benchmarks|docs)/[\w/.-]*\w/?)`", prose(page))
    missing = [file for file in files if not (ROOT / file).exists()]
    modules = re.findall(rf"(?:`|-m )((?:{PACKAGES})\.[a-z_][\w.]*)", prose(page))
    missing += [module for module in modules if not exists(module)]
    assert not missing


def exists(dotted: str) -> bool:
    """Whether a module is there, or a name in one."""
    head, _, last = dotted.rpartition(".")
    try:
        if importlib.util.find_spec(dotted) is not None:
            return True
    except ModuleNotFoundError:
        pass
    return bool(head) and exists(head) and hasattr(importlib.import_module(head), last)


def known_commands() -> set[str]:
    command = typer.main.get_command(app)
    groups = getattr(command, "commands", {})
    return set(groups) | {"--help", "--project", "--verbose", "--version", "--install-completion"}


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_commands_are_there(page: Path) -> None:
    text = re.sub(r"```.*?```", lambda block: block.group(0).replace("\n", " \n"), prose(page), flags=re.DOTALL)
    said = set(re.findall(r"(?:^|`|\$ )ui2i ((?:--)?[a-z][a-z-]*)", text, flags=re.MULTILINE))
    assert said <= known_commands()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_lines_are_at_most_120_columns(page: Path) -> None:
    body = re.sub(r"```.*?```", "", prose(page), flags=re.DOTALL)
    free = re.compile(r"\s*\||.*\]\(")  # tables, and links, which cannot be broken
    assert [line for line in body.splitlines() if len(line) > 120 and not free.match(line)] == []


def test_hooks_run_the_pinned_ruff() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    hooked = re.search(r"ruff-pre-commit\n +rev: v(\S+)", hooks)
    pinned = re.search(r"^ruff==(\S+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert hooked is not None and pinned is not None and hooked[1] == pinned[1]
