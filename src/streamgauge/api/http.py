"""The HTTP application: all routes of one port, the dashboard's files, who may call."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from litestar import Litestar, Request, Response, get
from litestar.datastructures import CacheControlHeader
from litestar.file_system import BaseLocalFileSystem
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.router import Router
from litestar.static_files import create_static_files_router
from litestar.types import ASGIApp, HTTPScope, Message, PathType, Receive, Send
from litestar.types.file_types import FileInfo

from streamgauge import __version__
from streamgauge.api.cross_origin import Endpoint
from streamgauge.api.docs import describe_needs, docs_routes
from streamgauge.api.door import NEEDS, NOTHING, Door, guard, in_time
from streamgauge.api.errors import ErrorAnswers
from streamgauge.api.events import EVENTS_PATH, events_path_item
from streamgauge.api.sdk import SDK_FILE, sdk_route
from streamgauge.api.segment import SEGMENT_PREFIX, segment_path_items
from streamgauge.core.errors import MisdirectedRequest, RateLimited
from streamgauge.core.lifecycle import StageState

STATIC_FOLDER: Final = Path(__file__).parent / "static"
"""The dashboard as `make setup` builds it."""

_EVENTS_PATHS: Final = (EVENTS_PATH, f"{EVENTS_PATH}/")
"""The framework's own routes may end in a slash too."""

_PROBES: Final = ("/healthz", "/readyz")
"""A load balancer that is told that it asks too often would take the server out."""

_MISDIRECTED: Final = MisdirectedRequest(
    "this server does not have that name",
    hint="call it as localhost, by the address it listens at, or by one of server.names",
)


class Called(NamedTuple):
    """By what requests may call the server: `names`, and any IP address where `by_address`. No page elsewhere can make
    a browser call it by an address as if that were the page's own."""

    names: Collection[str]
    by_address: bool = False


_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; font-src 'self'; manifest-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

_FOR_ALL: Final = {NEEDS: NOTHING}


def create_http(
    routes: Sequence[BaseRouteHandler],
    events: Endpoint | None,
    errors: ErrorAnswers,
    called: Called,
    door: Door,
    *,
    segment: Endpoint | None = None,
    dashboard: bool = True,
    ingest_url: str = "",
) -> Front:
    """The application behind the port. Without `events` it takes none, and has no script that sends any; without
    `segment` it takes none of Segment's SDKs. `ingest_url`: where the dashboard says that events are sent; empty: to
    this port."""
    pages = (*_dashboard(STATIC_FOLDER), _addresses(ingest_url)) if dashboard else ()
    scripts = (sdk_route(SDK_FILE),) if events is not None else ()
    framework = Litestar(
        route_handlers=[*routes, get_openapi, *docs_routes(), *scripts, *pages],
        guards=[guard],
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
    if segment is not None and framework.openapi_schema.paths is not None:
        framework.openapi_schema.paths |= segment_path_items()
    describe_needs(framework)
    return Front(framework, events, errors, called, door, segment=segment)


class Front:
    """What every request passes first, in one layer because it is on the way of every event.

    Requests that were addressed to another name are refused: a page elsewhere whose own name resolves to this machine
    (DNS rebinding) could otherwise read everything that a server without keys answers. At the door it is found out whom
    they are from; what they may, their endpoints ask. Events go to their endpoints, all else to the framework. Requests
    under way are counted, so that a shutdown can let them end.
    """

    def __init__(
        self,
        framework: ASGIApp,
        events: Endpoint | None,
        errors: ErrorAnswers,
        called: Called,
        door: Door,
        *,
        segment: Endpoint | None = None,
    ) -> None:
        self._framework = framework
        self._errors = errors
        self._events = events
        self._segment = segment
        self._door = door
        self._allowed = {name.lower().encode() for name in called.names}
        self._by_address = called.by_address
        self._is_leaving = False
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        self._under_way += 1
        self._idle.clear()
        if self._is_leaving:
            send = _last_of_its_connection(send)
        try:
            if not self._is_allowed(scope["headers"]):
                await self._errors.send(_MISDIRECTED, scope, send)
            else:
                await self._let_in(scope, receive, send)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _let_in(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        visit = self._door.visit(scope)
        send = self._door.sending(visit, send)
        try:
            await self._door.enter(visit)
            if self._events is not None and scope["path"] in _EVENTS_PATHS:
                await self._events(scope, receive, send)
            elif self._segment is not None and scope["path"].startswith(SEGMENT_PREFIX):
                await self._segment(scope, receive, send)
            elif isinstance(visit.problem, RateLimited) and scope["path"] not in _PROBES:
                await self._errors.send(visit.problem, scope, send)
            else:
                await self._framework(scope, in_time(receive), send)
        finally:
            self._door.leave(visit)

    def leave(self) -> None:
        """Still answer, but let each answer be the last of its connection, so that who asks goes elsewhere."""
        self._is_leaving = True

    def state(self) -> StageState:
        return StageState("stopping" if self._is_leaving else "ready")

    async def drained(self, seconds_max: float) -> None:
        """Return when none is under way, or after this time."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds_max)

    def _is_allowed(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        for name, value in headers:
            if name == b"host":
                host = value.lower()
                name_only = host if host.endswith(b"]") else host.rpartition(b":")[0] or host
                return name_only in self._allowed or (self._by_address and _is_address(name_only))
        return True


def _is_address(host: bytes) -> bool:
    try:
        ipaddress.ip_address(host.removeprefix(b"[").removesuffix(b"]").decode())
    except ValueError:
        return False
    return True


def _last_of_its_connection(send: Send) -> Send:
    async def send_with_notice(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"connection", b"close")]
        await send(message)

    return send_with_notice


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
            opt=_FOR_ALL,
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
            opt=_FOR_ALL,
            name="page",
        ),
    ]


def _addresses(ingest_url: str) -> BaseRouteHandler:
    @get("/-/addresses", include_in_schema=False, opt=_FOR_ALL)
    async def get_addresses() -> dict[str, str]:
        """What the dashboard can't know from its own address."""
        return {"ingest": ingest_url.rstrip("/")}

    return get_addresses


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


@get("/openapi.json", summary="This document", tags=["docs"], opt=_FOR_ALL)
async def get_openapi(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Where people look for it first."""
    return request.app.openapi_schema.to_schema()


@get("/", include_in_schema=False, opt=_FOR_ALL)
async def _missing_dashboard() -> Response[str]:
    text = (
        "The dashboard is not built. Run `make up` in the repository, or `npm ci && npm run build` in its ui folder.\n"
    )
    return Response(text, media_type="text/plain", status_code=503)
