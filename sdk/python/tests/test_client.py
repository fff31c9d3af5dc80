"""What the client promises to the program that it is in, and what it tells the server."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdk_recorder import Recorder, Reply

from local_cluster.waiting import free_port
from streamgauge_sdk import AsyncClient, Client, Problem
from streamgauge_sdk.http import Failed, Refused, Taken, outcome_of
from streamgauge_sdk.ids import uuid7
from streamgauge_sdk.outbox import Outbox, Waiting


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder() as one:
        yield one


def _client(url: str, **options: Any) -> Client:
    return Client(url, **{"flush_interval_s": 60.0, "retry_s_max": 0.05, "exit_s_max": 0.2, **options})


def test_an_event_has_what_it_was_given_an_id_and_its_time(recorder: Recorder) -> None:
    before_ms = time.time_ns() // 1_000_000
    with _client(recorder.url, properties={"service": "shop", "plan": "free"}) as client:
        client.track("order", {"price": 9.5, "plan": "pro"}, user_id=7, anonymous_id="a")
        client.page("/product", {"title": "A"}, user_id="u")
        client.identify("u", {"plan": "pro"})
        assert client.flush()
        assert client.stats().accepted == 3
    order, page, identify = recorder.requests[0]
    assert order["event"] == "order"
    assert (order["user_id"], order["anonymous_id"], order["price"], order["plan"]) == (7, "a", 9.5, "pro")
    assert before_ms <= order["timestamp"] <= time.time_ns() // 1_000_000
    assert uuid.UUID(order["event_id"]).version == 7
    assert (page["event"], page["page"], page["title"], page["service"]) == ("page_view", "/product", "A", "shop")
    assert (identify["event"], identify["user_id"], identify["traits"]) == ("identify", "u", {"plan": "pro"})
    assert len({event["event_id"] for event in recorder.events}) == 3


def test_the_key_is_sent_and_never_shown(recorder: Recorder) -> None:
    with Client(recorder.url, "secret-key", flush_interval_s=60) as client:
        client.track("e")
        assert client.flush()
        assert "secret-key" not in repr(client.options)
    assert recorder.headers[0]["authorization"] == "Bearer secret-key"


class _Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_whatever_a_program_gives_track_raises_nothing(recorder: Recorder) -> None:
    circle: dict[str, Any] = {}
    circle["self"] = circle
    problems: list[Problem] = []
    zone = timezone(timedelta(hours=2))
    with _client(recorder.url, on_problem=problems.append) as client:
        client.track("e", circle)
        client.track("e", {"x": _Hostile()})
        client.track("e", 5)  # type: ignore[arg-type]
        client.track("e", {"text": "x" * 100_000})
        client.track(None)  # type: ignore[arg-type]
        values = {"nan": float("nan"), "set": {1}, "decimal": Decimal("1.5"), "day": date(2026, 1, 2), "b": b"\xff"}
        client.track("e", values, timestamp=datetime(2026, 1, 1, 12, tzinfo=zone))
        assert client.flush()
        assert client.stats().dropped == {"not_encodable": 3, "too_large": 1}
    assert [problem.code for problem in problems] == ["not_encodable"] * 3 + ["too_large"]
    last = recorder.requests[0][1]
    assert (last["nan"], last["set"], last["decimal"], last["day"]) == (None, [1], "1.5", "2026-01-02")
    assert last["timestamp"] == "2026-01-01T10:00:00+00:00"


def test_what_is_rejected_is_told_with_its_id_and_counted(recorder: Recorder) -> None:
    problems: list[Problem] = []
    rejected = [{"index": 1, "code": "missing_event", "message": "no name"}]
    recorder.replies.append(Reply(202, {"status": "partial", "rejected": rejected, "rejected_count": 2}))

    def on_problem(problem: Problem) -> None:
        problems.append(problem)
        raise RuntimeError("a bug of the program")

    with _client(recorder.url, on_problem=on_problem) as client:
        for number in range(3):
            client.track("e", event_id=f"id-{number}")
        assert client.flush()
        stats = client.stats()
    assert (stats.accepted, stats.rejected, stats.queued) == (1, 2, 0)
    assert [(one.code, one.count, one.event_id) for one in problems] == [
        ("missing_event", 1, "id-1"),
        ("rejected", 1, None),
    ]


def test_a_full_queue_drops_new_events_counts_them_and_tells_the_server_later() -> None:
    port = free_port()
    problems: list[Problem] = []
    with _client(f"http://127.0.0.1:{port}", queue_bytes_max=3_000, on_problem=problems.append) as client:
        for number in range(100):
            client.track("e", {"number": number})
        full = client.stats()
        assert full.queued + full.dropped["queue_full"] == 100
        assert 10 < full.queued < 50
        assert len(problems) == full.dropped["queue_full"]
        with Recorder(port) as recorder:
            assert client.flush()
            client.track("last")
            assert client.flush()
            assert client.stats().accepted == full.queued + 1
        assert [event.get("number") for event in recorder.requests[0]][: full.queued] == list(range(full.queued))
        (report,) = [event for event in recorder.events if event["event"] == "sdk_dropped"]
        assert (report["reason"], report["count"]) == ("queue_full", full.dropped["queue_full"])


@pytest.mark.parametrize("reply", [Reply(0), Reply(503), Reply(429), Reply(404), Reply(401), Reply(302)])
def test_what_may_go_away_is_tried_again_with_the_same_ids(recorder: Recorder, reply: Reply) -> None:
    recorder.replies.extend([reply] * 3)
    with _client(recorder.url) as client:
        client.track("e", event_id="a")
        assert client.flush()
        assert client.stats().retries >= 2
    assert [event["event_id"] for event in recorder.events] == ["a"]


def test_retry_after_is_waited_for(recorder: Recorder) -> None:
    recorder.replies.append(Reply(503, retry_after="0.4"))
    with _client(recorder.url, batch_events_max=1) as client:
        client.track("e")
        recorder.wait_for(1)
    assert recorder.at_s[1] - recorder.at_s[0] >= 0.4


def test_a_batch_that_is_too_large_is_halved_and_an_event_that_is_too_large_dropped() -> None:
    with Recorder(body_bytes_max=1_000) as recorder, _client(recorder.url) as client:
        for number in range(20):
            client.track("e", {"number": number, "text": "x" * (2_000 if number == 7 else 10)})
        assert client.flush()
        assert client.stats().dropped == {"body_too_large": 1}
        assert client.stats().accepted == 19
    numbers = [event["number"] for event in recorder.events if event["event"] == "e"]
    assert sorted(numbers) == [number for number in range(20) if number != 7]


def test_batches_have_at_most_so_many_events_and_go_when_they_are_full(recorder: Recorder) -> None:
    with _client(recorder.url, batch_events_max=10) as client:
        for _ in range(25):
            client.track("e")
        assert client.flush()
    assert all(len(request) <= 10 for request in recorder.requests)
    assert len(recorder.events) == 25


def test_a_few_events_go_after_the_interval(recorder: Recorder) -> None:
    with _client(recorder.url, flush_interval_s=0.1) as client:
        client.track("e")
        client.track("e")
        recorder.wait_for(2)
        assert len(recorder.requests) == 1


def test_closing_ends_in_time_and_counts_what_it_could_not_send() -> None:
    client = _client(f"http://127.0.0.1:{free_port()}", exit_s_max=0.2)
    for _ in range(3):
        client.track("e")
    began_s = time.monotonic()
    assert not client.close()
    assert time.monotonic() - began_s < 5
    client.track("late")
    assert client.stats().dropped == {"closed": 4}
    assert client.stats().queued == 0


def test_flush_gives_up_in_time_and_loses_nothing() -> None:
    port = free_port()
    with _client(f"http://127.0.0.1:{port}") as client:
        client.track("e")
        assert not client.flush(0.1)
        with Recorder(port) as recorder:
            assert client.flush()
            assert len(recorder.events) == 1


async def test_the_asyncio_client_sends_the_same(recorder: Recorder) -> None:
    async with AsyncClient(recorder.url, flush_interval_s=60) as client:
        client.track("e", {"n": 1}, user_id="u")
        client.page("/", user_id="u")
        client.identify("u", {"plan": "pro"})
        assert await client.flush()
        assert client.stats().accepted == 3
    assert [event["event"] for event in recorder.events] == ["e", "page_view", "identify"]


@pytest.mark.parametrize(
    "options", [{"url": "localhost:8080"}, {"url": "ftp://x"}, {"batch_events_max": 0}, {"timeout_s": 0}]
)
def test_settings_that_can_not_be_are_refused_at_the_start(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"url|must be"):
        Client(**options)


def test_ids_are_of_version_7_in_order_of_time_and_never_the_same() -> None:
    ids = [uuid7() for _ in range(10_000)]
    assert len(set(ids)) == 10_000
    found = [uuid.UUID(one) for one in ids]
    assert {(one.version, one.variant) for one in found} == {(7, uuid.RFC_4122)}
    times = [one.int >> 80 for one in found]
    assert times == sorted(times)
    assert abs(times[-1] - time.time() * 1000) < 60_000


@pytest.mark.parametrize(
    ("status", "text", "outcome"),
    [
        (202, b'{"status":"accepted","count":2}', Taken(0, [])),
        (400, b'{"error":{"code":"malformed_body","message":"m"}}', Refused("malformed_body", "m", False)),
        (413, b"<html>", Refused("http_413", "HTTP 413", True)),
        (500, b"", Failed("HTTP 500")),
        (200, b"<html>welcome to this hotel", Failed("HTTP 200")),
        (202, b"\xff", Taken(0, [])),
    ],
)
def test_answers_mean_what_they_say(status: int, text: bytes, outcome: object) -> None:
    assert outcome_of(status, text, None) == outcome


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["rejected", "rejected_count", "error", "index", "code", "message"]), inner)
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(status=st.integers(-1, 700) | st.sampled_from([202, 400, 413, 415]), body=_json, retry_after=st.text())
def test_any_answer_means_something(status: int, body: Any, retry_after: str) -> None:
    outcome = outcome_of(status, json.dumps(body).encode(), retry_after)
    if isinstance(outcome, Taken):
        assert outcome.rejected_count >= 0
        assert all(isinstance(index, int) for index, _, _ in outcome.rejected)
    else:
        assert isinstance(outcome, (Refused, Failed))


def test_an_answer_nested_without_end_means_something() -> None:
    assert isinstance(outcome_of(202, b"[" * 1_000_000, None), Taken)


def test_a_bug_in_the_thread_loses_no_event_and_counts_none_twice(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = _client(recorder.url)
    whole, settle, bugs = client._next_batch, client._settle, ["next", "settled"]

    def next_batch() -> Any:
        if "next" in bugs:
            bugs.remove("next")
            raise ZeroDivisionError
        return whole()

    def settle_and_fail(*counts: Any) -> int:
        found = settle(*counts)
        if "settled" in bugs:
            bugs.remove("settled")
            raise ZeroDivisionError
        return found

    monkeypatch.setattr(client, "_next_batch", next_batch)
    monkeypatch.setattr(client, "_settle", settle_and_fail)
    for number in range(3):
        client.track("e", {"number": number})
        assert client.flush()
    stats = client.stats()
    assert (stats.accepted, dict(stats.dropped), stats.queued) == (3, {}, 0)
    assert [event["number"] for event in recorder.events] == [0, 1, 2]
    client.close()


def test_what_nothing_can_be_done_with_is_dropped_and_counted_once(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = _client(recorder.url, batch_events_max=2)
    deliver = client._deliver

    def fail_for_some(batch: Any) -> None:
        if b"poison" in batch[0].line:
            raise ZeroDivisionError
        deliver(batch)

    monkeypatch.setattr(client, "_deliver", fail_for_some)
    for name in ("poison", "beside", "after"):
        client.track(name)
    assert client.flush()
    stats = client.stats()
    assert (stats.accepted, dict(stats.dropped), stats.queued) == (1, {"failed": 2}, 0)
    client.close()


def test_a_key_that_no_header_can_have_ends_no_thread() -> None:
    with _client("http://127.0.0.1:1", write_key="a\nb") as client:
        client.track("e")
        assert not client.flush(0.1)
        assert client.stats().queued == 1


@settings(deadline=None)
@given(st.lists(st.integers(1, 30) | st.tuples(st.integers(1, 5), st.integers(1, 60)), max_size=40))
def test_the_queue_is_a_list_with_a_limit(steps: list[Any]) -> None:
    outbox, naive = Outbox(100), list[bytes]()
    for step in steps:
        if isinstance(step, int):
            line = b"x" * step
            fits = sum(map(len, naive)) + step <= 100
            assert outbox.add(Waiting(line, 0.0)) is fits
            naive += [line] if fits else []
        else:
            count_max, bytes_max = step
            first = [one.line for one in outbox.first(count_max, bytes_max)]
            assert first == naive[: len(first)]
            assert len(first) <= count_max
            assert bool(first) is bool(naive)
            assert len(first) <= 1 or sum(map(len, first)) + len(first) <= bytes_max
            outbox.settle(len(first))
            naive = naive[len(first) :]
        assert (len(outbox), outbox.bytes) == (len(naive), sum(map(len, naive)))
        assert outbox.added - outbox.settled == len(naive)
