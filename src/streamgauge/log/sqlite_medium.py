"""What all files of the embedded log share: how they are opened, and how a refusal of the disk is named."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import zstandard

from streamgauge.core.errors import Unavailable

BUSY_S_MAX = 10.0
"""How long a connection waits for another one's lock before it gives up. Locks are held for one commit."""


def connect(path: Path, mode: Literal["ro", "rw", "rwc"]) -> sqlite3.Connection:
    """A connection for the calling thread. Only `rwc` makes the file; a transaction begins with BEGIN, not by itself.

    Whatever is committed has been synced: also in WAL mode (FULL), also where fsync alone is not enough (macOS).
    """
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S_MAX, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """BEGIN … COMMIT, or ROLLBACK when something was raised, by COMMIT too."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def refusals(folder: Path) -> Iterator[None]:
    """What the disk refuses becomes `Unavailable`. Misuse of SQLite passes through: that is a bug, not the disk."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError, sqlite3.InternalError, sqlite3.NotSupportedError):
        raise
    except (sqlite3.DatabaseError, zstandard.ZstdError, OSError) as error:
        raise Unavailable(
            f"the log in {folder} can't be used: {error}",
            hint="check that the disk has space left and that the folder can be written",
        ) from error


def sync_folder(folder: Path) -> None:
    """A new file survives a power failure only once its folder is on disk as well."""
    if os.name != "posix":  # elsewhere a folder can't be opened, and the file system does it by itself
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
