"""`ui2i web` and `ui2i serve`: pages on which anybody translates images and explores models."""

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.epilog import examples
from ui2i.errors import ConfigError
from ui2i.names import printable

if TYPE_CHECKING:
    from tasks.project.paths import Project

_Runtime = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Package of onnxruntime-web, from `npm pack`. Default: npm fetches it once."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(epilog=examples("ui2i web cartoon --out site", "python -m http.server --directory site"))(web)
    app.command(epilog=examples("ui2i serve", "ui2i serve cartoon --port 8600"))(serve)


def web(
    context: typer.Context,
    domains: Annotated[
        list[str] | None, typer.Argument(metavar="DOMAIN", help="Domains to offer. Default: all.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to create, or an earlier site to replace.")] = Path(
        "site"
    ),
    runtime: _Runtime = None,
) -> None:
    """Write a site on which visitors translate images and explore models, in their own browser.

    The folder works from any static host, and offline after the first visit.
    """
    import shlex

    from cli.report import print_paths
    from tasks.requests.web_site import write_project_site

    size, lacking = write_project_site(context.obj.project, domains or (), out, archive=runtime)
    print(*lacking, sep="\n", end="\n" if lacking else "")
    print_paths({"site": out.resolve()})
    place = printable(shlex.quote(str(out)))
    print(f"{size / 1e6:.1f} MB; look at it with: python -m http.server --directory {place} --bind 127.0.0.1")


def serve(
    context: typer.Context,
    domains: Annotated[
        list[str] | None, typer.Argument(metavar="DOMAIN", help="Domains to offer. Default: all.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=65535, help="Port to listen on; 0: any free one. Default: the last one."),
    ] = None,
    runtime: _Runtime = None,
) -> None:
    """Serve pages to translate, explore, measure and watch runs, on this machine only, until Ctrl-C.

    Only the link that is printed lets a browser in.
    """
    import secrets

    from cli import serving
    from tasks.requests.shown_pages import shown
    from tasks.requests.web_site import write_project_site

    project = context.obj.project
    with _listener(project, port) as listener, shown(project, own_port := listener.getsockname()[1]):
        _, lacking = write_project_site(
            project, domains or (), project.served_site, archive=runtime, served_pages=serving.PAGES
        )
        print(*lacking, sep="\n", end="\n" if lacking else "")
        token = secrets.token_urlsafe(32)
        print(f"http://127.0.0.1:{own_port}/?token={token}", flush=True)
        print("Ctrl-C ends the server", flush=True)
        serving.server(project, listener, token).run(sockets=[listener])


def _listener(project: "Project", port: int | None) -> socket.socket:
    """Return a socket that listens on a port of this machine; on the last server's, if it is free and none is named.

    Raises:
        ConfigError: the port is taken.
    """
    from tasks.requests.shown_pages import last_port

    if port is None:
        try:
            return socket.create_server(("127.0.0.1", last_port(project) or 0))
        except OSError:
            port = 0
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise ConfigError(
            f"port {port} cannot be listened on ({error.strerror}), expected a free one; choose another with --port"
        ) from error
