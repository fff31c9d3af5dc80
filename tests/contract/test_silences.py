"""What the silences in the state database promise, of SQLite and of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from streamgauge.alert.notify.silences import KEPT_MS, Silences, Wish
from streamgauge.alert.notify.tables import NOTIFY_TABLES
from streamgauge.core.errors import InvalidRequest, NotFound
from streamgauge.core.matchers import parse_matchers
from streamgauge.state.database import StateDatabase

NOW = 1_000_000


@pytest.fixture
def silences(state_url: str) -> Iterator[Silences]:
    database = StateDatabase(state_url, [NOTIFY_TABLES])
    yield Silences(database, 3)
    database.close()


def wish(text: str = 'team="shop",country=~"U\\\\..*"', **fields: Any) -> Wish:
    given = {"starts_at_ms": NOW, "ends_at_ms": NOW + 100, "author": "ann", "comment": "known", **fields}
    return Wish(parse_matchers(text), **given)


async def test_a_silence_is_there_as_it_was_made(silences: Silences) -> None:
    made = await silences.add(wish(), NOW)
    assert await silences.all() == await silences.open(NOW + 99) == [made]
    assert await silences.open(NOW + 100) == []
    assert made.matchers == wish().matchers


async def test_a_silence_that_is_ended_is_still_shown_for_a_while(silences: Silences) -> None:
    made = await silences.add(wish(), NOW)
    ended = await silences.expire(made.id, NOW + 50)
    assert (ended.ends_at_ms, ended.state(NOW + 50)) == (NOW + 50, "expired")
    assert await silences.expire(made.id, NOW + 60) == ended
    assert await silences.all() == [ended]
    await silences.add(wish(starts_at_ms=NOW, ends_at_ms=NOW + 2 * KEPT_MS), NOW + 50 + KEPT_MS + 1)
    assert ended not in await silences.all()


async def test_one_that_has_not_begun_can_be_ended(silences: Silences) -> None:
    made = await silences.add(wish(starts_at_ms=NOW + 50), NOW)
    assert (await silences.expire(made.id, NOW + 10)).state(NOW + 10) == "expired"


async def test_a_silence_can_be_changed_until_its_end(silences: Silences) -> None:
    made = await silences.add(wish(), NOW)
    longer = await silences.change(made.id, wish(ends_at_ms=NOW + 500), NOW + 50)
    assert (longer.id, longer.ends_at_ms) == (made.id, NOW + 500)
    assert await silences.all() == [longer]
    with pytest.raises(NotFound):
        await silences.change(made.id, wish(ends_at_ms=NOW + 9_000), NOW + 500)


async def test_one_that_is_not_known_is_not_found(silences: Silences) -> None:
    with pytest.raises(NotFound):
        await silences.expire("none", NOW)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ({"text": 'team=~".*"'}, "invalid_matcher"),
        ({"text": 'team!="shop"'}, "invalid_matcher"),
        ({"ends_at_ms": NOW}, "invalid_range"),
        ({"starts_at_ms": NOW - 20, "ends_at_ms": NOW - 10}, "invalid_range"),
        ({"author": " "}, "invalid_request"),
        ({"comment": "x" * 5_000}, "invalid_request"),
    ],
)
async def test_what_would_silence_nothing_or_everything_is_refused(
    silences: Silences, bad: dict[str, Any], code: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await silences.add(wish(**bad), NOW)
    assert caught.value.code == code


async def test_there_is_a_limit_to_those_that_have_not_ended(silences: Silences) -> None:
    for _ in range(3):
        await silences.add(wish(), NOW)
    with pytest.raises(InvalidRequest) as caught:
        await silences.add(wish(), NOW)
    assert caught.value.code == "too_many_silences"
    await silences.add(wish(starts_at_ms=NOW + 100, ends_at_ms=NOW + 200), NOW + 100)
