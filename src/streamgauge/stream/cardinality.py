"""Bounded cardinality: so many values of a dimension are told apart in a day, further ones are `(other)`."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec
import polars as pl

from streamgauge.model import DAY_MS, OTHER, UNKNOWN
from streamgauge.stream.journal import Blocks, Journal, StateChange

_VALUES_MAX: Final = 2_000_000
"""Over all rollups, dimensions and days; the days that were longest not seen are forgotten first."""

_REWRITE_BYTES_MIN: Final = 1024 * 1024

Key = tuple[str, str, int]
"""Rollup, dimension, day since 1970 of the event time."""


class DimensionValues:
    """The values that are told apart, by rollup, dimension and day: the first that came. Of those that come in one
    batch, the first in the order of the alphabet."""

    name = "dimension_values"

    def __init__(self, blocks: Blocks) -> None:
        self._journal = Journal(blocks)
        self._values: OrderedDict[Key, set[str]] = OrderedDict()
        self._size = 0
        self._new: list[tuple[Key, list[str]]] = []
        self._forgot = False
        self._over: dict[tuple[str, str], int] = {}
        for _, block in blocks:
            for key, values in msgspec.json.decode(block, type=list[tuple[Key, list[str]]]):
                self._admit(key, values)
        self._new.clear()

    def limit(self, rollup: str, panes: pl.DataFrame, kind: str, values_max: int) -> pl.DataFrame:
        """Panes of a rollup (`timestamp`, `value`, columns `p:name`) of which each dimension has at most `values_max`
        values a day, beside `(other)` and `(unknown)`. `kind` says how values become one: sum (also of counts), min,
        max."""
        dimensions = [name for name in panes.columns if name.startswith("p:")]
        over = {name: found for name in dimensions if (found := self._over_limit(rollup, name, panes, values_max))}
        if not over:
            return panes
        day = pl.col("timestamp") // DAY_MS
        for name, found in over.items():
            surplus = pl.DataFrame(found, schema={"day": pl.Int64(), name: pl.String()}, orient="row")
            surplus = surplus.with_columns(pl.lit(True).alias("over"))
            panes = panes.with_columns(day.alias("day"))
            panes = panes.join(surplus, on=["day", name], how="left", maintain_order="left")
            other = pl.when(pl.col("over").is_null()).then(name).otherwise(pl.lit(OTHER)).alias(name)
            panes = panes.with_columns(other).drop("day", "over")
        value = pl.col("value")
        merged = {"min": value.min(), "max": value.max()}.get(kind, value.sum())
        return panes.group_by("timestamp", *dimensions, maintain_order=True).agg(merged)

    def take_over(self) -> dict[tuple[str, str], int]:
        """How many panes lost a value to `(other)` since the last call, by rollup and dimension."""
        over, self._over = self._over, {}
        return over

    def is_told_apart(self, rollup: str, dimension: str, time_ms: int, value: str) -> bool:
        return value in self._values.get((rollup, dimension, time_ms // DAY_MS), ())

    def changes(self) -> StateChange | None:
        if not self._new:
            return None
        if self._forgot or self._journal.size_bytes > max(_REWRITE_BYTES_MIN, 80 * self._size):
            self._forgot = False
            block = self._journal.replace(_pack([(key, sorted(values)) for key, values in self._values.items()]))
        else:
            block = self._journal.add(_pack(self._new))
        self._new.clear()
        return block

    def _over_limit(self, rollup: str, column: str, panes: pl.DataFrame, values_max: int) -> list[tuple[int, str]]:
        dimension = column.removeprefix("p:")
        over: list[tuple[int, str]] = []
        for day, values in _values_by_day(panes, column):
            key = (rollup, dimension, day)
            known = self._values.get(key, set())
            new = sorted(value for value in values if value not in known and value not in (UNKNOWN, OTHER))
            if key in self._values:
                self._values.move_to_end(key)
            if not new:
                continue
            room = max(0, values_max - len(known))
            self._admit(key, new[:room])
            over += [(day, value) for value in new[room:]]
        if over:
            self._over[rollup, dimension] = self._over.get((rollup, dimension), 0) + len(over)
        return over

    def _admit(self, key: Key, values: list[str]) -> None:
        if not values:
            return
        self._values.setdefault(key, set()).update(values)
        self._new.append((key, values))
        self._size += len(values)
        while self._size > _VALUES_MAX and len(self._values) > 1:
            _, forgotten = self._values.popitem(last=False)
            self._size -= len(forgotten)
            self._forgot = True


def _values_by_day(panes: pl.DataFrame, column: str) -> list[tuple[int, list[str]]]:
    """Each value once, by day since 1970."""
    if not panes.height:
        return []
    first, last = (int(str(time_ms)) // DAY_MS for time_ms in (panes["timestamp"].min(), panes["timestamp"].max()))
    if first == last:  # nearly always
        return [(first, panes[column].unique().to_list())]
    days = panes.select((pl.col("timestamp") // DAY_MS).alias("day"), column).unique().group_by("day").agg(column)
    return sorted(days.iter_rows())


def _pack(values: list[tuple[Key, list[str]]]) -> bytes:
    return msgspec.json.encode(values)
