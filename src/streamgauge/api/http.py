"""The HTTP application: all routes of one port, the dashboard's files, who may call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from litestar import Litestar, Request, Response, get
from litestar.datastructures import CacheControlHeader
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.router import Router
from litestar.static_files import create_static_files_router
from litestar.types import ASGIApp, Receive, Scope, Send

from streamgauge import __version__
from streamgauge.api.errors import ErrorResponses, error_body
from streamgauge.api.events import EVENTS_PATH, events_path_item
from streamgauge.core.selfmetrics import SelfMetrics

STATIC_FOLDER: Final = Path(__file__).parent / "static"
"""The dashboard as `make ui` builds it."""

_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_http(
    routes: Sequence[BaseRouteHandler], metrics: SelfMetrics, allowed_hosts: Collection[str] | None
) -> ASGIApp:
    """The ASGI application. `allowed_hosts`: names that requests must be addressed to; None: any."""
    application = Litestar(
        route_handlers=[*routes, get_openapi, *_dashboard(STATIC_FOLDER)],
        exception_handlers=ErrorResponses(metrics).handlers,
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
    if application.openapi_schema.paths is not None:
        application.openapi_schema.paths[EVENTS_PATH] = events_path_item()
    return application if allowed_hosts is None else HostCheck(application, allowed_hosts)


class HostCheck:
    """Refuses requests that were addressed to another name: a page elsewhere whose own name resolves to this machine
    (DNS rebinding) could otherwise read everything that a server without keys answers."""

    def __init__(self, application: ASGIApp, allowed: Collection[str]) -> None:
        self._application = application
        self._allowed = {name.lower().encode() for name in allowed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_allowed(scope["headers"]):
            await _refuse(send)
        else:
            await self._application(scope, receive, send)

    def _is_allowed(self, headers: Any) -> bool:
        for name, value in headers:
            if name == b"host":
                host = value.lower()
                return (host if host.endswith(b"]") else host.rpartition(b":")[0] or host) in self._allowed
        return True


class InFlight:
    """Knows how many requests are under way, so that a shutdown can let them end."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._count += 1
        self._none.clear()
        try:
            await self._application(scope, receive, send)
        finally:
            self._count -= 1
            if not self._count:
                self._none.set()

    async def drained(self, seconds_max: float) -> None:
        """Return when none is under way, or after this time."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._none.wait(), seconds_max)


async def _refuse(send: Send) -> None:
    body = error_body("misdirected_request", "this server does not have that name", "call it as localhost or 127.0.0.1")
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 421, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(body), "more_body": False})


def _dashboard(folder: Path) -> list[Router | BaseRouteHandler]:
    if not (folder / "index.html").is_file():
        return [_missing_dashboard]
    return [
        create_static_files_router(
            path="/assets",
            directories=[folder / "assets"],
            # Their names change with their content.
            cache_control=CacheControlHeader(max_age=31_536_000, public=True, immutable=True),
            include_in_schema=False,
            name="assets",
        ),
        create_static_files_router(
            path="/",
            directories=[folder],
            html_mode=True,
            cache_control=CacheControlHeader(no_cache=True),
            after_request=_with_page_headers,
            include_in_schema=False,
            name="page",
        ),
    ]


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
