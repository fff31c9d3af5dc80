from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from running import RunningSystem, eventually

COUNT = """
[[rollups]]
name = "views"
event = "page_view"
dimensions = ["page"]

[[rollups]]
name = "longest"
dimensions = ["page"]
measure = {max = "ms"}
"""
ADDED = """
[[rollups]]
name = "by_country"
dimensions = ["country"]
measure = {sum = "ms"}
"""


def views(first: int, count: int) -> list[dict[str, Any]]:
    return [
        {
            "event": "page_view",
            "event_id": f"e{number}",
            "user_id": f"u{number % 7}",
            "page": f"/{number % 3}",
            "country": ("DE", "FR")[number % 2],
            "ms": number,
        }
        for number in range(first, first + count)
    ]


def groups(system: RunningSystem, name: str, dimension: str) -> dict[str, float]:
    rows = system.get(f"/metrics?name={name}&group_by={dimension}&range=1d").raise_for_status().json()
    return {row[dimension]: row["value"] for row in rows}


def replayed(system: RunningSystem, **wish: str) -> dict[str, Any]:
    answer = system.post("/replays", json={"from": "1970-01-01T00:00:00Z", **wish})
    assert answer.status_code == 202, answer.text

    def done() -> Any:
        state = system.get("/replays").json()["replay"]
        assert state["phase"] != "failed", state
        return state if state["phase"] == "done" else None

    state: dict[str, Any] = eventually(done, "replayed")
    return state


def damage(system: RunningSystem, statement: str) -> None:
    """Change rollups behind the system's back, while it is down. In a process of its own: the engine has one store in
    each."""
    program = (
        "import sys; from streamgauge.store.client import StoreClients;"
        "client = StoreClients(sys.argv[1]).connect({'mutations_sync': 2}); client.command(sys.argv[2]); client.close()"
    )
    url = f"chdb:///{system.data / 'store'}"
    subprocess.run([sys.executable, "-c", program, url, statement], check=True)


def test_a_rollup_that_is_new_in_the_settings_is_backfilled_from_the_log(tmp_path: Path) -> None:
    with RunningSystem(tmp_path / "data", config=COUNT) as system:
        system.send(views(0, 300))
        system.wait_until_counted(300, "views")
        system.stop()
        (tmp_path / "data.toml").write_text(COUNT + ADDED)
        system.start()
        system.send(views(300, 10))
        sums = {"DE": float(sum(range(0, 310, 2))), "FR": float(sum(range(1, 310, 2)))}
        eventually(lambda: groups(system, "by_country", "country") == sums, "backfilled")
        assert groups(system, "views", "page") == {"/0": 104.0, "/1": 103.0, "/2": 103.0}


def test_rollups_are_made_again_as_a_fresh_run_would_make_them_while_events_come(tmp_path: Path) -> None:
    with RunningSystem(tmp_path / "data", config=COUNT) as system:
        system.send(views(0, 300))
        system.send(views(0, 50))  # retries
        system.wait_until_counted(300, "views")
        before = groups(system, "views", "page"), groups(system, "longest", "page")
        system.stop()
        damage(system, "ALTER TABLE metrics DELETE WHERE dimensions['page'] = '/1'")
        damage(system, "INSERT INTO metrics (timestamp, metric_name, value) VALUES (now(), 'views', 1000)")
        damage(system, "ALTER TABLE metrics_extremes DELETE WHERE dimensions['page'] = '/2'")
        system.start()
        assert (groups(system, "views", "page"), groups(system, "longest", "page")) != before
        state = replayed(system)
        assert state["read_events"] == 350
        assert (groups(system, "views", "page"), groups(system, "longest", "page")) == before
        system.send(views(300, 3))
        eventually(lambda: sum(groups(system, "views", "page").values()) == 303, "counted after it")
        replayed(system)
        assert sum(groups(system, "views", "page").values()) == 303


