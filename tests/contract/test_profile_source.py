"""What `ProfileSource` promises, of every backend, and what each promises besides."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.profile_places import PostgresPlace, PostgresServer, ProfilePlace, SqlitePlace
from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import ConfigError, Unavailable
from streamgauge.profiles.base import Marker, ProfileSource
from streamgauge.profiles.postgres import PostgresProfiles

COLUMNS = ("user_country", "plan")
Profiles = dict[str, tuple[str | None, ...]]


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> ProfilePlace:
    if request.param == "sqlite":
        return SqlitePlace(tmp_path)
    return PostgresPlace(request.getfixturevalue("postgres"))


@pytest.fixture
def clock() -> ManualClock:
    """Of now: a database has a clock of its own."""
    return ManualClock(int(time.time() * 1_000))


@pytest.fixture
def source(place: ProfilePlace, clock: ManualClock) -> Iterator[ProfileSource]:
    place.create(COLUMNS)
    source = place.source(COLUMNS, clock)
    yield source
    source.close()


def read(source: ProfileSource, since: Marker | None = None) -> tuple[Profiles, Marker]:
    profiles: Profiles = {}
    chunks = list(source.read(since))
    for chunk in chunks:
        profiles |= {user_id: tuple(values) for user_id, *values in chunk.profiles.iter_rows()}
    assert [chunk.marker is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].marker is not None
    return profiles, chunks[-1].marker


def test_a_table_without_profiles_gives_a_marker_to_go_on_from(
    place: ProfilePlace, source: ProfileSource, clock: ManualClock
) -> None:
    profiles, marker = read(source)
    assert profiles == {}
    place.put(clock.now_ms(), {"user_id": "ann", "plan": "pro"})
    assert read(source, marker)[0] == {"ann": (None, "pro")}


def test_all_profiles_are_read_with_their_values(
    place: ProfilePlace, source: ProfileSource, clock: ManualClock
) -> None:
    place.put(
        clock.now_ms(),
        {"user_id": "ann", "user_country": "DE", "plan": "pro"},
        {"user_id": "bob", "user_country": None, "plan": "free"},
    )
    assert read(source)[0] == {"ann": ("DE", "pro"), "bob": (None, "free")}


@pytest.mark.parametrize(
    "text",
    ["a,b", 'say "hi"', "two\nlines", "\t", "\\N", "\\.", "NULL", " padded ", "Größe 日本 🎈", "'; DROP TABLE x"],
)
def test_texts_arrive_as_they_are(place: ProfilePlace, source: ProfileSource, clock: ManualClock, text: str) -> None:
    place.put(clock.now_ms(), {"user_id": text, "user_country": text, "plan": None})
    assert read(source)[0] == {text: (text, None)}


def test_an_empty_text_is_no_value_and_an_empty_id_no_profile(
    place: ProfilePlace, source: ProfileSource, clock: ManualClock
) -> None:
    place.put(clock.now_ms(), {"user_id": "ann", "plan": ""}, {"user_id": "", "plan": "pro"})
    assert read(source)[0] == {"ann": (None, None)}


def test_a_column_that_the_table_lacks_has_no_values(place: ProfilePlace, clock: ManualClock) -> None:
    place.create(["plan"])
    place.put(clock.now_ms(), {"user_id": "ann", "plan": "pro"})
    assert read(place.source(("user_country", "plan"), clock))[0] == {"ann": (None, "pro")}


def test_columns_may_have_names_that_are_words_of_sql(place: ProfilePlace, clock: ManualClock) -> None:
    place.create(["select", "order"])
    place.put(clock.now_ms(), {"user_id": "ann", "select": "1", "order": "2"})
    assert read(place.source(("order", "select"), clock))[0] == {"ann": ("2", "1")}


def test_only_what_changed_is_read_after_a_while(
    place: ProfilePlace, source: ProfileSource, clock: ManualClock
) -> None:
    now_ms = clock.now_ms()
    place.put(now_ms - 10 * place.visible_ms_max, {"user_id": "old", "plan": "free"})
    place.put(now_ms - 1, {"user_id": "new", "plan": "free"})
    _, marker = read(source)
    place.put(now_ms, {"user_id": "new", "plan": "pro"})
    assert read(source, marker)[0] == {"new": (None, "pro")}


def test_a_change_with_the_same_time_as_one_that_was_read_is_read(
    place: ProfilePlace, source: ProfileSource, clock: ManualClock
) -> None:
    now_ms = clock.now_ms() - 1
    place.put(now_ms, {"user_id": "ann", "plan": "pro"})
    _, marker = read(source)
    place.put(now_ms, {"user_id": "bob", "plan": "pro"})
    assert "bob" in read(source, marker)[0]


def test_a_change_that_appears_after_later_ones_is_read_however_long_the_pause_between_readings(
    place: ProfilePlace, source: ProfileSource, clock: ManualClock
) -> None:
    place.put(clock.now_ms(), {"user_id": "ann", "plan": "pro"})
    _, marker = read(source)
    place.put(clock.now_ms() - place.visible_ms_max + 1, {"user_id": "bob", "plan": "pro"})
    clock.advance(10 * place.visible_ms_max)
    profiles, marker = read(source, marker)
    assert "bob" in profiles


def test_what_was_read_is_not_read_again_for_ever(
    place: ProfilePlace, source: ProfileSource, clock: ManualClock
) -> None:
    place.put(clock.now_ms() - 1_000, {"user_id": "ann", "plan": "pro"})
    _, marker = read(source)
    clock.advance(place.visible_ms_max + 1)
    again, marker = read(source, marker)
    nothing, marker = read(source, marker)
    assert set(again) == {"ann"}
    assert nothing == {}
    place.put(clock.now_ms() - 500, {"user_id": "bob", "plan": "free"})
    assert set(read(source, marker)[0]) == {"bob"}


def test_a_time_in_the_future_hides_no_change_of_now(
    place: ProfilePlace, source: ProfileSource, clock: ManualClock
) -> None:
    place.put(clock.now_ms() + 3_600_000, {"user_id": "ahead", "plan": "pro"})
    _, marker = read(source)
    place.put(clock.now_ms() - 1, {"user_id": "ann", "plan": "pro"})
    assert "ann" in read(source, marker)[0]


def test_a_deleted_profile_is_missing_in_a_reading_of_all(
    place: ProfilePlace, source: ProfileSource, clock: ManualClock
) -> None:
    place.put(clock.now_ms(), {"user_id": "ann", "plan": "pro"}, {"user_id": "bob", "plan": "pro"})
    place.delete("ann")
    assert set(read(source)[0]) == {"bob"}


def test_a_database_that_is_down_is_unavailable_and_can_be_read_when_it_is_back(
    place: ProfilePlace, source: ProfileSource, clock: ManualClock
) -> None:
    place.put(clock.now_ms(), {"user_id": "ann", "plan": "pro"})
    _, marker = read(source)
    place.break_down()
    try:
        with pytest.raises(Unavailable, match="can't be read"):
            list(source.read(marker))
    finally:
        place.mend()
    assert read(source)[0] == {"ann": (None, "pro")}


def test_a_closed_source_is_unavailable(source: ProfileSource) -> None:
    source.close()
    source.close()
    with pytest.raises(Unavailable, match="closed"):
        list(source.read())


def test_a_reading_that_is_given_up_leaves_nothing_behind(
    place: ProfilePlace, source: ProfileSource, clock: ManualClock
) -> None:
    place.put(clock.now_ms(), {"user_id": "ann", "plan": "pro"})
    reading = source.read()
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert set(read(source)[0]) == {"ann"}


@pytest.mark.parametrize("name", ["", "1st", "a b", 'x" --', "user_id", "Updated_At", "x" * 65, "plan\n"])
def test_a_name_that_can_be_no_column_is_refused(place: ProfilePlace, clock: ManualClock, name: str) -> None:
    with pytest.raises(ConfigError):
        place.source((name,), clock)


def test_no_sqlite_file_is_no_profiles_and_none_is_made(tmp_path: Path, clock: ManualClock) -> None:
    place = SqlitePlace(tmp_path)
    source = place.source(COLUMNS, clock)
    profiles, marker = read(source)
    assert profiles == {}
    assert not place.file.exists()
    place.create(COLUMNS)
    place.put(clock.now_ms(), {"user_id": "ann", "plan": "pro"})
    assert set(read(source, marker)[0]) == {"ann"}
    place.file.unlink()
    with pytest.raises(Unavailable, match="which is gone"):
        read(source, marker)


@pytest.mark.parametrize(("time_type", "unit_ms"), [("bigint", 1), ("integer", 1_000), ("timestamp", 1)])
def test_postgres_may_keep_the_time_in_another_way(
    postgres: PostgresServer, clock: ManualClock, time_type: str, unit_ms: int
) -> None:
    place = PostgresPlace(postgres, time_type=time_type)
    place.create(COLUMNS)
    if time_type == "timestamp":
        place.put = lambda updated_ms, *profiles: [  # type: ignore[method-assign]
            place.execute(
                "INSERT INTO profiles VALUES (%s, to_timestamp(%s / 1000.0) AT TIME ZONE 'UTC', NULL, 'x')",
                (profile["user_id"], updated_ms),
            )
            for profile in profiles
        ]
    source = place.source(COLUMNS, clock)
    now = clock.now_ms()
    place.put((now - 3_600_000) // unit_ms, {"user_id": "old", "plan": "x"})
    place.put((now - 5_000) // unit_ms, {"user_id": "ann", "plan": "x"})
    profiles, marker = read(source)
    assert set(profiles) == {"old", "ann"}
    place.put((now - 2_000) // unit_ms, {"user_id": "bob", "plan": "x"})
    clock.advance(31_000)
    profiles, marker = read(source, marker)
    assert set(profiles) == {"ann", "bob"}
    clock.advance(31_000)
    _, marker = read(source, marker)
    assert read(source, marker)[0] == {}


def test_postgres_ids_and_values_of_any_type_become_text(postgres: PostgresServer, clock: ManualClock) -> None:
    place = PostgresPlace(postgres)
    place.execute(
        "DROP TABLE profiles; CREATE TABLE profiles (user_id bigint, updated_at timestamptz, age int, vip boolean);"
        "INSERT INTO profiles VALUES (7, now(), 42, true), (8, 'infinity', NULL, false), (NULL, now(), 1, true)"
    )
    profiles, marker = read(place.source(("age", "vip"), clock))
    assert profiles == {"7": ("42", "true"), "8": (None, "false")}
    assert marker.newest > 0


def test_postgres_table_may_be_in_a_schema_and_have_any_name(postgres: PostgresServer, clock: ManualClock) -> None:
    place = PostgresPlace(postgres)
    place.execute(
        """CREATE SCHEMA IF NOT EXISTS crm; CREATE TABLE crm."User's ""table" (user_id text, updated_at timestamptz);
        INSERT INTO crm."User's ""table" VALUES ('ann', now())"""
    )
    source = PostgresProfiles(postgres.url, (), clock, table="crm.User's \"table")
    assert read(source)[0] == {"ann": ()}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("absent", "does not exist"),
        ("no_time", "has no column updated_at"),
        ("no_id", "has no column user_id"),
        ("odd", "neither a timestamptz nor an integer"),
    ],
)
def test_postgres_tables_that_hold_no_profiles_say_why(
    postgres: PostgresServer, clock: ManualClock, table: str, message: str
) -> None:
    PostgresPlace(postgres).execute(
        "CREATE TABLE IF NOT EXISTS no_time (user_id text); CREATE TABLE IF NOT EXISTS no_id (updated_at timestamptz);"
        "CREATE TABLE IF NOT EXISTS odd (user_id text, updated_at text)"
    )
    with pytest.raises(Unavailable, match=message):
        list(PostgresProfiles(postgres.url, COLUMNS, clock, table=table).read())


def test_postgres_password_is_in_no_message(postgres: PostgresServer, clock: ManualClock) -> None:
    wrong = postgres.url.replace("s3cret", "wr0ng-s3cret")
    with pytest.raises(Unavailable) as refused:
        list(PostgresProfiles(wrong, COLUMNS, clock).read())
    assert "authentication failed" in refused.value.message
    for url in ("postgresql://tester:s3cret@host:notaport:x/db?what=1", "postgresql://tester:s3cret@[::1/db"):
        with pytest.raises(ConfigError) as unusable:
            PostgresProfiles(url, COLUMNS, clock)
        assert "s3cret" not in unusable.value.message + unusable.value.hint
    assert "s3cret" not in refused.value.message


def test_many_postgres_profiles_are_read_in_chunks(postgres: PostgresServer, clock: ManualClock) -> None:
    place = PostgresPlace(postgres)
    place.create(COLUMNS)
    place.execute("INSERT INTO profiles SELECT 'user-' || n, now(), 'DE', 'pro' FROM generate_series(1, 120000) AS n")
    chunks = list(place.source(COLUMNS, clock).read())
    assert sum(chunk.profiles.height for chunk in chunks) == 120_000
    assert max(chunk.profiles.height for chunk in chunks) <= 50_000
