"""`ui2i base add` and `ui2i checkpoint`: from somebody's file or address to a base that the project knows."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from foreign_files import ada_content, tiny_checkpoint, write_ada_content, write_tiny
from loopback_server import Site, serving
from ruamel.yaml import YAML
from tiny_project import files_below, make_project, set_param, write_images

from cli import app
from tasks.project.params import load_params
from tasks.project.paths import Project
from tasks.requests import add_base, raw_images
from tasks.running.dvc_command import DvcError
from tasks.running.stage_cli import main
from tasks.stages import import_base
from ui2i.checkpoints import ModelCard, read_card, save_generator
from ui2i.converters.formats import differences, read_checkpoint, write_checkpoint
from ui2i.files import sha256_file

Ui2i = Callable[..., tuple[int, str, str]]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


@pytest.fixture
def ui2i(project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ui2i:
    """A function that runs a command line in the project and returns status, stdout and stderr."""
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = app.run([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What DVC was asked to do; asking it takes seconds, and one test does."""
    asked: list[tuple[str, ...]] = []
    for module in (add_base, raw_images):
        monkeypatch.setattr(module, "ensure_dvc", lambda root: None)
        monkeypatch.setattr(module, "run_dvc", lambda root, *arguments: asked.append(arguments))
    return asked


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "model.pt")


def entry(project: Project, section: str, name: str) -> object:
    return YAML(typ="safe", pure=True).load(project.params_path.read_text())[section].get(name)


# -- base add ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("recorded", "kept"), [("face", {"framing": "face"}), ("center", {}), ("moon", {})])
def test_a_base_s_images_are_framed_as_those_that_it_was_trained_on(
    project: Project, ui2i: Ui2i, added: list[tuple[str, ...]], tmp_path: Path, recorded: str, kept: dict[str, str]
) -> None:
    card = ModelCard(domain="face", mode="scratch", provenance={"framing": {"framing": recorded}})
    save_generator(tmp_path / "model.safetensors", tiny_checkpoint().generator, card)
    assert ui2i("base", "add", "selfie", tmp_path / "model.safetensors")[0] == 0
    assert entry(project, "datasets", "selfie") == {"images": "data/raw/selfie"} | kept


def test_a_file(project: Project, ui2i: Ui2i, added: list[tuple[str, ...]], file: Path) -> None:
    status, out, err = ui2i(
        "base", "add", "ffhq", file, "--license", "CC BY-NC 4.0", "--sha256", sha256_file(file).upper()
    )
    assert (status, err) == (0, "")
    folder = project.base("ffhq")
    assert files_below(folder) == {"card.json", "discriminator.safetensors", "generator.safetensors"}
    assert differences(read_checkpoint(folder), tiny_checkpoint()) == []
    card = read_card(folder / "generator.safetensors")[1]
    assert (card.domain, card.license) == ("ffhq", "CC BY-NC 4.0")
    assert json.loads((folder / "card.json").read_text())["card"]["domain"] == "ffhq"
    assert added == [("add", "data/base/ffhq")]
    assert entry(project, "imported", "ffhq") == {"checkpoint": "data/base/ffhq"}
    assert entry(project, "datasets", "ffhq") == {"images": "data/raw/ffhq"}
    assert "data/raw/ffhq" in out and "ui2i new-domain NAME --images PATH --base ffhq" in out
    assert "ingest.img_resolution" not in out and "no discriminator" not in out


def test_somebody_else_s_file_says_where_it_comes_from(
    project: Project, ui2i: Ui2i, added: list[tuple[str, ...]], golden: Path
) -> None:
    source = golden / "ada-auto-64.pkl"
    status, out, _ = ui2i("base", "add", "auto", source)
    assert status == 0
    assert "set ingest.img_resolution to 64 in params.yaml (it is 32)" in out and "left out: G" in out
    card = read_card(project.base("auto") / "generator.safetensors")[1]
    assert card.provenance["imported"] == {"file": source.name, "format": "ada", "sha256": sha256_file(source)}
    assert card.license == "unknown: ask its publisher"


def test_an_address_that_breaks_off(project: Project, ui2i: Ui2i, added: list[tuple[str, ...]], file: Path) -> None:
    site = Site(file.read_bytes(), break_after=[20_000])
    with serving(site):
        status, _, err = ui2i("base", "add", "ffhq", f"{site.url}?secret=1", "--sha256", sha256_file(file))
    assert (status, err) == (0, "") and site.requests == [None, "bytes=20000-"]
    assert differences(read_checkpoint(project.base("ffhq")), tiny_checkpoint()) == []
    assert read_card(project.base("ffhq") / "generator.safetensors")[1].provenance["imported"]["url"] == site.url
    assert files_below(project.downloads) == set()


