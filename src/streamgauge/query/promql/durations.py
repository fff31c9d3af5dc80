"""Durations as PromQL writes them: `1h30m`, `90s`, `5`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from streamgauge.query.promql.errors import PromqlSyntaxError

_UNITS_MS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DURATION_MS_MAX = 2**63 // 1_000_000 - 1


def duration_ms(text: str) -> int:
    """Milliseconds of a duration, or of a number of seconds; may begin with `-`. Raises PromqlSyntaxError."""
    sign, unsigned = (-1, text[1:]) if text.startswith("-") else (1, text)
    found = _DURATION.fullmatch(unsigned)
    if unsigned and found:
        length = sum(int(part) * unit for part, unit in zip(found.groups(), _UNITS_MS.values(), strict=True) if part)
    else:
        try:
            length = round(Decimal(unsigned) * 1000)
        except (InvalidOperation, ValueError, OverflowError):
            raise PromqlSyntaxError(f"not a valid duration: {text!r}", hint="write 30s, 5m or 1h30m") from None
    if length > DURATION_MS_MAX:
        raise PromqlSyntaxError(f"duration out of range: {text!r}", hint="the longest is 292 years")
    return sign * length


def milliseconds(length: timedelta) -> int:
    return round(length / timedelta(milliseconds=1))


def epoch_ms(moment: datetime) -> int:
    return milliseconds(moment - _EPOCH)
