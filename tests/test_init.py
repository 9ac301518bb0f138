"""`ui2i init`: a project from the files that the package ships, whole or not there at all."""

import os
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor

import pytest
from test_os_errors import limited
from tiny_project import REPOSITORY, files_below

from cli import app, layout
from flows import task_runners
from tasks.project.params import all_sections, load_params, parse_params
from tasks.project.paths import Project, find_project
from tasks.project.shipped import FILES, SHIPPED, shipped_files
from tasks.requests import new_project
from tasks.requests.new_project import README, add_example, create_project
from tasks.running.dvc_command import run_dvc
from ui2i import __version__
from ui2i.errors import ConfigError

SHIPPED_PARAMS = (REPOSITORY / "params.yaml").read_text()


@pytest.fixture
def without_dvc(monkeypatch):
    """DVC takes seconds to be set up."""
    monkeypatch.setattr(new_project, "ensure_dvc", lambda root: None)


@pytest.fixture
def ui2i(tmp_path, capsys, monkeypatch, without_dvc):
    """A function that runs a command line in an empty folder and returns status, stdout and stderr."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def run(*arguments):
        capsys.readouterr()
        return app.run([str(argument) for argument in arguments]), *capsys.readouterr()

    return run


# What is written


def test_the_example_is_what_the_repository_has(tmp_path, without_dvc):
    assert SHIPPED == REPOSITORY
    project = create_project(tmp_path / "new", example=True)
    made = files_below(project.root)
    of_experiments = "data/experiments/"
    assert made == {README} | {name for name in shipped_files(REPOSITORY) if not name.startswith(of_experiments)}
    assert {"data/base/avatar/generator.safetensors", *FILES} <= made
    for name in made - {README}:
        assert (project.root / name).read_bytes() == (REPOSITORY / name).read_bytes(), name


def test_without_the_example_only_its_domains_are_missing(tmp_path, without_dvc):
    project = create_project(tmp_path, example=False)
    text = project.params_path.read_text()
    added = set(text.splitlines()) - set(SHIPPED_PARAMS.splitlines())
    assert added == {"domains: {}", "truth: {}"}
    here, shipped = (all_sections(parse_params(each)) for each in (text, SHIPPED_PARAMS))
    domains = shipped["domains"].keys()
    assert here == {
        section: {key: entry for key, entry in values.items() if key not in domains} if values else values
        for section, values in shipped.items()
    }
    assert here["imported"].keys() == {"avatar", "face"} <= here["datasets"].keys()


@pytest.mark.parametrize("every", [False, True])
def test_the_example_can_be_added_later(tmp_path, without_dvc, every):
    project = create_project(tmp_path, example=False)
    names = add_example(project, every=every)
    assert names == (["lorelei", "cartoon"] if every else ["lorelei"])
    sections, shipped = all_sections(load_params(project)), all_sections(parse_params(SHIPPED_PARAMS))
    for section in ("domains", "datasets", "synthetic", "truth"):
        for name in names:
            assert sections[section].get(name) == shipped[section].get(name)
    assert every == (sections == shipped)


def test_the_command_says_what_there_is_and_what_comes_next(ui2i, tmp_path):
    status, out, err = ui2i("init", "my faces")
    assert (status, err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["bases"] == "avatar, face"
    assert lines["domains"] == "none yet"
    assert lines["next"] == "cd 'my faces' && ui2i demo"
    assert "git init" in lines["git"]
    (tmp_path / "here" / "other" / ".git").mkdir(parents=True)
    status, out, _ = ui2i("init", "other", "--example")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert (status, lines["domains"], "git" in lines) == (0, "lorelei, cartoon", False)


def test_no_word_is_cut_on_a_narrow_terminal(ui2i, monkeypatch):
    monkeypatch.setattr(layout, "terminal_width", lambda: 80)
    _, out, _ = ui2i("init")
    lines = [line for line in out.splitlines() if len(line.split()) > 1]  # a path alone is left whole
    assert max(map(len, lines)) <= 80
    assert any(line.startswith(" " * 9) and line.endswith("your settings") for line in lines)


def test_the_current_folder_is_the_default(ui2i, tmp_path):
    status, out, _ = ui2i("init")
    assert (status, out.splitlines()[-1].split(maxsplit=1)[1]) == (0, "ui2i demo")
    assert find_project().root == (tmp_path / "here").resolve()


@pytest.mark.parametrize("with_git", [False, True])
def test_dvc_works_at_once_with_git_and_without(tmp_path, with_git):
    if with_git:
        subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    project = create_project(tmp_path, example=False)
    assert "import@face" in run_dvc(project.root, "stage", "list", "--name-only")
    assert (project.root / ".dvc/config.local").exists() is not with_git
    if with_git:
        listed = ["git", "ls-files", "--others", "--exclude-standard"]
        seen = subprocess.run(listed, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.split()
        assert {name for name in seen if not name.startswith(("data/base/", "data/domains/"))} == {*FILES, README}


# What is refused


def test_a_folder_with_files_is_refused_and_stays_as_it_is(ui2i, tmp_path):
    folder = tmp_path / "here"
    for number in range(5):
        (folder / f"{number}.png").write_text("mine")
    before = files_below(folder)
    status, out, err = ui2i("init")
    assert (status, out) == (2, "")
    assert "holds 0.png, 1.png, 2.png and 2 more, expected a new or an empty folder" in err
    assert files_below(folder) == before


@pytest.mark.parametrize("name", [".gitignore", ".dvc/config", "README.md", "data/mine.txt"])
def test_a_file_that_would_be_replaced_is_refused(ui2i, tmp_path, name):
    path = tmp_path / "here" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    status, _, err = ui2i("init")
    assert (status, name.split("/")[0] in err, files_below(tmp_path / "here")) == (2, True, {name})
    assert path.read_text() == "mine"


def test_a_repository_and_a_virtual_environment_are_no_obstacle(ui2i, tmp_path):
    for name in (".git/HEAD", ".venv/pyvenv.cfg", "env/pyvenv.cfg", ".vscode/settings.json"):
        path = tmp_path / "here" / name
        path.parent.mkdir()
        path.write_text("")
    assert ui2i("init")[0] == 0


def test_a_project_is_refused_and_stays_as_it_is(ui2i, tmp_path):
    ui2i("init")
    params = tmp_path / "here" / "params.yaml"
    params.write_text(params.read_text() + "# mine\n")
    status, _, err = ui2i("init", "--example")
    assert (status, "is a project already" in err) == (2, True)
    assert params.read_text().endswith("# mine\n")


@pytest.mark.parametrize("folder", ["file", "file/below"])
def test_a_file_in_the_way_is_named(ui2i, tmp_path, folder):
    (tmp_path / "here" / "file").write_text("mine")
    status, _, err = ui2i("init", folder)
    assert (status, "file" in err, err.count("\n")) == (2, True, 1)
    assert files_below(tmp_path / "here") == {"file"}


@pytest.mark.parametrize("is_there", [False, True])
def test_a_full_disk_leaves_nothing(ui2i, tmp_path, is_there):
    folder = tmp_path / "here" / "new"
    if is_there:
        folder.mkdir()
    with limited(100_000):
        status, _, err = ui2i("init", "new")
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith(f"error: {folder}/data/")
    assert "expected room" in err
    assert folder.exists() == is_there
    assert not is_there or os.listdir(folder) == []  # noqa: PTH208
    assert ui2i("init", "new")[0] == 0


KILLED = """
import os, sys
from pathlib import Path
from tasks.requests import new_project
write, written = new_project.write_bytes, []
def killed(path, data):
    if len(written) == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
    written.append(path)
    write(path, data)
