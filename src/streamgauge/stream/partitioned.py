"""A runner for each partition that this process is given: how the embedded runner scales over processes and machines.

The partitions of the log are shared out among the processes of a consumer group. A user's events are in one partition,
so all that the stream remembers belongs to a partition too: ids, sessions, producers' numbers. Whoever is given a
partition resumes it from its `StreamState`, which is kept where every process can reach it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from streamgauge.core.errors import Superseded, Unavailable
from streamgauge.core.lifecycle import StageState
from streamgauge.model import Freshness
from streamgauge.stream.embedded import EmbeddedRunner
from streamgauge.stream.spec import PipelineSpec

_logger = logging.getLogger(__name__)

_BATCH_S_MAX: Final = 10.0
"""So long may the batch under way take when a partition goes; then it is left pending, for the next owner."""

_AGAIN_S: Final = 1.0

Change = Callable[[Sequence[int]], Coroutine[Any, Any, None]]


class Membership(Protocol):
    """This process among those that share the partitions."""

    @property
    def is_member(self) -> bool:
        """Whether what it was given is its own, as far as it knows."""
        ...

    async def run(self) -> None:
        """Until cancelled. Awaits what it was made with for partitions that come and go."""
        ...

    async def leave(self) -> None:
        """Give all partitions back."""
        ...


class PartitionRunner(NamedTuple):
    """The runner of one partition, and what closes what it was opened with."""

    runner: EmbeddedRunner
    close: Callable[[], None]


class _Work:
    """On one partition. `runner` is None while it isn't open; `is_given_up` is set when it needn't be opened."""

    def __init__(self) -> None:
        self.is_given_up = threading.Event()
        self.runner: EmbeddedRunner | None = None
        self.task: asyncio.Task[None] | None = None


class PartitionedRunner:
    """`Runner` of the partitions that the group gives to this process."""

    def __init__(
        self,
        open_partition: Callable[[int, threading.Event], PartitionRunner],
        join: Callable[[Change, Change], Membership],
    ) -> None:
        """`open_partition` takes a partition over from whoever had it; it is called in a thread, and may raise
        Unavailable, above all when the event is set: then the partition is another's to open. `join` is told what to
        await for partitions that are given and taken."""
        self._open = open_partition
        self._join = join
        self._works: dict[int, _Work] = {}
        self._stop = asyncio.Event()
        self._failed = asyncio.Event()
        self._failure: BaseException | None = None
        self._membership: Membership | None = None

    async def run(self, spec: PipelineSpec) -> None:
        membership = self._membership = self._join(partial(self._given, spec), self._taken)
        waited_for = [
            asyncio.create_task(membership.run()),
            asyncio.create_task(self._stop.wait()),
            asyncio.create_task(self._failed.wait()),
        ]
        try:
            await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
            if self._failure is not None:
                raise self._failure
            if waited_for[0].done():
                waited_for[0].result()
        finally:
            self._stop.set()
            for task in waited_for:
                task.cancel()
            await asyncio.gather(*waited_for, return_exceptions=True)
            await self._taken(list(self._works))
            await membership.leave()

    def stop(self) -> None:
        """Finish the batches under way, then give the partitions to the others, who go on with them."""
        self._stop.set()

    def state(self) -> StageState:
        runners = {partition: work.runner for partition, work in sorted(self._works.items())}
        details = {"partitions": list(runners)}
        if self._stop.is_set():
            return StageState("stopping", details=details)
        if self._membership is None or not self._membership.is_member:
            return StageState("starting", "it waits for its share of the partitions")
        for partition, runner in runners.items():
            found = runner.state() if runner is not None else StageState("starting")
            if not found.works:
                return StageState(found.state, found.reason or f"partition {partition} is being taken over", details)
        return StageState("ready", details=details)

    async def freshness(self) -> Freshness:
        """Of the partitions of this process."""
        all_fresh = [await runner.freshness() for runner in self.runners()]  # which may come and go meanwhile
        return Freshness(
            min((fresh.complete_up_to_ms for fresh in all_fresh), default=0),
            max((fresh.lag_ms for fresh in all_fresh), default=0),
            sum(fresh.lag_events for fresh in all_fresh),
            min((fresh.sessions_complete_up_to_ms for fresh in all_fresh), default=0),
        )

    def next_sequence(self, producer: str) -> int:
        """0: a producer's numbers are known by partition only, and each process knows some of them."""
        return 0

    def runners(self) -> list[EmbeddedRunner]:
        """That are open now."""
        return [work.runner for work in self._works.values() if work.runner is not None]

    async def _given(self, spec: PipelineSpec, partitions: Sequence[int]) -> None:
        """They are opened beside what is under way: a long memory must not hold the group up."""
        if self._stop.is_set():
            return  # they are given back in a moment
        for partition in partitions:
            work = self._works[partition] = _Work()
            work.task = asyncio.create_task(self._work_on(partition, work, spec), name=f"partition {partition}")
            work.task.add_done_callback(self._note_failure)
        if partitions:
            _logger.info("given the partitions %s", ", ".join(map(str, sorted(partitions))))

    async def _taken(self, partitions: Sequence[int]) -> None:
        works = [self._works.pop(partition) for partition in partitions if partition in self._works]
        await asyncio.gather(*map(_end, works))
        if works:
            _logger.info("gave the partitions %s back", ", ".join(map(str, sorted(partitions))))

    async def _work_on(self, partition: int, work: _Work, spec: PipelineSpec) -> None:
        while True:
            try:
                opened = await _to_its_end(asyncio.to_thread(self._open, partition, work.is_given_up))
                try:
                    work.runner = opened.runner
                    await opened.runner.run(spec)
                    return
                finally:
                    work.runner = None
                    await asyncio.to_thread(opened.close)
            except Unavailable as error:
                _logger.warning("partition %d can't be taken over yet: %s", partition, error.message)
            except Superseded as error:
                # It may be by one that slept and doesn't know yet that the partition isn't its own.
                _logger.warning("%s", error.message)
            await asyncio.sleep(_AGAIN_S)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failure = failure
            self._failed.set()


async def _end(work: _Work) -> None:
    """Between two batches, where it gets there soon."""
    work.is_given_up.set()
    task = work.task
    if task is None:
        return
    if work.runner is not None:
        with contextlib.suppress(TimeoutError, Exception):
            async with asyncio.timeout(_BATCH_S_MAX), work.runner.paused():
                task.cancel()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _to_its_end(opening: Awaitable[PartitionRunner]) -> PartitionRunner:
    """Not left half-way by a cancellation: it would take the partition over after it was given to another."""
    task = asyncio.ensure_future(opening)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        (opened,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(opened, PartitionRunner):
            await asyncio.to_thread(opened.close)
        raise
