"""The port of gRPC: limits, TLS, health and reflection around the service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from streamgauge.config import GrpcSettings
from streamgauge.core.errors import ConfigError
from streamgauge.core.lifecycle import StageState
from streamgauge.ingest.grpc import ingest_pb2  # noqa: F401 - reflection finds the service by it
from streamgauge.ingest.grpc.service import SERVICE, IngestService

_ENVELOPE_BYTES: Final = 1_024
"""Around a body: the limit of the body itself is ingest's, which says so in words."""

_HEALTH_S: Final = 1.0
_PING_MS_MIN: Final = 10_000
"""Clients may ask so often whether the connection is there."""

_logger = logging.getLogger(__name__)


class GrpcServer:
    """Begins to listen with `start`. `can_accept` is asked for the health that load balancers are told."""

    def __init__(
        self,
        service: IngestService,
        address: str,
        settings: GrpcSettings,
        *,
        body_bytes_max: int,
        can_accept: Callable[[], bool],
    ) -> None:
        """`address`: an IP address and a port. Raises ConfigError."""
        self._service, self._address, self._settings = service, address, settings
        self._body_bytes_max = body_bytes_max
        self._credentials = _credentials(settings)
        self._can_accept = can_accept
        self._is_leaving = False

    async def start(self) -> None:
        """Raises ConfigError where it can't listen."""
        self._server = grpc.aio.server(
            options=_options(self._settings, self._body_bytes_max),
            maximum_concurrent_rpcs=self._settings.calls_max,
        )
        self._server.add_generic_rpc_handlers((self._service.handler(),))
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        try:
            if self._credentials is None:
                self._server.add_insecure_port(self._address)
            else:
                self._server.add_secure_port(self._address, self._credentials)
        except RuntimeError as error:
            raise ConfigError(
                f"can't listen for gRPC on {self._address}: {error}", hint="check [grpc] in the config file"
            ) from error
        await self._tell_health()
        await self._server.start()

    async def run(self) -> None:
        """Keep the health right, until it is cancelled."""
        while not self._is_leaving:
            await self._tell_health()
            await asyncio.sleep(_HEALTH_S)
        await asyncio.Event().wait()

    async def leave(self) -> None:
        """Say that it goes, and end the streams when what they have sent is answered; still take calls."""
        self._is_leaving = True
        self._service.leave()
        await self._health.enter_graceful_shutdown()

    async def stop(self, seconds_max: float) -> None:
        """Take no more calls, and let those under way end for so long."""
        if not self._is_leaving:
            await self.leave()
        await self._server.stop(seconds_max)

    def state(self) -> StageState:
        return StageState("stopping" if self._is_leaving else "ready", details={"address": self._address})

    async def _tell_health(self) -> None:
        status = health_pb2.HealthCheckResponse
        now = status.SERVING if self._can_accept() else status.NOT_SERVING
        for name in ("", SERVICE):
            await self._health.set(name, now)


def _options(settings: GrpcSettings, body_bytes_max: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", body_bytes_max + _ENVELOPE_BYTES),
        ("grpc.max_concurrent_streams", settings.connection_calls_max),
        ("grpc.keepalive_time_ms", int(settings.keepalive_s * 1_000)),
        ("grpc.keepalive_timeout_ms", int(settings.keepalive_timeout_s * 1_000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _PING_MS_MIN),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _PING_MS_MIN),
        ("grpc.so_reuseport", 0),  # else a second server would take half of the first one's calls
    ]


def _credentials(settings: GrpcSettings) -> grpc.ServerCredentials | None:
    """None without TLS. Raises ConfigError."""
    if not settings.tls_certificate:
        return None
    pair = (_file(settings.tls_key), _file(settings.tls_certificate))
    authorities = _file(settings.tls_client_ca) if settings.tls_client_ca else None
    return grpc.ssl_server_credentials([pair], authorities, require_client_auth=authorities is not None)


def _file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"can't read {path}: {error.strerror}", hint="check the paths of tls_… in [grpc] of the config file"
        ) from error
