"""A set of 128-bit keys with a dense slot number for each, for many keys a call: what a dict is for one at a time.

Who needs more than a set keeps arrays beside it, indexed by slot: values, times, whatever belongs to a key.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
Slots = npt.NDArray[np.int64]

_EMPTY: Final = -1
_BUCKETS_MIN: Final = 1_024
_BUCKETS_MAX: Final = 1 << 31
_LOAD_MAX: Final = 0.6
_ROUND_LOAD_MAX: Final = 0.2
"""Keys are inserted in rounds of at most so many a bucket: how many of a round are new shows only when it is done, and
there must be buckets for all of them."""
_ROUND_KEYS_MAX: Final = 1 << 16
"""And at most so many, whose intermediate results fit into the processor's cache: that is nearly twice as quick as ten
millions at once."""

_WORD_BITS: Final = 64
_LOW_FACTOR: Final = np.uint64(0xD6E8_FEB8_6659_FD93)
_BUCKET_FACTOR: Final = np.uint64(0x9E37_79B9_7F4A_7C15)


class _Table(NamedTuple):
    """`buckets`: bucket → slot or -1, by linear probing, its length a power of two. `high`, `low`: slot → key."""

    buckets: npt.NDArray[np.int32]
    high: Keys
    low: Keys


class KeyTable:
    """Slots are dense: the first new key gets 0, the next one 1, and so on, and keeps it. Keys are never removed: to
    forget some, build another table of those that are kept.

    A key is the pair of unsigned 64-bit numbers at one position of `high` and `low`, arrays of one length. Hashes are
    expected: keys that were made to share a bucket make calls slow, never wrong.

    For one thread, except that `find` may run in another one while `reserve` does; not while `insert` does.
    """

    def __init__(self, capacity_hint: int = 0) -> None:
        """Room for `capacity_hint` keys before the table grows, by doubling."""
        self._count = 0
        self._table = _empty_table(_buckets_for(capacity_hint))

    def __len__(self) -> int:
        return self._count

    @property
    def memory_bytes(self) -> int:
        """Of all arrays, also the parts that wait for keys, which the system may not have had to provide yet."""
        return sum(array.nbytes for array in self._table)

    def keys(self) -> tuple[Keys, Keys]:
        """`high` and `low` of all keys, by slot: views for reading, which keep their content when keys are added."""
        return self._table.high[: self._count], self._table.low[: self._count]

    def find(self, high: Keys, low: Keys) -> Slots:
        """The slot of each key, -1 for one that isn't here. As long as the input, in its order."""
        table = self._table
        mask = table.buckets.size - 1
        bucket = _buckets_of(high, low, table.buckets.size)
        slot = table.buckets.take(bucket)
        here = _same(table, slot, high, low)
        found = np.where(here, slot, _EMPTY).astype(np.int64)
        asked = np.flatnonzero(~here & (slot != _EMPTY))
        bucket, high, low = bucket[asked], high[asked], low[asked]
        while asked.size:
            bucket = (bucket + 1) & mask
            slot = table.buckets.take(bucket)
            here = _same(table, slot, high, low)
            found[asked[here]] = slot[here]
            further = np.flatnonzero(~here & (slot != _EMPTY))
            asked, bucket, high, low = asked[further], bucket[further], high[further], low[further]
        return found

    def insert(self, high: Keys, low: Keys) -> Slots:
        """The slot of each key, a new one for each that isn't here, in order of first appearance; equal keys get the
        same one. As long as the input, in its order. Raises OverflowError over 1.2 thousand million keys."""
        slots = np.empty(high.size, np.int64)
        start = 0
        while start < high.size:
            end = start + min(int(self._table.buckets.size * _ROUND_LOAD_MAX), _ROUND_KEYS_MAX)
            slots[start:end] = self._insert_round(high[start:end], low[start:end])
            self.reserve(0)
            start = end
        return slots

    def reserve(self, more: int) -> None:
        """Make room for `more` keys beside those here, so that inserting them needs no time for growing.

        Raises OverflowError over 1.2 thousand million keys.
        """
        buckets = _buckets_for(self._count + more)
        if buckets <= self._table.buckets.size:
            return
        grown = _empty_table(buckets)
        high, low = self.keys()
        grown.high[: self._count], grown.low[: self._count] = high, low
        for start in range(0, self._count, _ROUND_KEYS_MAX):
            part = slice(start, min(start + _ROUND_KEYS_MAX, self._count))
            _claim(grown, high[part], low[part], start)
        self._table = grown

    def _insert_round(self, high: Keys, low: Keys) -> Slots:
        slots = self.find(high, low)
        missing = np.flatnonzero(slots == _EMPTY)
        if missing.size:
            slots[missing] = self._add(high[missing], low[missing])
        return slots

    def _add(self, high: Keys, low: Keys) -> Slots:
        """Slots of keys that aren't here yet, though one may be there more than once."""
        table, count = self._table, self._count
        owner, bucket = _claim(table, high, low, count)
        new = np.flatnonzero(owner == np.arange(owner.size))
        if new.size == owner.size:
            table.high[count : count + new.size], table.low[count : count + new.size] = high, low
            self._count += new.size
            return owner + count
        table.high[count : count + new.size], table.low[count : count + new.size] = high[new], low[new]
        rank = np.empty(owner.size, np.int64)
        rank[new] = np.arange(count, count + new.size)
        table.buckets[bucket[new]] = rank[new]
        self._count += new.size
        return rank[owner]


