"""Topics, a group and a store in memory, with loaders that can end or fall asleep at any step."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from streamgauge.config import LoaderSettings
from streamgauge.core.errors import Unavailable
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.load.loader import Loader
from streamgauge.log.base import Place
from streamgauge.log.row_base import Given, Received, RowPartition, RowRecord
from streamgauge.model import PROGRESS, LiveUpdate
from streamgauge.store.base import RowBatch

Trouble = Literal["fine", "refused", "torn", "answer lost"]
SETTINGS = LoaderSettings(batch_rows_min=3, batch_s_max=1.0, batch_bytes_max=1_500, queue_bytes_max=6_000)
DAY_S = 86_400


class Crash(Exception):
    """The process has ended here."""


class Topics:
    """What is in the log, who has which partition, and what the group committed."""

    def __init__(self, partitions: list[RowPartition]) -> None:
        self.records: dict[RowPartition, list[RowRecord]] = {one: [] for one in partitions}
        self.kept: dict[RowPartition, list[int]] = {one: [0, 0] for one in partitions}
        """First and last offset, the second of them exclusive."""
        self.places: dict[RowPartition, Place] = {}
        self.owners: dict[RowPartition, MemoryGroup | None] = dict.fromkeys(partitions)
        self.topic_id = "first"
        self.rows = 0

    def write(self, which: RowPartition, count: int, *, gap: int = 0) -> None:
        """So many rows, numbered through, then offsets that are no rows."""
        for _ in range(count):
            self.put(which, json.dumps(row(self.rows)).encode())
            self.rows += 1
        self.kept[which][1] += gap

    def put(self, which: RowPartition, value: bytes) -> None:
        end = self.kept[which][1]
        self.records[which].append(RowRecord(end, 1_000, value))
        self.kept[which][1] = end + 1

    def expire(self, which: RowPartition, first: int) -> None:
        self.kept[which][0] = first

    def give(self, which: RowPartition, to: MemoryGroup | None) -> None:
        """The one that had it may not know it yet."""
        self.owners[which] = to


class MemoryGroup:
    """`RowGroup`: one member. What it doesn't own any more it learns with the next poll."""

    def __init__(self, topics: Topics, fuse: Fuse, *, keeps_notes: bool = True) -> None:
        self._topics, self._fuse, self._keeps_notes = topics, fuse, keeps_notes
        self._positions: dict[RowPartition, int] = {}
        self._held = False
        self.poll_rows_max = 4
        self.is_left = False
        self.unanswered = 0
        self.is_member = True
        self.are_brokers_away = False
        self.unaware_polls = 0
        """So long it isn't told what was given to others."""

    def poll(self, _wait_s: float) -> Received:
        topics = self._topics
        owned = {one for one, owner in topics.owners.items() if owner is self}
        if self.unaware_polls:
            self.unaware_polls -= 1
            owned = set(self._positions)
        taken = {one for one in self._positions if one not in owned}
        for one in taken:
            del self._positions[one]
        given = {}
        for one in sorted(owned - self._positions.keys()):
            first, last = topics.kept[one]
            place = topics.places.get(one, Place(0, ""))
            given[one] = Given.resumed(f"t.{one.table}", topics.topic_id, place, (first, last))
            self._positions[one] = given[one].at
        rows: dict[RowPartition, list[RowRecord]] = {}
        ends = {}
        for one, at in self._positions.items():
            waiting = [record for record in topics.records[one] if record.offset >= max(at, topics.kept[one][0])]
            if waiting and not self._held:
                rows[one] = waiting[: self.poll_rows_max]
                self._positions[one] = rows[one][-1].offset + 1
            if len(waiting) <= self.poll_rows_max and not self._held:
                ends[one] = topics.kept[one][1]
        return Received(taken, given, rows, ends, self.is_member)

    def hold(self, *, held: bool) -> None:
        self._held = held

    def commit(self, places: Mapping[RowPartition, Place]) -> None:
        self._fuse.step()
        if any(self._topics.owners[one] is not self for one in places):
            raise Unavailable("this is no member of this generation")
        for one, place in places.items():
            self._topics.places[one] = place if self._keeps_notes else Place(place.offset, "")
        self._fuse.step()
        if self.unanswered:
            self.unanswered -= 1
            raise Unavailable("no answer")

    def loaded(self) -> Mapping[RowPartition, int]:
        return {one: place.offset for one, place in self._topics.places.items() if one.table != PROGRESS}

    def ends(self) -> Mapping[RowPartition, int]:
        if self.are_brokers_away:
            raise Unavailable("no broker answers")
        return {one: last for one, (_, last) in self._topics.kept.items() if one.table != PROGRESS}

    def leave(self) -> None:
        self.is_left = True
        for one, owner in self._topics.owners.items():
            if owner is self:
                self._topics.give(one, None)


