"""Clients that don't give up: they send until they are answered, whatever happens to the server."""

from __future__ import annotations

import random
import threading
import time
from typing import Final

import httpx

BATCH: Final = 50


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
                    self.acknowledged += BATCH
                else:
                    self._stop.wait(0.02)

    def _send(self, client: httpx.Client) -> bool:
        numbers = range(self.acknowledged, self.acknowledged + BATCH)
        headers = {"Streamgauge-Producer": "kill-test", "Streamgauge-Sequence": str(self.acknowledged)}
        events = [{"event": "numbered", "user_id": n % 97, "country": f"C{n % 7}"} for n in numbers]
        try:
            return client.post("/events", json=events, headers=headers).status_code == 202
        except httpx.TransportError:
            return False


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
                    self.acknowledged += BATCH

    def _send(self, client: httpx.Client) -> bool:
        events = [
            {
                "event": "page_view",
                "event_id": f"id-{number}",
                "user_id": f"u{number % 97}",
                "timestamp": self._start_ms + number,
                "page": f"/{number % 5}",
            }
            for number in range(self.acknowledged, self.acknowledged + BATCH)
        ]
        try:
            return client.post("/events", json=events).status_code == 202
        except httpx.TransportError:
            return False
