"""The door of a server without keys, for tests of an endpoint alone."""

from __future__ import annotations

from typing import Any

from streamgauge.access.audit import Entry
from streamgauge.access.gate import Gate
from streamgauge.access.keyring import Keyring
from streamgauge.access.register import Known
from streamgauge.api.door import Door
from streamgauge.config import AccessSettings
from streamgauge.core.address import Proxies
from streamgauge.core.clock import ManualClock
from streamgauge.core.origins import allowed_origins
from streamgauge.core.selfmetrics import SelfMetrics


class _NoAudit:
    async def record(self, entry: Entry) -> None:
        raise AssertionError(f"nothing to be audited: {entry}")


async def _nothing() -> Known:
    return Known()


def visiting(scope: dict[str, Any]) -> Any:
    """The scope as an endpoint gets it."""
    gate = Gate(
        Keyring(_nothing, ManualClock()),
        AccessSettings(),
        SelfMetrics(),
        is_private=True,
        is_allowed_origin=allowed_origins([]),
    )
    whole: Any = {"query_string": b"", **scope}
    Door(gate, Proxies(()), _NoAudit()).visit(whole)
    return whole
