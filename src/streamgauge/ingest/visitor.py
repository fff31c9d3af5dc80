"""Who an event is of, as far as an address and a user agent tell: its country and device. Addresses end here."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from streamgauge.config import IngestSettings
from streamgauge.core.address import Proxies, truncated
from streamgauge.core.device import device_of
from streamgauge.ingest.country import country_of

_ABSENT: Final = (None, "")
_AGENT_OF_BROWSERS: Final = "Mozilla/"


class Sender(msgspec.Struct, frozen=True, gc=False):
    """What a request says of who sent it. `forwarded_for` is all of X-Forwarded-For."""

    user_agent: str
    peer: str = ""
    forwarded_for: str = ""


class Visitor(msgspec.Struct, frozen=True, gc=False):
    """The person at the browser that sent a request."""

    device: str | None = None
    country: str | None = None
    is_bot: bool = False


class Visitors:
    """Sets `country` and `device` of events that have none, and drops or truncates their addresses."""

    def __init__(self, settings: IngestSettings) -> None:
        self._derive_device = settings.derive_device
        self._drop_bots = settings.drop_bots
        self._derive_country = settings.derive_country
        self._keep_addresses = settings.keep_addresses
        self._proxies = Proxies(settings.trusted_proxies)

    def visitor(self, sender: Sender | None) -> Visitor | None:
        """None where a program sent the request: it tells of a server then, not of the person an event is of."""
        if sender is None or not sender.user_agent.startswith(_AGENT_OF_BROWSERS):
            return None
        device = device_of(sender.user_agent) if self._derive_device or self._drop_bots else None
        return Visitor(
            device if self._derive_device else None,
            country_of(self._proxies.address(sender.peer, sender.forwarded_for)) if self._derive_country else None,
            device == "bot",
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
        if self._keep_addresses is not True and "ip" in properties:
            address = properties.pop("ip")
            kept = truncated(address) if self._keep_addresses == "truncated" and type(address) is str else None
            if kept is not None:
                properties["ip"] = kept
