"""The seam of the stream: the whole pipeline, not an operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from streamgauge.core.lifecycle import StageState
from streamgauge.model import Freshness
from streamgauge.stream.journal import Blocks, StateChange
from streamgauge.stream.spec import PipelineSpec
from streamgauge.stream.state import Pending


class Runner(Protocol):
    """Reads the log, writes the store, for one `PipelineSpec`."""

    async def run(self, spec: PipelineSpec) -> None:
        """Until `stop` is called; then works off what is left and commits. Cancelled, it ends at once; nothing is lost.

        Raises what can't be worked around; errors of the store are retried with backoff, and nothing is skipped.
        """
        ...

    def stop(self) -> None: ...

    async def freshness(self) -> Freshness: ...

    def state(self) -> StageState: ...

    def next_sequence(self, producer: str) -> int:
        """One past the highest number of this producer that was processed; 0 where there is none."""
        ...


class StreamState(Protocol):
    """The memory of an embedded runner. Every change is one transaction that is durable when the call returns; what
    can't be written raises `Unavailable`, and nothing changed. For one thread at a time."""

    def offsets(self) -> dict[int, int]:
        """Where to go on, of each partition that was read."""
        ...

    def blocks_of(self, step: str) -> Blocks:
        """The journal of a step, oldest block first. Asked once of each step."""
        ...

    def batch_number(self) -> int:
        """Of the last batch that was finished; 0 before the first."""
        ...

    def watermark_ms(self) -> int: ...

    def session_watermark_ms(self) -> int:
        """Up to which the last finished batch closed sessions."""
        ...

    def pending(self) -> Pending | None:
        """What was being written when the process ended; None after a clean end."""
        ...

    def begin(self, pending: Pending) -> None:
        """Record what is about to be written."""
        ...

    def finish(self, pending: Pending, changes: Mapping[str, StateChange], watermark_ms: int) -> None:
        """Record that it is written: offsets, the steps' state and the end of `pending`, together."""
        ...

    def admit_by(self, spec: PipelineSpec, offsets: Mapping[int, int]) -> None:
        """From these offsets on, events are in time by the limits of this pipeline."""
        ...
