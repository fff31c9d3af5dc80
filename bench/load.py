"""A load generator for `POST /events`: prebuilt bodies over keep-alive connections, as little work a request as Python
allows, in a process of its own so that what it takes from the machine can be told apart."""

from __future__ import annotations

import itertools
import json
import random
import select
import socket
import sys
import time
from datetime import UTC, datetime, timedelta

_PAGES = [f"/product/{number}" for number in range(180)] + ["/", "/cart", "/checkout", "/search", "/about"]
_COUNTRIES = ["US", "DE", "GB", "FR", "IN", "BR", "JP", "CA", "NL", "ES", "IT", "SE", "PL", "MX", "KR"]
_REFERRERS = ["https://www.google.com/", "https://news.ycombinator.com/", "https://t.co/", "https://duckduckgo.com/"]


def bodies(count: int, batch_events: int, seed: int = 7) -> list[bytes]:
    """Arrays of page views of about 235 bytes each: 15 countries, 3 devices, 185 pages, 100,000 users."""
    rng = random.Random(seed)
    now = datetime.now(UTC)
    return [json.dumps([_event(rng, now) for _ in range(batch_events)]).encode() for _ in range(count)]


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


def run(host: str, port: int, seconds: float, connections: int, batch_events: int) -> dict[str, float]:
    """Send for so long as fast as the server answers: each connection sends its next body when it has its answer."""
    requests = [_request(body) for body in bodies(600, batch_events)]
    sockets = [socket.create_connection((host, port)) for _ in range(connections)]
    by_file = {one.fileno(): one for one in sockets}
    poll = select.epoll()
    sent_s: dict[int, float] = {}
    waits: list[float] = []
    refused = 0
    source = itertools.cycle(requests)
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
        "bytes_an_event": round(sum(map(len, requests)) / len(requests) / batch_events),
        "seconds": round(elapsed_s, 3),
        "answer_ms_p50": round(1000 * waits[len(waits) // 2], 1),
        "answer_ms_p99": round(1000 * waits[int(len(waits) * 0.99)], 1),
        "generator_cpu_s": round(time.process_time(), 2),
    }


def _request(body: bytes) -> bytes:
    head = "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


if __name__ == "__main__":
    host_, port_, seconds_, connections_, batch_ = sys.argv[1:]
    print(json.dumps(run(host_, int(port_), float(seconds_), int(connections_), int(batch_))))
