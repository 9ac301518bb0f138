"""Stages of flows called in the tests' own process, without DVC."""

import contextlib
import importlib
import io

import pytest
from tiny_project import stage_module

from tasks.requests import translate_folder
from tasks.running import stage_cli
from tasks.running.dvc_stage import StageFailed, StageOutcome


def in_this_process(name, main, on_progress, on_line):
    """Call the main function of a stage's module and report as the bridge to DVC does."""
    said = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.chdir("."),
        contextlib.redirect_stderr(said),
    ):
        patch.setattr(stage_cli, "report_progress", lambda _: contextlib.nullcontext(on_progress))
        on_line(f"Running {name}")
        status = main()
    if status != 0:
        message = said.getvalue().strip().removeprefix("error: ")
        raise StageFailed(message, stage=name, lines=(message,), is_user_error=True)
    return StageOutcome(name, "ran", 0.1, ())


def run_stage_here(stage, *, project, force=False, num_threads=None, on_progress, on_line):
    kind, name = stage.split("@")
    module = importlib.import_module(stage_module("import_base" if kind == "import" else kind)).STAGE
    arguments = [f"--{module.option}", name, "--project", str(project.root)]
    arguments += ["--restart"] if force and module.is_planned else []
    return in_this_process(stage, lambda: stage_cli.main(module, arguments), on_progress, on_line)


def run_command_here(name, command, *, project, on_progress, on_line):
    assert command[1:3] == ["-m", "tasks.requests.translate_folder"]
    return in_this_process(name, lambda: translate_folder.main(command[3:]), on_progress, on_line)
