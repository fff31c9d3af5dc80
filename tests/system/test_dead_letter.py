"""Nothing is dropped in silence: dead letters are listed, counted, and replayed so that each event is counted once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from running import RunningSystem, eventually
from streamgauge.model import HOUR_MS

CONFIG = "[stream]\nfuture_ms_max = 1000\n"


@pytest.fixture
def system(tmp_path: Path) -> Iterator[RunningSystem]:
    with RunningSystem(tmp_path / "data", config=CONFIG) as running:
        yield running
        assert "Traceback" not in running.output


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def run(system: RunningSystem, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "streamgauge", "dead-letter", *arguments, "--url", system.url()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def send_late(system: RunningSystem, count: int, **fields: Any) -> None:
    at_ms = now_ms() - 25 * HOUR_MS
    system.send(
        [
            {"event": "late", "user_id": n % 7, "timestamp": at_ms + n, "event_id": f"l{n}", **fields}
            for n in range(count)
        ]
    )
    wait_for_letters(system, count)


def wait_for_letters(system: RunningSystem, count: int) -> None:
    def counted() -> bool:
        return sum(one["count"] for one in system.get("/dead-letter/counts").json()) == count

    eventually(counted, f"{count} dead letters")


def statuses(system: RunningSystem, event_id: str) -> list[str]:
    return [one["status"] for one in system.get(f"/events/{event_id}").json()["occurrences"]]


def test_letters_are_listed_in_pages_and_counted_by_reason(system: RunningSystem) -> None:
    send_late(system, 5)
    system.post("/events", json=[{"no": "name"}, 7])
    wait_for_letters(system, 7)
    assert {one["reason"]: one["count"] for one in system.get("/dead-letter/counts").json()} == {
        "too_late": 5,
        "missing_event": 1,
        "not_an_object": 1,
    }
    found: list[dict[str, Any]] = []
    after = ""
    while after is not None:
        page = system.get("/dead-letter", params={"limit": 3, "after": after}).json()
        found += page["letters"]
        after = page["after"]
    assert len({(one["partition"], one["offset"]) for one in found}) == len(found) == 7
    assert [one["received_at"] for one in found] == sorted([one["received_at"] for one in found], reverse=True)
    late = system.get("/dead-letter", params={"reason": "too_late"}).json()["letters"]
    assert {one["event_id"] for one in late} == {f"l{n}" for n in range(5)}
    assert json.loads(late[0]["original"])["event"] == "late"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid_request"),
        ("from=x", "invalid_range"),
        ("what=1", "unknown_parameter"),
        ("after=x", "invalid_request"),
    ],
)
def test_what_can_not_be_asked_is_refused_in_the_usual_shape(
    running_system: RunningSystem, query: str, code: str
) -> None:
    answer = running_system.get(f"/dead-letter?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert answer.json()["error"].keys() == {"code", "message", "hint"}


def test_the_command_lists_letters_for_people_and_for_programs(system: RunningSystem) -> None:
    assert "there are no such dead letters" in run(system, "list")
    send_late(system, 3)
    system.post("/events", json=[{"no": "name"}])
    wait_for_letters(system, 4)
    output = run(system, "list", "--limit", "2")
    assert "4 dead letters, the newest 2 above" in output
    assert "missing_event" in output
    lines = run(system, "list", "--json", "--reason", "too_late", "--since", "1h").splitlines()
    assert {json.loads(line)["event_id"] for line in lines} == {"l0", "l1", "l2"}
    assert "not a duration" in run(system, "list", "--since", "soon", code=1)


def test_late_events_are_replayed_once_however_often_and_however_soon_that_is_done(system: RunningSystem) -> None:
    send_late(system, 600)
    assert "would replay 600 events" in run(system, "replay", "--dry-run")
    # The second replay comes before the stream can have counted the first: then the ids are recognised.
    assert "replayed 600 events" in run(system, "replay")
    run(system, "replay")
    system.wait_until_counted(600)
    system.wait_until_idle()
    assert system.total() == 600
    output = run(system, "replay")
    assert "replayed 0 events" in output
    assert "already counted  600" in output
    system.wait_until_idle()
    assert system.total() == 600
    assert statuses(system, "l3")[:2] == ["too_late", "counted"]
    (counted,) = [one for one in system.get("/events/l3").json()["occurrences"] if one["status"] == "counted"]
    assert counted["user_id"] == "3"
    assert counted["counted_in"][0]["metric"] == "events"


def test_one_letter_is_replayed_by_its_id_and_others_by_their_reason(system: RunningSystem) -> None:
    send_late(system, 3)
    assert "replayed 1 event" in run(system, "replay", "--event-id", "l1")
    system.wait_until_counted(1)
    assert "there are no such dead letters" in run(system, "replay", "--reason", "malformed")
    assert "replayed 2 events" in run(system, "replay", "--reason", "too_late")
    system.wait_until_counted(3)


def test_letters_of_one_event_that_came_late_several_times_are_one_event(system: RunningSystem) -> None:
    for round_number in range(1, 4):
        system.send([{"event": "late", "event_id": "again", "timestamp": now_ms() - 25 * HOUR_MS}])
        wait_for_letters(system, round_number)
    output = run(system, "replay")
    assert "replayed 1 event" in output
    assert "repeated         2" in output
    system.wait_until_counted(1)
    system.wait_until_idle()
    assert system.total() == 1


def test_what_is_still_wrong_is_rejected_again_with_its_reason_and_is_not_multiplied(system: RunningSystem) -> None:
    body = b'{"user_id":1}\n{"event":"e","timestamp":"no time"}\nnot json\n[1]\n{"event":"e","event_id":"good"}'
    answer = system.post("/events", content=body, headers={"Content-Type": "application/x-ndjson"})
    assert answer.json()["rejected_count"] == 4
    wait_for_letters(system, 4)
    for letters in (6, 8):
        output = run(system, "replay", code=1)
        assert "replayed 0 events" in output
        assert "rejected again   2: invalid_timestamp 1, missing_event 1" in output
        assert "not replayable   2" in output
        wait_for_letters(system, letters)
    assert system.total() == 1


def test_an_event_ahead_of_its_time_is_replayed_when_its_time_has_come(system: RunningSystem) -> None:
    time_ms = now_ms() + 4_000
    system.send([{"event": "soon", "event_id": "soon", "timestamp": time_ms}])
    wait_for_letters(system, 1)
    output = run(system, "replay")
    assert now_ms() > time_ms or "refused until their time has come" in output
    eventually(lambda: now_ms() > time_ms, "its time has come")
    run(system, "replay")
    system.wait_until_counted(1, event="soon")
    system.wait_until_idle()
    assert system.total() == 1


def test_limits_that_were_raised_let_rejected_events_in_under_their_own_id_or_that_of_the_letter(
    tmp_path: Path,
) -> None:
    strict = "[ingest]\nproperties_max = 1\n"
    with RunningSystem(tmp_path / "data", config=strict) as system:
        body = [{"event": "big", "a": 1, "b": 2, "event_id": "mine"}, {"event": "big", "a": 1, "b": 2}]
        assert system.post("/events", json=body).status_code == 400
        wait_for_letters(system, 2)
        letters = system.get("/dead-letter").json()["letters"]
        assert system.stop() == 0
        (tmp_path / "data.toml").write_text("")
        system.start()
        assert "replayed 2 events" in run(system, "replay", "--reason", "too_many_properties")
        system.wait_until_counted(2)
        system.wait_until_idle()
        nameless = next(one for one in letters if one["replay_as"] != "mine")
        assert statuses(system, "mine") == ["rejected", "counted"]
        assert statuses(system, nameless["event_id"]) == ["rejected", "counted"]
        counted = system.get("/events/mine").json()["occurrences"][1]
        received_at = next(one["received_at"] for one in letters if one["replay_as"] == "mine")
        assert counted["timestamp"] == received_at, "an event without a time has that of its receipt"
        run(system, "replay")
        system.wait_until_idle()
        assert system.total() == 2


def test_the_command_says_that_no_server_is_there() -> None:
    for action in ("list", "replay"):
        command = [sys.executable, "-m", "streamgauge", "dead-letter", action, "--url", "http://127.0.0.1:9"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "no server answers" in done.stderr
