"""Events the whole way through the pipeline into a store, at times of receipt that retention keeps."""

from __future__ import annotations

import itertools
import time
from typing import Any

import msgspec
import polars as pl

from streamgauge.config import StreamSettings
from streamgauge.model import HOUR_MS, Envelope, Rollup
from streamgauge.profiles.table import ProfileTable
from streamgauge.store.base import StoreWriter
from streamgauge.stream.batch import decode
from streamgauge.stream.pipeline import Pipeline, wanted_fields
from streamgauge.stream.spec import PipelineSpec
from streamgauge.stream.state import Pending
from unit.stream.making import event, log_batch

NOW_MS = int(time.time()) * 1000 - HOUR_MS
ROLLUPS = (
    Rollup("views", event="page_view", dimensions=("country", "page")),
    Rollup("all", dimensions=("event", "plan")),
    Rollup("income", dimensions=("country",), measure={"sum": "price"}),
    Rollup("most", dimensions=("page",), measure={"max": "price"}, window="1h"),
)
SPEC = PipelineSpec(
    ROLLUPS,
    watermark_delay_ms=10_000,
    idle_partition_ms=5_000,
    dimension_chars_max=StreamSettings().dimension_chars_max,
    cardinality_max=2,
    profile_columns=("plan",),
)
_batch_numbers = itertools.count(1)


def received(name: str = "page_view", after_ms: int = 0, **fields: Any) -> Envelope:
    """An event of now, so many ms later."""
    return event(name, NOW_MS + after_ms, **{"received_at": NOW_MS + after_ms, **fields})


class Stream:
    """One partition, number 3, of which each call of `take` is a micro-batch."""

    def __init__(self, writer: StoreWriter, spec: PipelineSpec = SPEC, **plans: str) -> None:
        self._writer = writer
        self.spec = spec
        profiles = ProfileTable(spec.profile_columns)
        if plans:
            profiles.upsert(pl.DataFrame({"user_id": list(plans), "plan": list(plans.values())}))
        self._pipeline = Pipeline(lambda _: (), profiles)
        self._offset = 0

    def take(self, *events: Envelope) -> None:
        records = log_batch({3: events}, {3: self._offset})
        self._offset += len(events)
        number = next(_batch_numbers)
        batch = decode(records, wanted_fields(self.spec))
        _, output = self._pipeline.apply(batch, Pending(batch.ranges, self.spec, number, NOW_MS))
        for rows in output.writes:
            self._writer.write(msgspec.structs.replace(rows, batch_id=f"{number}/{rows.batch_id}"))
