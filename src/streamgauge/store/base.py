"""The seams of the store, split by capability: the stream writes, the query service reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import pyarrow as pa


class RowBatch(msgspec.Struct, frozen=True):
    """Rows for one table. The same `batch_id` always comes with the same rows, so that writing twice is writing once.

    `rows` has the columns of the table in `streamgauge.store.schema`, or a subset where the others have defaults.
    """

    table: str
    batch_id: str
    rows: pa.Table


class StoreWriter(Protocol):
    """Used from one thread at a time."""

    def write(self, batch: RowBatch) -> None:
        """Return once the rows are durable and visible to readers. Idempotent by batch id: a table knows at least its
        last 50,000 pairs of a batch and a day that it has rows in, so always the newest batch as a whole.
        Raises `Unavailable`; the rows may then be written or not, or in part: try again with the same id.
        """
        ...

    def close(self) -> None: ...


class StoreRebuild(Protocol):
    """Replaces rollups by what a replay wrote to the tables `metrics_rebuilt` and `metrics_extremes_rebuilt`. Used from
    one thread at a time, while nobody writes to the rollups. Raises Unavailable."""

    def clear(self) -> None:
        """Forget what an earlier replay wrote."""
        ...

    def replace(self, metrics: Collection[str], from_s: int, to_s: int) -> None:
        """Make the panes of these metrics in `[from_s, to_s)` (s since 1970) those that were rebuilt, and no others.
        Cut off at any point, it can be done again."""
        ...

    def close(self) -> None: ...


class StoreReader(Protocol):
    """Used from any thread."""

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        """Rows of a read-only query. Values come only by `parameters`, as `{name:Type}` in the text.

        Raises `QueryLimit` where a limit (time, rows) is exceeded, `Unavailable` when the engine is not there.
        """
        ...

    def table(self, sql: str, parameters: Mapping[str, Any], seconds_max: float) -> pa.Table:
        """The same as columns, for much data, within `seconds_max` where that is less than the store's own limit.
        `LowCardinality` columns arrive as dictionaries. Blocks: not for an event loop. Raises what `query` does, and
        InvalidRequest with the code `invalid_pattern` for a regular expression that the engine can't read."""
        ...

    def close(self) -> None: ...
