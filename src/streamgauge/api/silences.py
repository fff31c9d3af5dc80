"""`GET /silences`, `POST /silences`, `DELETE /silences/{id}`: nobody is told of some alerts for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from streamgauge.alert.notify.muting import Silence
from streamgauge.alert.notify.service import Notifications
from streamgauge.alert.notify.silences import Wish
from streamgauge.api.times import rfc3339
from streamgauge.core.clock import Clock
from streamgauge.core.errors import InvalidRequest, UnsupportedMediaType
from streamgauge.core.matchers import Matcher, parse_matchers
from streamgauge.ingest.decode import format_of
from streamgauge.model import parse_duration_ms
from streamgauge.notify_settings import MaintenanceSettings
from streamgauge.query.parameters import moment_ms

_NO_STORE: Final = {"Cache-Control": "no-store"}
_EXAMPLE: Final = 'send {"matchers": ["alertname=TrafficDrop"], "duration": "2h", "author": "Ann", "comment": "known"}'


class SilenceWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As it is sent: `ends_at`, or a `duration` from the start; with an `id` that one is changed."""

    matchers: tuple[str, ...]
    author: str
    comment: str
    ends_at: str | None = None
    duration: str | None = None
    starts_at: str | None = None
    id: str | None = None


def silence_routes(notifications: Notifications, clock: Clock) -> list[BaseRouteHandler]:
    silences = notifications.silences

    @get(
        "/silences",
        summary="Silences and maintenance windows",
        description="Also silences that ended in the last days. Maintenance windows are those of the config file.",
        tags=["alerts"],
    )
    async def get_silences() -> Response[Any]:
        now_ms = clock.now_ms()
        body = {
            "silences": [_json(one, now_ms) for one in await silences.all()],
            "maintenance": [_window(one, is_open=is_open) for one, is_open in notifications.maintenance(now_ms)],
        }
        return Response(body, headers=_NO_STORE)

    @post(
        "/silences",
        status_code=201,
        operation_class=_SilenceOperation,
        summary="Silence alerts",
        description="Nobody is told of alerts that match, from `starts_at` (now) to `ends_at`, which is not included.",
        tags=["alerts"],
    )
    async def post_silence(request: Request[Any, Any, Any], body: bytes) -> dict[str, Any]:
        if format_of(request.headers.get("content-type")) != "json":
            raise UnsupportedMediaType("a silence is one JSON object", hint="send Content-Type: application/json")
        now_ms = clock.now_ms()
        sent = _decoded(body)
        wish = _wish(sent, now_ms)
        if sent.id is None:
            return _json(await silences.add(wish, now_ms), now_ms)
        return _json(await silences.change(sent.id, wish, now_ms), now_ms)

    @delete("/silences/{silence_id:str}", status_code=200, summary="End a silence now", tags=["alerts"])
    async def delete_silence(silence_id: str) -> dict[str, Any]:
        now_ms = clock.now_ms()
        return _json(await silences.expire(silence_id, now_ms), now_ms)

    return [get_silences, post_silence, delete_silence]


def _decoded(body: bytes) -> SilenceWish:
    try:
        return msgspec.json.decode(body, type=SilenceWish)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"this is not a silence: {error}", code="malformed_body", hint=_EXAMPLE) from error


def _wish(sent: SilenceWish, now_ms: int) -> Wish:
    starts_at_ms = now_ms if sent.starts_at is None else moment_ms(sent.starts_at, "starts_at")
    if (sent.ends_at is None) == (sent.duration is None):
        raise InvalidRequest("a silence has either `ends_at` or `duration`", code="malformed_body", hint=_EXAMPLE)
    if sent.ends_at is not None:
        ends_at_ms = moment_ms(sent.ends_at, "ends_at")
    else:
        ends_at_ms = starts_at_ms + _duration_ms(sent.duration or "")
    return Wish(_matchers(sent.matchers), starts_at_ms, ends_at_ms, sent.author, sent.comment)


def _matchers(texts: tuple[str, ...]) -> tuple[Matcher, ...]:
    try:
        return tuple(matcher for text in texts for matcher in parse_matchers(text))
    except ValueError as error:
        raise InvalidRequest(str(error), code="invalid_matcher", hint='write it like severity="page"') from None


def _duration_ms(text: str) -> int:
    try:
        return parse_duration_ms(text)
    except ValueError as error:
        raise InvalidRequest(str(error), code="invalid_range", hint="write it like 2h") from None


def _json(silence: Silence, now_ms: int) -> dict[str, Any]:
    return {
        "id": silence.id,
        "state": silence.state(now_ms),
        "matchers": [str(matcher) for matcher in silence.matchers],
        "starts_at": rfc3339(silence.starts_at_ms),
        "ends_at": rfc3339(silence.ends_at_ms),
        "author": silence.author,
        "comment": silence.comment,
        "updated_at": rfc3339(silence.updated_at_ms),
    }


def _window(settings: MaintenanceSettings, *, is_open: bool) -> dict[str, Any]:
    return {
        "name": settings.name,
        "is_open": is_open,
        "matchers": [str(matcher) for matcher in settings.matched],
        "weekdays": settings.weekdays,
        "from": settings.from_,
        "to": settings.to,
        "tz": settings.tz,
        "comment": settings.comment,
    }


@dataclass
class _SilenceOperation(Operation):
    """Describes the body, which the handler decodes by itself."""

    def __post_init__(self) -> None:
        text = Schema(type=OpenAPIType.STRING)
        schema = Schema(
            type=OpenAPIType.OBJECT,
            required=["matchers", "author", "comment"],
            properties={
                "matchers": Schema(type=OpenAPIType.ARRAY, items=text),
                "author": text,
                "comment": text,
                "starts_at": text,
                "ends_at": text,
                "duration": text,
                "id": text,
            },
            additional_properties=False,
        )
        self.request_body = RequestBody(required=True, content={"application/json": OpenAPIMediaType(schema=schema)})
