"""Segment's tracking API under `/v1/`, so that its official SDKs work by changing the host. The HTTP side of it; what a
message becomes is in `ingest.segment`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec
from litestar.exceptions import MethodNotAllowedException, NotFoundException
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, Parameter, PathItem, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.types import HTTPScope, Receive, Send

from streamgauge.api.door import check_head, source_of
from streamgauge.api.errors import ErrorAnswers
from streamgauge.api.events import header_text, read_body, sender_of
from streamgauge.ingest.accept import Accepted, Ingest, Translated
from streamgauge.ingest.segment import KINDS, Kind, event_of
from streamgauge.ingest.segment_body import messages_of

SEGMENT_PREFIX: Final = "/v1/"

_CALLS: Final[Mapping[str, Kind | None]] = {
    **{name: kind for kind in KINDS for name in (kind, kind[0])},
    **dict.fromkeys(("batch", "b", "import")),
}
"""The last part of a path → the kind of its one message; None for a batch."""

_SETTINGS: Final = re.compile("projects/(.+)/settings")
_TELEMETRY: Final = "m"
"""What the SDKs say of themselves. Nobody keeps it, but they try again where it isn't taken."""

_OK: Final = b'{"success":true}'
_REJECTIONS_LISTED_MAX: Final = 100
_RETRIES_MAX: Final = 100
"""Of one message in a browser: as many as its SDK allows. By itself it gives up after ten, which takes four minutes."""


class SegmentEndpoint:
    """All of `/v1/`, as bare ASGI like `POST /events`."""

    def __init__(self, ingest: Ingest, errors: ErrorAnswers, body_bytes_max: int, *, public_url: str = "") -> None:
        """`public_url`: where SDKs that ask for their settings are sent; empty: where they asked."""
        self._ingest = ingest
        self._errors = errors
        self._body_bytes_max = body_bytes_max
        self._public_url = public_url

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        headers: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json")]
        try:
            status, body = await self._answer(scope, receive)
        except Exception as error:
            status, refusal, extra = self._errors.answer(error, scope["method"], scope["path"])
            headers += [(name.lower().encode(), value.encode()) for name, value in extra.items()]
            body = msgspec.json.encode(_refused(refusal))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _answer(self, scope: HTTPScope, receive: Receive) -> tuple[int, bytes]:
        headers = dict(scope["headers"])
        name = scope["path"].removeprefix(SEGMENT_PREFIX).rstrip("/")
        if found := _SETTINGS.fullmatch(name):
            _check_method(scope, "GET")
            source_of(scope, found[1])
            return 200, msgspec.json.encode(self._settings(found[1], scope, headers))
        if name not in _CALLS and name != _TELEMETRY:
            raise NotFoundException()
        _check_method(scope, "POST")
        check_head(scope)  # the key may be in the body: what is known without it must not wait for it
        body = await read_body(receive, self._body_bytes_max)
        if name == _TELEMETRY:
            return 200, _OK
        return _outcome(
            await self._ingest.accept_translated(
                body,
                header_text(headers, b"content-encoding"),
                partial(self._translated, scope, _CALLS[name], header_text(headers, b"authorization")),
                sender_of(scope, headers),
            )
        )

    def _translated(self, scope: HTTPScope, kind: Kind | None, authorization: str | None, body: bytes) -> Translated:
        messages = messages_of(body, kind, authorization)
        return Translated(
            messages.raw,
            lambda message, received_at_ms: event_of(message, messages.shared, received_at_ms),
            source_of(scope, messages.write_key),
        )

    def _settings(self, key: str, scope: HTTPScope, headers: dict[bytes, bytes]) -> dict[str, Any]:
        """What an SDK asks Segment's CDN for: it sends to itself, and to nobody else."""
        asked = f"{scope['scheme']}://{header_text(headers, b'host') or 'localhost'}"
        protocol, _, host = (self._public_url or asked).rstrip("/").partition("://")
        ours = {
            "apiKey": key,
            "apiHost": f"{host}{SEGMENT_PREFIX.rstrip('/')}",
            "protocol": protocol,
            "httpConfig": {"backoffConfig": {"maxRetryCount": _RETRIES_MAX}},
        }
        return {
            "integrations": {"Segment.io": ours},
            "plan": {"track": {}, "identify": {}, "group": {}},
            "edgeFunction": {},
            "analyticsNextEnabled": True,
            "metrics": {"sampleRate": 0},
        }


