"""What became of an event is told as it was."""

from __future__ import annotations

from functools import partial

import msgspec
import pytest

from contract.looked_up import NOW_MS, ROLLUPS, SPEC, Stream, received
from contract.store_places import StorePlace
from streamgauge.model import DAY_MS, HOUR_MS, MINUTE_MS, OTHER, UNKNOWN, Pane, Rejection, Rollup
from streamgauge.query.explain import OCCURRENCES_MAX, Counted, Duplicate, ExplainService, Place, SetAside
from streamgauge.store.base import StoreReader, StoreWriter
from streamgauge.stream.explain import panes_of

ODD_IDS = ["a/b", "/", "ü😀", "x' OR 1=1 --", "\\", "a\tb\nc", "{event_id:String}", "%2F", "i" * 256, " "]


@pytest.fixture
def service(reader: StoreReader) -> ExplainService:
    return ExplainService(reader, partial(panes_of, spec=SPEC))


async def counted_once(service: ExplainService, event_id: str) -> Counted:
    (one,) = await service.occurrences(event_id)
    assert isinstance(one, Counted)
    return one


def pane_of(found: Counted, metric: str) -> Pane:
    (pane,) = [pane for pane in found.counted_in if pane.metric == metric]
    return pane


async def test_a_counted_event_is_shown_as_it_is_kept_with_every_pane_that_counted_it(
    service: ExplainService, writer: StoreWriter
) -> None:
    one = received(event_id="e", user_id="u", country="US", page="/p", price=2.5, nested={"a": [1, None]})
    Stream(writer).take(received(event_id="other"), one)
    found = await counted_once(service, "e")
    assert found.place == Place(NOW_MS, 3, 1)
    assert found.event == one
    assert found.enriched == {}
    minute_ms, hour_ms = NOW_MS - NOW_MS % MINUTE_MS, NOW_MS - NOW_MS % HOUR_MS
    assert list(found.counted_in) == [
        Pane("views", "count", minute_ms, minute_ms + MINUTE_MS, {"country": "US", "page": "/p"}, 1.0),
        Pane("all", "count", minute_ms, minute_ms + MINUTE_MS, {"event": "page_view", "plan": UNKNOWN}, 1.0),
        Pane("income", "sum", minute_ms, minute_ms + MINUTE_MS, {"country": "US"}, 2.5),
        Pane("most", "max", hour_ms, hour_ms + HOUR_MS, {"page": "/p"}, 2.5),
    ]


async def test_what_the_profile_of_its_user_added_is_told_and_is_in_the_dimensions(
    service: ExplainService, writer: StoreWriter
) -> None:
    Stream(writer, u="pro").take(received(event_id="e", user_id="u"))
    found = await counted_once(service, "e")
    assert found.enriched == {"plan": "pro"}
    assert pane_of(found, "all").dimensions == {"event": "page_view", "plan": "pro"}


async def test_a_value_over_the_limit_of_cardinality_was_counted_as_other(
    service: ExplainService, writer: StoreWriter
) -> None:
    pages = [received(event_id=f"e{number}", page=f"/{number}", price=number) for number in range(4)]
    stream = Stream(writer)
    for page in pages:
        stream.take(page)
    shown = [
        (pane_of(found, "views").dimensions["page"], pane_of(found, "most").dimensions["page"])
        for found in [await counted_once(service, one.event_id) for one in pages]
    ]
    assert shown == [("/0", "/0"), ("/1", "/1"), (OTHER, OTHER), (OTHER, OTHER)]


async def test_a_rollup_that_came_to_the_settings_later_did_not_count_it(
    reader: StoreReader, writer: StoreWriter
) -> None:
    Stream(writer).take(received(event_id="e", country="US"))
    newer = msgspec.structs.replace(
        SPEC, rollups=(*ROLLUPS, Rollup("new"), Rollup("views", dimensions=("country",), event="page_view"))
    )
    found = await counted_once(ExplainService(reader, partial(panes_of, spec=newer)), "e")
    assert [pane.metric for pane in found.counted_in] == ["views", "all"]


async def test_a_sum_of_zero_is_told_though_its_row_is_gone_after_a_merge(
    service: ExplainService, writer: StoreWriter, store: StorePlace
) -> None:
    stream = Stream(writer)
    stream.take(received(event_id="e", price=0))
    stream.take(received(event_id="f", price=0))
    store.merge()
    assert pane_of(await counted_once(service, "e"), "income").value == 0


async def test_a_repeated_id_is_a_duplicate_of_the_one_before_it(service: ExplainService, writer: StoreWriter) -> None:
    stream = Stream(writer)
    stream.take(received(event_id="e"), received(after_ms=5, event_id="e"))
    first, second = await service.occurrences("e")
    assert isinstance(first, Counted)
    assert second == Duplicate(Place(NOW_MS + 5, 3, 1), duplicate_of=Place(NOW_MS, 3, 0))


async def test_an_id_that_two_users_have_is_a_duplicate_of_the_event_of_its_own_user(
    service: ExplainService, writer: StoreWriter
) -> None:
    users = [{"user_id": "u"}, {"user_id": "v"}, {"anonymous_id": "u"}, {"user_id": "u"}, {"anonymous_id": "u"}]
    Stream(writer).take(*(received(after_ms=at, event_id="e", **user) for at, user in enumerate(users)))
    *counted, third, fourth = await service.occurrences("e")
    assert [type(one) for one in counted] == [Counted] * 3
    assert third == Duplicate(Place(NOW_MS + 3, 3, 3), duplicate_of=Place(NOW_MS, 3, 0))
    assert fourth == Duplicate(Place(NOW_MS + 4, 3, 4), duplicate_of=Place(NOW_MS + 2, 3, 2))