def test_one_rollup_of_a_range_is_made_again_and_the_others_are_left_alone(tmp_path: Path) -> None:
    with RunningSystem(tmp_path / "data", config=COUNT) as system:
        system.send(views(0, 30))
        system.wait_until_counted(30, "views")
        system.stop()
        damage(system, "ALTER TABLE metrics DELETE WHERE true")
        damage(system, "ALTER TABLE metrics_extremes DELETE WHERE true")
        system.start()
        replayed(system, rollup="longest")
        assert groups(system, "longest", "page") == {"/0": 27.0, "/1": 28.0, "/2": 29.0}
        assert groups(system, "views", "page") == {}
        now_s = int(time.time())
        replayed(system, **{"from": str((now_s + 3600) * 1000)})
        assert groups(system, "views", "page") == {}
        replayed(system, rollup="views")
        assert sum(groups(system, "views", "page").values()) == 30


def test_sessions_are_made_again_too(tmp_path: Path) -> None:
    history = "[stream]\nallowed_lateness_ms = 864000000\n"
    with RunningSystem(tmp_path / "data", config=history) as system:
        now_ms = int(time.time() * 1000) - 7_200_000
        times = [0, 60_000, 3_600_000]
        events = [{"event": "page_view", "user_id": "u", "page": "/", "timestamp": now_ms + at_ms} for at_ms in times]
        system.send(events)
        eventually(lambda: groups(system, "sessions", "entry_page") == {"/": 2.0}, "sessions are closed")
        system.stop()
        damage(system, "ALTER TABLE metrics DELETE WHERE true")
        system.start()
        replayed(system)
        assert groups(system, "sessions", "entry_page") == {"/": 2.0}
        assert groups(system, "bounces", "entry_page") == {"/": 1.0}
        assert groups(system, "session_seconds", "entry_page") == {"/": 60.0}


def test_what_was_in_time_when_it_came_is_counted_again_and_what_was_late_is_not_whatever_is_allowed_today(
    tmp_path: Path,
) -> None:
    def lateness(hours: int) -> str:
        return f"{COUNT}\n[stream]\nallowed_lateness_ms = {hours * 3_600_000}\n"

    def old(page: str) -> dict[str, Any]:
        return {"event": "page_view", "user_id": "u", "page": page, "timestamp": int(time.time() * 1000) - 7_200_000}

    with RunningSystem(tmp_path / "data", config=lateness(3)) as system:
        system.send([old("/in-time")])
        for hours in (1, 3):
            system.stop()
            system.reconfigure(lateness(hours))
            system.start()
            system.send([old(f"/{hours}")])
            replayed(system)
            assert groups(system, "views", "page") == (
                {"/in-time": 1.0} if hours == 1 else {"/in-time": 1.0, "/3": 1.0}
            )


def test_a_replay_that_is_cut_off_is_done_at_the_next_start(tmp_path: Path) -> None:
    with RunningSystem(tmp_path / "data", config=COUNT) as system:
        system.send(views(0, 5_000))
        system.wait_until_counted(5_000, "views")
        system.stop()
        damage(system, "ALTER TABLE metrics DELETE WHERE true")
        system.start()
        assert system.post("/replays", json={"from": "0"}).status_code == 202
        system.kill9()
        system.start()
        eventually(lambda: sum(groups(system, "views", "page").values()) == 5_000, "rebuilt")


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"from": "yesterday"}, "invalid_range"),
        ({"from": "0", "to": "0"}, "invalid_range"),
        ({"from": "0", "rollup": "nothing"}, "unknown_metric"),
        ({"to": "0"}, "malformed_body"),
        ({"from": "0", "x": 1}, "malformed_body"),
        ([], "malformed_body"),
    ],
)
def test_what_can_not_be_replayed_is_refused(running_system: RunningSystem, wish: Any, code: str) -> None:
    answer = running_system.post("/replays", json=wish)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