def _check_method(scope: HTTPScope, method: str) -> None:
    if scope["method"] != method:
        raise MethodNotAllowedException(headers={"Allow": method})


def _outcome(accepted: Accepted) -> tuple[int, bytes]:
    """200 where anything was accepted: an SDK that reads another status drops the whole batch, or sends it again."""
    if not accepted.rejected:
        return 200, _OK
    listed = accepted.rejected[:_REJECTIONS_LISTED_MAX]
    body: dict[str, Any] = {
        "success": bool(accepted.count),
        "count": accepted.count,
        "rejected_count": len(accepted.rejected),
        "rejected": listed,
    }
    if not accepted.count:
        hint = "each item of `rejected` says what is wrong with it"
        body |= {
            "code": listed[0].code,
            "message": listed[0].message,
            "error": {"code": listed[0].code, "message": listed[0].message, "hint": hint},
        }
    return 200 if accepted.count else 400, msgspec.json.encode(body)


def _refused(body: dict[str, Any]) -> dict[str, Any]:
    """The error with `code` and `message` where Segment has them: its Python SDK takes others for no answer."""
    return {"success": False, "code": body["error"]["code"], "message": body["error"]["message"], **body}


def segment_path_items() -> dict[str, PathItem]:
    """The description of what a bare ASGI route doesn't have by itself."""
    calls = {
        f"{SEGMENT_PREFIX}{call}": PathItem(
            post=_CallOperation(
                summary=f"Segment's {kind or 'batch'} call",
                tags=["Segment"],
                operation_id=f"PostSegment{call.capitalize()}",
            )
        )
        for call, kind in _CALLS.items()
    }
    telemetry = PathItem(
        post=_TelemetryOperation(
            summary="What a Segment SDK says of itself; it is not kept",
            tags=["Segment"],
            operation_id="PostSegmentTelemetry",
        )
    )
    settings = PathItem(
        get=_SettingsOperation(
            summary="What a Segment SDK asks before it begins", tags=["Segment"], operation_id="GetSegmentSettings"
        )
    )
    return {
        **calls,
        f"{SEGMENT_PREFIX}{_TELEMETRY}": telemetry,
        f"{SEGMENT_PREFIX}projects/{{key}}/settings": settings,
    }


@dataclass
class _CallOperation(Operation):
    """Describes what the handler reads by itself."""

    def __post_init__(self) -> None:
        self.security = [{"key": ["write"]}]
        schema = Schema(type=OpenAPIType.OBJECT, additional_properties=True)
        media = OpenAPIMediaType(schema=schema)
        self.request_body = RequestBody(required=True, content={"application/json": media, "text/plain": media})
        self.parameters = [
            Parameter(name=name, param_in="header", required=False, schema=Schema(type=OpenAPIType.STRING))
            for name in ("Authorization", "Content-Encoding")
        ]
        self.responses = {
            "200": OpenAPIResponse(description="The messages are durable; bad ones are listed."),
            "400": OpenAPIResponse(description="Nothing was accepted: malformed, or no message was good."),
            "403": OpenAPIResponse(description="Pages of this origin may not send here."),
            "413": OpenAPIResponse(description="The body is too large."),
            "415": OpenAPIResponse(description="The content encoding is not accepted."),
            "503": OpenAPIResponse(description="Nothing was accepted: try again after Retry-After seconds."),
        }


@dataclass
class _TelemetryOperation(Operation):
    def __post_init__(self) -> None:
        self.security = []
        media = OpenAPIMediaType(schema=Schema(type=OpenAPIType.OBJECT, additional_properties=True))
        self.request_body = RequestBody(required=True, content={"application/json": media, "text/plain": media})
        self.responses = {
            "200": OpenAPIResponse(description="Read, and forgotten."),
            "401": OpenAPIResponse(description="There is a key in the headers, and it is not known."),
            "413": OpenAPIResponse(description="The body is too large."),
            "429": OpenAPIResponse(description="Too many requests: try again after Retry-After seconds."),
        }


@dataclass
class _SettingsOperation(Operation):
    def __post_init__(self) -> None:
        self.security = [{"key": ["write"]}]
        self.parameters = [
            Parameter(name="key", param_in="path", required=True, schema=Schema(type=OpenAPIType.STRING))
        ]
        media = OpenAPIMediaType(schema=Schema(type=OpenAPIType.OBJECT, additional_properties=True))
        self.responses = {
            "200": OpenAPIResponse(description="The settings.", content={"application/json": media}),
            "403": OpenAPIResponse(description="Pages of this origin may not send here."),
        }
