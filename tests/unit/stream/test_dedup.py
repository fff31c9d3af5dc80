from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.model import DAY_MS, HOUR_MS, Envelope
from streamgauge.stream.batch import Batch, decode
from streamgauge.stream.dedup import ID_BYTES, DropRepeatedIds
from streamgauge.stream.journal import Blocks
from unit.stream.making import NOON_MS, SPEC, decoded, event, log_batch


class Run:
    """A step that may be stopped and resumed between any two batches."""

    def __init__(self, bytes_max: int = 1024**3) -> None:
        self.spec = msgspec.structs.replace(SPEC, deduplication_bytes_max=bytes_max)
        self.blocks: Blocks = ()
        self.step = DropRepeatedIds(self.blocks)

    def batch(self, batch: Batch) -> list[str]:
        """The ids of what was kept."""
        return [event_id for _, event_id in self.kept(batch)]

    def kept(self, batch: Batch) -> list[tuple[int, str]]:
        """Partition and id of each event that was kept."""
        kept = self.step.apply(batch, self.spec)
        if (change := self.step.changes()) is not None:
            self.blocks = [*(block for block in self.blocks if block[0] >= change.oldest_kept)]
            self.blocks.append((change.number, change.block))
        return kept.events.select("log_partition", "event_id").rows()

    def send(self, *ids: str, at_ms: int = NOON_MS) -> list[str]:
        return self.batch(decoded(*(event(event_id=event_id, received_at=at_ms) for event_id in ids)))

    def restart(self) -> None:
        self.step = DropRepeatedIds(self.blocks)


def test_an_id_that_came_before_is_dropped_and_counted_and_kept_as_a_row() -> None:
    step = DropRepeatedIds(())
    step.apply(decoded(event(event_id="a")), SPEC)
    batch = step.apply(
        decode(log_batch({0: [event(event_id="b"), event(event_id="a", received_at=7)]}, {0: 5}), ()), SPEC
    )
    assert batch.events["event_id"].to_list() == ["b"]
    assert batch.dropped == {"duplicate": 1}
    assert batch.duplicates is not None
    row = {"received_at": 7, "event_id": "a", "log_partition": 0, "log_offset": 6, "user_id": "", "anonymous_id": ""}
    assert batch.duplicates.to_dicts() == [row]


def test_two_users_may_have_made_the_same_id_and_a_user_is_no_anonymous_one_of_the_same_name() -> None:
    run = Run()
    users = [{"user_id": "u"}, {"user_id": "v"}, {"anonymous_id": "u"}, {}, {"user_id": "v", "anonymous_id": "u"}]
    events = [event(event_id="a", **user) for user in users]
    assert run.batch(decoded(*events)) == ["a"] * 4, "the last is of the visitor before"
    run.restart()
    assert run.batch(decoded(*events)) == []
    assert run.batch(decoded(event(event_id="u", user_id="a"))) == ["u"]


def test_of_equal_ids_in_one_batch_the_first_is_kept() -> None:
    step = DropRepeatedIds(())
    batch = step.apply(decoded(event("x", event_id="a"), event("y", event_id="a"), event("z", event_id="b")), SPEC)
    assert batch.events["event"].to_list() == ["x", "z"]


def test_partitions_do_not_know_of_each_other() -> None:
    run = Run()
    assert run.batch(decode(log_batch({0: [event(event_id="a")], 1: [event(event_id="a")]}), ())) == ["a", "a"]
    assert run.batch(decode(log_batch({1: [event(event_id="a")]}), ())) == []


def test_ids_that_the_server_made_are_not_remembered() -> None:
    run = Run()
    numbered = event(event_id="p:3", producer="p", sequence=3)
    assert run.batch(decoded(event(event_id="sg-1"), event(event_id="sg-1"), numbered, numbered)) == [
        "sg-1",
        "sg-1",
        "p:3",
        "p:3",
    ]
    assert run.step.ids == 0


def test_a_numbered_item_that_brings_an_id_of_the_server_is_a_letter_that_is_sent_again() -> None:
    run = Run()
    letter = event(event_id="sg-1", producer="dead-letter", sequence=0)
    assert run.batch(decoded(letter)) == ["sg-1"]
    assert run.batch(decoded(letter)) == []


def test_an_id_is_remembered_for_the_horizon_and_forgotten_after_five_fourths_of_it_that_had_events() -> None:
    run = Run()
    run.send("a")
    for hours in (6, 12, 18):
        run.send(f"at {hours}", at_ms=NOON_MS + hours * HOUR_MS)
    assert run.send("a", "b", at_ms=NOON_MS + DAY_MS) == ["b"]
    run.send("c", at_ms=NOON_MS + DAY_MS + 6 * HOUR_MS + 1)
    assert run.send("a", at_ms=NOON_MS + DAY_MS + 6 * HOUR_MS + 1) == ["a"]
    assert run.step.horizon_ms == DAY_MS
    assert run.step.forgotten_early == 0


