"""Whose key an event came with, and events of bots."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streamgauge.ingest.accept import Numbering, Source
from streamgauge.ingest.visitor import Sender
from unit.ingest.memory_log import JSON, Desk

SHOP, ADMIN = Source("shop"), Source("ops", may_be_stated=True)
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Mobile/15E148 Safari/604"
)


async def kept(item: dict[str, Any], source: Source | None) -> dict[str, Any]:
    """The properties that the log has, whichever way the body was read."""
    desk = Desk()
    quick = {"event": "e", **item}
    for body in (quick, {**quick, "nested": []}):
        await desk.ingest.accept(msgspec.json.encode(body), JSON, None, source=source)
    first, second = (dict(envelope.properties) for envelope in desk.envelopes())
    assert second.pop("nested") == []
    assert first == second
    return first


@pytest.mark.parametrize(
    ("said", "source", "properties"),
    [
        ({}, None, {}),
        ({"source": "mine"}, None, {"source": "mine"}),
        ({}, SHOP, {"source": "shop"}),
        ({"source": ""}, SHOP, {"source": "shop"}),
        ({"source": None}, SHOP, {"source": "shop"}),
        ({"source": "shop"}, SHOP, {"source": "shop"}),
        ({"source": "till"}, SHOP, {"source": "shop", "sent_source": "till"}),
        ({"source": ["till"]}, SHOP, {"source": "shop", "sent_source": ["till"]}),
        ({"source": "a", "sent_source": "b"}, SHOP, {"source": "shop", "sent_source": "b"}),
        ({}, ADMIN, {"source": "ops"}),
        ({"source": "till"}, ADMIN, {"source": "till"}),
    ],
)
async def test_the_source_is_the_key_and_only_an_admin_can_say_otherwise(
    said: dict[str, Any], source: Source | None, properties: dict[str, Any]
) -> None:
    assert await kept(said, source) == properties


async def test_events_of_bots_are_dropped_and_counted_where_the_settings_say_so() -> None:
    desk = Desk(drop_bots=True)
    items = [{"event": "a"}, {"event": "b", "user_agent": PHONE}, {"event": "c", "user_agent": BOT}]
    by_bot = await desk.send(msgspec.json.encode(items), sender=Sender(BOT))
    assert (by_bot.count, by_bot.bots_count, by_bot.rejected) == (1, 2, ())
    by_phone = await desk.send(msgspec.json.encode(items), sender=Sender(PHONE))
    assert (by_phone.count, by_phone.bots_count) == (2, 1)
    by_program = await desk.send(msgspec.json.encode(items), sender=Sender("curl/8"))
    assert (by_program.count, by_program.bots_count) == (2, 1)  # it sends for others
    assert desk.count("streamgauge_ingest_dropped_total", reason="bot") == 4
    assert len(desk.log.records) == 5


async def test_events_of_bots_are_kept_by_default() -> None:
    desk = Desk()
    assert (await desk.send(b'[{"event":"a"}]', sender=Sender(BOT))).count == 1
    assert desk.envelopes()[0].properties["device"] == "bot"


async def test_a_producer_counts_on_over_what_was_dropped() -> None:
    told: list[tuple[str, int]] = []
    desk = Desk(drop_bots=True)
    desk.ingest._on_numbered = lambda producer, following: told.append((producer, following))
    items = [{"event": "a"}, {"event": "b", "user_agent": BOT}, {"event": "c"}]
    await desk.send(msgspec.json.encode(items), numbering=Numbering("p", 10))
    assert told == [("p", 13)]
    assert [envelope.sequence for envelope in desk.envelopes()] == [10, 12]


@pytest.mark.parametrize(("keep", "stored"), [(False, None), (True, "198.51.100.77"), ("truncated", "198.51.100.0")])
async def test_an_address_is_dropped_kept_or_truncated(keep: Any, stored: str | None) -> None:
    found = await Desk(keep_addresses=keep).event(b'{"event":"a","ip":"198.51.100.77"}')
    assert found.properties.get("ip") == stored


async def test_what_is_no_address_is_not_kept_in_part() -> None:
    desk = Desk(keep_addresses="truncated")
    assert "ip" not in (await desk.event(b'{"event":"a","ip":"somewhere"}')).properties
    assert "ip" not in (await desk.event(b'{"event":"a","ip":7}')).properties
