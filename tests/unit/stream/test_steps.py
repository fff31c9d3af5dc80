from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.model import Envelope
from streamgauge.stream.batch import Batch, decode
from streamgauge.stream.journal import Blocks
from streamgauge.stream.steps import DropRepeatedSequences, SetRejectedAside
from unit.stream.making import NOON_MS, SPEC, decoded, event, log_batch, rejected


def sent(producer: str | None, *sequences: int) -> list[Envelope]:
    """Items of a producer; each is called by its number. Without a producer they have none."""
    return [
        event(f"{producer}-{number}", producer=producer, sequence=None if producer is None else number)
        for number in sequences
    ]


def blocks_of(step: DropRepeatedSequences) -> Blocks:
    change = step.changes()
    assert change is not None
    assert change.oldest_kept == change.number
    return [(change.number, change.block)]


def names(batch: Batch) -> list[str]:
    return batch.events["event"].to_list()


def test_items_without_a_producer_pass() -> None:
    step = DropRepeatedSequences(())
    batch = decoded(*sent(None, 1, 1, 1))
    assert step.apply(batch, SPEC) is batch
    assert step.changes() is None


def test_an_item_that_was_sent_again_is_dropped_and_counted() -> None:
    step = DropRepeatedSequences(())
    first = step.apply(decoded(*sent("p", 0, 1, 2)), SPEC)
    again = step.apply(decoded(*sent("p", 1, 2, 3), *sent(None, 9)), SPEC)
    assert names(first) == ["p-0", "p-1", "p-2"]
    assert first.dropped == {}
    assert names(again) == ["p-3", "None-9"]
    assert again.dropped == {"repeated_sequence": 2}


def test_an_item_that_comes_twice_in_one_batch_is_counted_once() -> None:
    batch = DropRepeatedSequences(()).apply(decoded(*sent("p", 0, 1, 0, 1, 2, 1)), SPEC)
    assert names(batch) == ["p-0", "p-1", "p-2"]


def test_producers_and_partitions_do_not_know_of_each_other() -> None:
    step = DropRepeatedSequences(())
    step.apply(decoded(*sent("p", 0, 1, 2)), SPEC)
    batch = step.apply(decode(log_batch({0: sent("q", 1) + sent("p", 3), 1: sent("p", 0, 2)}), ()), SPEC)
    assert names(batch) == ["q-1", "p-3", "p-0", "p-2"]


def test_a_step_that_resumes_knows_what_came_before() -> None:
    step = DropRepeatedSequences(())
    step.apply(decode(log_batch({0: sent("p", 0, 5), 7: sent("p", 2**62)}), ()), SPEC)
    resumed = DropRepeatedSequences(blocks_of(step))
    batch = resumed.apply(decode(log_batch({0: sent("p", 5, 6), 7: sent("p", 6, 2**62 + 1)}), ()), SPEC)
    assert names(batch) == ["p-6", f"p-{2**62 + 1}"]


def test_the_journal_grows_only_where_something_changed() -> None:
    step = DropRepeatedSequences(())
    step.apply(decoded(*sent("p", 0)), SPEC)
    assert step.changes() is not None
    assert step.changes() is None
    step.apply(decoded(*sent("p", 0), *sent(None, 1)), SPEC)
    assert step.changes() is None


def test_the_next_sequence_is_past_the_highest_of_all_partitions() -> None:
    step = DropRepeatedSequences(())
    assert step.next_sequence("p") == 0
    step.apply(decode(log_batch({0: sent("p", 0, 3), 1: sent("p", 1, 2)}), ()), SPEC)
    assert step.next_sequence("p") == 4
    assert step.next_sequence("q") == 0


def test_the_columns_of_a_batch_stay_as_they_were() -> None:
    batch = decoded(*sent("p", 0, 0), fields={"page", "highest"})
    assert DropRepeatedSequences(()).apply(batch, SPEC).events.columns == batch.events.columns


