"""From the log to the profiles: a reader of its own, so that profiles which can't be written hold up nothing else.

1. A batch of the log is read; it begins where the one before it ended.
2. Its traits are put into the profiles, and are on disk.
3. The log is told how far it was read, now and then.

After a crash between 2 and 3, or before 3, traits are read once more. They say the same again, and nothing said later
is undone by it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

import stamina

from streamgauge.core.errors import Unavailable
from streamgauge.core.lifecycle import StageState
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.log.base import EventLog
from streamgauge.profiles.identify import Traits, traits_in
from streamgauge.profiles.traits import TraitsWriter

GROUP: Final = "profiles"
"""The consumer group of the profiles."""

_COMMIT_S: Final = 10.0
"""So often is the log told how far it was read, where that took no traits: reading is cheap, and a commit is not."""

_LOG_PAUSE_S: Final = 1.0

_logger = logging.getLogger(__name__)


class TraitsKeeper:
    """Runs until it is cancelled. Operating errors are only in `state`, and are tried again for ever."""

    def __init__(self, log: EventLog, writer: TraitsWriter, metrics: SelfMetrics) -> None:
        self._log, self._writer, self._metrics = log, writer, metrics
        self._problem = ""

    def state(self) -> StageState:
        if self._problem:
            return StageState("degraded", self._problem, needed=False)
        return StageState("ready", needed=False)

    async def run(self) -> None:
        while True:
            try:
                await self._read()
                return  # the log was closed
            except Unavailable as error:
                self._degrade(error)
                await asyncio.sleep(_LOG_PAUSE_S)

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        due_s, positions = loop.time() + _COMMIT_S, dict[int, int]()
        async for batch in self._log.read(GROUP):
            traits = await asyncio.to_thread(traits_in, batch)
            if traits:
                await self._keep(traits)
            positions |= batch.next_offsets
            if traits or loop.time() >= due_s:
                await self._log.commit(GROUP, positions)
                due_s = loop.time() + _COMMIT_S
            self._problem = ""

    async def _keep(self, traits: Sequence[Traits]) -> None:
        async for attempt in stamina.retry_context(on=Unavailable, attempts=None, timeout=None, wait_max=10.0):
            with attempt:
                try:
                    outcomes = await asyncio.to_thread(self._writer.upsert, traits)
                except Unavailable as error:
                    self._degrade(error)
                    raise
        for outcome, count in outcomes.items():
            self._metrics.profile_traits.labels(outcome).inc(count)

    def _degrade(self, error: Unavailable) -> None:
        if self._problem != error.message:
            _logger.warning("traits of users are not kept, trying again: %s", error.message)
        self._problem = error.message
