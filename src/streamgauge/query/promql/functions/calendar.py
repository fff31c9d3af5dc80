"""Parts of dates, in UTC, of values that are seconds since the epoch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from streamgauge.query.promql.context import Context
from streamgauge.query.promql.series import Floats
from streamgauge.query.promql.values import Value, Vector, vector_of

_DAY_S = 86_400


def _days(seconds: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.datetime64]]:
    return np.floor(seconds / _DAY_S).astype(np.int64).astype("datetime64[D]")


def _day_of_month(seconds: Floats) -> Floats:
    days = _days(seconds)
    return np.asarray((days - days.astype("datetime64[M]")).astype(np.float64) + 1)


def _day_of_year(seconds: Floats) -> Floats:
    days = _days(seconds)
    return np.asarray((days - days.astype("datetime64[Y]")).astype(np.float64) + 1)


def _days_in_month(seconds: Floats) -> Floats:
    months = _days(seconds).astype("datetime64[M]")
    return np.asarray(((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.float64))


_PARTS: dict[str, Callable[[Floats], Floats]] = {
    "minute": lambda seconds: np.floor(seconds / 60) % 60,
    "hour": lambda seconds: np.floor(seconds / 3600) % 24,
    "day_of_week": lambda seconds: (np.floor(seconds / _DAY_S) + 4) % 7,  # 1970-01-01 was a Thursday
    "day_of_month": _day_of_month,
    "day_of_year": _day_of_year,
    "days_in_month": _days_in_month,
    "month": lambda seconds: _days(seconds).astype("datetime64[M]").astype(np.float64) % 12 + 1,
    "year": lambda seconds: _days(seconds).astype("datetime64[Y]").astype(np.float64) + 1970,
}


def _part_of(part: Callable[[Floats], Floats]) -> Callable[..., Value]:
    def function(context: Context, vector: Vector | None = None) -> Value:
        if vector is None:
            seconds = np.floor(context.times_ms / 1000)[np.newaxis]
            return vector_of([()], part(seconds), np.ones(seconds.shape, dtype=bool))
        known = np.isfinite(vector.values)
        values = part(np.where(known, np.trunc(vector.values), 0.0))
        return vector.mapped(np.where(known, values, np.nan))

    return function


FUNCTIONS: dict[str, Callable[..., Value]] = {name: _part_of(part) for name, part in _PARTS.items()}
