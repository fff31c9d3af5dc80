"""Whom a request comes from: the address at the far end of the proxies that are trusted, and what is kept of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

_FORWARDED_MAX: Final = 32
"""Proxies on the way of a request that are looked at."""

_KEPT_BITS_4: Final = 24
_KEPT_BITS_6: Final = 48


class Proxies:
    """Whose X-Forwarded-For is believed."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = tuple(ipaddress.ip_network(network) for network in networks)

    def address(self, peer: str, forwarded_for: str) -> str:
        """Each proxy adds, on the right, whom it was called by: what is left of the first one that is not trusted was
        written by anyone. Empty where there is none."""
        if not self.trusts(peer):
            return peer
        for hop in reversed(forwarded_for.rsplit(",", _FORWARDED_MAX)):
            address = _without_port(hop.strip())
            if not self.trusts(address):
                return address
        return ""

    def trusts(self, address: str) -> bool:
        if not self._networks:
            return False
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
            found = found.ipv4_mapped
        return any(found in network for network in self._networks)


def truncated(address: str) -> str | None:
    """Its network, of which a household or a company is one of many; None where it is no address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    bits = _KEPT_BITS_4 if found.version == 4 else _KEPT_BITS_6
    return str(ipaddress.ip_network((found, bits), strict=False).network_address)


def _without_port(hop: str) -> str:
    """Some proxies write `192.0.2.1:4711` or `[2001:db8::1]:4711`."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
