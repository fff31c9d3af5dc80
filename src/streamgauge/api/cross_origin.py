"""Pages of other origins that send events (CORS): which may, and what a browser must be told so that it lets them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from litestar.types import HTTPScope, Message, Receive, Send

from streamgauge.api.errors import ErrorAnswers
from streamgauge.core.errors import OriginNotAllowed

Endpoint = Callable[[HTTPScope, Receive, Send], Awaitable[None]]
"""Bare ASGI, of HTTP alone."""

_PREFLIGHT_HEADERS: Final = [
    (b"access-control-allow-methods", b"POST"),
    (
        b"access-control-allow-headers",
        b"authorization, content-type, content-encoding, streamgauge-producer, streamgauge-sequence, x-retry-count",
    ),
    (b"access-control-max-age", b"7200"),  # as long as Chromium keeps one
]
_EXPOSED: Final = (
    b"access-control-expose-headers",
    b"date, retry-after, streamgauge-without-event-id, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset",
)
_VARY: Final = (b"vary", b"origin")


class CrossOrigin:
    """In front of endpoints that take events. A request with an `Origin` that is neither its own nor allowed is
    refused, not just left unreadable: what a form can send is never asked about beforehand."""

    def __init__(self, app: Endpoint, is_allowed: Callable[[str], bool], errors: ErrorAnswers) -> None:
        self._app = app
        self._is_allowed = is_allowed
        self._errors = errors

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        origin = host = None
        is_preflight = False
        for name, value in scope["headers"]:
            if name == b"origin":
                origin = value
            elif name == b"host":
                host = value
            elif name == b"access-control-request-method":
                is_preflight = scope["method"] == "OPTIONS"
        if origin is None or origin.partition(b"://")[2] == host:
            await self._app(scope, receive, send)
        elif not self._is_allowed(origin.decode("latin-1")):
            await self._errors.send(_refusal(origin), scope, send)
        elif is_preflight:
            headers = [(b"access-control-allow-origin", origin), _VARY, *_PREFLIGHT_HEADERS]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await self._app(scope, receive, _readable(send, origin))


def _readable(send: Send, origin: bytes) -> Send:
    """Lets the page read the answer, an error too."""

    async def send_with_origin(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = [(b"access-control-allow-origin", origin), _EXPOSED, _VARY]
            message["headers"] = [*message["headers"], *added]
        await send(message)

    return send_with_origin


def _refusal(origin: bytes) -> OriginNotAllowed:
    name = origin.decode("latin-1")[:200]
    return OriginNotAllowed(
        f"pages of {name!r} may not send events here", hint=f'add "{name}" to ingest.allowed_origins in the config file'
    )
