"""Addresses to countries."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.ingest.country import country_of


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("8.8.8.8", "US"),
        ("1.1.1.1", "AU"),
        ("81.2.69.142", "GB"),
        ("133.11.0.1", "JP"),
        ("200.160.2.3", "BR"),
        ("41.231.21.1", "TN"),
        ("141.76.1.1", "DE"),
        ("2001:4860:4860::8888", "US"),
        ("2001:4860:4860:0:0:0:0:8888", "US"),
        ("::ffff:81.2.69.142", "GB"),
        ("::FFFF:81.2.69.142", "GB"),
    ],
)
def test_a_public_address_has_the_country_it_is_registered_in(address: str, country: str) -> None:
    assert country_of(address) == country


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "127.0.0.1",
        "169.254.0.1",
        "100.64.0.1",
        "203.0.113.5",
        "224.0.0.1",
        "0.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "2001:db8::1",
        "::ffff:10.0.0.1",
    ],
)
def test_an_address_that_is_nobodys_has_none(address: str) -> None:
    assert country_of(address) is None


@pytest.mark.parametrize(
    "text", ["", "localhost", "8.8.8", "8.8.8.8.8", "8.8.8.256", "8.8.8.8:80", "::ffff:", "x" * 16_000]
)
def test_what_is_no_address_has_none(text: str) -> None:
    assert country_of(text) is None


@given(st.ip_addresses().map(str) | st.text(max_size=50))
def test_a_country_is_two_letters_and_never_the_union(address: str) -> None:
    country = country_of(address)
    assert country is None or (len(country) == 2 and country.isalpha() and country.isupper() and country != "EU")


def test_an_address_of_all_of_europe_has_no_country(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamgauge.ingest.country.country_code", lambda _: "EU")
    assert country_of("2.57.0.1") is None


def test_a_server_that_meets_no_browser_does_not_load_the_user_agents() -> None:
    program = "import sys, streamgauge.ingest.accept; sys.exit('ua_parser' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
