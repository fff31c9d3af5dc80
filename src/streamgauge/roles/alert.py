"""`streamgauge alert`: evaluates rules and notifies."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from litestar.handlers import BaseRouteHandler

from streamgauge.api.errors import ErrorAnswers
from streamgauge.api.state import state_routes
from streamgauge.config import Settings
from streamgauge.core.clock import Clock
from streamgauge.core.errors import ConfigError
from streamgauge.core.lifecycle import StageState
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.parts import Access, alert_routes
from streamgauge.roles.asking import open_asking
from streamgauge.roles.base import Role, nothing, role_http


async def open_alert(settings: Settings, clock: Clock, metrics: SelfMetrics, access: Access) -> Role:
    """Several may run: one evaluates, and another goes on within seconds of its end."""
    if not settings.state.startswith(("postgresql://", "postgres://")):
        raise ConfigError(
            "streamgauge alert keeps what alerts remember in a database that others reach too",
            hint='set state = "postgresql://user:password@host/database" in the config file; with state in SQLite, '
            "streamgauge up evaluates rules by itself, in one process",
        )
    asking = await open_asking(settings, clock, metrics, access, evaluates=True)

    async def stages() -> Mapping[str, StageState]:
        own = {"alerts": asking.alerts.state(), "keys": access.keys.keyring.state()}
        return {**own, **await asking.stages(metrics)}

    routes: list[BaseRouteHandler] = [
        *asking.alerts.routes,
        *alert_routes(asking.notifications, clock),
        *state_routes(stages, metrics),
    ]
    http = role_http(settings, routes, ErrorAnswers(metrics), access)
    sample = partial(asking.self_series.run, clock, stages)
    return Role(http, None, [*asking.alerts.jobs, sample], nothing, asking.close)
