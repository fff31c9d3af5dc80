"""Signing in, keys and the Content-Security-Policy, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from keyed import KeyedSystem, new_key

EVENTS = [
    {"event": "page_view", "page": f"/{n % 5}", "country": ("US", "DE", "JP")[n % 3], "device": "mobile"}
    for n in range(60)
]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedSystem]:
    with KeyedSystem(tmp_path_factory.mktemp("browsed") / "data") as started:
        started.send(EVENTS)
        started.wait_until_counted(len(EVENTS), "page_views")
        yield started


@pytest.fixture
def violations(page: Page) -> list[str]:
    """What the policy of the page forbade it."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if "Content Security" in message.text else None)
    return found


def sign_in(page: Page, key: str) -> None:
    page.get_by_test_id("sign-in-key").fill(key)
    page.keyboard.press("Enter")


def test_who_has_a_key_signs_in_sees_all_and_signs_out(page: Page, system: KeyedSystem, violations: list[str]) -> None:
    page.goto(system.url("/"))
    expect(page.get_by_test_id("sign-in")).to_be_visible()
    expect(page.get_by_test_id("sign-in-key")).to_be_focused()
    sign_in(page, "sga_wrong")
    expect(page.get_by_role("alert")).to_contain_text("This is not a key")
    sign_in(page, new_key(system.data, "viewer", "read"))
    expect(page.get_by_test_id("dashboard")).to_be_visible()
    expect(page.get_by_test_id("live-status")).to_have_attribute("data-state", "live")

    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert page.evaluate("document.cookie + JSON.stringify({...localStorage})").count("sg") == 0
    page.reload()
    expect(page.get_by_test_id("dashboard")).to_be_visible()

    page.get_by_test_id("keys-open").click()
    expect(page.get_by_test_id("keys")).to_contain_text("viewer, which may read")
    page.get_by_test_id("sign-out").click()
    expect(page.get_by_test_id("sign-in")).to_be_visible()
    page.reload()
    expect(page.get_by_test_id("sign-in")).to_be_visible()
    assert violations == []


def test_an_admin_makes_and_revokes_keys(page: Page, system: KeyedSystem, violations: list[str]) -> None:
    page.goto(system.url("/"))
    sign_in(page, system.admin)
    page.get_by_test_id("keys-open").click()
    page.get_by_test_id("key-name").fill("from-the-page")
    page.get_by_test_id("key-make").click()
    secret = page.get_by_test_id("key-secret").locator("code").inner_text()
    assert system.ask("/events", "POST", json=EVENTS, headers={"Authorization": f"Bearer {secret}"}).status_code == 202
    row = page.locator('[data-key="from-the-page"]')
    row.get_by_role("button", name="Revoke").click()
    row.get_by_role("button", name="Revoke for good").click()
    expect(row).to_have_attribute("data-revoked", "true")
    assert system.ask("/events", "POST", json=EVENTS, headers={"Authorization": f"Bearer {secret}"}).status_code == 401
    assert violations == []


def test_who_is_signed_out_elsewhere_is_asked_to_sign_in(page: Page, system: KeyedSystem) -> None:
    new = system.post("/keys", json={"name": "leaver", "scope": "read"}).json()
    page.goto(system.url("/"))
    sign_in(page, new["secret"])
    expect(page.get_by_test_id("dashboard")).to_be_visible()
    assert system.client.delete("/keys/leaver").status_code == 200
    expect(page.get_by_test_id("sign-in")).to_be_visible()
