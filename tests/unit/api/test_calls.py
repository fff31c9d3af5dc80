"""Whose calls of gRPC are limited together."""

from __future__ import annotations

from typing import Any

import pytest

from streamgauge.api.calls import authorizer
from streamgauge.core.address import Proxies
from streamgauge.core.errors import RateLimited, Unauthorized
from unit.access.test_gate import KEYS, gate_of


class _Call:
    def __init__(self, peer: str, *metadata: tuple[str, str | bytes]) -> None:
        self._peer, self._metadata = peer, metadata

    def peer(self) -> str:
        return self._peer

    def invocation_metadata(self) -> Any:
        return self._metadata


def _through(peer: str, client: str) -> Any:
    return _Call(peer, ("authorization", "Bearer nobody"), ("x-forwarded-for", client))


async def test_callers_behind_a_trusted_proxy_are_told_apart_and_others_can_not_name_an_address() -> None:
    gate = await gate_of(KEYS, address_requests_per_s=5)
    source_of = authorizer(gate, Proxies(["10.0.0.0/8"]))

    with pytest.raises(Unauthorized):
        await source_of(_through("ipv4:10.0.0.1:4711", "203.0.113.1"))
    with pytest.raises(RateLimited):
        await source_of(_through("ipv4:10.0.0.1:4711", "203.0.113.1"))
    with pytest.raises(Unauthorized):
        await source_of(_through("ipv4:10.0.0.1:4711", "203.0.113.2"))
    with pytest.raises(Unauthorized):
        await source_of(_through("ipv4:192.0.2.9:4711", "203.0.113.3"))
    with pytest.raises(RateLimited):
        await source_of(_through("ipv4:192.0.2.9:4711", "203.0.113.4"))
