from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

import pytest

from streamgauge.feed.errors import FeedError
from streamgauge.feed.producer import Producer, connect, reach
from unit.feed.fake_server import FakeServer, Sent, Trouble


@asynccontextmanager
async def producing(server: FakeServer, patience_s: float = 10) -> AsyncIterator[tuple[Producer, list[str]]]:
    waits: list[str] = []
    async with connect(server.url) as client:
        yield Producer(client, "p", patience_s=patience_s, on_wait=waits.append), waits


def items(count: int, *, bad: frozenset[int] = frozenset()) -> list[bytes]:
    return [b'{"n":%d}' % n if n in bad else b'{"event":"a","user_id":%d,"n":%d}' % (n % 7, n) for n in range(count)]


def free_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


async def test_a_second_registration_answers_what_the_first_one_said(server: FakeServer) -> None:
    async with producing(server) as (producer, _):
        first = await producer.register("a.log", 5)
        second = await producer.register("b.log", 6)
    assert (first.created, first.source, first.shift_ms, first.next_sequence) == (True, "a.log", 5, 0)
    assert (second.created, second.source, second.shift_ms) == (False, "a.log", 5)


async def test_items_are_numbered_from_the_sequence(server: FakeServer) -> None:
    async with producing(server) as (producer, _):
        assert await producer.send(40, items(3)) == []
        assert (await producer.register("a", 0)).next_sequence == 43
    assert server.sent == [Sent("p", 40, 3)]


async def test_a_full_server_is_tried_again_when_it_says_so(server: FakeServer) -> None:
    server.troubles.extend([Trouble(503, retry_after="1"), Trouble(429, retry_after="0"), Trouble(500)])
    started_s = perf_counter()
    async with producing(server) as (producer, waits):
        await producer.send(0, items(3))
    assert perf_counter() - started_s >= 1
    assert len(server.events) == 3
    assert waits[0] == "the queue is full (503)"
    assert len(waits) == 3


async def test_a_lost_answer_does_not_count_anything_twice(server: FakeServer) -> None:
    server.troubles.extend([Trouble(keeps=True), Trouble(), Trouble(keeps=True)])
    async with producing(server) as (producer, _):
        await producer.send(0, items(50))
    assert len(server.events) == 50
    assert len(server.sent) == 3


async def test_patience_ends_with_what_to_do(server: FakeServer) -> None:
    server.troubles.extend([Trouble(503)] * 20)
    async with producing(server, patience_s=0.3) as (producer, _):
        with pytest.raises(FeedError, match="could not take more") as caught:
            await producer.send(0, items(1))
    assert "run the same command again" in caught.value.hint


async def test_a_connection_that_stays_lost_ends_with_what_to_do() -> None:
    async with connect(free_url()) as client:
        with pytest.raises(FeedError, match="lost the server") as caught:
            await Producer(client, "p", patience_s=0.3).send(0, items(1))
    assert "run the same command again" in caught.value.hint


async def test_a_server_that_is_not_there_is_found_out_at_once() -> None:
    started_s = perf_counter()
    async with connect(free_url()) as client:
        with pytest.raises(FeedError, match="no server answers") as caught:
            await reach(client)
    assert "streamgauge up" in caught.value.hint
    assert perf_counter() - started_s < 2


async def test_refused_items_are_told_by_their_index(server: FakeServer) -> None:
    async with producing(server) as (producer, _):
        refused = await producer.send(0, items(10, bad=frozenset({2, 7})))
    assert [(one.index, one.code) for one in refused] == [(2, "missing_event"), (7, "missing_event")]
    assert len(server.sent) == 1


async def test_a_request_of_which_all_items_are_refused_is_no_failure(server: FakeServer) -> None:
    async with producing(server) as (producer, _):
        assert len(await producer.send(0, items(3, bad=frozenset(range(3))))) == 3
    assert len(server.sent) == 1


async def test_more_refusals_than_one_answer_lists_are_all_told(server: FakeServer) -> None:
    bad = frozenset(range(0, 1_000, 2))
    async with producing(server) as (producer, _):
        refused = await producer.send(0, items(1_000, bad=bad))
    assert [one.index for one in refused] == sorted(bad)
    assert len(server.events) == 500


async def test_a_request_that_is_too_large_is_sent_in_parts(server: FakeServer) -> None:
    server.body_bytes_max = 100
    large = b'{"event":"' + b"x" * 100 + b'"}'
    async with producing(server) as (producer, _):
        refused = await producer.send(0, [*items(20), large, *items(3)])
    assert [(one.index, one.code) for one in refused] == [(20, "too_large")]
    assert len(server.events) == 23


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://localhost", "http://", "not a url", ""])
async def test_an_address_that_can_not_be_one_says_how_to_write_it(url: str) -> None:
    with pytest.raises(FeedError) as caught:
        connect(url)
    assert "http://127.0.0.1:8080" in caught.value.hint


async def test_an_address_may_have_a_path_before_that_of_the_api() -> None:
    async with connect("http://localhost/gauge") as client:
        assert str(client.build_request("POST", "/events").url) == "http://localhost/gauge/events"
