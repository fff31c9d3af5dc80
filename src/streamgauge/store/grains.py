"""Rollups by the hour and by the day, beside those by the minute, and always in step with them: see docs/adr/0016.

`metrics_hours` has a row for each hour in which panes of a metric and of the same dimensions begin, `metrics_days` one
for each day (of UTC); so have those of extremes. Views fill them: whatever is inserted into `metrics` is inserted there
too, in the same insert and under the same token. What doesn't come by an insert (rows from before there were such
tables, rows that were deleted) is put right by `in_step`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from streamgauge.store.layout import Layout

ADDITIVE: Final = "metrics"
EXTREMES: Final = "metrics_extremes"


class Grain(NamedTuple):
    """How long the time of a row is. `partition`: the function by which rows are told apart in partitions; coarser
    ones have fewer rows, and a question about a year should not open 365 of them."""

    suffix: str
    seconds: int
    partition: str

    def table(self, base: str) -> str:
        """Of `metrics` or `metrics_extremes`."""
        return f"{base}{self.suffix}"

    def start(self, timestamp: str = "timestamp") -> str:
        """SQL of the start of the hour or day that a time is in."""
        return f"toDateTime(intDiv(toUnixTimestamp({timestamp}), {self.seconds}) * {self.seconds}, 'UTC')"


MINUTES: Final = Grain("", 60, "toYYYYMMDD")
"""The windows of the metrics, whatever their length: rows are at their start."""
HOURS: Final = Grain("_hours", 3_600, "toYYYYMM")
DAYS: Final = Grain("_days", 86_400, "toYear")
COARSE: Final = (HOURS, DAYS)

_VALUES: Final = {
    ADDITIVE: "sum(value) AS value",
    EXTREMES: "min(value_min) AS value_min, max(value_max) AS value_max",
}


def views(layout: Layout) -> tuple[str, ...]:
    """That fill the tables of all coarser grains."""
    return tuple(_view(layout, base, grain) for base in _VALUES for grain in COARSE)


def _view(layout: Layout, base: str, grain: Grain) -> str:
    target = grain.table(base)
    # Grouped by the map itself: a view sees what is inserted, and no column that the engine computes.
    columns = f"{grain.start()} AS timestamp, metric_name, {_VALUES[base]}, dimensions"
    select = f"SELECT {columns} FROM {{source}} GROUP BY timestamp, metric_name, dimensions"
    return layout.create_view(f"{target}_view", base, target, select)


def in_step(base: str, grain: Grain, condition: str = "true") -> str:
    """An insert that makes the table of a grain say what the minutes say, for rows that satisfy the condition: whole
    hours or days. Sums get what is missing added, so that it can be done again at any time, while nobody writes.
    Extremes are added: what is less or greater than it should be has to be deleted before."""
    return (_MISSING_EXTREMES if base == EXTREMES else _MISSING_SUMS).format(
        target=grain.table(base), base=base, condition=condition, start=grain.start(), start_of=grain.start("minute")
    )


UNLIKE: Final = "HAVING abs(value) > 1e-12 * sum(abs(change))"
"""What differs only by the order in which numbers were added is left alone."""

_SETTINGS: Final = "SETTINGS max_bytes_before_external_group_by = 1073741824, max_partitions_per_insert_block = 0"
"""Years of rows are put together on disk rather than in memory."""

_MISSING_SUMS: Final = f"""
    INSERT INTO {{target}} (timestamp, metric_name, value, dimensions)
    SELECT timestamp, metric_name, sum(change) AS value, any(found)
    FROM (
        SELECT {{start_of}} AS timestamp, metric_name, value AS change, dimensions AS found, dimensions_hash
        FROM (
            SELECT timestamp AS minute, metric_name, value, dimensions, dimensions_hash
            FROM {{base}} WHERE {{condition}}
        )
        UNION ALL
        SELECT timestamp, metric_name, -value AS change, dimensions AS found, dimensions_hash
        FROM {{target}} WHERE {{condition}}
    )
    GROUP BY timestamp, metric_name, dimensions_hash
    {UNLIKE}
    {_SETTINGS}
"""
_MISSING_EXTREMES: Final = f"""
    INSERT INTO {{target}} (timestamp, metric_name, value_min, value_max, dimensions)
    SELECT {{start}} AS start, metric_name, min(value_min), max(value_max), any(dimensions)
    FROM {{base}} WHERE {{condition}}
    GROUP BY start, metric_name, dimensions_hash
    {_SETTINGS}
"""
