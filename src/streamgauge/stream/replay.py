"""Replays: rollups rebuilt from the retained log while live traffic goes on.

1. What is to be rebuilt is recorded on disk, so that a replay that is cut off is done again from the start.
2. The log is read from its first record to where the live pipeline is, by a pipeline that remembers nothing, and what
   it counts is written to tables of its own.
3. The live pipeline is held between two batches for a moment; the last records are read, sessions are closed up to the
   watermark that closed the live ones.
4. The store replaces the rollups. Both are made of the same records now.
5. The record of 1 is removed, and the live pipeline goes on.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeVar

import msgspec
import polars as pl

from streamgauge.core.errors import InvalidRequest, NotFound, Unavailable
from streamgauge.core.lifecycle import give_way
from streamgauge.log.base import EventLog, LogBatch, OffsetRange
from streamgauge.model import DAY_MS, MINUTE_MS, SESSION_METRICS, ReplayState
from streamgauge.store.base import RowBatch, StoreRebuild, StoreWriter
from streamgauge.stream.batch import decode
from streamgauge.stream.embedded import EmbeddedRunner
from streamgauge.stream.enrich import Profiles
from streamgauge.stream.erased import Erased, nobody, without_erased
from streamgauge.stream.pipeline import Pipeline, wanted_fields
from streamgauge.stream.spec import PipelineSpec
from streamgauge.stream.state import Admission, Pending, ReplayRequest, RunnerState

_RECORDS_A_PARTITION: Final = 25_000
"""Read at a time."""

_TABLES: Final = {"metrics": "metrics_rebuilt", "metrics_extremes": "metrics_extremes_rebuilt"}
_END_MS: Final = 4_102_444_800_000
"""2100-01-01: past every event."""

_RETRY_S: Final = 5.0

_logger = logging.getLogger(__name__)

T = TypeVar("T")


class Replays:
    """One replay at a time."""

    def __init__(
        self,
        log: EventLog,
        runner: EmbeddedRunner,
        state: RunnerState,
        spec: PipelineSpec,
        *,
        profiles: Profiles,
        open_store: Callable[[], tuple[StoreWriter, StoreRebuild]],
        erased: Callable[[], Awaitable[Sequence[Erased]]] = nobody,
    ) -> None:
        """`open_store` is asked when a replay begins: most processes never need it. `erased` says then whose events
        are passed over."""
        self._log = log
        self._runner = runner
        self._state = state
        self._profiles = profiles
        self._open_store = open_store
        self._erased = erased
        self._spec = spec
        self._wanted = asyncio.Event()
        self._beginning = asyncio.Lock()  # one replay at a time, also while it is being written down
        self._newest: ReplayState | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="replay", initializer=give_way)

    @property
    def newest(self) -> ReplayState | None:
        """The replay that is going on, or was the last of this process; None where there was none."""
        return self._newest

    async def request(self, from_ms: int, to_ms: int | None, metric: str | None) -> ReplayState:
        """Begin to rebuild one metric, or all, in whole windows. Raises InvalidRequest, Unavailable."""
        async with self._beginning:
            return await self._request(from_ms, to_ms, metric)

    async def _request(self, from_ms: int, to_ms: int | None, metric: str | None) -> ReplayState:
        if self._newest is not None and self._newest.phase in ("reading", "replacing"):
            raise InvalidRequest(
                "a replay is going on already", code="replay_running", hint="wait for its end, then ask again"
            )
        known = (*(rollup.name for rollup in self._spec.rollups), *SESSION_METRICS)
        if metric is not None and metric not in known:
            raise InvalidRequest(
                f"there is no metric {metric!r}", code="unknown_metric", hint=f"there are: {', '.join(sorted(known))}"
            )
        earliest_ms = await self._earliest_ms()
        if from_ms < earliest_ms:
            raise InvalidRequest(
                "the log does not go back so far: what it has lost could not be counted again",
                code="replay_too_early",
                hint=f"the earliest that can be rebuilt is {_rfc3339(earliest_ms)}",
            )
        wanted = self._whole_windows((metric,) if metric else known, from_ms, to_ms or _END_MS)
        await self._runner.write_down(self._state.request_replay, wanted)
        return self._began(wanted)

    async def run(self) -> None:
        """Do what is requested, for ever. First what an earlier process left, and what changed in the settings."""
        async with self._beginning:
            await self._patiently(self._look_for_new_rollups)
            if (left := self._state.requested_replay()) is not None:
                self._began(left)
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if (request := self._state.requested_replay()) is not None:
                await self._patiently(partial(self._try, request))

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _began(self, request: ReplayRequest) -> ReplayState:
        number = self._newest.number + 1 if self._newest else 1
        self._newest = ReplayState(number, "reading", request.from_ms, request.to_ms, request.metrics)
        self._wanted.set()
        return self._newest

    async def _look_for_new_rollups(self) -> None:
        """Rollups that are new in the settings, or defined otherwise, are backfilled from what the log has."""
        before = self._state.known_rollups()
        now = {rollup.name: rollup for rollup in self._spec.rollups}
        new = [name for name, rollup in now.items() if before is not None and before.get(name) != rollup]
        left = self._state.requested_replay()
        if not new or not any((await self._log.end_offsets()).values()):
            if before != now:
                await self._runner.write_down(self._state.know_rollups, self._spec.rollups, left)
            return
        _logger.info("backfilling from the log: %s", ", ".join(new))
        metrics = {*new, *(left.metrics if left else ())}
        from_ms = min(await self._earliest_ms(), left.from_ms if left else _END_MS)
        wanted = self._whole_windows(metrics, from_ms, _END_MS)
        await self._runner.write_down(self._state.know_rollups, self._spec.rollups, wanted)

    def _whole_windows(self, metrics: Collection[str], from_ms: int, to_ms: int) -> ReplayRequest:
        widths = [rollup.window_ms for rollup in self._spec.rollups if rollup.name in metrics]
        width_ms = max([MINUTE_MS, *widths])
        return ReplayRequest(from_ms - from_ms % width_ms, -(-to_ms // width_ms) * width_ms, tuple(sorted(metrics)))

    async def _earliest_ms(self) -> int:
        """From when on every event, and every event that one may repeat, is still in the log."""
        starts, ends = await self._log.start_offsets(), await self._log.end_offsets()
        kept = [(partition, start) for partition, start in starts.items() if start and ends[partition] > start]
        if not any(starts.values()):
            return 0
        if not kept:
            return _END_MS - DAY_MS
        firsts = await self._log.fetch([OffsetRange(partition, start, start + 1) for partition, start in kept])
        oldest_ms = int(str(decode(firsts, ()).events["received_at"].max()))
        return oldest_ms + self._spec.deduplication_horizon_ms + self._spec.future_ms_max

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        """Again and again while the log, the store or the disk is not there: a replay must not end the system."""
        while True:
            try:
                return await work()
            except Unavailable as error:
                _logger.warning("the replay is tried again: %s", error.message)
                await asyncio.sleep(_RETRY_S)

    async def _try(self, request: ReplayRequest) -> None:
        try:
            await self._replay(request)
        except NotFound as error:  # records expired meanwhile: trying again would not bring them back
            _logger.error("the replay of %s failed: %s", ", ".join(request.metrics), error.message)
            await self._runner.write_down(self._state.end_replay)
            self._update(phase="failed", problem=error.message)

    async def _replay(self, request: ReplayRequest) -> None:
        writer, rebuild = await self._in_thread(self._open_store)
        try:
            await self._in_thread(rebuild.clear)
            reading = _Reading(
                self._profiles, writer, self._spec, request, self._state.admissions(), erased=await self._erased()
            )
            starts = await self._log.start_offsets()
            reading.positions = dict(starts)
            behind = 1
            while behind:
                ends = dict(self._runner.next_offsets)
                self._update(total_events=sum(ends.values()) - sum(starts.values()))
                behind = await self._read_up_to(reading, ends, starts, self._runner.session_watermark_ms)
                if behind <= _RECORDS_A_PARTITION:
                    break
            async with self._runner.paused():
                self._update(phase="replacing")
                watermark_ms = self._runner.session_watermark_ms
                await self._read_up_to(reading, dict(self._runner.next_offsets), starts, watermark_ms)
                await self._in_thread(reading.close_sessions, watermark_ms)
                await self._in_thread(rebuild.replace, request.metrics, request.from_ms // 1000, request.to_ms // 1000)
                await self._runner.write_down(self._state.end_replay)
            self._update(phase="done")
            await self._in_thread(rebuild.clear)
        finally:
            for part in (writer, rebuild):
                await self._in_thread(part.close)

    async def _read_up_to(
        self, reading: _Reading, ends: dict[int, int], starts: dict[int, int], watermark_ms: int
    ) -> int:
        """Read to `ends`; how many more there are by then."""
        while ranges := reading.next_ranges(ends):
            records = await self._log.fetch(ranges)
            await self._in_thread(reading.count, records, watermark_ms)
            self._update(read_events=sum(reading.positions.values()) - sum(starts.values()))
        return sum(self._runner.next_offsets.values()) - sum(ends.values())

    def _update(self, **changes: object) -> None:
        if self._newest is not None:
            self._newest = msgspec.structs.replace(self._newest, **changes)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


class _Reading:
    """One pass over the log. Everything but `next_ranges` runs in the replay's thread."""

    def __init__(
        self,
        profiles: Profiles,
        writer: StoreWriter,
        spec: PipelineSpec,
        request: ReplayRequest,
        admissions: Sequence[Admission],
        *,
        erased: Sequence[Erased],
    ) -> None:
        self._erased = erased
        self.positions: dict[int, int] = {}
        self._admissions = deque(admissions)
        self._writer = writer
        rollups = tuple(rollup for rollup in spec.rollups if rollup.name in request.metrics)
        self._spec = msgspec.structs.replace(spec, rollups=rollups)
        self._pipeline = Pipeline(lambda _: (), profiles)
        self._number = 0
        self._name = uuid.uuid4().hex

    def next_ranges(self, ends: dict[int, int]) -> list[OffsetRange]:
        """All of them are of one admission."""
        while True:
            until = ends if len(self._admissions) < 2 else self._admissions[1].offsets
            ranges = [
                OffsetRange(partition, start, min(start + _RECORDS_A_PARTITION, until[partition]))
                for partition, start in self.positions.items()
                if start < until.get(partition, 0)
            ]
            if ranges or until is ends:
                return ranges
            self._admissions.popleft()

    def count(self, records: LogBatch, watermark_ms: int) -> None:
        batch = without_erased(decode(records, wanted_fields(self._spec)), self._erased)
        # Sessions are closed when they can be joined no more; a last time at the end, as the live ones were.
        # Of the partition that is read slowest: the others are ahead of what may still join.
        newest = batch.events.group_by("log_partition").agg(pl.col("received_at").max())["received_at"]
        received_ms = int(str(newest.min())) if batch.events.height else 0
        closing_ms = min(watermark_ms, received_ms - self._spec.watermark_delay_ms)
        self._number += 1
        _, output = self._pipeline.apply(
            batch, Pending(batch.ranges, self._admissions[0].applied_to(self._spec), self._number, closing_ms)
        )
        self._write(output.writes)
        self._pipeline.changes()
        self.positions |= records.next_offsets

    def close_sessions(self, watermark_ms: int) -> None:
        self._number += 1
        nothing = decode(LogBatch(()), wanted_fields(self._spec))
        _, output = self._pipeline.apply(nothing, Pending((), self._spec, self._number, watermark_ms))
        self._write(output.writes)

    def _write(self, writes: Iterable[RowBatch]) -> None:
        for write in writes:
            if write.table in _TABLES:
                # The engine remembers tokens of earlier replays too.
                token = f"{self._name}:{self._number}:{write.batch_id}"
                self._writer.write(RowBatch(_TABLES[write.table], token, write.rows))


def _rfc3339(time_ms: int) -> str:
    return datetime.fromtimestamp(-(-time_ms // 1000), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
