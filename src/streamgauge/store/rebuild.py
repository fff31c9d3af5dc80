"""Rollups replaced by rebuilt ones, in the store itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from clickhouse_connect.driver.exceptions import ClickHouseError

from streamgauge.core.errors import Unavailable
from streamgauge.store.client import StoreClients
from streamgauge.store.grains import ADDITIVE, COARSE, EXTREMES, MINUTES, UNLIKE, in_step

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
    {UNLIKE}
"""
"""Sums are additive: what is wrong is put right by adding what is missing. Nobody ever sees less than there is."""

_DAYS: Final = f"""
    SELECT DISTINCT intDiv(toUnixTimestamp(timestamp), {_DAY_S}) FROM (
        SELECT timestamp FROM metrics_rebuilt WHERE {_RANGE} UNION ALL SELECT timestamp FROM metrics WHERE {_RANGE}
    ) ORDER BY 1
"""
_REMOVED: Final = f"DELETE WHERE {_RANGE}"
_EXTREMES: Final = f"""
    INSERT INTO metrics_extremes (timestamp, metric_name, value_min, value_max, dimensions)
    SELECT timestamp, metric_name, min(value_min), max(value_max), any(dimensions)
    FROM metrics_extremes_rebuilt WHERE {_RANGE}
    GROUP BY timestamp, metric_name, dimensions_hash
"""


class ClickHouseRebuild:
    """`StoreRebuild` on ClickHouse's engine."""

    def __init__(self, clients: StoreClients) -> None:
        self._layout = clients.layout
        self._connection = clients.open({"async_insert": 0, "mutations_sync": 2, "max_partitions_per_insert_block": 0})

    def clear(self) -> None:
        for table in ("metrics_rebuilt", "metrics_extremes_rebuilt"):
            # Not TRUNCATE: that would keep the tokens of what was written before.
            self._command(self._layout.alter(table, "DELETE WHERE true"), {})

    def replace(self, metrics: Collection[str], from_s: int, to_s: int) -> None:
        whole = {"metrics": sorted(metrics), "from": from_s, "to": to_s}
        # What is missing is told by what is there: a replica that doesn't have all of it would have it added again.
        self._catch_up("metrics", "metrics_rebuilt", "metrics_extremes_rebuilt")
        try:
            days = [row[0] for row in self._connection.query(_DAYS, whole)]
        except ClickHouseError as error:
            raise _unavailable(error) from error
        for day in days:  # a day at a time, so that it needs no more memory than that
            part = whole | {"from": max(from_s, day * _DAY_S), "to": min(to_s, (day + 1) * _DAY_S)}
            self._command(_DIFFERENCE, part)
        self._command(self._layout.alter("metrics_extremes", _REMOVED), whole)
        self._command(_EXTREMES, whole)
        self._put_in_step(days, whole)

    def close(self) -> None:
        self._connection.close()

    def _put_in_step(self, days: Collection[int], whole: dict[str, Any]) -> None:
        """Hours and days say what the minutes say: views saw what was added, but neither what somebody deleted nor what
        was deleted here."""
        self._catch_up(*(grain.table(base) for base in (ADDITIVE, EXTREMES) for grain in (MINUTES, *COARSE)))
        for grain in COARSE:
            for day in days:
                part = whole | {"from": day * _DAY_S, "to": (day + 1) * _DAY_S}
                self._command(in_step(ADDITIVE, grain, _RANGE), part)
            from_s, to_s = (whole["from"] // grain.seconds, -(-whole["to"] // grain.seconds))
            touched = whole | {"from": from_s * grain.seconds, "to": to_s * grain.seconds}
            self._command(self._layout.alter(grain.table(EXTREMES), _REMOVED), touched)
            self._command(in_step(EXTREMES, grain, _RANGE), touched)

    def _catch_up(self, *tables: str) -> None:
        for table in tables:
            if statement := self._layout.catch_up(table):
                self._command(statement, {})

    def _command(self, sql: str, parameters: dict[str, Any]) -> None:
        try:
            self._connection.command(sql, parameters)
        except ClickHouseError as error:
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"the store did not replace the rollups: {error}")
