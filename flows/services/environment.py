"""Prefect's surroundings, decided in one place before Prefect is imported.

Without settings of the user's own, Prefect keeps everything in the project's `.prefect/`, sends no telemetry, and
stays off the terminal. Whatever the user has set in the environment is left alone, but for one thing: what stays on
this machine goes through no proxy.
"""

import os
from pathlib import Path

from flows.services.loopback import LOOPBACK, bypass_proxies

PREFECT_FOLDER = ".prefect"

_ALWAYS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # Two busy cores need longer than the default of 20 s to import the server.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
}
# Errors reach the user as exceptions.
_QUIET = {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL", "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL"}
# Any of these says that the user has a Prefect of their own; so does another home than the project's.
_USER_CHOICES = ("PREFECT_API_URL", "PREFECT_PROFILE")


def prepare_environment(root: Path, *, verbose: bool = False) -> bool:
    """Set every variable that the user has not set. Must run before the first import of Prefect.

    Args:
        root: the project, whose `.prefect/` holds Prefect's database and logs.
        verbose: let Prefect write its own log to the terminal.

    Returns:
        Whether Prefect is ours to run: the user named no server, home or profile.
    """
    home = str(root / PREFECT_FOLDER)
    has_choices = any(os.environ.get(name) for name in _USER_CHOICES)
    is_embedded = not has_choices and os.environ.get("PREFECT_HOME") in (None, "", home)
    defaults = dict(_ALWAYS)
    if not verbose:
        defaults |= _QUIET
    if is_embedded:
        os.environ["PREFECT_HOME"] = home
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    bypass_proxies(*LOOPBACK)
    return is_embedded


def users_server() -> str | None:
    """Return the API that the user's environment or profile names."""
    if url := os.environ.get("PREFECT_API_URL"):
        return url
    from prefect.settings import PREFECT_API_URL

    return PREFECT_API_URL.value()


def prefect_home() -> Path:
    """Return the folder of Prefect's database: the project's, or one that the environment or a profile names."""
    if home := os.environ.get("PREFECT_HOME"):
        return Path(home)
    from prefect.settings import PREFECT_HOME

    return PREFECT_HOME.value()
