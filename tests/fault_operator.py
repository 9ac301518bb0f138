"""Does after each fault what docs/operations.md tells an operator to do, and looks at what the fault left."""

import collections
import shutil
import time
from pathlib import Path

from fault_injection import Patience, command_of, run_processes, wait_for
from outputs_compare import OUTPUTS, differences, half_written, num_files, num_rows
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL

from flows.services import daemons as services
from flows.services import deploying
from flows.services.runs import open_runs
from flows.services.server import wait_for_server
from flows.services.verdicts import repair, verdict_of
from tasks.project.paths import Project

LOOK_AGAIN_SECONDS = 2.0


class Operator:
    """Starts what is missing, repairs, and runs `new-domain` again until it has completed."""

    def __init__(self, project: Project, domain: str, counts: "collections.Counter[str]") -> None:
        self.project = project
        self.domain = domain
        self.counts = counts
        self.seen: set[str] = set()  # runs that completed in rounds before
        self.port = int(PREFECT_API_URL.value().split(":")[2].split("/")[0])

    def restart(self) -> None:
        """Start a server and a worker where they were."""
        up = services.read_services(self.project)
        url = PREFECT_API_URL.value()
        if "server" not in up:
            services.start_server(self.project, port=self.port)
            self.counts["servers started again"] += 1
        wait_for_server(url, password=services.server_password(self.project), timeout_seconds=600)
        if "worker" not in up:
            services.start_worker(self.project, url, deploying.POOL, limit=2)
            self.counts["workers started again"] += 1

    def ensure_run(self) -> bool:
        """Have a run that lives or waits for the worker; return False if one has completed instead."""
        self.restart()
        self.settle()
        if self.completed():
            return False
        if not self.is_under_way():
            deploying.trigger("new-domain", {"name": self.domain})
            self.counts["runs"] += 1
        return True

    def watch(self) -> None:
        """Wait for the end of the run that is under way."""
        patience = Patience(self.project)
        while run_processes(self.project) or self.is_under_way():
            patience.check("the pipeline's end")
            time.sleep(LOOK_AGAIN_SECONDS)

    def settle(self) -> None:
        """Close what the last fault left; check that no output is cut off and that no stage has two writers."""
        repaired = repair(self.project, is_own_server=True)
        self.counts["runs closed by repair"] += len(repaired.closed)
        self.counts["files put back"] += len(repaired.files)
        self.counts["slots freed"] += repaired.freed_slots
        cut = half_written(self.project)
        assert cut == [], cut
        commands = [" ".join(command_of(process)) for process in run_processes(self.project)]
        tethers = [command for command in commands if "tasks.running.tether" in command and "repro" in command]
        assert len(tethers) <= 1, tethers

    def is_under_way(self) -> bool:
        """Whether a run's process lives, as far as anybody can tell, or a run waits for the worker."""
        self.restart()
        if any(verdict_of(self.project, run, is_own_server=True) == "alive" for run in open_runs()):
            return True
        return any(run.state is not None and run.state.is_scheduled() for run in self.runs())

    def completed(self) -> set[str]:
        """Return the runs that completed since the last round ended."""
        done = {str(run.id) for run in self.runs() if run.state is not None and run.state.is_completed()}
        return done - self.seen

    def runs(self) -> list[FlowRun]:
        """Return all runs of `new-domain`, whatever became of them."""
        with get_client(sync_client=True) as client:
            return client.read_flow_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=["new-domain"])))

    def finish_round(self, quiet: Project) -> int:
        """Compare the outputs with the undisturbed ones; return how many files were compared.

        Raises:
            AssertionError: they differ.
        """
        found = differences(self.project, quiet)
        assert found == [], found
        self.seen |= self.completed()
        self.counts["rows measured twice"] += num_rows(self.project, self.domain) - num_rows(quiet, self.domain)
        return num_files(self.project)

    def begin_anew(self) -> None:
        """Remove all that was made, and DVC's memory of it."""
        wait_for(self.project, lambda: not run_processes(self.project), "the end of all runs")
        made = [path for path in self.project.data_dir.iterdir() if path.name != "base"]
        for path in (*made, self.project.root / ".dvc" / "cache"):
            shutil.rmtree(path, ignore_errors=True)
        (self.project.root / "dvc.lock").unlink(missing_ok=True)
        assert not any(Path(self.project.data_dir / name).exists() for name in OUTPUTS)
