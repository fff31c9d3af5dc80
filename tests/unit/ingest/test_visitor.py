"""What events get from an address and a user agent, and what is kept of these."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streamgauge.ingest.accept import Numbering
from streamgauge.ingest.visitor import Sender
from unit.ingest.memory_log import Desk

PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.0 Mobile/15E148 Safari/604.1"
)
PC = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
GB, JP, US, BR = "81.2.69.142", "133.11.0.1", "8.8.8.8", "200.160.2.3"
BROWSER = Sender(PHONE, GB)


async def properties(sent: dict[str, Any], sender: Sender | None = None, **settings: Any) -> dict[str, Any]:
    """What is stored of an event, the same whether it comes alone or with an item that goes the careful way."""
    alone, together = Desk(**settings), Desk(**settings)
    event = msgspec.json.encode({"event": "e", **sent})
    await alone.send(event, sender=sender)
    await together.send(b"[" + event + b",0]", sender=sender)
    (first,), (second, _) = alone.envelopes(), together.envelopes()
    assert first.properties == second.properties
    return dict(first.properties)


async def test_an_event_gets_its_country_and_device_and_its_address_is_not_stored() -> None:
    assert await properties({"ip": JP, "user_agent": PC, "page": "/"}) == {
        "page": "/",
        "user_agent": PC,
        "country": "JP",
        "device": "desktop",
    }


async def test_what_an_event_says_itself_stays() -> None:
    sent = {"ip": JP, "user_agent": PC, "country": "Narnia", "device": "fridge"}
    assert await properties(sent, BROWSER) == {"user_agent": PC, "country": "Narnia", "device": "fridge"}


@pytest.mark.parametrize("nothing", [None, ""])
async def test_nothing_is_as_good_as_absent(nothing: str | None) -> None:
    sent = {"country": nothing, "device": nothing, "ip": nothing, "user_agent": nothing}
    assert await properties(sent, BROWSER) == {"country": "GB", "device": "mobile", "user_agent": nothing}


@pytest.mark.parametrize("address", ["10.0.0.1", "::1", "not an address", 7, ["8.8.8.8"], {"a": 1}, True])
async def test_an_address_that_tells_nothing_sets_nothing_and_is_not_stored_either(address: Any) -> None:
    assert await properties({"ip": address}) == {}
    assert await properties({"ip": address, "device": "x"}, BROWSER) == {"device": "x"}


@pytest.mark.parametrize("agent", [7, [PC], {"a": PC}, False])
async def test_a_user_agent_that_is_no_text_sets_nothing(agent: Any) -> None:
    assert await properties({"user_agent": agent}, BROWSER) == {"user_agent": agent, "country": "GB"}


async def test_the_request_of_a_browser_tells_what_its_event_does_not() -> None:
    assert await properties({}, BROWSER) == {"country": "GB", "device": "mobile"}
    assert await properties({"ip": JP}, BROWSER) == {"country": "JP", "device": "mobile"}
    assert await properties({"user_agent": PC}, BROWSER) == {"user_agent": PC, "country": "GB", "device": "desktop"}


@pytest.mark.parametrize("agent", ["", "curl/8.5.0", "python-httpx/0.28", "mozilla/5.0", " Mozilla/5.0", "Opera/9.8"])
async def test_the_request_of_a_program_tells_nothing(agent: str) -> None:
    assert await properties({}, Sender(agent, GB, US), trusted_proxies=(f"{GB}/32",)) == {}
    assert await properties({"ip": JP}, Sender(agent, GB)) == {"country": "JP"}


async def test_every_event_of_a_body_gets_its_own() -> None:
    desk = Desk()
    body = b'{"event":"e","ip":"%s"}\n{"event":"e"}\n{"event":"e","ip":"%s"}' % (JP.encode(), US.encode())
    await desk.send(body, "application/x-ndjson", sender=BROWSER)
    assert [envelope.properties.get("country") for envelope in desk.envelopes()] == ["JP", "GB", "US"]


async def test_a_numbered_event_gets_them_too() -> None:
    desk = Desk()
    await desk.send(b'{"event":"e","ip":"%s"}' % JP.encode(), numbering=Numbering("p", 0))
    assert desk.envelopes()[0].properties == {"country": "JP"}


async def test_a_name_that_is_written_with_escapes_is_the_same_name() -> None:
    envelope = await Desk().event(b'{"event":"e","\\u0069p":"%s"}' % JP.encode())
    assert envelope.properties == {"country": "JP"}


async def test_properties_that_are_added_here_do_not_make_an_event_one_of_too_many() -> None:
    full = {"ip": JP, "user_agent": PC}
    assert set(await properties(full, properties_max=2)) == {"user_agent", "country", "device"}


@pytest.mark.parametrize(
    ("setting", "stored"),
    [
        ({"derive_device": False}, {"country": "JP"}),
        ({"derive_country": False}, {"device": "desktop"}),
        ({"keep_addresses": True}, {"country": "JP", "device": "desktop", "ip": JP}),
        ({"derive_country": False, "keep_addresses": True}, {"device": "desktop", "ip": JP}),
    ],
)
async def test_each_part_can_be_chosen(setting: dict[str, bool], stored: dict[str, str]) -> None:
    assert await properties({"ip": JP, "user_agent": PC}, **setting) == stored | {"user_agent": PC}
    assert "ip" not in await properties({}, Sender(PC, JP), **setting)


@pytest.mark.parametrize("setting", ["derive_device", "derive_country"])
async def test_what_is_not_derived_is_not_derived_of_a_request_either(setting: str) -> None:
    left = {"derive_device": {"country": "GB"}, "derive_country": {"device": "mobile"}}[setting]
    assert await properties({}, BROWSER, **{setting: False}) == left


PROXIES = ("10.0.0.0/8", "2001:db8::/32", "192.0.2.7")


@pytest.mark.parametrize(
    ("peer", "forwarded", "country"),
    [
        (GB, JP, "GB"),  # not a proxy: what it says of others is not believed
        ("10.0.0.1", JP, "JP"),
        ("192.0.2.7", JP, "JP"),
        ("2001:db8::1", JP, "JP"),
        ("::ffff:10.0.0.1", JP, "JP"),
        ("10.0.0.1", f"{US}, {JP}", "JP"),  # the left part was written by anyone
        ("10.0.0.1", f"{US},{JP}, 10.2.3.4,2001:db8::2", "JP"),
        ("10.0.0.1", f"{JP}:4711", "JP"),
        ("10.0.0.1", "[2001:4860:4860::8888]:4711", "US"),
        ("10.0.0.1", "2001:4860:4860::8888", "US"),
        ("10.0.0.1", f"{JP}, unknown", None),
        ("10.0.0.1", f"{JP}, ", None),
        ("10.0.0.1", "", None),
        ("10.0.0.1", "10.0.0.2, 10.0.0.3", None),
        ("10.0.0.1", f"{JP}, 192.168.0.1", None),
        ("", JP, None),
        ("unix", JP, None),
    ],
)
async def test_a_forwarded_address_counts_where_a_trusted_proxy_wrote_it(
    peer: str, forwarded: str, country: str | None
) -> None:
    found = await properties({}, Sender(PHONE, peer, forwarded), trusted_proxies=PROXIES)
    assert found.get("country") == country


async def test_without_trusted_proxies_no_forwarded_address_is_believed() -> None:
    assert (await properties({}, Sender(PHONE, BR, JP)))["country"] == "BR"
    assert "country" not in await properties({}, Sender(PHONE, "127.0.0.1", JP))


async def test_a_header_of_a_hundred_thousand_proxies_ends_where_it_is_no_longer_looked_at() -> None:
    assert "country" not in await properties(
        {}, Sender(PHONE, "10.0.0.1", "10.0.0.1," * 100_000), trusted_proxies=PROXIES
    )
