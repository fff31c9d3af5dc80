"""What can go wrong in a feed: the whole of it, or one line."""

from __future__ import annotations

from streamgauge.core.errors import StreamgaugeError


class FeedError(StreamgaugeError):
    """The import or the demo can't go on. What was answered before stays; running it again goes on from there."""

    code = "feed_failed"


class LineError(Exception):
    """Why one line is not an event. `code` is one of a few, to count by; `message` is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
