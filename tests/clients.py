"""Clients that don't give up: they send until they are answered, whatever happens to the server."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import httpx

BATCH: Final = 50
_LAST_ANSWER_S_MAX: Final = 30.0
_PAUSE_S: Final = 0.02


class _Client:
    """Sends batch after batch, each until it is answered; `acknowledged` events were. It ends with an answer, so that
    nothing was sent that may have been taken or not."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._is_answered = True
        self.acknowledged = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_LAST_ANSWER_S_MAX)
        assert not self._thread.is_alive(), "the last batch is not answered"

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, trust_env=False, timeout=10) as client:
            while not self._stop.is_set() or not self._is_answered:
                self._is_answered = self._send(client)
                if self._is_answered and (self._goes_on() or self._stop.is_set()):
                    self.acknowledged += BATCH
                elif not self._is_answered:
                    time.sleep(_PAUSE_S)

    def _send(self, client: httpx.Client) -> bool:
        numbers = range(self.acknowledged, self.acknowledged + BATCH)
        try:
            return client.post("/events", json=self._events(numbers), headers=self._headers()).status_code == 202
        except httpx.TransportError:
            return False

    def _goes_on(self) -> bool:
        """To the next batch, after an answer."""
        return True

    def _headers(self) -> Mapping[str, str]:
        return {}

    def _events(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        raise NotImplementedError


class NumberedClient(_Client):
    """Sends a numbered sequence."""

    def _headers(self) -> Mapping[str, str]:
        return {"Streamgauge-Producer": "kill-test", "Streamgauge-Sequence": str(self.acknowledged)}

    def _events(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        return [{"event": "numbered", "user_id": n % 97, "country": f"C{n % 7}"} for n in numbers]


class RetryingClient(_Client):
    """Sends events with ids and no numbers, as any client does; one batch in ten that was answered is sent again. All
    events of a user are one session of an hour ago, which each batch opens and closes."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._random = random.Random(20_262)
        self._start_ms = int(time.time() * 1000) - 3_600_000

    def _goes_on(self) -> bool:
        return self._random.random() > 0.1

    def _events(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        return [
            {
                "event": "page_view",
                "event_id": f"id-{number}",
                "user_id": f"u{number % 97}",
                "timestamp": self._start_ms + number,
                "page": f"/{number % 5}",
            }
            for number in numbers
        ]


class BalancedClient(RetryingClient):
    """Sends through several replicas in turns, as a load balancer does that asks each whether it is ready. `failures`:
    what went wrong nevertheless."""

    def __init__(self, urls: Sequence[str]) -> None:
        super().__init__(urls[0])
        self._replicas = Replicas(urls)
        self.failures: list[str] = []

    def _send(self, client: httpx.Client) -> bool:
        numbers = range(self.acknowledged, self.acknowledged + BATCH)
        url = self._replicas.ready(client)
        if url is None:
            self.failures.append("no replica is ready")
            return False
        try:
            answer = client.post(f"{url}/events", json=self._events(numbers))
        except httpx.TransportError as error:
            self.failures.append(f"{url}: {error!r}")
            return False
        if answer.status_code != 202:
            self.failures.append(f"{url}: {answer.status_code} {answer.text}")
        return answer.status_code == 202


class Asker:
    """Asks the same question again and again, of each replica that is ready in turns."""

    def __init__(self, urls: Sequence[str], path: str) -> None:
        self._replicas, self._path = Replicas(urls), path
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.answered = 0
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_LAST_ANSWER_S_MAX)
        assert not self._thread.is_alive(), "the last question is not answered"

    def _run(self) -> None:
        with httpx.Client(trust_env=False, timeout=10) as client:
            while not self._stop.wait(_PAUSE_S):
                url = self._replicas.ready(client)
                try:
                    answer = client.get(f"{url}{self._path}")
                except (httpx.TransportError, httpx.UnsupportedProtocol) as error:
                    self.failures.append(f"{url}: {error!r}")
                    continue
                self.answered += answer.status_code == 200
                if answer.status_code != 200:
                    self.failures.append(f"{url}: {answer.status_code} {answer.text}")


class Replicas:
    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = list(urls)

    def ready(self, client: httpx.Client) -> str | None:
        """One that says it is, another one than before where there are several."""
        for _ in self._urls:
            url = self._urls.pop(0)
            self._urls.append(url)
            with contextlib.suppress(httpx.TransportError):
                if client.get(f"{url}/readyz").status_code == 200:
                    return url
        return None
