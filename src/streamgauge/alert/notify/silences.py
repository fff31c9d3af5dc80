"""Silences in the state database: made by people, in any process; asked for before each look at a group."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update

from streamgauge.alert.notify.muting import Silence
from streamgauge.alert.notify.tables import SILENCES
from streamgauge.core.errors import InvalidRequest, NotFound
from streamgauge.core.matchers import Matcher, parse_matchers
from streamgauge.state.database import StateDatabase

AUTHOR_CHARS_MAX: Final = 256
COMMENT_CHARS_MAX: Final = 4_096
KEPT_MS: Final = 5 * 86_400_000
"""So long is a silence still shown after its end."""

_S = SILENCES.c


class Wish(msgspec.Struct, frozen=True):
    """A silence that somebody wants; times in ms, half-open."""

    matchers: tuple[Matcher, ...]
    starts_at_ms: int
    ends_at_ms: int
    author: str
    comment: str


class Silences:
    def __init__(self, database: StateDatabase, silences_max: int) -> None:
        """`silences_max`: that have not ended."""
        self._database, self._silences_max = database, silences_max

    async def all(self) -> list[Silence]:
        """Also those that ended a while ago, the one that ends last first."""
        wanted = select(SILENCES).order_by(_S.ends_at_ms.desc(), _S.id)
        return await self._asked(wanted)

    async def open(self, now_ms: int) -> list[Silence]:
        """Those that have not ended."""
        return await self._asked(select(SILENCES).where(_S.ends_at_ms > now_ms))

    async def add(self, wish: Wish, now_ms: int) -> Silence:
        """Raises InvalidRequest."""
        _check(wish, now_ms)
        silence = Silence(uuid.uuid4().hex, **msgspec.structs.asdict(wish), updated_at_ms=now_ms)

        def work(connection: Connection) -> None:
            connection.execute(delete(SILENCES).where(_S.ends_at_ms < now_ms - KEPT_MS))
            count = connection.execute(select(func.count()).where(_S.ends_at_ms > now_ms)).scalar_one()
            if count >= self._silences_max:
                raise InvalidRequest(
                    f"there are {count} silences already", code="too_many_silences", hint="delete some of them"
                )
            connection.execute(insert(SILENCES), [_row(silence)])

        await self._database.write(work)
        return silence

    async def change(self, id_: str, wish: Wish, now_ms: int) -> Silence:
        """Raises InvalidRequest, and NotFound where there is none of this id that hasn't ended."""
        _check(wish, now_ms)
        silence = Silence(id_, **msgspec.structs.asdict(wish), updated_at_ms=now_ms)

        def work(connection: Connection) -> None:
            mine = update(SILENCES).where(_S.id == id_, _S.ends_at_ms > now_ms)
            if not connection.execute(mine.values(_row(silence))).rowcount:
                raise _not_found(id_)

        await self._database.write(work)
        return silence

    async def expire(self, id_: str, now_ms: int) -> Silence:
        """End it now; it is still shown for a while. Raises NotFound."""

        def work(connection: Connection) -> Silence:
            row = connection.execute(select(SILENCES).where(_S.id == id_)).mappings().one_or_none()
            if row is None:
                raise _not_found(id_)
            found = _silence(row)
            if found.state(now_ms) == "expired":
                return found
            ended = msgspec.structs.replace(
                found, starts_at_ms=min(found.starts_at_ms, now_ms), ends_at_ms=now_ms, updated_at_ms=now_ms
            )
            connection.execute(update(SILENCES).where(_S.id == id_).values(_row(ended)))
            return ended

        return await self._database.write(work)

    async def _asked(self, wanted: Any) -> list[Silence]:
        return await self._database.read(
            lambda connection: [_silence(row) for row in connection.execute(wanted).mappings()]
        )


def written(matchers: Sequence[Matcher]) -> str:
    return ",".join(str(matcher) for matcher in matchers)


def _check(wish: Wish, now_ms: int) -> None:
    if not wish.matchers:
        raise InvalidRequest("a silence needs a matcher", code="invalid_matcher", hint='write it like severity="page"')
    if all(matcher.matches({}) for matcher in wish.matchers):
        raise InvalidRequest(
            "these matchers match an alert without any label, and so nearly everything",
            code="invalid_matcher",
            hint='name at least one label that must be there, like alertname=~".+"',
        )
    if wish.ends_at_ms <= wish.starts_at_ms:
        raise InvalidRequest("the silence ends before it starts", code="invalid_range", hint="the end is not included")
    if wish.ends_at_ms <= now_ms:
        raise InvalidRequest("the silence has ended already", code="invalid_range", hint="give an end in the future")
    for name, text, chars_max in (
        ("author", wish.author, AUTHOR_CHARS_MAX),
        ("comment", wish.comment, COMMENT_CHARS_MAX),
    ):
        if not text.strip() or len(text) > chars_max:
            raise InvalidRequest(
                f"the {name} of a silence is missing or longer than {chars_max} characters",
                hint="others will want to know who silenced this, and why",
            )


def _row(silence: Silence) -> dict[str, Any]:
    return {**msgspec.structs.asdict(silence), "matchers": written(silence.matchers)}


def _silence(row: Any) -> Silence:
    return Silence(**{**row, "matchers": parse_matchers(row["matchers"])})


def _not_found(id_: str) -> NotFound:
    return NotFound(f"there is no silence {id_[:64]!r} that could be changed", hint="GET /silences has them all")
