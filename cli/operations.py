"""`ui2i up`, `down`, `status`, `trigger`, `gc` and `upgrade`: the operator's commands."""

import contextlib
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.epilog import examples
from ui2i.errors import ConfigError
from ui2i.files import expanded

if TYPE_CHECKING:
    from cli.overview import Overview
    from flows.services.verdicts import Repair
    from tasks.project.paths import Project
    from tasks.requests.garbage import Found

FAILED_RUN = 1  # exit status of `trigger --wait`
_POLL_SECONDS = 2.0


def register(app: typer.Typer) -> None:
    """Add the commands to the `ui2i` command."""
    app.command(epilog=examples("ui2i up", "ui2i up --port 4300 --limit 3"))(up)
    app.command(epilog=examples("ui2i down"))(down)
    app.command(epilog=examples("ui2i status", "ui2i status --repair"))(status)
    app.command(
        epilog=examples(
            "ui2i trigger new-domain name=cat base=face images=/data/cats --wait",
            "ui2i trigger re-evaluate 'domains=[\"cartoon\"]'",
        )
    )(trigger)
    app.command(epilog=examples("ui2i gc --dry-run", "ui2i gc"))(gc)
    app.command(epilog=examples("ui2i upgrade --dry-run", "ui2i upgrade"))(upgrade)


def up(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on. Other machines need the password too.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=65535, envvar="PREFECT_SERVER_API_PORT", help="Port to listen on; 0: any free one."
        ),
    ] = 4200,
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="Another host name of the server, for example that of a proxy; repeatable."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Flows to run at a time; only one of them trains. Default: as before, at first 2."
        ),
    ] = None,
) -> None:
    """Start a Prefect server and a worker in the background, and deploy prefect.yaml.

    If PREFECT_API_URL names a server, that one is used instead. Running it again starts whatever is missing.
    """
    from flows.services.loopback import is_loopback_url
    from flows.services.operations import bring_up

    state = bring_up(context.obj.project, host=host, port=port, names=name or (), limit=limit, say=_say)
    owner = "; its password is in .prefect/auth" if state.is_own_server else " (not started here)"
    print(f"server  {state.ui}{owner}\nworker  process {state.worker.pid}")
    if state.is_own_server and not is_loopback_url(state.url):
        print(
            f"warning: other machines reach {state.ui}, and its password crosses the network in the clear; put a proxy "
            "with TLS before it",
            file=sys.stderr,
        )


def down(context: typer.Context) -> None:
    """Stop the server and the worker that `ui2i up` started, and the worker's runs.

    Rerun a stopped run to resume it.
    """
    from flows.services.operations import bring_down

    if not bring_down(context.obj.project, say=_say):
        print("nothing to stop: no server or worker of this project is up")


def status(
    context: typer.Context,
    repair: Annotated[
        bool, typer.Option("--repair", help="Close runs whose process has died, and repair what a kill left behind.")
    ] = False,
    url: Annotated[bool, typer.Option("--url", help="Print only the API's address, for PREFECT_API_URL.")] = False,
) -> None:
    """Print where each domain stands, what is running, what is scheduled, and what failed and why."""
    from flows.display import PlainDisplay, shown
    from flows.services.daemons import read_services
    from flows.services.session import prefect_session

    project = context.obj.project
    if url:
        print(_require_server(project))
        return
    services = read_services(project)
    with shown(PlainDisplay()), prefect_session(project, verbose=context.obj.verbose) as is_own_server:
        from cli import overview
        from flows.services import verdicts

        if repair:
            _print_repair(verdicts.repair(project, is_own_server=is_own_server))
        found = overview.overview(project, is_own_server=is_own_server)
        address = os.environ.get("PREFECT_API_URL", "")
    is_temporary = is_own_server and "server" not in services
    _print_services("" if is_temporary else address, {name: service.pid for name, service in services.items()})
    _print_domains(project)
    _print_overview(found, "" if is_temporary else address.removesuffix("/api"))


def trigger(
    context: typer.Context,
    deployment: Annotated[str, typer.Argument(metavar="DEPLOYMENT", help="new-domain, re-evaluate or translate.")],
    parameters: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="Flow parameters; values are JSON or plain text."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the run ends; exit status 1 if it failed.")] = False,
) -> None:
    """Have a worker run a deployment. Parameters are checked before the run is created."""
    from flows.display import Display, shown
    from flows.services.session import prefect_session

    project = context.obj.project
    _require_server(project)
    values = dict(_parameter(text) for text in parameters or ())
    with shown(Display()), prefect_session(project, verbose=context.obj.verbose):
        from flows.services import deploying

        run_id, name = deploying.trigger(deployment, values)
        url = os.environ.get("PREFECT_API_URL", "").removesuffix("/api")
        print(f"{name}  {url}/runs/flow-run/{run_id}", flush=True)
        failed = wait and not _wait(run_id)
    if failed:
        raise typer.Exit(FAILED_RUN)


