"""Events of a batch to runs: the sessions that they would be alone, as columns in which users and texts are numbers."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from streamgauge.core.keytable import KeyTable
from streamgauge.stream.hashes import hashes_of
from streamgauge.stream.spec import PipelineSpec

FIELDS: Final = frozenset({"page", "country", "device"})
"""The properties that a session takes from its events."""

PAGE_VIEW: Final = "page_view"
"""The event that counts as a page view."""

NONE_MS: Final = np.iinfo(np.int64).max
"""The time of a text that no event had."""

NOBODY: Final = -1
"""The slot of a user where none is known."""

_ANONYMOUS: Final = np.uint64(0xA5A5A5A5A5A5A5A5)
"""Keeps the anonymous id 7 apart from the user 7."""


Index = npt.NDArray[np.int64]
Columns = dict[str, npt.NDArray[Any]]


class Users:
    """Anonymous ids and users by slot, a number from 0 on in the order in which they came."""

    def __init__(self, room: int) -> None:
        self.names: list[str] = []
        self.anonymous = np.zeros(0, dtype=np.bool_)
        self._table = KeyTable(room)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def memory_bytes(self) -> int:
        """Without the names."""
        return self._table.memory_bytes

    def slots_of(self, users: pl.Series, anonymous: npt.NDArray[np.bool_]) -> Index:
        """The slot of each; those that were not known get the next ones."""
        if not len(users):
            return np.zeros(0, dtype=np.int64)
        high, low = hashes_of(users)
        known = len(self._table)
        slots = self._table.insert(np.where(anonymous, high ^ _ANONYMOUS, high), low)
        if len(self._table) > known:
            found, first_at = np.unique(slots, return_index=True)
            first_at = first_at[found >= known]
            self.names += users.gather(first_at).to_list()
            self.anonymous = np.append(self.anonymous, anonymous[first_at])
        return slots

    def of(self, slots: Index) -> pl.Series:
        """The names again; null for nobody."""
        names = self.names
        return pl.Series([names[slot] if slot >= 0 else None for slot in slots.tolist()], dtype=pl.String())


class Texts:
    """Pages, countries and devices by code, a number; 0 is the empty text."""

    def __init__(self) -> None:
        self._texts = [""]
        self._codes = {"": 0}

    def __len__(self) -> int:
        return len(self._texts)

    def codes_of(self, texts: pl.Series, chars_max: int) -> npt.NDArray[np.int32]:
        """The same for equal texts, cut to `chars_max`; 0 for null and the empty text."""
        uniques = texts.unique().drop_nulls()
        if not len(uniques):
            return np.zeros(len(texts), dtype=np.int32)
        codes = [self._code(text[:chars_max]) for text in uniques]
        return texts.replace_strict(uniques, codes, default=0, return_dtype=pl.Int32).to_numpy()

    def of(self, codes: npt.NDArray[np.int32]) -> pl.Series:
        """The texts again; null for 0."""
        uniques, places = np.unique(codes, return_inverse=True)
        texts = pl.Series([self._texts[code] or None for code in uniques.tolist()], dtype=pl.String())
        return texts.gather(places) if len(places) else texts

    def _code(self, text: str) -> int:
        code = self._codes.setdefault(text, len(self._texts))
        if code == len(self._texts):
            self._texts.append(text)
        return code


def runs_of(events: pl.DataFrame, users: Users, texts: Texts, spec: PipelineSpec) -> tuple[Index, Columns]:
    """The visitor (slot) and the columns of each run, by visitor and then time. A visitor is an anonymous id, which
    stays when it becomes known whose it is, or a user where there is none."""
    keyed = events.select(
        pl.coalesce("anonymous_id", "user_id").alias("user"),
        pl.col("anonymous_id").is_not_null().alias("anonymous"),
        pl.when(pl.col("anonymous_id").is_not_null()).then("user_id").alias("identified"),
        "timestamp",
        "received_at",
        (pl.col("event") == PAGE_VIEW).alias("page_view"),
        *[pl.col(f"p:{name}").alias(name) for name in sorted(FIELDS)],
    ).drop_nulls("user")
    slots = users.slots_of(keyed["user"], keyed["anonymous"].to_numpy())
    time_ms = keyed["timestamp"].to_numpy()
    identified = slots_or_none(keyed["identified"], users)
    order = np.lexsort((time_ms, slots))  # stable: of equal times the first in the log stays first
    slots, time_ms = slots[order], time_ms[order]
    if not len(slots):
        return slots, {}
    begins = (np.diff(slots, prepend=-1) != 0) | (np.diff(time_ms, prepend=0) >= spec.session_gap_ms)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(slots)) - 1
    runs: Columns = {
        "opened": time_ms[first],
        "start": time_ms[first],
        "end": time_ms[last],
        "received": np.maximum.reduceat(keyed["received_at"].to_numpy()[order], first),
        "events": (last - first + 1).astype(np.uint32),
        "page_views": np.add.reduceat(keyed["page_view"].to_numpy()[order].astype(np.uint32), first),
        "closed": np.zeros(len(first), dtype=np.bool_),
    }
    identified = identified[order]
    place = np.maximum.reduceat(np.where(identified >= 0, np.arange(len(identified)), -1), first)
    is_known, place = place >= first, np.maximum(place, 0)
    runs |= {
        "identified": np.where(is_known, identified[place], NOBODY),
        "identified_ms": np.where(is_known, time_ms[place], -1),
    }
    for name, field in (("entry_page", "page"), ("country", "country"), ("device", "device")):
        codes = texts.codes_of(keyed[field], spec.dimension_chars_max)[order]
        places = np.where(codes > 0, np.arange(len(codes)), len(codes))
        place = np.minimum.reduceat(places, first)
        found = _text_at(place, place <= last, codes, time_ms)
        runs |= {name: found["code"], f"{name}_ms": found["ms"]}
        if field == "page":
            place = np.maximum.reduceat(np.where(codes > 0, np.arange(len(codes)), -1), first)
            found = _text_at(place, place >= first, codes, time_ms)
            runs |= {"exit_page": found["code"], "exit_page_ms": np.where(place >= first, found["ms"], -1)}
    return slots[first], runs


def slots_or_none(users_or_null: pl.Series, users: Users) -> Index:
    """Of users; `NOBODY` for null."""
    slots = np.full(len(users_or_null), NOBODY, dtype=np.int64)
    known = users_or_null.is_not_null().to_numpy()
    if known.any():
        slots[known] = users.slots_of(users_or_null.drop_nulls(), np.zeros(int(known.sum()), dtype=np.bool_))
    return slots


def _text_at(place: Index, there: npt.NDArray[np.bool_], codes: npt.NDArray[np.int32], time_ms: Index) -> Columns:
    """Of each run, the code of a text and its time where it is `there`."""
    safe = np.where(there, place, 0)
    return {"code": np.where(there, codes[safe], 0).astype(np.int32), "ms": np.where(there, time_ms[safe], NONE_MS)}
