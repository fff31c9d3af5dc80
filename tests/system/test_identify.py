"""What Segment's identify says of a user: kept whatever happens, and added to that user's events."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

from running import RunningSystem, eventually

CONFIG = """
[profile]
columns = ["plan"]
refresh_s = 0.1

[[rollups]]
name = "plans"
dimensions = ["plan", "event"]
"""


def call(system: RunningSystem, kind: str, **fields: Any) -> str:
    """The id of the message, which is acknowledged."""
    message = {"messageId": str(uuid.uuid4()), **fields}
    answer = system.post(f"/v1/{kind}", json=message)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    return message["messageId"]


def plan_of(data: Path, user: str) -> str | None:
    file = data / "profiles.db"
    if not file.exists():
        return None
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        try:
            found = database.execute("SELECT plan FROM profiles WHERE user_id = ?", (user,)).fetchone()
        except sqlite3.OperationalError:  # there is no table yet
            return None
    return found and found[0]


def test_traits_that_were_acknowledged_reach_the_profile_though_the_system_is_killed(tmp_path: Path) -> None:
    with RunningSystem(tmp_path / "data", config=CONFIG) as system:
        for number in range(20):
            call(system, "identify", userId=f"u{number}", traits={"plan": "pro"})
        system.kill9()
        system.start()
        eventually(lambda: all(plan_of(system.data, f"u{number}") == "pro" for number in range(20)), "20 profiles")
        call(system, "identify", userId="u7", traits={"plan": "team", "email": "u7@shop.example"})
        eventually(lambda: plan_of(system.data, "u7") == "team", "the changed profile")
        eventually(lambda: _has_plan(system, "team"), "events have the changed plan")
        assert system.self_metric("streamgauge_profile_traits_total", outcome="kept") >= 2
        assert system.get("/readyz").json()["stages"]["traits"]["state"] == "ready"


def _has_plan(system: RunningSystem, plan: str) -> bool:
    call(system, "track", userId="u7", event="bought")
    return system.total("plans", plan=plan, event="bought") > 0


def test_a_visitor_who_is_identified_stays_in_one_session(tmp_path: Path) -> None:
    with RunningSystem(tmp_path / "data") as system:
        call(system, "page", anonymousId="a-1", properties={"path": "/"})
        call(system, "identify", anonymousId="a-1", userId="u1", traits={"plan": "pro"})
        last = call(system, "track", anonymousId="a-1", userId="u1", event="bought")
        explained = eventually(lambda: system.get(f"/events/{last}").json().get("occurrences"), "it is stored")
        assert explained[0]["session"]["events"] == 3
        system.kill9()
        system.start()
        last = call(system, "track", anonymousId="a-1", userId="u1", event="left")
        explained = eventually(lambda: system.get(f"/events/{last}").json().get("occurrences"), "it is stored")
        assert explained[0]["session"]["events"] == 4
