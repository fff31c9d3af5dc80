"""What is written to the audit log, and what is only counted."""

from __future__ import annotations

from typing import Any

from streamgauge.access.audit import REFUSALS_PER_MINUTE_MAX, AuditLog, Entry
from streamgauge.core.clock import ManualClock
from streamgauge.core.selfmetrics import SelfMetrics


class _Written:
    count = 0

    async def write(self, _: Any) -> None:
        self.count += 1


async def test_a_key_can_not_fill_the_audit_log_with_what_it_may_not_do() -> None:
    database: Any = _Written()
    clock, metrics = ManualClock(60_000), SelfMetrics()
    audit = AuditLog(database, clock, metrics, 1)

    def entry(actor: str, status: int) -> Entry:
        return Entry(actor, "192.0.2.1", "DELETE /users/{user_id}", "", status)

    for _ in range(1_000):
        await audit.record(entry("shop", 403))
    assert database.count == REFUSALS_PER_MINUTE_MAX
    unwritten = metrics.registry.get_sample_value("streamgauge_audit_refusals_unwritten_total")
    assert unwritten == 1_000 - REFUSALS_PER_MINUTE_MAX
    for _ in range(100):
        await audit.record(entry("admin", 200))
    await audit.record(entry("other", 403))
    clock.advance(60_000)
    await audit.record(entry("shop", 403))
    assert database.count == REFUSALS_PER_MINUTE_MAX + 102
