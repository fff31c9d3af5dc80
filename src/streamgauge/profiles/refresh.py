"""Keeps the profiles in memory up to date, and what was known last while their database is down."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from streamgauge.core.clock import Clock
from streamgauge.core.errors import Unavailable
from streamgauge.core.lifecycle import StageState, give_way
from streamgauge.profiles.base import Marker, ProfileSource
from streamgauge.profiles.copy import ProfileCopy
from streamgauge.profiles.table import ProfileTable

RELOAD_S: Final = 3_600.0
"""So often all profiles are read, for those that were deleted."""

RETRY_S_MIN: Final = 1.0
RETRY_S_MAX: Final = 60.0
_COPY_SHARE: Final = 20
"""The copy is written again after so many times as long as it took: a small one at once, a large one now and then."""

_logger = logging.getLogger(__name__)


class ProfileRefresher:
    """Reads all profiles at the start and every `reload_s`, what changed every `interval_s`, in a thread of its own.

    With a local copy, the start is what the copy has and what changed since; all are read one `interval_s` later, for
    those that were deleted meanwhile. `first_load` is set when the start is done, which with a copy doesn't take the
    database. `on_load` is told how many profiles each reading changed, in that thread; `sleep` waits for so many
    seconds.
    """

    def __init__(
        self,
        source: ProfileSource,
        table: ProfileTable,
        clock: Clock,
        *,
        interval_s: float = 10.0,
        reload_s: float = RELOAD_S,
        copy: ProfileCopy | None = None,
        on_load: Callable[[int], None] = lambda changed: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._source, self._table, self._clock, self._copy = source, table, clock, copy
        self._interval_s, self._reload_ms = interval_s, reload_s * 1_000
        self._on_load, self._sleep = on_load, sleep
        self.first_load = asyncio.Event()
        self._stopping = threading.Event()
        self._marker: Marker | None = None
        self._loaded_ms: int | None = None
        self._read_all_at_ms = 0
        self._copied: Marker | None = None
        self._copy_due_ms = 0
        self._copy_is_behind = False
        self._problem = ""

    def state(self) -> StageState:
        """`details`: how many profiles there are, their memory, and when they were read last."""
        details: dict[str, int] = {"profiles": len(self._table), "memory_bytes": self._table.memory_bytes}
        if self._loaded_ms is not None:
            details["loaded_ms"] = self._loaded_ms
        if self._problem:
            return StageState("stale", self._problem, details)
        return StageState("starting" if self._loaded_ms is None else "ready", details=details)

    async def loaded_within(self, seconds_max: float) -> None:
        """Return after the first load, or after this time where the database doesn't answer: what is counted before it
        is counted without profiles."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.first_load.wait(), seconds_max)

    async def run(self) -> None:
        """Until it is cancelled. Operating errors are only in `state`; a reading under way ends soon after."""
        loop, retry_s = asyncio.get_running_loop(), RETRY_S_MIN
        executor = ThreadPoolExecutor(1, "profiles", initializer=give_way)
        try:
            copied = await loop.run_in_executor(executor, self._load_copy)
            while True:
                if await loop.run_in_executor(executor, self._refresh):
                    wait_s, retry_s = self._interval_s, RETRY_S_MIN
                else:
                    wait_s, retry_s = retry_s, min(retry_s * 2, RETRY_S_MAX)
                if copied or self._loaded_ms is not None:
                    self.first_load.set()
                await self._sleep(wait_s)
        finally:
            self._stopping.set()
            executor.submit(self._write_copy)
            executor.shutdown(wait=False)  # the process ends when the thread has
            self._source.close()

    def _load_copy(self) -> bool:
        if self._copy is not None:
            self._marker = self._copied = self._copy.load(self._table)
        if self._marker is not None:
            self._read_all_at_ms = self._clock.now_ms() + round(self._interval_s * 1_000)
        return self._marker is not None

    def _refresh(self) -> bool:
        """Read once. False where the database couldn't be read."""
        try:
            changed = self._read()
        except Unavailable as error:
            if self._stopping.is_set():
                return False
            if self._problem != error.message:
                _logger.warning("%s; what was known stays", error.message)
            self._problem = error.message
            return False
        if self._problem:
            _logger.info("the profiles can be read again")
        self._problem = ""
        self._on_load(changed)
        self._save_copy(changed)
        return True

    def _read(self) -> int:
        """How many profiles changed. Half of a reading may be in the table when it raises Unavailable; the next one
        begins where this one did."""
        now_ms = self._clock.now_ms()
        everything = self._marker is None or now_ms >= self._read_all_at_ms
        # Deleted profiles go with the table that had them. The first one is filled as it is looked up, for there is
        # nothing that could be lost.
        anew = everything and len(self._table) > 0
        table = ProfileTable(self._table.columns, len(self._table)) if anew else self._table
        marker, changed = self._marker, 0
        for chunk in self._source.read(None if everything else self._marker):
            if self._stopping.is_set():
                raise Unavailable("the profiles are not read to their end: shutting down")
            changed += table.upsert(chunk.profiles)
            marker = chunk.marker or marker
        if anew:
            self._table.replace_with(table)
        if everything:
            self._read_all_at_ms = now_ms + round(self._reload_ms)
        self._marker, self._loaded_ms = marker, now_ms
        return changed

    def _save_copy(self, changed: int) -> None:
        """Also where nothing changed since, but a start with the copy would read much again: all that has the time of
        the newest, which was seen only once when it was written."""
        self._copy_is_behind |= changed > 0 or (_seen_once(self._copied) and not _seen_once(self._marker))
        begun_ms = self._clock.now_ms()
        if self._copy_is_behind and begun_ms >= self._copy_due_ms:
            self._write_copy()
            ended_ms = self._clock.now_ms()
            self._copy_due_ms = ended_ms + _COPY_SHARE * (ended_ms - begun_ms)

    def _write_copy(self) -> None:
        if self._copy is not None and self._marker is not None and self._copy_is_behind:
            self._copied = self._marker
            self._copy_is_behind = not self._copy.save(self._table, self._marker)


def _seen_once(marker: Marker | None) -> bool:
    return marker is not None and marker.read_ms == marker.since_ms
