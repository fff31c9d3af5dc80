"""Deduplication by event id: a retry is harmless within a horizon."""

from __future__ import annotations

import itertools
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from streamgauge.core.keytable import KeyTable
from streamgauge.model import MADE_ID_PREFIX
from streamgauge.stream.batch import Batch, add_counts
from streamgauge.stream.hashes import Hashes, hashes_of
from streamgauge.stream.journal import Blocks, Journal, StateChange
from streamgauge.stream.spec import PipelineSpec

_GENERATIONS: Final = 4
"""Ids are forgotten by generations: each holds those of a fourth of the horizon, or a fourth of the memory."""

ID_BYTES: Final = 40
"""Of one id in memory: 16 of the hash, and its share of an index that is at most 60 % full and grows by doubling."""

_PARTITION_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)
_USER_FACTOR: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_ANONYMOUS: Final = np.uint64(0xA5A5A5A5A5A5A5A5)
"""Keeps the anonymous id 7 apart from the user 7."""

_HEADER: Final = np.dtype("<i8")
_HASH: Final = np.dtype("<u8")


class _Generation:
    def __init__(self, begun_ms: int, first_block: int) -> None:
        self.begun_ms = begun_ms
        self.newest_ms = begun_ms
        self.first_block = first_block
        self.ids = KeyTable()


