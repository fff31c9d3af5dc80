"""How fresh the answers are where Flink counts and loaders load.

An event is on its way for long after Flink has committed its offset: in the panes that Flink adds up, in transactions,
in the topics of rows. So what was committed says nothing by itself. What does is the word of Flink that a loader noted
as loaded (`load/completeness.py`): Flink's watermark is never ahead of its clock less the delay, so a word N was given
at N + delay or later, and what Flink had made rows of before is in the store.

Whether something waits is found out from marks: where the log ended at some time. A mark is *counted* when Flink has
committed all before it, and *settled* when a word is loaded that Flink gave after the panes had ended that were open
then. All before a settled mark is queryable; what came after it may be or not, and is called waiting.

A word alone is not believed while something waits: a partition with a backlog that Flink doesn't get to read for a
while counts as idle there, and its watermark goes on without it. Then answers are complete up to the time of the last
settled mark, less the delay.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from streamgauge.core.clock import Clock
from streamgauge.core.errors import StreamgaugeError
from streamgauge.core.lifecycle import StageState
from streamgauge.log.base import EventLog, Offsets, Place
from streamgauge.log.row_base import Loaded, RowPartition
from streamgauge.model import ROW_TABLES, Freshness
from streamgauge.store.base import StoreReader
from streamgauge.stream.ends import LogEnds

_ANSWER_S_MAX: Final = 1.0
_MARK_MS: Final = 500
_MARKS_MAX: Final = 64
_BEHIND_MS: Final = 30_000
_SESSIONS_S: Final = 10.0
_SESSIONS_SHARE: Final = 20
"""The store is asked about sessions in no more than one part in so many of all time."""

OLDEST_OPEN: Final = """
    SELECT count(), toUnixTimestamp64Milli(min(started_at))
    FROM sessions FINAL WHERE is_open
    SETTINGS do_not_merge_across_partitions_select_final = 1, max_threads = 1
