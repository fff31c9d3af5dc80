"""Where the stores of the contract suites live.

The embedded engine takes one data folder a process, so a place is made once a session, and each test begins by emptying
it. Nothing else in the process may open a chDB store: what runs the whole system does so in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from streamgauge.config import RetentionSettings, StoreSettings
from streamgauge.store.base import RowBatch
from streamgauge.store.client import StoreClients, migrate

Pane = tuple[int, str, float, Mapping[str, str]]
"""(start of the window in s, metric, value, dimensions)."""


class StorePlace:
    """One store. `admin` sees behind the seams: it is for arranging and for looking, not what is tested."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clients = StoreClients(url)
        self.admin: Client = self.clients.connect()

    def empty(self) -> None:
        for (table,) in self.admin.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase()"
        ).result_rows:
            self.admin.command(f"DROP TABLE `{table}` SYNC")

    def migrate(self, *, promoted: Sequence[str] = StoreSettings().promoted_dimensions, events_days: int = 7) -> int:
        return migrate(self.admin, RetentionSettings(events_days=events_days), StoreSettings(tuple(promoted)))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.admin.query(sql).result_rows]

    def merge(self) -> None:
        """What the engine does by itself, some time."""
        for table in ("metrics", "metrics_extremes"):
            self.admin.command(f"OPTIMIZE TABLE {table} FINAL")

    def close(self) -> None:
        self.admin.close()


def pane_batch(batch_id: str, panes: Iterable[Pane], table: str = "metrics") -> RowBatch:
    """A batch for `metrics` or `metrics_extremes`."""
    starts, metrics, values, dimensions = zip(*panes, strict=True)
    columns = ["value"] if table == "metrics" else ["value_min", "value_max"]
    rows = pa.table(
        {
            "timestamp": pa.array(starts, pa.uint32()),
            "metric_name": pa.array(metrics, pa.string()),
            **{column: pa.array(values, pa.float64()) for column in columns},
            "dimensions": pa.array([list(one.items()) for one in dimensions], pa.map_(pa.string(), pa.string())),
        }
    )
    return RowBatch(table, batch_id, rows)
