"""What tests of the command line share: `ui2i` with its arguments, in a tiny project, in this process."""

import contextlib

import pytest
from tiny_project import write_images

from cli import app


@pytest.fixture
def images(tmp_path):
    write_images(tmp_path / "images", count=3)
    return tmp_path / "images"


@pytest.fixture
def ui2i(project, capsys, monkeypatch):
    """A function that runs a command line in the project and returns status, stdout and stderr."""
    monkeypatch.chdir(project.root)

    def run(*arguments):
        capsys.readouterr()
        status = app.run([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


class ReachedFlowError(Exception):
    """A command got as far as starting a flow."""


@pytest.fixture
def session(monkeypatch):
    """A function that puts an exception in the place of every flow."""

    def replace(error):
        @contextlib.contextmanager
        def fail(_options, _project):
            raise error
            yield

        monkeypatch.setattr("cli.pipeline.session", fail)
        monkeypatch.setattr("cli.distillation.session", fail)

    replace(ReachedFlowError())
    return replace
