"""Times as the API writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from streamgauge.model import Freshness


def rfc3339(time_ms: int) -> str:
    """Milliseconds since 1970 → `2026-01-01T12:00:00Z`, with a fraction only where there is one."""
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    fraction = f".{time_ms % 1000:03d}" if time_ms % 1000 else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def local_time(time_ms: int, zone: ZoneInfo | None) -> str:
    """The same with the offset of a zone: `2026-03-29T00:00:00+01:00`."""
    return rfc3339(time_ms) if zone is None else datetime.fromtimestamp(time_ms / 1000, zone).isoformat()


def freshness_headers(fresh: Freshness) -> dict[str, str]:
    """How true an answer is by now, which none of them may keep for later."""
    return {
        "Streamgauge-Complete-Up-To": rfc3339(fresh.complete_up_to_ms),
        "Streamgauge-Lag-Ms": str(fresh.lag_ms),
        "Cache-Control": "no-store",
    }
