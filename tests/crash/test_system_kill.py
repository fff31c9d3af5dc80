"""The whole system under SIGKILL: what was accepted is counted, once."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import httpx

from running import RunningSystem

_ROUNDS = 6
_RETRYING_ROUNDS = 10
_BATCH = 50


class NumberedClient:
    """Sends a numbered sequence, each batch until it is answered, whatever happens to the server."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.acknowledged = 0

    def __enter__(self) -> NumberedClient:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, trust_env=False, timeout=10) as client:
            while not self._stop.is_set():
                if self._send(client):
                    self.acknowledged += _BATCH
                else:
                    self._stop.wait(0.02)

    def _send(self, client: httpx.Client) -> bool:
        numbers = range(self.acknowledged, self.acknowledged + _BATCH)
        headers = {"Streamgauge-Producer": "kill-test", "Streamgauge-Sequence": str(self.acknowledged)}
        events = [{"event": "numbered", "user_id": n % 97, "country": f"C{n % 7}"} for n in numbers]
        try:
            return client.post("/events", json=events, headers=headers).status_code == 202
        except httpx.TransportError:
            return False


def test_every_acknowledged_event_is_counted_exactly_once_however_often_the_system_is_killed(tmp_path: Path) -> None:
    rng = random.Random(20_261)
    with RunningSystem(tmp_path / "data") as system, NumberedClient(system.url()) as client:
        for _ in range(_ROUNDS):
            goal = client.acknowledged + rng.randrange(_BATCH, 3_000)
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


class RetryingClient:
    """Sends events with ids and no numbers, as any client does: a batch that isn't answered is sent again, and one in
    ten that was is too. All events of a user are one session of an hour ago, which each batch opens and closes."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._random = random.Random(20_262)
        self._start_ms = int(time.time() * 1000) - 3_600_000
        self.acknowledged = 0

    def __enter__(self) -> RetryingClient:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, trust_env=False, timeout=10) as client:
            while not self._stop.is_set():
                if not self._send(client):
                    self._stop.wait(0.02)
                elif self._random.random() > 0.1:
                    self.acknowledged += _BATCH

    def _send(self, client: httpx.Client) -> bool:
        events = [
            {
                "event": "page_view",
                "event_id": f"id-{number}",
                "user_id": f"u{number % 97}",
                "timestamp": self._start_ms + number,
                "page": f"/{number % 5}",
            }
            for number in range(self.acknowledged, self.acknowledged + _BATCH)
        ]
        try:
            return client.post("/events", json=events).status_code == 202
        except httpx.TransportError:
            return False


def test_retries_by_event_id_are_counted_once_and_sessions_are_whole_however_often_the_system_is_killed(
    tmp_path: Path,
) -> None:
    rng = random.Random(20_263)
    with RunningSystem(tmp_path / "data") as system, RetryingClient(system.url()) as client:
        for _ in range(_RETRYING_ROUNDS):
            goal = client.acknowledged + rng.randrange(_BATCH, 2_000)
            while client.acknowledged < goal:
                assert system.is_running, system.output
            system.kill9()
            if rng.random() < 0.3:
                system.spawn()  # killed again before it is ready
                time.sleep(rng.random())
                system.kill9()
            system.start()
        client.__exit__()
        sent = client.acknowledged + _BATCH  # the last batch may have been taken without an answer
        system.wait_until_idle()
        counted = system.total()
        assert counted in (client.acknowledged, sent)
        system.wait_until_counted(97, "sessions")
        # The events of one of the 97 users are 97 ms apart.
        assert round(system.total("session_seconds"), 3) == round((counted - 97) * 0.097, 3)
        explained = system.get("/events/id-0").json()["occurrences"]
        assert [one["status"] for one in explained].count("counted") == 1
        assert system.stop() == 0
        system.start()
        assert (system.total(), system.total("sessions")) == (counted, 97)
