from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa

from streamgauge.load.live import live_update
from streamgauge.load.rows import decode
from streamgauge.log.row_base import RowRecord
from streamgauge.model import LIVE_SAMPLE_EVENTS_MAX, MINUTE_MS, LiveUpdate

NOON_MS = 1_700_049_600_000


def _rows(table: str, *rows: dict[str, Any]) -> pa.Table:
    records = [RowRecord(offset, NOON_MS, msgspec.json.encode(row)) for offset, row in enumerate(rows)]
    decoded = decode(table, f"events.{table}", 0, records)
    assert decoded.letters is None
    assert decoded.rows is not None
    return decoded.rows


def _event(second: int, **columns: Any) -> dict[str, Any]:
    times = {"timestamp": NOON_MS + second * 1_000, "received_at": NOON_MS}
    texts = {"event_id": f"e{second}", "event": "click", "user_id": "", "anonymous_id": "", "enriched": ""}
    return {**times, **texts, "properties": "{}", "log_partition": 0, "log_offset": second, **columns}


def _update(table: str, *rows: dict[str, Any]) -> LiveUpdate:
    update = live_update(table, _rows(table, *rows))
    assert update is not None
    return update


def test_rows_of_metrics_tell_what_was_added_to_each_and_in_which_minutes() -> None:
    second = NOON_MS // 1_000
    found = _update(
        "metrics",
        {"timestamp": second, "metric_name": "page_views", "value": 2, "dimensions": {"page": "/"}},
        {"timestamp": second + 120, "metric_name": "page_views", "value": 3, "dimensions": None},
        {"timestamp": second + 60, "metric_name": "revenue", "value": -1.5, "dimensions": None},
    )
    assert found == LiveUpdate(0, {"page_views": 5, "revenue": -1.5}, NOON_MS, NOON_MS + 3 * MINUTE_MS, ())


def test_rows_of_extremes_tell_how_many_panes_changed() -> None:
    pane = {"timestamp": NOON_MS // 1_000, "metric_name": "load_ms", "value_min": 1, "value_max": 9, "dimensions": None}
    found = _update("metrics_extremes", pane, pane)
    assert (found.events_count, found.metrics) == (0, {"load_ms": 2})


def test_rows_of_events_tell_how_many_and_show_the_last_of_them() -> None:
    found = _update("events", *(_event(second) for second in range(25)), _event(61, user_id="u", properties='{"n":1}'))
    assert (found.events_count, found.metrics) == (26, {})
    assert (found.from_ms, found.to_ms) == (NOON_MS, NOON_MS + 2 * MINUTE_MS)
    assert len(found.sample) == LIVE_SAMPLE_EVENTS_MAX
    assert msgspec.structs.astuple(found.sample[-1]) == ("click", NOON_MS + 61_000, "u", {"n": 1})
    assert found.sample[0].user_id is None


def test_an_event_whose_properties_are_not_json_is_counted_and_not_shown() -> None:
    found = _update("events", _event(1, properties="{"), _event(2))
    assert (found.events_count, len(found.sample)) == (2, 1)


def test_rows_of_other_tables_are_not_shown() -> None:
    letter = {"received_at": NOON_MS, "reason": "late", "message": "", "event_id": "e", "original": None}
    assert live_update("dead_letter", _rows("dead_letter", letter | {"log_partition": 0, "log_offset": 0})) is None
