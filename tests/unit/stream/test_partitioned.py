"""Which partitions are worked on, as a group gives and takes them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from streamgauge.core.errors import ConfigError, Superseded, Unavailable
from streamgauge.core.lifecycle import StageState
from streamgauge.model import Freshness
from streamgauge.stream.embedded import EmbeddedRunner
from streamgauge.stream.partitioned import Change, PartitionedRunner, PartitionRunner
from streamgauge.stream.spec import PipelineSpec

_SPEC = cast("PipelineSpec", None)


class _Runner:
    """Of one partition: runs until it is cancelled, or raises what it is told."""

    def __init__(self, failure: Exception | None = None) -> None:
        self._failure = failure
        self.turn = asyncio.Lock()
        self.cancelled_in_a_batch = False

    async def run(self, _: PipelineSpec) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled_in_a_batch = self.turn.locked() and not self._is_pausing

    _is_pausing = False

    @contextlib.asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        async with self.turn:
            self._is_pausing = True
            yield

    def state(self) -> StageState:
        return StageState("ready")

    async def freshness(self) -> Freshness:
        await asyncio.sleep(0.01)
        return Freshness(1_000, 0, 1)


class _Group:
    """Gives and takes as the test says."""

    def __init__(self) -> None:
        self.opened: list[int] = []
        self.closed: list[int] = []
        self.left_with: list[int] | None = None
        self.is_member = True
        self.open: Callable[[int, threading.Event], _Runner] = lambda *_: _Runner()
        self.runner = PartitionedRunner(self._open, self._join)
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._running = asyncio.create_task(self.runner.run(_SPEC))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def end(self) -> None:
        self.runner.stop()
        assert self._running is not None
        await asyncio.wait_for(self._running, 5)

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                assert self._running is not None
                if self._running.done():
                    self._running.result()
                await asyncio.sleep(0.005)

    def _open(self, partition: int, is_given_up: threading.Event) -> PartitionRunner:
        self.opened.append(partition)
        runner = cast("EmbeddedRunner", self.open(partition, is_given_up))
        return PartitionRunner(runner, lambda: self.closed.append(partition))

    def _join(self, given: Change, taken: Change) -> _Group:
        self.given, self.taken = given, taken
        return self

    # Membership

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def leave(self) -> None:
        self.left_with = list(self.closed)


def _partitions(group: _Group) -> list[int]:
    return list(group.runner.state().details.get("partitions", []))


async def test_it_is_ready_when_what_it_was_given_is_open() -> None:
    group, gate = _Group(), threading.Event()

    def slowly(*_: Any) -> _Runner:
        gate.wait(5)
        return _Runner()

    group.open = slowly
    group.is_member = False
    await group.start()
    assert not group.runner.state().works
    group.is_member = True
    assert group.runner.state().works, "a member without a partition is one nevertheless"
    await group.given([3, 1])
    assert group.runner.state().state == "starting"
    gate.set()
    await group.until(lambda: group.runner.state().works)
    assert _partitions(group) == [1, 3]
    await group.end()
    assert not group.runner.state().works


async def test_what_is_taken_is_closed_before_it_is_given_to_another() -> None:
    group = _Group()
    await group.start()
    await group.given([1, 2])
    await group.until(lambda: len(group.runner.runners()) == 2)
    await group.taken([2])
    assert group.closed == [2]
    assert _partitions(group) == [1]
    await group.end()
    assert group.left_with == [2, 1], "the rest is closed before the group is left"


@pytest.mark.parametrize("failure", [Unavailable("away"), Superseded("another has it")])
async def test_a_partition_that_cant_be_worked_on_yet_is_opened_again(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamgauge.stream.partitioned._AGAIN_S", 0.01)
    group = _Group()
    group.open = lambda *_: _Runner(failure if len(group.opened) < 3 else None)
    await group.start()
    await group.given([5])
    await group.until(lambda: len(group.opened) == 3 and group.runner.state().works)
    assert group.closed == [5, 5], "each that failed is closed before the next is opened"
    await group.end()


async def test_a_partition_that_can_never_be_opened_ends_the_run_and_the_membership() -> None:
    group = _Group()

    def refuse(*_: Any) -> _Runner:
        raise ConfigError("written by another version")

    group.open = refuse
    await group.start()
    await group.given([0])
    with pytest.raises(ConfigError, match="another version"):
        await group.until(lambda: False)
    assert group.left_with == []


async def test_a_partition_that_is_taken_while_it_is_opened_is_given_up() -> None:
    group = _Group()

    def wait_until_given_up(_: int, is_given_up: threading.Event) -> _Runner:
        assert is_given_up.wait(5)
        raise Unavailable("needn't be read any more")

    group.open = wait_until_given_up
    await group.start()
    await group.given([0])
    await group.until(lambda: group.opened)
    async with asyncio.timeout(2):
        await group.taken([0])
    assert group.opened == [0]
    await group.end()


async def test_a_partition_that_is_opened_just_as_it_is_taken_is_closed() -> None:
    group, gate = _Group(), threading.Event()

    def open_when_given_up(_: int, is_given_up: threading.Event) -> _Runner:
        gate.set()
        assert is_given_up.wait(5)
        return _Runner()

    group.open = open_when_given_up
    await group.start()
    await group.given([0])
    await group.until(gate.is_set)
    await group.taken([0])
    assert group.closed == [0]
    await group.end()


async def test_the_batch_under_way_is_let_end_before_a_partition_goes() -> None:
    group, runner = _Group(), _Runner()
    group.open = lambda *_: runner
    await group.start()
    await group.given([0])
    await group.until(group.runner.runners)
    await runner.turn.acquire()
    taking = asyncio.create_task(group.taken([0]))
    await asyncio.sleep(0.05)
    assert not taking.done()
    runner.turn.release()
    await asyncio.wait_for(taking, 5)
    assert not runner.cancelled_in_a_batch
    await group.end()


async def test_a_batch_that_doesnt_end_doesnt_hold_a_partition_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamgauge.stream.partitioned._BATCH_S_MAX", 0.05)
    group, runner = _Group(), _Runner()
    group.open = lambda *_: runner
    await group.start()
    await group.given([0])
    await group.until(group.runner.runners)
    await runner.turn.acquire()
    await asyncio.wait_for(group.taken([0]), 5)
    assert runner.cancelled_in_a_batch
    assert group.closed == [0]
    await group.end()


async def test_it_says_how_fresh_it_is_while_partitions_come_and_go() -> None:
    group = _Group()
    await group.start()
    await group.given([1, 2])
    await group.until(lambda: len(group.runner.runners()) == 2)
    asking = asyncio.create_task(group.runner.freshness())
    await asyncio.sleep(0)
    await group.given([3])
    await group.taken([1])
    assert (await asking).lag_events == 2
    await group.end()


async def test_what_is_given_while_it_stops_isnt_opened() -> None:
    group = _Group()
    await group.start()
    await group.end()
    await group.given([4])
    await asyncio.sleep(0.02)
    assert group.opened == []
    assert group.runner.state().state == "stopping"
