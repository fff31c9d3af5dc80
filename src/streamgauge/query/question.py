"""What is asked: the parameters of `GET /metrics`, checked and made exact. Pure; knows no SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final, Literal, get_args
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from streamgauge.core.errors import InvalidRequest
from streamgauge.model import DAY_MS, HOUR_MS, MINUTE_MS, Rollup, parse_duration_ms
from streamgauge.query.filters import Filter, check_filters, exactly, parse_filter
from streamgauge.query.parameters import Parameters, did_you_mean, limit_of, listed, moment_ms, single
from streamgauge.query.steps import next_start_ms, shown_ms, step_starts, when_shown_ms

_OF_EVERY: Final = frozenset({"name", "range", "from", "to", "filter", "limit"})
_OF_ROWS: Final = ("limit", "top", "order")
_OF_A_QUESTION: Final = _OF_EVERY.union(_OF_ROWS, {"step", "group_by", "compare", "format", "tz", "explain"})
_OF_VALUES: Final = _OF_EVERY | {"dimension", "prefix"}
_VALUES_WANTED: Final = 100
_POINTS_WANTED: Final = 200
_STEPS_MS: Final = tuple(
    [minutes * MINUTE_MS for minutes in (1, 2, 5, 10, 15, 30)]
    + [hours * HOUR_MS for hours in (1, 2, 3, 6, 12)]
    + [days * DAY_MS for days in (1, 2, 7, 30)]
)
_DEFAULT_RANGE: Final = "24h"
_QUARTER_MS: Final = 15 * MINUTE_MS
"""The clocks of all zones differ from UTC by a multiple of it, and did so for 50 years."""

Order = Literal["value", "-value", "name", "-name"]
"""Of rows: a minus is downwards. Rows of one value are in the order of their names."""


class Question(msgspec.Struct, frozen=True):
    """`[from_ms, to_ms)` in whole windows of the metric. `step_ms` is the width of a point, by the clocks of the zone.
    `filters` must all hold. Without dimensions in `group_by` it is a time series; with them a breakdown, of which the
    first `limit` rows in the order `selection` are shown, in the order `order`. It is compared with the range that lies
    `earlier_ms` before; 0: with none."""

    metric: Rollup
    from_ms: int
    to_ms: int
    step_ms: int
    group_by: tuple[str, ...]
    filters: tuple[Filter, ...]
    limit: int
    selection: Order = "-value"
    order: Order = "-value"
    earlier_ms: int = 0
    zone: str = "UTC"

    @property
    def earlier(self) -> Question:
        """The same of the range that it is compared with, as far as that is in time."""
        from_ms, to_ms = self._earlier(self.from_ms), self._earlier(self.to_ms)
        return msgspec.structs.replace(self, from_ms=from_ms, to_ms=to_ms, earlier_ms=0)

    @property
    def starts(self) -> Sequence[int]:
        """Of the steps of a time series, in ms since 1970: time begins there, though a zone's day began before."""
        starts = step_starts(self.from_ms, self.to_ms, self.step_ms, zone_of(self.zone))
        return starts if starts[0] >= 0 else [max(0, start_ms) for start_ms in starts]

    @property
    def earlier_starts(self) -> Sequence[int]:
        """What each of them is compared with: the step that begins here."""
        return [self._earlier(start_ms) for start_ms in self.starts]

    def _earlier(self, time_ms: int) -> int:
        """By the zone's clocks: midnight stays midnight."""
        zone = zone_of(self.zone)
        return max(0, when_shown_ms(shown_ms(time_ms, zone) - self.earlier_ms, zone))


def zone_of(name: str) -> ZoneInfo | None:
    """None for UTC. Raises InvalidRequest."""
    if name == "UTC":
        return None
    if name not in _zone_names():
        raise InvalidRequest(
            f"there is no time zone {name[:64]!r}", code="invalid_tz", hint="a name like Europe/Berlin, or UTC"
        )
    return ZoneInfo(name)


@cache
def _zone_names() -> frozenset[str]:
    """Those that mean the same on every machine: not this one's own, nor files that are no zones."""
    return frozenset(available_timezones() - {"localtime", "Factory"})


class QuestionLimits(msgspec.Struct, frozen=True):
    points_max: int
    groups_max: int


