"""`streamgauge query`: asks a running server what `GET /metrics` and Prometheus' API answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import msgspec

from streamgauge.feed.errors import FeedError
from streamgauge.feed.producer import connect, request_failed

Parameters = Sequence[tuple[str, str]]


class Fresh(msgspec.Struct, frozen=True):
    """How true an answer is by now, as its headers say it. `cache`: `hit`, `miss` or `bypass`, empty where none was
    asked. `step_ms` is the width of a point, of a time series."""

    complete_up_to: str
    lag_ms: int
    cache: str
    age_s: int
    step_ms: int | None


class Answered(msgspec.Struct, frozen=True):
    content: Any
    fresh: Fresh


class _PrometheusAnswer(msgspec.Struct, frozen=True):
    data: Any
    warnings: list[str] = []
    infos: list[str] = []


async def ask_metric(url: str, parameters: Parameters) -> Answered:
    """The rows of `GET /metrics`. Raises FeedError, in the server's words where it refuses."""
    async with connect(url) as client:
        response = await _got(client, "/metrics", parameters)
        if response.is_error:
            raise request_failed(response)
        return Answered(_decoded(response, Any), fresh_of(response.headers))


async def ask_promql(url: str, parameters: Parameters, *, is_range: bool) -> tuple[Answered, list[str]]:
    """The `data` of Prometheus' answer, and its warnings and notes. Raises FeedError likewise."""
    async with connect(url) as client:
        response = await _got(client, "/api/v1/query_range" if is_range else "/api/v1/query", parameters)
        if response.is_error:
            raise _promql_refused(response)
        found = _decoded(response, _PrometheusAnswer)
        return Answered(found.data, fresh_of(response.headers)), [*found.warnings, *found.infos]


async def _got(client: httpx.AsyncClient, path: str, parameters: Parameters) -> httpx.Response:
    try:
        return await client.get(path, params=httpx.QueryParams(list(parameters)))
    except httpx.TransportError as error:
        raise FeedError(
            f"no answer from {client.base_url}: {str(error) or type(error).__name__}",
            hint="is it running? start it with: streamgauge up",
        ) from error


def _decoded(response: httpx.Response, kind: Any) -> Any:
    try:
        return msgspec.json.decode(response.content, type=kind)
    except msgspec.DecodeError as error:
        raise FeedError(f"{response.url.host} doesn't answer like Streamgauge", hint="check --url") from error


def _promql_refused(response: httpx.Response) -> FeedError:
    """Prometheus has an error format of its own, in which the hint is part of the text."""
    try:
        content = response.json()
        return FeedError(f"{content['error']} ({content['errorType']})")
    except (ValueError, KeyError, TypeError):
        return request_failed(response)


def fresh_of(headers: Mapping[str, str]) -> Fresh:
    step = headers.get("streamgauge-step-ms")
    return Fresh(
        headers.get("streamgauge-complete-up-to", ""),
        int(headers.get("streamgauge-lag-ms", "0")),
        headers.get("streamgauge-cache", ""),
        int(headers.get("age", "0")),
        None if step is None else int(step),
    )