def gc(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be removed; remove nothing.")] = False,
    shared_cache_is_mine: Annotated[
        bool,
        typer.Option(
            "--shared-cache-is-mine", help="Also clean a DVC cache outside the project, because no one else uses it."
        ),
    ] = False,
) -> None:
    """Remove training states, models, variants and DVC cache entries that nothing refers to.

    Whatever params.yaml, dvc.lock, any commit or any table row refers to is kept. If one of these cannot be read,
    nothing is removed.
    """
    from tasks.requests.garbage import collect, idle_dvc, remove

    project = context.obj.project
    with contextlib.nullcontext() if dry_run else idle_dvc(project):
        found = collect(project, is_cache_own=shared_cache_is_mine)
        _print_garbage(project, found)
        if not dry_run:
            remove(project, found.garbage)
    total, count = _megabytes(sum(item.num_bytes for item in found.garbage)), len(found.garbage)
    if not found.garbage:
        print("nothing to remove: everything is referred to")
    elif dry_run:
        print(f"{total} MB would be freed; nothing was removed, `ui2i gc` would remove all {count}")
    else:
        print(f"{count} removed, {total} MB freed")


def _print_garbage(project: "Project", found: "Found") -> None:
    from cli.report import print_table

    rows = [
        (item.kind, os.path.relpath(item.path, project.root), _megabytes(item.num_bytes), item.why)
        for item in found.garbage
    ]
    if rows:
        print_table("Nothing refers to", ("kind", "what", "MB", "why"), rows)
    if found.left_alone is not None:
        print(
            f"DVC's cache {found.left_alone} lies outside the project, where others may need it: it was left alone; if "
            "it is this project's alone, pass --shared-cache-is-mine"
        )


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(
            f"the parameter is {text!r}, expected NAME=VALUE; put the parameter's name and = before the value"
        )
    if value.startswith("~"):
        return name, str(expanded(value))
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _require_server(project: "Project") -> str:
    """Return the address of the server's API."""
    from flows.services.session import server_address

    url = server_address(project)
    if url is None:
        raise ConfigError("no server is up, expected one with a worker; run `ui2i up` first, or set PREFECT_API_URL")
    return url


def _wait(run_id: str) -> bool:
    """Print a run's states until it has ended; return whether it completed."""
    import uuid

    from prefect.client.orchestration import get_client

    shown_state = None
    with get_client(sync_client=True) as client:
        while True:
            state = client.read_flow_run(uuid.UUID(run_id)).state
            if state is not None and state.name != shown_state:
                shown_state = state.name
                print(f"{state.name}: {state.message}" if state.message else str(state.name), flush=True)
            if state is not None and state.is_final():
                return state.is_completed()
            time.sleep(_POLL_SECONDS)


def _print_services(url: str, pids: dict[Any, int]) -> None:
    where = f"{url.removesuffix('/api')} (not started here)" if url else "none is up"
    print(f"server  {url.removesuffix('/api')}, process {pids['server']}" if "server" in pids else f"server  {where}")
    print(f"worker  process {pids['worker']}" if "worker" in pids else "worker  none was started here")


def _print_domains(project: "Project") -> None:
    from cli.report import print_table, when
    from tasks.requests.domain_status import domain_statuses

    rows = [(it.domain, when(it.trained), when(it.measured), it.verdict) for it in domain_statuses(project)]
    if rows:
        print_table("Domains", ("domain", "trained (UTC)", "measured (UTC)", "state"), rows)


def _print_overview(found: "Overview", ui: str) -> None:
    """Print runs; `ui` is the address of the server's pages, empty if it has none."""
    from cli.report import print_table

    if found.limits:
        print_table("Limits", ("what", "now"), found.limits)
    if found.running:
        running = [(run.name, run.state.value.lower(), run.started, verdict, run.id) for run, verdict in found.running]
        print_table("Running", ("run", "state", "since (UTC)", "process", "id"), running)
    if found.scheduled:
        print_table("Scheduled", ("run", "time (UTC)"), found.scheduled)
    if found.failed:
        rows = [(*run, f"{ui}/runs/flow-run/{run_id}" if ui else run_id) for *run, run_id in found.failed]
        header = ("run", "state", "ended (UTC)", "why", "log" if ui else "id")
        print_table("Failed in the last 7 days", header, rows)
        if not ui:
            print("`ui2i up` starts a server whose pages have their logs")
    if not (found.running or found.scheduled or found.failed):
        print("no run is under way or scheduled, and none failed in the last 7 days")
    if any(verdict == "gone" for _, verdict in found.running):
        print("a run's process has died: `ui2i status --repair` closes the run")


def _print_repair(repaired: "Repair") -> None:
    for run, state in repaired.closed:
        print(f"{run.name}: its process is gone, now {state.lower()}")
    for run in repaired.unknown:
        print(f"{run.name}: its process is not on this machine; if it has died, run `ui2i mark-crashed {run.id}`")
    for name in repaired.files:
        print(f"{name}: was cut off in the middle of a write, and is restored")
    if repaired.freed_slots:
        print(f"training slots freed: {repaired.freed_slots}")
    if not (repaired.closed or repaired.unknown or repaired.files or repaired.freed_slots):
        print("nothing to repair")


def _say(text: str) -> None:
    print(text, flush=True)


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f}"


def upgrade(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change; change nothing.")] = False,
) -> None:
    """Upgrade a project of an older version, so that nothing has to run again."""
    from tasks.running.upgrade import upgrade as upgrade_project

    changes = upgrade_project(context.obj.project, dry_run=dry_run)
    print("\n".join(changes) or "nothing to do: the project has the names of this version")
