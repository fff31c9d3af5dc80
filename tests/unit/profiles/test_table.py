from __future__ import annotations

import threading
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.profiles.table import ProfileTable

COLUMNS = ("user_country", "plan")

ids = st.sampled_from(["", *"abcdefgh", "ü" * 40])
texts = st.none() | st.sampled_from(["DE", "US", "x" * 30, "y" * 300])
profiles = st.tuples(ids, texts, texts)
upserts = st.lists(st.lists(profiles, max_size=12), max_size=8)


def frame(*rows: tuple[Any, ...]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=dict.fromkeys(("user_id", *COLUMNS), pl.String), orient="row")


def look(table: ProfileTable, *user_ids: str | None) -> list[tuple[str | None, ...]]:
    return table.lookup(pl.Series(user_ids, dtype=pl.String)).rows()


@given(upserts)
@settings(deadline=None)
def test_a_table_knows_what_a_dict_would(changes: list[list[tuple[str, str | None, str | None]]]) -> None:
    table = ProfileTable(COLUMNS)
    expected: dict[str, tuple[str | None, ...]] = {}
    for rows in changes:
        table.upsert(frame(*rows))
        expected |= {user_id: values for user_id, *values in rows}  # type: ignore[misc]
    asked = [*expected, "nobody", None, *reversed(expected)]
    nothing = [None, None]
    assert look(table, *asked) == [tuple(expected.get(user_id, nothing)) for user_id in asked]  # type: ignore[call-overload]
    assert len(table) == len(expected)


def test_lookup_gives_a_row_for_each_id_in_order_with_the_columns_as_text() -> None:
    table = ProfileTable(COLUMNS)
    table.upsert(frame(("ann", "DE", "pro"), ("bob", None, "free")))
    found = table.lookup(pl.Series("whatever", ["bob", "eve", None, "ann", "bob"]))
    assert found.schema == {"user_country": pl.String, "plan": pl.String}
    assert found.rows() == [(None, "free"), (None, None), (None, None), ("DE", "pro"), (None, "free")]


def test_an_empty_table_and_an_empty_question_are_answered() -> None:
    table = ProfileTable(COLUMNS)
    assert look(table, "ann") == [(None, None)]
    assert table.lookup(pl.Series([], dtype=pl.String)).shape == (0, 2)
    assert table.upsert(frame()) == 0


def test_a_table_without_columns_has_profiles_without_values() -> None:
    table = ProfileTable(())
    assert table.upsert(pl.DataFrame({"user_id": ["ann"]})) == 1
    assert len(table) == 1


def test_upsert_counts_what_is_new_or_different() -> None:
    table = ProfileTable(COLUMNS)
    assert table.upsert(frame(("ann", "DE", "pro"), ("bob", None, None))) == 2
    assert table.upsert(frame(("ann", "DE", "pro"), ("bob", None, None))) == 0
    assert table.upsert(frame(("ann", "DE", None), ("bob", None, None), ("eve", None, None))) == 2


def test_of_equal_ids_in_one_upsert_the_last_one_counts() -> None:
    table = ProfileTable(COLUMNS)
    assert table.upsert(frame(("ann", "DE", "pro"), ("ann", None, "free"))) == 1
    assert look(table, "ann") == [(None, "free")]


def test_many_upserts_keep_many_profiles_apart() -> None:
    table = ProfileTable(COLUMNS)
    for first in range(0, 60_000, 7_000):
        table.upsert(frame(*((f"u{n}", f"c{n % 300}", f"p{n}") for n in range(first, min(first + 7_000, 60_000)))))
    asked = range(0, 70_000, 77)
    assert look(table, *(f"u{n}" for n in asked)) == [
        (f"c{n % 300}", f"p{n}") if n < 60_000 else (None, None) for n in asked
    ]


def test_texts_that_no_profile_has_any_more_are_forgotten() -> None:
    table = ProfileTable(COLUMNS)
    sizes = []
    for generation in range(60):
        table.upsert(frame(*((f"u{n}", "DE", f"seen-{generation}-{n}-{'.' * 40}") for n in range(10_000))))
        sizes.append(table.memory_bytes)
    assert sizes[-1] < 3 * max(sizes[:12])
    assert look(table, "u7") == [("DE", f"seen-59-7-{'.' * 40}")]


def test_what_is_exported_makes_an_equal_table() -> None:
    table, other = ProfileTable(COLUMNS), ProfileTable(COLUMNS)
    table.upsert(frame(("ann", "DE", "pro"), ("bob", None, "free")))
    assert other.upsert_hashed(table.export()) == 2
    assert look(other, "ann", "bob", "eve") == look(table, "ann", "bob", "eve")


def test_a_table_that_replaces_another_has_only_its_own_profiles() -> None:
    table, other = ProfileTable(COLUMNS), ProfileTable(COLUMNS)
    table.upsert(frame(("ann", "DE", "pro")))
    other.upsert(frame(("bob", "US", None)))
    table.replace_with(other)
    assert look(table, "ann", "bob") == [(None, None), ("US", None)]


@pytest.mark.parametrize("count", [5_000])
def test_lookups_see_all_of_an_upsert_or_nothing_of_it(count: int) -> None:
    table = ProfileTable(COLUMNS)
    user_ids = pl.Series([f"u{n}" for n in range(count)])
    table.upsert(frame(*((user_id, "0", "0") for user_id in user_ids)))
    done = threading.Event()
    mixed: list[int] = []

    def look_often() -> None:
        while not done.is_set():
            found = table.lookup(user_ids)
            mixed.append(found.unique().height - 1)

    reader = threading.Thread(target=look_often)
    reader.start()
    for generation in map(str, range(1, 40)):
        others = ((f"{generation}-{n}", "x", "x") for n in range(2_000))
        table.upsert(frame(*((user_id, generation, generation) for user_id in user_ids), *others))
    done.set()
    reader.join()
    assert mixed
    assert set(mixed) == {0}
