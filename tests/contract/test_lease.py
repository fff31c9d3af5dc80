"""What `Lease` promises, of SQLite and of PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from streamgauge.core.errors import Unavailable
from streamgauge.state.database import StateDatabase
from streamgauge.state.lease import TABLES, Lease


@pytest.fixture
def databases(state_url: str) -> Iterator[list[StateDatabase]]:
    """Two, as two processes have them."""
    found = [StateDatabase(state_url, [TABLES]) for _ in range(2)]
    yield found
    for database in found:
        database.close()


async def test_one_of_two_has_it_and_the_other_when_it_is_given_back(databases: list[StateDatabase]) -> None:
    one, other = (Lease(database, "alerts", renewed_s=0) for database in databases)
    assert sorted(await asyncio.gather(one.leads(), other.leads())) == [False, True]
    first, second = (one, other) if await one.leads() else (other, one)
    assert (await first.leads(), await second.leads()) == (True, False)
    await first.give_back()
    assert (await second.leads(), await first.leads()) == (True, False)


async def test_one_that_is_not_renewed_is_anothers_after_its_time(databases: list[StateDatabase]) -> None:
    one, other = (Lease(database, "alerts", lease_s=0.3, renewed_s=0) for database in databases)
    assert await one.leads()
    assert not await other.leads()
    async with asyncio.timeout(10):
        while not await other.leads():  # noqa: ASYNC110 - what is waited for is the time of a database
            await asyncio.sleep(0.02)
    assert not await one.leads()


async def test_leases_of_other_names_have_nothing_to_do_with_it(databases: list[StateDatabase]) -> None:
    assert await Lease(databases[0], "a").leads()
    assert await Lease(databases[1], "b").leads()


async def test_who_can_not_renew_it_does_not_go_on(databases: list[StateDatabase]) -> None:
    lease = Lease(databases[0], "alerts", renewed_s=0)
    working, stopped = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        working.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    held = asyncio.create_task(lease.while_held(work))
    assert await lease.leads()
    async with asyncio.timeout(10):
        await working.wait()
        databases[0].close()
        with pytest.raises(Unavailable):
            await lease.leads()
        await stopped.wait()
    held.cancel()


async def test_a_holder_that_is_slow_keeps_it_while_it_is_renewed_beside_its_work(
    databases: list[StateDatabase],
) -> None:
    one, other = (Lease(database, "alerts", lease_s=0.9, renewed_s=0.1) for database in databases)
    keeping = asyncio.create_task(one.keep())
    assert await one.leads()
    epoch, until_s = one.epoch, time.monotonic() + 2
    while time.monotonic() < until_s:  # `one` doesn't ask all this time
        assert not await other.leads()
        await asyncio.sleep(0.05)
    await databases[0].write(lambda connection: one.check(connection, epoch))
    keeping.cancel()


async def test_a_holder_that_was_too_slow_can_not_write_any_more_even_when_it_has_it_again(
    databases: list[StateDatabase],
) -> None:
    one, other = (Lease(database, "alerts", lease_s=0.3, renewed_s=0) for database in databases)
    assert await one.leads()
    epoch = one.epoch
    await databases[0].write(lambda connection: one.check(connection, epoch))
    async with asyncio.timeout(10):
        while not await other.leads():  # noqa: ASYNC110 - what is waited for is the time of a database
            await asyncio.sleep(0.02)
    with pytest.raises(Unavailable, match="lost"):
        await databases[0].write(lambda connection: one.check(connection, epoch))
    await other.give_back()
    assert await one.leads()
    with pytest.raises(Unavailable, match="lost"):
        await databases[0].write(lambda connection: one.check(connection, epoch))
    await databases[0].write(lambda connection: one.check(connection, one.epoch))
