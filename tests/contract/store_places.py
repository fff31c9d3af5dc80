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
from streamgauge.store.client import StoreClients
from streamgauge.store.grains import ADDITIVE, COARSE, EXTREMES, MINUTES
from streamgauge.store.migrations import migrate

Pane = tuple[int, str, float, Mapping[str, str]]
"""(start of the window in s, metric, value, dimensions)."""


class StorePlace:
    """One store. `admin` sees behind the seams: it is for arranging and for looking, not what is tested."""

    def __init__(self, url: str, cluster: str = "") -> None:
        self.url, self.cluster = url, cluster
        self.clients = StoreClients(url, StoreSettings(cluster=cluster))
        self.admin: Client = self.clients.connect()

    def empty(self) -> None:
        for (table,) in self.admin.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase()"
        ).result_rows:
            self.admin.command(f"DROP TABLE `{table}` SYNC")

    def migrate(self, *, promoted: Sequence[str] = StoreSettings().promoted_dimensions, events_days: int = 7) -> int:
        return migrate(self.admin, RetentionSettings(events_days=events_days), self.tables(promoted))

    def tables(self, promoted: Sequence[str] = StoreSettings().promoted_dimensions) -> StoreSettings:
        return StoreSettings(tuple(promoted), cluster=self.cluster)

    def stored(self, table: str) -> str:
        """The table that has the rows themselves."""
        return self.clients.layout.stored(table)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.admin.query(sql).result_rows]

    def truncate(self, *tables: str) -> None:
        """Takes the rows out, those by the hour and the day too: of a table that asks others for its rows, TRUNCATE
        takes none."""
        coarser = [grain.table(table) for table in tables if table in (ADDITIVE, EXTREMES) for grain in COARSE]
        for table in (*tables, *coarser):
            self.admin.command(f"TRUNCATE TABLE {self.stored(table)}")

    def merge(self) -> None:
        """What the engine does by itself, some time."""
        for table in (grain.table(base) for base in (ADDITIVE, EXTREMES) for grain in (MINUTES, *COARSE)):
            self.admin.command(f"OPTIMIZE TABLE {self.stored(table)} FINAL")

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
