"""The door of the HTTP port: what every request passes before its endpoint, and every answer after it."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, cast

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import HTTPScope, Message, Receive, Scope, Send

from streamgauge.access.audit import Audit, Entry
from streamgauge.access.buckets import Taken
from streamgauge.access.credentials import credentials_of, credentials_of_body
from streamgauge.access.gate import Caller, Gate, Origin
from streamgauge.access.keys import Scope as KeyScope
from streamgauge.core.address import Proxies
from streamgauge.core.errors import BodyTimeout, RateLimited, StreamgaugeError, Unauthorized, Unavailable
from streamgauge.ingest.accept import Source

NEEDS: Final = "needs"
"""The key in `opt` of a route for the scope that it needs: `write`, `read`, `admin`, or `NOTHING`. Where it isn't
said: `read` of what changes nothing, `admin` of everything else."""

NOTHING: Final = "nothing"
"""The route is for everyone, and tells nothing of what is counted."""

SUBJECT: Final = "audit_subject"
"""The key in `opt` for whether the parameters of the path may stand in the audit log; they do unless it is False."""

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_BODY_S_MAX: Final = 30.0
_VISIT: Final = "streamgauge.visit"
_ANSWER_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_UNSAID_HEADERS: Final = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
"""Of answers that say nothing else themselves."""


class Visit:
    """One request, from the door on."""

    def __init__(self, door: Door, scope: HTTPScope, headers: dict[bytes, bytes]) -> None:
        self.door = door
        self.method: str = scope["method"]
        self.headers = headers
        self.query = scope["query_string"]
        self.address = door.address(scope, headers)
        self.origin = _origin(headers)
        self.caller = Caller(self.address)
        self.taken: Taken | None = None
        self.problem: StreamgaugeError | None = None
        self.is_inside = False
        self.is_event = False
        self.action = ""
        """What is done, where that belongs in the audit log; `subject`: what it is done to."""
        self.subject = ""


class Door:
    def __init__(self, gate: Gate, proxies: Proxies, audit: Audit) -> None:
        self._gate = gate
        self._proxies = proxies
        self._audit = audit

    def visit(self, scope: HTTPScope) -> Visit:
        visit = Visit(self, scope, dict(scope["headers"]))
        cast("dict[str, Any]", scope)[_VISIT] = visit
        return visit

    async def enter(self, visit: Visit) -> None:
        """Who it is, and that there are not too many of them; each must `leave`. What is wrong is said later, by
        whoever answers: a page of another site may only read what is said with the headers for it."""
        if self._gate.is_open:
            return
        try:
            visit.taken = self._gate.enter(visit.address)
            visit.is_inside = True
            await self._identify(visit, credentials_of(visit.headers, visit.query))
        except (RateLimited, Unauthorized, Unavailable) as error:
            visit.problem = error

    def leave(self, visit: Visit) -> None:
        if visit.is_inside:
            self._gate.leave(visit.address)

    def identify_by_body(self, visit: Visit, write_key: object) -> None:
        """Who has no key in the headers may have one in the body. From any thread: a count of requests may be off by
        one then. Raises RateLimited, Unauthorized, Unavailable."""
        credentials = credentials_of_body(write_key)
        if visit.problem is None and visit.caller.key is None and credentials.write_key and not self._gate.is_open:
            visit.caller = self._gate.caller_of_body(credentials, visit.address)
            if visit.caller.key is not None:
                visit.taken = self._gate.take(visit.caller.key) or visit.taken

    async def _identify(self, visit: Visit, credentials: Any) -> None:
        visit.caller = await self._gate.caller(credentials, visit.address)
        if visit.caller.key is not None:
            visit.taken = self._gate.take(visit.caller.key) or visit.taken

    def address(self, scope: HTTPScope, headers: dict[bytes, bytes]) -> str:
        client = scope["client"]
        peer = client[0] if client else ""
        if b"x-forwarded-for" not in headers:
            return peer
        hops = b",".join([value for name, value in scope["headers"] if name == b"x-forwarded-for"])
        return self._proxies.address(peer, hops.decode("latin-1")) or peer

    def is_secure(self, scope: Scope) -> bool:
        """Whether the browser speaks TLS to the server, or to a proxy that says so and is trusted."""
        client = scope["client"]
        trusted = client is not None and self._proxies.trusts(client[0])
        told = dict(scope["headers"]).get(b"x-forwarded-proto", b"")
        return scope["scheme"] == "https" or (trusted and told.strip().lower() == b"https")

    def check(self, visit: Visit, scope: KeyScope) -> None:
        """Raises Unauthorized, Forbidden, OriginNotAllowed, RateLimited, Unavailable."""
        if visit.problem is not None:
            raise visit.problem
        self._gate.check(visit.caller, scope)
        if scope == "write":
            visit.is_event = True
        if visit.method not in _SAFE_METHODS:
            self._gate.check_origin(visit.caller, visit.origin, is_event=visit.is_event)

    def check_origin(self, visit: Visit) -> None:
        """Of a request that needs no key. Raises OriginNotAllowed."""
        if visit.origin is not None and not visit.origin.is_own:
            self._gate.check_origin(visit.caller, visit.origin, is_event=False)

    def charge(self, visit: Visit) -> None:
        """For a secret that was good for nothing."""
        if not self._gate.is_open:
            self._gate.charge(visit.address)

    def may(self, visit: Visit, scope: KeyScope) -> bool:
        return self._gate.may(visit.caller, scope)

    async def still_may(self, visit: Visit, scope: KeyScope) -> bool:
        """Of an answer that goes on: a key may be revoked and a browser signed out meanwhile."""
        if self._gate.is_open:
            return True
        try:
            caller = await self._gate.caller(credentials_of(visit.headers, visit.query), visit.address)
        except (Unauthorized, Unavailable):
            return False
        return self._gate.may(caller, scope)

    @property
    def is_open(self) -> bool:
        return self._gate.is_open

    # Answers

    def sending(self, visit: Visit, send: Send) -> Send:
        """What is said with every answer; and before one to an admin action goes out, it is in the audit log."""

        async def send_dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers(visit, message["headers"])]
                if visit.action and message["status"] != 401:
                    await self._record(visit, message["status"])
            await send(message)

        return send_dressed

    def _headers(self, visit: Visit, said: Any) -> list[tuple[bytes, bytes]]:
        headers = [*_ANSWER_HEADERS]
        if not visit.is_event:  # whose answers are the shortest and most frequent, and say nothing of these
            names = {name.lower() for name, _ in said}
            headers = [each for each in (*_ANSWER_HEADERS, *_UNSAID_HEADERS) if each[0] not in names]
        if (taken := visit.taken) is not None:
            headers += [
                (b"x-ratelimit-limit", b"%d" % taken.limit),
                (b"x-ratelimit-remaining", b"%d" % taken.remaining),
                (b"x-ratelimit-reset", b"%d" % taken.full_in_s),
            ]
        return headers

    async def _record(self, visit: Visit, status: int) -> None:
        await self._audit.record(Entry(visit.caller.actor, visit.address, visit.action, visit.subject, status))


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Of every route of the framework."""
    visit = visit_of(connection.scope)
    is_safe = visit.method in _SAFE_METHODS
    needed = needed_by(handler, visit.method)
    if needed == NOTHING:
        if not is_safe:
            visit.door.check_origin(visit)
        return
    if needed == "admin" and not is_safe:
        visit.action = f"{visit.method} {connection.scope['path_template']}"
        if handler.opt.get(SUBJECT, True):
            visit.subject = " ".join(f"{name}={value}" for name, value in connection.path_params.items())
    visit.door.check(visit, needed)


