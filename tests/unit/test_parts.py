"""How settings reach what is put together."""

from __future__ import annotations

from pathlib import Path

import msgspec

from played import Played
from streamgauge.alert.notify.tables import NOTIFY_TABLES
from streamgauge.config import Settings
from streamgauge.core.clock import ManualClock
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.parts import notifications_of
from streamgauge.state.database import StateDatabase


async def test_webhooks_say_where_the_dashboard_is(tmp_path: Path, webhook: Played) -> None:
    receivers = [{"name": "hook", "webhook": {"url": webhook.url}}]
    written = {"alerts": {"dashboard_url": "https://gauge.example"}, "receivers": receivers}
    database = StateDatabase(f"sqlite:///{tmp_path / 'state.db'}", [NOTIFY_TABLES])
    notifications = notifications_of(msgspec.convert(written, Settings), database, ManualClock(), SelfMetrics())
    await notifications.test("hook")
    await notifications.close()
    database.close()
    assert webhook.bodies[0]["externalURL"] == "https://gauge.example"
