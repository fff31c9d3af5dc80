"""What can be chosen, with its unit last in the name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable
from urllib.parse import urlsplit

from streamgauge_sdk.tally import Problem


@dataclass(frozen=True)
class Options:
    """Of a client. Raises ValueError for what can't be: a program with wrong settings should not start."""

    url: str = "http://localhost:8080"
    """The server; a path before `/events` is kept."""
    write_key: str | None = field(default=None, repr=False)
    properties: Mapping[str, Any] = field(default_factory=dict)
    """Of every event that doesn't have them itself."""
    batch_events_max: int = 100
    batch_bytes_max: int = 512 * 1024
    flush_interval_s: float = 10.0
    """So long may an event wait for others before it is sent."""
    queue_bytes_max: int = 10 * 1024 * 1024
    """Of events that wait, those under way too; over it new ones are dropped, and counted."""
    event_bytes_max: int = 64 * 1024
    timeout_s: float = 10.0
    """Of one request."""
    retry_s_max: float = 60.0
    """The longest pause between two tries, where the server doesn't ask for a longer one."""
    exit_s_max: float = 5.0
    """So long may the end of the program be held up to send what waits."""
    on_problem: Callable[[Problem], None] | None = field(default=None, repr=False)
    """Told of what was rejected, by the thread that sends, or dropped, by whichever; what it raises is logged."""

    def __post_init__(self) -> None:
        place = urlsplit(self.url)
        if place.scheme not in ("http", "https") or not place.hostname:
            raise ValueError(f"url {self.url!r} is none: write http://host:8080 or https://host")
        for name in ("batch_events_max", "batch_bytes_max", "queue_bytes_max", "event_bytes_max"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("flush_interval_s", "timeout_s", "retry_s_max"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be more than 0")