@dataclass
class NaiveProducers:
    """Remembers every item there ever was."""

    highest: dict[tuple[str, int], int] = field(default_factory=dict)

    def takes(self, partition: int, item: Envelope) -> bool:
        if item.producer is None or item.sequence is None:
            return True
        key = (item.producer, partition)
        if item.sequence <= self.highest.get(key, -1):
            return False
        self.highest[key] = item.sequence
        return True


ITEMS = st.tuples(st.sampled_from(["p", "q", None]), st.integers(0, 2), st.integers(0, 6))
BATCHES = st.lists(
    st.tuples(st.lists(ITEMS, min_size=1, max_size=10), st.sampled_from(["go on", "restart", "crash"])), max_size=8
)


@settings(max_examples=150, deadline=None)
@given(BATCHES)
def test_whatever_is_sent_and_wherever_it_restarts_each_item_is_counted_once(
    batches: list[tuple[list[tuple[str | None, int, int]], str]],
) -> None:
    committed: Blocks = ()
    step, naive = DropRepeatedSequences(committed), NaiveProducers()
    for items, then in batches:
        partitions: dict[int, list[Envelope]] = {}
        for producer, partition, number in items:
            partitions.setdefault(partition, []).extend(sent(producer, number))
        batch = decode(log_batch(partitions), ())
        if then == "crash":  # before it was committed: the same batch comes again to what was committed before
            step.apply(batch, SPEC)
            step = DropRepeatedSequences(committed)
        kept = step.apply(batch, SPEC)
        expected = [
            item.event
            for partition in sorted(partitions)
            for item in partitions[partition]
            if naive.takes(partition, item)
        ]
        assert names(kept) == expected
        assert sum(kept.dropped.values()) == len(items) - len(expected)
        if (change := step.changes()) is not None:
            committed = [(change.number, change.block)]
        if then == "restart":
            step = DropRepeatedSequences(committed)


def test_rejected_items_become_dead_letters_and_the_others_go_on() -> None:
    bad = rejected("{oops", event_id="x", received_at=NOON_MS + 5)
    batch = SetRejectedAside().apply(decode(log_batch({3: [event("a"), bad, event("b")]}, {3: 10}), ()), SPEC)
    assert names(batch) == ["a", "b"]
    (letters,) = batch.dead_letters
    assert letters.to_dicts() == [
        {
            "received_at": NOON_MS + 5,
            "reason": "malformed",
            "message": "it is malformed",
            "event_id": "x",
            "original": "{oops",
            "log_partition": 3,
            "log_offset": 11,
        }
    ]


def test_rejected_items_are_counted_by_their_reason() -> None:
    batch = decoded(rejected("1", "too_deep"), rejected("2", "malformed"), rejected("3", "too_deep"), event("a"))
    batch = SetRejectedAside().apply(batch, SPEC)
    assert batch.dropped == {"too_deep": 2, "malformed": 1}


def test_drops_of_the_steps_before_are_still_counted() -> None:
    items = [*sent("p", 0, 0), rejected("1", producer="p", sequence=1), rejected("1", producer="p", sequence=1)]
    batch = SetRejectedAside().apply(DropRepeatedSequences(()).apply(decoded(*items), SPEC), SPEC)
    assert batch.dropped == {"repeated_sequence": 2, "malformed": 1}
    assert names(batch) == ["p-0"]


def test_a_batch_of_nothing_but_rejected_items_has_no_events_left() -> None:
    batch = SetRejectedAside().apply(decoded(rejected("1"), rejected("2")), SPEC)
    assert batch.events.height == 0
    assert batch.dead_letters[0].height == 2


def test_a_batch_without_rejected_items_is_left_alone() -> None:
    batch = decoded(event("a"))
    assert SetRejectedAside().apply(batch, SPEC) is batch
    assert SetRejectedAside().changes() is None
