"""Writes row batches, exactly once by token."""

from __future__ import annotations

from typing import Final

from clickhouse_connect.driver.exceptions import ClickHouseError

from streamgauge.core.errors import Unavailable
from streamgauge.store.base import RowBatch
from streamgauge.store.client import StoreClients

_SETTINGS: Final = {
    # The insert is done when the call returns; asynchronous inserts would be acknowledged from a buffer.
    "async_insert": 0,
    # Panes of one batch are distinct already; there is nothing to sum up before the first merge.
    "optimize_on_insert": 0,
    # The rows by the hour and by the day have the token too: of an insert that was cut off, those that are missing are
    # made by the next try, and no others.
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    # An import touches as many days as its file has, and each is a partition.
    "max_partitions_per_insert_block": 0,
}


class ClickHouseWriter:
    """`StoreWriter` on ClickHouse's engine."""

    def __init__(self, clients: StoreClients, installation: str = "") -> None:
        """`installation` tells its tokens apart from those of others that write to the same store."""
        self._connection = clients.open(_SETTINGS)
        self._token_prefix = f"{installation}/" if installation else ""

    def write(self, batch: RowBatch) -> None:
        if batch.rows.num_rows == 0:
            return
        token = f"{self._token_prefix}{batch.batch_id}"
        try:
            # In one piece: the engine mixes the number of pieces into the token.
            self._connection.insert_arrow(batch.table, batch.rows.combine_chunks(), token)
        except (ClickHouseError, OSError) as error:
            raise Unavailable(
                f"the store did not take {batch.rows.num_rows} rows for {batch.table}: {error}"
            ) from error

    def close(self) -> None:
        self._connection.close()
