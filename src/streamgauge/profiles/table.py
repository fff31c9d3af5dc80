"""All profiles in memory, as columns: small enough for millions, and asked for tens of thousands at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from streamgauge.core.keytable import Keys, KeyTable, Slots
from streamgauge.profiles.names import USER_ID

Codes = npt.NDArray[np.int32]

HIGH: Final = "user_high"
LOW: Final = "user_low"
_HIGH_SEED: Final = 0x5747_0001
_LOW_SEED: Final = 0x5747_0002
_ROOM_MIN: Final = 1_024
_TEXTS_SPARE: Final = 100_000


class ProfileTable:
    """Profiles by `user_id`, of which only a 128-bit hash is kept.

    One thread writes (`upsert`, `replace_with`), another one looks up: it sees all of an upsert or nothing of it. The
    lock between them is held for the copying of numbers only, about 0.3 µs a profile.
    """

    def __init__(self, columns: Sequence[str], capacity_hint: int = 0) -> None:
        self.columns = tuple(columns)
        self._lock = threading.Lock()
        self._keys = KeyTable(capacity_hint)
        self._values = [_Values() for _ in self.columns]

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def memory_bytes(self) -> int:
        return self._keys.memory_bytes + sum(values.memory_bytes for values in self._values)

    def upsert(self, profiles: pl.DataFrame) -> int:
        """Add or change profiles: `user_id` without nulls and this table's columns, String. Of equal ids, the last one
        counts. Gives how many are new or have another value now."""
        return self.upsert_hashed(hashed(profiles, self.columns))

    def upsert_hashed(self, profiles: pl.DataFrame) -> int:
        """`upsert` of what `hashed` gave, or `export`."""
        high, low = profiles[HIGH].to_numpy(), profiles[LOW].to_numpy()
        slots = self._keys.find(high, low)
        count = len(self._keys) + int(np.count_nonzero(slots < 0))
        # What takes time comes first; whoever looks up meanwhile sees the old arrays.
        self._keys.reserve(count - len(self._keys))
        codes = [values.encode(profiles[name]) for name, values in zip(self.columns, self._values, strict=True)]
        for values in self._values:
            values.reserve(count)
        with self._lock:
            before = len(self._keys)
            slots = self._keys.insert(high, low)
            changed = slots >= before
            for values, column in zip(self._values, codes, strict=True):
                changed |= values.put(slots, column)
        for values in self._values:
            values.forget_unused(len(self._keys), self._lock)
        return int(np.unique(slots[changed]).size)

    def lookup(self, user_ids: pl.Series) -> pl.DataFrame:
        """One row for each id, in their order, with this table's columns, String: null where the user has no profile or
        the profile no value, or the id is null."""
        high, low = _hashes(user_ids)
        with self._lock:
            slots = self._keys.find(high, low)
            found = [values.get(slots) for values in self._values]
        return pl.DataFrame(
            [texts.gather(codes).alias(name) for name, (texts, codes) in zip(self.columns, found, strict=True)]
        )

    def replace_with(self, other: ProfileTable) -> None:
        """Have what `other` has, which is not to be used any more."""
        with self._lock:
            self._keys, self._values = other._keys, other._values

    def export(self) -> pl.DataFrame:
        """All profiles: `user_high` and `user_low` (UInt64), and this table's columns. For the thread that writes."""
        high, low = self._keys.keys()
        slots = np.arange(len(self._keys))
        found = [values.get(slots) for values in self._values]
        texts = [texts.gather(codes).alias(name) for name, (texts, codes) in zip(self.columns, found, strict=True)]
        return pl.DataFrame([pl.Series(HIGH, high), pl.Series(LOW, low), *texts])


class _Values:
    """One column: a code for each slot, and what the codes stand for. Code 0 is no value."""

    def __init__(self) -> None:
        self._codes: Codes = np.zeros(_ROOM_MIN, np.int32)  # the first one is of the slot -1, no profile
        self._texts = pl.Series([None], dtype=pl.String)
        self._known = KeyTable()

    @property
    def memory_bytes(self) -> int:
        return self._codes.nbytes + int(self._texts.estimated_size()) + self._known.memory_bytes

    def encode(self, texts: pl.Series) -> Codes:
        """The code of each text; new ones are given to those not seen before."""
        known = len(self._known)
        codes = self._known.insert(*_hashes(texts)) + 1
        absent = texts.is_null().to_numpy()
        if len(self._known) > known:
            self._learn(texts, codes, known)
        codes[absent] = 0
        return codes.astype(np.int32)

    def _learn(self, texts: pl.Series, codes: Slots, known: int) -> None:
        new, first = np.unique(codes, return_index=True)
        first = first[new > known]  # in the order of the codes, without a gap
        # By way of Python, so that a few short texts don't keep the memory of the chunk that they came in.
        added = pl.Series(texts.gather(first).to_list(), dtype=pl.String)
        self._texts = pl.concat([self._texts, added], rechunk=True)

    def reserve(self, slots: int) -> None:
        room = self._codes.size
        if slots + 1 > room:
            grown = np.zeros(max(slots + 1, room * 2), np.int32)
            grown[:room] = self._codes
            self._codes = grown

    def put(self, slots: Slots, codes: Codes) -> npt.NDArray[np.bool_]:
        """Which of them had another one."""
        changed: npt.NDArray[np.bool_] = self._codes[slots + 1] != codes
        self._codes[slots + 1] = codes
        return changed

    def get(self, slots: Slots) -> tuple[pl.Series, Codes]:
        return self._texts, self._codes.take(slots + 1)

    def forget_unused(self, profiles: int, lock: threading.Lock) -> None:
        """Where most texts are those that profiles had before, keep only those of now."""
        if len(self._texts) <= 2 * profiles + _TEXTS_SPARE:
            return
        used, codes = np.unique(self._codes[: profiles + 1], return_inverse=True)
        texts = pl.Series(self._texts.gather(used).to_list(), dtype=pl.String)
        known = KeyTable(texts.len())
        known.insert(*_hashes(texts[1:]))
        compact = np.zeros(self._codes.size, np.int32)
        compact[: profiles + 1] = codes
        with lock:
            self._codes, self._texts, self._known = compact, texts, known


def hashed(profiles: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """`user_high` and `user_low` (UInt64) in place of `user_id`, then `columns`."""
    high, low = _hashes(profiles[USER_ID])
    return pl.DataFrame([pl.Series(HIGH, high), pl.Series(LOW, low), *(profiles[name] for name in columns)])


def hash_fingerprint() -> str:
    """Another one when hashes are others, as they may be with another version of Polars."""
    samples = pl.Series(["x" * length for length in (0, 1, 3, 4, 8, 9, 16, 17, 64, 128, 129, 240, 241, 300, 2_000)])
    high, low = _hashes(samples)
    return f"{int(np.bitwise_xor.reduce(high)):016x}{int(np.bitwise_xor.reduce(low)):016x}"


def _hashes(texts: pl.Series) -> tuple[Keys, Keys]:
    return texts.hash(_HIGH_SEED).to_numpy(), texts.hash(_LOW_SEED).to_numpy()
