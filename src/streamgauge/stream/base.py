"""The seam of the stream: the whole pipeline, not an operator."""

from __future__ import annotations

from typing import Protocol

from streamgauge.model import Freshness
from streamgauge.stream.spec import PipelineSpec


class Runner(Protocol):
    """Reads the log, writes the store, for one `PipelineSpec`."""

    async def run(self, spec: PipelineSpec) -> None:
        """Until `stop` is called; then works off what is left within the drain limit and commits.

        Raises what can't be worked around; errors of the store are retried with backoff, and nothing is skipped.
        """
        ...

    def stop(self) -> None: ...

    def freshness(self) -> Freshness: ...
