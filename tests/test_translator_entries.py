"""The section `translators` of params.yaml: what is refused, what `ui2i distill` adds, models that changed."""

from pathlib import Path

import pytest
from tiny_project import make_project, set_param

from tasks.models.domain_models import model_path
from tasks.models.translator_models import check_translator
from tasks.project.params import load_params
from tasks.project.paths import Project
from tasks.project.register import register_translator
from ui2i.distillation.card import TranslatorCard
from ui2i.errors import CheckpointError, ConfigError
from ui2i.files import sha256_bytes
from ui2i.model_files import GENERATOR_FILE

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


def test_a_translator_is_of_the_base_and_of_the_model_that_are_there(project: Project) -> None:
    params, path = load_params(project), project.translator("cartoon")
    files = {
        "face": project.checkpoint("face") / GENERATOR_FILE,
        "FC-FT": model_path(project, params, "cartoon", "FC-FT"),
    }
    for name, file in files.items():
        file.parent.mkdir(parents=True)
        file.write_bytes(name.encode())
    source_hash, target_hash = (sha256_bytes(name.encode()) for name in files)
    card = TranslatorCard(
        source="face",
        domain="cartoon",
        variant="FC-FT",
        source_hash=source_hash,
        target_hash=target_hash,
        img_resolution=32,
    )
    check_translator(project, params, path, card)
    for name, file in files.items():
        file.write_bytes(b"another")
        with pytest.raises(CheckpointError, match=rf"imitates the model {sha256_bytes(name.encode())[:12]} of {name}"):
            check_translator(project, params, path, card)
        file.write_bytes(name.encode())
