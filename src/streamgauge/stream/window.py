"""Events to panes: tumbling windows of each rollup, pure functions of the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

import polars as pl
import pyarrow as pa

from streamgauge.model import UNKNOWN, Measure, Rollup

MEASURED_MAX: Final = 1e100
"""What is greater, or no number, is not measured: sums of so great numbers would soon be infinite, and stay so."""

_ELLIPSIS: Final = "…"


def fields_of(rollup: Rollup) -> set[str]:
    """The names of all fields of an event that a rollup looks at, except its name."""
    return {*rollup.dimensions, *rollup.where, *filter(None, [rollup.measured.field])}


def panes(events: pl.DataFrame, rollup: Rollup, dimension_chars_max: int) -> pl.DataFrame:
    """Panes of one rollup: `timestamp` (start of the window, ms), `value`, a String column `p:name` a dimension.

    `events` are those of a batch that was decoded with the rollup's `fields_of`. Counts and sums are additive; for
    `min` and `max` the value is the least or the greatest. What is no finite number is not measured.
    """
    measure = rollup.measured
    counted = events.filter(_condition(rollup))
    if measure.kind != "count":
        number = pl.col(f"p:{measure.field}").cast(pl.Float64, strict=False)
        counted = counted.with_columns(number.alias("measured")).filter(pl.col("measured").abs() <= MEASURED_MAX)
    window = pl.col("timestamp") - pl.col("timestamp") % rollup.window_ms
    dimensions = [known(name, dimension_chars_max) for name in rollup.dimensions]
    return counted.group_by(window.alias("timestamp"), *dimensions).agg(_value(measure).alias("value"))


def pane_rows(metric: str, panes_: pl.DataFrame, dimensions: Sequence[str], value_columns: Sequence[str]) -> pa.Table:
    """Panes as rows of `metrics` or `metrics_extremes`: the value stands in each of `value_columns`."""
    count = panes_.height
    values = panes_["value"].to_arrow()
    return pa.table(
        {
            "timestamp": (panes_["timestamp"] // 1000).cast(pl.UInt32).to_arrow(),
            "metric_name": pa.array([metric] * count, pa.string()),
            **dict.fromkeys(value_columns, values),
            "dimensions": _map(panes_, dimensions),
        }
    )


def _map(panes_: pl.DataFrame, dimensions: Sequence[str]) -> pa.MapArray:
    width, count = len(dimensions), panes_.height
    offsets = pa.array(range(0, (count + 1) * width, width) if width else [0] * (count + 1), pa.int32())
    keys = pa.array(list(dimensions) * count, pa.string())
    columns = [panes_[f"p:{name}"].to_list() for name in dimensions]
    values = pa.array([value for row in zip(*columns, strict=True) for value in row], pa.string())
    return pa.MapArray.from_arrays(offsets, keys, values)


def _value(measure: Measure) -> pl.Expr:
    if measure.kind == "count":
        return pl.len().cast(pl.Float64)
    measured = pl.col("measured")
    return {"sum": measured.sum, "min": measured.min, "max": measured.max}[measure.kind]()


def condition_texts(rollup: Rollup) -> Iterator[tuple[str, list[str]]]:
    """Each property of `where` with the texts that it may have."""
    for name, wanted in rollup.where.items():
        yield name, [_text(value) for value in (wanted if isinstance(wanted, list) else [wanted])]


def _condition(rollup: Rollup) -> pl.Expr:
    condition = pl.lit(True) if rollup.event is None else pl.col("event") == rollup.event
    for name, values in condition_texts(rollup):
        condition &= pl.col(f"p:{name}").is_in(values)
    return condition


def _text(value: str | int | float | bool) -> str:
    """A value of `where` as it stands in a `p:` column: numbers without an exponent, whole ones without a point."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{Decimal(repr(value)).normalize():f}" if isinstance(value, float) else str(value)


def known(name: str, chars_max: int) -> pl.Expr:
    """The column `p:name` as a dimension: never null or empty, and at most so many characters."""
    value = pl.col(f"p:{name}")
    cut = pl.when(value.str.len_bytes() > chars_max).then(_cut(value, chars_max)).otherwise(value)
    return pl.when(cut.fill_null("") == "").then(pl.lit(UNKNOWN)).otherwise(cut).alias(f"p:{name}")


def _cut(value: pl.Expr, chars_max: int) -> pl.Expr:
    short = value.str.slice(0, chars_max - 1) + _ELLIPSIS
    return pl.when(value.str.len_chars() > chars_max).then(short).otherwise(value)
