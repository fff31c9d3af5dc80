"""The SQL that looks single events up. Values are always parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from streamgauge.model import OTHER, Pane
from streamgauge.query.plan import Plan

COUNTED: Final = """
    SELECT toUnixTimestamp64Milli(received_at), log_partition, log_offset, event, toUnixTimestamp64Milli(timestamp),
        user_id, anonymous_id, properties, enriched
    FROM events WHERE event_id = {event_id:String}
    ORDER BY events.received_at DESC, log_partition DESC, log_offset DESC LIMIT {limit:UInt32}
"""
DUPLICATES: Final = """
    SELECT toUnixTimestamp64Milli(received_at), log_partition, log_offset, user_id, anonymous_id
    FROM duplicates WHERE event_id = {event_id:String}
    ORDER BY duplicates.received_at DESC, log_partition DESC, log_offset DESC LIMIT {limit:UInt32}
"""
SET_ASIDE: Final = """
    SELECT toUnixTimestamp64Milli(received_at), log_partition, log_offset, reason, message, event_id, original
    FROM dead_letter WHERE event_id = {event_id:String}
    ORDER BY dead_letter.received_at DESC, log_partition DESC, log_offset DESC LIMIT {limit:UInt32}
"""
REJECTED_WITH_OWN_ID: Final = """
    SELECT toUnixTimestamp64Milli(received_at), log_partition, log_offset, reason, message, event_id, original
    FROM dead_letter
    WHERE reason NOT IN ('too_late', 'too_far_ahead') AND event_id != {event_id:String} AND {event_id:String} != ''
        AND (JSONExtractString(original, 'event_id') = {event_id:String}
            OR JSONExtractString(original, 'messageId') = {event_id:String}
            OR (JSONExtractRaw(original, 'event_id') = {event_id:String}
                AND toString(JSONType(original, 'event_id')) IN ('Int64', 'UInt64')))
    ORDER BY dead_letter.received_at DESC, log_partition DESC, log_offset DESC LIMIT {limit:UInt32}
    SETTINGS max_execution_time = 1, timeout_overflow_mode = 'break'
"""
"""Items that were rejected are known by the id of their record; what they call themselves is only in their text, which
no index covers. So it is looked for in what can be read in this time, the whole of any usual dead letter."""

SESSION: Final = """
    SELECT toUnixTimestamp64Milli(opened_at), toUnixTimestamp64Milli(started_at), toUnixTimestamp64Milli(ended_at),
        events, page_views, bounced, is_open
    FROM sessions FINAL
    WHERE user_id = {user_id:String} AND is_anonymous = {is_anonymous:Bool}
        AND started_at <= fromUnixTimestamp64Milli({time_ms:Int64}, 'UTC')
        AND ended_at >= fromUnixTimestamp64Milli({time_ms:Int64}, 'UTC')
    ORDER BY sessions.started_at DESC LIMIT 1
"""
LETTERS: Final = """
    SELECT toUnixTimestamp64Milli(received_at) AS received_ms, log_partition, log_offset, reason, message, event_id,
        original
    FROM dead_letter
    WHERE received_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
        AND received_at < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
        AND ({reason:String} = '' OR reason = {reason:String})
        AND ({event_id:String} = '' OR event_id = {event_id:String})
        AND (received_ms, log_partition, log_offset)
            < ({before_ms:Int64}, {before_partition:UInt16}, {before_offset:UInt64})
    ORDER BY dead_letter.received_at DESC, log_partition DESC, log_offset DESC LIMIT {limit:UInt32}
"""
LETTER_COUNTS: Final = """
    SELECT reason, count() AS letters, toUnixTimestamp64Milli(max(received_at))
    FROM dead_letter
    WHERE received_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
        AND received_at < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
        AND ({reason:String} = '' OR reason = {reason:String})
        AND ({event_id:String} = '' OR event_id = {event_id:String})
    GROUP BY reason ORDER BY letters DESC, reason
"""
WHICH_ARE_COUNTED: Final = """
    SELECT DISTINCT event_id, user_id, anonymous_id FROM events WHERE event_id IN {event_ids:Array(String)}
    SETTINGS max_execution_time = 60
"""
"""Of many ids, the index that finds one leaves nearly all to be read: only who replays asks that, and can wait."""


def panes_plan(table: str, panes: Sequence[Pane]) -> Plan:
    """Rows (metric, start of the window in s since 1970, dimensions) that may be one of these panes: each dimension has
    the pane's value, or stands for the values over the limit."""
    parameters: dict[str, Any] = {"other": OTHER}
    alternatives = [_is_pane(f"{number}", pane, parameters) for number, pane in enumerate(panes)]
    return Plan(
        f"SELECT DISTINCT metric_name, toUnixTimestamp(timestamp), dimensions FROM {table} "  # noqa: S608
        f"WHERE {' OR '.join(alternatives)}",
        parameters,
    )


def _is_pane(key: str, pane: Pane, parameters: dict[str, Any]) -> str:
    parameters |= {f"metric_{key}": pane.metric, f"start_{key}": pane.start_ms // 1000}
    conditions = [
        f"metric_name = {{metric_{key}:String}}",
        f"timestamp = toDateTime({{start_{key}:UInt32}}, 'UTC')",
        f"length(dimensions) = {len(pane.dimensions)}",
    ]
    for number, (name, value) in enumerate(pane.dimensions.items()):
        parameters |= {f"name_{key}_{number}": name, f"value_{key}_{number}": value}
        found = f"dimensions[{{name_{key}_{number}:String}}]"
        conditions.append(f"{found} IN ({{value_{key}_{number}:String}}, {{other:String}})")
    return f"({' AND '.join(conditions)})"
