"""`POST /replays` and `GET /replays`: rollups rebuilt from the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from streamgauge.api.times import rfc3339
from streamgauge.core.errors import InvalidRequest, UnsupportedMediaType
from streamgauge.ingest.decode import format_of
from streamgauge.model import ReplayState
from streamgauge.query.parameters import moment_ms


class ReplayWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    from_: str
    to: str | None = None
    rollup: str | None = None


class ReplayService(Protocol):
    @property
    def newest(self) -> ReplayState | None: ...

    async def request(self, from_ms: int, to_ms: int | None, metric: str | None) -> ReplayState: ...


def replay_routes(replays: ReplayService) -> list[BaseRouteHandler]:
    @post("/replays", status_code=202, operation_class=_ReplayOperation, summary="Rebuild rollups", tags=["operation"])
    async def post_replay(request: Request[Any, Any, Any], body: bytes) -> dict[str, Any]:
        if format_of(request.headers.get("content-type")) != "json":
            raise UnsupportedMediaType("a replay is one JSON object", hint="send Content-Type: application/json")
        try:
            wish = msgspec.json.decode(body, type=ReplayWish)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest(
                f"this is not a replay: {error}", code="malformed_body", hint='send {"from": "2026-01-01T00:00:00Z"}'
            ) from error
        from_ms = moment_ms(wish.from_, "from")
        to_ms = None if wish.to is None else moment_ms(wish.to, "to")
        if to_ms is not None and to_ms <= from_ms:
            raise InvalidRequest("`to` is not after `from`", code="invalid_range", hint="the range is half-open")
        return _json(await replays.request(from_ms, to_ms, wish.rollup))

    @get("/replays", summary="How the newest replay goes", tags=["operation"])
    async def get_replay() -> Response[Any]:
        newest = replays.newest
        return Response({"replay": None if newest is None else _json(newest)}, headers={"Cache-Control": "no-store"})

    return [post_replay, get_replay]


def _json(state: ReplayState) -> dict[str, Any]:
    return {
        "number": state.number,
        "phase": state.phase,
        "from": rfc3339(state.from_ms),
        "to": rfc3339(state.to_ms),
        "metrics": state.metrics,
        "read_events": state.read_events,
        "total_events": state.total_events,
        "problem": state.problem,
    }


@dataclass
class _ReplayOperation(Operation):
    """Describes the body, which the handler decodes by itself."""

    def __post_init__(self) -> None:
        text = Schema(type=OpenAPIType.STRING)
        schema = Schema(
            type=OpenAPIType.OBJECT,
            required=["from"],
            properties={"from": text, "to": text, "rollup": text},
            additional_properties=False,
        )
        self.request_body = RequestBody(required=True, content={"application/json": OpenAPIMediaType(schema=schema)})
