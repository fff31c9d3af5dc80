from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.core.keytable import Keys, KeyTable

WORD_MAX = 2**64 - 1
Pair = tuple[int, int]

numbers = st.one_of(st.integers(0, 5), st.integers(0, WORD_MAX), st.sampled_from([0, 1 << 63, WORD_MAX]))
pairs = st.tuples(numbers, numbers)
batches = st.lists(st.lists(pairs, max_size=60), max_size=12)


def columns(keys: Iterable[Pair]) -> tuple[Keys, Keys]:
    array = np.array(list(keys), np.uint64).reshape(-1, 2)
    return array[:, 0].copy(), array[:, 1].copy()


def random_keys(count: int, seed: int = 1) -> tuple[Keys, Keys]:
    random = np.random.default_rng(seed)
    return random.integers(0, WORD_MAX, count, np.uint64), random.integers(0, WORD_MAX, count, np.uint64)


@given(batches)
def test_slots_are_numbered_as_a_dict_would_in_order_of_first_appearance(inserts: list[list[Pair]]) -> None:
    table, expected = KeyTable(), dict[Pair, int]()
    for keys in inserts:
        for key in keys:
            expected.setdefault(key, len(expected))
        assert table.insert(*columns(keys)).tolist() == [expected[key] for key in keys]
        assert len(table) == len(expected)
    high, low = table.keys()
    assert list(zip(high.tolist(), low.tolist(), strict=True)) == list(expected)


@given(batches, st.lists(pairs, max_size=60))
def test_find_gives_what_insert_gave_and_minus_one_for_what_is_not_here(
    inserts: list[list[Pair]], others: list[Pair]
) -> None:
    table, expected = KeyTable(), dict[Pair, int]()
    for key in itertools.chain.from_iterable(inserts):
        expected.setdefault(key, len(expected))
    for keys in inserts:
        table.insert(*columns(keys))
    asked = [*others, *expected]
    assert table.find(*columns(asked)).tolist() == [expected.get(key, -1) for key in asked]


@settings(deadline=None)
@given(st.integers(1, 9_000), st.integers(50, 4_000), st.integers(0, 2**32))
def test_a_table_that_grows_many_times_in_calls_of_any_size_finds_all_of_its_keys(
    count: int, call_keys: int, seed: int
) -> None:
    high, low = random_keys(count, seed)
    table = KeyTable()
    for start in range(0, count, call_keys):
        table.insert(high[start : start + call_keys], low[start : start + call_keys])
    assert table.find(high, low).tolist() == list(range(count))
    assert (table.find(low, high) == -1).all()


def test_equal_keys_of_one_call_get_one_slot_however_far_apart() -> None:
    high, low = random_keys(50_000)
    slots = KeyTable().insert(np.concatenate([high, high[::-1]]), np.concatenate([low, low[::-1]]))
    assert (slots[:50_000] == np.arange(50_000)).all()
    assert (slots[50_000:] == np.arange(50_000)[::-1]).all()


@pytest.mark.parametrize("make", [lambda n: (n, 0), lambda n: (0, n), lambda n: (n << 44, 7), lambda n: (7, n << 44)])
def test_keys_that_are_no_hashes_are_spread_too(make: object) -> None:
    keys = columns(make(n) for n in range(20_000))  # type: ignore[operator]
    table = KeyTable()
    assert (table.insert(*keys) == np.arange(20_000)).all()
    assert (table.find(*keys) == np.arange(20_000)).all()


def test_keys_that_share_one_bucket_are_kept_apart() -> None:
    # The high number undoes what the low one adds: before the table mixes them, all of these are the same.
    factor = 0xD6E8_FEB8_6659_FD93
    keys = columns((n * factor & WORD_MAX, n) for n in range(700))
    table = KeyTable()
    assert (table.insert(*keys) == np.arange(700)).all()
    assert (table.find(*keys) == np.arange(700)).all()
    assert table.find(*columns([(701 * factor & WORD_MAX, 701)])).tolist() == [-1]


def test_nothing_is_found_in_an_empty_table_not_even_zero() -> None:
    assert KeyTable().find(*columns([(0, 0), (WORD_MAX, WORD_MAX)])).tolist() == [-1, -1]


def test_no_keys_give_no_slots() -> None:
    table = KeyTable()
    assert table.insert(*columns([])).tolist() == table.find(*columns([])).tolist() == []
    assert len(table) == 0


def test_a_table_made_for_its_keys_does_not_grow() -> None:
    table = KeyTable(100_000)
    before_bytes = table.memory_bytes
    table.insert(*random_keys(100_000))
    assert table.memory_bytes == before_bytes


def test_memory_is_bounded_by_a_multiple_of_the_keys() -> None:
    table = KeyTable()
    table.insert(*random_keys(300_000))
    assert table.memory_bytes < 300_000 * 64


def test_keys_read_before_others_are_added_stay_as_they_were() -> None:
    table = KeyTable()
    first, more = random_keys(500, seed=1), random_keys(50_000, seed=2)
    table.insert(*first)
    high, low = table.keys()
    table.insert(*more)
    assert (high == first[0]).all()
    assert (low == first[1]).all()


def test_another_table_of_the_keys_that_are_kept_forgets_the_others() -> None:
    table = KeyTable()
    high, low = random_keys(1_000)
    table.insert(high, low)
    kept = KeyTable(500)
    all_high, all_low = table.keys()
    assert (kept.insert(all_high[500:], all_low[500:]) == np.arange(500)).all()
    assert (kept.find(high, low) == np.concatenate([np.full(500, -1), np.arange(500)])).all()


def test_room_made_while_another_thread_finds_disturbs_nothing() -> None:
    table = KeyTable()
    high, low = random_keys(20_000)
    table.insert(high, low)
    done = threading.Event()
    wrong: list[int] = []

    def look() -> None:
        while not done.is_set():
            wrong.append(int((table.find(high, low) != np.arange(20_000)).sum()))

    reader = threading.Thread(target=look)
    reader.start()
    for more in (50_000, 100_000, 200_000, 400_000, 800_000):
        table.reserve(more)
    done.set()
    reader.join()
    assert wrong
    assert sum(wrong) == 0


def test_more_keys_than_a_table_can_number_are_refused() -> None:
    with pytest.raises(OverflowError, match="too many"):
        KeyTable(2_000_000_000)
