"""Rollups by the hour and by the day are in step with the minutes, whatever happened to these."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import closing

import pytest

from contract.store_places import Pane, StorePlace, pane_batch
from streamgauge.store.base import RowBatch, StoreWriter
from streamgauge.store.grains import ADDITIVE, COARSE, EXTREMES, Grain, views
from streamgauge.store.rebuild import ClickHouseRebuild

NEW_YEAR_S = 1_767_225_600
"""2026-01-01T00:00:00Z: the hour, the day, the month and the year change."""
VIEWS = [f"{grain.table(base)}_view" for base in (ADDITIVE, EXTREMES) for grain in COARSE]

_MEASURES = {ADDITIVE: "sum(value)", EXTREMES: "(min(value_min), max(value_max))"}


def some_panes(count: int = 300) -> list[Pane]:
    """Of two metrics, over two days around New Year, several in an hour."""
    return [
        (
            NEW_YEAR_S - 90_000 + 60 * (n * 7919 % 3000),
            f"m{n % 2}",
            float(n % 11 - 3),
            {"country": "DE" if n % 3 else "", "page": f"/{n % 5}"},
        )
        for n in range(count)
    ]


def assert_in_step(store: StorePlace, grains: Sequence[Grain] = COARSE, numbers: tuple[int, int] = (0, 2**32)) -> None:
    """`numbers`: of the hours or days since 1970 that are looked at."""
    for base, grain in itertools.product((ADDITIVE, EXTREMES), grains):
        minutes, found = (
            store.rows(
                f"SELECT intDiv(toUnixTimestamp(timestamp), {grain.seconds}) AS n, metric_name, toString(dimensions) "
                f"AS d, {_MEASURES[base]} AS value FROM {table} WHERE n >= {numbers[0]} AND n < {numbers[1]} "
                # Rows that add up to 0 are gone once the engine has merged them.
                f"GROUP BY n, metric_name, d {'HAVING value != 0' if base == ADDITIVE else ''} ORDER BY ALL"
            )
            for table in (base, grain.table(base))
        )
        assert minutes
        assert found == minutes, (base, grain)


def write(writer: StoreWriter, batch_id: str, panes: list[Pane]) -> None:
    writer.write(pane_batch(batch_id, panes))
    writer.write(pane_batch(batch_id, panes, EXTREMES))


def drop_views(store: StorePlace) -> None:
    for name in VIEWS:
        store.admin.command(f"DROP TABLE {name} SYNC")


def make_views_again(store: StorePlace) -> None:
    for statement in views(store.clients.layout):
        store.admin.command(statement)


def as_before_the_step(store: StorePlace) -> None:
    """As a store of the version before is: without hours and days."""
    drop_views(store)
    for base in (ADDITIVE, EXTREMES):
        for grain in COARSE:
            for table in {grain.table(base), store.stored(grain.table(base))}:
                store.admin.command(f"DROP TABLE {table} SYNC")
    forget_the_step(store)


def forget_the_step(store: StorePlace) -> None:
    store.admin.command("ALTER TABLE schema_versions DELETE WHERE version = 5 SETTINGS mutations_sync = 2")


def test_hours_and_days_are_written_with_the_minutes_each_batch_once(store: StorePlace, writer: StoreWriter) -> None:
    panes = some_panes()
    for batch_id, first in (("a", 0), ("b", 100), ("a", 0), ("c", 200), ("b", 100), ("d", 0)):
        write(writer, batch_id, panes[first : first + 100])
        assert_in_step(store)
    store.merge()
    assert_in_step(store)
    ((rows,),) = store.rows("SELECT count() FROM metrics_days")
    assert rows <= 3 * 2 * 10  # days, metrics, combinations


@pytest.mark.parametrize("lost", VIEWS)
def test_an_insert_that_was_cut_off_before_the_hours_or_days_is_finished_by_the_next_try(
    store: StorePlace, writer: StoreWriter, lost: str
) -> None:
    write(writer, "before", some_panes(50))
    store.admin.command(f"DROP TABLE {lost} SYNC")
    write(writer, "b", some_panes())
    make_views_again(store)
    for _ in range(2):
        write(writer, "b", some_panes())
        assert_in_step(store)


def test_an_insert_of_which_only_some_days_were_written_is_finished_by_the_next_try(
    store: StorePlace, writer: StoreWriter
) -> None:
    drop_views(store)
    write(writer, "b", [pane for pane in some_panes() if pane[0] < NEW_YEAR_S])
    make_views_again(store)
    for _ in range(2):
        write(writer, "b", some_panes())
        assert_in_step(store)


def test_rows_from_before_there_were_hours_and_days_are_filled_in(store: StorePlace, writer: StoreWriter) -> None:
    as_before_the_step(store)
    write(writer, "old", some_panes())
    for _ in range(2):  # cut off after its last statement, the step is done again
        assert store.migrate() == 1
        assert_in_step(store)
        forget_the_step(store)
    write(writer, "new", some_panes())
    assert_in_step(store)


def test_the_promoted_dimensions_are_columns_of_hours_and_days_too(store: StorePlace, writer: StoreWriter) -> None:
    write(writer, "b", some_panes())
    for grain in COARSE:
        found = store.rows(f"SELECT d_country, sum(value) FROM {grain.table(ADDITIVE)} GROUP BY 1 ORDER BY 1")
        assert found == store.rows("SELECT dimensions['country'], sum(value) FROM metrics GROUP BY 1 ORDER BY 1")


def test_a_replay_puts_hours_and_days_right_too(store: StorePlace, writer: StoreWriter) -> None:
    write(writer, "b", some_panes())
    for base in (ADDITIVE, EXTREMES):
        rows = store.stored(base)
        store.admin.command(f"ALTER TABLE {rows} DELETE WHERE dimensions['page'] = '/1' SETTINGS mutations_sync = 2")
    right = [pane for pane in some_panes() if pane[3]["page"] != "/2"]
    for base in (ADDITIVE, EXTREMES):
        writer.write(RowBatch(f"{base}_rebuilt", "r", pane_batch("r", right, base).rows))
    span_s = (NEW_YEAR_S - 4_020, NEW_YEAR_S + 4_020)  # neither whole hours nor days
    with closing(ClickHouseRebuild(store.clients)) as rebuild:
        for _ in range(2):
            rebuild.replace(["m0", "m1"], *span_s)
            expected = sum(value for start_s, _, value, _ in right if span_s[0] <= start_s < span_s[1])
            asked = f"SELECT sum(value) FROM metrics WHERE timestamp >= {span_s[0]} AND timestamp < {span_s[1]}"
            assert store.rows(asked) == [(expected,)]
            for grain in COARSE:  # what the range doesn't touch stays as wrong as it was
                assert_in_step(store, [grain], (span_s[0] // grain.seconds, -(-span_s[1] // grain.seconds)))
