"""A load generator for `POST /events`: prebuilt bodies over keep-alive connections, as little work a request as Python
allows, in a process of its own so that what it takes from the machine can be told apart."""

from __future__ import annotations

import json
import random
import select
import socket
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Final

_PAGES = [f"/product/{number}" for number in range(180)] + ["/", "/cart", "/checkout", "/search", "/about"]
_COUNTRIES = ["US", "DE", "GB", "FR", "IN", "BR", "JP", "CA", "NL", "ES", "IT", "SE", "PL", "MX", "KR"]
_REFERRERS = ["https://www.google.com/", "https://news.ycombinator.com/", "https://t.co/", "https://duckduckgo.com/"]


_ID: Final = b"%020d"
"""What stands for the number of an event id in a body, until it is sent."""


def bodies(count: int, batch_events: int, seed: int = 7, *, with_ids: bool = False) -> list[bytes]:
    """Arrays of page views of about 235 bytes each: 15 countries, 3 devices, 185 pages, 100,000 users; `with_ids`, each
    has a place for an event id of 36 characters besides."""
    rng = random.Random(seed)
    now = datetime.now(UTC)
    made = []
    for _ in range(count):
        events = [_event(rng, now) for _ in range(batch_events)]
        if with_ids:
            events = [event | {"event_id": f"0b6f8d4e-5c2a-4f{_ID.decode()}"} for event in events]
        made.append(json.dumps(events).encode())
    return made


class Requests:
    """Whole requests, one after the other, for ever. With ids, no id comes twice, but for every `repeat_each`th
    request, which is one of before: a retry."""

    def __init__(self, batch_events: int, repeat_each: int) -> None:
        self._batch_events = batch_events
        self._repeat_each = repeat_each
        self._bodies = bodies(600, batch_events, with_ids=bool(repeat_each))
        self._sent = 0
        self._first_id = time.time_ns()
        if not repeat_each:
            self._bodies = [_request(body) for body in self._bodies]
        self._last = b""
        self.repeated_requests = 0
        self.bytes_an_event = round(sum(map(len, self._bodies)) / len(self._bodies) / batch_events)

    def __next__(self) -> bytes:
        self._sent += 1
        body = self._bodies[self._sent % len(self._bodies)]
        if not self._repeat_each:
            return body
        if self._sent % self._repeat_each == 0:
            self.repeated_requests += 1
            return self._last
        first, self._first_id = self._first_id, self._first_id + self._batch_events
        self._last = _request(body % tuple(range(first, first + self._batch_events)))
        return self._last


def _event(rng: random.Random, now: datetime) -> dict[str, object]:
    moment = now - timedelta(milliseconds=rng.randrange(30_000))
    return {
        "event": "page_view",
        "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "user_id": f"user-{rng.randrange(100_000)}",
        "session": f"{rng.getrandbits(64):016x}",
        "page": rng.choice(_PAGES),
        "country": rng.choice(_COUNTRIES),
        "device": rng.choice(["mobile", "desktop", "tablet"]),
        "referrer": rng.choice(_REFERRERS),
        "load_ms": rng.randrange(3_000),
    }


def run(  # noqa: PLR0917 - the command line's, in its order
    host: str, port: int, seconds: float, connections: int, batch_events: int, repeat_each: int = 0, rate: int = 0
) -> dict[str, float]:
    """Send for so long, as fast as the server answers: each connection sends its next body when it has its answer.
    With `repeat_each`, events have ids and each such request is a retry. With `rate`, it is at most so many events a
    second."""
    source = Requests(batch_events, repeat_each)
    sockets = [socket.create_connection((host, port)) for _ in range(connections)]
    by_file = {one.fileno(): one for one in sockets}
    poll = select.epoll()
    sent_s: dict[int, float] = {}
    waits: list[float] = []
    refused = 0
    started_s = time.perf_counter()
    for number, one in by_file.items():
        poll.register(number, select.EPOLLIN)
        sent_s[number] = time.perf_counter()
        one.sendall(next(source))
    while sent_s:
        for number, _ in poll.poll():
            answer = by_file[number].recv(4_096)  # they are a few hundred bytes, in one segment on loopback
            now_s = time.perf_counter()
            if answer.startswith(b"HTTP/1.1 202"):
                waits.append(now_s - sent_s.pop(number))
            elif answer.startswith(b"HTTP/1.1 503"):
                refused += 1
            else:
                raise RuntimeError(answer.decode() or "the server closed the connection")
            if rate and (ahead_s := (len(waits) + len(sent_s)) * batch_events / rate - (now_s - started_s)) > 0:
                time.sleep(ahead_s)
            if now_s - started_s < seconds:
                sent_s[number] = now_s
                by_file[number].sendall(next(source))
            else:
                sent_s.pop(number, None)
    elapsed_s = time.perf_counter() - started_s
    waits.sort()
    return {
        "requests": len(waits),
        "requests_refused": refused,
        "events": len(waits) * batch_events,
        "repeated_events": source.repeated_requests * batch_events,
        "bytes_an_event": source.bytes_an_event,
        "seconds": round(elapsed_s, 3),
        "answer_ms_p50": round(1000 * waits[len(waits) // 2], 1),
        "answer_ms_p99": round(1000 * waits[int(len(waits) * 0.99)], 1),
        "generator_cpu_s": round(time.process_time(), 2),
    }


def _request(body: bytes) -> bytes:
    head = "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


if __name__ == "__main__":
    host_, port_, seconds_, connections_, batch_, *repeat_ = sys.argv[1:]
    print(json.dumps(run(host_, int(port_), float(seconds_), int(connections_), int(batch_), *map(int, repeat_))))
