"""From a body to the log: what is kept, what is answered, what is counted."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.config import LogSettings
from streamgauge.core.clock import ManualClock
from streamgauge.core.errors import BodyTooLarge, InvalidRequest, Overloaded, Unavailable, UnsupportedMediaType
from streamgauge.ingest.accept import Numbering, numbering_of
from streamgauge.log.base import Record, partition_of
from streamgauge.log.sqlite import SqliteLog
from streamgauge.model import Envelope
from unit.ingest.memory_log import JSON, NDJSON, NOW_MS, Desk

OWN_FIELDS = ("event", "timestamp", "user_id", "anonymous_id", "event_id")
TINY = {
    "string_chars_max": 12,
    "name_chars_max": 8,
    "properties_max": 3,
    "nesting_depth_max": 4,
    "event_bytes_max": 300,
}
"""Bounds that made-up items reach."""


async def test_each_event_is_one_line_in_the_log() -> None:
    desk = Desk()
    await desk.send(b'[{"event":"a","x":"l1\\nl2\\r","nested":{"y":["\\u2028"]}},{"event":"b"}]')
    first, second = (Envelope.from_line(record.value) for record in desk.log.records)
    assert first.properties == {"x": "l1\nl2\r", "nested": {"y": ["\u2028"]}}
    assert second.event == "b"
    assert not any(b"\n" in record.value for record in desk.log.records)


async def test_nothing_is_answered_before_it_is_in_the_log() -> None:
    desk = Desk()
    may_end = asyncio.Event()
    appended = desk.log.append

    async def append_later(records: list[Record]) -> None:
        await may_end.wait()
        await appended(records)

    desk.log.append = append_later  # type: ignore[method-assign, assignment]
    sending = asyncio.create_task(desk.send(b'{"event":"a"}'))
    await asyncio.sleep(0)
    assert not sending.done()
    may_end.set()
    assert (await sending).count == len(desk.log.records) == 1


@pytest.mark.parametrize("error", [Overloaded("the queue is full"), Unavailable("the disk is full")])
async def test_what_the_log_refuses_is_neither_accepted_nor_counted(error: Overloaded) -> None:
    desk = Desk()
    desk.log.refuses_with = error
    with pytest.raises(type(error)):
        await desk.send(b'[{"event":"a"},{}]')
    assert desk.count("streamgauge_ingest_events_total", outcome="accepted") == 0
    assert desk.count("streamgauge_ingest_events_total", outcome="rejected") == 0
    assert desk.count("streamgauge_ingest_rejected_total", code="missing_event") == 0


async def test_a_bad_item_is_answered_by_its_index_and_kept_as_it_came() -> None:
    desk = Desk()
    accepted = await desk.send(b'[{"event":"a"}, {"x" : 1} ,{"event":"b"},[ ]]')
    assert accepted.count == 2
    assert [(item.index, item.code) for item in accepted.rejected] == [(1, "missing_event"), (3, "not_an_object")]
    kept = [envelope for envelope in desk.envelopes() if envelope.rejection]
    assert [(envelope.rejection.code, envelope.original) for envelope in kept if envelope.rejection] == [
        ("missing_event", '{"x" : 1}'),
        ("not_an_object", "[ ]"),
    ]
    assert all((envelope.event, envelope.timestamp, envelope.received_at) == ("", NOW_MS, NOW_MS) for envelope in kept)
    assert len({envelope.event_id for envelope in desk.envelopes()}) == 4


async def test_the_original_of_a_huge_item_is_kept_up_to_the_bound_of_an_event() -> None:
    desk = Desk()
    assert await desk.codes(b'{"event":"' + b"a" * 100_000 + b'"}') == [(0, "string_too_long")]
    assert len(desk.envelopes()[0].original or "") == desk.limits.event_bytes_max


async def test_blank_lines_have_no_index() -> None:
    body = b'\n\n{"event":"a"}\r\n\r\n{bad\n   \n{"event":"b"}\n{}\n'
    assert await Desk().codes(body, NDJSON) == [(1, "malformed"), (3, "missing_event")]


async def test_one_object_followed_by_lines_is_taken_as_lines_whatever_its_type() -> None:
    desk = Desk()
    accepted = await desk.send(b'{"event":"a"}\r\n{"event":"b"}\n\n{"event":\n', JSON)
    assert accepted.count == 2
    assert [(item.index, item.code) for item in accepted.rejected] == [(2, "malformed")]


@pytest.mark.parametrize("bad", [b"", b"\n{}"], ids=["all good", "one bad"])
async def test_two_events_on_a_line_are_no_line_of_ndjson(bad: bytes) -> None:
    codes = await Desk().codes(b'{"event":"a"} {"event":"b"}\n{"event":"c"}' + bad, NDJSON)
    assert codes[0] == (0, "malformed")


async def test_an_event_that_is_spread_over_lines_is_malformed() -> None:
    codes = await Desk().codes(b'{"event":\n"a"}{"event":"b"}', NDJSON)
    assert codes == [(0, "malformed"), (1, "malformed")]


async def test_an_empty_array_is_accepted_as_nothing() -> None:
    desk = Desk()
    assert (await desk.send(b"[]")).count == 0
    assert desk.log.records == []


async def test_a_nan_spoils_its_own_item_only() -> None:
    assert await Desk().codes(b'[{"event":"a"},{"event":"b","x":NaN},{"event":"c","x":"a\tb"}]') == [
        (1, "malformed"),
        (2, "malformed"),
    ]


@pytest.mark.parametrize(
    ("item", "separator", "brackets", "content_type"),
    [
        (b"0", b",", (b"[", b"]"), JSON),
        (b'{"event":"a"}', b",", (b"[", b"]"), JSON),
        (b'{"event":"a","x":[]}', b",", (b"[", b"]"), JSON),
        (b'{"event":"a"}', b"\n", (b"", b""), NDJSON),
        (b"x", b"\n", (b"", b""), NDJSON),
    ],
)
async def test_a_body_may_have_exactly_the_limit_of_items_and_not_one_more(
    item: bytes, separator: bytes, brackets: tuple[bytes, bytes], content_type: str
) -> None:
    desk = Desk(batch_events_max=50)
    opening, closing = brackets
    await desk.send(opening + separator.join([item] * 50) + closing, content_type)
    with pytest.raises(BodyTooLarge, match="50 items"):
        await desk.send(opening + separator.join([item] * 51) + closing, content_type)
    assert len(desk.log.records) == 50


async def test_ten_megabytes_of_nothing_in_few_bytes_of_gzip_are_refused() -> None:
    nothing = gzip.compress(b"[" + b"0," * 5_000_000 + b"0]")
    assert len(nothing) < 20_000
    with pytest.raises(BodyTooLarge):
        await Desk().send(nothing, JSON, "gzip")


async def test_each_outcome_is_counted() -> None:
    desk = Desk()
    body = b'[{"event":"a"},{"event":"b"},{},{},7]'
    await desk.send(body)
    assert desk.count("streamgauge_ingest_events_total", outcome="accepted") == 2
    assert desk.count("streamgauge_ingest_events_total", outcome="rejected") == 3
    assert desk.count("streamgauge_ingest_rejected_total", code="missing_event") == 2
    assert desk.count("streamgauge_ingest_rejected_total", code="not_an_object") == 1
    assert desk.count("streamgauge_ingest_bytes_total") == len(body)


async def test_items_of_a_producer_are_numbered_by_index_bad_ones_too() -> None:
    desk = Desk()
    await desk.send(b'[{"event":"a"},{},{"event":"b"}]', numbering=Numbering("p", 10))
    assert [(envelope.producer, envelope.sequence) for envelope in desk.envelopes()] == [
        ("p", 10),
        ("p", 11),
        ("p", 12),
    ]
    await desk.send(b'[{"event":"a"},{"event":"b"}]', numbering=Numbering("p", 13))
    assert [envelope.sequence for envelope in desk.envelopes()[3:]] == [13, 14]


async def test_an_item_of_a_producer_that_is_sent_again_goes_to_the_same_partition() -> None:
    keys = []
    for _ in range(2):
        desk = Desk()
        await desk.send(b'{"event":"made up before it"}')
        await desk.send(b'[{"event":"a"},{},{"event":"b","event_id":""}]', numbering=Numbering("p", 10))
        keys.append([record.key for record in desk.log.records[1:]])
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    ("body", "without_id"),
    [
        (b"[]", 0),
        (b'{"event":"a"}', 1),
        (b'{"event":"a","event_id":"x"}', 0),
        (b'[{"event":"a"},{"event":"b","event_id":"x"},{"event":"c","event_id":""},{"event":"d","event_id":null}]', 3),
        (b'[{"event":"a"},{},{"event":"b","event_id":"x"},{"event":"c","timestamp":"never"},{"event":"d"}]', 2),
        (b'[{},{"event":"b","event_id":"x"}]', 0),
        (b"{}", 0),
    ],
)
async def test_accepted_events_that_a_repeat_of_would_not_be_recognised_are_counted(
    body: bytes, without_id: int
) -> None:
    desk = Desk()
    assert (await desk.send(body)).without_id_count == without_id
    assert (await desk.send(body, numbering=Numbering("p", 0))).without_id_count == 0


async def test_bodies_that_are_read_at_the_same_time_count_their_own_events_only() -> None:
    desk = Desk()
    bodies = [gzip.compress(b"[" + b",".join([b'{"event":"a"}'] * count) + b"]") for count in range(1, 40)]
    answers = await asyncio.gather(*(desk.send(body, JSON, "gzip") for body in bodies))
    assert [answer.without_id_count for answer in answers] == list(range(1, 40))
    assert len({envelope.event_id for envelope in desk.envelopes()}) == sum(range(1, 40))


def test_no_headers_are_no_numbering() -> None:
    assert numbering_of(None, None) is None


@pytest.mark.parametrize("producer", ["a", "A-z_0.9:x", "p" * 128])
@pytest.mark.parametrize(("sequence", "first"), [("0", 0), ("007", 7), (str(2**62), 2**62)])
def test_numbering_is_read_up_to_its_limits(producer: str, sequence: str, first: int) -> None:
    assert numbering_of(producer, sequence) == Numbering(producer, first)


@pytest.mark.parametrize(
    ("producer", "sequence"),
    [
        ("a", None),
        (None, "1"),
        ("", "1"),
        ("p" * 129, "1"),
        ("a b", "1"),
        ("a\n", "1"),
        ("ä", "1"),
        ("a", ""),
        ("a", "-1"),
        ("a", "+1"),
        ("a", "1.0"),
        ("a", " 1"),
        ("a", "1\n"),
        ("a", "1_000"),
        ("a", "²"),
        ("a", "\u0661"),
        ("a", str(2**62 + 1)),
        ("a", "9" * 19),
        ("a", "0" * 20 + "9" * 20),
        ("a", "0" * 5_000),
        ("a", "9" * 5_000),
    ],
)
def test_what_is_no_numbering_is_refused(producer: str | None, sequence: str | None) -> None:
    with pytest.raises(InvalidRequest):
        numbering_of(producer, sequence)


@pytest.mark.parametrize(
    ("body", "content_type", "encoding", "error"),
    [
        (b'{"event":"a"}', "text/plain", None, UnsupportedMediaType),
        (b'{"event":"a"}', JSON, "br", UnsupportedMediaType),
        (b"", JSON, None, InvalidRequest),
        (b'{"event":"a"', JSON, None, InvalidRequest),
        (b'{"event":"a"}', JSON, "gzip", InvalidRequest),
        (b'{"event":"' + b"a" * 1_000 + b'"}', JSON, None, BodyTooLarge),
    ],
)
async def test_a_request_that_is_refused_as_a_whole_keeps_nothing(
    body: bytes, content_type: str, encoding: str | None, error: type[Exception]
) -> None:
    desk = Desk(body_bytes_max=1_000)
    with pytest.raises(error):
        await desk.send(body, content_type, encoding)
    assert desk.log.records == []


texts = st.text(max_size=14)
numbers = st.one_of(
    st.integers(-(2**64), 2**64),
    st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**400]),
    st.floats(allow_nan=False, allow_infinity=False),
)
leaves = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.one_of(
    leaves,
    st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
    ),
)
timestamps = st.one_of(
    leaves,
    st.integers(-5, 4_102_444_800_005),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
)
events = st.builds(
    lambda own, others: {**others, **own},
    st.fixed_dictionaries(
        {"event": st.one_of(st.just("view"), st.just("view"), texts, leaves)},
        optional={"timestamp": timestamps, "user_id": leaves, "anonymous_id": texts, "event_id": texts | numbers},
    ),
    st.dictionaries(texts, values, max_size=4),
)
items = st.one_of(events, events, events, values)


def outcome(body: bytes, content_type: str, count: int) -> list[Any]:
    """Of each of the first items: why it was rejected, or its envelope without an id that was made for it."""
    desk = Desk(**TINY)
    accepted = asyncio.run(desk.send(body, content_type))
    codes = {item.index: (item.code, item.message) for item in accepted.rejected}
    assert accepted.count + len(codes) == len(desk.log.records)
    found: list[Any] = []
    for index, (record, envelope) in enumerate(zip(desk.log.records, desk.envelopes(), strict=True)):
        made = envelope.event_id.startswith("sg-test-")
        comparable = msgspec.structs.replace(envelope, event_id="made" if made else envelope.event_id)
        assert (index in codes) == (envelope.rejection is not None)
        found.append(codes.get(index) or (None if made else record.key, repr(comparable)))
    return found[:count]


@settings(max_examples=250, deadline=None)
@given(st.lists(items, min_size=1, max_size=4), st.sampled_from([None, 1]), st.booleans())
def test_the_quick_way_and_the_careful_way_give_the_same_envelopes(
    sent: list[Any], indent: int | None, ascii_only: bool
) -> None:
    alone = json.dumps(sent, indent=indent, ensure_ascii=ascii_only).encode()
    with_a_bad_one = json.dumps([*sent, 0], indent=indent, ensure_ascii=ascii_only).encode()
    assert outcome(alone, JSON, len(sent)) == outcome(with_a_bad_one, JSON, len(sent))


@settings(max_examples=250, deadline=None)
@given(
    st.lists(st.lists(items, min_size=1, max_size=2), min_size=1, max_size=4),
    st.sampled_from(["\n", "\r\n", "\n\n", " \n\t", "\n \r\n"]),
    st.sampled_from(["", "\n", "\r\n\n", " "]),
)
def test_the_quick_way_and_the_careful_way_see_the_same_lines(rows: list[list[Any]], feed: str, end: str) -> None:
    lines = [" ".join(json.dumps(item) for item in row) for row in rows]
    alone = (feed.join(lines) + end).encode()
    with_a_bad_one = (feed.join([*lines, "0"]) + end).encode()
    assert outcome(alone, NDJSON, len(lines)) == outcome(with_a_bad_one, NDJSON, len(lines))


@settings(max_examples=250, deadline=None)
@given(st.lists(events, min_size=1, max_size=4))
def test_what_is_accepted_reads_back_from_its_line_with_the_same_properties(sent: list[dict[str, Any]]) -> None:
    desk = Desk(**TINY)
    accepted = asyncio.run(desk.send(json.dumps(sent).encode()))
    rejected = {item.index for item in accepted.rejected}
    for index, record in enumerate(desk.log.records):
        assert b"\n" not in record.value
        read = Envelope.from_line(record.value)
        if index not in rejected:
            properties = {name: value for name, value in sent[index].items() if name not in OWN_FIELDS}
            assert repr(read.properties) == repr(properties)
            assert read.event == sent[index]["event"]
            assert 0 <= read.timestamp < 4_102_444_800_000
            assert len(record.value) <= desk.limits.event_bytes_max


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=60)
    | st.text(alphabet='{}[]",:\\ \n0123e-truefalsn\ud800', max_size=60).map(
        lambda text: text.encode("utf-8", "surrogatepass")
    ),
    st.sampled_from([JSON, NDJSON]),
)
def test_no_body_at_all_makes_more_than_an_operating_error(body: bytes, content_type: str) -> None:
    desk = Desk()
    with contextlib.suppress(InvalidRequest):
        accepted = asyncio.run(desk.send(body, content_type))
        assert accepted.count + len(accepted.rejected) == len(desk.log.records)
        return
    assert desk.log.records == []


async def test_the_real_log_gives_back_what_was_accepted(tmp_path: Any) -> None:
    log = await SqliteLog.open(tmp_path / "log", LogSettings(), 7, ManualClock(NOW_MS))
    desk = Desk()
    desk.ingest._log = log
    text = "a\u2028b\x85c\r\nd\x00😀"
    await desk.send(msgspec.json.encode([{"event": "e", "user_id": text, "x": text}, text]))
    batch = await anext(aiter(log.read("test")))
    await log.close()
    lines = [line for part in batch.slices for line in part.lines.split(b"\n")]
    envelopes = [Envelope.from_line(line) for line in lines]
    good = next(envelope for envelope in envelopes if envelope.rejection is None)
    assert (good.user_id, good.properties) == (text, {"x": text})
    assert batch.count == len(lines) == 2
    assert partition_of(text.encode(), 4) in [part.partition for part in batch.slices]
