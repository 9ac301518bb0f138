"""What all stages share on the command line: arguments, one-line errors, the lock on the output, a clean stop."""

import argparse
import contextlib
import dataclasses
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tasks.project.names import check_key
from tasks.project.params import Params, load_params
from tasks.project.paths import Project, find_project
from tasks.running.command_line import STAGE_REMEDY, USER_ERROR, memory_error, print_error
from tasks.running.costs import noted_cost
from tasks.running.dvc_stages import DefinedStages
from tasks.running.locks import hold_output
from tasks.running.progress import report_progress
from tasks.running.steady_inputs import steady_inputs
from tasks.running.stop_signals import raise_on
from tasks.running.upgrade import require_upgraded
from tasks.running.warning_lines import warnings_as_lines
from ui2i.allocator import keep_freed_memory
from ui2i.errors import ConfigError, UI2IError
from ui2i.progress import Progress, no_progress

RESTART_VARIABLE = "UI2I_RESTART"
"""Set to 1 in the environment, it does what --restart does; so a forced run reaches its stage through DVC."""

DEVICE_VARIABLE = "UI2I_DEVICE"
"""auto (the default), cpu, cuda or mps."""
PROCESSES_VARIABLE = "UI2I_PROCESSES"
"""How many processes of this machine train one model; a number above 1 makes a training stage start `torchrun`."""

STAGE_VARIABLE = "DVC_STAGE"
"""What DVC runs, such as finetune@cartoon, perhaps after the path of its `dvc.yaml` and a colon; DVC sets it."""

