"""The last known profiles in a local file, for a start while their database is down."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

import polars as pl

from streamgauge.profiles.table import HIGH, LOW, ProfileTable, hash_fingerprint

_KIND: Final = "streamgauge.profiles"
_LOAD_PROFILES: Final = 100_000
_logger = logging.getLogger(__name__)


class ProfileCopy:
    """A Parquet file: `user_high`, `user_low` and the columns. Ids of users are in it as hashes only.

    What can't be written or read is a warning in the log, no more: the copy is a second best.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def save(self, table: ProfileTable) -> bool:
        """Put the table in place of what the file has, as a whole or not at all."""
        written = self._file.with_name(f"{self._file.name}.new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with written.open("wb") as file:
                table.export().write_parquet(file, compression="zstd", metadata={_KIND: hash_fingerprint()})
                file.flush()
                os.fsync(file.fileno())
            written.replace(self._file)
            _sync_folder(self._file.parent)
        except (OSError, pl.exceptions.PolarsError) as error:
            _logger.warning("the local copy of the profiles was not written: %s", error)
            return False
        return True

    def load(self, table: ProfileTable) -> bool:
        """Add what the file has. False where there is none that can be used: it is damaged, of other columns, or of a
        version of Polars that hashes otherwise."""
        try:
            if not self._file.exists():
                return False
            metadata = pl.read_parquet_metadata(self._file)
            wanted = {HIGH: pl.UInt64(), LOW: pl.UInt64()} | dict.fromkeys(table.columns, pl.String())
            if metadata.get(_KIND) != hash_fingerprint() or dict(pl.read_parquet_schema(self._file)) != wanted:
                return False
            for part in pl.read_parquet(self._file).iter_slices(_LOAD_PROFILES):
                table.upsert_hashed(part.rechunk())
        except (OSError, pl.exceptions.PolarsError) as error:
            _logger.warning("the local copy of the profiles can't be read: %s", error)
            return False
        return True


def _sync_folder(folder: Path) -> None:
    """A rename is on the disk when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
