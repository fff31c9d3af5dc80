"""What this process knows of keys and sessions: all of them, read anew every second, so that a revocation anywhere is
seen everywhere within seconds and no request waits for the state database."""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from streamgauge.access.keys import SECRET_CHARS_MAX, Key, Verified, hash_of, selector_of, verifier_of
from streamgauge.access.register import Known
from streamgauge.core.clock import Clock
from streamgauge.core.errors import Overloaded, Unavailable
from streamgauge.core.lifecycle import StageState

REFRESH_S: Final = 1.0

STALE_S_MAX: Final = 300.0
"""So long is what was known believed where the state database doesn't answer. Nobody could write a revocation there
meanwhile, so what is bounded is only how long one replica may be cut off from it."""

MISSES_S_MIN: Final = 0.25
"""A secret that is not known may have been made a moment ago elsewhere: what is known is read anew, this often at
most, however many strangers knock."""

WAITING_MAX: Final = 1_000
"""Requests that wait for that; further ones with a secret that isn't known are refused at once."""

_logger = logging.getLogger(__name__)


class Keyring:
    """Used on the event loop only. `load` reads what is known now; it raises Overloaded or Unavailable."""

    def __init__(
        self, load: Callable[[], Awaitable[Known]], clock: Clock, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._load = load
        self._clock = clock
        self._seconds = seconds
        self._known = Known()
        self._origins: tuple[str, ...] = ()
        self._read_s = -math.inf
        self._problem = "keys have not been read yet"
        self._reading: asyncio.Task[None] | None = None
        self._waiting = 0

    async def refresh(self) -> None:
        """Raises Overloaded, Unavailable."""
        begun_s = self._seconds()
        try:
            known = await self._load()
        except (Overloaded, Unavailable) as error:
            self._problem = error.message
            raise
        self._known, self._read_s, self._problem = known, begun_s, ""
        self._origins = tuple(sorted({origin for each in known.keys.values() for origin in each.key.origins}))

    async def run(self) -> None:
        """Keep it fresh until it is cancelled."""
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self.refresh()
            except (Overloaded, Unavailable) as error:
                _logger.warning("keys are those of %.0f s ago: %s", self._seconds() - self._read_s, error.message)

    @property
    def any_made(self) -> bool:
        return self._known.any_made

    @property
    def origins(self) -> tuple[str, ...]:
        """Of all keys."""
        return self._origins

    def check_age(self) -> None:
        """Raises Unavailable where what is known is too old to be believed."""
        if self._seconds() - self._read_s > STALE_S_MAX:
            raise Unavailable(
                "keys can't be checked: the state database does not answer", hint="the server's log has the reason"
            )

    def key_now(self, secret: str) -> Key | None:
        """The same from any thread, of what is known already. Raises Unavailable where that is too old."""
        return self._verified(hash_of(secret), self._known.keys) if 0 < len(secret) <= SECRET_CHARS_MAX else None

    async def key(self, secret: str) -> Key | None:
        """The live key of a secret. Raises Unavailable where that can't be told."""
        return await self._found(secret, lambda known: known.keys)

    async def key_of_session(self, token: str) -> Key | None:
        """That the browser with this token signed in with. Raises as `key` does."""
        return await self._found(token, lambda known: known.sessions)

    def state(self) -> StageState:
        if not self._problem:
            return StageState("ready")
        is_usable = self._seconds() - self._read_s <= STALE_S_MAX
        return StageState("stale" if is_usable else "degraded", f"keys can't be read: {self._problem}")

    async def _found(self, secret: str, among: Callable[[Known], Mapping[str, Verified]]) -> Key | None:
        if not 0 < len(secret) <= SECRET_CHARS_MAX:
            return None
        hashed = hash_of(secret)
        found = self._verified(hashed, among(self._known))
        if found is None and await self._read_anew():
            found = self._verified(hashed, among(self._known))
        return found

    def _verified(self, hashed: str, known: Mapping[str, Verified]) -> Key | None:
        self.check_age()
        found = known.get(selector_of(hashed))
        if found is None or not hmac.compare_digest(found.verifier, verifier_of(hashed)):
            return None
        return found.key if found.until_ms is None or self._clock.now_ms() < found.until_ms else None

    async def _read_anew(self) -> bool:
        """Whether what is known was read after this call began."""
        if self._waiting >= WAITING_MAX:
            return False
        self._waiting += 1
        try:
            begun_s = self._seconds()
            while self._read_s < begun_s:
                if self._reading is None or self._reading.done():
                    self._reading = asyncio.create_task(self._read_in_turn())
                await asyncio.shield(self._reading)
        finally:
            self._waiting -= 1
        return True

    async def _read_in_turn(self) -> None:
        await asyncio.sleep(max(0.0, self._read_s + MISSES_S_MIN - self._seconds()))
        await self.refresh()
