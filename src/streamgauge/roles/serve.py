"""A part of the system in a process of its own, each as often as wanted, over Kafka and ClickHouse.

events ──▶ ingest ──▶ Kafka ──▶ stream ──▶ ClickHouse ──▶ api ──▶ HTTP API, dashboard
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal

from streamgauge.config import Settings
from streamgauge.core.clock import Clock, SystemClock
from streamgauge.core.lifecycle import (
    FolderLock,
    raise_open_files_limit,
)
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.parts import (
    Access,
    check_exposure,
    check_ports,
    open_access,
    open_state,
    server_of,
)
from streamgauge.roles.alert import open_alert
from streamgauge.roles.api import open_api
from streamgauge.roles.base import Role
from streamgauge.roles.ingest import open_ingest
from streamgauge.roles.loader import open_loader
from streamgauge.roles.stream import open_stream

RoleName = Literal["ingest", "stream", "loader", "api", "alert"]

_IN_FLIGHT_S_MAX: Final = 5.0

_OPENERS: Final[Mapping[RoleName, Callable[[Settings, Clock, SelfMetrics, Access], Awaitable[Role]]]] = {
    "ingest": open_ingest,
    "stream": open_stream,
    "loader": open_loader,
    "api": open_api,
    "alert": open_alert,
}


async def serve_role(name: RoleName, settings: Settings, greet: Callable[[], None]) -> None:
    """Run one part until SIGTERM or SIGINT; `greet` is called when it is open.

    Raises AlreadyRunning, ConfigError, Unavailable where it can't start, and what makes it fail later.
    """
    await check_exposure(settings)
    check_ports(settings, takes_events=name == "ingest")
    raise_open_files_limit()
    lock = FolderLock(settings.data_path)
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    try:
        clock, metrics = SystemClock(), SelfMetrics()
        database = await open_state(settings)
        try:
            access = await open_access(settings, database, clock, metrics)
            role = await _OPENERS[name](settings, clock, metrics, access)
            role = role._replace(jobs=[*role.jobs, access.keys.keyring.run])
            try:
                await _run(role, settings, stop, greet)
            finally:
                await role.close()
        finally:
            await asyncio.to_thread(database.close)
    finally:
        lock.release()


async def _run(role: Role, settings: Settings, stop: asyncio.Event, greet: Callable[[], None]) -> None:
    server = server_of(role.http, settings)
    serving = asyncio.create_task(server.serve(), name="server")
    jobs = [asyncio.create_task(job()) for job in role.jobs]
    if role.grpc is not None:
        await role.grpc.start()
        jobs.append(asyncio.create_task(role.grpc.run()))
    work = [asyncio.create_task(role.work())] if role.work is not None else []
    stopping = asyncio.create_task(stop.wait())
    greet()
    await asyncio.wait({serving, stopping, *work, *jobs}, return_when=asyncio.FIRST_COMPLETED)
    # While others are told that it goes it still serves, and gives its work to others.
    role.http.leave()
    if role.grpc is not None:
        await role.grpc.leave()
    await role.finish()
    if stop.is_set():
        await asyncio.wait({serving}, timeout=settings.server.leave_notice_s)
    if work:
        await asyncio.wait(work, timeout=settings.server.drain_s_max)
    server.stop()
    if role.grpc is not None:
        await role.grpc.stop(_IN_FLIGHT_S_MAX)
    await role.http.drained(_IN_FLIGHT_S_MAX)
    await asyncio.wait({serving}, timeout=_IN_FLIGHT_S_MAX)
    tasks = (serving, stopping, *work, *jobs)
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
