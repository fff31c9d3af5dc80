"""The nouns of Streamgauge: frozen data, no I/O.

Times are integers in milliseconds since the Unix epoch, UTC, and end in `_ms`, except in the envelope that is
written to the log, where `timestamp` and `received_at` keep the names that users send and query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000

TIME_MS_END: Final = 4_102_444_800_000
"""2100-01-01: times are in [1970, 2100), which every table and every client can hold."""

OTHER: Final = "(other)"
"""The value of a dimension that stands for all values over a limit."""

MADE_ID_PREFIX: Final = "sg-"
"""How the event ids begin that the server gives to events without one."""

UNKNOWN: Final = "(unknown)"
"""The value of a dimension that an event does not have."""


class Rejection(msgspec.Struct, frozen=True, gc=False):
    """Why an item was not accepted as an event. `code` is stable; `message` is for people."""

    code: str
    message: str


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """One event as the log keeps it: what the ingest API decided, around what the client sent.

    An item that ingest refused is kept too, with `rejection` set, an empty `event`, and the item as it came in
    `original`, so that the dead letter table is filled by the same durable path.
    """

    event_id: str
    event: str
    timestamp: int
    received_at: int
    user_id: str | None = None
    anonymous_id: str | None = None
    producer: str | None = None
    sequence: int | None = None
    rejection: Rejection | None = None
    original: str | None = None
    properties: Mapping[str, Any] = msgspec.field(default_factory=dict)

    def to_line(self, *, is_plain: bool = False) -> bytes:
        """The fields of `LINE_COLUMNS` with tabs between them, then a tab and one JSON object: the properties, or a
        `Refused` where the event is empty. What is absent is empty. In the columns a backslash and the control
        characters that end lines or columns stand as their `LINE_ESCAPES`. See docs/adr/0002.

        `is_plain` promises that no column has any of these."""
        numbered = "\t\t" if self.producer is None else f"{self.producer}\t{self.sequence}\t"
        head = (
            f"{self.event_id}\t{self.event}\t{self.timestamp}\t{self.received_at}\t"
            f"{self.user_id or ''}\t{self.anonymous_id or ''}\t{numbered}"
        )
        if not is_plain and (_SPECIAL.search(head) or head.count("\t") != len(LINE_COLUMNS)):
            values = [getattr(self, name) for name in LINE_COLUMNS]
            head = "".join(["\t" if value is None else f"{str(value).translate(_ESCAPES)}\t" for value in values])
        if self.rejection is None:
            return head.encode() + _encode(self.properties)
        return head.encode() + _encode(Refused(self.rejection.code, self.rejection.message, self.original))

    @classmethod
    def from_line(cls, line: bytes) -> Envelope:
        """Raises ValueError where `to_line` did not write it."""
        *columns, body = line.split(b"\t", len(LINE_COLUMNS))
        if len(columns) != len(LINE_COLUMNS):
            raise ValueError(f"this is not an envelope: {line[:80]!r}")
        event_id, event, timestamp, received_at, user_id, anonymous_id, producer, sequence = map(_unescape, columns)
        envelope = cls(
            event_id,
            event,
            int(timestamp),
            int(received_at),
            user_id or None,
            anonymous_id or None,
            producer or None,
            int(sequence) if sequence else None,
        )
        if event:
            return msgspec.structs.replace(envelope, properties=msgspec.json.decode(body, type=dict[str, Any]))
        refused = msgspec.json.decode(body, type=Refused)
        rejection = Rejection(refused.code, refused.message)
        return msgspec.structs.replace(envelope, rejection=rejection, original=refused.original)


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The JSON of a line whose item was refused."""

    code: str
    message: str
    original: str | None


LINE_COLUMNS: Final = (
    "event_id",
    "event",
    "timestamp",
    "received_at",
    "user_id",
    "anonymous_id",
    "producer",
    "sequence",
)
LINE_ESCAPES: Final = {"\t": r"\t", "\n": r"\n", "\r": r"\r", "\\": r"\s"}
"""Replaced one after the other, from right to left, an escaped text becomes what it was: no escape holds another."""

_SPECIAL: Final = re.compile(r"[\\\n\r]")
_ESCAPES: Final = str.maketrans(LINE_ESCAPES)
_encode: Final = msgspec.json.Encoder().encode


def _unescape(column: bytes) -> str:
    text = column.decode()
    for plain, escaped in LINE_ESCAPES.items():
        text = text.replace(escaped, plain)
    return text


SESSION_DIMENSIONS: Final = ("country", "device", "entry_page")
SESSION_METRICS: Final = ("sessions", "session_seconds", "bounces")
"""The metrics that closed sessions are rolled up to, in the minute of their start, by `SESSION_DIMENSIONS`."""


ROW_TABLES: Final = ("metrics", "metrics_extremes", "sessions", "events", "duplicates", "dead_letter")
"""Tables whose rows come through topics of their own, `<topic of the log>.<table>`, where Flink counts."""

PROGRESS: Final = "progress"
"""Stands beside them in the same way: `<topic of the log>.progress` says up to when Flink has counted."""


class Freshness(msgspec.Struct, frozen=True, gc=False):
    """How true an answer is by now.

    `complete_up_to_ms` is the watermark: every event before it that came in time has been counted. Late events, and
    those of a producer's backfill, may still be added to the past; while any wait, `lag_events` is not 0.
    `lag_ms` is how long the oldest event that is accepted but not yet queryable has been waiting; 0 when none is.
    `lag_events` is how many such events there are.
    `sessions_complete_up_to_ms` is the same as the first for the rollups of sessions: the start of the oldest that is
    open.
    """

    complete_up_to_ms: int
    lag_ms: int
    lag_events: int
    sessions_complete_up_to_ms: int = 0


