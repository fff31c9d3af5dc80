"""Where the log ends, as far as it says so soon: a log on other machines may take long to find out."""

from __future__ import annotations

from streamgauge.core.clock import Clock
from streamgauge.core.soon import Soon
from streamgauge.log.base import EventLog, Offsets


class LogEnds:
    def __init__(self, log: EventLog, clock: Clock) -> None:
        self._log = log
        self._soon = Soon(self._end_offsets)
        self._clock = clock
        self._known: tuple[int, Offsets] = (clock.now_ms(), {})

    async def ask(self) -> Offsets | None:
        """None where the log doesn't answer, or not within a second. Who asks meanwhile is not kept waiting."""
        return await self._soon.ask()

    async def last_known(self) -> tuple[int, Offsets]:
        """What the log said last, and when it was asked that (ms since 1970): now, unless it doesn't answer."""
        asked_ms, found = self._clock.now_ms(), await self.ask()
        if found is not None:
            self._known = (asked_ms, found)
        return self._known

    async def _end_offsets(self) -> Offsets:
        return await self._log.end_offsets()