def _buckets_for(keys: int) -> int:
    buckets = _BUCKETS_MIN
    while keys > buckets * _LOAD_MAX:
        buckets *= 2
    if buckets > _BUCKETS_MAX:
        raise OverflowError(f"{keys} keys are too many for one table")
    return buckets


def _empty_table(buckets: int) -> _Table:
    # A round begins at or below the greatest load; what it adds must fit too.
    room = int(buckets * (_LOAD_MAX + _ROUND_LOAD_MAX))
    index = np.full(buckets, _EMPTY, np.int32)
    return _Table(index, np.empty(room, np.uint64), np.empty(room, np.uint64))


def _buckets_of(high: Keys, low: Keys, buckets: int) -> Slots:
    """Both numbers have a say, and all of their bits: sequences and multiples are spread as well as hashes are."""
    mixed = (high ^ (low * _LOW_FACTOR)) * _BUCKET_FACTOR
    mixed >>= np.uint64(_WORD_BITS - (buckets.bit_length() - 1))
    return mixed.view(np.int64)


def _same(table: _Table, slot: npt.NDArray[np.int32], high: Keys, low: Keys) -> npt.NDArray[np.bool_]:
    """Which slots have these keys. Of an empty bucket, nothing is to be concluded but that the slot is -1."""
    found: npt.NDArray[np.bool_] = table.high.take(slot, mode="clip") == high
    found &= table.low.take(slot, mode="clip") == low
    return found


def _claim(table: _Table, high: Keys, low: Keys, first: int) -> tuple[Slots, Slots]:
    """Put keys that aren't in the index into it, the key at position i as slot `first + i`.

    Gives for each position that of the same key's first appearance, and the bucket where that is.
    """
    owner = np.empty(high.size, np.int64)
    bucket = _buckets_of(high, low, table.buckets.size)
    asked = np.arange(high.size)
    where = bucket
    while asked.size:
        free = table.buckets.take(where) == _EMPTY
        # Of several that claim one bucket, the last one written has it: written backwards, that is the first one.
        table.buckets[where[free][::-1]] = (asked[free] + first)[::-1]
        holder = table.buckets.take(where).astype(np.int64) - first
        new = holder >= 0
        same = new & (high.take(holder, mode="clip") == high[asked]) & (low.take(holder, mode="clip") == low[asked])
        owner[asked[same]] = holder[same]
        bucket[asked[same]] = where[same]
        asked, where = asked[~same], (where[~same] + 1) & (table.buckets.size - 1)
    return owner, bucket