class Measure(msgspec.Struct, frozen=True):
    """How values become one number. `field` is the property whose numbers are taken; empty for a count."""

    kind: Literal["count", "sum", "min", "max"]
    field: str = ""


class Rollup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows pre-aggregated by time and dimensions; the API calls it a metric.

    An event is counted when its name is `event` (any, where absent) and each property named in `where` has the value
    given, or one of the values given. `measure` is `"count"` or one of `{sum = "price"}`, `{min = …}`, `{max = …}`.
    `window` is a whole number of minutes that divides a day.
    """

    name: str
    dimensions: tuple[str, ...] = ()
    event: str | None = None
    where: Mapping[str, str | int | float | bool | list[str | int | float | bool]] = {}
    measure: str | Mapping[str, str] = "count"
    window: str = "60s"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"the rollup name {self.name!r} must match {_NAME.pattern}")
        for dimension in self.dimensions:
            if not _NAME.fullmatch(dimension):
                raise ValueError(f"the dimension {dimension!r} of rollup {self.name!r} must match {_NAME.pattern}")
        if "value" in self.dimensions:
            raise ValueError(f"rollup {self.name!r} has the dimension 'value', which answers call what is measured")
        if len(set(self.dimensions)) != len(self.dimensions):
            raise ValueError(f"the dimensions of rollup {self.name!r} repeat a name")
        _ = self.measured, self.window_ms

    @property
    def measured(self) -> Measure:
        if self.measure == "count":
            return Measure("count")
        if isinstance(self.measure, Mapping) and len(self.measure) == 1:
            ((kind, field),) = self.measure.items()
            if field and kind in _MEASURES_OF_A_FIELD:
                return Measure(_MEASURES_OF_A_FIELD[kind], field)
        raise ValueError(
            f"the measure of rollup {self.name!r} must be 'count' or one of "
            '{sum = "property"}, {min = "property"}, {max = "property"}'
        )

    @property
    def window_ms(self) -> int:
        window_ms = parse_duration_ms(self.window)
        if window_ms % MINUTE_MS or DAY_MS % window_ms:
            raise ValueError(f"the window of rollup {self.name!r} must be whole minutes that divide a day, like '60s'")
        return window_ms


class Pane(msgspec.Struct, frozen=True):
    """What was added to the window `[start_ms, end_ms)` of a metric, for these dimensions. Of a metric of `kind` min or
    max, `value` is what was compared."""

    metric: str
    kind: Literal["count", "sum", "min", "max"]
    start_ms: int
    end_ms: int
    dimensions: Mapping[str, str]
    value: float


def parse_duration_ms(text: str) -> int:
    """`90s`, `5m`, `36h`, `7d`, `2w` → milliseconds, more than 0. Raises ValueError."""
    found = _DURATION.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise ValueError(f"{text!r} is not a duration: write a number and one of s, m, h, d, w, like '24h'")
    return int(found[1]) * _UNIT_MS[found[2]]


class EventSample(msgspec.Struct, frozen=True):
    """An event as the live feed shows it."""

    event: str
    timestamp_ms: int
    user_id: str | None
    properties: Mapping[str, Any]


LIVE_SAMPLE_EVENTS_MAX: Final = 10


class LiveUpdate(msgspec.Struct, frozen=True):
    """What one micro-batch changed. `metrics` has what was added to each metric that counts or sums, and the number of
    panes of each that takes extremes; event times are in `[from_ms, to_ms)`, whole minutes."""

    events_count: int
    metrics: Mapping[str, float]
    from_ms: int
    to_ms: int
    sample: tuple[EventSample, ...]

    def with_later(self, later: LiveUpdate) -> LiveUpdate:
        """What both changed."""
        metrics = {
            name: self.metrics.get(name, 0) + later.metrics.get(name, 0) for name in {**self.metrics, **later.metrics}
        }
        return LiveUpdate(
            self.events_count + later.events_count,
            metrics,
            min(self.from_ms, later.from_ms),
            max(self.to_ms, later.to_ms),
            (*self.sample, *later.sample)[-LIVE_SAMPLE_EVENTS_MAX:],
        )


ReplayPhase = Literal["reading", "replacing", "done", "failed"]


class ReplayState(msgspec.Struct, frozen=True):
    """How a replay goes. `read_events` of `total_events` of the log; times in ms, `[from_ms, to_ms)`."""

    number: int
    phase: ReplayPhase
    from_ms: int
    to_ms: int
    metrics: tuple[str, ...]
    read_events: int = 0
    total_events: int = 0
    problem: str = ""


_MEASURES_OF_A_FIELD: Final[dict[str, Literal["sum", "min", "max"]]] = {"sum": "sum", "min": "min", "max": "max"}
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_DURATION: Final = re.compile(r"(\d{1,9})([smhdw])")
_UNIT_MS: Final = {"s": 1_000, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}

SESSION_ROLLUPS: Final = (
    Rollup("sessions", SESSION_DIMENSIONS),
    Rollup("session_seconds", SESSION_DIMENSIONS, measure={"sum": "seconds"}),
    Rollup("bounces", SESSION_DIMENSIONS),
)
"""How `SESSION_METRICS` are asked for."""
