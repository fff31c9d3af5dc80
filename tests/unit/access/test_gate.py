"""The gate: who may do what."""

from __future__ import annotations

from typing import Any

import pytest

from streamgauge.access.credentials import Credentials
from streamgauge.access.gate import Caller, Gate, Origin
from streamgauge.access.keyring import Keyring
from streamgauge.access.keys import Key, Scope, Verified, hash_of, selector_of, verifier_of
from streamgauge.access.register import Known
from streamgauge.config import AccessSettings
from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import Forbidden, OriginNotAllowed, RateLimited, StreamgaugeError, Unauthorized
from streamgauge.core.origins import allowed_origins
from streamgauge.core.selfmetrics import SelfMetrics

SHOP = Origin("https://shop.example", is_own=False)
OWN = Origin("https://here.example", is_own=True)
LOCAL = Origin("http://localhost:5173", is_own=False)


def key(scope: Scope, *origins: str, requests_per_s: int = 0) -> Key:
    return Key(f"{scope} {requests_per_s}", scope, scope, origins, requests_per_s, "", 0)


KEYS = {"w": key("write", SHOP.name), "r": key("read"), "a": key("admin"), "slow": key("write", requests_per_s=1)}


async def gate_of(keys: dict[str, Key], *, is_private: bool = True, **settings: Any) -> Gate:
    known = {
        selector_of(hash_of(secret)): Verified(verifier_of(hash_of(secret)), each, None)
        for secret, each in keys.items()
    }

    async def load() -> Known:
        return Known(known, known, bool(known))

    keyring = Keyring(load, ManualClock())
    await keyring.refresh()
    return Gate(
        keyring,
        AccessSettings(**settings),
        SelfMetrics(),
        is_private=is_private,
        is_allowed_origin=allowed_origins(["http://localhost:*"]),
        seconds=lambda: 5.0,
    )


async def allowed(gate: Gate, secret: str, scope: Scope) -> type[StreamgaugeError] | None:
    try:
        gate.check(await gate.caller(Credentials(secret), "192.0.2.1"), scope)
    except StreamgaugeError as error:
        return type(error)
    return None


async def test_without_keys_everyone_may_everything_in_private() -> None:
    gate = await gate_of({})
    assert gate.is_open
    for scope in ("write", "read", "admin"):
        assert await allowed(gate, "", scope) is None
        assert await allowed(gate, "any write key", scope) is None


async def test_without_keys_nobody_may_anything_in_public() -> None:
    """Where the last key is gone while it runs."""
    gate = await gate_of({}, is_private=False)
    for scope in ("write", "read", "admin"):
        assert await allowed(gate, "", scope) is Unauthorized


@pytest.mark.parametrize("is_private", [True, False])
@pytest.mark.parametrize(
    ("secret", "scope", "refusal"),
    [
        ("w", "write", None),
        ("w", "read", Forbidden),
        ("w", "admin", Forbidden),
        ("r", "write", Forbidden),
        ("r", "read", None),
        ("r", "admin", Forbidden),
        ("a", "write", None),
        ("a", "read", None),
        ("a", "admin", None),
        ("", "write", Unauthorized),
        ("", "read", Unauthorized),
        ("nonsense", "write", Unauthorized),
    ],
)
async def test_once_there_are_keys_one_is_needed(
    is_private: bool, secret: str, scope: Scope, refusal: type[StreamgaugeError] | None
) -> None:
    assert await allowed(await gate_of(KEYS, is_private=is_private), secret, scope) is refusal


@pytest.mark.parametrize(("secret", "is_taken"), [("w", True), ("r", False), ("a", False), ("nonsense", False)])
async def test_only_a_write_key_may_stand_where_urls_and_bodies_are_logged(secret: str, is_taken: bool) -> None:
    gate = await gate_of(KEYS)
    credentials = Credentials(write_key=secret)
    if is_taken:
        assert (await gate.caller(credentials, "")).source == "write"
    else:
        with pytest.raises(Unauthorized) as caught:
            await gate.caller(credentials, "")
        assert caught.value.code == "unauthorized"


async def test_a_session_that_has_ended_is_a_stranger_and_no_error() -> None:
    gate = await gate_of(KEYS)
    assert (await gate.caller(Credentials(session="ended"), "")).key is None
    assert (await gate.caller(Credentials(session="a"), "")).by_session


def caller(secret: str, *, by_session: bool = False) -> Caller:
    return Caller("192.0.2.1", KEYS.get(secret), by_session)


@pytest.mark.parametrize(
    ("who", "origin", "is_event", "is_allowed"),
    [
        (caller("w"), None, True, True),
        (caller("w"), SHOP, True, True),
        (caller("w"), LOCAL, True, False),  # it names its pages
        (caller("w"), OWN, True, True),
        (caller("slow"), LOCAL, True, True),  # it names none: those of the settings
        (caller("slow"), SHOP, True, False),
        (caller("a"), SHOP, False, False),
        (caller("a"), OWN, False, True),
        (caller("a"), None, False, True),
        (caller("a", by_session=True), OWN, False, True),
        (caller("a", by_session=True), None, False, False),
        (caller("a", by_session=True), LOCAL, False, False),
        (caller("a", by_session=True), LOCAL, True, False),
    ],
)
async def test_pages_of_other_sites_may_send_events_with_a_key_for_them_and_nothing_else(
    who: Caller, origin: Origin | None, is_event: bool, is_allowed: bool
) -> None:
    gate = await gate_of(KEYS)
    if is_allowed:
        gate.check_origin(who, origin, is_event=is_event)
    else:
        with pytest.raises(OriginNotAllowed):
            gate.check_origin(who, origin, is_event=is_event)


async def test_without_keys_pages_of_other_sites_change_nothing() -> None:
    gate = await gate_of({})
    gate.check_origin(Caller(""), LOCAL, is_event=True)
    for origin, is_event in ((LOCAL, False), (SHOP, True), (SHOP, False)):
        with pytest.raises(OriginNotAllowed):
            gate.check_origin(Caller(""), origin, is_event=is_event)


async def test_an_address_has_so_many_requests_a_second_and_under_way() -> None:
    gate = await gate_of(KEYS, address_requests_per_s=2, address_requests_max=3)
    for _ in range(3):
        gate.enter("192.0.2.1")
    with pytest.raises(RateLimited):
        gate.enter("192.0.2.1")
    gate.leave("192.0.2.1")
    gate.enter("192.0.2.1")
    gate.leave("192.0.2.1")
    with pytest.raises(RateLimited) as caught:
        gate.enter("192.0.2.1")
    assert caught.value.retry_after_s == 1
    gate.enter("192.0.2.2")


async def test_a_key_has_its_own_limit_or_that_of_the_settings() -> None:
    gate = await gate_of(KEYS, key_requests_per_s=3)
    for name, per_s in (("slow", 1), ("w", 3)):
        for _ in range(2 * per_s):
            gate.take(KEYS[name])
        with pytest.raises(RateLimited):
            gate.take(KEYS[name])
    unlimited = await gate_of(KEYS, key_requests_per_s=0)
    assert unlimited.take(KEYS["w"]) is None


async def test_who_guesses_keys_runs_out_of_requests() -> None:
    gate = await gate_of(KEYS, address_requests_per_s=50)
    for _ in range(5):
        gate.enter("192.0.2.1")
        with pytest.raises(Unauthorized):
            await gate.caller(Credentials("guess"), "192.0.2.1")
    with pytest.raises(RateLimited):
        gate.enter("192.0.2.1")
