"""Limits of what `StoreReader` is asked, over each kind of store, and what becomes of what nobody waits for."""

from __future__ import annotations

import asyncio
import time

import pytest

from contract.store_places import StorePlace
from local_cluster.waiting import until
from streamgauge.config import QuerySettings
from streamgauge.core.errors import Overloaded, QueryLimit
from streamgauge.store.reader import ClickHouseReader

FOR_EVER = """
    SELECT sum(length(toString(x.a * y.b))) FROM (SELECT arrayJoin(range(1000000)) AS a) AS x,
    (SELECT arrayJoin(range(1000000)) AS b) AS y
"""
"""As good as; and little is read."""


async def test_a_query_that_nobody_waits_for_is_ended_in_the_engine_and_no_other_one(store: StorePlace) -> None:
    reader = ClickHouseReader(store.clients, QuerySettings(threads=1))
    asking = asyncio.create_task(reader.query(FOR_EVER, {}))
    await asyncio.to_thread(until, lambda: _running(store), "the engine has begun", 10.0)
    began_s = time.monotonic()
    asking.cancel()
    others = [asyncio.create_task(reader.query("SELECT {n:UInt8}", {"n": n})) for n in range(20)]
    assert [await other for other in others] == [[(n,)] for n in range(20)]
    assert time.monotonic() - began_s < 5, "it went on, up to its limit of 10 s"
    await asyncio.to_thread(reader.close)


async def test_columns_that_nobody_waits_for_are_no_longer_read(store: StorePlace) -> None:
    reader = ClickHouseReader(store.clients, QuerySettings(threads=1))

    def given_up() -> None:
        if _running(store):
            raise TimeoutError("enough")

    with pytest.raises(TimeoutError, match="enough"):
        await asyncio.to_thread(reader.table, FOR_EVER, {}, 10.0, given_up)
    async with asyncio.timeout(5):
        assert await reader.query("SELECT 7", {}) == [(7,)]
    await asyncio.to_thread(reader.close)


async def test_more_queries_than_may_wait_are_refused_at_once(store: StorePlace) -> None:
    reader = ClickHouseReader(store.clients, QuerySettings(threads=1, queue_max=2))
    asking = [asyncio.create_task(reader.query(FOR_EVER, {})) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match=r"query\.queue_max"):
        await reader.query("SELECT 1", {})
    for one in asking:
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    async with asyncio.timeout(5):
        assert await reader.query("SELECT 7", {}) == [(7,)]
    await asyncio.to_thread(reader.close)


@pytest.mark.parametrize(
    ("limits", "sql", "said"),
    [
        (QuerySettings(execution_s_max=1), FOR_EVER, "execution time, 1 s (query.execution_s_max)"),
        (
            QuerySettings(rows_read_max=10),
            "SELECT sum(number) FROM numbers(1000)",
            "rows to read, 10 (query.rows_read_max)",
        ),
        (
            QuerySettings(memory_bytes_max=10_000_000),
            "SELECT length(groupArray(number)) FROM numbers(10000000)",
            "memory, 10,000,000 bytes (query.memory_bytes_max)",
        ),
    ],
)
async def test_a_limit_is_named_with_its_setting(store: StorePlace, limits: QuerySettings, sql: str, said: str) -> None:
    reader = ClickHouseReader(store.clients, limits)
    with pytest.raises(QueryLimit) as caught:
        await reader.query(sql, {})
    assert said in caught.value.message
    await asyncio.to_thread(reader.close)


def _running(store: StorePlace) -> int:
    """How many queries of readers the engine has now."""
    found = store.rows("SELECT count() FROM system.processes WHERE Settings['log_comment'] LIKE 'streamgauge-query-%'")
    return int(found[0][0])
