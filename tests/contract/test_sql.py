"""Other people's SQL, over each kind of store: what can be asked, and that nothing else can be done."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from contract.store_places import StorePlace, pane_batch
from local_cluster.waiting import until
from streamgauge.config import SqlSettings
from streamgauge.core.errors import InvalidRequest, Overloaded, QueryLimit, StreamgaugeError
from streamgauge.store.base import SqlForm
from streamgauge.store.sql import ClickHouseSql
from streamgauge.store.writer import ClickHouseWriter

DAY_S = 86_400
AT_S = 20_000 * DAY_S
FOR_EVER = """
    SELECT sum(length(toString(x.a * y.b))) FROM (SELECT arrayJoin(range(1000000)) AS a) AS x,
    (SELECT arrayJoin(range(1000000)) AS b) AS y
"""
"""As good as."""


@pytest.fixture
def place(store: StorePlace, writer: ClickHouseWriter) -> StorePlace:
    """300 page views of two countries, in three minutes."""
    panes = [(AT_S + minute * 60, "page_views", 50.0, {"country": one}) for minute in range(3) for one in ("US", "DE")]
    writer.write(pane_batch("a", panes))
    return store


def engine(place: StorePlace, **limits: Any) -> ClickHouseSql:
    return ClickHouseSql(place.clients, place.clients, SqlSettings(**limits))


@pytest.fixture
def sql(place: StorePlace) -> Iterator[ClickHouseSql]:
    made = engine(place)
    yield made
    made.close()


async def rows(sql: ClickHouseSql, text: str, **parameters: str) -> Any:
    return json.loads(await sql.ask(text, parameters, "json"))["data"]


async def refused(sql: ClickHouseSql, text: str, **parameters: str) -> StreamgaugeError:
    with pytest.raises(StreamgaugeError) as caught:
        await sql.ask(text, parameters, "json")
    return caught.value


def running(place: StorePlace) -> int:
    """How many queries of this kind the engine has now."""
    counted = place.rows("SELECT count() FROM system.processes WHERE Settings['log_comment'] LIKE 'streamgauge-sql-%'")
    return int(counted[0][0])


async def begins(place: StorePlace) -> None:
    await asyncio.to_thread(until, lambda: running(place), "the engine has begun", 10.0)


# What can be asked


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("SELECT dimensions['country'] AS c, sum(value) FROM metrics GROUP BY c ORDER BY c LIMIT 1", [["DE", 150]]),
        ("select COUNT(*), Max(value), sumIf(value, d_country = 'US') from metrics -- small letters", [[6, 50, 150]]),
        ("WITH x AS (SELECT timestamp AS t, sum(value) AS v FROM metrics GROUP BY t) SELECT max(v) FROM x", [[100]]),
        ("SELECT count() FROM metrics AS m JOIN events AS e ON m.metric_name = e.event", [[0]]),
        ("SELECT value FROM metrics WHERE metric_name IN (SELECT event FROM events)", []),
        ("SELECT sum(value) OVER (ORDER BY timestamp) AS s FROM metrics ORDER BY s DESC LIMIT 1", [[300]]),
        ("SELECT duration_s, version FROM sessions FINAL WHERE NOT is_open", []),
        ("SELECT reason, count() FROM dead_letter GROUP BY ALL", []),
        ("SELECT JSONExtractString(properties, 'a'), uniq(user_id) FROM events GROUP BY 1", []),
        ("SELECT arrayMap(x -> x + 1, [1, 2]), CASE WHEN 1 THEN 'a' END, toDate('2026-01-01') + INTERVAL 1 DAY",
         [[[2, 3], "a", "2026-01-02"]]),
        ("SELECT 'FORMAT CSV; SETTINGS readonly = 0' AS `INTO OUTFILE`", [["FORMAT CSV; SETTINGS readonly = 0"]]),
        ("SELECT 1 UNION ALL SELECT 1", [[1], [1]]),
        ("SELECT arrayJoin([3, 1, 2]) AS a ORDER BY a DESC", [[3], [2], [1]]),
        ("SELECT * EXCEPT (value, dimensions) FROM metrics WHERE timestamp < '1980-01-01'", []),
    ],
)  # fmt: skip
async def test_a_select_of_the_four_tables_is_answered(sql: ClickHouseSql, text: str, answer: Any) -> None:
    assert await rows(sql, text) == answer


async def test_a_parameter_is_a_value_whatever_stands_in_it(sql: ClickHouseSql) -> None:
    nasty = "x') UNION ALL SELECT file('/etc/passwd') -- \\ \n 'ü"
    assert await rows(sql, "SELECT {a:String} AS a, {b:UInt8} + 1", a=nasty, b="1") == [[nasty, 2]]
    assert await rows(sql, "SELECT count() FROM {table:Identifier}", table="metrics") == [[6]]


@pytest.mark.parametrize("form", ["csv", "ndjson", "arrow", "json"])
async def test_each_format_has_the_same_rows(sql: ClickHouseSql, form: SqlForm) -> None:
    found = await sql.ask("SELECT d_country AS c, sum(value) AS v FROM metrics GROUP BY c ORDER BY c", {}, form)
    read = {
        "csv": lambda: [{"c": one["c"], "v": float(one["v"])} for one in csv.DictReader(io.StringIO(found.decode()))],
        "ndjson": lambda: [json.loads(line) for line in found.splitlines()],
        "arrow": lambda: pa.ipc.open_stream(found).read_all().to_pylist(),
        "json": lambda: [dict(zip(("c", "v"), row, strict=True)) for row in json.loads(found)["data"]],
    }
    rows = [{**row, "c": row["c"].decode() if isinstance(row["c"], bytes) else row["c"]} for row in read[form]()]
    assert rows == [{"c": "DE", "v": 150.0}, {"c": "US", "v": 150.0}]


# What can't


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO metrics SELECT * FROM metrics",
        "DROP TABLE metrics",
        "TRUNCATE TABLE metrics",
        "ALTER TABLE metrics DELETE WHERE 1",
        "CREATE TABLE mine (a Int8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE mine (a Int8)",
        "SET readonly = 0",
        "SET ROLE owner",
        "USE system",
        "KILL QUERY WHERE 1",
        "SYSTEM SHUTDOWN",
        "SHOW TABLES",
        "EXPLAIN SELECT 1",
        "SELECT * FROM (EXPLAIN SELECT 1)",
        "BACKUP TABLE metrics TO File('/tmp/x')",
        "SELECT 1; DROP TABLE metrics",
        "SELECT 1 SETTINGS max_execution_time = 1000",
        "SELECT * FROM (SELECT 1 SETTINGS readonly = 0)",
        "SELECT 1 FORMAT CSV",
        "SELECT 1) UNION ALL (SELECT 2",
        "SELECT file('/etc/passwd')",
        "SELECT FILE('/etc/passwd')",
        "SELECT arrayMap(file, ['/etc/passwd'])",
        "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM `/etc/passwd`",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
        "SELECT * FROM s3('http://127.0.0.1:1/', 'CSV', 'a String')",
        "SELECT * FROM remote('127.0.0.1:1', 'system', 'one')",
        "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
        "SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
        "SELECT * FROM sqlite('/tmp/a.db', 'b')",
        "SELECT * FROM executable('x.sh', 'CSV', 'a String')",
        "SELECT * FROM filesystem('/etc')",
        "SELECT * FROM python(sql)",
        "SELECT * FROM merge('default', '.*')",
        "SELECT * FROM cluster('default', 'system', 'one')",
        "SELECT * FROM numbers(10)",
        "SELECT * FROM view(SELECT 1)",
        "SELECT * FROM system.tables",
        "SELECT * FROM system.processes",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM schema_versions",
        "SELECT * FROM `schema_versions` AS metrics",
        "SELECT * FROM (WITH schema_versions AS (SELECT 1) SELECT * FROM schema_versions), schema_versions",
        "WITH ', schema_versions AS (' AS a SELECT * FROM schema_versions",
        "WITH `system.tables` AS (SELECT 1) SELECT * FROM system.tables",
        "WITH `default.schema_versions` AS (SELECT 1) SELECT * FROM default.schema_versions",
        "SELECT 1 AS `a\n Literal b`, file('/etc/passwd') AS `c\n Function plus`",
        "SELECT `file`('/etc/passwd')",
        "WITH 'a' AS file SELECT arrayMap(file, ['/etc/passwd'])",
        "SELECT 1 PARALLEL WITH DROP TABLE metrics",
        "SELECT inIgnoreSet(1, schema_versions)",
        "SELECT 1 IN schema_versions",
        "SELECT (1, 'x', now()) IN default.schema_versions",
        "SELECT 1 WHERE 1 GLOBAL IN system.one",
        "SELECT dictGet('a', 'b', 1)",
        "SELECT joinGet('schema_versions', 'name', 1)",
        "SELECT hasColumnInTable('default', 'schema_versions', 'name')",
        "SELECT getSetting('readonly')",
        "SELECT getServerSetting('user_files_path')",
        "SELECT currentUser(), hostName(), serverUUID()",
        "SELECT @@version",
        "SELECT sleep(3)",
        "SELECT aiGenerate('a')",
        "SELECT addressToLine(1)",
        "SELECT showCertificate()",
    ],
)
async def test_what_is_not_a_select_of_the_four_tables_is_refused(
    place: StorePlace, sql: ClickHouseSql, text: str
) -> None:
    error = await refused(sql, text)
    assert isinstance(error, InvalidRequest)
    assert error.code in ("sql_not_allowed", "invalid_sql"), error.message
    assert error.hint
    assert place.rows("SELECT sum(value) FROM metrics") == [(300.0,)]


async def test_no_file_is_written(sql: ClickHouseSql, tmp_path: Path) -> None:
    file = tmp_path / "out"
    assert (await refused(sql, f"SELECT 1 INTO OUTFILE '{file}'")).code == "sql_not_allowed"
    assert (await refused(sql, f"SELECT * FROM (SELECT 1 INTO OUTFILE '{file}')")).code == "invalid_sql"
    assert not file.exists()


async def test_a_parameter_does_not_name_another_table(sql: ClickHouseSql) -> None:
    error = await refused(sql, "SELECT * FROM {table:Identifier}", table="system.tables")
    assert (error.code, "system.tables" in error.message) == ("sql_not_allowed", True)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT name FROM schema_versions",
        "INSERT INTO metrics (metric_name) VALUES ('a')",
        "SET max_execution_time = 0",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
    ],
)
async def test_the_connection_alone_refuses_it_in_the_embedded_engine(
    place: StorePlace, sql: ClickHouseSql, text: str
) -> None:
    """The second and third fence, without the first."""
    if not place.clients.is_embedded:
        pytest.skip("on a server, the rights are those of the user of sql.store")
    with sql._connection("x") as client, pytest.raises(Exception, match=r"ACCESS_DENIED|READONLY"):
        client.raw_query(text)


# What is wrong is said


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("SELECT 1,\n\n  frm from from m", "invalid_sql", "line 3, column 17, near 'm'"),
        ("SELECT 'ü', frm frm frm", "invalid_sql", "line 1, column 21, near 'frm'"),
        ("SELECT", "invalid_sql", "at its end"),
        ("SELECT 1; SELECT 2", "invalid_sql", "line 1, column 9"),
        ("SELECT nope FROM metrics", "invalid_sql", "`nope`"),
        ("SELECT countt() FROM metrics", "invalid_sql", "no function countt: did you mean count?"),
        ("SELECT {a:UInt8}", "invalid_sql", "`a` is not set"),
        ("SELECT toDate('x') + 'y'", "invalid_sql", ""),
        ("DROP TABLE metrics", "sql_not_allowed", "DROP is not to be done"),
        ("SELECT 1 SETTINGS max_threads = 8", "sql_not_allowed", "SETTINGS"),
        ("SELECT * FROM users", "sql_not_allowed", "the tables are metrics, sessions, events, dead_letter"),
    ],
)
async def test_an_error_says_where_and_what_would_do(sql: ClickHouseSql, text: str, code: str, said: str) -> None:
    error = await refused(sql, text)
    assert error.code == code
    assert said in f"{error.message}: {error.hint}"


async def test_after_an_error_the_next_answer_is_its_own(sql: ClickHouseSql) -> None:
    await refused(sql, "SELECT arrayJoin(range(200000)) AS a")
    assert await rows(sql, "SELECT 7") == [[7]]


# Limits


@pytest.mark.parametrize(
    ("limits", "text", "said"),
    [
        ({"execution_s_max": 1}, FOR_EVER, "sql.execution_s_max"),
        ({"rows_read_max": 3}, "SELECT sum(length(metric_name)) FROM metrics", "sql.rows_read_max"),
        ({"memory_bytes_max": 50_000_000}, "SELECT groupArray(a) FROM (SELECT arrayJoin(range(20000000)) AS a)",
         "sql.memory_bytes_max"),
        ({"result_rows_max": 5}, "SELECT arrayJoin(range(6))", "sql.result_rows_max"),
        ({"result_bytes_max": 1_000}, "SELECT repeat('a', 2000)", "sql.result_bytes_max"),
        ({"result_rows_max": 5}, "SELECT timestamp FROM metrics", "sql.result_rows_max"),
        ({"result_rows_max": 5}, "SELECT arrayJoin(range(300000))", "sql.result_rows_max"),
        ({"result_bytes_max": 20}, "SELECT timestamp, metric_name FROM metrics", "sql.result_bytes_max"),
        ({"text_chars_max": 10}, "SELECT 1234567", "sql.text_chars_max"),
    ],
)  # fmt: skip
async def test_each_limit_is_enforced_and_named(
    place: StorePlace, limits: dict[str, int], text: str, said: str
) -> None:
    limited = engine(place, **limits)
    try:
        error = await refused(limited, text)
        assert isinstance(error, InvalidRequest)
        assert said in f"{error.message}: {error.hint}"
    finally:
        await asyncio.to_thread(limited.close)


async def test_who_no_longer_waits_is_no_longer_worked_for(place: StorePlace, sql: ClickHouseSql) -> None:
    asking = asyncio.create_task(sql.ask(FOR_EVER, {}, "json"))
    await begins(place)
    began_s = time.monotonic()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await rows(sql, "SELECT 7") == [[7]]  # the only slot is free again
    assert time.monotonic() - began_s < 5  # not by the limit of time, which is 10 s
    assert running(place) == 0


async def test_further_queries_wait_for_a_while_and_are_then_refused(place: StorePlace) -> None:
    limited = engine(place, at_once_max=1, queue_max=1, queue_s_max=0.3)
    try:
        under_way = asyncio.create_task(limited.ask(FOR_EVER, {}, "json"))
        await begins(place)
        waiting = asyncio.create_task(limited.ask("SELECT 1", {}, "json"))
        await asyncio.sleep(0)
        one_too_many = await refused(limited, "SELECT 1")
        assert isinstance(one_too_many, Overloaded)
        assert (one_too_many.retry_after_s, "1 under way, 1 waiting" in one_too_many.message) == (2, True)
        with pytest.raises(Overloaded):
            await waiting
        under_way.cancel()
        await asyncio.gather(under_way, return_exceptions=True)
    finally:
        await asyncio.to_thread(limited.close)


async def test_a_limit_is_an_error_of_its_own_kind(place: StorePlace) -> None:
    limited = engine(place, result_rows_max=5)
    try:
        error = await refused(limited, "SELECT arrayJoin(range(6))")
        assert isinstance(error, QueryLimit)
        assert error.hint == "add LIMIT 5, or count instead of listing"
    finally:
        await asyncio.to_thread(limited.close)


def test_all_settings_have_a_limit() -> None:
    assert all(value for value in msgspec.structs.asdict(SqlSettings(store="x")).values())
