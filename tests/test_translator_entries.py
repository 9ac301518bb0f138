"""The section `translators` of params.yaml: what is refused in it, and how `ui2i distill` adds to it."""

from pathlib import Path

import pytest
from tiny_project import make_project, set_param

from tasks.project.params import load_params
from tasks.project.paths import Project
from tasks.project.register import register_translator
from ui2i.errors import ConfigError

ENTRY = {"base": "face", "total_kimg": 1.0}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with a domain, whose params.yaml has no such section."""
    made = make_project(tmp_path / "project")
    set_param(made, "domains", {"cartoon": {"base": "face"}})
    return made


@pytest.mark.parametrize(
    ("translators", "message"),
    [
        ({"alien": ENTRY}, "translators names alien, expected one of domains"),
        (
            {"cartoon": ENTRY | {"base": "cat"}},
            r"translators\.cartoon\.base names cat, expected domains\.cartoon\.base",
        ),
        ({"cartoon": ENTRY | {"num_pairs": 0}}, r"translators\.cartoon\.num_pairs is 0"),
        ({"cartoon": {"total_kimg": 1.0}}, r"translators\.cartoon .*base"),
    ],
)
def test_entries_are_checked(project: Project, translators: dict[str, object], message: str) -> None:
    set_param(project, "translators", translators)
    with pytest.raises(ConfigError, match=message):
        load_params(project)


def test_an_entry_is_added_and_never_changed(project: Project) -> None:
    before = project.params_path.read_text()
    registered = register_translator(project, "cartoon", {"total_kimg": 3.0})
    assert (registered.translators["cartoon"].base, registered.translators["cartoon"].total_kimg) == ("face", 3)
    assert project.params_path.read_text().startswith(before)
    with pytest.raises(ConfigError, match=r"translators\.cartoon with other settings"):
        register_translator(project, "cartoon", {"total_kimg": 4.0})
