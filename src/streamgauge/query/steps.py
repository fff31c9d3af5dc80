"""Where the steps of a time series begin, in UTC or by the clocks of a time zone. Pure.

By a zone's clocks a step of days begins at midnight, however long the day is; one of several hours when its clocks show
a multiple of it; and shorter ones come one after another from midnight on. So a day on which clocks are put back has 25
steps of an hour, and of six hours the first has seven.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from streamgauge.model import DAY_MS, HOUR_MS

_MS: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


def step_starts(from_ms: int, to_ms: int, step_ms: int, zone: ZoneInfo | None = None) -> Sequence[int]:
    """The starts of all steps that `[from_ms, to_ms)` touches. `zone`: None for UTC."""
    if zone is None:
        return range(from_ms - from_ms % step_ms, to_ms, step_ms)
    starts: list[int] = []
    for start_ms in _starts_since(from_ms, step_ms, zone):
        if start_ms >= to_ms:
            break
        if start_ms <= from_ms:
            starts = [start_ms]
        elif start_ms > starts[-1]:  # clocks that are put forward may pass over the time at which one would begin
            starts.append(start_ms)
    return starts


def next_start_ms(time_ms: int, step_ms: int, zone: ZoneInfo | None = None) -> int:
    """Of the first step that begins at this time or later."""
    if zone is None:
        return -(-time_ms // step_ms) * step_ms
    return next(start_ms for start_ms in _starts_since(time_ms, step_ms, zone) if start_ms >= time_ms)


def shown_ms(time_ms: int, zone: ZoneInfo | None) -> int:
    """What the zone's clocks show, counted as if it were UTC."""
    if zone is None:
        return time_ms
    return (datetime.fromtimestamp(time_ms / 1000, zone).replace(tzinfo=UTC) - _EPOCH) // _MS


def when_shown_ms(shown: int, zone: ZoneInfo | None) -> int:
    """When the zone's clocks show that, the first time where they do so twice."""
    return shown if zone is None else _at_ms(_EPOCH.replace(tzinfo=None) + shown * _MS, zone)


def _starts_since(from_ms: int, step_ms: int, zone: ZoneInfo) -> Iterator[int]:
    """Without an end; the first one or some are not after `from_ms`."""
    days = max(1, step_ms // DAY_MS)
    ordinal = datetime.fromtimestamp(from_ms / 1000, zone).toordinal()
    ordinal -= (ordinal - _EPOCH_DAY) % days
    while True:
        midnight = datetime.combine(date.fromordinal(ordinal), time())
        if step_ms % DAY_MS == 0:
            yield _at_ms(midnight, zone)
        elif step_ms > HOUR_MS:
            yield from (_at_ms(midnight + shown * _MS, zone) for shown in range(0, DAY_MS, step_ms))
        else:
            yield from range(_at_ms(midnight, zone), _at_ms(midnight + timedelta(days=1), zone), step_ms)
        ordinal += days


def _at_ms(shown: datetime, zone: ZoneInfo) -> int:
    return (shown.replace(tzinfo=zone) - _EPOCH) // _MS
