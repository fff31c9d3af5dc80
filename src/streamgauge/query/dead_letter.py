"""The dead letter, asked: what was not counted, and why."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from streamgauge.core.errors import InvalidRequest
from streamgauge.model import MADE_ID_PREFIX
from streamgauge.query.lookup import LETTER_COUNTS, LETTERS, WHICH_ARE_COUNTED
from streamgauge.query.parameters import (
    TIME_MS_END,
    Parameters,
    did_you_mean,
    limit_of,
    listed,
    moment_ms,
    single,
)
from streamgauge.store.base import StoreReader

LETTERS_DEFAULT: Final = 100
LETTERS_MAX: Final = 500
"""Of one answer: each may be as large as an event."""

_FILTERS: Final = ("reason", "event_id", "from", "to")
_BAD_IDS: Final = frozenset({"invalid_event_id", "reserved_event_id"})
"""Reasons by which an item was rejected for its id."""

_CURSOR: Final = re.compile(r"(\d{1,15})-(\d{1,5})-(\d{1,19})", re.ASCII)


class Letter(msgspec.Struct, frozen=True):
    """`event_id`: of the record in the log. `replay_as`: the id that the event has when it is sent again, its own where
    it has one; None where it can't be sent, since it is no object. `user_id`, `anonymous_id`: whose event it is,
    as it says itself. `counted`: whether an event of theirs with that id has been counted, as far as events are kept;
    None where that was not asked."""

    received_ms: int
    partition: int
    offset: int
    reason: str
    message: str
    event_id: str
    original: str
    replay_as: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    counted: bool | None = None


class LettersPage(msgspec.Struct, frozen=True):
    """`after` goes on where this page ends; None at the end."""

    letters: Sequence[Letter]
    after: str | None


class ReasonCount(msgspec.Struct, frozen=True):
    reason: str
    count: int
    newest_ms: int


class DeadLetterService:
    def __init__(self, reader: StoreReader, id_chars_max: int) -> None:
        self._reader = reader
        self._id_chars_max = id_chars_max

    async def page(self, parameters: Parameters) -> LettersPage:
        """Newest first. Raises InvalidRequest for what can't be asked, and what the reader raises."""
        _check_known(parameters, (*_FILTERS, "limit", "after", "counted"))
        limit = limit_of(parameters, "limit", LETTERS_DEFAULT, LETTERS_MAX)
        asked = _filters(parameters) | _before(single(parameters, "after")) | {"limit": limit + 1}
        # A page begins where the one before it ended: what is newer needs not be looked at.
        asked["to_ms"] = min(asked["to_ms"], asked["before_ms"] + 1)
        rows = await self._reader.query(LETTERS, asked)
        letters = [_letter(row, self._id_chars_max) for row in rows[:limit]]
        if _flag(parameters, "counted"):
            letters = await self._with_counted(letters)
        last = letters[-1] if len(rows) > limit else None
        return LettersPage(letters, None if last is None else f"{last.received_ms}-{last.partition}-{last.offset}")

    async def counts(self, parameters: Parameters) -> list[ReasonCount]:
        """Of each reason, the most frequent first. Raises as `page` does."""
        _check_known(parameters, _FILTERS)
        return [ReasonCount(*row) for row in await self._reader.query(LETTER_COUNTS, _filters(parameters))]

    async def _with_counted(self, letters: Sequence[Letter]) -> list[Letter]:
        event_ids = [one.replay_as for one in letters if one.replay_as is not None]
        rows = await self._reader.query(WHICH_ARE_COUNTED, {"event_ids": event_ids}) if event_ids else []
        counted = set(rows)
        return [
            msgspec.structs.replace(one, counted=(one.replay_as, one.user_id or "", one.anonymous_id or "") in counted)
            for one in letters
        ]


def _letter(row: tuple[Any, ...], id_chars_max: int) -> Letter:
    letter = Letter(*row)
    event = _event_of(letter.original)
    if event is None:
        return letter
    return msgspec.structs.replace(
        letter,
        replay_as=_replay_as(letter, event, id_chars_max),
        user_id=_identifier(event.get("user_id")),
        anonymous_id=_identifier(event.get("anonymous_id")),
    )


def _flag(parameters: Parameters, name: str) -> bool:
    text = single(parameters, name) or "false"
    if text not in ("true", "false"):
        raise InvalidRequest(f"{name!r} is neither true nor false: {text[:64]!r}", hint=f"write {name}=true")
    return text == "true"


def _check_known(parameters: Parameters, known: Collection[str]) -> None:
    for key, _ in parameters:
        if key not in known:
            raise InvalidRequest(
                f"{key[:64]!r} is not a parameter",
                code="unknown_parameter",
                hint=f"{did_you_mean(key, known)}parameters: {listed(known)}",
            )


def _filters(parameters: Parameters) -> dict[str, Any]:
    start, end = single(parameters, "from"), single(parameters, "to")
    from_ms = 0 if start is None else moment_ms(start, "from")
    to_ms = TIME_MS_END if end is None else moment_ms(end, "to")
    if from_ms >= to_ms:
        raise InvalidRequest("'from' is not before 'to'", hint="the range is half-open: [from, to)")
    return {
        "reason": single(parameters, "reason") or "",
        "event_id": single(parameters, "event_id") or "",
        "from_ms": from_ms,
        "to_ms": to_ms,
    }


def _before(after: str | None) -> dict[str, int]:
    """The place that a cursor stands for; one past all letters where there is none."""
    if not after:
        return {"before_ms": TIME_MS_END, "before_partition": 0, "before_offset": 0}
    found = _CURSOR.fullmatch(after)
    received_ms, partition, offset = (int(part) for part in found.groups()) if found else (TIME_MS_END, 0, 0)
    if not found or received_ms >= TIME_MS_END or partition >= 2**16 or offset >= 2**63:
        raise InvalidRequest(f"'after' is not a cursor: {after[:64]!r}", hint="give what the page before it says")
    return {"before_ms": received_ms, "before_partition": partition, "before_offset": offset}


def _event_of(original: str) -> dict[str, Any] | None:
    """None for what is no JSON object."""
    try:
        event = msgspec.json.decode(original)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return event if type(event) is dict else None


def _identifier(value: object) -> str | None:
    """As ingest takes it: 123 and "123" are the same; "" is none."""
    return (str(value) if type(value) is int else value if type(value) is str else None) or None


def _replay_as(letter: Letter, event: dict[str, Any], id_chars_max: int) -> str:
    """Its own id is what the client knows it by, and by which it isn't counted twice where the client has sent it again
    since. An id that was refused, or that the server made for another, is replaced by that of the letter."""
    own = _identifier(event.get("event_id"))
    if own is None or len(own) > id_chars_max or own.startswith(MADE_ID_PREFIX) or letter.reason in _BAD_IDS:
        return letter.event_id
    return own
