"""Replay: dead letters are sent again, each event once.

What keeps it from being counted twice: an event goes under its own id (`replay_as`), by which the stream recognises it
within its horizon; and one that the store has an event of is not sent at all. It goes as an item of a numbered
sequence, for which no time is too late.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import httpx
import msgspec

from streamgauge.core.clock import Clock
from streamgauge.feed.producer import Producer, ask, connect

PRODUCER_PREFIX: Final = "dead-letter-replay-"
EXAMPLES_MAX: Final = 5
_PAGE_LETTERS: Final = 250
_LATE_REASONS: Final = ("too_late", "too_far_ahead")

Filters = Mapping[str, str | int]
_Identity = tuple[str | None, str | None, str | None]
"""What an event is known by: its id, and whose it is."""


class DeadLetter(msgspec.Struct, frozen=True):
    """As `GET /dead-letter` says it."""

    received_at: str
    reason: str
    message: str
    event_id: str
    original: str
    replay_as: str | None
    user_id: str | None
    anonymous_id: str | None
    counted: bool | None


class ReasonCount(msgspec.Struct, frozen=True):
    reason: str
    count: int


class _Page(msgspec.Struct, frozen=True):
    letters: list[DeadLetter]
    after: str | None


class Rejected(NamedTuple):
    event_id: str
    code: str
    message: str


@dataclass
class Summary:
    """Letters of this run: each is in one of these. `repeated` are further letters of an event, `waiting` those whose
    own time has not come."""

    replayed: int = 0
    already_counted: int = 0
    repeated: int = 0
    waiting: int = 0
    not_replayable: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    examples: list[Rejected] = field(default_factory=list)

    def reject(self, one: Rejected) -> None:
        self.rejected[one.code] = self.rejected.get(one.code, 0) + 1
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(one)


class Progress(Protocol):
    def begun(self, letters: int) -> None: ...

    def advanced(self, letters: int) -> None: ...

    def waiting(self, why: str) -> None: ...


async def count_letters(client: httpx.AsyncClient, filters: Filters) -> list[ReasonCount]:
    return await ask(client, "/dead-letter/counts", list[ReasonCount], filters)


async def read_letters(client: httpx.AsyncClient, filters: Filters) -> AsyncIterator[list[DeadLetter]]:
    """Pages, newest first."""
    after: str | None = ""
    while after is not None:
        more = {"after": after} if after else {}
        page = await ask(client, "/dead-letter", _Page, {"limit": _PAGE_LETTERS, "counted": "true", **filters, **more})
        yield page.letters
        after = page.after


async def replay(url: str, filters: Filters, clock: Clock, progress: Progress, *, dry_run: bool) -> Summary:
    """Send the letters again. It can be interrupted, and run again: what was counted is not sent a second time.

    Raises FeedError when it can't be finished.
    """
    now_ms = clock.now_ms()
    # What is rejected again becomes a letter anew, which is not one of those to replay.
    filters = {**filters, "to": now_ms + 1}
    summary, seen, sequence = Summary(), set[_Identity](), 0
    async with connect(url) as client:
        producer = Producer(client, f"{PRODUCER_PREFIX}{now_ms}-{secrets.token_hex(4)}", on_wait=progress.waiting)
        progress.begun(sum(one.count for one in await count_letters(client, filters)))
        async for letters in read_letters(client, filters):
            items: list[tuple[str, bytes]] = []
            for letter in letters:
                item = _item(letter, now_ms, seen, summary)
                if item is not None:
                    items.append(item)
            if items and not dry_run:
                refused = await producer.send(sequence, [data for _, data in items])
                for one in refused:
                    summary.reject(Rejected(items[one.index][0], one.code, one.message))
                summary.replayed -= len(refused)
            sequence += len(items)
            progress.advanced(len(letters))
    return summary


def _item(letter: DeadLetter, now_ms: int, seen: set[_Identity], summary: Summary) -> tuple[str, bytes] | None:
    """Id and JSON of what to send for a letter; None where nothing is. Counts it either way."""
    event_id = letter.replay_as
    identity = (event_id, letter.user_id, letter.anonymous_id)
    if event_id is None:
        summary.not_replayable += 1
    elif letter.counted:
        summary.already_counted += 1
    elif identity in seen or _is_copy(letter):
        summary.repeated += 1
    else:
        event: dict[str, Any] = msgspec.json.decode(letter.original)
        time_ms = event.get("timestamp")
        if letter.reason == "too_far_ahead" and isinstance(time_ms, int) and time_ms > now_ms:
            summary.waiting += 1
            return None
        seen.add(identity)
        summary.replayed += 1
        event["event_id"] = event_id
        if event.get("timestamp") is None:
            event["timestamp"] = letter.received_at
        return event_id, msgspec.json.encode(event)
    return None


def _is_copy(letter: DeadLetter) -> bool:
    """Whether an earlier replay made it: the letter that was rejected then is still there."""
    return letter.event_id.startswith(PRODUCER_PREFIX) and letter.reason not in _LATE_REASONS