def needed_by(handler: BaseRouteHandler, method: str) -> Any:
    """The scope, or `NOTHING`."""
    return handler.opt.get(NEEDS, "read" if method in _SAFE_METHODS else "admin")


def visit_of(scope: Scope) -> Visit:
    return cast("Visit", cast("dict[str, Any]", scope)[_VISIT])


def source_of(scope: Scope, write_key: object = None) -> Source | None:
    """Whose the events of a request are; None where no keys are needed. `write_key`: what stands in its body for
    those, such as Segment's, that have none in their headers. From any thread. Raises Unauthorized, Forbidden,
    OriginNotAllowed, RateLimited, Unavailable."""
    visit = visit_of(scope)
    if write_key is not None:
        visit.door.identify_by_body(visit, write_key)
    visit.is_event = True
    visit.door.check(visit, "write")
    key = visit.caller.key
    return None if key is None else Source(key.name, may_be_stated=key.may("admin"))


def check_head(scope: Scope) -> None:
    """What the address and the headers alone tell against events, before a body that may have the key is read. Raises
    as `source_of` does."""
    visit = visit_of(scope)
    if visit.problem is not None or visit.caller.key is not None:
        source_of(scope)


def in_time(receive: Receive, seconds_max: float = _BODY_S_MAX) -> Receive:
    """A body that does not come in time is given up with BodyTimeout: a client that never ends must not hold its
    connection for ever."""
    ends_s = time.monotonic() + seconds_max
    is_whole = False

    async def receive_in_time() -> Any:
        nonlocal is_whole
        if is_whole:
            return await receive()
        try:
            async with asyncio.timeout(max(0.0, ends_s - time.monotonic())):
                message = await receive()
        except TimeoutError:
            raise BodyTimeout(
                f"the body did not come within {seconds_max:g} s", hint="send it again, or less at once"
            ) from None
        is_whole = message["type"] != "http.request" or not message.get("more_body")
        return message

    return receive_in_time


def _origin(headers: dict[bytes, bytes]) -> Origin | None:
    """Browsers say it of everything that changes something, and scripts can't change what they say."""
    said = headers.get(b"origin")
    if said is not None:
        name = said.decode("latin-1")
        host = headers.get(b"host", b"").decode("latin-1").lower()
        return Origin(name, is_own=bool(host) and name.lower().partition("://")[2] == host)
    site = headers.get(b"sec-fetch-site", b"none")
    return None if site == b"none" else Origin("another site", is_own=site == b"same-origin")
