"""Where `ui2i serve` shows a project, so that reports and artifacts can link there. No link has the token.

A browser that has been let in before follows such a link; any other is told how to get in.
"""

import contextlib
import json
from collections.abc import Iterator
from urllib.parse import urlencode

from tasks.project.paths import Project
from tasks.running.locks import PAGES, hold_pages, is_held
from ui2i.files import write_text


@contextlib.contextmanager
def shown(project: Project, port: int) -> Iterator[None]:
    """Hold a project's pages and let others know the port; it stays known, so that the next server may take it again.

    Raises:
        HeldError: another process shows them.
    """
    with hold_pages(project):
        write_text(project.served_address, json.dumps({"port": port}) + "\n")
        yield


def last_port(project: Project) -> int | None:
    """Return the port of the present server or of the last; None: there was none."""
    try:
        port = json.loads(project.served_address.read_text(encoding="utf-8"))["port"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return port if isinstance(port, int) and 0 < port < 2**16 else None


def shown_at(project: Project) -> str | None:
    """Return the address of the server that shows a project now, without a slash at its end; None: none does."""
    port = last_port(project)
    return None if port is None or not is_held(project, PAGES) else f"http://127.0.0.1:{port}"


def translations_link(address: str, domain: str, variant: str = "") -> str:
    """Return the address of the page with a domain's translations, the worst first.

    Args:
        address: of the server; empty: a link within it.
        variant: the only one to show; empty: all.
    """
    query = {"domain": domain, **({"variant": variant} if variant else {})}
    return f"{address}/measure.html?{urlencode(query)}"
