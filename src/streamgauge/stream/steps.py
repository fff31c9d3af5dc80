"""The steps between the log and the windows: each takes a batch and gives a batch, each drop has a reason.

A step that remembers something has four separate parts: what configures it (the pipeline), the state that it resumes
from, its logic, and `changes`. The runner commits changes together with offsets.
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec
import polars as pl

from streamgauge.stream.batch import Batch, add_counts
from streamgauge.stream.journal import Blocks, Journal, StateChange
from streamgauge.stream.spec import PipelineSpec


class Step(Protocol):
    name: str

    def apply(self, batch: Batch, spec: PipelineSpec) -> Batch:
        """The batch after this step. May change the step's state; the runner asks for `changes` when the batch is
        done."""
        ...

    def changes(self) -> StateChange | None:
        """What to add to the step's journal; None where nothing changed since the last call."""
        ...


_REFUSED: Final = pl.Struct({"code": pl.String(), "message": pl.String(), "original": pl.String()})
"""`model.Refused`."""


class DropRepeatedSequences:
    """Drops the items that a producer sent again.

    A producer numbers its items and sends them in order, so in each partition its numbers only rise: whatever is not
    above the highest seen came before. The state is one number a producer and partition, for ever.
    """

    name = "drop_repeated_sequences"

    def __init__(self, blocks: Blocks) -> None:
        self._journal = Journal(blocks)
        self._highest: dict[str, dict[int, int]] = (
            msgspec.json.decode(blocks[-1][1], type=dict[str, dict[int, int]]) if blocks else {}
        )
        self._changed = False

    def apply(self, batch: Batch, spec: PipelineSpec) -> Batch:
        events = batch.events
        if events["producer"].null_count() == events.height:
            return batch
        events = events.join(self._seen(), on=["producer", "log_partition"], how="left", maintain_order="left")
        before = pl.max_horizontal(
            pl.col("highest"),
            pl.col("sequence").shift(1).cum_max().over("producer", "log_partition"),
        )
        kept = events.filter(pl.col("producer").is_null() | (pl.col("sequence") > before.fill_null(-1)))
        self._remember(kept)
        repeated = events.height - kept.height
        return msgspec.structs.replace(
            batch,
            events=kept.drop("highest"),
            dropped=batch.dropped | ({"repeated_sequence": repeated} if repeated else {}),
        )

    def changes(self) -> StateChange | None:
        if not self._changed:
            return None
        self._changed = False
        return self._journal.replace(msgspec.json.encode(self._highest))

    def next_sequence(self, producer: str) -> int:
        """One past the highest number of this producer that was processed; 0 where there is none."""
        return max(self._highest.get(producer, {}).values(), default=-1) + 1

    def _seen(self) -> pl.DataFrame:
        return pl.DataFrame(
            [
                (producer, partition, highest)
                for producer, partitions in self._highest.items()
                for partition, highest in partitions.items()
            ],
            schema={"producer": pl.String, "log_partition": pl.UInt16, "highest": pl.Int64},
            orient="row",
        )

    def _remember(self, kept: pl.DataFrame) -> None:
        newest = kept.filter(pl.col("producer").is_not_null()).group_by("producer", "log_partition")
        for producer, partition, highest in newest.agg(pl.col("sequence").max()).iter_rows():
            self._highest.setdefault(producer, {})[partition] = highest
            self._changed = True


class SetRejectedAside:
    """Items that ingest refused go to the dead letter table with its reason."""

    name = "set_rejected_aside"

    def apply(self, batch: Batch, spec: PipelineSpec) -> Batch:
        if batch.events["event"].null_count() == 0:
            return batch
        refused = pl.col("event").is_null()
        why = pl.col("properties").str.json_decode(_REFUSED).struct
        rows = batch.events.filter(refused).select(
            "received_at",
            why.field("code").alias("reason"),
            why.field("message"),
            "event_id",
            why.field("original"),
            "log_partition",
            "log_offset",
        )
        return msgspec.structs.replace(
            batch,
            events=batch.events.filter(~refused),
            dead_letters=(*batch.dead_letters, rows),
            dropped=add_counts(batch.dropped, rows["reason"].value_counts()),
        )

    def changes(self) -> None:
        return None
