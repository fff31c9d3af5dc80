"""The embedded runner: columnar micro-batches from the log to the store, in this process.

How a micro-batch is committed, so that a crash between any two steps neither loses nor repeats anything:

1. A range of offsets per partition is read; it begins where the one before it ended.
2. The steps, windows and sessions turn it into rows. They see the records, the watermark of this moment and the state
   after the batch before; and the profiles of users as they are now, which decide what an event is enriched with, never
   whether it is counted. This may be done while the batch before is still being written: nothing of it leaves memory.
3. When the batch before is committed, the range is recorded as pending, on disk, before anything of it is written, with
   the pipeline and the watermark.
4. The rows are inserted, table by table, each with a token made of the range. A store error is tried again with the
   same token; the store ignores a token that it has.
5. Offsets, what the steps remember more since the batch before, the watermark and the end of the pending range are
   committed in one transaction.
6. The log is told, for its lag and retention, and live listeners are.

After a crash between 3 and 5 the pending range is still recorded, with the pipeline of that time: exactly it is read
again, gives the same rows, and they are inserted with the same tokens. After a crash before 3 or after 5 there is
nothing to repeat. A token that the engine wrote down before its rows had their final name is forgotten when the store
is opened (docs/adr/0006).

When there is nothing to read, a batch without records closes the sessions that the watermark has passed, in the same
steps.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Final, TypeVar

import msgspec
import polars as pl
import stamina

from streamgauge.core.clock import Clock
from streamgauge.core.errors import ConfigError, NotFound, Unavailable
from streamgauge.core.lifecycle import StageState, give_way
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.log.base import EventLog, LogBatch, Offsets
from streamgauge.model import Freshness, LiveUpdate
from streamgauge.store.base import StoreWriter
from streamgauge.stream.base import StreamState
from streamgauge.stream.batch import Batch, decode
from streamgauge.stream.ends import LogEnds
from streamgauge.stream.journal import StateChange
from streamgauge.stream.pipeline import Pipeline, wanted_fields
from streamgauge.stream.progress import Progress
from streamgauge.stream.rows import Output, live_update
from streamgauge.stream.spec import PipelineSpec
from streamgauge.stream.state import Pending
from streamgauge.stream.watermark import Watermarks

GROUP: Final = "stream"
"""The consumer group of the pipeline."""

T = TypeVar("T")

_LOG_PAUSE_S: Final = 1.0
_SWEEP_S: Final = 1.0
"""How often sessions are looked through for those to close, while nothing comes."""

_logger = logging.getLogger(__name__)


class _Prepared(msgspec.Struct, frozen=True):
    """A batch after step 2. `oldest_open_ms`: the start of the oldest session that is open after it. `oldest_ms` and
    `newest_ms`: when its events were received; 0 without any."""

    pending: Pending
    batch: Batch
    output: Output
    changes: dict[str, StateChange]
    oldest_open_ms: int | None
    oldest_ms: int = 0
    newest_ms: int = 0


class EmbeddedRunner:
    """`Runner` in this process: three threads decode, transform and write, each a batch ahead of the next; the event
    loop only waits for them."""

    def __init__(
        self,
        log: EventLog,
        writer: StoreWriter,
        state: StreamState,
        clock: Clock,
        metrics: SelfMetrics,
        *,
        pipeline: Pipeline,
        publish: Callable[[LiveUpdate], None],
        batch_interval_ms: int,
        partitions: Collection[int] | None = None,
    ) -> None:
        """`pipeline` was resumed from `state`, and is used by nothing else. `publish` is called on the event loop after
        each commit that counted something. `partitions`: those that `log` lets it read; default: all that there are."""
        self._log = log
        self._writer = writer
        self._state = state
        self._clock = clock
        self._metrics = metrics
        self._publish = publish
        self._batch_interval_s = batch_interval_ms / 1000
        # What was accepted can be counted a moment later; what can't be accepted now has to be sent again.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="stream", initializer=give_way)
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="stream-decode", initializer=give_way)
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="stream-write", initializer=give_way)
        self._committing: asyncio.Future[None] | None = None
        self._turn = asyncio.Lock()
        self._resumed = asyncio.Event()
        self.session_watermark_ms = state.session_watermark_ms()
        self._stop = asyncio.Event()
        own = range(log.partitions) if partitions is None else partitions
        self._next_offsets = dict.fromkeys(own, 0) | state.offsets()
        self._pipeline = pipeline
        self._batch_number = state.batch_number()
        self._oldest_open_ms = self._pipeline.sessions.oldest_open_ms
        self._watermarks: Watermarks | None = None
        self._ends = LogEnds(log, clock)
        self._idle = False
        self._waiting_since_ms = clock.now_ms()
        self._stage = StageState("starting")

    async def run(self, spec: PipelineSpec) -> None:
        self._watermarks = Watermarks(spec.watermark_delay_ms, spec.idle_partition_ms, self._state.watermark_ms())
        await self._check_log()
        await self._finish_pending()
        await self._resume()
        await self._persist("the state of the stream", self._state.admit_by, spec, self._next_offsets)
        self._resumed.set()
        self._stage = StageState("ready")
        batches = aiter(self._batches(spec))
        stopping = asyncio.create_task(self._stop.wait())
        coming = asyncio.ensure_future(anext(batches))
        try:
            while await self._has_work(coming, stopping, spec):
                if not coming.done():
                    await self._close_sessions(spec)
                    continue
                batch = coming.result()
                coming = asyncio.ensure_future(anext(batches))  # read and decode ahead while this one is worked on
                await self._work_off(batch, spec)
            async with self._turn:
                await self._committed()
        finally:
            stopping.cancel()
            coming.cancel()
            committing = [self._committing] if self._committing is not None else []
            for task in committing:
                task.cancel()
            await asyncio.gather(coming, stopping, *committing, return_exceptions=True)
            for thread in (self._thread, self._decoder, self._writing):
                await asyncio.to_thread(thread.shutdown)  # a store that doesn't answer must not stop all else here
            self._stage = StageState("stopping")

    def stop(self) -> None:
        """Work off what is in the log, then end. To end at once, cancel `run`: what is left is pending or unread."""
        self._stop.set()

    def state(self) -> StageState:
        return self._stage

    def next_sequence(self, producer: str) -> int:
        """One past the highest number of this producer that was processed; 0 where there is none."""
        return self._pipeline.repeated.next_sequence(producer)

    def pipeline(self) -> Pipeline:
        """What it remembers: to be asked for its size, on the event loop."""
        return self._pipeline

    async def freshness(self) -> Freshness:
        """While the log doesn't say what is in it, as it was when it did: nothing is known to be complete since, and an
        event that isn't counted may have come right after."""
        asked_ms = self._clock.now_ms()
        now_ms, ends = await self._ends.last_known()
        lags = {partition: max(0, end - self._next_offsets.get(partition, 0)) for partition, end in ends.items()}
        lagging = [partition for partition, lag in lags.items() if lag > 0]
        lag_events = sum(lags.values())
        # What came while there was nothing to do came just now: it is being read.
        lag_ms = max(0, now_ms - self._waiting_since_ms) if lag_events and not self._idle else 0
        lag_ms = max(lag_ms, asked_ms - now_ms)
        complete_up_to_ms = self._watermarks.current_ms(now_ms, lagging) if self._watermarks else 0
        sessions_ms = (
            complete_up_to_ms if self._oldest_open_ms is None else min(complete_up_to_ms, self._oldest_open_ms)
        )
        return Freshness(complete_up_to_ms, lag_ms, lag_events, sessions_ms)

    def progress(self) -> Progress:
        """What others need to know to say how fresh the answers are."""
        greatest_ms, read_at_ms = self._watermarks.observed() if self._watermarks else (0, 0)
        return Progress(greatest_ms, read_at_ms, self._waiting_since_ms, self._oldest_open_ms)

    async def _watermark_ms(self) -> int:
        return (await self.freshness()).complete_up_to_ms

    async def _check_log(self) -> None:
        """Raises ConfigError where the log was replaced: what is in it now would never be read."""
        ends = await self._log.end_offsets()
        pending = self._state.pending()
        read = self._next_offsets | {part.partition: part.end for part in (pending.ranges if pending else ())}
        if not any(read.values()) and any((await self._log.committed(GROUP)).values()):
            raise ConfigError(
                "the log was read before, but the state of the stream is gone: all would be counted a second time",
                hint="put stream/state.db back, or choose another data folder",
            )
        if any(offset > ends.get(partition, 0) for partition, offset in read.items()):
            raise ConfigError(
                "the log ends before what was already read of it: it is not the log that it was",
                hint="put the log back, or choose another data folder",
            )

    async def _finish_pending(self) -> None:
        """With the pipeline that it was begun with, or its rows would not be the same."""
        pending = self._state.pending()
        if pending is None:
            return
        _logger.info("finishing the batch that was being written when the last process ended")
        try:
            records = await self._log.fetch(pending.ranges)
        except NotFound as error:
            await self._give_up(pending, error)
        else:
            self._batch_number, self.session_watermark_ms = pending.number, pending.watermark_ms
            batch = await self._decode(records, pending.spec)
            await self._commit(await self._in_thread(self._transform, batch, pending))

    async def _give_up(self, pending: Pending, error: NotFound) -> None:
        """What the store took of a batch stays; the rest is gone with its records, and nothing could be done again."""
        _logger.error("a batch expired in the log before it was written as a whole, and is left so: %s", error.message)
        self._metrics.stream_dropped.labels("expired").inc(sum(part.end - part.start for part in pending.ranges))
        await self._persist("the state of the stream", self._state.finish, pending, {}, self._state.watermark_ms())
        self._next_offsets |= {part.partition: part.end for part in pending.ranges}

    async def _resume(self) -> None:
        """Pass over what expired unread, and tell the log what it may not know since a crash between steps 5 and 6."""
        self._pass_over_expired(await self._log.start_offsets())
        await self._tell_log()

    def _pass_over_expired(self, starts: Offsets) -> None:
        """Events that retention removed before they were counted are lost to the rollups, but not in silence."""
        for partition, start in starts.items():
            expired = start - self._next_offsets[partition]
            if expired > 0:
                _logger.error(
                    "%d events of partition %d expired in the log before they were counted", expired, partition
                )
                self._metrics.stream_dropped.labels("expired").inc(expired)
                self._next_offsets[partition] = start

    async def _tell_log(self) -> None:
        """How far it was read. Where that fails, the next commit says it too; where to go on is in the state."""
        try:
            await self._log.commit(GROUP, self._next_offsets)
        except Unavailable as error:
            _logger.warning("the log doesn't take how far it was read: %s", error.message)

    async def _batches(self, spec: PipelineSpec) -> AsyncIterator[Batch]:
        """What comes after the last commit, for ever. A log that can't be read is tried again."""
        positions = dict(self._next_offsets)
        while True:
            try:
                async for records in self._log.read(GROUP, positions):
                    positions |= records.next_offsets
                    yield await self._decode(records, spec)
                return
            except Unavailable as error:
                self._degrade("the log can't be read", error)
                await asyncio.sleep(_LOG_PAUSE_S)

    async def _decode(self, records: LogBatch, spec: PipelineSpec) -> Batch:
        """In a thread of its own: what is decoded depends on the records alone, so it needs not wait for its turn."""
        fields = wanted_fields(spec)
        with self._timed("decode"):
            loop, now_ms = asyncio.get_running_loop(), self._clock.now_ms()
            return await loop.run_in_executor(self._decoder, decode, records, fields, now_ms)

    async def _has_work(self, coming: asyncio.Future[Batch], stopping: asyncio.Future[Any], spec: PipelineSpec) -> bool:
        """Wait for a batch, or for sessions that can be closed; False when there will be none, or when stopping and all
        is worked off."""
        either: set[asyncio.Future[Any]] = {coming, stopping}
        if not coming.done():
            await asyncio.sleep(0)  # it may be there in a moment
        if not coming.done():
            async with self._turn:
                await self._committed()
        while not (stopping.done() or coming.done()):
            self._idle = await self._ends.ask() == self._next_offsets
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED, timeout=_SWEEP_S)
            if not (stopping.done() or coming.done()) and self._pipeline.sessions.has_due(
                await self._watermark_ms(), spec
            ):
                return True
        if stopping.done() and not coming.done():
            if await self._ends.ask() in (self._next_offsets, None):
                return False
            await asyncio.wait({coming})
        return not isinstance(coming.exception(), StopAsyncIteration)

    async def _work_off(self, batch: Batch, spec: PipelineSpec) -> None:
        started_s = asyncio.get_running_loop().time()
        await self._begin(batch, spec)
        rest_s = self._batch_interval_s - (asyncio.get_running_loop().time() - started_s)
        if rest_s > 0 and not self._stop.is_set():
            # More events gather meanwhile, so that a busy second makes few inserts and not hundreds.
            await asyncio.sleep(rest_s)

    async def _close_sessions(self, spec: PipelineSpec) -> None:
        """Nothing comes, but time goes on."""
        await self._begin(decode(LogBatch(()), wanted_fields(spec)), spec)

    async def _begin(self, batch: Batch, spec: PipelineSpec) -> None:
        """Step 2; then the others go on beside what is done next, when the batch before is committed."""
        async with self._turn:
            pending = Pending(batch.ranges, spec, self._batch_number + 1, await self._watermark_ms())
            prepared = await self._in_thread(self._transform, batch, pending)
            self._batch_number, self.session_watermark_ms = pending.number, pending.watermark_ms
            await self._committed()
            self._committing = asyncio.ensure_future(self._record_and_commit(prepared))

    async def _committed(self) -> None:
        """Wait for the batch that is being written. Raises what made it fail."""
        if self._committing is not None:
            await asyncio.wait({self._committing})
            self._committing.result()

    @contextlib.asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Between two batches, with the one before committed: what is in the store is what was read. Not before a batch
        that an earlier process left half written is finished."""
        await self._resumed.wait()
        async with self._turn:
            await self._committed()
            yield

    @property
    def next_offsets(self) -> Mapping[int, int]:
        """How far the log is counted."""
        return self._next_offsets

    async def write_down(self, work: Callable[..., None], *arguments: object) -> None:
        """Change the state from outside, in its turn. Raises Unavailable."""
        await asyncio.get_running_loop().run_in_executor(self._writing, work, *arguments)

    async def _record_and_commit(self, prepared: _Prepared) -> None:
        """Steps 3 to 6."""
        self._pass_over_expired({part.partition: part.start for part in prepared.pending.ranges})
        await self._persist("the state of the stream", self._state.begin, prepared.pending)
        await self._commit(prepared)

    async def _commit(self, prepared: _Prepared) -> None:
        """Steps 4 to 6."""
        pending, batch, output = prepared.pending, prepared.batch, prepared.output
        if prepared.newest_ms:
            self._waiting_since_ms = prepared.oldest_ms
        with self._timed("write"):
            for write in output.writes:
                await self._persist("rows", self._writer.write, write)
        now_ms = self._clock.now_ms()
        self._observe(batch, now_ms)
        watermark_ms = await self._watermark_ms()
        with self._timed("commit"):
            finish = self._state.finish
            await self._persist("the state of the stream", finish, pending, prepared.changes, watermark_ms)
        self._next_offsets |= batch.next_offsets
        self._oldest_open_ms = prepared.oldest_open_ms
        self._waiting_since_ms = max(self._waiting_since_ms, prepared.newest_ms)  # what isn't counted yet came later
        await self._tell_log()
        self._metrics.stream_events.inc(batch.events.height)
        for reason, count in batch.dropped.items():
            self._metrics.stream_dropped.labels(reason).inc(count)
        for (rollup, dimension), count in self._pipeline.values.take_over().items():
            self._metrics.stream_other.labels(rollup, dimension).inc(count)
        if batch.events.height:
            self._publish(live_update(batch, output.counted))

    def _transform(self, batch: Batch, pending: Pending) -> _Prepared:
        received = batch.events["received_at"]
        self._idle = self._idle and not received.len()
        with self._timed("transform"):
            counted, output = self._pipeline.apply(batch, pending)
            changes = self._pipeline.changes()
            oldest_open_ms = self._pipeline.sessions.oldest_open_ms
        oldest, newest = (received.min(), received.max()) if received.len() else (0, 0)
        return _Prepared(pending, counted, output, changes, oldest_open_ms, int(str(oldest)), int(str(newest)))

    async def _persist(self, what: str, work: Callable[..., None], *arguments: object) -> None:
        """Until it is on disk. Ends early only by cancellation: the range stays pending then, or unread."""
        async for attempt in stamina.retry_context(on=Unavailable, attempts=None, timeout=None, wait_max=10.0):
            with attempt:
                try:
                    await asyncio.get_running_loop().run_in_executor(self._writing, work, *arguments)
                except Unavailable as error:
                    self._degrade(f"{what} can't be written", error)
                    raise
        self._stage = StageState("ready")

    def _degrade(self, what: str, error: Unavailable) -> None:
        self._metrics.stream_retries.inc()
        self._stage = StageState("degraded", f"{what}: {error.message}")
        _logger.warning("%s, trying again: %s", what, error.message)

    def _observe(self, batch: Batch, now_ms: int) -> None:
        """Move the watermark by what was counted; a producer's backfill says nothing about the present."""
        current = batch.events.filter(pl.col("producer").is_null())
        greatest = current.group_by("log_partition").agg(pl.col("timestamp").max())
        if self._watermarks is not None:
            self._watermarks.observe(dict(greatest.iter_rows()), now_ms)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def _timed(self, part: str) -> AbstractContextManager[object]:
        return self._metrics.stream_batch_seconds.labels(part).time()
