"""The embedded engine, opened for one piece of work at a time, in a process of its own: it has one store in each."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa

from streamgauge.config import RetentionSettings, StoreSettings
from streamgauge.store.base import RowBatch
from streamgauge.store.client import StoreClients
from streamgauge.store.migrations import migrate
from streamgauge.store.writer import ClickHouseWriter

DAY_S = 86_400


def rows(batch: int, days: int = 1) -> RowBatch:
    """A row in each of so many days."""
    table = pa.table(
        {
            "timestamp": pa.array([20_000 * DAY_S + day * DAY_S for day in range(days)], pa.uint32()),
            "metric_name": ["m"] * days,
            "value": [1.0] * days,
            "dimensions": pa.array([[]] * days, pa.map_(pa.string(), pa.string())),
        }
    )
    return RowBatch("metrics", f"{batch}/metrics", table)


class Engine:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, *batches: RowBatch) -> float:
        """The sum of all rows after it."""
        return self._apart(batches, "", "metrics")

    def write_and_sum(self, table: str, *batches: RowBatch) -> float:
        return self._apart(batches, "", table)

    def command(self, statement: str) -> None:
        self._apart((), statement, "metrics")

    def parts(self, partition: str = "2024[01][0-9][0-3][0-9]") -> list[Path]:
        """Those of a day are of `metrics`; those of a month are of the hours."""
        logs = list(self.folder.glob("store/*/*/deduplication_logs"))
        return sorted(part for log in logs for part in log.parent.glob(f"{partition}_*") if part.is_dir())

    def _apart(self, batches: Sequence[RowBatch], statement: str, summed: str) -> float:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            return process.submit(work, self.folder, batches, statement, summed).result()


def work(folder: Path, batches: Sequence[RowBatch], statement: str, summed: str) -> float:
    clients = StoreClients(f"chdb:///{folder}")
    with closing(clients.connect()) as client:
        migrate(client, RetentionSettings(), StoreSettings())
        with closing(ClickHouseWriter(clients)) as writer:
            for batch in batches:
                writer.write(batch)
        if statement:
            client.command(statement)
        return float(client.query(f"SELECT sum(value) FROM {summed}").result_rows[0][0])
