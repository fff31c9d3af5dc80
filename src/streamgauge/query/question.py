"""What is asked: the parameters of `GET /metrics`, checked and made exact. Pure; knows no SQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from streamgauge.core.errors import InvalidRequest
from streamgauge.model import DAY_MS, HOUR_MS, MINUTE_MS, UNKNOWN, Rollup, parse_duration_ms
from streamgauge.query.parameters import Parameters, did_you_mean, limit_of, listed, moment_ms, single

_OWN_PARAMETERS: Final = frozenset({"name", "range", "from", "to", "step", "group_by", "filter", "limit"})
_POINTS_WANTED: Final = 200
_STEPS_MS: Final = tuple(
    [minutes * MINUTE_MS for minutes in (1, 2, 5, 10, 15, 30)]
    + [hours * HOUR_MS for hours in (1, 2, 3, 6, 12)]
    + [days * DAY_MS for days in (1, 2, 7, 30)]
)
_DEFAULT_RANGE: Final = "24h"


class Question(msgspec.Struct, frozen=True):
    """`[from_ms, to_ms)` in whole windows of the metric. `step_ms` is the width of a point, aligned to UTC.
    `filters` must all hold. `limit` is of a breakdown's rows."""

    metric: Rollup
    from_ms: int
    to_ms: int
    step_ms: int
    group_by: str | None
    filters: tuple[tuple[str, str], ...]
    limit: int


class QuestionLimits(msgspec.Struct, frozen=True):
    points_max: int
    groups_max: int


def parse_question(
    parameters: Parameters, metrics: Mapping[str, Rollup], now_ms: int, limits: QuestionLimits
) -> Question:
    """Raises InvalidRequest that names what would have been right."""
    metric = _metric(single(parameters, "name"), metrics)
    _check_known(parameters, metric)
    group_by = single(parameters, "group_by")
    if group_by is not None:
        _check_dimension(group_by, metric)
    from_ms, to_ms, step_ms = _time(parameters, metric, now_ms)
    if group_by is None and len(step_starts(from_ms, to_ms, step_ms)) > limits.points_max:
        raise InvalidRequest(
            f"that would be over {limits.points_max:,} points", hint="choose a longer step or a shorter range"
        )
    limit = limit_of(parameters, min(1_000, limits.groups_max), limits.groups_max)
    if group_by is None and single(parameters, "limit") is not None:
        raise InvalidRequest("a time series has no rows to limit", hint="add group_by=dimension, or leave limit out")
    return Question(metric, from_ms, to_ms, step_ms, group_by, _filters(parameters, metric), limit)


def step_starts(from_ms: int, to_ms: int, step_ms: int) -> range:
    """The starts of all steps that `[from_ms, to_ms)` touches."""
    return range(_floor(from_ms, step_ms), to_ms, step_ms)


def _metric(name: str | None, metrics: Mapping[str, Rollup]) -> Rollup:
    if not name:
        raise InvalidRequest(
            "the parameter 'name' is missing", code="missing_parameter", hint=f"the metrics are: {listed(metrics)}"
        )
    if name not in metrics:
        raise InvalidRequest(
            f"there is no metric {name[:64]!r}",
            code="unknown_metric",
            hint=f"{did_you_mean(name, metrics)}the metrics are: {listed(metrics)}",
        )
    return metrics[name]


def _check_known(parameters: Parameters, metric: Rollup) -> None:
    known = _OWN_PARAMETERS.union(metric.dimensions)
    for key, _ in parameters:
        if key not in known:
            raise InvalidRequest(
                f"{key[:64]!r} is neither a parameter nor a dimension of {metric.name}",
                code="unknown_parameter",
                hint=f"{did_you_mean(key, known)}parameters: {listed(_OWN_PARAMETERS)}; "
                f"dimensions of {metric.name}: {listed(metric.dimensions)}",
            )


def _check_dimension(name: str, metric: Rollup) -> None:
    if name not in metric.dimensions:
        raise InvalidRequest(
            f"{metric.name} has no dimension {name[:64]!r}",
            code="unknown_dimension",
            hint=f"{did_you_mean(name, metric.dimensions)}its dimensions are: {listed(metric.dimensions)}",
        )


def _filters(parameters: Parameters, metric: Rollup) -> tuple[tuple[str, str], ...]:
    found = []
    for key, value in parameters:
        if key == "filter":
            dimension, colon, wanted = value.partition(":")
            if not colon:
                raise InvalidRequest(f"the filter {value[:64]!r} has no colon", hint="write filter=dimension:value")
            _check_dimension(dimension, metric)
            found.append((dimension, wanted or UNKNOWN))
        elif key not in _OWN_PARAMETERS:
            found.append((key, value or UNKNOWN))
    return tuple(found)


def _time(parameters: Parameters, metric: Rollup, now_ms: int) -> tuple[int, int, int]:
    """(from_ms, to_ms, step_ms)."""
    length, start, end = (single(parameters, name) for name in ("range", "from", "to"))
    step = single(parameters, "step")
    if start is None and end is None:
        length_ms = _duration(_DEFAULT_RANGE if length is None else length, "range")
        step_ms = _step(step, length_ms, metric)
        # The last point is the one that is being filled; so many whole points, and the same ones for every question
        # with this range and step, so that a breakdown adds up to what the chart beside it shows.
        to_ms = _ceil(now_ms + 1, step_ms)
        return max(0, _floor(to_ms - max(length_ms, step_ms), metric.window_ms)), to_ms, step_ms
    if length is not None:
        raise InvalidRequest("'range' goes without 'from' and 'to'", hint="give either a range, or from and to")
    if start is None:
        raise InvalidRequest("'to' is given without 'from'", hint="give both, or a range")
    first_ms, end_ms = moment_ms(start, "from"), now_ms + 1 if end is None else moment_ms(end, "to")
    from_ms, to_ms = _floor(first_ms, metric.window_ms), _ceil(end_ms, metric.window_ms)
    if from_ms >= to_ms or (end is not None and first_ms >= end_ms):
        raise InvalidRequest("'from' is not before 'to'", hint="the range is half-open: [from, to)")
    return from_ms, to_ms, _step(step, to_ms - from_ms, metric)


def _duration(text: str, name: str) -> int:
    try:
        duration_ms = parse_duration_ms(text)
    except ValueError:
        raise InvalidRequest(
            f"the {name} {text[:64]!r} is not a duration",
            code=f"invalid_{name}",
            hint="a number and one of s, m, h, d, w: 15m, 24h, 7d",
        ) from None
    if duration_ms > 100 * 366 * DAY_MS:
        raise InvalidRequest(f"the {name} {text!r} is over 100 years", code=f"invalid_{name}", hint="7d, 30d, 52w")
    return duration_ms


def _step(text: str | None, length_ms: int, metric: Rollup) -> int:
    if text is not None:
        step_ms = _duration(text, "step")
        if step_ms % metric.window_ms:
            raise InvalidRequest(
                f"the step {text!r} is not whole windows of {metric.name}",
                code="invalid_step",
                hint=f"a multiple of {metric.window}",
            )
        return step_ms
    fitting = [step for step in _STEPS_MS if step % metric.window_ms == 0]
    return next((step for step in fitting if length_ms / step <= _POINTS_WANTED), fitting[-1])


def _floor(time_ms: int, width_ms: int) -> int:
    return time_ms - time_ms % width_ms


def _ceil(time_ms: int, width_ms: int) -> int:
    return -(-time_ms // width_ms) * width_ms
