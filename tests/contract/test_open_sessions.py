"""The oldest session that is open, as the store says it."""

from __future__ import annotations

import json
import uuid

from contract.looked_up import NOW_MS
from streamgauge.load.freshness import OLDEST_OPEN
from streamgauge.load.rows import decode
from streamgauge.log.row_base import RowRecord
from streamgauge.store.base import RowBatch, StoreReader, StoreWriter


def write(writer: StoreWriter, user: str, began_ms: int, version: int, *, is_open: bool, is_deleted: int = 0) -> None:
    row = {"user_id": user, "is_anonymous": False, "events": 1, "page_views": 1, "entry_page": "/", "exit_page": "/"}
    row |= dict.fromkeys(("opened_at", "started_at", "ended_at", "received_at"), began_ms)
    row |= {"country": "", "device": "", "is_open": is_open, "version": version, "is_deleted": is_deleted}
    rows = decode("sessions", "t", 0, [RowRecord(0, 0, json.dumps(row).encode())]).rows
    assert rows is not None
    writer.write(RowBatch("sessions", str(uuid.uuid4()), rows))


async def test_only_sessions_whose_newest_version_is_open_count(writer: StoreWriter, reader: StoreReader) -> None:
    assert (await reader.query(OLDEST_OPEN, {}))[0][0] == 0
    for user, age_ms in (("closed", 9_000), ("merged", 8_000), ("open", 7_000), ("younger", 6_000)):
        write(writer, user, NOW_MS - age_ms, 1, is_open=True)
    write(writer, "closed", NOW_MS - 9_000, 2, is_open=False)
    write(writer, "merged", NOW_MS - 8_000, 2, is_open=True, is_deleted=1)
    assert list(await reader.query(OLDEST_OPEN, {})) == [(2, NOW_MS - 7_000)]
