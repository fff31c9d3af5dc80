from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.core.errors import ConfigError
from streamgauge.log.base import Place
from streamgauge.log.row_base import Note, RowPartition
from unit.load.topics import Process, Store, Topics

ONE, OTHER, PROGRESS = RowPartition("metrics", 0), RowPartition("metrics", 1), RowPartition("progress", 0)
_TURNS_MAX = 200

_partition = st.sampled_from([ONE, OTHER])
_which = st.integers(0, 1)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), _partition, st.integers(1, 7), st.integers(0, 2)),
        st.tuples(st.just("turn"), _which, st.integers(1, 4)),
        st.tuples(st.just("crash"), _which, st.integers(0, 5)),
        st.tuples(st.just("give"), _partition, _which),
        st.tuples(st.just("shut"), _which),
        st.tuples(st.just("open"), _which),
        st.tuples(st.just("trouble"), st.sampled_from(["refused", "torn", "answer lost"])),
        st.tuples(st.just("unanswered"), _which),
        st.tuples(st.just("unaware"), _which, st.integers(1, 5)),
    ),
    max_size=40,
)


class Machine:
    """Two processes that share two partitions, and are replaced where they end."""

    def __init__(self, *, keeps_notes: bool = True) -> None:
        self.topics, self.store = Topics([ONE, OTHER]), Store()
        self._keeps_notes = keeps_notes
        self._all: list[Process] = []
        self.processes = [self._begin(), self._begin()]
        for which, process in zip((ONE, OTHER), self.processes, strict=True):
            self.topics.give(which, process.group)

    def _begin(self) -> Process:
        self._all.append(Process(self.topics, self.store, keeps_notes=self._keeps_notes))
        return self._all[-1]

    async def do(self, step: Sequence[Any]) -> None:
        match step:
            case ("write", which, count, gap):
                self.topics.write(which, count, gap=gap)
            case ("turn", number, times):
                for _ in range(times):
                    await self.processes[number].turn()
            case ("crash", number, steps):
                self.processes[number].fuse.left = steps
            case ("give", which, number):
                self.topics.give(which, self.processes[number].group)
            case ("shut", number):
                self.processes[number].door.is_open.clear()
            case ("open", number):
                self.processes[number].door.is_open.set()
                await self.processes[number].settle()
            case ("trouble", trouble):
                self.store.troubles.append(trouble)
            case ("unanswered", number):
                self.processes[number].group.unanswered += 1
            case ("unaware", number, polls):
                self.processes[number].group.unaware_polls = polls
        self._replace()

    def _replace(self) -> None:
        for number, process in enumerate(self.processes):
            if not process.is_alive:
                self.processes[number] = self._begin()
        for which, owner in self.topics.owners.items():
            if owner is None:
                self.topics.give(which, self.processes[0].group)

    async def finish(self) -> None:
        """All partitions to a fresh process, in a world without trouble; those that slept wake up meanwhile."""
        self.store.troubles.clear()
        last = self._begin()
        for which in self.topics.owners:
            self.topics.give(which, last.group)
        await last.turn()
        for process in self._all:
            process.fuse.left = None
            process.door.is_open.set()
            await process.turn()
        for _ in range(_TURNS_MAX):
            await last.turn()
            if all(self.topics.places[one].offset == end for one, (_, end) in self.topics.kept.items()):
                break
        else:
            pytest.fail(f"after {_TURNS_MAX} turns not all is loaded: {self.topics.places} of {self.topics.kept}")

    async def close(self) -> None:
        for process in self._all:
            await process.close()


async def _outcome(steps: Sequence[Sequence[Any]], *, keeps_notes: bool = True) -> tuple[Counter[int], int]:
    """How often each row is in the store, and how many there are."""
    machine = Machine(keeps_notes=keeps_notes)
    try:
        for step in steps:
            await machine.do(step)
        await machine.finish()
        return machine.store.numbers(), machine.topics.rows
    finally:
        await machine.close()


@settings(max_examples=100, deadline=None)
@given(steps=_steps)
def test_whoever_ends_sleeps_or_fails_at_any_step_every_row_is_there_once(steps: list[tuple[Any, ...]]) -> None:
    numbers, written = asyncio.run(_outcome(steps))
    assert numbers == Counter(range(written))


def _killed_after(steps: int) -> list[tuple[Any, ...]]:
    """Of commits and inserts; what comes meanwhile would be in the same batch, if it were decided on anew."""
    return [("write", ONE, 3, 1), ("crash", 0, steps), ("turn", 0, 1), ("write", ONE, 3, 0), ("turn", 0, 6)]


@pytest.mark.parametrize("steps", range(8))
async def test_a_loader_that_is_killed_between_any_two_steps_is_repeated_with_the_same_token(steps: int) -> None:
    numbers, written = await _outcome(_killed_after(steps))
    assert numbers == Counter(range(written))


async def test_without_the_note_of_a_batch_its_rows_would_come_with_another_token() -> None:
    """That the test before can fail."""
    found = [await _outcome(_killed_after(steps), keeps_notes=False) for steps in range(8)]
    assert any(numbers != Counter(range(written)) for numbers, written in found)


async def test_one_that_is_no_member_any_more_and_does_not_know_it_inserts_nothing_that_is_not_noted() -> None:
    zombie = [("turn", 0, 1), ("unaware", 0, 3), ("give", ONE, 1), ("write", ONE, 3, 0), ("turn", 0, 2)]
    numbers, written = await _outcome([*zombie, ("write", ONE, 1, 0), ("turn", 1, 8)])
    assert numbers == Counter(range(written))