_PARENT_POLL_SECONDS = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What a stage is to do."""

    project: Project
    params: Params
    name: str  # of the domain, base or dataset
    progress: Progress
    restart: bool  # train from scratch, whatever state was saved

    @property
    def is_writer(self) -> bool:
        """Whether this process writes the output: of several that `torchrun` started, the first does."""
        return os.environ.get("RANK", "0") == "0"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """One kind of stage: its command line and its work."""

    name: str  # as in dvc.yaml
    summary: str
    option: str  # domain, base or dataset
    output: Callable[[Project, str], Path]  # what the stage writes, locked meanwhile
    shown: str | None = None  # what to call the output; None: its path in the project
    work: Callable[[Job], None]
    computes: bool = True  # with networks, for which freed memory is kept (`ui2i.allocator`)
    trains: bool = False  # only one stage that does runs at a time
    # Seconds of work on two quiet cores, for a name and the number of its dataset's images (0: unknown); None: a few.
    estimate: Callable[[Params, str, int], float] | None = None
    # Of a training that can be restarted and shared: what it would do, in lines.
    plan: Callable[[Job], str] | None = None

    @property
    def module(self) -> str:
        """What `python -m` runs it by."""
        module = self.work.__module__
        spec = sys.modules["__main__"].__spec__ if module == "__main__" else None
        return module if spec is None else spec.name

    @property
    def is_planned(self) -> bool:
        """Whether it can be planned, restarted, and shared by several processes."""
        return self.plan is not None


def find_stage(defined: DefinedStages, stage: str) -> Stage | None:
    """Return what the module of a stage, such as `finetune@cartoon`, declares; None: DVC runs something else."""
    module = defined.module_of(stage)
    try:
        found = None if module is None else getattr(importlib.import_module(module), "STAGE", None)
    except ImportError:  # the stage itself will say so
        return None
    return found if isinstance(found, Stage) else None


def main(stage: Stage, arguments: Sequence[str] | None = None) -> int:
    """Run a stage and return its exit status: 0, or 2 after printing one line `error: ...`."""
    options = _parser(stage).parse_args(arguments)
    if stage.computes:
        keep_freed_memory()
    try:
        if stage.is_planned and not options.dry_run:
            _share_among_processes(stage, sys.argv[1:] if arguments is None else arguments)
        with warnings_as_lines(), _stopped_by_signals(), _stopped_with_parent():
            _run(stage, options)
    except (UI2IError, OSError) as error:
        print_error(error)
        return USER_ERROR
    except (MemoryError, RuntimeError) as error:
        if (told := memory_error(error, STAGE_REMEDY)) is None:
            raise
        print_error(told)
        return USER_ERROR
    return 0


def default_device() -> str:
    """Return where to compute: what the environment says, else the fastest there is; under `torchrun` this process's.

    Raises:
        ConfigError: this machine has no such device, or fewer than processes.
    """
    from ui2i.devices import find_device
    from ui2i.training.processes import local_device

    return local_device(find_device(os.environ.get(DEVICE_VARIABLE, "auto")))


def _run(stage: Stage, options: argparse.Namespace) -> None:
    project = find_project(options.project)
    os.chdir(project.root)  # paths in params.yaml count from there
    require_upgraded(project)
    name = _stage_name(stage) if options.name is None else options.name
    check_key(name, where=f"--{stage.option}")  # a table is named by its number
    with (
        contextlib.nullcontext()
        if stage.is_planned and options.dry_run
        else steady_inputs(project, f"{stage.name}@{name}")
    ):
        _work(stage, options, project, name)


def _work(stage: Stage, options: argparse.Namespace, project: Project, name: str) -> None:
    params = load_params(project)
    job = Job(
        project=project,
        params=params,
        name=name,
        progress=no_progress,
        restart=(stage.is_planned and options.restart) or os.environ.get(RESTART_VARIABLE) == "1",
    )
    if stage.plan is not None and options.dry_run:
        print(stage.plan(job))
    elif job.is_writer:
        with (
            hold_output(project, stage.output(project, name), shown=stage.shown),
            noted_cost(project.cost_file(f"{stage.name}@{name}")),
            report_progress(f"{stage.name}@{name}") as progress,
        ):
            stage.work(dataclasses.replace(job, progress=progress))
    else:
        stage.work(job)


def _stage_name(stage: Stage) -> str:
    """Return what DVC runs this stage for. It is not on the command line, which a shell reads.

    Raises:
        ConfigError: DVC does not run this stage.
    """
    said = os.environ.get(STAGE_VARIABLE, "")
    group, at, name = said.rpartition(":")[2].partition("@")
    if not at or group != stage.name:
        came = f"{STAGE_VARIABLE} is {said!r}" if said else f"--{stage.option} is missing"
        raise ConfigError(
            f"{came}, expected the {stage.option} in params.yaml; pass --{stage.option} NAME, or "
            f"`dvc repro {stage.name}@NAME`"
        )
    return name


def _share_among_processes(stage: Stage, arguments: Sequence[str]) -> None:
    """Become `torchrun` with this stage if the environment asks for several processes and this is not one of them.

    Raises:
        ConfigError: the number is none.
    """
    count = os.environ.get(PROCESSES_VARIABLE, "1")
    if not count.isdigit() or count == "0":
        raise ConfigError(f"{PROCESSES_VARIABLE} is {count!r}, expected a number of processes; correct or unset it")
    if count == "1" or "RANK" in os.environ:
        return
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", count]
    os.execv(sys.executable, [*launcher, "-m", stage.module, *arguments])


def _parser(stage: Stage) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {stage.module}",
        description=stage.summary,
        epilog=f"example: python -m {stage.module} --{stage.option} "
        + ("cartoon" if stage.option == "domain" else "face")
        + f"; with DVC, which first runs what it depends on: dvc repro {stage.name}@NAME",
    )
    parser.add_argument(
        f"--{stage.option}",
        dest="name",
        metavar="NAME",
        help=f"the {stage.option}'s name in params.yaml (default: the one DVC runs the stage for)",
    )
    parser.add_argument(
        "--project", metavar="FOLDER", help="folder with params.yaml (default: this folder or the nearest parent)"
    )
    if stage.is_planned:
        parser.add_argument(
            "--restart",
            action="store_true",
            help=f"train from the beginning instead of resuming (as {RESTART_VARIABLE}=1 does)",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="print the images, steps, parameters, time and memory; train nothing"
        )
    return parser


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Turn a request to stop into an exception, so that unfinished files are removed on the way out."""
    previous = raise_on((signal.SIGTERM, signal.SIGINT), lambda number: SystemExit(128 + number))
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _stopped_with_parent() -> Iterator[None]:
    """Under DVC, end when DVC does: a stage whose DVC was killed would otherwise go on and meet its successor."""
    if STAGE_VARIABLE not in os.environ:
        yield
        return
    parent, finished = os.getppid(), threading.Event()

    def watch() -> None:
        while not finished.wait(_PARENT_POLL_SECONDS):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        finished.set()
