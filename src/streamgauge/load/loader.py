"""The loader: rows from topics into the store, each exactly once, shared among any number of loaders.

A batch is a range of offsets `[start, end)` of one partition, and its insert token is made of the topic's id, the
partition and the range. The store ignores a token that it has; so the same rows must never come under two tokens: where
a batch ends has to be decided before it is inserted, and be the same after a crash. How that is kept, in this order:

1. Rows are received, of committed transactions only, and wait in memory. Where enough wait, or some wait long enough,
   a batch is decided on; it ends after a row that was received. Below that, every transaction has ended: whoever reads
   the range again gets the same rows.
2. The group commits for this partition: offset `start`, with a note that says `end`. What the batch before needs (4) is
   the same commit.
3. The rows are inserted with the token of the range. A store that refuses, or doesn't answer, is tried again with the
   same token, and nothing is skipped.
4. The group commits offset `end`, with the note of the next batch or without one.

After a crash before 2 nothing was inserted. After one between 2 and 4, whoever is given the partition finds the note,
receives exactly that range, inserts it with its token, and goes on behind it. What becomes of a loader that doesn't
know that its partition was given to another (it slept, or an insert of it is still under way): it can insert the range
that is noted and nothing else, under the token that the other one uses; and whatever it then wants to commit is
refused, because that is held to the generation of the group. A note that is not fresh is committed again before the
insert, so that one who slept for long finds that out first: the store forgets a token after 50,000 more.

Offsets without rows (of the ends of transactions, of what was taken back) are passed over in 4, or by a commit of their
own, so that a partition of which nothing waits is committed up to its end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from streamgauge.config import LoaderSettings
from streamgauge.core.errors import Unavailable
from streamgauge.core.lifecycle import StageState
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.load.completeness import Completeness
from streamgauge.load.live import live_update
from streamgauge.load.part import Part, RowRange
from streamgauge.load.rows import decode
from streamgauge.log.row_base import Received, RowGroup, RowPartition
from streamgauge.model import PROGRESS, LiveUpdate
from streamgauge.store.base import RowBatch, StoreWriter

_POLL_S: Final = 0.1
_POLL_WRITING_S: Final = 0.01
_FRESH_S: Final = 5.0
"""So old may a committed note be when its batch is inserted: less than a session of the group."""

_BACKOFF_S_MAX: Final = 10.0
_JOIN_AGAIN_S: Final = 1.0
_LOOK_S: Final = 0.5
"""How often it is looked how far all loaders are."""

_logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Loader:
    """One member of the group, from `run` to its end. Used on one event loop."""

    def __init__(
        self,
        join: Callable[[], RowGroup],
        writer: StoreWriter,
        metrics: SelfMetrics,
        settings: LoaderSettings,
        now_s: Callable[[], float] = time.monotonic,
        *,
        publish: Callable[[LiveUpdate], None],
    ) -> None:
        """`join` is called in a thread, and again after this member was put out. `now_s` only goes forward. `publish`
        is told, by any thread, what each insert changed; again where a crash repeats it."""
        self._join = join
        self._writer = writer
        self._metrics = metrics
        self._settings = settings
        self._now_s = now_s
        self._publish = publish
        self._kafka = ThreadPoolExecutor(1, thread_name_prefix="load-group")
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="load-write")
        self._parts: dict[RowPartition, Part] = {}
        self._completeness: Completeness | None = None
        self.inserting: asyncio.Future[None] | None = None
        """What goes on beside the turns."""
        self._failures = 0
        self._insert_at_s = 0.0
        self._look_at_s = 0.0
        self._ends: Mapping[RowPartition, int] = {}
        self._stopping = False
        self._problems: dict[str, str] = {}
        self._stage = StageState("starting")

    async def run(self) -> None:
        """Until `stop` is called and the batches under way are loaded. Cancelled, it ends at once: what was decided on
        is noted. Raises ConfigError where the topics are not those that were loaded."""
        try:
            while not self._stopping:
                try:
                    await self._take_part()
                except Unavailable as error:
                    self._note_problem("topics", "the topics of rows can't be read", error)
                    await asyncio.sleep(_JOIN_AGAIN_S)
        finally:
            self._stage = StageState("stopping")
            await asyncio.gather(*([self.inserting] if self.inserting else []), return_exceptions=True)
            for thread in (self._kafka, self._writing):
                thread.shutdown(wait=True)

    def stop(self) -> None:
        """Load what was decided on, commit, and give the partitions to the others."""
        self._stopping = True

    def state(self) -> StageState:
        if self._stage.state == "stopping" or (self._stage.state == "starting" and not self._problems):
            return self._stage
        if self._problems:
            return StageState("degraded", next(iter(self._problems.values())))
        return StageState("ready", details={"partitions": [f"{one.table}/{one.partition}" for one in self._parts]})

    @property
    def lag_rows(self) -> int:
        """Offsets of the partitions of this loader that are not loaded yet, as of a moment ago."""
        return sum(max(0, self._ends.get(one, 0) - part.start) for one, part in self._parts.items())

    async def _take_part(self) -> None:
        group = await self._of(self._kafka, self._join)
        try:
            while not await self._is_done():
                await self.turn(group)
        finally:
            self._parts.clear()
            self._completeness = None
            await asyncio.shield(self._of(self._kafka, group.leave))

    async def turn(self, group: RowGroup) -> None:
        """Receive; decide and commit; begin to insert. Inserts go on beside the turns that follow, because a member
        that is silent loses its partitions."""
        wait_s = _POLL_S if self.inserting is None else _POLL_WRITING_S
        self._take(await self._of(self._kafka, group.poll, wait_s))
        await self._hold(group)
        now_s = self._now_s()
        if now_s >= self._look_at_s:
            await self._look(group)
        if not self._stopping:
            for part in self._parts.values():
                part.decide(self._settings, now_s)
        await self._commit(group)
        await self._insert()

    def _take(self, received: Received) -> None:
        now_s = self._now_s()
        for one in received.taken:
            self._parts.pop(one, None)
            if one.table == PROGRESS:
                self._completeness = None
        for one, given in received.given.items():
            if one.table == PROGRESS:
                self._completeness = Completeness(given)
                continue
            self._parts[one] = Part(one, given)
            if given.lost:
                _logger.error("%d offsets of %s expired before they were loaded", given.lost, _named(one))
                self._metrics.loader_expired.labels(one.table).inc(given.lost)
        for one, records in received.rows.items():
            if one in self._parts:
                self._parts[one].add(records, now_s)
            elif self._completeness is not None and one.table == PROGRESS:
                self._metrics.loader_undecodable.labels(PROGRESS).inc(self._completeness.read(records))
        for one, end in received.ends.items():
            if one in self._parts:
                self._parts[one].reach(end)
        self._note_membership(is_member=received.is_member)

    def _note_membership(self, *, is_member: bool) -> None:
        if is_member:
            for of in ("topics", "group"):
                self._problems.pop(of, None)
            self._stage = StageState("ready")
        elif self._stage.state == "ready":
            self._tell(
                "group", "the brokers don't count this loader as a member of its group; it joins again by itself"
            )

    async def _hold(self, group: RowGroup) -> None:
        """Receive no more than memory is meant for, as long as what is there can be inserted."""
        waiting = sum(part.bytes for part in self._parts.values())
        now_s = self._now_s()
        busy = any(part.is_whole or part.is_due(self._settings, now_s) for part in self._parts.values())
        await self._of(self._kafka, group.hold, held=busy and waiting > self._settings.queue_bytes_max)

    async def _look(self, group: RowGroup) -> None:
        """Where the topics end; and how far all loaders are, for the word of when everything is complete."""
        self._look_at_s = self._now_s() + _LOOK_S
        completeness = self._completeness
        try:
            self._ends = await self._of(self._kafka, group.ends)
            if completeness is not None:
                completeness.wait_for(self._ends)
                if completeness.is_waiting:
                    completeness.note_loaded(await self._of(self._kafka, group.loaded))
            self._problems.pop("brokers", None)
        except Unavailable as error:
            self._tell("brokers", f"the brokers don't say how far the topics of rows are: {error.message}")

    async def _commit(self, group: RowGroup) -> None:
        """Steps 2 and 4, of all partitions in one commit."""
        now_s = self._now_s()
        changed = {
            one: part.place()
            for one, part in self._parts.items()
            if not part.is_committed or (part.end is not None and self._is_stale(part, now_s))
        }
        completeness = self._completeness
        places = dict(changed)
        if completeness is not None and not completeness.is_committed:
            places[RowPartition(PROGRESS, 0)] = completeness.place()
        if not places:
            self._problems.pop("offsets", None)  # what couldn't be committed is another loader's
            return
        try:
            await self._of(self._kafka, group.commit, places)
        except Unavailable as error:
            # Whether it was done isn't known: the same is committed again, before anything else is.
            self._note_problem("offsets", "offsets can't be committed", error)
            return
        for one, place in changed.items():
            self._parts[one].committed(place, now_s)
        if completeness is not None and (said := places.get(RowPartition(PROGRESS, 0))) is not None:
            completeness.committed(said)
        self._problems.pop("offsets", None)

    async def _insert(self) -> None:
        """Step 3, of all batches that are whole and noted."""
        if self.inserting is not None and self.inserting.done():
            inserting, self.inserting = self.inserting, None
            inserting.result()
        now_s = self._now_s()
        if self.inserting is not None or now_s < self._insert_at_s:
            return
        ready = [part for part in self._parts.values() if self._may_insert(part, now_s)]
        if ready:
            self.inserting = asyncio.ensure_future(self._insert_all(ready))

    def _may_insert(self, part: Part, now_s: float) -> bool:
        return part.is_whole and part.is_committed and not self._is_stale(part, now_s)

    def _is_stale(self, part: Part, now_s: float) -> bool:
        return now_s - part.committed_at_s > _FRESH_S

    async def _insert_all(self, ready: list[Part]) -> None:
        for part in ready:
            if self._parts.get(part.which) is not part or not self._may_insert(part, self._now_s()):
                continue  # it was taken meanwhile, or its note has to be committed again
            batch = part.batch()
            try:
                rows = await self._of(self._writing, self._write, part.which, batch)
            except Unavailable as error:
                self._failures += 1
                self._insert_at_s = self._now_s() + min(_BACKOFF_S_MAX, 0.1 * 2 ** min(self._failures, 10))
                self._note_problem("rows", "rows can't be written", error)
                return
            self._failures = 0
            self._problems.pop("rows", None)
            self._metrics.loader_rows.labels(part.which.table).inc(rows)
            self._metrics.loader_batches.labels(part.which.table).inc()
            part.loaded(batch)

    def _write(self, which: RowPartition, batch: RowRange) -> int:
        """How many rows of the table it had."""
        decoded = decode(which.table, batch.topic, which.partition, batch.records)
        token = f"{batch.topic_id}/{which.partition}/{batch.start}-{batch.end}"
        with self._metrics.loader_insert_seconds.labels(which.table).time():
            if decoded.rows is not None:
                self._writer.write(RowBatch(which.table, token, decoded.rows))
                if (update := live_update(which.table, decoded.rows)) is not None:
                    self._publish(update)
            if decoded.letters is not None:
                self._writer.write(RowBatch("dead_letter", f"{token}/undecodable", decoded.letters))
        if decoded.letters is not None:
            self._metrics.loader_undecodable.labels(which.table).inc(decoded.letters.num_rows)
        return decoded.rows.num_rows if decoded.rows is not None else 0

    async def _is_done(self) -> bool:
        """When stopping: nothing that was begun is left, or the store doesn't take it."""
        if not self._stopping or self.inserting is not None:
            return False
        begun = any(part.is_whole or not part.is_committed for part in self._parts.values())
        return not begun or bool(self._problems)

    def _tell(self, of: str, problem: str) -> None:
        """Once in the program's log, however long it lasts."""
        if of not in self._problems:
            _logger.warning(problem)
        self._problems[of] = problem

    def _note_problem(self, of: str, what: str, error: Unavailable) -> None:
        self._metrics.loader_retries.inc()
        self._problems[of] = f"{what}: {error.message}"
        _logger.warning("%s, trying again: %s", what, error.message)

    async def _of(
        self, thread: ThreadPoolExecutor, function: Callable[P, T], *arguments: P.args, **named: P.kwargs
    ) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, lambda: function(*arguments, **named))


def _named(which: RowPartition) -> str:
    return f"partition {which.partition} of the rows of {which.table}"