def test_a_command_that_was_stopped_goes_on(
    project: Project, ui2i: Ui2i, added: list[tuple[str, ...]], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped behind the download: it is not fetched again."""
    before = project.params_path.read_bytes()
    site = Site(file.read_bytes())
    with serving(site):
        with monkeypatch.context() as patch:
            patch.setattr(add_base, "_read", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt()))
            with pytest.raises(KeyboardInterrupt):
                add_base.add_base_model(project, "ffhq", site.url)
        assert project.params_path.read_bytes() == before and not project.base("ffhq").exists()
        assert ui2i("base", "add", "ffhq", site.url)[0] == 0
    assert len(site.requests) == 1


def test_what_was_fetched_damaged_is_fetched_again(
    project: Project, ui2i: Ui2i, added: list[tuple[str, ...]], file: Path
) -> None:
    site = Site(file.read_bytes()[:-3000])
    with serving(site):
        status, _, err = ui2i("base", "add", "ffhq", site.url)
        assert (status, len(err.splitlines())) == (2, 1) and "rerun to fetch it again" in err
        assert files_below(project.downloads) == set()
        site.content = file.read_bytes()
        assert ui2i("base", "add", "ffhq", site.url)[0] == 0
    assert len(site.requests) == 2


def test_what_has_the_hash_that_was_asked_for_is_kept(
    project: Project, ui2i: Ui2i, added: list[tuple[str, ...]], file: Path
) -> None:
    file.write_bytes(b"no checkpoint")
    with serving(Site(file.read_bytes())) as site:
        for digest in (sha256_file(file), sha256_file(file).upper()):
            status, _, err = ui2i("base", "add", "ffhq", site.url, "--sha256", digest)
            assert status == 2 and "fetch it again" not in err.partition(";")[2]
    assert len(site.requests) == 1


def test_what_has_another_hash_than_was_asked_for_is_never_taken(
    project: Project, ui2i: Ui2i, added: list[tuple[str, ...]], file: Path
) -> None:
    """Neither from the address, nor of what an earlier command fetched from it."""
    other = file.with_name("other.pt")
    write_checkpoint(other, tiny_checkpoint(1))
    site = Site(other.read_bytes())
    with serving(site):
        status, _, err = ui2i("base", "add", "ffhq", site.url, "--sha256", sha256_file(file))
        assert status == 2 and sha256_file(other)[:12] in err
        (project.downloads / f"{hashlib.sha256(site.url.encode()).hexdigest()[:12]}-model.pt").write_bytes(site.content)
        site.content = file.read_bytes()
        assert ui2i("base", "add", "ffhq", site.url, "--sha256", sha256_file(file))[0] == 0
    assert differences(read_checkpoint(project.base("ffhq")), tiny_checkpoint()) == []


def test_with_images(project: Project, ui2i: Ui2i, added: list[tuple[str, ...]], file: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "images", count=3)
    status, out, _ = ui2i("base", "add", "ffhq", file, "--images", tmp_path / "images")
    assert status == 0 and "put images" not in out
    assert len(files_below(project.raw("ffhq"))) == 3


def test_without_a_discriminator(project: Project, ui2i: Ui2i, added: list[tuple[str, ...]], file: Path) -> None:
    status, out, _ = ui2i("base", "add", "ffhq", file, "--generator-only")
    assert status == 0 and "there is no discriminator to start from" in out
    assert "discriminator.safetensors" not in files_below(project.base("ffhq"))


def test_the_same_command_twice_needs_replace(
    project: Project, ui2i: Ui2i, added: list[tuple[str, ...]], file: Path
) -> None:
    assert ui2i("base", "add", "ffhq", file)[0] == 0
    status, _, err = ui2i("base", "add", "ffhq", file)
    assert status == 2 and "data/base/ffhq already exists" in err
    write_checkpoint(file, tiny_checkpoint(1))
    assert ui2i("base", "add", "ffhq", file, "--replace")[0] == 0
    assert differences(read_checkpoint(project.base("ffhq")), tiny_checkpoint(1)) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Ffhq", "{file}"], "has the name 'Ffhq'"),
        (["../ffhq", "{file}"], "has the name '../ffhq'"),
        (["cartoon", "{file}"], "params.yaml has domains.cartoon already"),
        (["ffhq", "nowhere.pt"], "nowhere.pt does not exist"),
        (["ffhq", "ftp://host/m.pt"], "expected one that begins with https://"),
        (["ffhq", "{file}", "--sha256", "12"], "expected 64 hexadecimal digits"),
        (["ffhq", "{file}", "--sha256", "ab" * 32], "expected abab"),
        (["ffhq", "{broken}"], "expected"),
    ],
)
def test_a_mistake_is_one_line_and_changes_nothing(
    project: Project, ui2i: Ui2i, added: list[tuple[str, ...]], file: Path, arguments: list[str], message: str
) -> None:
    broken = file.with_name("broken.pt")
    broken.write_bytes(file.read_bytes()[:-3000])
    before = project.params_path.read_bytes(), files_below(project.root)
    filled = [argument.format(file=file, broken=broken) for argument in arguments]
    status, _, err = ui2i("base", "add", *filled)
    assert status == 2 and err.startswith("error: ") and err.count("\n") == 1 and message in err
    assert (project.params_path.read_bytes(), files_below(project.root)) == before and added == []


def test_the_import_stage_takes_what_was_added(
    project: Project, ui2i: Ui2i, added: list[tuple[str, ...]], file: Path
) -> None:
    assert ui2i("base", "add", "ffhq", file)[0] == 0
    assert main(import_base.STAGE, ["--base", "ffhq"]) == 0
    assert (project.checkpoint("ffhq") / "samples.png").is_file()
    assert differences(read_checkpoint(project.checkpoint("ffhq")), tiny_checkpoint()) == []


def test_the_import_stage_takes_a_configuration_with_other_groups(
    project: Project, ui2i: Ui2i, added: list[tuple[str, ...]], tmp_path: Path
) -> None:
    """paper256, which FFHQ at 256 px was trained with, has groups of 8."""
    content = ada_content(tiny_checkpoint(mbstd_group_size=8, conv_clamp=256.0))
    assert ui2i("base", "add", "ffhq", write_ada_content(tmp_path / "m.pkl", content))[0] == 0
    assert main(import_base.STAGE, ["--base", "ffhq"]) == 0
    assert read_card(project.checkpoint("ffhq") / "generator.safetensors")[0].mbstd_group_size == 8


def test_dvc_tracks_it(project: Project, ui2i: Ui2i, file: Path) -> None:
    assert ui2i("base", "add", "ffhq", file)[0] == 0
    tracked = YAML(typ="safe", pure=True).load((project.root / "data/base/ffhq.dvc").read_text())
    assert tracked["outs"][0]["path"] == "ffhq" and tracked["outs"][0]["nfiles"] == 3
    assert "ffhq" in load_params(project).imported


def test_a_replacement_that_fails_leaves_the_old_base(
    project: Project,
    ui2i: Ui2i,
    added: list[tuple[str, ...]],
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_images(tmp_path / "images", count=3)
    assert ui2i("base", "add", "mine", file, "--images", tmp_path / "images")[0] == 0
    record = project.base("mine").with_name("mine.dvc")
    record.write_text("of the old one")
    before = {path: path.read_bytes() for path in sorted(project.base("mine").rglob("*")) if path.is_file()}
    params = project.params_path.read_text()
    other = tmp_path / "other.pt"
    write_checkpoint(other, tiny_checkpoint(seed=5))

    def fail(root: Path, *arguments: str) -> None:
        if arguments[1].startswith("data/base"):
            record.write_text("of the new one")
            raise DvcError("no room is left")

    for images, runs in ((tmp_path / "typo", lambda root, *arguments: None), (tmp_path / "images", fail)):
        with monkeypatch.context() as patch:
            patch.setattr(add_base, "run_dvc", runs)
            status, _, err = ui2i("base", "add", "mine", other, "--images", images, "--replace")
        assert status == 2 and ("typo" in err or "no room" in err)
        assert {path: path.read_bytes() for path in before} == before and record.read_text() == "of the old one"
        assert {path.name for path in project.base("mine").parent.iterdir()} == {"mine", "mine.dvc"}
    assert project.params_path.read_text() == params
    set_param(project, "datasets.two", {"images": "data/raw/two", "framing": "fit"})
    status, _, err = ui2i("base", "add", "two", file, "--images", tmp_path / "images")
    assert status == 2 and "datasets.two with other settings" in err
    assert not project.base("two").exists() and not project.raw("two").exists()


def test_an_address_that_cannot_be_read_is_a_mistake(ui2i: Ui2i) -> None:
    status, _, err = ui2i("base", "add", "mine", "https://[bad/x.pkl")
    assert (status, len(err.splitlines())) == (2, 1)
    assert err.startswith("error: the address is 'https://[bad/x.pkl', expected one that begins with https://")


def test_a_replacement_with_images_of_another_kind_leaves_none_of_the_old_ones(
    project: Project, ui2i: Ui2i, added: list[tuple[str, ...]], file: Path, tmp_path: Path
) -> None:
    write_images(tmp_path / "images", count=3)
    assert ui2i("base", "add", "mine", file, "--images", tmp_path / "images")[0] == 0
    project.raw("mine").with_name("mine.dvc").touch()
    archive = shutil.make_archive(str(tmp_path / "other"), "zip", tmp_path / "images")
    assert ui2i("base", "add", "mine", file, "--images", archive, "--replace")[0] == 0
    assert added[-1] == ("remove", "--outs", "data/raw/mine.dvc")


def test_a_home_that_nobody_knows_is_a_mistake(ui2i: Ui2i) -> None:
    for arguments in (["init", "~nobody-knows/x"], ["base", "add", "x", "~nobody-knows/a.pt"]):
        status, _, err = ui2i(*arguments)
        assert status == 2 and "begins with no user of this machine" in err