async def test_records_that_are_no_rows_are_dead_letters_and_stop_nothing() -> None:
    machine = Machine()
    for value in (b"", b"no row", b'{"timestamp": -1}', b"\xff\xfe"):
        machine.topics.put(ONE, value)
    machine.topics.write(ONE, 2)
    await machine.finish()
    letters = machine.store.rows("dead_letter")
    assert {letter["original"] for letter in letters} == {"", "no row", '{"timestamp": -1}', "\ufffd\ufffd"}
    assert {letter["reason"] for letter in letters} == {"undecodable_row"}
    assert all("of the topic t.metrics is no row of metrics" in letter["message"] for letter in letters)
    assert machine.store.numbers() == Counter(range(2))
    await machine.close()


async def test_rows_are_shown_live_when_the_store_has_them_and_not_before() -> None:
    machine = Machine()
    loading = machine.processes[0]
    machine.store.troubles += ["refused"] * 3
    machine.topics.write(ONE, 4)
    for _ in range(_TURNS_MAX):
        await loading.turn()
        assert bool(loading.updates) == bool(machine.store.numbers())
    assert machine.store.troubles == []
    assert [update.metrics for update in loading.updates] == [{"numbers": 0 + 1 + 2 + 3}]
    assert machine.store.numbers() == Counter(range(4))
    await machine.close()


async def test_of_a_batch_that_expired_in_part_what_is_left_is_inserted_with_the_token_of_the_whole() -> None:
    machine = Machine()
    machine.topics.write(ONE, 4)
    machine.topics.places[ONE] = Place(0, Note("first", 3).written())
    machine.topics.expire(ONE, 2)
    await machine.finish()
    assert "first/0/0-3" in machine.store.tokens
    assert machine.store.numbers() == Counter([2, 3])
    await machine.close()


async def test_a_new_topic_of_the_same_name_is_loaded_from_its_beginning() -> None:
    machine = Machine()
    machine.topics.write(ONE, 4)
    machine.topics.places[ONE] = Place(900, Note("of another topic", 950).written())
    await machine.finish()
    assert machine.store.numbers() == Counter(range(4))
    await machine.close()


async def test_a_topic_that_ends_before_what_was_loaded_is_refused() -> None:
    machine = Machine()
    machine.topics.places[ONE] = Place(5, Note("first").written())
    with pytest.raises(ConfigError, match="ends at 0, before what was already loaded"):
        await machine.finish()
    await machine.close()


async def test_what_flink_counted_is_complete_when_all_is_loaded_that_was_there_at_its_next_word() -> None:
    topics, store = Topics([ONE, PROGRESS]), Store()
    process = Process(topics, store)

    def said() -> int:
        return Note.of(topics.places[PROGRESS].note).complete_up_to_ms

    for which in topics.owners:
        topics.give(which, process.group)
    process.door.is_open.clear()
    topics.put(PROGRESS, b'{"complete_up_to_ms": 1000}')
    topics.write(ONE, 3)
    topics.put(PROGRESS, b'{"complete_up_to_ms": 2000}')
    topics.put(PROGRESS, b"no word")
    for _ in range(5):
        await process.turn()
    assert said() == 0
    process.door.is_open.set()
    for _ in range(5):
        await process.turn()
    assert said() == 1_000
    assert topics.places[PROGRESS].offset == 1, "whoever goes on reads the newest word again"
    topics.put(PROGRESS, b'{"complete_up_to_ms": 3000}')
    for _ in range(5):
        await process.turn()
    assert said() == 2_000
    await process.close()


async def test_a_loader_that_is_told_to_stop_leaves_its_group_with_everything_committed_that_it_began() -> None:
    topics, store = Topics([ONE]), Store()
    process = Process(topics, store)
    topics.give(ONE, process.group)
    topics.write(ONE, 6)
    running = asyncio.create_task(process.loader.run())
    process.now_s = 1.0
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(store.numbers):
            pass
    process.loader.stop()
    await running
    assert process.group.is_left
    assert Note.of(topics.places[ONE].note).end is None
    assert store.numbers() == Counter(range(topics.places[ONE].offset))


async def test_a_loader_is_ready_only_while_it_is_a_member_of_its_group() -> None:
    process = Process(Topics([ONE]), Store())
    process.group.is_member = False
    await process.turn()
    assert process.loader.state().state == "starting"
    process.group.is_member = True
    await process.turn()
    assert process.loader.state().works, "a member without a partition is one nevertheless"
    process.group.is_member = False
    await process.turn()
    state = process.loader.state()
    assert (state.state, "member of its group" in state.reason) == ("degraded", True)
    process.group.is_member = True
    await process.turn()
    assert process.loader.state().works
    await process.close()


async def test_a_loader_is_ready_only_while_the_brokers_answer(caplog: pytest.LogCaptureFixture) -> None:
    topics = Topics([ONE])
    process = Process(topics, Store())
    topics.give(ONE, process.group)
    await process.turn()
    assert process.loader.state().works
    process.group.are_brokers_away = True
    for _ in range(8):
        await process.turn()
    state = process.loader.state()
    assert (state.state, "no broker answers" in state.reason) == ("degraded", True)
    assert caplog.text.count("no broker answers") == 1
    process.group.are_brokers_away = False
    for _ in range(2):
        await process.turn()
    assert process.loader.state().works
    await process.close()


async def test_what_was_not_committed_is_no_problem_of_a_loader_that_it_was_taken_from() -> None:
    topics = Topics([ONE])
    process = Process(topics, Store())
    topics.give(ONE, process.group)
    process.group.unanswered = 1
    await process.turn()
    assert not process.loader.state().works
    topics.give(ONE, None)
    await process.turn()
    assert process.loader.state().works
    await process.close()
