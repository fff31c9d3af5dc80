"""Keys, sessions and the audit log, in SQLite and in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from streamgauge.access import register
from streamgauge.access.audit import AuditLog, Entry
from streamgauge.access.keyring import Keyring
from streamgauge.access.register import KeyWish, Known
from streamgauge.access.service import KeyService
from streamgauge.access.tables import ACCESS_TABLES, KEYS, SESSIONS
from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import Forbidden, InvalidRequest, NotFound, Unauthorized
from streamgauge.core.selfmetrics import SelfMetrics
from streamgauge.model import DAY_MS, HOUR_MS
from streamgauge.state.database import StateDatabase

ADMIN = KeyWish("admin", "admin")


@pytest.fixture
async def database(state_url: str) -> AsyncIterator[StateDatabase]:
    opened = await StateDatabase.open(state_url, [ACCESS_TABLES])
    yield opened
    await asyncio.to_thread(opened.close)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def service(database: StateDatabase, clock: ManualClock) -> KeyService:
    made = KeyService(database, clock, session_h=2)
    await made.keyring.refresh()
    return made


async def test_a_key_is_good_at_once_and_until_it_is_revoked(service: KeyService) -> None:
    made = await service.create(ADMIN)
    assert await service.keyring.key(made.secret) == made.key
    await service.revoke("admin")
    assert await service.keyring.key(made.secret) is None
    (listed,) = await service.keys()
    assert listed.revoked_ms is not None
    assert service.keyring.any_made  # revoking the last one opens nothing


async def test_a_secret_is_kept_nowhere(service: KeyService, database: StateDatabase) -> None:
    made = await service.create(ADMIN)
    _, token, _ = await service.sign_in(made.secret)
    rows = await database.read(lambda connection: [*connection.execute(KEYS.select())])
    rows += await database.read(lambda connection: [*connection.execute(SESSIONS.select())])
    assert rows
    kept = repr(rows)
    assert made.secret not in kept
    assert made.secret[4:20] not in kept
    assert token not in kept


async def test_another_server_sees_what_one_does(
    service: KeyService, database: StateDatabase, clock: ManualClock
) -> None:
    async def load() -> Known:
        return await database.read(lambda connection: register.known(connection, clock.now_ms()))

    other = Keyring(load, clock)
    await other.refresh()
    made = await service.create(ADMIN)
    assert await other.key(made.secret) == made.key  # without waiting for the next reading
    await service.revoke(made.key.id)
    await other.refresh()
    assert await other.key(made.secret) is None


async def test_a_rotated_key_has_two_secrets_for_a_while(service: KeyService, clock: ManualClock) -> None:
    first = await service.create(ADMIN)
    second = await service.rotate("admin", overlap_h=24)
    assert second.key.id == first.key.id
    clock.advance(24 * HOUR_MS - 1)
    assert await service.keyring.key(first.secret) == await service.keyring.key(second.secret) == second.key
    clock.advance(1)
    assert await service.keyring.key(first.secret) is None
    assert await service.keyring.key(second.secret) == second.key


async def test_a_rotation_without_overlap_ends_the_secret_before_at_once(service: KeyService) -> None:
    first = await service.create(ADMIN)
    await service.rotate("admin", overlap_h=0)
    assert await service.keyring.key(first.secret) is None


async def test_a_name_is_taken_until_its_key_is_revoked(service: KeyService) -> None:
    await service.create(ADMIN)
    with pytest.raises(InvalidRequest, match="already"):
        await service.create(ADMIN)
    await service.revoke("admin")
    await service.create(ADMIN)
    assert len(await service.keys()) == 2


async def test_the_first_key_must_be_able_to_make_others(service: KeyService) -> None:
    with pytest.raises(InvalidRequest, match="first key"):
        await service.create(KeyWish("shop", "write"))
    await service.create(ADMIN)
    await service.create(KeyWish("shop", "write", ("https://shop.example", "https://shop.example")))
    assert service.keyring.origins == ("https://shop.example",)


@pytest.mark.parametrize(
    "wish",
    [
        KeyWish("a b", "admin"),
        KeyWish("a", "admin", ("nonsense",)),
        KeyWish("a", "admin", ("*",) * 33),
        KeyWish("a", "admin", requests_per_s=-1),
        KeyWish("a", "admin", requests_per_s=10**9),
    ],
)
async def test_what_is_no_key_is_not_made(service: KeyService, wish: KeyWish) -> None:
    with pytest.raises(InvalidRequest):
        await service.create(wish)
    assert await service.keys() == []


async def test_keys_that_are_not_there_or_revoked_can_be_neither_rotated_nor_revoked(service: KeyService) -> None:
    await service.create(ADMIN)
    await service.revoke("admin")
    for which in ("admin", "nobody", "", "'; DROP TABLE access_keys; --"):
        with pytest.raises(NotFound):
            await service.revoke(which)
        with pytest.raises(NotFound):
            await service.rotate(which, 1)
    with pytest.raises(InvalidRequest):
        await service.rotate("admin", -1)


async def test_the_number_of_keys_is_bounded(service: KeyService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "KEYS_MAX", 2)
    await service.create(ADMIN)
    await service.create(KeyWish("b", "read"))
    with pytest.raises(InvalidRequest, match="2 keys"):
        await service.create(KeyWish("c", "read"))


async def test_two_who_make_a_key_of_the_same_name_at_once_make_one(service: KeyService) -> None:
    made = await asyncio.gather(*[service.create(ADMIN) for _ in range(4)], return_exceptions=True)
    assert sum(not isinstance(each, BaseException) for each in made) == 1
    assert all(isinstance(each, InvalidRequest | register.MadeKey) for each in made), made
    assert len(await service.keys()) == 1


async def test_a_session_is_that_of_its_key_and_ends_with_it(service: KeyService) -> None:
    made = await service.create(ADMIN)
    key, token, seconds = await service.sign_in(made.secret)
    assert (key, seconds) == (made.key, 7_200)
    assert await service.keyring.key_of_session(token) == made.key
    assert await service.keyring.key(token) is None  # a token is no key, and a key no token
    assert await service.keyring.key_of_session(made.secret) is None
    await service.revoke("admin")
    assert await service.keyring.key_of_session(token) is None


async def test_a_session_ends_when_it_is_signed_out_rotated_or_old(service: KeyService, clock: ManualClock) -> None:
    secret = (await service.create(ADMIN)).secret
    tokens = [(await service.sign_in(secret))[1] for _ in range(3)]
    await service.sign_out(tokens[0])
    assert [await service.keyring.key_of_session(token) is not None for token in tokens] == [False, True, True]
    secret = (await service.rotate("admin", 24)).secret
    assert await service.keyring.key_of_session(tokens[1]) is None
    _, late, _ = await service.sign_in(secret)
    clock.advance(2 * HOUR_MS)
    assert await service.keyring.key_of_session(late) is None


async def test_only_keys_that_may_read_sign_in(service: KeyService) -> None:
    await service.create(ADMIN)
    shop = await service.create(KeyWish("shop", "write"))
    with pytest.raises(Forbidden):
        await service.sign_in(shop.secret)
    with pytest.raises(Unauthorized):
        await service.sign_in("nonsense")


async def test_sessions_are_bounded_and_the_oldest_goes(
    service: KeyService, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "SESSIONS_MAX", 3)
    secret = (await service.create(ADMIN)).secret
    tokens = []
    for _ in range(5):
        clock.advance(1)
        tokens.append((await service.sign_in(secret))[1])
    assert [await service.keyring.key_of_session(token) is not None for token in tokens] == [False] * 2 + [True] * 3


async def test_the_audit_log_has_the_newest_first_in_pages_and_forgets_the_old(
    database: StateDatabase, clock: ManualClock
) -> None:
    audit = AuditLog(database, clock, SelfMetrics(), keep_days=2)
    for number in range(5):
        await audit.record(Entry("admin", "192.0.2.1", "DELETE /keys", f"key={number}", 200))
    first = await audit.entries(2, None)
    assert [entry.subject for entry in first] == ["key=4", "key=3"]
    assert [entry.subject for entry in await audit.entries(9, first[-1].id)] == ["key=2", "key=1", "key=0"]
    clock.advance(2 * DAY_MS + 1)
    await audit.record(Entry("admin", "", "later", "", 200))
    assert [entry.action for entry in await audit.entries(9, None)] == ["later"]


async def test_an_action_that_cannot_be_recorded_is_counted(
    database: StateDatabase, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = SelfMetrics()
    audit = AuditLog(database, clock, metrics, keep_days=2)
    await asyncio.to_thread(database.close)
    await audit.record(Entry("admin", "", "DELETE /keys", "key=1", 200))
    assert metrics.audit_failures._value.get() == 1
    assert "not in the audit log" in caplog.text
