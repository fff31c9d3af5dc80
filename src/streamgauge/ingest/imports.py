"""The register of imports: what an interrupted import needs to go on as it began."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from streamgauge.core.errors import InvalidRequest, Unavailable

_SOURCE_CHARS_MAX = 1_024


class Import(msgspec.Struct, frozen=True):
    """A numbered sequence that is sent once. `shift_ms` is added to its times; all numbers below `next_sequence` were
    accepted; `created` is True at its first registration."""

    producer: str
    source: str
    shift_ms: int
    next_sequence: int
    created: bool


class Imports(Protocol):
    async def register(self, producer: str, source: str, shift_ms: int) -> Import:
        """What was registered first under this name stays. Raises InvalidRequest, Unavailable."""
        ...


class SharedImports:
    """`Imports` in a register that several processes share."""

    def __init__(self, register: Callable[[str, str, int], tuple[str, int, int, bool]]) -> None:
        """`register` takes producer, source and shift, and says source, shift and next sequence as they are known, and
        whether it is new. It is called in a thread, and may raise Unavailable."""
        self._register = register

    async def register(self, producer: str, source: str, shift_ms: int) -> Import:
        _check(source, shift_ms)
        found = await asyncio.to_thread(self._register, producer, source, shift_ms)
        first_source, first_shift_ms, next_sequence, created = found
        return Import(producer, first_source, first_shift_ms, next_sequence, created)


class ImportRegistry:
    """`Imports` of the embedded system, in a file."""

    def __init__(self, file: Path, next_sequence: Callable[[str], int]) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._database.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            "CREATE TABLE IF NOT EXISTS imports"
            " (producer TEXT PRIMARY KEY, source TEXT NOT NULL, shift_ms INTEGER NOT NULL)"
        )
        self._lock = asyncio.Lock()
        self._next_sequence = next_sequence

    async def register(self, producer: str, source: str, shift_ms: int) -> Import:
        _check(source, shift_ms)
        async with self._lock:
            try:
                created, row = await asyncio.to_thread(self._insert_or_find, producer, source, shift_ms)
            except sqlite3.Error as error:
                raise Unavailable(f"the register of imports can't be written: {error}") from error
        return Import(producer, row[0], row[1], self._next_sequence(producer), created)

    def _insert_or_find(self, producer: str, source: str, shift_ms: int) -> tuple[bool, tuple[str, int]]:
        inserted = self._database.execute(
            "INSERT OR IGNORE INTO imports VALUES (?, ?, ?)", (producer, source, shift_ms)
        )
        found = self._database.execute("SELECT source, shift_ms FROM imports WHERE producer = ?", (producer,))
        return inserted.rowcount == 1, found.fetchone()

    def close(self) -> None:
        self._database.close()


def _check(source: str, shift_ms: int) -> None:
    """Raises InvalidRequest."""
    if not (0 < len(source) <= _SOURCE_CHARS_MAX and abs(shift_ms) < 2**53):
        raise InvalidRequest(
            "an import has a source and a shift",
            hint=f"source: 1 to {_SOURCE_CHARS_MAX} characters; shift_ms: a number",
        )