new_project.write_bytes = killed
new_project.create_project(Path(sys.argv[1]), example=True)
"""


@pytest.mark.parametrize("num_written", [0, 9])
def test_after_a_kill_there_is_no_project_and_the_same_command_makes_it(tmp_path, without_dvc, num_written):
    folder = tmp_path / "new"
    command = [sys.executable, "-c", KILLED, str(folder), str(num_written)]
    assert subprocess.run(command, cwd=REPOSITORY, check=False).returncode == -9
    assert len([name for name in files_below(folder) if not name.endswith(".tmp")]) == num_written
    with pytest.raises(ConfigError, match=r"make one with `ui2i init`"):
        find_project(folder)
    whole = files_below(create_project(tmp_path / "whole", example=True).root)
    assert files_below(create_project(folder, example=True).root) == whole


def test_of_two_at_once_one_makes_it(tmp_path, without_dvc):
    def attempt(_):
        try:
            return create_project(tmp_path / "new", example=False)
        except ConfigError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(attempt, range(2)))
    assert Project(tmp_path / "new") in results
    assert any("is a project already" in str(result) for result in results)
    load_params(Project(tmp_path / "new"))


# The rest of the command line


def test_the_demo_brings_its_domain_into_a_project_without_one(ui2i, tmp_path, monkeypatch):
    ui2i("init")
    asked = []
    monkeypatch.setattr("flows.demo.demo", lambda names, *, project: asked.append(names) or [])
    monkeypatch.setattr("cli.report.print_results", lambda _project, name: None)
    monkeypatch.setattr("flows.services.session.prefect_session", lambda *_, **__: limited(1 << 30))
    status, out, _ = ui2i("demo")
    assert (status, asked) == (0, [["lorelei"]])
    assert out.startswith("params.yaml had no domain; added the example's: lorelei\n")
    assert ui2i("demo")[1].startswith("expect ")
    assert list(load_params(find_project()).domains) == ["lorelei"]


def test_outside_a_project_every_command_names_the_way_to_one(ui2i):
    for command in ("demo", "distances", "status"):
        status, _, err = ui2i(command)
        assert (status, "make one with `ui2i init`" in err) == (2, True)


def test_version(ui2i):
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__
    status, out, _ = ui2i("--version")
    assert status == 0
    assert re.fullmatch(rf"ui2i {re.escape(__version__)} \(commit \w+(-dirty)?\)\n", out)


def test_a_shell_completes_commands_and_options():
    for typed, completed in (("ui2i in", "init"), ("ui2i init --ex", "--example")):
        words = typed.split()
        asked = {"_UI2I_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
        command = [sys.executable, "-c", "import cli.app; cli.app.main()"]
        done = subprocess.run(command, env=os.environ | asked, capture_output=True, text=True, check=False)
        assert done.stdout.split() == [completed]


# Extras


def test_every_extra_that_something_names_exists(monkeypatch):
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {"serve", "faces", "fid", "dask", "ray", "dev"} <= set(extras)
    texts = [
        path
        for folder in ("ui2i", "tasks", "flows", "cli", "experiments")
        for path in (REPOSITORY / folder).rglob("*.py")
    ]
    texts += [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), REPOSITORY / "params.yaml"]
    named = {extra for path in texts for extra in re.findall(r"ui2i\[([\w,-]+)\]", path.read_text(encoding="utf-8"))}
    assert named >= {"faces", "fid", "heif"}
    assert {extra for group in named for extra in group.split(",")} <= set(extras)
    for name in ("dask", "ray"):
        monkeypatch.setenv("UI2I_TASK_RUNNER", name)
        monkeypatch.setitem(sys.modules, f"prefect_{name}", None)
        with pytest.raises(ConfigError, match=rf"ui2i\[{name}\]"):
            task_runners.chosen_task_runner()
        assert name in extras


@pytest.mark.parametrize("name", ["{a}", "cut}", os.fsdecode(b"caf\xe9")])
def test_a_place_where_dvc_cannot_work_is_refused_at_once(ui2i, tmp_path, name):
    status, out, err = ui2i("init", f"{name}/faces")
    assert (status, out) == (2, "") and "expected a path that DVC can take" in err
    assert not (tmp_path / "here" / name).exists()
    assert ui2i("init", "faces")[0] == 0
    (tmp_path / "here" / "faces").rename(tmp_path / "here" / name)
    with pytest.raises(ConfigError, match="expected a path that DVC can take"):
        find_project(name)
