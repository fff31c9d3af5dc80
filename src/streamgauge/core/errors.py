"""One taxonomy of operating errors. Bugs are not here: they crash loudly.

Each error says what is wrong (`message`) and what to do (`hint`). Which HTTP status it becomes is decided in one
table, `streamgauge.api.errors`; which exit code, in `streamgauge.cli`.
"""

from __future__ import annotations


class StreamgaugeError(Exception):
    """An operating error with a stable code, for people and programs."""

    code = "internal"

    def __init__(self, message: str, *, hint: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class InvalidRequest(StreamgaugeError):
    """The caller asked for something that can't be: malformed, unknown or out of bounds."""

    code = "invalid_request"


class QueryLimit(InvalidRequest):
    """A question would take more than a limit allows; `limit` names which, and `allowed` says what it is."""

    code = "query_limit"

    def __init__(self, limit: str, allowed: str = "", *, hint: str = "ask for a shorter range") -> None:
        said = f"{limit}, {allowed}" if allowed else limit
        super().__init__(f"the query is over the limit of {said}", hint=hint)
        self.limit = limit


class BodyTooLarge(StreamgaugeError):
    code = "body_too_large"


class BodyTimeout(StreamgaugeError):
    """A body that does not come to its end: what it has can be sent again."""

    code = "body_timeout"


class UnsupportedMediaType(StreamgaugeError):
    code = "unsupported_media_type"


class Unauthorized(StreamgaugeError):
    """Nobody said who they are, or with a secret that is good for nothing."""

    code = "unauthorized"


class Forbidden(StreamgaugeError):
    """Who asks is known, and may not do this; or a page of another site had a browser ask."""

    code = "forbidden"


class NotFound(StreamgaugeError):
    code = "not_found"


class Conflict(StreamgaugeError):
    """What is there already stands against it."""

    code = "conflict"


class MisdirectedRequest(StreamgaugeError):
    """A request that was addressed to a host name that is not this server's."""

    code = "misdirected_request"


class OriginNotAllowed(StreamgaugeError):
    """A page of an origin that may not send events."""

    code = "origin_not_allowed"


class Overloaded(StreamgaugeError):
    """Try again after `retry_after_s`. By itself: a bounded queue is full, and nothing was accepted."""

    code = "overloaded"

    def __init__(self, message: str, *, hint: str = "", retry_after_s: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class RateLimited(Overloaded):
    """This one asks too often; others are answered."""

    code = "rate_limited"


class Unavailable(Overloaded):
    """A part that is needed can't do its work now (disk full, engine down, shutting down). What was to be written may
    have been written nevertheless."""

    code = "unavailable"


class StreamOver(Unavailable):
    """A stream that has no right to be held any longer; a new one may be begun."""

    code = "stream_over"


class ConfigError(StreamgaugeError):
    """The settings can't be used as they are; the program doesn't start."""

    code = "invalid_config"


class ReceiverFailed(StreamgaugeError):
    """Somebody who was to be told of alerts didn't take a message."""

    code = "receiver_failed"


class Superseded(StreamgaugeError):
    """Another process does this one's work by now: nothing more of it is taken from here."""

    code = "superseded"


class AlreadyRunning(StreamgaugeError):
    """The data folder or the port is taken."""

    code = "already_running"
