"""A load generator for `POST /events`: prebuilt bodies over keep-alive connections, as little work a request as Python
allows, in a process of its own so that what it takes from the machine can be told apart."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
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


async def run(host: str, port: int, seconds: float, connections: int, batch_events: int) -> dict[str, float]:
    """Send for so long as fast as the server answers."""
    requests = [
        (
            "POST /events HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        + body
        for body in bodies(600, batch_events)
    ]
    started_s = time.perf_counter()
    waits: list[float] = []
    sources = [_cycle(requests, start) for start in range(connections)]
    counts = await asyncio.gather(*(_connection(host, port, source, started_s + seconds, waits) for source in sources))
    elapsed_s = time.perf_counter() - started_s
    waits.sort()
    accepted = sum(counts)
    return {
        "requests": accepted,
        "events": accepted * batch_events,
        "bytes_an_event": sum(map(len, requests)) / len(requests) / batch_events,
        "seconds": elapsed_s,
        "answer_ms_p50": 1000 * waits[len(waits) // 2],
        "answer_ms_p99": 1000 * waits[int(len(waits) * 0.99)],
        "busy_s": time.process_time(),
    }


def _cycle(requests: list[bytes], start: int) -> Iterator[bytes]:
    index = start * 37
    while True:
        yield requests[index % len(requests)]
        index += 1


async def _connection(host: str, port: int, source: Iterator[bytes], end_s: float, waits: list[float]) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    accepted = 0
    while (began_s := time.perf_counter()) < end_s:
        writer.write(next(source))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 202"):
            if head.startswith(b"HTTP/1.1 503"):
                await asyncio.sleep(0.05)
                continue
            raise RuntimeError(head.decode())
        waits.append(time.perf_counter() - began_s)
        accepted += 1
    writer.close()
    return accepted


if __name__ == "__main__":
    host_, port_, seconds_, connections_, batch_ = sys.argv[1:]
    print(json.dumps(asyncio.run(run(host_, int(port_), float(seconds_), int(connections_), int(batch_)))))
