"""Segment's official SDKs against a real server that is killed in between: what they send is counted, once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from running import RunningSystem, eventually
from segment_sdks import Sender, node_sender, python_sender, site

PYTHON, NODE, BROWSER, BATCHING = 2_000, 2_000, 500, 500
FINISHED_S_MAX = 60.0


@pytest.fixture
def shop() -> Iterator[str]:
    with site() as url:
        yield url


def open_shop(page: Page, shop: str, system: RunningSystem, strategy: str = "") -> None:
    page.goto(f"{shop}?server={system.url().replace('127.0.0.1', 'localhost')}&strategy={strategy}")
    page.wait_for_function("window.loaded")


def test_what_sdks_send_is_counted_exactly_once_though_the_server_is_killed(
    tmp_path: Path, page: Page, shop: str
) -> None:
    senders: list[Sender] = []
    try:
        with RunningSystem(tmp_path / "data") as system:
            other = page.context.new_page()
            open_shop(page, f"{shop}/", system)
            open_shop(other, f"{shop}/", system, "batching")
            senders = [python_sender(system.url(), PYTHON), node_sender(system.url(), NODE)]
            page.evaluate(f"void send('browser', {BROWSER})")
            other.evaluate(f"void send('batching', {BATCHING})")
            wait_for(page, system, (PYTHON + NODE + BROWSER + BATCHING) / 4)
            system.kill9()
            system.start()
            for sender in senders:
                sender.finish(FINISHED_S_MAX)
            expected = {"python": PYTHON, "node": NODE, "browser": BROWSER, "batching": BATCHING}
            wait_for(page, system, sum(expected.values()))
            system.wait_until_idle()
            assert {event: system.total("events", event=event) for event in expected} == expected
            assert page.evaluate("problems") == other.evaluate("problems") == []
    finally:
        for sender in senders:
            sender.kill()


def wait_for(page: Page, system: RunningSystem, count: float) -> None:
    """Until so many events are counted. The pages go on meanwhile, which they don't while Playwright isn't asked."""
    for _ in range(int(FINISHED_S_MAX / 0.1)):
        if system.total("events") >= count:
            return
        page.wait_for_timeout(100)
    pytest.fail(f"of {count:g} events {system.total('events'):g} are counted")


def test_what_a_browser_says_of_its_page_are_dimensions(running_system: RunningSystem, page: Page, shop: str) -> None:
    path = f"/products/{(name := str(uuid.uuid4()))}"
    open_shop(page, f"{shop}{path}", running_system)
    page.evaluate("analytics.page('Product', {sku: 'a'})")
    page.evaluate("analytics.identify('u-1', {plan: 'pro'})")
    context = page.evaluate(f"analytics.track('{name}', {{price: 3}}).then((sent) => sent.event)")
    running_system.wait_until_counted(1, "page_views", page=path)
    running_system.wait_until_counted(1, "events", event=name)
    (event,) = eventually(
        lambda: running_system.get(f"/events/{context['messageId']}").json().get("occurrences"), "it is stored"
    )
    told = {name: event["properties"][name] for name in ("price", "page", "title", "locale", "timezone", "library")}
    assert told == {
        "price": 3,
        "page": path,
        "title": "Shop",
        "locale": "en-GB",
        "timezone": "UTC",
        "library": "analytics.js",
    }
    assert (event["user_id"], event["anonymous_id"]) == ("u-1", context["anonymousId"])
