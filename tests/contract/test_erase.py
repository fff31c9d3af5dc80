"""Rows of a person are deleted, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from contract.looked_up import NOW_MS, Stream, received
from contract.store_places import StorePlace
from streamgauge.erasure.tombstones import hash_of
from streamgauge.model import DAY_MS
from streamgauge.store.base import StoreWriter
from streamgauge.store.erase import ClickHouseErase
from unit.stream.making import rejected

TABLES = ("events", "sessions", "duplicates", "dead_letter")


@pytest.fixture
def erase(store: StorePlace) -> Iterator[ClickHouseErase]:
    opened = ClickHouseErase(store.clients)
    yield opened
    opened.close()


def event_ids(store: StorePlace, table: str = "events") -> set[str]:
    return {str(row[0]) for row in store.rows(f"SELECT event_id FROM {table}")}


def users(store: StorePlace) -> set[str]:
    return {str(row[0]) for row in store.rows("SELECT user_id FROM sessions FINAL")}


def test_a_user_is_erased_with_the_visitor_that_they_were_and_nobody_else(
    store: StorePlace, writer: StoreWriter, erase: ClickHouseErase
) -> None:
    Stream(writer).take(
        received(event_id="visit", anonymous_id="v1"),
        received(event_id="sign-up", user_id="u", anonymous_id="v1"),
        received(event_id="later", user_id="u"),
        received(event_id="later", user_id="u"),
        received(event_id="other", user_id="U"),
        received(event_id="same device", user_id="w", anonymous_id="v1"),
        received(event_id="other visitor", anonymous_id="v2"),
        received(event_id="named like the user", anonymous_id="u"),
    )
    assert erase.anonymous_ids("u", NOW_MS) == ["v1"]
    report = erase.erase("u", ["v1"], NOW_MS)
    assert (report["events"], report["duplicates"]) == (3, 1)
    assert event_ids(store) == {"other", "same device", "other visitor", "named like the user"}
    assert event_ids(store, "duplicates") == set()
    assert "u" not in {row[0] for row in store.rows("SELECT identified_user_id FROM sessions FINAL")}
    assert users(store) >= {"U", "v2", "u"}
    assert store.rows("SELECT is_anonymous FROM sessions FINAL WHERE user_id = 'u'") == [(True,)]
    assert set(erase.erase("u", ["v1"], NOW_MS).values()) == {0}
    assert store.rows("SELECT sum(value) FROM metrics WHERE metric_name = 'all'") == [(7.0,)]  # counts are of nobody


def test_a_visitor_is_erased_without_the_user_of_the_same_id(
    store: StorePlace, writer: StoreWriter, erase: ClickHouseErase
) -> None:
    Stream(writer).take(received(event_id="visitor", anonymous_id="x"), received(event_id="user", user_id="x"))
    assert erase.erase("", ["x"], NOW_MS)["events"] == 1
    assert event_ids(store) == {"user"}


def test_what_came_later_stays(store: StorePlace, writer: StoreWriter, erase: ClickHouseErase) -> None:
    Stream(writer).take(received(event_id="e", user_id="u"))
    assert erase.erase("u", [], NOW_MS - 1) == dict.fromkeys(TABLES, 0)
    assert event_ids(store) == {"e"}


@pytest.mark.parametrize("user", ["17", "x' OR 1=1 --", "\\", "{user:String}", "ü😀"])
def test_dead_letters_are_told_by_the_ids_in_their_text(
    store: StorePlace, writer: StoreWriter, erase: ClickHouseErase, user: str
) -> None:
    late = NOW_MS - 3 * DAY_MS
    Stream(writer).take(
        received(event_id="late", user_id=user, timestamp=late),
        received(event_id="late visitor", anonymous_id="v", timestamp=late),
        received(event_id="other", user_id="other", timestamp=late),
    )
    assert erase.erase(user, ["v"], NOW_MS)["dead_letter"] == 2
    assert event_ids(store, "dead_letter") == {"other"}


@pytest.mark.parametrize("user", ["17", "x' OR 1=1 --", "\\", "ü😀", 'a"b'])
def test_letters_of_segment_and_such_as_can_not_be_read_are_told_by_the_ids_in_them(
    store: StorePlace, writer: StoreWriter, erase: ClickHouseErase, user: str
) -> None:
    def text(**fields: object) -> str:
        return msgspec.json.encode(fields).decode()

    theirs = [
        text(type="track", userId=user),
        text(type="track", userId=user, anonymousId="w"),
        text(type="page", anonymousId="v"),
        text(type="page", userId=None, anonymousId="v"),
        text(event="page_view", user_id=user)[:-1] + ", broken",
        '{"anonymousId": "v"',
    ]
    others = [
        text(type="track", userId="other", anonymousId="v"),
        text(type="track", userId=user + "x"),
        text(userId=user + "x")[:-1],
        text(anonymousId="w"),
        text(note=user),
        "not a word of anybody",
    ]
    Stream(writer).take(*(rejected(one, received_at=NOW_MS) for one in (*theirs, *others)))
    assert erase.erase(user, ["v"], NOW_MS)["dead_letter"] == len(theirs)
    left = {str(row[0]) for row in store.rows("SELECT original FROM dead_letter")}
    assert left == set(others)


def test_sessions_that_were_written_again_are_found_by_the_tombstone(
    store: StorePlace, writer: StoreWriter, erase: ClickHouseErase
) -> None:
    Stream(writer).take(received(user_id="u"), received(user_id="w"), received(anonymous_id="u"))
    assert erase.erase_sessions(hash_of("user", "u"), NOW_MS) == 1
    assert store.rows("SELECT user_id, is_anonymous FROM sessions FINAL ORDER BY ALL") == [("u", True), ("w", False)]
