"""`GET /events/{event_id}`: what the route adds to the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from streamgauge.api.errors import ErrorAnswers
from streamgauge.api.explain import explain_route
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.model import Freshness
from streamgauge.query.explain import ExplainService


class NothingStored:
    """`StoreReader` that remembers which ids were asked."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        self.asked.add(parameters["event_id"])
        return []

    def close(self) -> None: ...


def error_of(path: str, *, lag_events: int = 0, store: NothingStored | None = None) -> dict[str, str]:
    async def freshness() -> Freshness:
        return Freshness(0, 0, lag_events)

    metrics = SelfMetrics()
    service = ExplainService(store or NothingStored(), lambda event, enriched: [])
    route = explain_route(service, freshness, metrics)
    application = Litestar([route], exception_handlers=ErrorAnswers(metrics).handlers, logging_config=None)
    with TestClient(application) as client:
        answer = client.get(path)
    assert answer.status_code == 404
    error: dict[str, str] = answer.json()["error"]
    return error


@pytest.mark.parametrize(
    ("lag_events", "waiting"),
    [(1, "1 accepted event is not processed yet"), (12_345, "12,345 accepted events are not processed yet")],
)
def test_while_events_wait_an_unknown_id_may_be_among_them(lag_events: int, waiting: str) -> None:
    error = error_of("/events/e", lag_events=lag_events)
    assert waiting in error["message"]
    assert "again" in error["hint"]


def test_when_none_waits_that_is_not_said() -> None:
    error = error_of("/events/e")
    assert error["code"] == "not_found"
    assert "not processed" not in error["message"]


@pytest.mark.parametrize(
    ("path", "event_id"),
    [
        ("/events/a%2Fb", "a/b"),
        ("/events/a/b", "a/b"),
        ("/events/a//b/", "a//b/"),
        ("/events/%2Fa", "/a"),
        ("/events/%C3%BC+%20", "ü+ "),
        ("/events/50%25", "50%"),
        ("/events/a?b=c", "a"),
        ("/events/%3Fb", "?b"),
        ("/events/events/", "events/"),
        ("/events/%FF", "\ufffd"),
        ("/events/%00", "\x00"),
    ],
)
def test_the_id_is_what_stands_in_the_path(path: str, event_id: str) -> None:
    store = NothingStored()
    error_of(path, store=store)
    assert store.asked == {event_id}


def test_of_a_long_id_the_beginning_is_shown() -> None:
    assert len(error_of(f"/events/{'i' * 5_000}")["message"]) < 400
