"""The pipeline: events of a batch through all steps, windows and sessions, to rows. It knows no log and no store."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streamgauge.stream.batch import Batch
from streamgauge.stream.cardinality import DimensionValues
from streamgauge.stream.dedup import DropRepeatedIds
from streamgauge.stream.enrich import EnrichFromProfiles, Profiles
from streamgauge.stream.journal import Blocks, StateChange
from streamgauge.stream.lateness import SetLateAside
from streamgauge.stream.rows import Output, rows_of
from streamgauge.stream.session import Sessions
from streamgauge.stream.session_runs import FIELDS
from streamgauge.stream.spec import PipelineSpec
from streamgauge.stream.state import Pending
from streamgauge.stream.steps import DropRepeatedSequences, SetRejectedAside, Step
from streamgauge.stream.window import fields_of


class Pipeline:
    """One execution of a `PipelineSpec`, and all that it remembers."""

    def __init__(self, blocks_of: Callable[[str], Blocks], profiles: Profiles) -> None:
        """`blocks_of` gives what a step resumes from, by its name."""
        self.repeated = DropRepeatedSequences(blocks_of(DropRepeatedSequences.name))
        self.ids = DropRepeatedIds(blocks_of(DropRepeatedIds.name))
        self.sessions = Sessions(blocks_of(Sessions.name))
        self.values = DimensionValues(blocks_of(DimensionValues.name))
        self.profiles = profiles
        # Only what will be counted is remembered by its id: a late event that is brought in later isn't a repetition.
        self._steps: Sequence[Step] = (
            self.repeated,
            SetRejectedAside(),
            SetLateAside(),
            self.ids,
            EnrichFromProfiles(profiles),
        )

    def apply(self, batch: Batch, pending: Pending) -> tuple[Batch, Output]:
        """The batch as it was counted, and its rows: the same for the same records, `pending` and state."""
        for step in self._steps:
            batch = step.apply(batch, pending.spec)
        changes = self.sessions.apply(batch.events, pending.watermark_ms, pending.number, pending.spec)
        return batch, rows_of(batch, pending, self.values, changes)

    def changes(self) -> dict[str, StateChange]:
        """What the steps remember more since the last call, by name."""
        remembering = (self.repeated, self.ids, self.sessions, self.values)
        return {step.name: change for step in remembering if (change := step.changes()) is not None}


def wanted_fields(spec: PipelineSpec) -> set[str]:
    """The names of all fields of an event that the pipeline looks at."""
    return {*FIELDS, *spec.profile_columns, *(name for rollup in spec.rollups for name in fields_of(rollup))}
