"""The seam of the stream: the whole pipeline, not an operator."""

from __future__ import annotations

from typing import Protocol

from streamgauge.core.lifecycle import StageState
from streamgauge.model import Freshness
from streamgauge.stream.spec import PipelineSpec


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