class DropRepeatedIds:
    """Drops an event whose id came before with the same user: two users may have made the same id.

    An id is remembered for the horizon at least, by the time of receipt, and until four further quarters of it have had
    events: a clock that jumps ahead, and a partition that is read ahead of the others, make nothing be forgotten. Ids
    that the server made are never repeated by anyone who doesn't number his items, and are not remembered. The memory
    is bounded: where more ids come within the horizon than fit, the oldest are forgotten early, and `horizon_ms` says
    so.
    """

    name = "drop_repeated_ids"

    def __init__(self, blocks: Blocks) -> None:
        self._journal = Journal(blocks)
        self._generations: list[_Generation] = []
        self._forgotten_early = 0
        self._horizon_ms = 0
        self._short_until_ms = 0
        self._change: StateChange | None = None
        self._resume(blocks)

    @property
    def ids(self) -> int:
        return sum(len(generation.ids) for generation in self._generations)

    @property
    def memory_bytes(self) -> int:
        return sum(generation.ids.memory_bytes for generation in self._generations)

    @property
    def horizon_ms(self) -> int:
        """For how long ids are remembered now: the horizon, or less where the memory didn't suffice for it."""
        return self._horizon_ms

    @property
    def forgotten_early(self) -> int:
        """Ids that were forgotten within the horizon since the start."""
        return self._forgotten_early

    def apply(self, batch: Batch, spec: PipelineSpec) -> Batch:
        events = batch.events
        if not events.height:
            return batch
        newest = events.group_by("log_partition").agg(pl.col("received_at").max())["received_at"]
        self._make_room(events.height, int(newest.min()), int(newest.max()), spec)  # type: ignore[arg-type]
        numbered_id = pl.col("event_id") == pl.format("{}:{}", "producer", "sequence")
        made = pl.when(pl.col("producer").is_null())
        made_id = made.then(pl.col("event_id").str.starts_with(MADE_ID_PREFIX)).otherwise(numbered_id)
        candidates = events.select(made_id.not_().alias("candidate"))["candidate"].to_numpy()
        if not candidates.any():
            return batch
        looked_at = events.filter(pl.Series(candidates))
        high, low = _keys_of(looked_at)
        repeated = np.zeros(events.height, dtype=np.bool_)
        repeated[np.flatnonzero(candidates)] = self._remember(high, low)
        if not repeated.any():
            return batch
        is_repeated = pl.Series(repeated)
        found = events.filter(is_repeated).select(
            "received_at", "event_id", "log_partition", "log_offset", pl.col("user_id", "anonymous_id").fill_null("")
        )
        return msgspec.structs.replace(
            batch,
            events=events.filter(~is_repeated),
            duplicates=found,
            dropped=add_counts(batch.dropped, pl.DataFrame({"reason": ["duplicate"], "count": [found.height]})),
        )

    def changes(self) -> StateChange | None:
        change, self._change = self._change, None
        return change

    def _remember(self, high: Hashes, low: Hashes) -> npt.NDArray[np.bool_]:
        """Which of these came before, in this call or earlier; the others have been here from now on."""
        repeated = np.zeros(len(high), dtype=np.bool_)
        *older, current = self._generations
        for generation in older:
            repeated |= generation.ids.find(high, low) >= 0
        unseen = np.flatnonzero(~repeated)
        known = len(current.ids)
        slots = current.ids.insert(high[unseen], low[unseen])
        _, first_at = np.unique(slots, return_index=True)
        is_new = np.zeros(len(unseen), dtype=np.bool_)
        is_new[first_at] = slots[first_at] >= known
        repeated[unseen] = ~is_new
        new = unseen[is_new]
        if len(new):
            header = np.array([current.begun_ms, current.newest_ms], dtype=_HEADER)
            block = header.tobytes() + high[new].astype(_HASH).tobytes() + low[new].astype(_HASH).tobytes()
            self._change = self._journal.add(block, oldest_kept=self._generations[0].first_block)
        return repeated

    def _resume(self, blocks: Blocks) -> None:
        """Blocks of one generation are taken in together: that is quicker than one by one."""
        for begun_ms, together in itertools.groupby(blocks, key=lambda block: _times_of(block[1])[0]):
            kept = list(together)
            generation = _Generation(begun_ms, first_block=kept[0][0])
            generation.newest_ms = _times_of(kept[-1][1])[1]
            hashes = [np.frombuffer(block, _HASH, offset=2 * _HEADER.itemsize).reshape(2, -1) for _, block in kept]
            high, low = (np.concatenate([pair[word] for pair in hashes]) for word in (0, 1))
            generation.ids = KeyTable(len(high))
            generation.ids.insert(high, low)
            self._generations.append(generation)

    def _make_room(self, coming: int, now_ms: int, newest_ms: int, spec: PipelineSpec) -> None:
        """Begin a generation where the newest is old or full, and forget those that are over the horizon or a limit.
        `now_ms` is the time of the partition that is read slowest, `newest_ms` that of the quickest."""
        generations, ids_max = self._generations, spec.deduplication_bytes_max // ID_BYTES
        newest = generations[-1] if generations else None
        if (
            newest is None
            or now_ms >= newest.begun_ms + spec.deduplication_horizon_ms // _GENERATIONS
            or len(newest.ids) >= ids_max // _GENERATIONS
        ):
            begun_ms = now_ms if newest is None else max(now_ms, newest.begun_ms + 1)
            generations.append(_Generation(begun_ms, self._journal.next_number))
        generations[-1].newest_ms = max(generations[-1].newest_ms, newest_ms)
        while len(generations) > _GENERATIONS + 1 and generations[0].newest_ms + spec.deduplication_horizon_ms < now_ms:
            generations.pop(0)
        while len(generations) > 1 and self.ids + coming > ids_max:
            self._forgotten_early += len(generations.pop(0).ids)
            self._short_until_ms = now_ms + spec.deduplication_horizon_ms
        oldest_ms = generations[0].begun_ms
        is_short = now_ms < self._short_until_ms
        self._horizon_ms = max(0, now_ms - oldest_ms) if is_short else spec.deduplication_horizon_ms


def _keys_of(events: pl.DataFrame) -> tuple[Hashes, Hashes]:
    """What an event is known by: its id, its anonymous id or user, and the partition, which follows from that."""
    high, low = hashes_of(events["event_id"])
    user_high, user_low = hashes_of(events.select(pl.coalesce("anonymous_id", "user_id", pl.lit("")))["anonymous_id"])
    is_anonymous = (events["anonymous_id"].is_not_null() | events["user_id"].is_null()).to_numpy()
    partition = events["log_partition"].to_numpy().astype(np.uint64) * _PARTITION_FACTOR
    whose = np.where(is_anonymous, user_high ^ _ANONYMOUS, user_high)
    return high ^ (whose * _USER_FACTOR), low ^ (user_low * _USER_FACTOR) ^ partition


def _times_of(block: bytes) -> tuple[int, int]:
    """Of the generation that a block belongs to, when it was written: its begin and its newest, ms."""
    begun_ms, newest_ms = np.frombuffer(block, _HEADER, 2).tolist()
    return begun_ms, newest_ms
