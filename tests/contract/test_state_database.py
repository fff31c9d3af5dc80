"""What `StateDatabase` promises, of SQLite and of PostgreSQL."""

from __future__ import annotations

import asyncio
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from local_cluster.postgres import PostgresServer
from state_places import new_postgres_database
from streamgauge.core.errors import ConfigError, Unavailable
from streamgauge.state.database import StateDatabase

TABLES = MetaData()
ACCOUNTS = Table("accounts", TABLES, Column("name", String, primary_key=True), Column("amount", Integer))


@pytest.fixture
def database(state_url: str) -> Iterator[StateDatabase]:
    database = StateDatabase(state_url, [TABLES])
    yield database
    database.close()


def put(name: str, amount: int) -> object:
    return lambda connection: connection.execute(insert(ACCOUNTS).values(name=name, amount=amount))


def amounts(connection: Connection) -> dict[str, int]:
    return {name: amount for name, amount in connection.execute(select(ACCOUNTS.c.name, ACCOUNTS.c.amount))}


async def test_what_was_written_is_there_after_a_restart(database: StateDatabase, state_url: str) -> None:
    await database.write(put("a", 1))
    database.close()
    again = await StateDatabase.open(state_url, [TABLES])
    assert await again.read(amounts) == {"a": 1}
    again.close()


async def test_work_that_fails_is_undone_and_its_error_is_the_callers(database: StateDatabase) -> None:
    def work(connection: Connection) -> None:
        connection.execute(insert(ACCOUNTS).values(name="a", amount=1))
        raise KeyError("a")

    with pytest.raises(KeyError):
        await database.write(work)
    assert await database.read(amounts) == {}


async def test_a_key_that_is_there_is_the_callers_to_handle(database: StateDatabase) -> None:
    await database.write(put("a", 1))
    with pytest.raises(IntegrityError):
        await database.write(put("a", 2))
    assert await database.read(amounts) == {"a": 1}


async def test_transactions_at_the_same_time_lose_no_update(database: StateDatabase, state_url: str) -> None:
    await database.write(put("a", 0))
    other = await StateDatabase.open(state_url, [TABLES])  # as another process has it

    def add_one(connection: Connection) -> None:
        seen = amounts(connection)["a"]
        connection.execute(update(ACCOUNTS).values(amount=seen + 1))

    await asyncio.gather(*(one.write(add_one) for one in (database, other) for _ in range(10)))
    assert await database.read(amounts) == {"a": 20}
    other.close()


async def test_of_two_that_see_nothing_and_write_one_sees_the_other(database: StateDatabase, state_url: str) -> None:
    """Write skew: what databases allow below serializable."""
    other = await StateDatabase.open(state_url, [TABLES])

    def take_if_free(name: str) -> object:
        def work(connection: Connection) -> bool:
            if amounts(connection):
                return False
            connection.execute(insert(ACCOUNTS).values(name=name, amount=1))
            return True

        return work

    taken = await asyncio.gather(*(one.write(take_if_free(f"{n}")) for n, one in enumerate([database, other] * 4)))
    assert sum(taken) == 1
    other.close()


async def test_a_reader_sees_one_state_while_others_write(database: StateDatabase, state_url: str) -> None:
    await database.write(put("a", 1))
    other = await StateDatabase.open(state_url, [TABLES])
    has_read, is_written = threading.Event(), threading.Event()

    def read_twice(connection: Connection) -> tuple[dict[str, int], dict[str, int]]:
        first = amounts(connection)
        has_read.set()
        assert is_written.wait(10)
        return first, amounts(connection)

    reading = asyncio.create_task(database.read(read_twice))
    await asyncio.to_thread(has_read.wait, 10)
    await other.write(put("b", 2))
    is_written.set()
    assert await reading == ({"a": 1}, {"a": 1})
    assert await other.read(amounts) == {"a": 1, "b": 2}
    other.close()


async def test_columns_and_tables_that_are_new_are_added_to_what_is_there(
    database: StateDatabase, state_url: str
) -> None:
    await database.write(put("a", 1))
    later = MetaData()
    accounts = Table(
        "accounts",
        later,
        Column("name", String, primary_key=True),
        Column("amount", Integer),
        Column("note", String, nullable=False, server_default="none"),
        Column("Odd name", Integer, index=True),
    )
    Table("others", later, Column("name", String, primary_key=True))
    for _ in range(2):  # the second time there is nothing to add
        again = await StateDatabase.open(state_url, [later])
        assert await again.read(lambda connection: connection.execute(select(accounts)).all()) == [
            ("a", 1, "none", None)
        ]
        again.close()


async def test_several_processes_may_make_the_tables_at_once(state_url: str) -> None:
    found = await asyncio.gather(*(StateDatabase.open(state_url, [TABLES]) for _ in range(4)))
    for database in found:
        database.close()


async def test_a_closed_database_says_so(database: StateDatabase) -> None:
    database.close()
    with pytest.raises(Unavailable):
        await database.read(amounts)


async def test_a_postgres_that_is_away_is_unavailable_without_a_password_and_used_again_when_it_is_back(
    postgres: PostgresServer,
) -> None:
    url = new_postgres_database(postgres)
    database = await StateDatabase.open(url, [TABLES])
    await database.write(put("a", 1))
    postgres.stop()
    try:
        with pytest.raises(Unavailable) as error:
            await database.read(amounts)
        assert postgres.password not in error.value.message
    finally:
        postgres.start()
    assert await database.read(amounts) == {"a": 1}
    database.close()


def test_only_its_owner_reads_the_file(tmp_path: Path) -> None:
    StateDatabase(f"sqlite:///{tmp_path / 'state.db'}", [TABLES]).close()
    assert stat.S_IMODE((tmp_path / "state.db").stat().st_mode) == 0o600


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this is not a database, whatever it is" * 100)
    with pytest.raises(Unavailable, match="not a database"):
        StateDatabase(f"sqlite:///{tmp_path / 'state.db'}", [TABLES])


@pytest.mark.parametrize("url", ["", "state.db", "mysql://host/database", "sqlite:///", "sqlite://", "postgresql:///x"])
def test_what_is_no_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as error:
        StateDatabase(url, [TABLES])
    assert "sqlite:///file" in error.value.hint


def test_two_rooms_with_a_table_of_one_name_are_a_bug(tmp_path: Path) -> None:
    other = MetaData()
    Table("accounts", other, Column("key", String, primary_key=True))
    with pytest.raises(ValueError, match="accounts"):
        StateDatabase(f"sqlite:///{tmp_path / 'state.db'}", [TABLES, other])
