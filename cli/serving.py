"""The server of `ui2i serve`: the site's pages, and what only this machine can do. Nobody else gets in.

It listens on this machine alone. Whoever comes must know the token in the link that the command prints, which a cookie
then keeps; the host must be the server's own and the page that asks one of its own (`flows.services.guard`).
"""

import asyncio
import functools
import json
import mimetypes
import secrets
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cli import standing
from flows.services.guard import Guard, own_addresses
from tasks.project.paths import Project
from tasks.requests.browsing import Filter, browse, image_of, translated_domains
from tasks.requests.refinements import BusyError, Edit, Refinement, Refinements, RefineSettings
from ui2i.errors import DataError, UI2IError
from ui2i.settings import from_mapping
from ui2i.web.site import POLICY

if TYPE_CHECKING:
    import uvicorn

PAGES = {"measure": "Measure", "runs": "Runs"}
MAX_BYTES = 100_000_000  # of one image's file
MAX_CONNECTIONS = 64
MAX_UPLOADS = 2  # at a time; others wait, and their files are not read meanwhile
SETTINGS = {"styles": int, "steps": int, "psi": float, "seed": int, "style_layers": int}  # of a refinement
REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'self'; "
    "sandbox allow-scripts allow-top-navigation-by-user-activation"
)
_HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_NO_TOKEN = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>ui2i</title>
<h1>This browser has no token</h1>
<p>Open the link that <code>ui2i serve</code> printed once in this browser. After that, this address works, too.</p>
<p>The link is good until that command ends. If the terminal is gone, end the command and start it again.</p>
</html>
"""


def server(project: Project, listener: socket.socket, token: str) -> "uvicorn.Server":
    """Return the server for a socket, which `run` is called of."""
    import uvicorn

    config = uvicorn.Config(
        Guard(application(project, token, listener.getsockname()[1]), own_addresses(listener)),
        log_level="error",
        limit_concurrency=MAX_CONNECTIONS,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)


def application(project: Project, token: str, port: int) -> Starlette:
    """Return the server as an ASGI application.

    Args:
        port: part of the cookie's name, because browsers send cookies to all ports of a host.
    """
    for ending in (".js", ".mjs"):
        mimetypes.add_type("text/javascript", ending)  # browsers run no module of another type
    routes = [
        Route("/", lambda _: RedirectResponse("index.html", 303)),
        Route("/report.html", _report),
        Route("/api/translations", _domains),
        Route("/api/translations/{domain}", _browse),
        Route("/api/translations/{domain}/{index:int}/{variant}", _image),
        Route("/api/standing/{what}", _standing),
        Route("/api/refinements", _refine, methods=["POST"]),
        Route("/api/refinements/{key}", _refinement),
        Route("/api/refinements/{key}", _cancel, methods=["DELETE"]),
        Route("/api/refinements/{key}/{variant}", _refined_image),
        Mount("/", StaticFiles(directory=project.served_site)),
    ]
    made = Starlette(
        routes=routes,
        middleware=[Middleware(_Entrance, token=token, cookie=f"ui2i-{port}")],
        exception_handlers={UI2IError: _told, OSError: _no_room, ClientDisconnect: _gone},
    )
    made.state.project = project
    made.state.uploads = asyncio.Semaphore(MAX_UPLOADS)
    made.state.refinements = Refinements(project)
    made.state.report = standing.Kept(functools.partial(_render, project))  # the page asks whether there is one, first
    made.state.standing = {
        "domains": standing.Kept(functools.partial(standing.domains, project, asks_dvc=False)),
        "current": standing.Kept(functools.partial(standing.domains, project, asks_dvc=True)),
        "runs": standing.Kept(functools.partial(standing.runs, project)),
    }
    return made


class _Entrance:
    """Lets in who has the token, and adds the headers of all answers."""

    def __init__(self, application: ASGIApp, *, token: str, cookie: str) -> None:
        self._application = application
        self._token = token
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = Headers(raw=message["headers"])
                added = [(name, value) for name, value in _HEADERS.items() if name not in present]
                message["headers"] += [(name.lower().encode(), value.encode()) for name, value in added]
            await send(message)

        answer = self._answer(HTTPConnection(scope)) or self._application
        await answer(scope, receive, send_with_headers)

    def _answer(self, connection: HTTPConnection) -> Response | None:
        """Return what to say instead of the application; None: the visitor may come in."""
        if self._is_right(connection.query_params.get("token")):
            welcome = RedirectResponse(connection.url.path, 303)
            welcome.set_cookie(self._cookie, self._token, httponly=True, samesite="lax")
            return welcome
        if self._is_right(connection.cookies.get(self._cookie)):
            return None
        return HTMLResponse(_NO_TOKEN, 401)

    def _is_right(self, token: str | None) -> bool:
        return token is not None and secrets.compare_digest(token.encode(), self._token.encode())


async def _told(_: Request, error: Exception) -> Response:
    status = 429 if isinstance(error, BusyError) else 404 if isinstance(error, DataError) else 422
    return JSONResponse({"error": str(error)}, status)


async def _no_room(_: Request, error: Exception) -> Response:
    reason = error.strerror if isinstance(error, OSError) else None
    said = f"the server cannot use its disk ({reason or 'error'}), expected room and permission there; free some space"
    return JSONResponse({"error": said}, 507)


async def _gone(_: Request, _error: Exception) -> Response:
    return Response(status_code=400)  # which nobody reads


async def _report(request: Request) -> Response:
    try:
        text = await asyncio.to_thread(request.app.state.report.read)
    except UI2IError as error:
        return PlainTextResponse(str(error), 404)
    return HTMLResponse(text, headers={"Content-Security-Policy": REPORT_POLICY})


def _render(project: Project) -> str:
    from tasks.requests.report import render_report

    return render_report(project, "")


async def _domains(request: Request) -> Response:
    return JSONResponse(await asyncio.to_thread(translated_domains, _project(request)))


async def _browse(request: Request) -> Response:
    query = dict(request.query_params)
    values: dict[str, Any] = {name: query[name] for name in ("order", "name", "variant") if name in query}
    values |= {name: _number(query[name], kind, name) for name, kind in _FILTERS.items() if name in query}
    wanted = from_mapping(Filter, values, section="filter")
    return JSONResponse(await asyncio.to_thread(browse, _project(request), request.path_params["domain"], wanted))


async def _image(request: Request) -> Response:
    where = (request.path_params[name] for name in ("domain", "index", "variant"))
    return _png(await asyncio.to_thread(image_of, _project(request), *where))


async def _standing(request: Request) -> Response:
    kept = request.app.state.standing.get(request.path_params["what"])
    if kept is None:
        raise DataError("nothing of that name is known, expected domains, current or runs; correct the address")
    return JSONResponse(await asyncio.to_thread(kept.read))


async def _refine(request: Request) -> Response:
    """Take an image, and behind its bytes those of a reference image, if `image_bytes` says where they begin."""
    query = dict(request.query_params)
    settings: dict[str, Any] = {
        name: _number(query[name], kind, name) for name, kind in SETTINGS.items() if query.get(name)
    }
    settings["edits"] = tuple(_edit(text) for text in request.query_params.getlist("edit"))
    chosen = from_mapping(RefineSettings, settings, section="refine")
    num_bytes = max(0, _number(query.get("image_bytes", str(MAX_BYTES)), int, "image_bytes"))
    data = bytearray()
    async with request.app.state.uploads:
        async for chunk in request.stream():
            data += chunk
            if len(data) > MAX_BYTES:
                return JSONResponse({"error": f"the file is larger than {MAX_BYTES // 1_000_000} MB"}, 413)
    refinements: Refinements = request.app.state.refinements
    image, reference = bytes(data[:num_bytes]), bytes(data[num_bytes:])
    added = await asyncio.to_thread(refinements.add, image, query.get("domain", ""), chosen, reference)
    return JSONResponse(added.shown(), 201)


def _edit(text: str) -> Edit:
    """Return a direction and how far to go along it, written as 3:-1.5."""
    direction, _, strength = text.partition(":")
    values = {"direction": _number(direction, int, "direction"), "strength": _number(strength, float, "strength")}
    return from_mapping(Edit, values, section="edit")


async def _refinement(request: Request) -> Response:
    return JSONResponse(_found(request).shown())


async def _cancel(request: Request) -> Response:
    found = _found(request)
    request.app.state.refinements.cancel(found)
    return JSONResponse(found.shown())


async def _refined_image(request: Request) -> Response:
    path = _found(request).image(request.path_params["variant"])
    return _png(await asyncio.to_thread(path.read_bytes) if path is not None else None)


def _found(request: Request) -> Refinement:
    refinements: Refinements = request.app.state.refinements
    found = refinements.find(request.path_params["key"])
    if found is None:
        raise DataError("there is no such refinement any more, expected one of the last; refine the image again")
    return found


def _png(data: bytes | None) -> Response:
    return PlainTextResponse("there is no such image", 404) if data is None else Response(data, media_type="image/png")


def _number(text: str, kind: Callable[[str], Any], name: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise DataError(f"{name} is {json.dumps(text[:40])}, expected a number; correct it") from None


def _project(request: Request) -> Project:
    project: Project = request.app.state.project
    return project


_FILTERS: Mapping[str, Callable[[str], Any]] = {"start": int, "max_ssim": float, "max_score": float}
