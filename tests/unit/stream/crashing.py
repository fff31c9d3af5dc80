"""A store, a log and a runner's state that can fail or end at any step, as a machine can."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from streamgauge.config import LogSettings
from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import Unavailable
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.log.base import Record
from streamgauge.log.sqlite import SqliteLog
from streamgauge.model import DAY_MS, SESSION_METRICS, UNKNOWN, Envelope, LiveUpdate, Rollup
from streamgauge.profiles.table import ProfileTable
from streamgauge.store.base import RowBatch
from streamgauge.stream.embedded import EmbeddedRunner
from streamgauge.stream.journal import StateChange
from streamgauge.stream.pipeline import Pipeline
from streamgauge.stream.spec import PipelineSpec
from streamgauge.stream.state import Pending, RunnerState
from unit.stream.making import NOON_MS, Key
from unit.stream.naive import NaiveSession

Trouble = Literal["fine", "refused", "torn", "answer lost"]
"""What a write does: nothing and says so; the rows of one day and fails; all, and fails."""


class Crash(Exception):
    """The process has ended here."""


class Fuse:
    """Lets so many steps pass; the process ends at the next one, and does nothing after it."""

    def __init__(self, steps: int | None = None) -> None:
        self._left = steps

    def step(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise Crash


class MemoryStore:
    """`StoreWriter` in a dict. Like ClickHouse it knows a batch by its id in each day that its rows fall in."""

    def __init__(self) -> None:
        self.fuse = Fuse()
        self.troubles: list[Trouble] = []
        self.calls: list[str] = []
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self._taken: dict[tuple[str, str, int], list[dict[str, Any]]] = {}

    def write(self, batch: RowBatch) -> None:
        self.fuse.step()
        self.calls.append(batch.table)
        self.entered.set()
        assert self.gate.wait(20), "nobody opened the gate"
        trouble = self.troubles.pop(0) if self.troubles else "fine"
        if trouble == "refused":
            raise Unavailable("the store is away")
        self._take(batch, days_max=1 if trouble == "torn" else None)
        if trouble in ("torn", "answer lost"):
            raise Unavailable("the store did not answer")
        self.fuse.step()

    def close(self) -> None:
        pass

    def _take(self, batch: RowBatch, days_max: int | None) -> None:
        days: dict[int, list[dict[str, Any]]] = {}
        for row in batch.rows.to_pylist():
            days.setdefault(_day_of(row), []).append(row)
        for day in sorted(days)[:days_max]:
            known = self._taken.setdefault((batch.table, batch.batch_id, day), days[day])
            assert Counter(map(repr, known)) == Counter(map(repr, days[day])), "one id came with different rows"

    def remove(self, table: str, is_meant: Callable[[Mapping[str, Any]], bool]) -> None:
        for (name, _, _), rows in list(self._taken.items()):
            if name == table:
                rows[:] = [row for row in rows if not is_meant(row)]

    def add(self, table: str, rows: list[dict[str, Any]]) -> None:
        self._taken[table, f"added {len(self._taken)}", 0] = rows

    def rows(self, table: str) -> list[dict[str, Any]]:
        return [row for (name, _, _), rows in self._taken.items() if name == table for row in rows]

    def panes(self, rollups: Iterable[Rollup]) -> dict[Key, float]:
        """All panes of one window and dimensions made one, as a question does."""
        kinds = {rollup.name: rollup.measured.kind for rollup in rollups}
        found: dict[Key, list[dict[str, Any]]] = {}
        for row in (*self.rows("metrics"), *self.rows("metrics_extremes")):
            if row["metric_name"] not in kinds:
                continue
            key = (row["metric_name"], row["timestamp"] * 1000, tuple(row["dimensions"]))
            found.setdefault(key, []).append(row)
        return {key: _merged(rows, kinds[key[0]]) for key, rows in found.items()}

    def sessions(self) -> set[NaiveSession]:
        """The newest row of each session that is not deleted."""
        newest: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in self.rows("sessions"):
            key = (row["user_id"], row["is_anonymous"], row["opened_at"])
            if row["version"] >= newest.get(key, row)["version"]:
                newest[key] = row
        return {
            NaiveSession(
                row["user_id"],
                row["is_anonymous"],
                row["identified_user_id"],
                round(row["started_at"].timestamp() * 1000),
                round(row["ended_at"].timestamp() * 1000),
                row["events"],
                row["page_views"],
                row["entry_page"],
                row["exit_page"],
                row["country"],
                row["device"],
                row["is_open"],
            )
            for row in newest.values()
            if not row["is_deleted"]
        }

    def session_sums(self) -> dict[tuple[Any, ...], float]:
        sums: Counter[tuple[Any, ...]] = Counter()
        for row in self.rows("metrics"):
            if row["metric_name"] in SESSION_METRICS:
                texts = [None if value == UNKNOWN else value for _, value in row["dimensions"]]
                sums[row["metric_name"], row["timestamp"] * 1000, *texts] += row["value"]
        return {place: round(value, 3) for place, value in sums.items() if round(value, 3)}


class MemoryRebuild:
    """`StoreRebuild` of a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def clear(self) -> None:
        for table in ("metrics_rebuilt", "metrics_extremes_rebuilt"):
            self._store.remove(table, lambda _: True)

    def replace(self, metrics: Collection[str], from_s: int, to_s: int) -> None:
        def is_meant(row: Mapping[str, Any]) -> bool:
            return row["metric_name"] in metrics and from_s <= row["timestamp"] < to_s

        for table in ("metrics", "metrics_extremes"):
            self._store.remove(table, is_meant)
            self._store.add(table, list(filter(is_meant, self._store.rows(f"{table}_rebuilt"))))

    def close(self) -> None:
        pass


