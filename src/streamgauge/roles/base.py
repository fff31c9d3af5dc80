"""What every part of the system in a process of its own has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple

from litestar.handlers import BaseRouteHandler

from streamgauge.api.cross_origin import Endpoint
from streamgauge.api.errors import ErrorAnswers
from streamgauge.api.http import Front, create_http
from streamgauge.config import Settings
from streamgauge.core.errors import ConfigError
from streamgauge.ingest.grpc.server import GrpcServer
from streamgauge.parts import (
    Access,
    called,
    open_store,
)
from streamgauge.store.client import StoreClients, embedded_folder


class Role(NamedTuple):
    """A part of the system, opened. `work` is what `finish` ends well; `jobs` run until they are cancelled."""

    http: Front
    work: Callable[[], Coroutine[Any, Any, None]] | None
    jobs: Sequence[Callable[[], Coroutine[Any, Any, None]]]
    finish: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]
    grpc: GrpcServer | None = None


async def open_shared_store(settings: Settings) -> StoreClients:
    """Raises ConfigError for an embedded store: no other process could read it."""
    if embedded_folder(settings.store_url) is not None:
        raise ConfigError(
            "parts of the system in processes of their own need a store that they can all reach",
            hint='set store = "clickhouse://host:8123/database" in the config file',
        )
    return await asyncio.to_thread(open_store, settings)


def role_http(
    settings: Settings,
    routes: Sequence[BaseRouteHandler],
    errors: ErrorAnswers,
    access: Access,
    *,
    events: Endpoint | None = None,
    segment: Endpoint | None = None,
    dashboard: bool = False,
) -> Front:
    return create_http(
        routes,
        events,
        errors,
        called(settings.server),
        access.door,
        segment=segment,
        dashboard=dashboard,
        ingest_url=settings.server.public_ingest_url,
    )


async def nothing() -> None:
    """There is nothing to end."""
