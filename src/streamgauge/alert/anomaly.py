"""Short forms: what people mean by "traffic fell", written out as PromQL that they can read and go on from.

`now` is what was counted in the last `over`; the usual is what was counted in as long a time on average: of the hour
before that (`against: 1h`), or of the hour around the same time a day or a week ago (`1d`, `1w`). A metric that is
younger than that is compared with what there is of it. What chance alone does to a count of events is no drop or rise.

The usual of `against: 1h` slides over a drop, and in an hour the drop itself would be usual. So a drop that is there
lasts until it is over by what was usual when it began.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from streamgauge.core.errors import InvalidRequest
from streamgauge.model import DAY_MS, HOUR_MS, MINUTE_MS, Rollup
from streamgauge.query.promql.durations import duration_ms
from streamgauge.query.promql.text import quoted

FIELDS: Final = ("metric", "by", "where", "drop", "rise", "outside", "against", "over", "min_volume")
_OVER_MS: Final = 2 * MINUTE_MS
"""Long enough to have two windows, short enough that a drop of 30 % is seen as one of over 20 % in two minutes."""

_PERCENT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_SIGMA: Final = re.compile(r"(\d+(?:\.\d+)?)\s*sigma(?:\s+of the same hour of the last (\d+) weeks?)?")
_CHANCE_SIGMA: Final = 3
_LASTS_S: Final = DAY_MS // 1000
"""After that time a lower level is the new usual; nothing at all never is."""

_WEEKS: Final = 4
_WEEKS_MAX: Final = 12


class Compiled(NamedTuple):
    expr: str
    summary: str
    """A template of an annotation, where none is written."""
    lasts: str = ""
    """See Rule."""


def compiled(short: Mapping[str, Any], rollups: Sequence[Rollup], place: str) -> Compiled:
    """Raises InvalidRequest with `invalid_rule`."""
    wanted = [kind for kind in ("drop", "rise", "outside") if kind in short]
    if len(wanted) != 1:
        raise _wrong(place, "an anomaly has one of drop, rise and outside", "write drop: 20%")
    rollup = next((one for one in rollups if one.name == short.get("metric")), None)
    if rollup is None:
        known = ", ".join(sorted(one.name for one in rollups))
        raise _wrong(place, f"there is no metric {short.get('metric', '')!r}", f"write metric: one of {known}")
    if rollup.measured.kind not in ("count", "sum"):
        raise _wrong(place, f"{rollup.name} is a least or greatest, which doesn't add up", "write alert: with an expr")
    unknown = sorted({*short.get("by", ()), *short.get("where", {})} - set(rollup.dimensions))
    if unknown:
        known = ", ".join(rollup.dimensions)
        raise _wrong(place, f"{rollup.name} has no dimension {unknown[0]!r}", f"choose from: {known}")
    parts = _Parts(rollup, short, _over_ms(short, rollup, place), _number(short.get("min_volume", "0"), place))
    if wanted == ["outside"]:
        return _outside(parts, str(short["outside"]), place)
    return _changed(parts, wanted[0], place)


class _Parts(NamedTuple):
    rollup: Rollup
    short: Mapping[str, Any]
    over_ms: int
    min_volume: float

    def counted(self, range_ms: int) -> str:
        """What was counted in the last `range_ms`, one series for each of `by`."""
        matchers = ", ".join(f"{name}={quoted(value)}" for name, value in self.short.get("where", {}).items())
        by = f" by ({', '.join(self.short['by'])})" if self.short.get("by") else ""
        selector = self.rollup.name + (f"{{{matchers}}}" if matchers else "")
        return f"sum{by} (sum_over_time({selector}[{_written(range_ms)}]))"

    @property
    def now(self) -> str:
        return self.counted(self.over_ms)

    def average(self, back_ms: int, inner: str = "", length_ms: int = HOUR_MS, at: str = "") -> str:
        step = _written(self.over_ms)
        return f"avg_over_time(({inner or self.now})[{_written(length_ms)}:{step}]{at} offset {_written(back_ms)})"

    @property
    def of_each(self) -> str:
        return "".join(f" {{{{ $labels.{name} }}}}" for name in self.short.get("by", ()))


def _changed(parts: _Parts, kind: str, place: str) -> Compiled:
    found = _PERCENT.fullmatch(str(parts.short[kind]).strip())
    if not found or float(found[1]) <= 0:
        raise _wrong(place, f"{kind} is no percentage", f"write {kind}: 20%")
    part = float(found[1]) / 100
    against_ms = _duration(parts.short.get("against", "1h"), f"{place}: against")
    if against_ms < HOUR_MS or against_ms % HOUR_MS:
        raise _wrong(place, "against is no whole number of hours", "write against: 1h, 1d or 1w")
    # Of the same time a day ago the hour around it, so that a morning that rises is compared with one that rose.
    back_ms = parts.over_ms if against_ms < DAY_MS else against_ms - HOUR_MS // 2
    length_ms = against_ms if against_ms < DAY_MS else HOUR_MS
    usual = parts.average(back_ms, length_ms=length_ms)
    sign = "1 - {} / {}" if kind == "drop" else "{} / {} - 1"
    expr = f"({sign.format(parts.now, usual)} > {part:g})"
    if parts.rollup.measured.kind == "count":
        expr += f" and (abs({parts.now} - {usual}) > {_CHANCE_SIGMA} * sqrt({usual}))"
    if parts.min_volume:
        expr += f" and ({usual} >= {parts.min_volume:g})"
    verb = "fell" if kind == "drop" else "rose"
    summary = f"{parts.rollup.name}{parts.of_each} {verb} by {{{{ $value | humanizePercentage }}}}"
    lasts = _lasts(parts, part, parts.average(back_ms, length_ms=length_ms, at=" @ $since")) if kind == "drop" else ""
    return Compiled(expr, summary, lasts)


def _lasts(parts: _Parts, part: float, usual: str) -> str:
    """A series of which nothing was counted for long is no longer there: it is 0."""
    now = f"({parts.now} or {usual} * 0)"
    return f"(1 - {now} / {usual} > {part:g}) and ({now} == 0 or {now} and on() vector(time()) < $since + {_LASTS_S})"


def _outside(parts: _Parts, wanted: str, place: str) -> Compiled:
    found = _SIGMA.fullmatch(wanted.strip())
    weeks = int(found[2] or _WEEKS) if found else 0
    if not found or float(found[1]) <= 0 or not 1 <= weeks <= _WEEKS_MAX:
        raise _wrong(
            place, "outside is no number of sigma", "write outside: 3 sigma of the same hour of the last 4 weeks"
        )
    if "against" in parts.short:
        raise _wrong(
            place, "against is of drop and rise", "write outside: 3 sigma of the same hour of the last 4 weeks"
        )

    def over_weeks(inner: str) -> str:
        each = (
            f'label_replace({parts.average(week * 7 * DAY_MS - HOUR_MS // 2, inner)}, "week", "{week}", "", "")'
            for week in range(1, weeks + 1)
        )
        return f"avg without (week) ({' or '.join(each)})"

    mean, squares = over_weeks(""), over_weeks(f"{parts.now} ^ 2")
    # What chance alone does to a count is added: what hardly varied doesn't make every event an anomaly.
    sigma = f"sqrt(clamp_min({squares} - ({mean}) ^ 2, 0) + {mean})"
    expr = f"(abs({parts.now} - {mean}) / {sigma} > {float(found[1]):g})"
    if parts.min_volume:
        expr += f" and ({mean} >= {parts.min_volume:g})"
    summary = f"{parts.rollup.name}{parts.of_each} is {{{{ $value | humanize }}}} sigma from usual"
    return Compiled(expr, summary)


def _over_ms(short: Mapping[str, Any], rollup: Rollup, place: str) -> int:
    window_ms = rollup.window_ms
    over_ms = _duration(short["over"], f"{place}: over") if "over" in short else max(_OVER_MS, window_ms)
    if not window_ms <= over_ms <= HOUR_MS or over_ms % window_ms:
        raise _wrong(
            place, f"over is not a whole number of windows of {rollup.name}, up to 1h", f"write over: {rollup.window}"
        )
    return over_ms


def _number(text: str, place: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise _wrong(place, f"min_volume {text!r} is no number", "write min_volume: 100")
    return number


def _duration(text: str, place: str) -> int:
    try:
        return duration_ms(str(text))
    except InvalidRequest as error:
        raise _wrong(place, error.message, error.hint) from error


def _written(length_ms: int) -> str:
    parts = []
    for unit, unit_ms in (("w", 7 * DAY_MS), ("d", DAY_MS), ("h", HOUR_MS), ("m", MINUTE_MS)):
        count, length_ms = divmod(length_ms, unit_ms)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts)


def _wrong(place: str, message: str, hint: str) -> InvalidRequest:
    return InvalidRequest(f"{place}: {message}", code="invalid_rule", hint=hint)
