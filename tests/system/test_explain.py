"""Any event id can be looked up: in a real server, by HTTP and by the command that users type."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from running import RunningSystem, eventually
from streamgauge.model import HOUR_MS, MINUTE_MS


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def asked(system: RunningSystem, event_id: str) -> httpx.Response:
    return system.get(f"/events/{quote(event_id, safe='')}")


def explained(system: RunningSystem, event_id: str) -> list[dict[str, Any]]:
    """The occurrences, as soon as all that was sent is processed."""
    system.wait_until_idle()
    answer = eventually(
        lambda: (found := asked(system, event_id)).status_code == 200 and found, f"{event_id!r} is known"
    )
    assert answer.json()["event_id"] == event_id
    return list(answer.json()["occurrences"])


def run(system: RunningSystem, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streamgauge", "explain", "--url", system.url(), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_counted_event_says_where_it_is_in_the_log_in_which_windows_and_in_which_session(
    running_system: RunningSystem,
) -> None:
    own = {"user_id": "explained", "country": "NZ", "device": "tv"}
    at_ms = now_ms() - MINUTE_MS
    running_system.send(
        [
            {"event": "page_view", "event_id": "explained-1", "timestamp": at_ms, "page": "/x", "n": 1.5, **own},
            {"event": "page_view", "event_id": "explained-2", "timestamp": at_ms + 1_000, "page": "/y", **own},
        ]
    )
    (one,) = explained(running_system, "explained-1")
    assert (one["status"], one["stored"], one["event"], one["user_id"]) == ("counted", True, "page_view", "explained")
    assert one["properties"] == {"page": "/x", "n": 1.5, "country": "NZ", "device": "tv"}
    assert (one["anonymous_id"], one["enriched"]) == (None, {})
    assert one["partition"] in range(4)
    assert one["offset"] >= 0
    panes = {pane["metric"]: pane for pane in one["counted_in"]}
    assert panes["page_views"]["dimensions"] == {"country": "NZ", "device": "tv", "page": "/x"}
    assert panes["events"]["dimensions"] == {"event": "page_view", "country": "NZ", "device": "tv"}
    assert {pane["value"] for pane in panes.values()} == {1.0}
    # The pane that is named is one that a question finds.
    window = {"from": panes["page_views"]["start"], "to": panes["page_views"]["end"]}
    answer = running_system.get("/metrics", params={"name": "page_views", "country": "NZ", "page": "/x", **window})
    assert sum(point["value"] for point in answer.json()) == 1
    session = one["session"]
    assert (session["events"], session["page_views"], session["bounced"], session["open"]) == (2, 2, False, True)
    assert session["started_at"] == one["timestamp"] == session["opened_at"]


def test_a_duplicate_names_what_it_repeats(running_system: RunningSystem) -> None:
    running_system.send([{"event": "e", "event_id": "twice", "user_id": 1}])
    running_system.send([{"event": "e", "event_id": "twice", "user_id": 1}])
    first, second = explained(running_system, "twice")
    assert (first["status"], second["status"]) == ("counted", "duplicate")
    assert second["duplicate_of"] == {name: first[name] for name in ("received_at", "partition", "offset")}
    assert second["offset"] > first["offset"]


def test_an_id_that_many_users_have_is_counted_once_for_each(running_system: RunningSystem) -> None:
    events = [{"event": "e", "event_id": "shared", "user_id": str(user)} for user in range(40)]
    running_system.send(events + events[:3])
    found = explained(running_system, "shared")
    assert [one["status"] for one in found].count("counted") == 40
    assert [one["status"] for one in found].count("duplicate") == 3


@pytest.mark.parametrize(
    ("event_id", "shift_ms", "status"),
    [("too late", -25 * HOUR_MS, "too_late"), ("too early", 10 * MINUTE_MS, "too_far_ahead")],
)
def test_an_event_out_of_its_time_says_why_it_was_not_counted(
    running_system: RunningSystem, event_id: str, shift_ms: int, status: str
) -> None:
    event = {"event": "e", "event_id": event_id, "timestamp": now_ms() + shift_ms, "n": 1}
    running_system.send([event])
    (one,) = explained(running_system, event_id)
    assert (one["status"], one["reason"]) == (status, status)
    assert "are allowed" in one["message"]
    assert httpx.Response(200, text=one["original"]).json() == event


def test_a_rejected_item_is_found_by_the_id_that_it_gave_itself(running_system: RunningSystem) -> None:
    assert running_system.post("/events", json=[{"event_id": "nameless"}]).status_code == 400
    (one,) = explained(running_system, "nameless")
    assert (one["status"], one["reason"], one["original"]) == ("rejected", "missing_event", '{"event_id":"nameless"}')
    assert explained(running_system, one["event_id"]) == [one]


@pytest.mark.parametrize(
    "event_id",
    [
        "a/b",
        "/a",
        "a/",
        "a//b",
        "ü😀",
        "a b",
        "50%",
        "%2F",
        "?q=1#f",
        "'; DROP TABLE events; --",
        "..",
        "\\\t",
        "i" * 256,
    ],
)
def test_any_text_can_be_an_id(running_system: RunningSystem, event_id: str) -> None:
    running_system.send([{"event": "any id", "event_id": event_id}])
    if event_id == "..":  # clients resolve such a segment unless each dot is escaped
        running_system.wait_until_idle()
        assert eventually(lambda: running_system.get("/events/%2E%2E").status_code == 200, "found")
    else:
        assert explained(running_system, event_id)[0]["event"] == "any id"
    done = run(running_system, "--", event_id)
    assert (done.returncode, done.stderr) == (0, "")
    assert "counted in events" in done.stdout


def test_an_id_with_slashes_may_stand_in_the_path_as_it_is(running_system: RunningSystem) -> None:
    running_system.send([{"event": "any id", "event_id": "orders/2026/1"}])
    explained(running_system, "orders/2026/1")
    assert running_system.get("/events/orders/2026/1").status_code == 200


def test_an_unknown_id_is_not_found(running_system: RunningSystem) -> None:
    running_system.wait_until_idle()
    answer = asked(running_system, "never sent")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "not_found")
    assert "'never sent'" in error["message"]
    assert "older than retention" in error["message"]
    done = run(running_system, "never sent")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no event with the id 'never sent' is known" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_answer_says_how_fresh_it_is(running_system: RunningSystem) -> None:
    running_system.send([{"event": "e", "event_id": "fresh"}])
    explained(running_system, "fresh")
    headers = asked(running_system, "fresh").headers
    assert {"streamgauge-complete-up-to", "streamgauge-lag-ms"} <= headers.keys()
    assert headers["cache-control"] == "no-store"


def test_events_are_still_sent_where_they_were_and_ids_are_only_asked(running_system: RunningSystem) -> None:
    assert running_system.get("/events").status_code == 405
    assert running_system.post("/events/", json={"event": "e"}).status_code == 202
    assert running_system.post("/events/x", json={"event": "e"}).status_code == 405
    paths = running_system.get("/openapi.json").json()["paths"]
    assert {"post"} == paths["/events"].keys()
    assert [one["name"] for one in paths["/events/{event_id}"]["get"]["parameters"]] == ["event_id"]


def test_the_command_explains_every_kind_of_occurrence(running_system: RunningSystem) -> None:
    shop = {"event": "order", "event_id": "told", "user_id": "told", "plan": "pro"}
    running_system.send([shop, shop])
    explained(running_system, "told")
    output = run(running_system, "told").stdout
    assert "told: received 2 times" in output
    assert all(word in output for word in ("counted", "duplicate", "repeats", "session", '"plan":"pro"', "partition"))


def test_the_command_says_that_no_server_is_there() -> None:
    command = [sys.executable, "-m", "streamgauge", "explain", "x", "--url", "http://127.0.0.1:9"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no server answers" in done.stderr


def test_what_a_profile_added_is_told(tmp_path: Path) -> None:
    profiles = tmp_path / "users.csv"
    profiles.write_text("user_id,plan\nu,pro\n")
    data = tmp_path / "data"
    command = [sys.executable, "-m", "streamgauge", "profiles", "import", str(profiles), "--data", str(data)]
    imported = subprocess.run(command, capture_output=True, text=True, check=False)
    assert imported.returncode == 0, imported.stderr
    config = '[[rollups]]\nname = "plans"\ndimensions = ["plan"]\n'
    with RunningSystem(data, config=config) as system:
        eventually(lambda: system.self_metric("streamgauge_stream_profiles") == 1, "the profile is loaded")
        system.send([{"event": "e", "event_id": "e", "user_id": "u"}])
        (one,) = explained(system, "e")
        assert one["enriched"] == {"plan": "pro"}
        assert one["counted_in"][0]["dimensions"] == {"plan": "pro"}
