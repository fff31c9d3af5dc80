"""Whom a request comes from, and what is kept of an address."""

from __future__ import annotations

import pytest

from streamgauge.core.address import Proxies, truncated


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),  # nobody's word but a trusted proxy's
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "8.8.8.8, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "", ""),
        ("10.0.0.1", "10.0.0.2", ""),
    ],
)
def test_the_address_is_the_last_one_that_is_no_trusted_proxy(peer: str, forwarded: str, address: str) -> None:
    assert Proxies(["10.0.0.0/8"]).address(peer, forwarded) == address


def test_without_trusted_proxies_the_peer_is_who_asks() -> None:
    assert Proxies([]).address("10.0.0.1", "198.51.100.7") == "10.0.0.1"


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("198.51.100.77", "198.51.100.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("::ffff:198.51.100.77", "198.51.100.0"),
        ("fe80::1%eth0", "fe80::"),
        ("", None),
        ("nobody", None),
        ("198.51.100.77; DROP", None),
    ],
)
def test_of_a_truncated_address_the_network_is_kept(address: str, kept: str | None) -> None:
    assert truncated(address) == kept