"""


class _Mark(msgspec.Struct):
    """Where the log ended at `at_ms` or later. `counted_at_ms`: when Flink was seen to have committed all before."""

    at_ms: int
    ends: Offsets
    counted_at_ms: int | None = None


class _RowsMark(msgspec.Struct, frozen=True):
    at_ms: int
    ends: Mapping[RowPartition, int]


class LoadedFreshness:
    """Asked on the event loop. One question to Kafka is under way at a time; who asks meanwhile waits for it."""

    def __init__(
        self,
        log: EventLog,
        counted: Callable[[], Awaitable[Mapping[int, Place]]],
        loaded: Callable[[], Awaitable[Loaded]],
        reader: StoreReader,
        clock: Clock,
        *,
        delay_ms: int,
        settle_ms: int,
    ) -> None:
        """`counted`: what Flink committed; `loaded`: how far the loaders are. Both may raise Unavailable.
        `delay_ms`: of Flink's watermark; `settle_ms`: how long Flink may keep what it has read before there is a row.
        """
        self._counted = counted
        self._loaded = loaded
        self._reader = reader
        self._clock = clock
        self._delay_ms = delay_ms
        self._settle_ms = settle_ms
        self._ends = LogEnds(log, clock)
        self._known_at_ms = 0
        self._known_ends: Offsets = {}
        self._committed: Mapping[int, int] = {}
        self._rows = Loaded(0, {}, {})
        self._complete_up_to_ms = 0
        self._told_up_to_ms = 0
        self._marks: deque[_Mark] = deque()
        self._settled: _Mark | None = None
        self._rows_mark: _RowsMark | None = None
        self._asking: asyncio.Task[None] | None = None
        self._sessions_up_to_ms = 0
        self._asking_sessions: asyncio.Task[None] | None = None
        self._sessions_at_s = 0.0

    async def freshness(self) -> Freshness:
        """While Kafka doesn't answer, as it was when it did: nothing is known to be loaded since."""
        asked_ms = self._clock.now_ms()
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ask())
        done, _ = await asyncio.wait({self._asking}, timeout=_ANSWER_S_MAX)
        for asking in done:
            if not asking.cancelled():
                asking.result()
        self._tell()
        await self._ask_of_sessions()
        sessions_up_to_ms = min(self._told_up_to_ms, self._sessions_up_to_ms)
        return Freshness(self._told_up_to_ms, self._lag_ms(asked_ms), self._lag_events(), sessions_up_to_ms)

    def waiting_rows(self) -> dict[str, int]:
        """Of each table, about: as of what was found out last."""
        return {table: self._rows.waiting(table) for table in ROW_TABLES}

    def states(self) -> dict[str, StageState]:
        """Of Flink and the loaders, as they are seen from here: `stale` where one is behind, for answers are given all
        the same, and say how far they are complete."""
        now_ms = self._clock.now_ms()
        rows_since_ms = now_ms - self._rows_mark.at_ms if self._rows_mark is not None else 0
        uncounted = next((mark for mark in self._marks if mark.counted_at_ms is None), None)
        events_since_ms = now_ms - uncounted.at_ms if uncounted is not None else 0
        late_ms = now_ms - self._delay_ms - self._complete_up_to_ms
        loader = flink = ""
        if rows_since_ms > _BEHIND_MS:
            loader = f"rows wait for a loader, for {rows_since_ms // 1000} s or more"
        if events_since_ms > _BEHIND_MS:
            flink = f"events wait for Flink, for {events_since_ms // 1000} s or more"
        elif not loader and late_ms > _BEHIND_MS and any(self._known_ends.values()):
            flink = "Flink said nothing yet" if not self._complete_up_to_ms else f"Flink is {late_ms // 1000} s behind"
        waiting = sum(self.waiting_rows().values())
        return {
            "flink": StageState("stale" if flink else "ready", flink, {"lag_events": self._uncounted_events()}),
            "loader": StageState("stale" if loader else "ready", loader, {"waiting_rows": waiting}),
        }

    async def close(self) -> None:
        for task in (self._asking, self._asking_sessions):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _ask(self) -> None:
        at_ms, ends = await self._ends.last_known()  # before the offsets: what comes between must not look counted
        if ends:
            self._known_at_ms, self._known_ends = at_ms, ends
        try:
            places = await self._counted()
            self._committed = {partition: place.offset for partition, place in places.items()}
            counted_at_ms = self._clock.now_ms()
            self._rows = await self._loaded()
        except StreamgaugeError:
            return
        self._complete_up_to_ms = max(self._complete_up_to_ms, self._rows.complete_up_to_ms)
        self._mark_rows(at_ms)
        self._settle(counted_at_ms)

    def _tell(self) -> None:
        """It never goes back: what was complete stays so."""
        up_to_ms = self._complete_up_to_ms
        if self._settled is not None and self._is_waiting():
            up_to_ms = min(up_to_ms, self._settled.at_ms - self._delay_ms)
        self._told_up_to_ms = max(self._told_up_to_ms, up_to_ms)

    def _settle(self, counted_at_ms: int) -> None:
        if self._known_ends and (not self._marks or abs(self._known_at_ms - self._marks[-1].at_ms) >= _MARK_MS):
            self._marks.append(_Mark(self._known_at_ms, self._known_ends))
        for mark in self._marks:
            if mark.counted_at_ms is None and not _beyond(mark.ends, self._committed):
                mark.counted_at_ms = counted_at_ms
        while self._marks and self._is_settled(self._marks[0]):
            self._settled = self._marks.popleft()
        if len(self._marks) > _MARKS_MAX:  # fewer steps on the way are enough
            self._marks = deque(list(self._marks)[::2])

    def _is_settled(self, mark: _Mark) -> bool:
        if not any(mark.ends.values()):
            return True
        if mark.counted_at_ms is None:
            return False
        return self._complete_up_to_ms + self._delay_ms >= mark.counted_at_ms + self._settle_ms

    def _mark_rows(self, at_ms: int) -> None:
        """The oldest time from which on rows may wait; None where none do."""
        mark, loaded = self._rows_mark, self._rows.loaded
        if mark is None or all(loaded.get(one, 0) >= end for one, end in mark.ends.items()):
            is_waiting = any(end > loaded.get(one, 0) for one, end in self._rows.ends.items())
            self._rows_mark = _RowsMark(at_ms, self._rows.ends) if is_waiting else None

    def _lag_ms(self, asked_ms: int) -> int:
        unknown_ms = asked_ms - self._known_at_ms if self._known_at_ms else 0
        unknown_ms = unknown_ms if unknown_ms > _ANSWER_S_MAX * 1000 else 0  # who waits for another's question
        if self._settled is not None:
            waiting_ms = asked_ms - self._settled.at_ms if self._is_waiting() else 0
        else:
            # What Flink had received by then is in the store: its watermark is of events that had come.
            waiting_ms = asked_ms - max(0, self._complete_up_to_ms + self._delay_ms - self._settle_ms)
        return max(waiting_ms, unknown_ms, 0)

    def _is_waiting(self) -> bool:
        return self._settled is None or _beyond(self._known_ends, self._settled.ends) > 0

    def _lag_events(self) -> int:
        """At most so many. Without a settled mark, about, and never 0: what was before this process isn't known."""
        if self._settled is not None:
            return _beyond(self._known_ends, self._settled.ends)
        return max(1, self._uncounted_events() + self._rows.waiting("events"))

    def _uncounted_events(self) -> int:
        return _beyond(self._known_ends, self._committed)

    async def _ask_of_sessions(self) -> None:
        """Now and then, without keeping anybody waiting but the first."""
        task = self._asking_sessions
        if (task is None or task.done()) and time.monotonic() >= self._sessions_at_s:
            task = self._asking_sessions = asyncio.ensure_future(self._look_at_sessions(self._told_up_to_ms))
        if task is not None and not self._sessions_up_to_ms:
            await asyncio.wait({task}, timeout=_ANSWER_S_MAX)

    async def _look_at_sessions(self, complete_up_to_ms: int) -> None:
        """`complete_up_to_ms`: as it was before; a session that begins later begins after it."""
        began_s = time.monotonic()
        try:
            ((count, oldest_ms),) = await self._reader.query(OLDEST_OPEN, {})
            self._sessions_up_to_ms = min(complete_up_to_ms, oldest_ms) if count else complete_up_to_ms
        except StreamgaugeError:
            pass  # as last known
        finally:
            now_s = time.monotonic()
            self._sessions_at_s = now_s + max(_SESSIONS_S, (now_s - began_s) * _SESSIONS_SHARE)


def _beyond(ends: Offsets, reached: Offsets) -> int:
    """So many offsets of `ends` were not reached."""
    return sum(max(0, end - reached.get(partition, 0)) for partition, end in ends.items())
