"""Where the stages of several domains, and parts of a folder, run: in sequence or side by side, here or elsewhere.

`UI2I_TASK_RUNNER` says: nothing (one after another, in the flow's own process), `threads`, `dask` or `ray`. Each stage
is a process of its own all the same; a runner only says how many there are at a time, and on which machine they start.
On other machines the project must lie at the same path, on a shared file system, with the same installation.
"""

import os
import secrets
from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from ui2i.errors import ConfigError
from ui2i.processors import usable_cores

RUNNER_VARIABLE = "UI2I_TASK_RUNNER"
WORKERS_VARIABLE = "UI2I_TASK_WORKERS"
ADDRESS_VARIABLE = "UI2I_TASK_ADDRESS"
"""Of a Dask scheduler (tcp://...) or a Ray cluster that runs already; without it, one is started for the flow."""
DEFAULT_WORKERS = 2

_TOKEN_BYTES = 32
_LOCAL_RAY = {
    "RAY_AUTH_MODE": "token",
    # No other machine takes part: on Linux, Ray would otherwise take this one's network address for 127.0.0.1.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}


def is_parallel() -> bool:
    """Whether stages of several domains, and parts of a large folder, are to run side by side."""
    return bool(os.environ.get(RUNNER_VARIABLE))


def chosen_task_runner() -> TaskRunner[Any]:
    """Return the task runner that the environment names.

    Raises:
        ConfigError: it asks for something unknown, or for what is not installed.
    """
    name, count = os.environ.get(RUNNER_VARIABLE, ""), num_workers()
    if name == "":
        return ThreadPoolTaskRunner(max_workers=1)
    if name == "threads":
        return ThreadPoolTaskRunner(max_workers=count)
    try:
        if name == "dask":
            return dask_runner(count, os.environ.get(ADDRESS_VARIABLE))
        if name == "ray":
            return ray_runner(count, os.environ.get(ADDRESS_VARIABLE))
    except ImportError as error:
        raise ConfigError(
            f"{RUNNER_VARIABLE} is {name}, which is not installed ({error}), expected prefect-{name}; install it: "
            f"pip install 'ui2i[{name}]'"
        ) from error
    raise ConfigError(f"{RUNNER_VARIABLE} is {name!r}, expected threads, dask, ray or nothing; correct or unset it")


def dask_runner(num_workers: int, address: str | None = None) -> TaskRunner[Any]:
    """Return a runner on a Dask cluster: the one at `address`, or one on this machine that only this process can use.

    Dask runs whatever code it is sent. Its processes know each other by certificates made for the occasion, which are
    nowhere on disk, and their pages, which have no password, are off.
    """
    import dask
    from prefect_dask import DaskTaskRunner

    if address:
        return DaskTaskRunner(address=address)
    dask.config.set({"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []})
    local = {
        "n_workers": num_workers,
        "threads_per_worker": 1,
        "processes": True,
        "host": "127.0.0.1",
        "dashboard_address": "127.0.0.1:0",  # of a server of no pages; None is port 8787
        "scheduler_kwargs": {"dashboard": False},
        "security": True,
    }
    return DaskTaskRunner(cluster_kwargs=local)


def ray_runner(num_workers: int, address: str | None = None) -> TaskRunner[Any]:
    """Return a runner on a Ray cluster: the one at `address`, or one on this machine that only this process can use.

    Ray, too, runs whatever code it is sent; a random token, in the environment of its processes, says who may send it.
    """
    if not address:
        for variable, value in _LOCAL_RAY.items():  # read when Ray is imported
            os.environ.setdefault(variable, value)
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(_TOKEN_BYTES))
    from prefect_ray import RayTaskRunner

    if address:
        return RayTaskRunner(address=address)
    return RayTaskRunner(
        init_kwargs={"num_cpus": num_workers, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    )


def threads_per_stage() -> int | None:
    """Return how many threads each of the stages that run side by side takes; None: as many as it likes.

    Workers of this machine share its cores: two trainings with a thread each show more images a second than with two
    each. How many workers of a cluster share a machine is not known here.
    """
    if os.environ.get(RUNNER_VARIABLE) != "threads":
        return None
    return max(1, usable_cores() // num_workers())


def num_workers() -> int:
    """Return how many stages or parts of one run at a time.

    Raises:
        ConfigError: the environment asks for something else than a number.
    """
    count = os.environ.get(WORKERS_VARIABLE, str(DEFAULT_WORKERS))
    if not count.isdigit() or count == "0":
        raise ConfigError(f"{WORKERS_VARIABLE} is {count!r}, expected a number of workers; correct or unset it")
    return int(count)
