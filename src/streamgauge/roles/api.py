"""`streamgauge api`: questions, the dashboard, and what people make."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from litestar.handlers import BaseRouteHandler

from streamgauge.api.errors import ErrorAnswers
from streamgauge.api.live import LiveHub, live_route
from streamgauge.api.prometheus import prometheus_routes
from streamgauge.api.state import state_routes
from streamgauge.api.users import users_route
from streamgauge.config import Settings
from streamgauge.core.clock import Clock
from streamgauge.core.lifecycle import StageState
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.parts import (
    Access,
    alert_routes,
    answer_cache,
    erasure,
    question_routes,
    sql_engine,
)
from streamgauge.query.cache.changes import Changes
from streamgauge.roles.asking import open_asking
from streamgauge.roles.base import Role, role_http
from streamgauge.store.client import store_identity


async def open_api(settings: Settings, clock: Clock, metrics: SelfMetrics, access: Access) -> Role:
    from streamgauge.log.kafka_cluster import Cluster  # noqa: PLC0415 - as in parts.open_kafka
    from streamgauge.log.kafka_live import LiveTail  # noqa: PLC0415

    asking = await open_asking(settings, clock, metrics, access, evaluates=False)
    reader, fresh, clients = asking.reader, asking.fresh, asking.clients
    sql = sql_engine(settings, clients)
    cache = answer_cache(settings, metrics, Changes(), store_identity(settings.store_url))
    live = LiveHub(fresh.freshness, metrics)
    tail = await LiveTail.open(Cluster(settings.log_url), live.publish, metrics)

    async def stages() -> Mapping[str, StageState]:
        own = {"api": http.state(), "cache": await cache.state(), "keys": access.keys.keyring.state()}
        return {**own, **await asking.stages(metrics)}

    async def finish() -> None:
        live.close()

    async def close() -> None:
        await cache.close()
        await asyncio.to_thread(sql.close)
        await asking.close()

    errors = ErrorAnswers(metrics)
    erasing = erasure(settings, access.database, clients, fresh.log_of_now, clock)
    routes: list[BaseRouteHandler] = [
        *question_routes(settings, reader, fresh.freshness, metrics, clock, cache=cache, sql=sql),
        *prometheus_routes(asking.promql, fresh.freshness, metrics, clock),
        live_route(live),
        *alert_routes(asking.notifications, clock),
        *access.routes,
        users_route(erasing),
        *asking.alerts.routes,
        *state_routes(stages, metrics),
    ]
    http = role_http(settings, routes, errors, access, dashboard=True)
    sample = partial(asking.self_series.run, clock, stages)
    return Role(http, None, [sample, tail.run, erasing.run, *asking.alerts.jobs], finish, close)
