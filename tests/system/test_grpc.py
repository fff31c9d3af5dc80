"""gRPC in a whole running system: what comes in by it is what would have come in by REST."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from grpc_client import Client, each, request_with
from running import RunningSystem

_RECEIPT = ("received_at", "newest_at", "offset")  # offsets: rejected events have ids, and so partitions, by chance
_ALL_TIME = {"from": "0", "to": "4102444740000"}


def _events() -> list[dict[str, Any]]:
    """Of several windows, users and kinds, some bad, some late, some of them twice."""
    rng = random.Random(20_264)
    now_ms = int(time.time() * 1000) - 3_600_000
    events: list[dict[str, Any]] = [
        {
            "event": rng.choice(["page_view", "request", "purchase"]),
            "event_id": f"u-{number}",
            "user_id": f"u{number % 7}",
            "timestamp": now_ms + number * 1_000,
            "page": rng.choice(["/", "/a", None, 5, 2.5, True]),
            "country": rng.choice(["US", "DE", ""]),
            "n": 2**53 + number,
            "nested": {"list": [1, 2.0, None, {"deep": "\u00e9"}]},
            "user_agent": rng.choice(["", "Mozilla/5.0 (iPhone)"]),
        }
        for number in range(300)
    ]
    events += [{"no": "name"}, {"event": "e", "user_id": 1.5}, {"event": "old", "timestamp": 1_000}]
    return events + events[:20]


def _rows(system: RunningSystem) -> Any:
    """What each event became, the totals of metrics and of dead letters."""
    explained = [system.get(f"/events/u-{number}").json() for number in range(0, 300, 10)]
    answers = [
        system.get("/metrics", params={"name": name, "group_by": dimension, **_ALL_TIME}).json()
        for name, dimension in (
            ("events", "country"),
            ("page_views", "page"),
            ("events", "device"),
            ("sessions", "device"),
        )
    ]
    return _without_receipt((explained, answers, system.get("/dead-letter/counts").json()))


def _without_receipt(value: Any) -> Any:
    """When and where it was received is all that the two runs may differ in."""
    if isinstance(value, dict):
        return {name: _without_receipt(part) for name, part in value.items() if name not in _RECEIPT}
    return [_without_receipt(part) for part in value] if isinstance(value, list | tuple) else value


async def test_the_same_events_by_rest_and_by_grpc_give_the_same_rows(tmp_path: Path) -> None:
    events = _events()
    with RunningSystem(tmp_path / "rest") as rest, RunningSystem(tmp_path / "grpc") as other:
        answer = rest.post("/events", json=events).json()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{other.grpc_port}") as channel:
            response = await Client(channel).send(request_with(events))
        assert [(bad.index, bad.code) for bad in response.rejected] == [
            (bad["index"], bad["code"]) for bad in answer["rejected"]
        ]
        assert (response.count, response.rejected_count) == (answer["count"], answer["rejected_count"])
        for system in (rest, other):
            system.wait_until_counted(300)
            system.wait_until_idle()
        assert _rows(other) == _rows(rest)
        assert other.get("/readyz").json()["stages"]["grpc"]["state"] == "ready"
        assert other.self_metric("streamgauge_grpc_events_total", outcome="accepted") == response.count
        assert (rest.stop(), other.stop()) == (0, 0)


async def test_a_stop_answers_what_a_stream_has_sent_and_counts_it(tmp_path: Path) -> None:
    with RunningSystem(tmp_path / "data") as system:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{system.grpc_port}") as channel:
            acknowledged = 0
            call = Client(channel).stream(each(request_with([{"event": "e"}] * 50) for _ in range(100_000)))
            with pytest.raises(grpc.aio.AioRpcError) as ended:  # noqa: PT012 - the stop comes in between
                async for answer in call:
                    if acknowledged == 0:
                        import signal

                        system.signal(signal.SIGTERM)
                    acknowledged += answer.count
            # INTERNAL is the client's own word, where it was sending when the stream ended.
            assert ended.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL)
        assert system.wait() == 0
        assert "Traceback" not in system.output
        system.start()
        assert system.total() >= acknowledged > 0
