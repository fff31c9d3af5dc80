"""`POST /events` as bare ASGI: what it reads of a request's head, and the head of its answer."""

from __future__ import annotations

from typing import Any

import pytest

from open_door import visiting
from streamgauge.api.errors import ErrorAnswers
from streamgauge.api.events import EventsEndpoint
from unit.ingest.memory_log import Desk

PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Mobile/15E148 Safari/604"
)
GB, JP, US = "81.2.69.142", "133.11.0.1", "8.8.8.8"
WITHOUT_ID = b"streamgauge-without-event-id"


async def post(
    desk: Desk, body: bytes, *headers: tuple[str, str], client: tuple[str, int] | None = (GB, 4711)
) -> tuple[int, dict[bytes, bytes]]:
    """Status and headers of the answer."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "method": "POST",
        "path": "/events",
        "client": client,
        "headers": [(b"content-type", b"application/json")]
        + [(name.lower().encode(), value.encode()) for name, value in headers],
    }
    await EventsEndpoint(desk.ingest, ErrorAnswers(desk.metrics), 10_000)(visiting(scope), receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])


@pytest.mark.parametrize(
    ("body", "status", "count"),
    [
        (b'[{"event":"a"},{"event":"b","event_id":"x"},{"event":"c"}]', 202, b"2"),
        (b'[{"event":"a"},{}]', 202, b"1"),
        (b'{"event":"a","event_id":"x"}', 202, None),
        (b"[]", 202, None),
        (b"{}", 400, None),
        (b"{", 400, None),
    ],
)
async def test_the_answer_says_how_many_events_came_without_an_id(
    body: bytes, status: int, count: bytes | None
) -> None:
    answered, headers = await post(Desk(), body)
    assert (answered, headers.get(WITHOUT_ID)) == (status, count)
    assert headers[b"content-type"] == b"application/json"


async def test_numbered_events_need_no_id() -> None:
    numbered = ("Streamgauge-Producer", "p"), ("Streamgauge-Sequence", "0")
    assert WITHOUT_ID not in (await post(Desk(), b'{"event":"a"}', *numbered))[1]


async def test_an_answer_without_the_header_is_not_spoilt_by_one_with_it() -> None:
    desk = Desk()
    assert WITHOUT_ID in (await post(desk, b'{"event":"a"}'))[1]
    assert WITHOUT_ID not in (await post(desk, b'{"event":"a","event_id":"x"}'))[1]


@pytest.mark.parametrize(
    ("headers", "client", "properties"),
    [
        ([("User-Agent", PHONE)], (GB, 1), {"device": "mobile", "country": "GB"}),
        ([("User-Agent", PHONE)], None, {"device": "mobile"}),
        ([("User-Agent", PHONE)], ("10.0.0.1", 1), {"device": "mobile"}),
        ([("User-Agent", PHONE), ("X-Forwarded-For", JP)], (GB, 1), {"device": "mobile", "country": "GB"}),
        ([("User-Agent", PHONE), ("X-Forwarded-For", JP)], ("10.0.0.1", 1), {"device": "mobile", "country": "JP"}),
        (
            [("User-Agent", PHONE), ("X-Forwarded-For", US), ("X-Forwarded-For", JP), ("x-forwarded-for", "10.9.9.9")],
            ("10.0.0.1", 1),
            {"device": "mobile", "country": "JP"},
        ),
        ([("User-Agent", "curl/8.5.0"), ("X-Forwarded-For", JP)], ("10.0.0.1", 1), {}),
        ([("X-Forwarded-For", JP)], (GB, 1), {}),
    ],
)
async def test_what_the_request_of_a_browser_tells_is_added_and_no_more(
    headers: list[tuple[str, str]], client: tuple[str, int] | None, properties: dict[str, str]
) -> None:
    desk = Desk(trusted_proxies=("10.0.0.0/8",))
    assert (await post(desk, b'{"event":"a"}', *headers, client=client))[0] == 202
    assert desk.envelopes()[0].properties == properties
    assert not any(text.encode() in desk.log.records[0].value for text in (PHONE, GB, JP, US))