@pytest.mark.parametrize("days", [1, 2, 400])
def test_a_clock_that_jumps_ahead_and_back_makes_nothing_be_counted_twice(days: int) -> None:
    run = Run()
    run.send("a", at_ms=NOON_MS)
    for number in range(10):
        run.send(f"ahead {number}", at_ms=NOON_MS + days * DAY_MS + number)
    assert run.send("a", "b", at_ms=NOON_MS + 60_000) == ["b"]
    run.restart()
    assert run.send("a", "b", "c", at_ms=NOON_MS + 120_000) == ["c"]


def test_a_partition_that_is_read_days_ahead_of_another_makes_nothing_be_forgotten_there() -> None:
    """As a replay does, and a runner that catches up, where one partition has few events."""
    run = Run()
    for day in range(7):
        busy = [event(event_id="b", received_at=NOON_MS + day)]
        quiet = [event(event_id=f"q{day}", received_at=NOON_MS + day * DAY_MS)]
        assert run.batch(decode(log_batch({0: busy, 1: quiet}), ())) == (["b"] if day == 0 else []) + [f"q{day}"]


def test_blocks_of_what_is_forgotten_are_not_kept() -> None:
    run = Run()
    for hours in range(0, 24 * 20, 3):
        run.send(f"id{hours}", at_ms=NOON_MS + hours * HOUR_MS)
    assert len(run.blocks) <= 11
    run.restart()
    assert run.step.ids <= 11


def test_over_the_limit_of_memory_the_oldest_are_forgotten_early_and_the_horizon_says_so() -> None:
    bytes_max = 1024 * 1024
    run = Run(bytes_max)
    count = bytes_max // ID_BYTES // 4
    for minute in range(6):
        run.send(*(f"{minute}-{number}" for number in range(count)), at_ms=NOON_MS + minute * 60_000)
    assert run.step.ids <= bytes_max // ID_BYTES
    assert run.step.memory_bytes <= 1.5 * bytes_max
    assert run.step.forgotten_early == 2 * count
    assert run.step.horizon_ms == 3 * 60_000
    assert run.send("5-0", "3-0", at_ms=NOON_MS + 5 * 60_000) == []


@pytest.mark.parametrize("text", ["", "\x00", "é", "\U0001f600", "a\tb", "x" * 256, "-9223372036854775808"])
def test_any_text_can_be_an_id(text: str) -> None:
    run = Run()
    other = event(event_id=text + "!")
    assert run.batch(decoded(event(event_id=text or "empty"), other)) == [text or "empty", text + "!"]
    run.restart()
    assert run.batch(decoded(event(event_id=text or "empty"), other)) == []


def test_a_clock_that_goes_back_makes_nothing_be_counted_twice() -> None:
    run = Run()
    run.send("a", at_ms=NOON_MS)
    assert run.send("a", "b", at_ms=NOON_MS - 3 * HOUR_MS) == ["b"]
    run.restart()
    assert run.send("a", "b", "c", at_ms=NOON_MS - 2 * HOUR_MS) == ["c"]


STEPS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=12),
        st.sampled_from([0, 1, 60_000, 5 * HOUR_MS]),
        st.booleans(),
    ),
    max_size=10,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_within_the_horizon_each_id_is_counted_once_wherever_it_restarts(
    steps: Sequence[tuple[list[tuple[int, int]], int, bool]],
) -> None:
    run, now_ms = Run(), NOON_MS
    first_ms: dict[tuple[int, int], int] = {}
    for items, later_ms, restarts in steps:
        now_ms += later_ms
        partitions: dict[int, list[Envelope]] = {}
        for partition, number in items:
            partitions.setdefault(partition, []).append(event(event_id=f"i{number}", received_at=now_ms))
        kept = run.kept(decode(log_batch(partitions), ()))
        for partition in sorted(partitions):
            for one in partitions[partition]:
                key = (partition, int(one.event_id[1:]))
                age_ms = now_ms - first_ms.get(key, now_ms - 10 * DAY_MS)
                if age_ms <= DAY_MS:
                    continue
                if key not in first_ms:
                    assert kept[0] == (partition, one.event_id)
                if kept and kept[0] == (partition, one.event_id):
                    first_ms[key] = now_ms
                    kept.pop(0)
        assert kept == []
        if restarts:
            run.restart()
