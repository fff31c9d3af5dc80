"""What `EventLog` promises, of every backend. Nothing here knows which one it got."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.log_places import LogPlace, NewLogPlace
from streamgauge.core.errors import NotFound, Unavailable
from streamgauge.log.base import EventLog, LogBatch, OffsetRange, Offsets, Record, partition_of

T = TypeVar("T")
PATIENCE_S = 20.0
"""A test that waits longer has failed."""


async def soon(awaitable: Awaitable[T]) -> T:
    return await asyncio.wait_for(awaitable, PATIENCE_S)


async def take(batches: AsyncIterator[LogBatch], count: int) -> list[LogBatch]:
    """Batches until `count` records have come."""
    taken: list[LogBatch] = []
    async with asyncio.timeout(PATIENCE_S):
        while sum(batch.count for batch in taken) < count:
            taken.append(await anext(batches))
    return taken


async def read(log: EventLog, count: int, group: str = "group", start: Offsets | None = None) -> list[LogBatch]:
    """What a new reader reads until `count` records have come."""
    async with contextlib.aclosing(log.read(group, start)) as batches:  # type: ignore[type-var]
        return await take(batches, count)


def values_of(batches: Sequence[LogBatch]) -> dict[int, list[bytes]]:
    """The values of each partition, in order; checks that lines and offsets of the slices agree."""
    values: dict[int, list[bytes]] = {}
    ends: dict[int, int] = {}
    for batch in batches:
        assert [part.partition for part in batch.slices] == sorted({part.partition for part in batch.slices})
        for part in batch.slices:
            lines = part.lines.split(b"\n")
            assert len(lines) == part.count
            assert part.start == ends.get(part.partition, part.start)
            ends[part.partition] = part.end
            values.setdefault(part.partition, []).extend(lines)
    return values


def numbered(count: int, first: int = 0, key: str = "") -> list[Record]:
    """Records with the values `first …`, each with a key of its own unless one is given."""
    return [Record((key or f"user-{n}").encode(), str(n).encode()) for n in range(first, first + count)]


def by_partition(records: Sequence[Record], partitions: int) -> dict[int, list[bytes]]:
    expected: dict[int, list[bytes]] = {}
    for record in records:
        expected.setdefault(partition_of(record.key, partitions), []).append(record.value)
    return expected


async def test_a_new_log_is_empty(log: EventLog) -> None:
    zeros = dict.fromkeys(range(4), 0)
    assert log.partitions == 4
    assert await log.start_offsets() == zeros
    assert await log.end_offsets() == zeros
    assert await log.committed("group") == zeros


async def test_records_come_back_in_the_partition_of_their_key_in_the_order_they_were_appended(log: EventLog) -> None:
    records = [Record(f"user-{n % 7}".encode(), f"{n}".encode()) for n in range(100)]
    for first in range(0, 100, 10):
        await log.append(records[first : first + 10])
    assert values_of(await read(log, 100)) == by_partition(records, 4)


async def test_offsets_are_dense_and_start_at_0(log: EventLog) -> None:
    for first in range(0, 60, 20):
        await log.append(numbered(20, first))
    batches = await read(log, 60)
    seen: dict[int, list[int]] = {}
    for part in (part for batch in batches for part in batch.slices):
        seen.setdefault(part.partition, []).extend(range(part.start, part.end))
    ends = await log.end_offsets()
    assert seen == {partition: list(range(end)) for partition, end in ends.items()}
    assert sum(ends.values()) == 60


async def test_an_append_of_nothing_is_fine(log: EventLog) -> None:
    await log.append([])
    assert sum((await log.end_offsets()).values()) == 0


async def test_records_can_be_read_as_soon_as_append_returns(log: EventLog) -> None:
    await log.append(numbered(1))
    assert sum((await log.end_offsets()).values()) == 1
    assert (await read(log, 1))[0].count == 1


async def test_a_value_may_have_any_bytes_but_a_line_feed(log: EventLog) -> None:
    values = ["Grüße 🌊".encode(), b"\x00", b"a\x00b\r", bytes(n for n in range(256) if n != 10), b"\xff\xfe", b" "]
    await log.append([Record(b"user", value) for value in values])
    assert values_of(await read(log, len(values))) == {partition_of(b"user", 4): values}


async def test_a_key_may_be_any_bytes_and_empty(log: EventLog) -> None:
    records = [Record(key, b"value") for key in (b"", b"\x00\n\xff", "Zoë".encode(), b"k" * 500)]
    await log.append(records)
    assert values_of(await read(log, 4)) == by_partition(records, 4)


async def test_a_record_may_be_larger_than_a_batch(log_place: LogPlace) -> None:
    log = await log_place.open(batch_bytes_max=1000)
    large = b"x" * 1_000_000
    await log.append([Record(b"user", b"before"), Record(b"user", large), Record(b"user", b"after")])
    assert values_of(await read(log, 3)) == {partition_of(b"user", 4): [b"before", large, b"after"]}


async def test_batches_are_bounded_and_not_empty(log_place: LogPlace) -> None:
    log = await log_place.open(batch_bytes_max=50_000)
    for _ in range(30):
        await log.append([Record(f"user-{n}".encode(), b"x" * 1000) for n in range(10)])
    batches = await read(log, 300)
    assert len(batches) >= 6
    assert all(0 < sum(len(part.lines) for part in batch.slices) <= 2 * 50_000 for batch in batches)


async def test_a_backlog_in_one_partition_does_not_starve_the_others(log_place: LogPlace) -> None:
    log = await log_place.open(batch_bytes_max=100_000)
    keys = {partition_of(key, 4): key for key in (b"user-%d" % n for n in range(100))}
    rng = random.Random(1)
    for _ in range(20):  # more than one answer of a broker holds, compressed as it is
        await log.append([Record(keys[0], rng.randbytes(500).hex().encode()) for _ in range(1000)])
    await log.append([Record(keys[partition], b"quiet") for partition in (1, 2, 3)])
    batches = await read(log, 20_003)
    early = values_of(batches[: len(batches) // 3])
    assert {partition: values for partition, values in early.items() if partition} == {
        partition: [b"quiet"] for partition in (1, 2, 3)
    }


async def test_a_waiting_reader_wakes_up_when_records_are_appended(log: EventLog) -> None:
    batches = log.read("group")
    waiting = asyncio.ensure_future(anext(batches))
    assert not (await asyncio.wait([waiting], timeout=0.05))[0]
    await log.append(numbered(1))
    assert (await soon(waiting)).count == 1
    waiting = asyncio.ensure_future(anext(batches))
    await log.append(numbered(1, first=1))
    assert (await soon(waiting)).count == 1


async def test_a_new_reader_resumes_at_the_committed_offset(log: EventLog) -> None:
    await log.append(numbered(10, key="user"))
    await log.commit("group", (await read(log, 10))[-1].next_offsets)
    await log.append(numbered(5, first=10, key="user"))
    assert values_of(await read(log, 5)) == {partition_of(b"user", 4): [b"10", b"11", b"12", b"13", b"14"]}


async def test_an_offset_in_the_middle_of_an_append_can_be_committed(log: EventLog) -> None:
    partition = partition_of(b"user", 4)
    await log.append(numbered(10, key="user"))
    await log.commit("group", {partition: 7})
    assert values_of(await read(log, 3)) == {partition: [b"7", b"8", b"9"]}


async def test_what_was_not_committed_is_read_again_by_a_new_reader(log: EventLog) -> None:
    await log.append(numbered(20))
    once = values_of(await read(log, 20))
    assert values_of(await read(log, 20)) == once


async def test_a_commit_leaves_other_partitions_as_they_are(log: EventLog) -> None:
    await log.commit("group", {0: 3, 1: 4})
    await log.commit("group", {1: 5})
    await log.commit("group", {})
    assert await log.committed("group") == {0: 3, 1: 5, 2: 0, 3: 0}


async def test_a_commit_may_go_back(log: EventLog) -> None:
    await log.append(numbered(4, key="user"))
    await log.commit("group", {partition_of(b"user", 4): 4})
    await log.commit("group", {partition_of(b"user", 4): 1})
    assert values_of(await read(log, 3)) == {partition_of(b"user", 4): [b"1", b"2", b"3"]}


async def test_groups_are_independent(log: EventLog) -> None:
    await log.append(numbered(8))
    await log.commit("one", await log.end_offsets())
    assert await log.committed("other") == dict.fromkeys(range(4), 0)
    assert sum(batch.count for batch in await read(log, 8, group="other")) == 8


async def test_two_readers_of_one_group_both_get_every_record(log: EventLog) -> None:
    await log.append(numbered(20))
    one, other = await asyncio.gather(read(log, 20), read(log, 20))
    assert values_of(one) == values_of(other) == by_partition(numbered(20), 4)


async def test_start_overrides_the_committed_offset_of_the_partitions_it_names(log: EventLog) -> None:
    records = numbered(40)
    expected = by_partition(records, 4)
    await log.append(records)
    await log.commit("group", {0: len(expected[0]), 1: len(expected[1]), 2: len(expected[2]), 3: len(expected[3])})
    expected = {0: expected[0], 2: expected[2][1:]}
    count = sum(len(values) for values in expected.values())
    assert values_of(await read(log, count, start={0: 0, 2: 1})) == expected


async def test_fetch_returns_exactly_the_records_asked_for_the_same_at_every_call(log: EventLog) -> None:
    partition = partition_of(b"user", 4)
    for first in range(0, 30, 10):
        await log.append(numbered(10, first, key="user"))
    for start, end in ((0, 30), (0, 1), (29, 30), (3, 7), (9, 11), (5, 25), (10, 20)):
        wanted = [OffsetRange(partition, start, end)]
        batch = await log.fetch(wanted)
        assert batch.ranges == tuple(wanted)
        assert batch.slices[0].lines == b"\n".join(b"%d" % n for n in range(start, end))
        assert await log.fetch(wanted) == batch


async def test_fetch_of_the_ranges_of_a_batch_returns_the_batch(log_place: LogPlace) -> None:
    log = await log_place.open(batch_bytes_max=300)
    for first in range(0, 200, 20):
        await log.append(numbered(20, first))
    for batch in await read(log, 200):
        assert await log.fetch(tuple(reversed(batch.ranges))) == batch


async def test_fetch_of_nothing_is_an_empty_batch(log: EventLog) -> None:
    assert await log.fetch([]) == LogBatch(())
    assert await log.fetch([OffsetRange(0, 0, 0)]) == LogBatch(())


async def test_fetch_of_records_that_are_not_there_raises_not_found(log: EventLog) -> None:
    partition = partition_of(b"user", 4)
    await log.append(numbered(10, key="user"))
    for start, end in ((0, 11), (9, 12), (10, 11), (50, 60)):
        with pytest.raises(NotFound):
            await log.fetch([OffsetRange(partition, start, end)])
    with pytest.raises(NotFound):
        await log.fetch([OffsetRange(partition, 0, 10), OffsetRange((partition + 1) % 4, 0, 1)])
    with pytest.raises(NotFound):
        await log.fetch([OffsetRange(4, 0, 1)])


async def test_appends_from_many_tasks_lose_nothing_and_keep_the_order_of_each_task(log: EventLog) -> None:
    async def append_one_by_one(task: int) -> None:
        for n in range(20):
            await log.append([Record(b"user-%d" % task, b"%d %d %d" % (task, n, k)) for k in range(3)])

    await asyncio.gather(*(append_one_by_one(task) for task in range(20)))
    values = values_of(await read(log, 20 * 20 * 3))
    for task in range(20):
        mine = [value for value in values[partition_of(b"user-%d" % task, 4)] if value.startswith(b"%d " % task)]
        assert mine == [b"%d %d %d" % (task, n, k) for n in range(20) for k in range(3)]


async def test_a_log_that_is_opened_again_goes_on_where_it_was(log_place: LogPlace) -> None:
    records = numbered(30)
    log = await log_place.open()
    await log.append(records[:20])
    await log.commit("group", {0: 1})
    ends = await log.end_offsets()
    await log.close()

    log = await log_place.open()
    assert await log.end_offsets() == ends
    assert (await log.committed("group"))[0] == 1
    await log.append(records[20:])
    assert values_of(await read(log, 30, group="new")) == by_partition(records, 4)


async def test_close_ends_readers_that_wait(log: EventLog) -> None:
    waiting = asyncio.ensure_future(anext(log.read("group"), None))
    assert not (await asyncio.wait([waiting], timeout=0.05))[0]
    await log.close()
    assert await soon(waiting) is None


async def test_close_ends_readers_that_are_in_the_middle(log_place: LogPlace) -> None:
    log = await log_place.open(batch_bytes_max=100)
    for _ in range(10):
        await log.append([Record(b"user", b"x" * 50)] * 10)
    batches = log.read("group")
    await take(batches, 1)
    await log.close()
    assert [batch async for batch in batches] == []


async def test_close_writes_what_was_queued(log_place: LogPlace) -> None:
    log = await log_place.open()
    appends = [asyncio.ensure_future(log.append(numbered(5, first))) for first in range(0, 50, 5)]
    await asyncio.sleep(0)  # lets each of them begin
    await log.close()
    await soon(asyncio.gather(*appends))
    assert sum((await (await log_place.open()).end_offsets()).values()) == 50


async def test_a_closed_log_raises_unavailable(log: EventLog) -> None:
    await log.close()
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: log.append(numbered(1)),
        lambda: anext(log.read("group")),
        lambda: log.fetch([OffsetRange(0, 0, 1)]),
        lambda: log.commit("group", {0: 0}),
        lambda: log.committed("group"),
        log.start_offsets,
        log.end_offsets,
    ]
    for call in calls:
        with pytest.raises(Unavailable):
            await call()


async def test_one_partition_is_enough(new_log_place: NewLogPlace) -> None:
    log = await new_log_place(1).open()
    await log.append(numbered(10))
    assert values_of(await read(log, 10)) == {0: [b"%d" % n for n in range(10)]}


KEYS = st.integers(0, 5).map(lambda n: b"user-%d" % n)
VALUES = st.binary(min_size=1, max_size=40).map(lambda value: value.replace(b"\n", b"_"))
PARTITIONS = st.integers(0, 2)
PLACES = st.floats(0, 1)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(st.builds(Record, KEYS, VALUES), max_size=12)),
        st.tuples(st.just("commit"), PARTITIONS, PLACES),
        st.tuples(st.just("read"), st.dictionaries(PARTITIONS, PLACES)),
        st.tuples(st.just("fetch"), PARTITIONS, PLACES, PLACES),
        st.tuples(st.just("reopen")),
    ),
    max_size=15,
)


class Oracle:
    """The simplest log that could be: does each step to itself and to a log, and compares what they answer."""

    def __init__(self, place: LogPlace) -> None:
        self._place = place
        self._values: dict[int, list[bytes]] = {0: [], 1: [], 2: []}
        self._committed = dict.fromkeys(self._values, 0)

    async def open(self) -> None:
        self._log = await self._place.open(batch_bytes_max=200)

    def _offset(self, partition: int, place: float) -> int:
        return round(place * len(self._values[partition]))

    async def append(self, records: list[Record]) -> None:
        await self._log.append(records)
        for record in records:
            self._values[partition_of(record.key, 3)].append(record.value)

    async def commit(self, partition: int, place: float) -> None:
        self._committed[partition] = self._offset(partition, place)
        await self._log.commit("group", {partition: self._committed[partition]})

    async def read(self, places: Mapping[int, float]) -> None:
        start = {partition: self._offset(partition, place) for partition, place in places.items()}
        positions = {**self._committed, **start}
        expected = {p: values[positions[p] :] for p, values in self._values.items() if values[positions[p] :]}
        got = await read(self._log, sum(len(values) for values in expected.values()), start=start)
        assert values_of(got) == expected
        first = {part.partition: part.start for batch in reversed(got) for part in batch.slices}
        assert first == {partition: positions[partition] for partition in expected}

    async def fetch(self, partition: int, *places: float) -> None:
        start, end = sorted(self._offset(partition, place) for place in places)
        batch = await self._log.fetch([OffsetRange(partition, start, end)])
        assert values_of([batch]) == ({partition: self._values[partition][start:end]} if start < end else {})

    async def reopen(self) -> None:
        await self._log.close()
        await self.open()

    async def compare_offsets(self) -> None:
        assert await self._log.end_offsets() == {p: len(values) for p, values in self._values.items()}
        assert await self._log.committed("group") == self._committed


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_a_log_answers_as_the_simplest_one_would(
    new_log_place: NewLogPlace, steps: list[tuple[Any, ...]]
) -> None:
    place = new_log_place(3)
    oracle = Oracle(place)
    await oracle.open()
    for name, *arguments in steps:
        await getattr(oracle, name)(*arguments)
        await oracle.compare_offsets()
    await place.close_all()
