"""The whole system under SIGKILL: what was accepted is counted, once."""

from __future__ import annotations

import random
import time
from pathlib import Path

from clients import BATCH, NumberedClient, RetryingClient
from running import RunningSystem

_ROUNDS = 10


def test_every_acknowledged_event_is_counted_exactly_once_however_often_the_system_is_killed(tmp_path: Path) -> None:
    rng = random.Random(20_261)
    with RunningSystem(tmp_path / "data") as system, NumberedClient(system.url()) as client:
        for _ in range(_ROUNDS):
            goal = client.acknowledged + rng.randrange(BATCH, 3_000)
            while client.acknowledged < goal:
                assert system.is_running, system.output
            system.kill9()
            system.start()
        client.__exit__()
        system.wait_until_counted(client.acknowledged)
        system.wait_until_idle()
        assert system.total() == client.acknowledged
        assert system.stop() == 0
        system.start()
        assert system.total() == client.acknowledged


def test_retries_by_event_id_are_counted_once_and_sessions_are_whole_however_often_the_system_is_killed(
    tmp_path: Path,
) -> None:
    rng = random.Random(20_263)
    with RunningSystem(tmp_path / "data") as system, RetryingClient(system.url()) as client:
        for _ in range(_ROUNDS):
            goal = client.acknowledged + rng.randrange(BATCH, 2_000)
            while client.acknowledged < goal:
                assert system.is_running, system.output
            system.kill9()
            if rng.random() < 0.3:
                system.spawn()  # killed again before it is ready
                time.sleep(rng.random())
                system.kill9()
            system.start()
        client.__exit__()
        system.wait_until_idle()
        counted = system.total()
        assert counted == client.acknowledged
        system.wait_until_counted(97, "sessions")
        # The events of one of the 97 users are 97 ms apart.
        assert round(system.total("session_seconds"), 3) == round((counted - 97) * 0.097, 3)
        explained = system.get("/events/id-0").json()["occurrences"]
        assert [one["status"] for one in explained].count("counted") == 1
        assert system.stop() == 0
        system.start()
        assert (system.total(), system.total("sessions")) == (counted, 97)
