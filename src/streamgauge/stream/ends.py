"""Where the log ends, as far as it says so soon: a log on other machines may take long to find out."""

from __future__ import annotations

import asyncio
from typing import Final

from streamgauge.core.clock import Clock
from streamgauge.core.errors import Unavailable
from streamgauge.log.base import EventLog, Offsets

_ANSWER_S_MAX: Final = 1.0


class LogEnds:
    def __init__(self, log: EventLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._known: tuple[int, Offsets] = (clock.now_ms(), {})
        self._slow: asyncio.Future[dict[int, int]] | None = None

    async def ask(self) -> Offsets | None:
        """None where the log doesn't answer, or not within a second. Who asks meanwhile is not kept waiting."""
        if self._slow is not None and not self._slow.done():
            return None
        asking = asyncio.ensure_future(self._log.end_offsets())
        asking.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever waits may be gone
        await asyncio.wait({asking}, timeout=_ANSWER_S_MAX)
        if not asking.done():
            self._slow = asking
            return None
        try:
            return asking.result()
        except Unavailable:
            return None

    async def last_known(self) -> tuple[int, Offsets]:
        """What the log said last, and when it was asked that (ms since 1970): now, unless it doesn't answer."""
        asked_ms, found = self._clock.now_ms(), await self.ask()
        if found is not None:
            self._known = (asked_ms, found)
        return self._known