class Fuse:
    """Lets so many steps pass; the process ends at the next one, and does nothing after it."""

    def __init__(self) -> None:
        self.left: int | None = None

    def step(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Crash


class Store:
    """Like ClickHouse it knows a batch by its token in each day that its rows fall in."""

    def __init__(self) -> None:
        self.troubles: list[Trouble] = []
        self._taken: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def take(self, batch: RowBatch) -> None:
        with self._lock:
            trouble = self.troubles.pop(0) if self.troubles else "fine"
            if trouble == "refused":
                raise Unavailable("the store is away")
            days: dict[int, list[dict[str, Any]]] = {}
            for one in batch.rows.to_pylist():
                days.setdefault(one.get("timestamp", 0) // DAY_S, []).append(one)
            for day in sorted(days)[: 1 if trouble == "torn" else None]:
                self._taken.setdefault((batch.table, batch.batch_id, day), days[day])
            if trouble in ("torn", "answer lost"):
                raise Unavailable("the store did not answer")

    def rows(self, table: str) -> list[dict[str, Any]]:
        return [one for (name, _, _), rows in self._taken.items() if name == table for one in rows]

    def numbers(self) -> Counter[int]:
        """How often each numbered row is there."""
        return Counter(int(one["value"]) for one in self.rows("metrics"))

    @property
    def tokens(self) -> set[str]:
        return {token for _, token, _ in self._taken}


class Door:
    """`StoreWriter` of one process: an insert can be kept on the way."""

    def __init__(self, store: Store, fuse: Fuse) -> None:
        self._store, self._fuse = store, fuse
        self.is_open = threading.Event()
        self.is_open.set()
        self.waiting = threading.Event()

    def write(self, batch: RowBatch) -> None:
        self._fuse.step()
        self.waiting.set()
        assert self.is_open.wait(20), "nobody opened the door"
        self.waiting.clear()
        self._store.take(batch)
        self._fuse.step()

    def close(self) -> None:
        pass


class Process:
    """A loader that is driven turn by turn."""

    def __init__(self, topics: Topics, store: Store, *, keeps_notes: bool = True) -> None:
        self.fuse = Fuse()
        self.door = Door(store, self.fuse)
        self.group = MemoryGroup(topics, self.fuse, keeps_notes=keeps_notes)
        self.metrics = SelfMetrics()
        self.now_s = 0.0
        self.updates: list[LiveUpdate] = []
        self.loader = Loader(
            lambda: self.group, self.door, self.metrics, SETTINGS, lambda: self.now_s, publish=self.updates.append
        )
        self.is_alive = True

    async def turn(self) -> None:
        """With the inserts that it begins, unless the door is shut."""
        if not self.is_alive:
            return
        self.now_s += 0.3
        try:
            await self.loader.turn(self.group)
            await self.settle()
        except Crash:
            self.end()

    async def settle(self) -> None:
        """Until the inserts under way are done, or wait at the door."""
        inserting = self.loader.inserting
        while inserting is not None and not self.door.waiting.is_set():
            if (await asyncio.wait({inserting}, timeout=0.001))[0]:
                break
        if inserting is not None and not self.door.is_open.is_set() and not inserting.done():
            return
        if inserting is not None and isinstance((await asyncio.gather(inserting, return_exceptions=True))[0], Crash):
            raise Crash

    def end(self) -> None:
        self.is_alive = False
        self.group.leave()

    async def close(self) -> None:
        self.door.is_open.set()
        self.loader.stop()
        inserting = self.loader.inserting
        await asyncio.gather(*([inserting] if inserting else []), return_exceptions=True)
        await self.loader.run()  # it has been told to stop


def row(number: int) -> dict[str, Any]:
    # Two days, so that a batch is two parts in the store.
    at = 1_700_000_000 + number % 2 * DAY_S
    return {"timestamp": at, "metric_name": "numbers", "value": number, "dimensions": {"n": str(number)}}
