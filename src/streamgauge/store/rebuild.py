"""Rollups replaced by rebuilt ones, in the store itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from clickhouse_connect.driver.exceptions import ClickHouseError

from streamgauge.core.errors import Unavailable
from streamgauge.store.client import StoreClients

_DAY_S: Final = 86_400
_RANGE: Final = (
    "metric_name IN {metrics:Array(String)} AND timestamp >= toDateTime({from:UInt32}, 'UTC') "
    "AND timestamp < toDateTime({to:UInt32}, 'UTC')"
)
_DIFFERENCE: Final = f"""
    INSERT INTO metrics (timestamp, metric_name, value, dimensions)
    SELECT timestamp, metric_name, sum(change) AS value, any(found)
    FROM (
        SELECT timestamp, metric_name, value AS change, dimensions AS found, dimensions_hash
        FROM metrics_rebuilt WHERE {_RANGE}
        UNION ALL
        SELECT timestamp, metric_name, -value AS change, dimensions AS found, dimensions_hash
        FROM metrics WHERE {_RANGE}
    )
    GROUP BY timestamp, metric_name, dimensions_hash
    HAVING abs(value) > 1e-12 * sum(abs(change))
"""
"""Sums are additive, so that what is wrong is put right by adding what is missing: nobody ever sees less than there is.
What differs only by the order in which numbers were added is left alone."""

_DAYS: Final = f"""
    SELECT DISTINCT intDiv(toUnixTimestamp(timestamp), {_DAY_S}) FROM (
        SELECT timestamp FROM metrics_rebuilt WHERE {_RANGE} UNION ALL SELECT timestamp FROM metrics WHERE {_RANGE}
    ) ORDER BY 1
"""
_REMOVED: Final = f"ALTER TABLE metrics_extremes DELETE WHERE {_RANGE}"
_EXTREMES: Final = f"""
    INSERT INTO metrics_extremes (timestamp, metric_name, value_min, value_max, dimensions)
    SELECT timestamp, metric_name, min(value_min), max(value_max), any(dimensions)
    FROM metrics_extremes_rebuilt WHERE {_RANGE}
    GROUP BY timestamp, metric_name, dimensions_hash
"""


class ClickHouseRebuild:
    """`StoreRebuild` on ClickHouse's engine."""

    def __init__(self, clients: StoreClients) -> None:
        self._client = clients.connect({"async_insert": 0, "mutations_sync": 2, "max_partitions_per_insert_block": 0})

    def clear(self) -> None:
        for table in ("metrics_rebuilt", "metrics_extremes_rebuilt"):
            # Not TRUNCATE: that would keep the tokens of what was written before.
            self._command(f"ALTER TABLE {table} DELETE WHERE true", {})

    def replace(self, metrics: Collection[str], from_s: int, to_s: int) -> None:
        whole = {"metrics": sorted(metrics), "from": from_s, "to": to_s}
        try:
            days = [row[0] for row in self._client.query(_DAYS, parameters=whole).result_rows]
        except ClickHouseError as error:
            raise _unavailable(error) from error
        for day in days:  # a day at a time, so that it needs no more memory than that
            part = whole | {"from": max(from_s, day * _DAY_S), "to": min(to_s, (day + 1) * _DAY_S)}
            self._command(_DIFFERENCE, part)
        self._command(_REMOVED, whole)
        self._command(_EXTREMES, whole)

    def close(self) -> None:
        self._client.close()

    def _command(self, sql: str, parameters: dict[str, Any]) -> None:
        try:
            self._client.command(sql, parameters=parameters)
        except ClickHouseError as error:
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"the store did not replace the rollups: {error}")
