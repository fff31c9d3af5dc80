"""Limits of rates, connections and time, over a real port."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from keyed import KeyedSystem, bearer, new_key
from running import eventually

CONFIG = """
access.address_requests_per_s = 5
access.address_requests_max = 5
access.key_requests_per_s = 1000
ingest.trusted_proxies = ["127.0.0.0/8"]
"""
EVENT = {"event": "limited"}
HEAD_S_MAX = 10


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedSystem]:
    with KeyedSystem(tmp_path_factory.mktemp("limited") / "data", config=CONFIG) as started:
        yield started


def of(address: str) -> dict[str, str]:
    """As the proxy in front says where a request is from."""
    return {"X-Forwarded-For": address}


def test_who_asks_too_often_is_told_when_to_come_again_and_others_are_answered(system: KeyedSystem) -> None:
    headers = {**bearer(system.admin), **of("203.0.113.1")}
    first = system.ask("/metrics/names", headers=headers)
    assert first.status_code == 200
    assert int(first.headers["x-ratelimit-limit"]) == 2_000  # of the key

    def refused() -> bool:
        return system.ask("/session", headers=of("203.0.113.1")).status_code == 429

    eventually(refused, "its address is refused")
    # As it is refilled all the time, one in between may be answered.
    answer = next(
        answer
        for answer in iter(lambda: system.ask("/metrics/names", headers=headers), None)
        if answer.status_code == 429
    )
    assert answer.json()["error"]["code"] == "rate_limited"
    assert int(answer.headers["retry-after"]) >= 1
    assert system.ask("/metrics/names", headers={**headers, **of("203.0.113.2")}).status_code == 200
    assert system.ask("/events", "POST", json=EVENT, headers=headers).status_code in (202, 429)


def test_a_key_with_a_limit_of_its_own_is_held_to_it(system: KeyedSystem) -> None:
    secret = new_key(system.data, "slow", "write", "--requests-per-s", "1")
    statuses = []
    for number in range(4):
        headers = {**bearer(secret), **of(f"203.0.113.{10 + number}")}
        answer = system.ask("/events", "POST", json=EVENT, headers=headers)
        statuses.append(answer.status_code)
        assert answer.headers.get("x-ratelimit-limit") in ("2", "10")
    assert statuses[0] == 202
    assert 429 in statuses
    assert answer.json()["error"]["message"].startswith("the key slow sends over 1 requests a second")


def test_a_browser_of_an_allowed_page_may_read_that_it_is_limited(system: KeyedSystem) -> None:
    headers = {**of("203.0.113.30"), "Origin": "http://localhost:3000", **bearer("sgw_guess")}

    def limited() -> bool:
        answer = system.ask("/events", "POST", json=EVENT, headers=headers)
        assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
        return answer.status_code == 429 and "retry-after" in answer.headers["access-control-expose-headers"]

    eventually(limited, "who guesses is limited")


def test_an_address_has_so_many_requests_under_way(system: KeyedSystem) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            connection = stack.enter_context(system.connect())
            head = "GET /live HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.40\r\n"
            connection.sendall(f"{head}Authorization: Bearer {system.admin}\r\n\r\n".encode())
            assert connection.recv(12) == b"HTTP/1.1 200"
        answer = system.ask("/session", headers=of("203.0.113.40"))
        assert answer.status_code == 429
        assert system.ask("/session", headers=of("203.0.113.41")).status_code == 200
    eventually(lambda: system.ask("/session", headers=of("203.0.113.40")).status_code == 200, "they have left")


def closed_after_s(system: KeyedSystem, first: bytes, drop: bytes) -> float:
    """How long a connection is kept that sends a byte now and then."""
    connection = socket.create_connection(("127.0.0.1", system.port), timeout=3 * HEAD_S_MAX)
    started_s = time.monotonic()
    is_closed = threading.Event()

    def drip() -> None:
        with contextlib.suppress(OSError):
            connection.sendall(first)
            while drop and not is_closed.wait(0.5):
                connection.sendall(drop)

    with connection:
        dripping = threading.Thread(target=drip)
        dripping.start()
        with contextlib.suppress(ConnectionError):
            while connection.recv(65_536):
                pass
        is_closed.set()
        dripping.join()
    return time.monotonic() - started_s


def test_a_head_that_never_ends_and_a_connection_that_says_nothing_are_closed(system: KeyedSystem) -> None:
    cases = {
        "silent": (b"", b""),
        "one header line now and then": (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", b"X-A: b\r\n"),
        "one byte now and then": (b"GET /healthz HT", b"T"),
        "idle after an answer": (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
    }
    took: dict[str, float] = {}

    def measure(name: str) -> None:
        took[name] = closed_after_s(system, *cases[name])

    threads = [threading.Thread(target=measure, args=(name,)) for name in cases]
    for thread in threads:
        thread.start()
    assert system.ask("/session", headers=of("203.0.113.50")).status_code == 200  # others are answered meanwhile
    for thread in threads:
        thread.join()
    assert set(took) == set(cases)
    assert all(seconds < 2 * HEAD_S_MAX for seconds in took.values()), took
