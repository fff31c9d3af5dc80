"""Middleware: each request that a web application answered becomes an event `request`. Imports no framework."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterable, Mapping, MutableMapping
from typing import Any, Callable, Union

from streamgauge_sdk.aio import AsyncClient
from streamgauge_sdk.client import Client
from streamgauge_sdk.encode import Id

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Message, _Receive, _Send], Awaitable[None]]
AnyClient = Union[Client, AsyncClient]


class AsgiRequests:
    """For FastAPI, Starlette, Litestar and other ASGI applications. `user_of`: the user's id, by the request's scope
    after it was answered; `user_id` of `request.state` where there is none."""

    def __init__(self, app: _App, client: AnyClient, user_of: Callable[[_Message], Id] | None = None) -> None:
        self._app, self._client, self._user_of = app, client, user_of or _user_of_state

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s, status = time.perf_counter(), 500

        async def send_and_see(message: _Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_see)
        finally:
            headers = _texts(scope["headers"])
            address = (scope.get("client") or ("",))[0]
            found = _properties(scope["method"], _route(scope), status, began_s, headers.get("user-agent"), address)
            self._client.track("request", found, user_id=_quietly(self._user_of, scope))


class DjangoRequests:
    """For Django: `MIDDLEWARE` names a function that makes it of `get_response`."""

    sync_capable, async_capable = True, False

    def __init__(
        self, get_response: Callable[[Any], Any], client: AnyClient, user_of: Callable[[Any], Id] | None = None
    ) -> None:
        self._get_response, self._client, self._user_of = get_response, client, user_of or _user_of_django

    def __call__(self, request: Any) -> Any:
        began_s, status = time.perf_counter(), 500
        try:
            response = self._get_response(request)
            status = response.status_code
            return response
        finally:
            match = getattr(request, "resolver_match", None)
            route = f"/{match.route}" if match is not None else None
            meta = request.META
            found = _properties(
                request.method, route, status, began_s, meta.get("HTTP_USER_AGENT"), meta.get("REMOTE_ADDR", "")
            )
            self._client.track("request", found, user_id=_quietly(self._user_of, request))


def _properties(  # noqa: PLR0917
    method: str, route: str | None, status: int, began_s: float, agent: str | None, address: str
) -> Mapping[str, Any]:
    """`page` is the route, as in `/orders/{id}`: paths themselves would be without number, and may name people."""
    return {
        "method": method,
        "page": route or "(no route)",
        "status": status,
        "duration_ms": round((time.perf_counter() - began_s) * 1000, 1),
        "user_agent": agent or "",
        "ip": address,  # the server takes the country from it, and doesn't keep it
    }


def _route(scope: _Message) -> str | None:
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else None


def _texts(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def _user_of_state(scope: _Message) -> Id:
    found = scope.get("state", {}).get("user_id")
    return found if isinstance(found, (str, int)) else None


def _user_of_django(request: Any) -> Id:
    found = getattr(getattr(request, "user", None), "pk", None)
    return None if found is None else str(found)


def _quietly(user_of: Callable[[Any], Id], request: Any) -> Id:
    try:
        return user_of(request)
    except Exception:  # what a program knows of its users must not fail its requests
        return None