def _day_of(row: Mapping[str, Any]) -> int:
    if "opened_at" in row:
        return int(row["opened_at"].timestamp() * 1000) // DAY_MS
    if "received_at" in row:
        return int(row["received_at"].timestamp() * 1000) // DAY_MS
    return int(row["timestamp"]) * 1000 // DAY_MS


def _merged(rows: Sequence[Mapping[str, Any]], kind: str) -> float:
    match kind:
        case "min":
            return min(row["value_min"] for row in rows)
        case "max":
            return max(row["value_max"] for row in rows)
        case _:
            return sum(row["value"] for row in rows)


class _FusedState(RunnerState):
    fuse: Fuse

    def begin(self, pending: Pending) -> None:
        self.fuse.step()
        super().begin(pending)
        self.fuse.step()

    def finish(self, pending: Pending, changes: Mapping[str, StateChange], watermark_ms: int) -> None:
        self.fuse.step()
        super().finish(pending, changes, watermark_ms)
        self.fuse.step()


class _FusedLog:
    """An `EventLog` of which committing is a step."""

    def __init__(self, log: SqliteLog, fuse: Fuse) -> None:
        self._log = log
        self._fuse = fuse

    async def commit(self, group: str, offsets: Mapping[int, int]) -> None:
        self._fuse.step()
        await self._log.commit(group, offsets)
        self._fuse.step()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


class World:
    """A log and a store that stay, and runners that come and go."""

    @classmethod
    async def open(cls, folder: Path, rollups: tuple[Rollup, ...], *, batch_bytes_max: int = 1024 * 1024) -> World:
        clock = ManualClock(NOON_MS)
        settings = LogSettings(partitions=3, batch_bytes_max=batch_bytes_max)
        return cls(folder, rollups, clock, await SqliteLog.open(folder / "log", settings, 7, clock))

    def __init__(self, folder: Path, rollups: tuple[Rollup, ...], clock: ManualClock, log: SqliteLog) -> None:
        """Only for `open`."""
        self.clock, self.log, self.store = clock, log, MemoryStore()
        self.published: asyncio.Queue[LiveUpdate] = asyncio.Queue()
        self.metrics = SelfMetrics()
        self.profiles = ProfileTable(())
        self.state_file = folder / "state.db"
        self.spec = PipelineSpec(rollups, watermark_delay_ms=10_000, idle_partition_ms=5_000, dimension_chars_max=512)
        self._states: list[RunnerState] = []

    def runner(self, fuse: Fuse | None = None, *, batch_interval_ms: int = 0) -> EmbeddedRunner:
        """As a process that starts makes it."""
        self.store.fuse = fuse or Fuse()
        state = _FusedState(self.state_file)
        state.fuse = self.store.fuse
        self._states.append(state)
        log: Any = _FusedLog(self.log, self.store.fuse)
        return EmbeddedRunner(
            log,
            self.store,
            state,
            self.clock,
            self.metrics,
            pipeline=Pipeline(state.blocks_of, self.profiles),
            publish=self.published.put_nowait,
            batch_interval_ms=batch_interval_ms,
        )

    async def work_off(self, fuse: Fuse | None = None) -> bool:
        """Start a runner that ends when nothing is left; False where it crashed before."""
        runner = self.runner(fuse)
        runner.stop()
        try:
            async with asyncio.timeout(20):
                await runner.run(self.spec)
        except Crash:
            return False
        finally:
            self._states.pop().close()
        return True

    async def append(self, *envelopes: Envelope) -> None:
        await self.log.append([Record(key_of(one), one.to_line()) for one in envelopes])

    async def close(self) -> None:
        for state in self._states:
            state.close()
        await self.log.close()


def key_of(one: Envelope) -> bytes:
    return (one.anonymous_id or one.user_id or one.event_id).encode()