async def test_a_duplicate_of_what_is_gone_says_so(
    service: ExplainService, writer: StoreWriter, store: StorePlace
) -> None:
    Stream(writer).take(received(event_id="e"), received(event_id="e"))
    store.truncate("events")
    assert await service.occurrences("e") == [Duplicate(Place(NOW_MS, 3, 1), duplicate_of=None)]


async def test_an_event_that_came_too_late_and_then_was_brought_in_has_both_occurrences(
    service: ExplainService, writer: StoreWriter
) -> None:
    stream, at_ms = Stream(writer), NOW_MS - 2 * DAY_MS
    stream.take(received(event_id="e", timestamp=at_ms))
    stream.take(received(after_ms=9, event_id="e", timestamp=at_ms, producer="replay", sequence=0))
    late, counted = await service.occurrences("e")
    assert isinstance(late, SetAside)
    assert (late.reason, late.event_id) == ("too_late", "e")
    assert msgspec.json.decode(late.original)["timestamp"] == at_ms
    assert isinstance(counted, Counted)
    assert counted.event.timestamp == at_ms


async def test_what_was_rejected_is_found_by_the_id_of_its_record_and_by_the_one_it_gave_itself(
    service: ExplainService, writer: StoreWriter
) -> None:
    stream = Stream(writer)
    original = '{"event_id":"mine","x":"\\u00fc"}'
    refused = received("", event_id="sg-1", rejection=Rejection("missing_event", "no name"), original=original)
    number = received("", event_id="sg-2", rejection=Rejection("missing_event", "no name"), original='{"event_id":77}')
    malformed = received("", event_id="sg-3", rejection=Rejection("malformed", "no JSON"), original="{")
    stream.take(refused, number, malformed)
    expected = SetAside(Place(NOW_MS, 3, 0), "missing_event", "no name", "sg-1", original)
    assert await service.occurrences("sg-1") == [expected]
    assert await service.occurrences("mine") == [expected]
    assert [one.place.offset for one in await service.occurrences("77")] == [1]
    assert [one.place.offset for one in await service.occurrences("sg-3")] == [2]


async def test_what_was_rejected_and_then_sent_rightly_has_both_occurrences(
    service: ExplainService, writer: StoreWriter
) -> None:
    rejection = Rejection("missing_event", "no name")
    refused = received("", event_id="sg-1", rejection=rejection, original='{"event_id":"mine"}')
    Stream(writer).take(refused, received(event_id="mine", after_ms=1))
    assert [type(one) for one in await service.occurrences("mine")] == [SetAside, Counted]


@pytest.mark.parametrize("event_id", ODD_IDS)
async def test_any_text_can_be_an_id(service: ExplainService, writer: StoreWriter, event_id: str) -> None:
    Stream(writer).take(received(event_id=event_id), received(event_id="another"))
    assert (await counted_once(service, event_id)).event.event_id == event_id


@pytest.mark.parametrize("event_id", ["", "null", "{}", *ODD_IDS])
async def test_an_id_that_never_came_has_no_occurrence(
    service: ExplainService, writer: StoreWriter, event_id: str
) -> None:
    rejection = Rejection("missing_event", "no name")
    Stream(writer).take(
        received(event_id="e"),
        *[
            received("", event_id="sg-1", rejection=rejection, original=text)
            for text in ("{", '{"event_id":null}', "{}")
        ],
    )
    assert await service.occurrences(event_id) == []


async def test_the_session_is_that_of_its_user_at_its_time(service: ExplainService, writer: StoreWriter) -> None:
    Stream(writer).take(
        received(event_id="a", user_id="u"),
        received(event_id="b", user_id="u", after_ms=MINUTE_MS),
        received("order", event_id="c", user_id="u", after_ms=2 * MINUTE_MS),
        received(event_id="later", user_id="u", after_ms=50 * MINUTE_MS),
        received(event_id="anonymous", anonymous_id="u"),
        received(event_id="nobody"),
    )
    session = (await counted_once(service, "b")).session
    assert session is not None
    assert (session.opened_ms, session.started_ms, session.ended_ms) == (NOW_MS, NOW_MS, NOW_MS + 2 * MINUTE_MS)
    assert (session.events, session.page_views, session.bounced, session.is_open) == (3, 2, False, True)
    assert [(await counted_once(service, one)).session for one in ("a", "c")] == [session, session]
    for event_id in ("later", "anonymous"):
        alone = (await counted_once(service, event_id)).session
        assert alone is not None
        assert (alone.events, alone.bounced) == (1, True)
    assert (await counted_once(service, "nobody")).session is None


async def test_a_session_that_was_merged_into_another_is_not_told_any_more(
    service: ExplainService, writer: StoreWriter
) -> None:
    stream = Stream(writer)
    stream.take(received(event_id="a", user_id="u"))
    stream.take(received(event_id="b", user_id="u", after_ms=40 * MINUTE_MS))
    stream.take(received(event_id="between", user_id="u", after_ms=20 * MINUTE_MS))
    session = (await counted_once(service, "b")).session
    assert session is not None
    assert (session.started_ms, session.ended_ms, session.events) == (NOW_MS, NOW_MS + 40 * MINUTE_MS, 3)


async def test_an_id_that_is_sent_for_ever_is_answered_with_the_newest(
    service: ExplainService, writer: StoreWriter
) -> None:
    Stream(writer).take(*[received(event_id="e", after_ms=number) for number in range(OCCURRENCES_MAX + 50)])
    found = await service.occurrences("e")
    assert len(found) == OCCURRENCES_MAX + 1
    assert found[-1].place.offset == OCCURRENCES_MAX + 49
