"""`groups.db`: how many partitions the log has, and the committed offsets of consumer groups."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from streamgauge.core.errors import ConfigError
from streamgauge.log.base import Offsets
from streamgauge.log.sqlite_medium import connect, transaction

FORMAT = 1
"""Of all files of the log. A later release that changes them reads this number first."""


class Groups:
    """Opened and used by one thread. Other processes may have it open too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._connection = connect(folder / "groups.db", "rwc")
        self._connection.execute("PRAGMA journal_mode = WAL")

    @contextlib.contextmanager
    def founding(self, partitions: int) -> Iterator[None]:
        """Settle the facts of the log, and keep every other process out that is opening it, until the block ends.

        Raises ConfigError when the log has been made otherwise.
        """
        with transaction(self._connection):
            self._connection.execute("CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL)")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS committed (consumer_group TEXT NOT NULL, partition INTEGER NOT NULL, "
                "next INTEGER NOT NULL, PRIMARY KEY (consumer_group, partition)) WITHOUT ROWID"
            )
            self._connection.executemany(
                "INSERT INTO facts VALUES (?, ?) ON CONFLICT DO NOTHING",
                (("format", FORMAT), ("partitions", partitions)),
            )
            self._check_facts(partitions)
            yield

    def _check_facts(self, partitions: int) -> None:
        facts = dict(self._connection.execute("SELECT name, value FROM facts"))
        if facts["format"] != FORMAT:
            raise ConfigError(
                f"the log in {self._folder} has format {facts['format']}, this release reads format {FORMAT}",
                hint="use the release that made it, or another data folder",
            )
        if facts["partitions"] != partitions:
            raise ConfigError(
                f"the log in {self._folder} has {facts['partitions']} partitions, the settings say {partitions}",
                hint=f"set partitions = {facts['partitions']}, or use another data folder: the number is fixed when "
                "the log is made, because a user's events stay in one partition",
            )

    def committed(self, group: str) -> dict[int, int]:
        """Only the partitions that have an offset."""
        return dict(
            self._connection.execute("SELECT partition, next FROM committed WHERE consumer_group = ?", (group,))
        )

    def commit(self, group: str, offsets: Offsets) -> None:
        with transaction(self._connection):
            self._connection.executemany(
                "INSERT INTO committed VALUES (?, ?, ?) "
                "ON CONFLICT (consumer_group, partition) DO UPDATE SET next = excluded.next",
                [(group, partition, offset) for partition, offset in offsets.items()],
            )

    def highest(self, partitions: int) -> list[int]:
        """The highest offset that any group has committed, of each partition."""
        found = dict(self._connection.execute("SELECT partition, max(next) FROM committed GROUP BY partition"))
        return [found.get(partition, 0) for partition in range(partitions)]

    def close(self) -> None:
        self._connection.close()
