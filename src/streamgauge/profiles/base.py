"""What a user profile database is to the rest of the program."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec
import polars as pl

from streamgauge.core.errors import ConfigError
from streamgauge.profiles.names import UPDATED_AT, USER_ID

READ_PROFILES: Final = 50_000
"""Of one chunk, at most."""

_COLUMN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class Marker(msgspec.Struct, frozen=True):
    """How far a source was read. `newest` is the greatest `updated_at` seen, in the source's own unit, though not one
    of the future. `since_ms` and `read_ms` are when it was seen first and when last, by this program's clock."""

    newest: int
    since_ms: int
    read_ms: int

    def settled(self, visible_ms_max: int) -> bool:
        """Whether a reading came so late after `newest` that all changes up to it had appeared. Those needn't be read
        again: after a bulk load, that would be all of it, at each poll."""
        return self.read_ms - self.since_ms > visible_ms_max


class Chunk(NamedTuple):
    """`profiles` has `user_id` and the source's columns, all String, null where there is no value; an empty text is no
    value. `marker` is set in the last chunk of a reading, which may be an empty one."""

    profiles: pl.DataFrame
    marker: Marker | None


class ProfileSource(Protocol):
    """The profile database. Used from one thread, but for `close`."""

    def read(self, since: Marker | None = None) -> Iterator[Chunk]:
        """All profiles (None), or those that changed since the reading that gave the marker: at least these.

        Some are read again, so that profiles with equal times and transactions that end after others aren't missed: a
        source says how much later than its `updated_at` a change may appear. Profiles that were deleted are missing
        only in a reading of all.

        Raises Unavailable where the database can't be read, at any chunk. No database, or none of that name, where the
        source is one that this program makes itself, is no profiles.
        """
        ...

    def close(self) -> None:
        """From any thread, more than once: a reading under way ends with Unavailable or in full."""
        ...


def is_column(name: str) -> bool:
    """Whether it can be the name of a profile's column."""
    return _COLUMN.fullmatch(name) is not None and name.lower() not in (USER_ID, UPDATED_AT)


def check_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """The names, where each can be a column of profiles. Raises ConfigError."""
    for name in columns:
        if not _COLUMN.fullmatch(name):
            raise ConfigError(
                f"{name[:80]!r} can't be the name of a profile's column",
                hint="up to 64 letters, digits and underscores, and the first one is no digit",
            )
        if name.lower() in (USER_ID, UPDATED_AT):
            raise ConfigError(f"{name!r} is a name that every profile has for itself", hint="give the column another")
    if len({name.lower() for name in columns}) != len(columns):
        raise ConfigError(f"the columns of profiles repeat a name: {', '.join(columns)}", hint="name each one once")
    return tuple(columns)


def following(marker: Marker | None, newest: int | None, now_ms: int) -> Marker:
    """The marker after a reading that saw `newest`; None where it saw no time."""
    if marker is not None and (newest is None or newest <= marker.newest):
        return Marker(marker.newest, marker.since_ms, now_ms)
    return Marker(0 if newest is None else newest, now_ms, now_ms)
