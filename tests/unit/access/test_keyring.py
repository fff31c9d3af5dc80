"""What a process knows of keys, and for how long it believes it."""

from __future__ import annotations

import asyncio

import pytest

from streamgauge.access.keyring import MISSES_S_MIN, REFRESH_S, STALE_S_MAX, Keyring
from streamgauge.access.keys import Key, Verified, hash_of, selector_of, verifier_of
from streamgauge.access.register import Known
from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import Unavailable


def key(name: str) -> Key:
    return Key(name, name, "read", (), 0, "", 0)


class Register:
    """The state database as a keyring sees it."""

    def __init__(self) -> None:
        self.secrets: dict[str, tuple[str, int | None]] = {}
        self.is_down = False
        self.reads = 0

    async def load(self) -> Known:
        self.reads += 1
        await asyncio.sleep(0)
        if self.is_down:
            raise Unavailable("down")
        keys = {}
        for secret, (name, until_ms) in self.secrets.items():
            hashed = hash_of(secret)
            keys[selector_of(hashed)] = Verified(verifier_of(hashed), key(name), until_ms)
        return Known(keys, {}, bool(keys))


class Seconds:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def register() -> Register:
    return Register()


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
async def keyring(register: Register, seconds: Seconds) -> Keyring:
    register.secrets["old"] = ("old", None)
    made = Keyring(register.load, ManualClock(), seconds)
    await made.refresh()
    return made


async def test_a_known_secret_is_found_without_asking_anyone(keyring: Keyring, register: Register) -> None:
    for _ in range(100):
        assert await keyring.key("old") == key("old")
    assert register.reads == 1


async def test_a_secret_that_was_made_a_moment_ago_is_found(
    keyring: Keyring, register: Register, seconds: Seconds
) -> None:
    register.secrets["new"] = ("new", None)
    seconds.now += 1
    assert await keyring.key("new") == key("new")


async def test_a_secret_that_shares_the_selector_alone_is_not_good(keyring: Keyring, register: Register) -> None:
    hashed = hash_of("guess")
    stolen = Known({selector_of(hashed): Verified("0" * 32, key("other"), None)}, {}, True)

    async def load() -> Known:
        return stolen

    other = Keyring(load, ManualClock())
    await other.refresh()
    assert await other.key("guess") is None


async def test_a_revoked_key_is_gone_after_the_next_reading(keyring: Keyring, register: Register) -> None:
    del register.secrets["old"]
    await keyring.refresh()
    assert await keyring.key("old") is None
    assert REFRESH_S <= 2  # "within seconds"


async def test_a_secret_before_a_rotation_is_good_until_its_time_and_not_after(register: Register) -> None:
    clock = ManualClock(1_000)
    register.secrets["before"] = ("k", 2_000)
    keyring = Keyring(register.load, clock)
    await keyring.refresh()
    clock.advance(999)
    assert await keyring.key("before") == key("k")
    clock.advance(1)
    assert await keyring.key("before") is None


async def test_strangers_who_knock_at_once_share_one_reading(
    keyring: Keyring, register: Register, seconds: Seconds
) -> None:
    seconds.now += MISSES_S_MIN
    assert await asyncio.gather(*[keyring.key(f"guess {number}") for number in range(500)]) == [None] * 500
    assert register.reads <= 3


async def test_texts_that_can_be_no_secret_are_refused_without_a_reading(keyring: Keyring, register: Register) -> None:
    assert await keyring.key("") is None
    assert await keyring.key("x" * 129) is None
    assert register.reads == 1


async def test_what_was_known_is_believed_for_a_while_when_the_database_is_away(
    keyring: Keyring, register: Register, seconds: Seconds
) -> None:
    register.is_down = True
    with pytest.raises(Unavailable):
        await keyring.refresh()
    seconds.now += STALE_S_MAX
    assert await keyring.key("old") == key("old")
    assert keyring.state().state == "stale"
    with pytest.raises(Unavailable):  # it may have been made meanwhile
        await keyring.key("new")
    seconds.now += 1
    with pytest.raises(Unavailable):
        await keyring.key("old")
    assert keyring.state().state == "degraded"


async def test_before_the_first_reading_nothing_is_believed(register: Register) -> None:
    with pytest.raises(Unavailable):
        Keyring(register.load, ManualClock()).check_age()
