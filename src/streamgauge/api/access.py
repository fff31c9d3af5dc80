"""`/keys`, `/session` and `/audit`: keys, who is signed in, and what was changed by whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import OpenAPIMediaType, Operation, Parameter, Reference, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from streamgauge.access.audit import ENTRIES_MAX, AuditLog, Entry
from streamgauge.access.credentials import SESSION_COOKIE, credentials_of
from streamgauge.access.keys import SCOPES, Key
from streamgauge.access.register import KeyWish, MadeKey
from streamgauge.access.service import ROTATION_OVERLAP_H, ROTATION_OVERLAP_H_MAX, KeyService
from streamgauge.api.door import NEEDS, NOTHING, Visit, visit_of
from streamgauge.api.times import rfc3339
from streamgauge.core.errors import InvalidRequest, Unauthorized, UnsupportedMediaType
from streamgauge.ingest.decode import format_of

_ENTRIES_DEFAULT: Final = 100
_NO_STORE: Final = {"Cache-Control": "no-store"}

T = TypeVar("T")


class RotationWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    overlap_h: int = ROTATION_OVERLAP_H


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str

    def __repr__(self) -> str:
        return "SignIn(…)"


def access_routes(service: KeyService, audit: AuditLog) -> list[BaseRouteHandler]:
    return [*_key_routes(service), *_session_routes(service, audit), _audit_route(audit)]


def _key_routes(service: KeyService) -> list[BaseRouteHandler]:
    @get("/keys", summary="List keys", tags=["access"], opt={NEEDS: "admin"})
    async def get_keys() -> Response[Any]:
        return Response({"keys": [_key(key) for key in await service.keys()]}, headers=_NO_STORE)

    @post("/keys", status_code=201, operation_class=_MakeOperation, summary="Make a key", tags=["access"])
    async def post_key(request: Request[Any, Any, Any], body: bytes) -> Response[Any]:
        wish = _wish(request, body, KeyWish, '{"name": "shop", "scope": "write", "origins": ["https://shop.example"]}')
        visit_of(request.scope).subject = f"key={wish.name[:64]} scope={wish.scope}"
        return _made(await service.create(wish), 201)

    @post(
        "/keys/{which:str}/rotate",
        status_code=200,
        operation_class=_RotateOperation,
        summary="Give a key a new secret",
        description="By name or id. The secret from before is good for `overlap_h` hours more.",
        tags=["access"],
    )
    async def post_rotation(request: Request[Any, Any, Any], which: str, body: bytes) -> Response[Any]:
        wish = _wish(request, body, RotationWish, '{"overlap_h": 24}') if body else RotationWish()
        return _made(await service.rotate(which, wish.overlap_h), 200)

    @delete("/keys/{which:str}", status_code=200, summary="Revoke a key", description="By name or id.", tags=["access"])
    async def delete_key(which: str) -> Response[Any]:
        return Response(_key(await service.revoke(which)), headers=_NO_STORE)

    return [get_keys, post_key, post_rotation, delete_key]


def _session_routes(service: KeyService, audit: AuditLog) -> list[BaseRouteHandler]:
    @get("/session", summary="Who is signed in", tags=["access"], opt={NEEDS: NOTHING})
    async def get_session(request: Request[Any, Any, Any]) -> Response[Any]:
        return Response(_session(visit_of(request.scope)), headers=_NO_STORE)

    @post(
        "/session",
        status_code=200,
        operation_class=_SignInOperation,
        summary="Sign a browser in",
        description="With a key of the scope read or admin. The answer sets a cookie that scripts can't read.",
        tags=["access"],
        opt={NEEDS: NOTHING},
    )
    async def post_session(request: Request[Any, Any, Any], body: bytes) -> Response[Any]:
        visit = visit_of(request.scope)
        wish = _wish(request, body, SignIn, '{"key": "sga_…"}')
        try:
            key, token, seconds = await service.sign_in(wish.key.strip())
        except Unauthorized:
            visit.door.charge(visit)
            raise
        await audit.record(Entry(key.name, visit.address, "sign in", f"key={key.name}", 200))
        cookie = _cookie(token, seconds, is_secure=visit.door.is_secure(request.scope))
        said = {"needed": True, "name": key.name, "scope": key.scope}
        return Response(said, headers={**_NO_STORE, "Set-Cookie": cookie})

    @delete("/session", status_code=200, summary="Sign a browser out", tags=["access"], opt={NEEDS: NOTHING})
    async def delete_session(request: Request[Any, Any, Any]) -> Response[Any]:
        visit = visit_of(request.scope)
        token = credentials_of(visit.headers).session
        if token:
            await service.sign_out(token)
        if visit.caller.by_session:
            await audit.record(Entry(visit.caller.actor, visit.address, "sign out", f"key={visit.caller.actor}", 200))
        cookie = _cookie("", 0, is_secure=visit.door.is_secure(request.scope))
        return Response({"needed": True, "name": None, "scope": None}, headers={**_NO_STORE, "Set-Cookie": cookie})

    return [get_session, post_session, delete_session]


def _audit_route(audit: AuditLog) -> BaseRouteHandler:
    @get(
        "/audit",
        operation_class=_AuditOperation,
        summary="What was changed by whom",
        description="The newest first. `actor` is the name of a key.",
        tags=["access"],
        opt={NEEDS: "admin"},
    )
    async def get_audit(request: Request[Any, Any, Any]) -> Response[Any]:
        given = request.query_params
        limit = _number("limit", given.get("limit", str(_ENTRIES_DEFAULT)), 1, ENTRIES_MAX)
        before = given.get("before")
        entries = await audit.entries(limit, None if before is None else _number("before", before, 1, 2**62))
        after = entries[-1].id if len(entries) == limit else None
        return Response({"entries": [_entry(each) for each in entries], "before": after}, headers=_NO_STORE)

    return get_audit


def _session(visit: Visit) -> dict[str, Any]:
    """`needed`: whether anything is told without a key."""
    if visit.door.is_open:
        return {"needed": False, "name": None, "scope": "admin"}
    key = visit.caller.key
    return {"needed": True, "name": key and key.name, "scope": key and key.scope}


def _cookie(token: str, seconds: int, *, is_secure: bool) -> str:
    cookie = f"{SESSION_COOKIE}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict"
    return f"{cookie}; Secure" if is_secure else cookie


def _wish(request: Request[Any, Any, Any], body: bytes, kind: type[T], example: str) -> T:
    """The framework would take any content type, also those that a form of another site can send."""
    if format_of(request.headers.get("content-type")) != "json":
        raise UnsupportedMediaType("this takes one JSON object", hint="send Content-Type: application/json")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(
            f"this is not what is expected: {error}", code="malformed_body", hint=f"send {example}"
        ) from error


def _number(name: str, text: str, least: int, most: int) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= most:
        return int(text)
    raise InvalidRequest(f"`{name}` is not a number from {least:,} to {most:,}", hint="see /docs")


def _key(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.scope,
        "origins": key.origins,
        "requests_per_s": key.requests_per_s,
        "hint": key.hint,
        "created_at": rfc3339(key.created_ms),
        "revoked_at": None if key.revoked_ms is None else rfc3339(key.revoked_ms),
        "previous_until": None if key.previous_until_ms is None else rfc3339(key.previous_until_ms),
    }


def _made(made: MadeKey, status: int) -> Response[Any]:
    return Response({"key": _key(made.key), "secret": made.secret}, status_code=status, headers=_NO_STORE)


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": rfc3339(entry.at_ms),
        "actor": entry.actor,
        "address": entry.address,
        "action": entry.action,
        "subject": entry.subject,
        "status": entry.status,
    }


def _text(description: str = "") -> Schema:
    return Schema(type=OpenAPIType.STRING, min_length=1, description=description or None)


def _object(required: list[str], **properties: Reference | Schema) -> RequestBody:
    schema = Schema(
        type=OpenAPIType.OBJECT, required=required or None, properties=properties, additional_properties=False
    )
    return RequestBody(required=bool(required), content={"application/json": OpenAPIMediaType(schema=schema)})


@dataclass
class _MakeOperation(Operation):
    """Describes the body, which the handler decodes by itself; as the others here."""

    def __post_init__(self) -> None:
        self.request_body = _object(
            ["name", "scope"],
            name=_text("the `source` of the events that are sent with it"),
            scope=Schema(type=OpenAPIType.STRING, enum=list(SCOPES)),
            origins=Schema(type=OpenAPIType.ARRAY, items=_text("https://shop.example, or * for all web pages")),
            requests_per_s=Schema(type=OpenAPIType.INTEGER, minimum=0, default=0),
        )


@dataclass
class _RotateOperation(Operation):
    def __post_init__(self) -> None:
        hours = Schema(type=OpenAPIType.INTEGER, minimum=0, maximum=ROTATION_OVERLAP_H_MAX, default=ROTATION_OVERLAP_H)
        self.request_body = _object([], overlap_h=hours)


@dataclass
class _SignInOperation(Operation):
    def __post_init__(self) -> None:
        self.request_body = _object(["key"], key=_text())


@dataclass
class _AuditOperation(Operation):
    def __post_init__(self) -> None:
        limit = Schema(type=OpenAPIType.INTEGER, minimum=1, maximum=ENTRIES_MAX, default=_ENTRIES_DEFAULT)
        before = Schema(type=OpenAPIType.INTEGER, minimum=1)
        self.parameters = [
            Parameter(name="limit", param_in="query", required=False, schema=limit),
            Parameter(
                name="before",
                param_in="query",
                required=False,
                schema=before,
                description="only entries before the one with this id, as the answer's `before` says it",
            ),
        ]
