"""Addresses to countries. The one place that knows the library; see docs/adr/0007."""

from __future__ import annotations

from typing import Final

from iptocc import country_code

_IPV4_IN_IPV6: Final = "::ffff:"
_NO_COUNTRY: Final = "EU"
"""The registries have it for networks of all of Europe; ISO 3166 doesn't."""


def country_of(address: str) -> str | None:
    """The country that an IP address is registered in, as its two letters of ISO 3166. None where there is none, as of
    private addresses, and for what is no address."""
    if address[:7].lower() == _IPV4_IN_IPV6:
        address = address[7:]
    country = country_code(address)
    return None if country == _NO_COUNTRY else country
