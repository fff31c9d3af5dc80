"""The HTTP application: all routes of one port, the dashboard's files, who may call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from litestar import Litestar, Request, Response, get
from litestar.datastructures import CacheControlHeader
from litestar.file_system import BaseLocalFileSystem
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.router import Router
from litestar.static_files import create_static_files_router
from litestar.types import ASGIApp, HTTPScope, PathType, Receive, Send
from litestar.types.file_types import FileInfo

from streamgauge import __version__
from streamgauge.api.errors import ErrorAnswers
from streamgauge.api.events import EVENTS_PATH, EventsEndpoint, events_path_item
from streamgauge.core.errors import MisdirectedRequest

STATIC_FOLDER: Final = Path(__file__).parent / "static"
"""The dashboard as `make setup` builds it."""

_EVENTS_PATHS: Final = (EVENTS_PATH, f"{EVENTS_PATH}/")
"""The framework's own routes may end in a slash too."""

_MISDIRECTED: Final = MisdirectedRequest(
    "this server does not have that name", hint="call it as localhost, or by the address it listens at"
)

_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_http(
    routes: Sequence[BaseRouteHandler],
    events: EventsEndpoint | None,
    errors: ErrorAnswers,
    allowed_hosts: Collection[str],
    *,
    dashboard: bool = True,
) -> Front:
    """The application behind the port. Without `events` it takes none. `allowed_hosts`: names that requests must be
    addressed to."""
    framework = Litestar(
        route_handlers=[*routes, get_openapi, *(_dashboard(STATIC_FOLDER) if dashboard else ())],
        exception_handlers=errors.handlers,
        openapi_config=OpenAPIConfig(
            title="Streamgauge",
            version=__version__,
            path="/schema",
            render_plugins=[JsonRenderPlugin()],
            create_examples=False,
        ),
        pdb_on_exception=False,
        debug=False,
        logging_config=None,
    )
    if events is not None and framework.openapi_schema.paths is not None:
        framework.openapi_schema.paths[EVENTS_PATH] = events_path_item()
    return Front(framework, events, errors, allowed_hosts)


class Front:
    """What every request passes first, in one layer because it is on the way of every event.

    Requests that were addressed to another name are refused: a page elsewhere whose own name resolves to this machine
    (DNS rebinding) could otherwise read everything that a server without keys answers. Events go to their endpoint, all
    else to the framework. Requests under way are counted, so that a shutdown can let them end.
    """

    def __init__(
        self, framework: ASGIApp, events: EventsEndpoint | None, errors: ErrorAnswers, allowed_hosts: Collection[str]
    ) -> None:
        self._framework = framework
        self._errors = errors
        self._events = events
        self._allowed = {name.lower().encode() for name in allowed_hosts}
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        self._under_way += 1
        self._idle.clear()
        try:
            if not self._is_allowed(scope["headers"]):
                await self._errors.send(_MISDIRECTED, scope, send)
            elif self._events is not None and scope["path"] in _EVENTS_PATHS:
                await self._events(scope, receive, send)
            else:
                await self._framework(scope, receive, send)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def drained(self, seconds_max: float) -> None:
        """Return when none is under way, or after this time."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds_max)

    def _is_allowed(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        for name, value in headers:
            if name == b"host":
                host = value.lower()
                return (host if host.endswith(b"]") else host.rpartition(b":")[0] or host) in self._allowed
        return True


def _dashboard(folder: Path) -> list[Router | BaseRouteHandler]:
    if not (folder / "index.html").is_file():
        return [_missing_dashboard]
    return [
        create_static_files_router(
            path="/assets",
            directories=[folder / "assets"],
            file_system=_Files(),
            # Their names change with their content.
            cache_control=CacheControlHeader(max_age=31_536_000, public=True, immutable=True),
            include_in_schema=False,
            name="assets",
        ),
        create_static_files_router(
            path="/",
            directories=[folder],
            file_system=_Files(),
            html_mode=True,
            cache_control=CacheControlHeader(no_cache=True),
            after_request=_with_page_headers,
            include_in_schema=False,
            name="page",
        ),
    ]


class _Files(BaseLocalFileSystem):
    """A path that no file can have, too long or with a NUL in it, is that of no file, not a bug."""

    async def info(self, path: PathType, **options: Any) -> FileInfo:
        try:
            return await super().info(path, **options)
        except (OSError, ValueError) as error:
            raise FileNotFoundError(path) from error


async def _with_page_headers(response: Response[Any]) -> Response[Any]:
    response.headers.update(_PAGE_HEADERS)
    return response


@get("/openapi.json", include_in_schema=False)
async def get_openapi(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Where people look for it first."""
    return request.app.openapi_schema.to_schema()


@get("/", include_in_schema=False)
async def _missing_dashboard() -> Response[str]:
    text = (
        "The dashboard is not built. Run `make up` in the repository, or `npm ci && npm run build` in its ui folder.\n"
    )
    return Response(text, media_type="text/plain", status_code=503)
