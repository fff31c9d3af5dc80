"""The order of an erasure, so that it holds wherever it is cut off:

1. The tombstone is written. From now on nothing that counts the log again counts these events.
2. It waits until all events that were accepted before are in the store.
3. The anonymous ids that the user's events came with are found; they get tombstones too.
4. The rows are deleted from the store, and the profile from its database.
5. Sessions that were open are written once more when they close: a while later they are deleted again.

Asked again, it does all of it again; what is gone is counted as 0.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import msgspec

from streamgauge.core.clock import Clock
from streamgauge.core.errors import InvalidRequest, Overloaded, Unavailable
from streamgauge.erasure import tombstones
from streamgauge.erasure.tombstones import hash_of
from streamgauge.log.base import EventLog, Offsets
from streamgauge.model import DAY_MS
from streamgauge.state.database import StateDatabase
from streamgauge.stream.erased import Erased

COUNTED_S_MAX: Final = 20.0
"""So long it waits until what was accepted is counted."""

_ASK_S: Final = 0.1
_SETTLE_CHECK_S: Final = 60.0
_SETTLE_MARGIN_MS: Final = 10 * 60_000
_ID_CHARS_MAX: Final = 1_024

_logger = logging.getLogger(__name__)

Counted = Callable[[], Awaitable[bool]]
"""Whether all that was in the log at a moment is in the store by now. Raises Unavailable."""


class StoreErase(Protocol):
    """Blocks; used by one thread. Raises Unavailable."""

    def anonymous_ids(self, user: str, until_ms: int) -> list[str]: ...

    def erase(self, user: str, anonymous: Sequence[str], until_ms: int) -> dict[str, int]:
        """Rows received until then, deleted: how many of each table. `user` may be empty."""
        ...

    def erase_sessions(self, hashed: str, until_ms: int) -> int: ...

    def close(self) -> None: ...


class ErasureReport(msgspec.Struct, frozen=True):
    """How many rows of each table are gone, and profiles. `anonymous_ids`: how many visitors were the same person."""

    events: int
    sessions: int
    duplicates: int
    dead_letter: int
    profiles: int
    anonymous_ids: int


class Erasure:
    """`log_of_now` tells when what is in the log now is counted. `erase_profile`: takes the user, when, and
        before when erasures may be forgotten. `log_days`: for how long the log keeps events, and so
    tombstones are needed; `session_gap_ms`: after which a session is closed."""

    def __init__(
        self,
        database: StateDatabase,
        clock: Clock,
        log_of_now: Callable[[], Awaitable[Counted]],
        *,
        open_store: Callable[[], StoreErase],
        erase_profile: Callable[[str, int, int], int],
        log_days: int,
        session_gap_ms: int,
    ) -> None:
        self._database = database
        self._clock = clock
        self._log_of_now = log_of_now
        self._open_store = open_store
        self._erase_profile = erase_profile
        self._keep_ms = (log_days + 1) * DAY_MS
        self._settle_ms = session_gap_ms + _SETTLE_MARGIN_MS
        self._one_at_a_time = asyncio.Lock()

    async def erased(self) -> list[Erased]:
        """Whose events are passed over by what counts the log again."""
        return await self._database.read(tombstones.erased)

    async def erase(self, user: str, *, is_anonymous: bool) -> ErasureReport:
        """Raises InvalidRequest, Overloaded, Unavailable."""
        if not 0 < len(user) <= _ID_CHARS_MAX:
            raise InvalidRequest("that is no id of a user", hint=f"1 to {_ID_CHARS_MAX:,} characters")
        async with self._one_at_a_time:
            until_ms = self._clock.now_ms()
            await self._bury([hash_of("anonymous" if is_anonymous else "user", user)], until_ms)
            await self._wait_until_counted()
            store = await asyncio.to_thread(self._open_store)
            try:
                known = [user] if is_anonymous else await asyncio.to_thread(store.anonymous_ids, user, until_ms)
                if known and not is_anonymous:
                    await self._bury([hash_of("anonymous", one) for one in known], until_ms)
                rows = await asyncio.to_thread(store.erase, "" if is_anonymous else user, known, until_ms)
            finally:
                await asyncio.to_thread(store.close)
            profiles = 0
            if not is_anonymous:
                profiles = await asyncio.to_thread(self._erase_profile, user, until_ms, until_ms - self._keep_ms)
        return ErasureReport(**rows, profiles=profiles, anonymous_ids=len(known))

    async def run(self) -> None:
        """Erase again what sessions wrote when they closed, until it is cancelled."""
        while True:
            await asyncio.sleep(_SETTLE_CHECK_S)
            try:
                await self.settle()
            except (Overloaded, Unavailable) as error:
                _logger.warning("sessions of erased users are looked for again: %s", error.message)

    async def settle(self) -> int:
        """How many rows of sessions were erased again. Raises Overloaded, Unavailable."""
        before_ms = self._clock.now_ms() - self._settle_ms
        waiting = await self._database.read(lambda connection: tombstones.unsettled(connection, before_ms))
        if not waiting:
            return 0
        async with self._one_at_a_time:
            count = await asyncio.to_thread(self._settled, waiting)
            await self._database.write(lambda connection: tombstones.settle(connection, waiting))
        return count

    def _settled(self, waiting: Sequence[Erased]) -> int:
        store = self._open_store()
        try:
            return sum(store.erase_sessions(each.hash, each.erased_ms) for each in waiting)
        finally:
            store.close()

    async def _bury(self, hashes: Sequence[str], until_ms: int) -> None:
        forget_ms = until_ms - self._keep_ms
        await self._database.write(lambda connection: tombstones.bury(connection, hashes, until_ms, forget_ms))

    async def _wait_until_counted(self) -> None:
        """Return when what was accepted before is in the store."""
        is_counted = await self._log_of_now()
        try:
            async with asyncio.timeout(COUNTED_S_MAX):
                while not await is_counted():  # noqa: ASYNC110 - another process may be what counts
                    await asyncio.sleep(_ASK_S)
        except TimeoutError:
            raise Unavailable(
                "events of this user may still wait to be counted",
                hint="nothing was erased yet; ask again when the lag is less",
                retry_after_s=30,
            ) from None


async def all_of(log: EventLog, counted: Callable[[], Awaitable[Offsets]]) -> Counted:
    """Of what the log has now. `counted`: the offset up to which each partition is in the store."""
    ends = await log.end_offsets()

    async def is_counted() -> bool:
        now = await counted()
        return all(now.get(partition, 0) >= end for partition, end in ends.items())

    return is_counted
