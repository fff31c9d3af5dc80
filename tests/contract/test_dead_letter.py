"""The dead letter, listed and counted."""

from __future__ import annotations

from typing import Any

import pytest

from contract.looked_up import NOW_MS, Stream, received
from streamgauge.core.errors import InvalidRequest
from streamgauge.model import DAY_MS, Envelope, Rejection
from streamgauge.query.dead_letter import LETTERS_MAX, DeadLetterService, Letter
from streamgauge.store.base import StoreReader, StoreWriter


@pytest.fixture
def service(reader: StoreReader) -> DeadLetterService:
    return DeadLetterService(reader, id_chars_max=256)


def refused(number: int, original: str = "{}", code: str = "missing_event") -> Envelope:
    return received("", number, event_id=f"sg-{number}", rejection=Rejection(code, f"it is {code}"), original=original)


def late(number: int, event_id: str) -> Envelope:
    return received(after_ms=number, event_id=event_id, timestamp=NOW_MS - 2 * DAY_MS, user_id="u")


async def letters(service: DeadLetterService, **parameters: Any) -> list[Letter]:
    page = await service.page([(name.rstrip("_"), str(value)) for name, value in parameters.items()])
    return list(page.letters)


async def test_letters_are_listed_newest_first_with_what_is_known_of_each(
    service: DeadLetterService, writer: StoreWriter
) -> None:
    Stream(writer).take(refused(1, "{}"), late(2, "l"))
    newest, oldest = await letters(service)
    assert (newest.reason, newest.event_id, newest.replay_as) == ("too_late", "l", "l")
    assert "are allowed" in newest.message
    assert oldest == Letter(NOW_MS + 1, 3, 0, "missing_event", "it is missing_event", "sg-1", "{}", "sg-1", None)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 20])
async def test_pages_follow_each_other_without_gap_or_overlap(
    service: DeadLetterService, writer: StoreWriter, limit: int
) -> None:
    # Many have the same time, so that a cursor stands between them.
    Stream(writer).take(*[refused(number // 4, code=("a", "b")[number % 2]) for number in range(14)])
    offsets, after = [], ""
    while True:
        page = await service.page([("limit", str(limit)), ("after", after)])
        assert len(page.letters) <= limit
        offsets += [one.offset for one in page.letters]
        if page.after is None:
            break
        after = page.after
    assert offsets == list(reversed(range(14)))


async def test_letters_are_filtered_by_reason_id_and_time_of_receipt(
    service: DeadLetterService, writer: StoreWriter
) -> None:
    Stream(writer).take(refused(1), refused(2, code="malformed"), late(3, "l' OR 1=1 --"))
    assert [one.offset for one in await letters(service, reason="malformed")] == [1]
    assert [one.offset for one in await letters(service, event_id="l' OR 1=1 --")] == [2]
    assert [one.offset for one in await letters(service, from_=NOW_MS + 2, to=NOW_MS + 3)] == [1]
    assert await letters(service, reason="nothing' OR 1=1 --") == []


async def test_letters_are_counted_by_reason_the_most_frequent_first(
    service: DeadLetterService, writer: StoreWriter
) -> None:
    Stream(writer).take(refused(1), refused(2), refused(3, code="malformed"), late(4, "l"))
    counts = [(one.reason, one.count, one.newest_ms - NOW_MS) for one in await service.counts([])]
    assert counts == [("missing_event", 2, 2), ("malformed", 1, 3), ("too_late", 1, 4)]
    assert [one.count for one in await service.counts([("reason", "too_late")])] == [1]
    assert await service.counts([("to", str(NOW_MS))]) == []


@pytest.mark.parametrize(
    ("original", "code", "replay_as"),
    [
        ('{"event_id":"own"}', "missing_event", "own"),
        ('{"event_id":77}', "missing_event", "77"),
        ('{"event_id":""}', "missing_event", "sg-1"),
        ('{"event_id":null}', "missing_event", "sg-1"),
        ('{"event_id":true}', "invalid_event_id", "sg-1"),
        ('{"event_id":"sg-9"}', "reserved_event_id", "sg-1"),
        ('{"event_id":"sg-9"}', "missing_event", "sg-1"),
        ('{"event_id":"%s"}' % ("i" * 257), "invalid_event_id", "sg-1"),
        ("{}", "missing_event", "sg-1"),
        ("[1]", "not_an_object", None),
        ('"text"', "not_an_object", None),
        ('{"event_id":"own"', "malformed", None),
        ('{"a":NaN}', "malformed", None),
        ("[" * 5_000, "malformed", None),
        ("", "malformed", None),
    ],
)
async def test_a_letter_is_replayed_under_its_own_id_where_it_has_a_good_one(
    service: DeadLetterService, writer: StoreWriter, original: str, code: str, replay_as: str | None
) -> None:
    Stream(writer).take(refused(1, original, code))
    assert [one.replay_as for one in await letters(service)] == [replay_as]


async def test_it_is_told_which_letters_have_been_counted_where_that_is_asked(
    service: DeadLetterService, writer: StoreWriter
) -> None:
    stream = Stream(writer)
    stream.take(late(1, "brought in"), late(2, "not\tyet"), refused(3, '{"event_id":"sent anew"}'), refused(4, "x"))
    stream.take(received(event_id="sent anew"), received(event_id="brought in", user_id="u", producer="p", sequence=0))
    assert [one.counted for one in await letters(service, counted="true")] == [False, True, False, True]
    assert [one.counted for one in await letters(service)] == [None] * 4


async def test_a_letter_is_not_counted_where_another_user_has_an_event_of_that_id(
    service: DeadLetterService, writer: StoreWriter
) -> None:
    stream = Stream(writer)
    originals = ['{"event_id":"i","user_id":7}', '{"event_id":"i","anonymous_id":"7"}', '{"event_id":"i"}']
    stream.take(*(refused(number, original) for number, original in enumerate(originals)))
    stream.take(received(event_id="i", user_id="7"))
    found = {(one.user_id, one.anonymous_id): one.counted for one in await letters(service, counted="true")}
    assert found == {("7", None): True, (None, "7"): False, (None, None): False}


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"limit": "0"}, "invalid_request"),
        ({"limit": str(LETTERS_MAX + 1)}, "invalid_request"),
        ({"limit": "ten"}, "invalid_request"),
        ({"from": "yesterday"}, "invalid_range"),
        ({"from": "2026-01-01T00:00:00"}, "invalid_range"),
        ({"from": "2", "to": "2"}, "invalid_request"),
        ({"after": "1"}, "invalid_request"),
        ({"after": "1-2-x"}, "invalid_request"),
        ({"after": "1-65536-0"}, "invalid_request"),
        ({"after": "999999999999999-0-0"}, "invalid_request"),
        ({"after": "1-1-9223372036854775808"}, "invalid_request"),
        ({"counted": "yes"}, "invalid_request"),
        ({"resaon": "too_late"}, "unknown_parameter"),
    ],
)
async def test_what_can_not_be_asked_is_refused_with_what_would_be_right(
    service: DeadLetterService, parameters: dict[str, str], code: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await service.page(list(parameters.items()))
    assert refusal.value.code == code
    assert refusal.value.hint


async def test_a_parameter_is_given_once(service: DeadLetterService) -> None:
    with pytest.raises(InvalidRequest, match="2 times"):
        await service.counts([("reason", "a"), ("reason", "b")])
