"""The seams of the store, split by capability: the stream writes, the query service reads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, Protocol

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


Noted = Callable[[str, int, int], None]
"""Told after each write that may have changed what readers see of a metric: its name, and the event times
`[from_ms, to_ms)`. Called by the thread that writes."""


SqlForm = Literal["json", "csv", "ndjson", "arrow"]


class SqlEngine(Protocol):
    """Carries out SQL that other people wrote, within limits and without any effect. Used from an event loop."""

    async def ask(self, sql: str, parameters: Mapping[str, str], form: SqlForm) -> bytes:
        """The result as the engine writes it: JSONCompact, CSV with names, a JSON object a row, an Arrow stream.

        `sql` is one SELECT of `metrics`, `sessions`, `events` and `dead_letter`; `parameters` are for `{name:Type}` in
        it. A task that is cancelled ends the query in the engine. Raises InvalidRequest (`invalid_sql`,
        `sql_not_allowed`), QueryLimit, Overloaded where too many wait, Unavailable.
        """
        ...

    def close(self) -> None: ...


Check = Callable[[], None]
"""Raises where nobody waits for the answer any more."""


def never() -> None:
    """The check of a query that is always answered."""


class StoreReader(Protocol):
    """Used from any thread."""

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        """Rows of a read-only query. Values come only by `parameters`, as `{name:Type}` in the text.

        A task that is cancelled ends the query in the engine. Raises `QueryLimit` where a limit (time, rows, memory) is
        exceeded, `Overloaded` where too many wait, `Unavailable` when the engine is not there.
        """
        ...

    def table(self, sql: str, parameters: Mapping[str, Any], seconds_max: float, check: Check = never) -> pa.Table:
        """The same as columns, for much data, within `seconds_max` where that is less than the store's own limit.
        `check` is made now and then; what it raises ends the query.
        `LowCardinality` columns arrive as dictionaries. Blocks: not for an event loop. Raises what `query` does, and
        InvalidRequest with the code `invalid_pattern` for a regular expression that the engine can't read."""
        ...

    def close(self) -> None: ...
