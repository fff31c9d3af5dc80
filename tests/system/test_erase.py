"""`DELETE /users/{id}` on a running system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from running import RunningSystem, eventually

CONFIG = '[[rollups]]\nname = "by_user"\ndimensions = ["page"]\n'


def counted(system: RunningSystem) -> float:
    return system.total("by_user")


def test_a_person_is_erased_and_a_replay_passes_them_over(tmp_path: Path) -> None:
    with RunningSystem(tmp_path / "data", config=CONFIG) as system:
        profiles = tmp_path / "users.csv"
        profiles.write_text("user_id,plan\n7,pro\n8,free\n", encoding="utf-8")
        command = [sys.executable, "-m", "streamgauge", "profiles", "import", str(profiles), "--data", str(system.data)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        visit = {"event": "page_view", "page": "/"}
        system.send(
            [
                {**visit, "event_id": "v", "anonymous_id": "cookie"},
                {**visit, "event_id": "u", "user_id": 7, "anonymous_id": "cookie"},
                {**visit, "event_id": "o", "user_id": 8},
                {**visit, "event_id": "late", "user_id": 7, "timestamp": "2020-01-01T00:00:00Z"},
            ]
        )
        # At once: what was accepted is erased, counted or not.
        answer = system.client.delete("/users/7")
        assert answer.status_code == 200, answer.text
        assert answer.json()["erased"] == {
            "events": 2,
            "sessions": 1,  # that of the visitor, who became the user
            "duplicates": 0,
            "dead_letter": 1,
            "profiles": 1,
            "anonymous_ids": 1,
        }
        assert {one: system.get(f"/events/{one}").status_code for one in "vuo"} == {"v": 404, "u": 404, "o": 200}
        assert system.get("/dead-letter").json()["letters"] == []
        assert set(system.client.delete("/users/7").json()["erased"].values()) == {0}
        (entry, *_) = system.get("/audit").json()["entries"]
        assert (entry["action"], entry["status"]) == ("DELETE /users/{user_id}", 200)
        assert entry["subject"].removeprefix("user=") != "7"

        assert counted(system) == 3
        system.send([{**visit, "event_id": "back", "user_id": 7}])  # who comes back is counted as anyone
        system.wait_until_counted(4, "by_user")
        assert system.post("/replays", json={"from": "1970-01-01T00:00:00Z"}).status_code == 202

        def done() -> Any:
            return system.get("/replays").json()["replay"]["phase"] == "done"

        eventually(done, "replayed")
        assert counted(system) == 2
        assert system.client.delete("/users/8?anonymous=maybe").status_code == 400
