"""What `StoreWriter` and `StoreReader` promise, and the schema under them, of every backend."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client

from contract.store_places import Pane, StorePlace, pane_batch
from streamgauge.config import QuerySettings, RetentionSettings, StoreSettings
from streamgauge.core.errors import ConfigError, InvalidRequest, Unavailable
from streamgauge.model import DAY_MS, Envelope, Rejection, Rollup
from streamgauge.profiles.table import ProfileTable
from streamgauge.store.base import RowBatch, StoreReader, StoreWriter
from streamgauge.store.client import StoreClients
from streamgauge.store.migrations import migrate
from streamgauge.store.reader import ClickHouseReader
from streamgauge.store.schema import MIGRATIONS
from streamgauge.store.writer import ClickHouseWriter
from streamgauge.stream.batch import decode
from streamgauge.stream.pipeline import Pipeline
from streamgauge.stream.session_runs import FIELDS
from streamgauge.stream.spec import PipelineSpec
from streamgauge.stream.state import Pending
from unit.stream.making import log_batch

DAY_S = 86_400
NOON_S = 1_767_268_800
"""2026-01-01T12:00:00Z."""

ODD_TEXTS = [
    "' OR 1=1 --",
    "'; DROP TABLE metrics; --",
    "\\' OR 1=1 --",
    "{metric:String}",
    "%(metric)s %s",
    "a\\b\\n",
    'quote"s `and` ticks',
    "tab\tnew\nline\rreturn",
    "null\x00byte",
    "\\N",
    "NULL",
    "",
    "grüße 😀 \u2028",
    "dimensions['country']",
]


def pane(value: float = 1.0, *, day: int = 0, metric: str = "m", **dimensions: str) -> Pane:
    return (NOON_S + day * DAY_S, metric, value, dimensions)


async def total(reader: StoreReader, metric: str = "m") -> float:
    ((found,),) = await reader.query("SELECT sum(value) FROM metrics WHERE metric_name = {m:String}", {"m": metric})
    return float(found)


# Schema


def test_an_empty_store_gets_all_its_tables(empty_store: StorePlace) -> None:
    assert empty_store.migrate() == len(MIGRATIONS)
    tables = {name for (name,) in empty_store.rows("SHOW TABLES")}
    assert tables >= {
        "metrics",
        "metrics_extremes",
        "events",
        "dead_letter",
        "sessions",
        "duplicates",
        "schema_versions",
    }


def test_migrating_again_changes_nothing(store: StorePlace, writer: StoreWriter) -> None:
    writer.write(pane_batch("b", [pane(country="US")]))
    before = store.rows("SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()")
    assert store.migrate() == 0
    assert store.migrate() == 0
    assert store.rows("SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()") == before
    assert store.rows("SELECT version FROM schema_versions ORDER BY version") == [
        (step.version,) for step in MIGRATIONS
    ]
    assert store.rows("SELECT sum(value) FROM metrics") == [(1.0,)]


class _Dying:
    """A client of a process that ends after so many statements."""

    def __init__(self, client: Client, statements: int) -> None:
        self._client = client
        self._left = statements

    def __getattr__(self, name: str) -> Any:
        if name in ("command", "insert"):
            self._left -= 1
            if self._left < 0:
                raise InterruptedError
        return getattr(self._client, name)


@pytest.mark.parametrize("statements", range(0, 36, 3))
def test_a_migration_that_was_cut_off_goes_on(empty_store: StorePlace, statements: int) -> None:
    dying: Any = _Dying(empty_store.admin, statements)
    with pytest.raises(InterruptedError):
        migrate(dying, RetentionSettings(), empty_store.tables())
    empty_store.migrate()
    assert empty_store.migrate() == 0
    assert empty_store.rows("SELECT version FROM schema_versions ORDER BY version") == [
        (step.version,) for step in MIGRATIONS
    ]
    for table in {"metrics", empty_store.stored("metrics")}:
        assert empty_store.rows(
            f"SELECT count() FROM system.columns WHERE database = currentDatabase() AND table = '{table}' "
            "AND name LIKE 'd\\_%'"
        ) == [(len(StoreSettings().promoted_dimensions),)]


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_was(store: StorePlace) -> None:
    newer = MIGRATIONS[-1].version + 1
    store.admin.insert("schema_versions", [[newer, "of tomorrow"]], column_names=["version", "name"])
    before = store.rows("SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()")
    with pytest.raises(ConfigError) as refused:
        store.migrate(promoted=["new_one"], events_days=99)
    assert f"schema {newer}" in refused.value.message
    assert "upgrade" in refused.value.hint
    assert store.rows("SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()") == before


def test_the_time_to_live_follows_the_settings(store: StorePlace) -> None:
    store.migrate(events_days=3)
    ((ddl,),) = store.rows(f"SHOW CREATE TABLE {store.stored('events')}")
    assert "toIntervalDay(3)" in ddl


def test_a_promoted_dimension_has_its_values_in_rows_from_before_too(store: StorePlace, writer: StoreWriter) -> None:
    dimensions = {"value": "v", "timestamp": "t", "metric_name": "n", "city": "Köln"}
    panes = [(NOON_S, "m", 1, dimensions), pane()]
    writer.write(pane_batch("before", panes))
    store.migrate(promoted=tuple(dimensions))
    writer.write(pane_batch("after", panes))
    query = "SELECT d_value, d_timestamp, d_metric_name, d_city, sum(value) FROM metrics GROUP BY ALL ORDER BY ALL"
    expected = [("", "", "", "", 2.0), ("v", "t", "n", "Köln", 2.0)]
    assert store.rows(query) == expected
    store.merge()
    assert store.rows(query) == expected


def test_tokens_of_a_batch_that_touches_every_day_there_can_be_are_remembered(store: StorePlace) -> None:
    # Each day is a partition, and takes a place of its own among the tokens. Too slow to try out: 5 ms a partition.
    days_from_1970_to_2099 = 47_482
    for table in ("metrics", "metrics_extremes", "events", "dead_letter"):
        ((ddl,),) = store.rows(f"SHOW CREATE TABLE {store.stored(table)}")
        window = int(ddl.partition("non_replicated_deduplication_window = ")[2].partition(",")[0].split()[0])
        assert window >= days_from_1970_to_2099


@pytest.mark.parametrize("url", ["", "chdb://", "sqlite:///x", "clickhouse://", "clickhouse:///db", "http://host:8123"])
def test_what_is_no_address_of_a_store_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="is not a store") as refused:
        StoreClients(url)
    assert "chdb:///" in refused.value.hint


def test_a_server_that_is_not_there_is_an_error_of_the_settings_that_keeps_the_password() -> None:
    with pytest.raises(ConfigError, match="can't open the store") as refused:
        StoreClients("clickhouse://user:s3cret@127.0.0.1:1/db").connect()
    assert "s3cret" not in refused.value.message


# Writing


async def test_what_was_written_can_be_read_when_write_returns(writer: StoreWriter, reader: StoreReader) -> None:
    for number in range(10):
        writer.write(pane_batch(f"b{number}", [pane(country="US")]))
        assert await total(reader) == number + 1


async def test_the_same_batch_twice_is_written_once(writer: StoreWriter, reader: StoreReader) -> None:
    for _ in range(3):
        writer.write(pane_batch("b", [pane(1, x="a"), pane(2, x="b")]))
    assert await total(reader) == 3


async def test_the_same_rows_in_another_batch_are_other_rows(writer: StoreWriter, reader: StoreReader) -> None:
    for batch_id in ("0:0-5/metrics", "0:5-10/metrics", "0:0-5,1:0-5/metrics"):
        writer.write(pane_batch(batch_id, [pane()]))
    assert await total(reader) == 3


async def test_a_batch_of_many_days_is_written_once_in_each_of_them(writer: StoreWriter, reader: StoreReader) -> None:
    batch = pane_batch("b", [pane(day=day) for day in range(-60, 60)])
    writer.write(batch)
    writer.write(batch)
    found = await reader.query("SELECT timestamp, sum(value) FROM metrics GROUP BY timestamp", {})
    assert len(found) == 120
    assert {value for _, value in found} == {1.0}


@pytest.mark.parametrize("written", [[0], [1], [0, 2], [0, 1, 2]])
async def test_a_batch_of_which_some_days_were_written_before_a_crash_is_completed(
    writer: StoreWriter, reader: StoreReader, written: list[int]
) -> None:
    panes = [pane(value, day=day, x=str(value)) for day in range(3) for value in (1, 10)]
    # The engine makes a day's rows visible at once, and one day after another.
    writer.write(pane_batch("b", [panes[2 * day + n] for day in written for n in (0, 1)]))
    writer.write(pane_batch("b", panes))
    found = await reader.query("SELECT timestamp, sum(value) FROM metrics GROUP BY timestamp", {})
    assert [value for _, value in found] == [11.0] * 3


async def test_the_rows_of_a_batch_may_come_in_another_order_and_other_pieces(
    writer: StoreWriter, reader: StoreReader
) -> None:
    panes = [pane(1, day=n % 3, x=str(n)) for n in range(600)]
    writer.write(pane_batch("b", panes))
    pieces = [pane_batch("b", reversed(panes[first : first + 100])).rows for first in range(0, 600, 100)]
    writer.write(RowBatch("metrics", "b", pa.concat_tables(reversed(pieces))))
    assert await total(reader) == 600


async def test_installations_do_not_share_batch_ids(store: StorePlace, writer: StoreWriter) -> None:
    other = ClickHouseWriter(store.clients, "another")
    rows = pane_batch("0:0-5/metrics", [pane()])
    writer.write(rows)
    ((once,),) = store.rows("SELECT sum(value) FROM metrics")
    for each in (writer, other, other):
        each.write(rows)
    other.close()
    assert store.rows("SELECT sum(value) FROM metrics") == [(2 * once,)]


async def test_tables_do_not_share_batch_ids(writer: StoreWriter, reader: StoreReader) -> None:
    writer.write(pane_batch("b", [pane()]))
    writer.write(pane_batch("b", [pane()], "metrics_extremes"))
    assert await reader.query("SELECT count() FROM metrics_extremes", {}) == [(1,)]


async def test_a_writer_that_starts_anew_knows_what_was_written(store: StorePlace, reader: StoreReader) -> None:
    for _ in range(2):
        writer = ClickHouseWriter(store.clients)
        writer.write(pane_batch("b", [pane()]))
        writer.close()
    store.merge()
    writer = ClickHouseWriter(store.clients)
    writer.write(pane_batch("b", [pane()]))
    writer.close()
    assert await total(reader) == 1


async def test_a_batch_without_rows_is_nothing(writer: StoreWriter, reader: StoreReader) -> None:
    rows = pane_batch("b", [pane()]).rows
    writer.write(RowBatch("metrics", "b", rows.slice(0, 0)))
    writer.write(RowBatch("metrics", "b", rows))
    assert await total(reader) == 1


@pytest.mark.parametrize(("table", "column"), [("nowhere", "value"), ("metrics", "nothing")])
def test_what_the_store_does_not_take_is_unavailable(writer: StoreWriter, table: str, column: str) -> None:
    with pytest.raises(Unavailable, match="did not take 1 rows"):
        writer.write(RowBatch(table, "b", pa.table({column: [1.0]})))


async def test_raw_events_and_dead_letters_come_back_as_they_were(store: StorePlace, writer: StoreWriter) -> None:
    now_ms = int(time.time() * 1000)  # older ones may be expired at once
    times = [0, 1, 999, NOON_S * 1000 + 123, 4_102_444_799_999]
    envelopes = [
        Envelope(f"id-{n}", text or "-", times[n % len(times)], now_ms, text or None, None, properties={"x": text})
        for n, text in enumerate(ODD_TEXTS)
    ]
    bad = [Envelope("bad", "", 0, now_ms, rejection=Rejection("malformed", text), original=text) for text in ODD_TEXTS]
    batch = decode(log_batch({2: [*envelopes, *bad]}, {2: 7}), FIELDS)
    far = 200 * 365 * DAY_MS
    spec = PipelineSpec((Rollup("all"),), 0, 0, 512, allowed_lateness_ms=far, future_ms_max=far)
    for rows in Pipeline(lambda _: (), ProfileTable(())).apply(batch, Pending(batch.ranges, spec))[1].writes:
        writer.write(rows)
    found = store.rows(
        "SELECT event_id, event, toUnixTimestamp64Milli(timestamp), toUnixTimestamp64Milli(received_at), user_id, "
        "JSONExtractString(properties, 'x'), log_partition, log_offset FROM events ORDER BY log_offset"
    )
    assert found == [
        (f"id-{n}", text or "-", times[n % len(times)], now_ms, text, text, 2, 7 + n)
        for n, text in enumerate(ODD_TEXTS)
    ]
    letters = store.rows("SELECT reason, message, event_id, original, log_offset FROM dead_letter ORDER BY log_offset")
    first = 7 + len(ODD_TEXTS)
    assert letters == [("malformed", text, "bad", text, first + n) for n, text in enumerate(ODD_TEXTS)]
    panes = store.rows("SELECT toUnixTimestamp(timestamp) FROM metrics ORDER BY ALL")
    assert panes[0] == (0,)
    assert panes[-1] == (4_102_444_799_999 // 60_000 * 60,)


# Merging


async def test_sums_stay_as_they_are_when_rows_are_merged(
    store: StorePlace, writer: StoreWriter, reader: StoreReader
) -> None:
    texts = [*ODD_TEXTS, "US", "us"]
    for number in range(5):
        writer.write(pane_batch(f"b{number}", [pane(number + n, x=text, y="1") for n, text in enumerate(texts)]))
        writer.write(
            pane_batch(f"c{number}", [pane(9, y="1"), pane(8), pane(7, day=1, x="US"), pane(6, day=1, y="US")])
        )
    query = (
        "SELECT timestamp, dimensions, sum(value) FROM metrics GROUP BY ALL ORDER BY toString(dimensions), timestamp"
    )
    before = await reader.query(query, {})
    store.merge()
    assert await reader.query(query, {}) == before
    assert store.rows("SELECT count() FROM metrics") == [(len(texts) + 4,)]


async def test_values_that_add_up_to_zero_leave_the_sums_as_they_are(
    store: StorePlace, writer: StoreWriter, reader: StoreReader
) -> None:
    for number in range(2):
        writer.write(pane_batch(f"b{number}", [pane(0, x="a"), pane(5 - 10 * number, x="b"), pane(3, x="c")]))
    store.merge()
    assert await total(reader) == 6


async def test_the_least_and_the_greatest_stay_as_they_are_when_rows_are_merged(
    store: StorePlace, writer: StoreWriter, reader: StoreReader
) -> None:
    for number, value in enumerate([0.0, 3.0, -7.5, 2.0]):
        panes = [pane(value, x="a"), pane(0, x="b"), pane(value, day=1)]
        writer.write(pane_batch(f"b{number}", panes, "metrics_extremes"))
    query = (
        "SELECT timestamp, dimensions['x'], min(value_min), max(value_max) FROM metrics_extremes"
        " GROUP BY ALL ORDER BY ALL"
    )
    before = [row[1:] for row in await reader.query(query, {})]
    assert before == [("a", -7.5, 3.0), ("b", 0.0, 0.0), ("", -7.5, 3.0)]
    store.merge()
    assert [row[1:] for row in await reader.query(query, {})] == before
    assert store.rows("SELECT count() FROM metrics_extremes") == [(3,)]


# Reading


@pytest.mark.parametrize("text", ODD_TEXTS)
async def test_a_value_is_never_more_than_a_value(writer: StoreWriter, reader: StoreReader, text: str) -> None:
    writer.write(pane_batch("b", [pane(1, x=text), pane(2, x="other"), (NOON_S, "n", 4, {text: "x"})]))
    by_value = "SELECT sum(value) FROM metrics WHERE dimensions['x'] = {wanted:String} AND metric_name = 'm'"
    assert await reader.query(by_value, {"wanted": text}) == [(1.0,)]
    by_name = "SELECT sum(value) FROM metrics WHERE dimensions[{name:String}] = 'x' AND metric_name = 'n'"
    assert await reader.query(by_name, {"name": text}) == [(4.0,)]
    assert await reader.query("SELECT {wanted:String}", {"wanted": text}) == [(text,)]


@pytest.mark.parametrize("text", ODD_TEXTS)
async def test_the_name_of_a_metric_is_never_more_than_a_name(
    writer: StoreWriter, reader: StoreReader, text: str
) -> None:
    writer.write(pane_batch("b", [pane(1, metric=text), pane(2, metric="other")]))
    assert await total(reader, text) == 1


async def test_a_query_over_the_limit_of_time_is_refused_as_such(store: StorePlace) -> None:
    reader = ClickHouseReader(store.clients, QuerySettings(execution_s_max=1, rows_read_max=10**15))
    with pytest.raises(InvalidRequest, match="execution time") as refused:
        await reader.query("SELECT sum(number) FROM numbers(1000000000000)", {})
    assert refused.value.code == "query_limit"
    assert refused.value.hint
    assert await reader.query("SELECT 1", {}) == [(1,)]
    reader.close()


@pytest.mark.parametrize(("number", "limit"), [(158, "rows to read"), (241, "memory"), (396, "rows of the result")])
async def test_a_query_over_another_limit_is_refused_as_such(reader: StoreReader, number: int, limit: str) -> None:
    over = f"SELECT throwIf(1, 'over', toInt16({number})) SETTINGS allow_custom_error_code_in_throwif = 1"
    with pytest.raises(InvalidRequest, match=f"limit of {limit}") as refused:
        await reader.query(over, {})
    assert refused.value.code == "query_limit"


@pytest.mark.parametrize("sql", ["SELEC", "SELECT * FROM nowhere", "SELECT throwIf(1)", "SELECT {x:String}"])
async def test_any_other_error_is_unavailable(reader: StoreReader, sql: str) -> None:
    with pytest.raises(Unavailable, match="did not answer"):
        await reader.query(sql, {})


@pytest.mark.parametrize("as_table", [False, True])
async def test_the_answer_after_a_query_that_failed_half_way_has_no_rows_of_it(
    store: StorePlace, as_table: bool
) -> None:
    reader = ClickHouseReader(store.clients, QuerySettings(threads=1))
    failing = (
        "SELECT number, throwIf(number = 300000) FROM numbers(400000) SETTINGS max_block_size = 1000, max_threads = 1"
    )
    try:
        for _ in range(3):
            if as_table:
                with pytest.raises(Unavailable):
                    await asyncio.to_thread(reader.table, failing, {}, 10)
                answer = await asyncio.to_thread(reader.table, "SELECT 7 AS x", {}, 10)
                assert answer.to_pylist() == [{"x": 7}]
            else:
                with pytest.raises(Unavailable):
                    await reader.query(failing, {})
                assert await reader.query("SELECT 7", {}) == [(7,)]
    finally:
        reader.close()


async def test_a_reader_that_was_closed_is_unavailable(store: StorePlace) -> None:
    reader = ClickHouseReader(store.clients, QuerySettings())
    assert (await reader.state()).state == "ready"
    reader.close()
    with pytest.raises(Unavailable, match="shutting down"):
        await reader.query("SELECT 1", {})
    assert (await reader.state()).state == "degraded"


async def test_queries_that_wait_while_a_reader_closes_are_unavailable_and_not_cancelled(store: StorePlace) -> None:
    reader = ClickHouseReader(store.clients, QuerySettings(threads=1, execution_s_max=1))
    queries = [
        asyncio.create_task(reader.query("SELECT sum(number) FROM numbers(1000000000000)", {})) for _ in range(3)
    ]
    await asyncio.sleep(0)  # all three are in the queue of the one thread now
    await asyncio.to_thread(reader.close)
    first, *others = await asyncio.gather(*queries, return_exceptions=True)
    assert isinstance(first, InvalidRequest)
    assert [str(error) for error in others] == ["the query service is shutting down"] * 2


async def test_a_query_whose_caller_is_cancelled_is_cancelled(reader: StoreReader) -> None:
    query = asyncio.create_task(reader.query("SELECT sum(number) FROM numbers(100000000)", {}))
    await asyncio.sleep(0)
    query.cancel()
    with pytest.raises(asyncio.CancelledError):
        await query


async def test_reads_and_writes_at_the_same_time_see_whole_days_of_batches(
    store: StorePlace, writer: StoreWriter, reader: StoreReader
) -> None:
    batches, width = 25, 40

    def write() -> None:
        for number in range(batches):
            writer.write(pane_batch(f"b{number}", [pane(1, x=str(n)) for n in range(width)]))

    async def watch() -> list[float]:
        seen = [0.0]
        while seen[-1] < batches * width:
            seen.append(await total(reader))
        return seen

    async with asyncio.timeout(20):
        _, *watched = await asyncio.gather(asyncio.to_thread(write), watch(), watch(), watch())
    for seen in watched:
        assert seen == sorted(seen)
        assert all(value % width == 0 for value in seen)
