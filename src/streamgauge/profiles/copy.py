"""The last known profiles in a local file: for a start while their database is down, and for a quick one."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from streamgauge.profiles.base import Marker
from streamgauge.profiles.table import HIGH, LOW, ProfileTable, hash_fingerprint

_HASHES: Final = "streamgauge.hashes"
_SOURCE: Final = "streamgauge.source"
_MARKER: Final = "streamgauge.marker"
_LOAD_PROFILES: Final = 100_000
_logger = logging.getLogger(__name__)


class ProfileCopy:
    """A Parquet file: `user_high`, `user_low` and the columns. Ids of users are in it as hashes only.

    What can't be written or read is a warning in the log, no more: the copy is a second best.
    """

    def __init__(self, file: Path, source: str) -> None:
        """`source` names the database: what was copied from another one is not loaded. It is kept as a hash."""
        self._file = file
        self._source = hashlib.sha256(source.encode()).hexdigest()

    def save(self, table: ProfileTable, marker: Marker) -> bool:
        """Put the table, which was read up to `marker`, in place of what the file has, as a whole or not at all."""
        written = self._file.with_name(f"{self._file.name}.new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            metadata = {
                _HASHES: hash_fingerprint(),
                _SOURCE: self._source,
                _MARKER: msgspec.json.encode(marker).decode(),
            }
            with written.open("wb") as file:
                table.export().write_parquet(file, compression="zstd", metadata=metadata)
                file.flush()
                os.fsync(file.fileno())
            written.replace(self._file)
            _sync_folder(self._file.parent)
        except (OSError, pl.exceptions.PolarsError) as error:
            _logger.warning("the local copy of the profiles was not written: %s", error)
            return False
        return True

    def load(self, table: ProfileTable) -> Marker | None:
        """Add what the file has: how far its database had been read. None where there is none that can be used: it is
        damaged, of another database or other columns, or of a version of Polars that hashes otherwise."""
        try:
            if not self._file.exists():
                return None
            metadata = pl.read_parquet_metadata(self._file)
            wanted = {HIGH: pl.UInt64(), LOW: pl.UInt64()} | dict.fromkeys(table.columns, pl.String())
            if (metadata.get(_HASHES), metadata.get(_SOURCE)) != (hash_fingerprint(), self._source):
                return None
            if dict(pl.read_parquet_schema(self._file)) != wanted:
                return None
            marker = msgspec.json.decode(metadata[_MARKER], type=Marker)
            for part in pl.read_parquet(self._file).iter_slices(_LOAD_PROFILES):
                table.upsert_hashed(part.rechunk())
        except (OSError, KeyError, msgspec.DecodeError, pl.exceptions.PolarsError) as error:
            _logger.warning("the local copy of the profiles can't be read: %s", error)
            return None
        return marker


def _sync_folder(folder: Path) -> None:
    """A rename is on the disk when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
