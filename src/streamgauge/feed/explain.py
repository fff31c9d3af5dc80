"""`streamgauge explain`: what became of an event, for people."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import msgspec
from rich.console import Console
from rich.markup import escape

from streamgauge.feed.producer import ask, connect

_STYLES: Final = {"counted": "green", "duplicate": "cyan", "rejected": "red", "too_late": "yellow"}
_MEANINGS: Final = {
    "counted": "it is in the metrics below",
    "duplicate": "an event with this id came before, and is counted once",
    "rejected": "it is no valid event, and was kept as a dead letter",
    "too_late": "it is not counted, and was kept as a dead letter",
    "too_far_ahead": "it is not counted, and was kept as a dead letter",
}

Json = dict[str, Any]


class Explanation(msgspec.Struct, frozen=True):
    event_id: str
    occurrences: list[Json]


async def fetch_explanation(url: str, event_id: str) -> Explanation:
    """Raises FeedError where the server doesn't know the id."""
    # A segment of dots alone would be taken for a folder of the path.
    dots = event_id.replace(".", "%2E") if event_id in (".", "..") else ""
    async with connect(url) as client:
        return await ask(
            client, f"/events/{dots or quote(event_id, safe='', errors='surrogateescape')}", Explanation, {}
        )


def print_explanation(console: Console, found: Explanation) -> None:
    count = len(found.occurrences)
    console.print(
        f"[bold]{escape(found.event_id)}[/bold]: {'received once' if count == 1 else f'received {count:,} times'}",
        soft_wrap=True,
    )
    for one in found.occurrences:
        _print_occurrence(console, one)


def _print_occurrence(console: Console, one: Json) -> None:
    status = str(one["status"])
    style = _STYLES.get(status, "yellow")
    console.print(f"\n[bold {style}]{escape(status)}[/]  [dim]{_MEANINGS.get(status, '')}[/dim]", soft_wrap=True)
    _line(console, "accepted", _place(one))
    if status == "counted":
        _print_counted(console, one)
    elif status == "duplicate":
        first = one["duplicate_of"]
        _line(console, "repeats", _place(first) if first else "one that is older than retention")
    else:
        _line(console, "reason", f"{one['reason']}: {one['message']}")
        _line(console, "original", one["original"])


def _print_counted(console: Console, one: Json) -> None:
    _line(console, "event", f"{one['event']} at {one['timestamp']}")
    if one["user_id"] is not None:
        _line(console, "user", one["user_id"])
    elif one["anonymous_id"] is not None:
        _line(console, "anonymous", one["anonymous_id"])
    _line(console, "properties", _json(one["properties"]))
    if one["enriched"]:
        _line(console, "profile", f"added {_json(one['enriched'])}")
    if one["session"]:
        _line(console, "session", _session(one["session"]))
    if not one["counted_in"]:
        _line(console, "counted in", "no metric has it: see `where` and `event` of the rollups")
        return
    for pane in one["counted_in"]:
        dimensions = ", ".join(f"{name}={value}" for name, value in pane["dimensions"].items())
        window = f"{pane['start']} to {pane['end']}"
        _line(console, "counted in", f"{pane['metric']}  {window}  {pane['value']:g}  {dimensions}")


def _place(place: Json) -> str:
    return f"{place['received_at']}, at partition {place['partition']} offset {place['offset']} of the log"


def _session(session: Json) -> str:
    state = "open" if session["open"] else "closed"
    views = f"{_number(session['events'], 'event')}, {_number(session['page_views'], 'page view')}"
    bounced = ", bounced" if session["bounced"] and not session["open"] else ""
    return f"{session['started_at']} to {session['ended_at']}, {views}, {state}{bounced}"


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _line(console: Console, name: str, text: str) -> None:
    console.print(f"  {name:11}{text}", markup=False, soft_wrap=True)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