def parse_question(
    parameters: Parameters, metrics: Mapping[str, Rollup], now_ms: int, limits: QuestionLimits
) -> Question:
    """Raises InvalidRequest that names what would have been right."""
    metric = _metric(single(parameters, "name"), metrics)
    _check_known(parameters, metric, _OF_A_QUESTION)
    group_by = _group_by(parameters, metric)
    zone = single(parameters, "tz") or "UTC"
    from_ms, to_ms, step_ms = _time(parameters, metric, now_ms, zone_of(zone))
    if not group_by and _has_more_steps((from_ms, to_ms, step_ms), zone_of(zone), limits.points_max):
        raise InvalidRequest(
            f"that would be over {limits.points_max:,} points", hint="choose a longer step or a shorter range"
        )
    rows = _rows(parameters, limits, is_breakdown=bool(group_by))
    shown = [shown_ms(time_ms, zone_of(zone)) for time_ms in (from_ms, to_ms)]
    earlier_ms = _earlier_ms(parameters, shown[1] - shown[0])
    filters = _filters(parameters, metric, _OF_A_QUESTION)
    return Question(metric, from_ms, to_ms, step_ms, group_by, filters, *rows, earlier_ms, zone)


def parse_values_question(
    parameters: Parameters, metrics: Mapping[str, Rollup], now_ms: int, limits: QuestionLimits
) -> Question:
    """The breakdown by `dimension` of what begins with `prefix`. Raises InvalidRequest likewise."""
    metric = _metric(single(parameters, "name"), metrics)
    _check_known(parameters, metric, _OF_VALUES)
    dimension = single(parameters, "dimension")
    if not dimension:
        raise InvalidRequest(
            "the parameter 'dimension' is missing",
            code="missing_parameter",
            hint=f"the dimensions of {metric.name} are: {listed(metric.dimensions)}",
        )
    _check_dimension(dimension, metric)
    filters, prefix = _filters(parameters, metric, _OF_VALUES), single(parameters, "prefix")
    if prefix:
        filters = (*filters, Filter(dimension, (), (prefix,)))
    limit = limit_of(parameters, "limit", min(_VALUES_WANTED, limits.groups_max), limits.groups_max)
    return Question(metric, *_time(parameters, metric, now_ms), (dimension,), filters, limit)


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


def _check_known(parameters: Parameters, metric: Rollup, own: frozenset[str]) -> None:
    known = own.union(metric.dimensions)
    for key, _ in parameters:
        if key not in known:
            raise InvalidRequest(
                f"{key[:64]!r} is neither a parameter nor a dimension of {metric.name}",
                code="unknown_parameter",
                hint=f"{did_you_mean(key, known)}parameters: {listed(own)}; "
                f"dimensions of {metric.name}: {listed(metric.dimensions)}",
            )


def _check_dimension(name: str, metric: Rollup) -> None:
    if name not in metric.dimensions:
        raise InvalidRequest(
            f"{metric.name} has no dimension {name[:64]!r}",
            code="unknown_dimension",
            hint=f"{did_you_mean(name, metric.dimensions)}its dimensions are: {listed(metric.dimensions)}",
        )


def _group_by(parameters: Parameters, metric: Rollup) -> tuple[str, ...]:
    found = tuple(value for key, value in parameters if key == "group_by")
    for number, name in enumerate(found):
        _check_dimension(name, metric)
        if name in found[:number]:
            raise InvalidRequest(f"'group_by' has {name!r} twice", hint="give each dimension once")
    return found


def _rows(parameters: Parameters, limits: QuestionLimits, *, is_breakdown: bool) -> tuple[int, Order, Order]:
    """(limit, selection, order)."""
    for name in _OF_ROWS:
        if not is_breakdown and single(parameters, name) is not None:
            raise InvalidRequest(
                f"a time series has no rows for {name!r}", hint=f"add group_by=dimension, or leave {name} out"
            )
    orders: dict[str, Order] = {order: order for order in get_args(Order)}
    text = single(parameters, "order")
    if text is not None and text not in orders:
        raise InvalidRequest(
            f"the order {text[:64]!r} is not possible", code="invalid_order", hint=f"the orders are: {listed(orders)}"
        )
    order: Order = "-value" if text is None else orders[text]
    is_top = single(parameters, "top") is not None
    if is_top and single(parameters, "limit") is not None:
        raise InvalidRequest(
            "'top' goes without 'limit'", hint="top: the largest ones; limit: the first ones in the order"
        )
    limit = limit_of(parameters, "top" if is_top else "limit", min(1_000, limits.groups_max), limits.groups_max)
    return limit, "-value" if is_top else order, order


def _earlier_ms(parameters: Parameters, length_ms: int) -> int:
    compare = single(parameters, "compare")
    if compare is None:
        return 0
    shifts_ms = {"previous": length_ms, "week": 7 * DAY_MS}
    if compare not in shifts_ms:
        raise InvalidRequest(
            f"there is nothing to compare with that is called {compare[:64]!r}",
            code="invalid_compare",
            hint="previous: the range before, as long; week: the range seven days earlier",
        )
    return shifts_ms[compare]


