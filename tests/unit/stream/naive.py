"""The plainest reading of what sessions are: over the sorted list of all events, one at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from streamgauge.model import MINUTE_MS, Envelope
from unit.stream.making import field_of


class NaiveSession(NamedTuple):
    user: str
    is_anonymous: bool
    identified: str
    start_ms: int
    end_ms: int
    events: int
    page_views: int
    entry_page: str
    exit_page: str
    country: str
    device: str
    is_open: bool


def naive_sessions(came: Iterable[Envelope], gap_ms: int, watermark_ms: int) -> set[NaiveSession]:
    """`came` is in the order of the log, and no event is in it twice."""
    of_user: dict[tuple[str, bool], list[Envelope]] = {}
    for one in came:
        user = one.anonymous_id or one.user_id
        if user:
            of_user.setdefault((user, one.anonymous_id is not None), []).append(one)
    sessions: set[NaiveSession] = set()
    for (user, is_anonymous), events in of_user.items():
        session: list[Envelope] = []
        for one in sorted(events, key=lambda event: event.timestamp):
            if session and one.timestamp - session[-1].timestamp >= gap_ms:
                sessions.add(_session(user, is_anonymous, session, gap_ms, watermark_ms))
                session = []
            session.append(one)
        sessions.add(_session(user, is_anonymous, session, gap_ms, watermark_ms))
    return sessions


def expected_sums(sessions: Iterable[NaiveSession]) -> dict[tuple[Any, ...], float]:
    """The rollups of those that are closed: (metric, minute of the start in ms, country, device, entry page)."""
    sums: Counter[tuple[Any, ...]] = Counter()
    for one in sessions:
        if one.is_open:
            continue
        minute = one.start_ms - one.start_ms % MINUTE_MS
        place = (minute, one.country or None, one.device or None, one.entry_page or None)
        sums["sessions", *place] += 1
        sums["session_seconds", *place] += (one.end_ms - one.start_ms) / 1000
        sums["bounces", *place] += one.events == 1
    return {place: round(value, 3) for place, value in sums.items() if value}


def _session(user: str, is_anonymous: bool, events: list[Envelope], gap_ms: int, watermark_ms: int) -> NaiveSession:
    end_ms = events[-1].timestamp
    pages = _texts(events, "page")
    return NaiveSession(
        user,
        is_anonymous,
        next((one.user_id for one in reversed(events) if one.user_id), ""),
        events[0].timestamp,
        end_ms,
        len(events),
        sum(one.event == "page_view" for one in events),
        pages[0],
        pages[-1],
        _texts(events, "country")[0],
        _texts(events, "device")[0],
        end_ms + gap_ms > watermark_ms,
    )


def _texts(events: list[Envelope], name: str) -> list[str]:
    return [text for one in events if (text := field_of(one, name))] or [""]
