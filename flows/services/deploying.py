"""What a server needs before it can run anything: the work pool, the limits, the deployments.

The deployments are those of the project's `prefect.yaml`. All of it may be done again at any time; limits that people
have set stay.
"""

import contextlib
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, PrefectHTTPStatusError

from flows.limits import ensure_training_limit
from flows.naming import run_name
from flows.services.daemons import DEFAULT_LIMIT
from tasks.project.paths import Project, is_project
from tasks.running.dvc_command import dvc_environment
from ui2i.errors import ConfigError, UI2IError

POOL = "ui2i"
POOL_TYPE = "process"
DEPLOYMENTS_FILE = "prefect.yaml"
UNPROCESSABLE = (409, 422)  # what the server answers to parameters that do not fit
_KEPT_LINES = 5


class DeployError(UI2IError):
    """The deployments could not be registered with the server."""


def job_template(project: Project) -> dict[str, Any]:
    """Return how a worker starts a run: always by this command in the project's folder, whatever the run asks for.

    Prefect's own template takes `command`, `env` and `working_dir` from the run's `job_variables`, and each of them
    chooses what is executed: whoever may start a flow could start any program.
    """
    return {
        "job_configuration": {
            # As it stands: Prefect would otherwise look for a uv project and install it first.
            "command": "python -m prefect.engine",
            "working_dir": str(project.root),
        },
        "variables": {"type": "object", "properties": {}, "additionalProperties": False},
    }


def ensure_pool(project: Project, *, limit: int | None, is_own: bool) -> None:
    """Create the process work pool if it is missing; it runs at most `limit` flows at a time, on all workers together.

    A pool that is there keeps its type, which may be another: Kubernetes, for example. It keeps its limit, too, unless
    one is given and the server is the project's own.

    Args:
        is_own: the server is the project's own. A process pool of it gets the template anew: an older one may let runs
            choose their command.

    Raises:
        DeployError: it runs flows in another project, whose deployments would be replaced.
    """
    pool = WorkPoolCreate(
        name=POOL,
        type=POOL_TYPE,
        description="flows of ui2i, as processes of the worker's machine",
        base_job_template=job_template(project),
        concurrency_limit=limit or DEFAULT_LIMIT,
    )
    with get_client(sync_client=True) as client:
        try:
            found = client.read_work_pool(POOL)
        except ObjectNotFound:
            with contextlib.suppress(ObjectAlreadyExists):  # made by another meanwhile
                client.create_work_pool(pool)
        else:
            if is_own and found.type == POOL_TYPE:
                update = WorkPoolUpdate(base_job_template=pool.base_job_template)
                if limit is not None:
                    update.concurrency_limit = limit
                client.update_work_pool(POOL, update)
            elif not is_own:
                _check_folder(project, found.base_job_template)
    ensure_training_limit()


def _check_folder(project: Project, template: Mapping[str, Any]) -> None:
    """Refuse a pool that runs flows in another project of this machine: this one's would run there, too."""
    folder = (template.get("job_configuration") or {}).get("working_dir")
    if not isinstance(folder, str) or Path(folder).resolve() == project.root.resolve():
        return
    if is_project(Path(folder)):
        raise DeployError(
            f"the server's work pool {POOL} runs flows in the project {folder}, expected {project.root}; unset "
            "PREFECT_API_URL, with which `ui2i up` starts a server of this project's own, or, if the other project "
            f"does not need the pool any more, delete it with `prefect work-pool delete {POOL}`"
        )


def deploy(project: Project) -> None:
    """Register every deployment of the project's `prefect.yaml` with the server, or update it.

    Raises:
        ConfigError: there is no such file.
        DeployError: Prefect refused it; the message is what it said last.
    """
    path = project.root / DEPLOYMENTS_FILE
    if not path.is_file():
        raise ConfigError(f"{path} does not exist, expected the project's deployments; fetch it from the repository")
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(path)],
        cwd=project.root,
        # By itself, it takes the folder from PWD, which is the caller's.
        env=dvc_environment() | {"PWD": str(project.root)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise DeployError(f"{DEPLOYMENTS_FILE} cannot be deployed: {' | '.join(said[-_KEPT_LINES:])}")


def trigger(deployment: str, parameters: Mapping[str, Any]) -> tuple[str, str]:
    """Create a run of a deployment; the next free worker takes it.

    Args:
        deployment: its name, e.g. `new-domain`.
        parameters: checked by the server before there is a run.

    Returns:
        The run's id and name.

    Raises:
        ConfigError: there is no such deployment, or a parameter is unknown, missing or of the wrong type.
    """
    with get_client(sync_client=True) as client:
        try:
            found = client.read_deployment_by_name(f"{deployment}/{deployment}")
        except ObjectNotFound as error:
            raise ConfigError(
                f"there is no deployment {deployment!r}, expected one of {DEPLOYMENTS_FILE}; correct the name, or "
                "deploy them with `ui2i up`"
            ) from error
        known = (found.parameter_openapi_schema or {}).get("properties", {})
        if strange := [name for name in parameters if name not in known]:
            raise ConfigError(
                f"{deployment} has no parameter {', '.join(strange)}, expected {', '.join(known)}; correct the name"
            )
        try:
            run = client.create_flow_run_from_deployment(
                found.id, parameters=dict(parameters), name=run_name(deployment, parameters)
            )
        except PrefectHTTPStatusError as error:
            if error.response.status_code not in UNPROCESSABLE:
                raise
            raise ConfigError(
                f"{deployment} does not take these parameters ({_detail(error)}), expected "
                f"{', '.join(known)}; correct them"
            ) from error
    return str(run.id), run.name


def _detail(error: PrefectHTTPStatusError) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(error.response.json()["detail"])
    return str(error)