def _filters(parameters: Parameters, metric: Rollup, own: frozenset[str]) -> tuple[Filter, ...]:
    found = []
    for key, value in parameters:
        if key == "filter":
            found.append(parse_filter(value))
            _check_dimension(found[-1].dimension, metric)
        elif key not in own:
            found.append(exactly(key, value))
    check_filters(tuple(found))
    return tuple(found)


def _time(parameters: Parameters, metric: Rollup, now_ms: int, zone: ZoneInfo | None = None) -> tuple[int, int, int]:
    """(from_ms, to_ms, step_ms)."""
    length, start, end = (single(parameters, name) for name in ("range", "from", "to"))
    step = single(parameters, "step")
    if start is None and end is None:
        length_ms = _duration(_DEFAULT_RANGE if length is None else length, "range")
        step_ms = _step(step, length_ms, metric, zone)
        # The last point is the one that is being filled; so many whole points, and the same ones for every question
        # with this range and step, so that a breakdown adds up to what the chart beside it shows.
        to_ms = next_start_ms(now_ms + 1, step_ms, zone)
        return max(0, _floor(_first_ms(to_ms, length_ms, step_ms, zone), metric.window_ms)), to_ms, step_ms
    if length is not None:
        raise InvalidRequest("'range' goes without 'from' and 'to'", hint="give either a range, or from and to")
    if start is None:
        raise InvalidRequest("'to' is given without 'from'", hint="give both, or a range")
    first_ms, end_ms = moment_ms(start, "from"), now_ms + 1 if end is None else moment_ms(end, "to")
    from_ms, to_ms = _floor(first_ms, metric.window_ms), _ceil(end_ms, metric.window_ms)
    if from_ms >= to_ms or (end is not None and first_ms >= end_ms):
        raise InvalidRequest("'from' is not before 'to'", hint="the range is half-open: [from, to)")
    return from_ms, to_ms, _step(step, to_ms - from_ms, metric, zone)


def _first_ms(to_ms: int, length_ms: int, step_ms: int, zone: ZoneInfo | None) -> int:
    """Whole days are those of the zone's calendar; hours and minutes are as long as they are on any clock."""
    length_ms = max(length_ms, step_ms)
    if zone is None:
        return to_ms - length_ms
    if length_ms % DAY_MS == 0:
        return when_shown_ms(shown_ms(to_ms, zone) - length_ms, zone)
    first_ms = to_ms - length_ms
    return step_starts(first_ms, first_ms + 1, step_ms, zone)[0]


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


def _step(text: str | None, length_ms: int, metric: Rollup, zone: ZoneInfo | None) -> int:
    if text is not None:
        step_ms = _duration(text, "step")
        if step_ms % metric.window_ms:
            raise InvalidRequest(
                f"the step {text!r} is not whole windows of {metric.name}",
                code="invalid_step",
                hint=f"a multiple of {metric.window}",
            )
        if zone is not None:
            _check_zoned(step_ms, metric, zone)
        return step_ms
    fitting = [step for step in _STEPS_MS if step % metric.window_ms == 0]
    step_ms = next((step for step in fitting if length_ms / step <= _POINTS_WANTED), fitting[-1])
    if zone is not None:
        _check_zoned(step_ms, metric, zone)
    return step_ms


def _has_more_steps(time: tuple[int, int, int], zone: ZoneInfo | None, most: int) -> bool:
    from_ms, to_ms, step_ms = time
    # Of a hundred years of minutes by the clocks of a zone, the steps are not looked for one by one.
    return (to_ms - from_ms) // step_ms > most or len(step_starts(from_ms, to_ms, step_ms, zone)) > most


def _check_zoned(step_ms: int, metric: Rollup, zone: ZoneInfo) -> None:
    """By the clocks of a zone a day has a whole number of steps, or a step is whole days; and no window is in two."""
    if step_ms % DAY_MS and DAY_MS % step_ms:
        raise InvalidRequest(
            f"a day of {zone.key} can't be divided into such steps",
            code="invalid_step",
            hint="with tz, a step is whole days or divides a day: 15m, 1h, 6h, 1d",
        )
    if _QUARTER_MS % metric.window_ms:
        raise InvalidRequest(
            f"the windows of {metric.name}, {metric.window} each, are those of UTC",
            code="invalid_tz",
            hint="leave tz out, or ask a metric with windows of 15m, 5m or 1m",
        )


def _floor(time_ms: int, width_ms: int) -> int:
    return time_ms - time_ms % width_ms


def _ceil(time_ms: int, width_ms: int) -> int:
    return -(-time_ms // width_ms) * width_ms
