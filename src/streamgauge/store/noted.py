"""Writers that say what they wrote, so that no older answer is taken for one of now."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import pyarrow as pa

from streamgauge.model import MINUTE_MS
from streamgauge.store.base import Noted, RowBatch, StoreRebuild, StoreWriter

_ROLLUPS: Final = ("metrics", "metrics_extremes")


class NotedWriter:
    """`StoreWriter`: another one, whose rollups are noted."""

    def __init__(self, writer: StoreWriter, note: Noted) -> None:
        self._writer = writer
        self._note = note

    def write(self, batch: RowBatch) -> None:
        try:
            self._writer.write(batch)
        finally:  # what failed may be written nevertheless
            if batch.table in _ROLLUPS:
                for metric, from_ms, to_ms in _spans(batch.rows):
                    self._note(metric, from_ms, to_ms)

    def close(self) -> None:
        self._writer.close()


class NotedRebuild:
    """`StoreRebuild`: another one, whose replacements are noted."""

    def __init__(self, rebuild: StoreRebuild, note: Noted) -> None:
        self._rebuild = rebuild
        self._note = note

    def clear(self) -> None:
        self._rebuild.clear()

    def replace(self, metrics: Collection[str], from_s: int, to_s: int) -> None:
        try:
            self._rebuild.replace(metrics, from_s, to_s)
        finally:
            for metric in metrics:
                self._note(metric, from_s * 1000, to_s * 1000)

    def close(self) -> None:
        self._rebuild.close()


def _spans(rows: pa.Table) -> list[tuple[str, int, int]]:
    """Of each metric, from its first pane to the end of the first minute of its last."""
    found = rows.select(["metric_name", "timestamp"]).group_by("metric_name")
    each = found.aggregate([("timestamp", "min"), ("timestamp", "max")]).to_pylist()
    return [(one["metric_name"], one["timestamp_min"] * 1000, one["timestamp_max"] * 1000 + MINUTE_MS) for one in each]
