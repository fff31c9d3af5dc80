"""The whole system under SIGKILL: what was accepted is counted, once."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import httpx

from running import RunningSystem

_ROUNDS = 6
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
