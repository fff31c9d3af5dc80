"""What HTTP says of answers that may come from the cache."""

from __future__ import annotations

import time
from typing import Any, Final

from litestar import Request, Response

from streamgauge.query.cache.answers import Answered

_NOW: Final = frozenset({"no-cache", "no-store", "max-age=0"})


def asks_for_now(request: Request[Any, Any, Any]) -> bool:
    """Whether the client takes nothing but the store's answer of now."""
    asked = request.headers.get("cache-control", "")
    return not _NOW.isdisjoint(part.strip().lower() for part in asked.split(","))


def kept_response(found: Answered, began_s: float, media_type: str = "application/json") -> Response[Any]:
    """With how old the answer is, and what took how long since `began_s` of `time.perf_counter`."""
    times_s = {"cache": found.cache_s, "store": found.store_s, "total": time.perf_counter() - began_s}
    headers = {
        **found.headers,
        "Streamgauge-Cache": found.outcome,
        "Age": str(found.age_ms // 1000),
        "Server-Timing": ", ".join(f"{part};dur={seconds * 1000:.1f}" for part, seconds in times_s.items()),
    }
    return Response(found.body, headers=headers, media_type=media_type)
