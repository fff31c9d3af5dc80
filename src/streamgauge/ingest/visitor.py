"""Who an event is of, as far as an address and a user agent tell: its country and device. Addresses end here."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

import msgspec

from streamgauge.config import IngestSettings
from streamgauge.core.device import device_of
from streamgauge.ingest.country import country_of

_ABSENT: Final = (None, "")
_AGENT_OF_BROWSERS: Final = "Mozilla/"
_FORWARDED_MAX: Final = 32
"""Proxies on the way of a request that are looked at."""


class Sender(msgspec.Struct, frozen=True, gc=False):
    """What a request says of who sent it. `forwarded_for` is all of X-Forwarded-For."""

    user_agent: str
    peer: str = ""
    forwarded_for: str = ""


class Visitor(msgspec.Struct, frozen=True, gc=False):
    """The person at the browser that sent a request."""

    device: str | None = None
    country: str | None = None


class Visitors:
    """Sets `country` and `device` of events that have none, and drops their addresses."""

    def __init__(self, settings: IngestSettings) -> None:
        self._derive_device = settings.derive_device
        self._derive_country = settings.derive_country
        self._keep_addresses = settings.keep_addresses
        self._proxies = tuple(ipaddress.ip_network(network) for network in settings.trusted_proxies)

    def visitor(self, sender: Sender | None) -> Visitor | None:
        """None where a program sent the request: it tells of a server then, not of the person an event is of."""
        if sender is None or not sender.user_agent.startswith(_AGENT_OF_BROWSERS):
            return None
        return Visitor(
            device_of(sender.user_agent) if self._derive_device else None,
            country_of(self._address(sender)) if self._derive_country else None,
        )

    def complete(self, properties: dict[str, Any], visitor: Visitor | None) -> None:
        """What the event says itself goes before what its own address and user agent tell, and that before the
        visitor's."""
        if self._derive_device and properties.get("device") in _ABSENT:
            agent = properties.get("user_agent")
            if type(agent) is str and agent:
                properties["device"] = device_of(agent)
            elif agent in _ABSENT and visitor is not None and visitor.device is not None:
                properties["device"] = visitor.device
        if self._derive_country and properties.get("country") in _ABSENT:
            address = properties.get("ip")
            country = None
            if type(address) is str and address:
                country = country_of(address)
            elif address in _ABSENT and visitor is not None:
                country = visitor.country
            if country is not None:
                properties["country"] = country
        if not self._keep_addresses:
            properties.pop("ip", None)

    def _address(self, sender: Sender) -> str:
        """Each proxy adds, on the right, whom it was called by: what is left of the first one that is not trusted was
        written by anyone. Empty where there is none."""
        if not self._is_proxy(sender.peer):
            return sender.peer
        for hop in reversed(sender.forwarded_for.rsplit(",", _FORWARDED_MAX)):
            address = _without_port(hop.strip())
            if not self._is_proxy(address):
                return address
        return ""

    def _is_proxy(self, address: str) -> bool:
        if not self._proxies:
            return False
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
            found = found.ipv4_mapped
        return any(found in network for network in self._proxies)


def _without_port(hop: str) -> str:
    """Some proxies write `192.0.2.1:4711` or `[2001:db8::1]:4711`."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
