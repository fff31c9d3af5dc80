"""Messages become the JSON that REST would have taken."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import msgspec
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from grpc_client import event_of, request_with, value_of
from streamgauge.config import IngestSettings
from streamgauge.core.errors import BodyTooLarge, InvalidRequest
from streamgauge.ingest.grpc.batch_pb2 import Batch
from streamgauge.ingest.grpc.ingest_pb2 import Event, SendRequest
from streamgauge.ingest.grpc.translate import item_of, request_of
from unit.ingest.memory_log import Desk

LIMITS = IngestSettings()
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["2026-01-01T12:00:00Z", "2026-01-01", 1_700_000_000_000, "sg-1"])
)
_VALUES = st.recursive(
    _SCALARS, lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=5), parts, max_size=3)
)
_ITEMS = st.builds(
    lambda own, name, more: {**more, **own, **name},
    st.dictionaries(st.sampled_from(["timestamp", "user_id", "anonymous_id", "event_id"]), _SCALARS, max_size=4),
    st.just({"event": "page_view"}) | st.fixed_dictionaries({}, optional={"event": _VALUES}),
    st.dictionaries(st.text(max_size=8) | st.sampled_from(["country", "ip", "user_agent"]), _VALUES, max_size=4),
)


async def _outcome(desk: Desk, kind: str, items: list[dict[str, Any]]) -> tuple[Any, ...]:
    """All that can be seen of a batch: counts, indexes and reasons, and each record of the log."""
    if kind == "json":
        accepted = await desk.send(json.dumps(items).encode())
    else:
        request = request_of(request_with(items).SerializeToString(), LIMITS)
        assert request.items is not None
        accepted = await desk.ingest.accept_items(request.items.lines, request.items.damaged)
    # What was sent is kept of rejected ones as it was written, where the order of properties is another.
    records = [
        msgspec.structs.replace(one, original=None, rejection=None) if one.rejection is not None else one
        for one in desk.envelopes()
    ]
    reasons = [(item.index, item.code) for item in accepted.rejected]
    return (
        accepted.count,
        accepted.without_id_count,
        reasons,
        [msgspec.json.encode(one, order="sorted") for one in records],
    )


@settings(deadline=None)
@given(st.lists(_ITEMS, min_size=1, max_size=5))
async def test_the_same_events_by_rest_and_by_grpc_give_the_same_records_and_the_same_reasons(
    items: list[dict[str, Any]],
) -> None:
    assert await _outcome(Desk(), "grpc", items) == await _outcome(Desk(), "json", items)


@pytest.mark.parametrize("number", [2**53 + 1, -(2**63), 2**63 - 1, 0, 5.0, -0.0, 1e300])
def test_numbers_stay_exactly_what_they_are(number: float) -> None:
    item = item_of(event_of({"event": "e", "n": number}))
    assert (item["n"], type(item["n"]), math.copysign(1, item["n"])) == (
        number,
        type(number),
        math.copysign(1, number),
    )


def test_a_field_goes_over_a_property_of_its_name_and_an_empty_one_does_not() -> None:
    event = Event(event="e", properties={"event": value_of("p"), "user_id": value_of(7)})
    assert item_of(event) == {"event": "e", "user_id": 7}


@pytest.mark.parametrize(
    ("timestamp", "item"),
    [
        (Timestamp(seconds=1_700_000_000, nanos=999_999_999), 1_700_000_000_999),
        (Timestamp(seconds=0), 0),
        (Timestamp(seconds=2**63 - 1), 2**62),
        (Timestamp(seconds=-(2**63)), -(2**62)),
        (Timestamp(seconds=5, nanos=-1), "5 s and -1 ns"),
    ],
)
def test_a_time_is_its_milliseconds_or_says_that_it_is_none(timestamp: Timestamp, item: int | str) -> None:
    assert item_of(Event(event="e", timestamp=timestamp))["timestamp"] == item


_GOOD = Event(event="e").SerializeToString()
_NOT_UTF8 = b"\x0a\x02\xff\xfe"
_CUT_OFF = b"\x0a\x7fe"


def _nested(depth: int) -> bytes:
    """Lists in lists, made by hand: the library doesn't write what it wouldn't read."""
    value = b""
    for _ in range(depth):
        value = _field(5, _field(1, value))
    return _field(1, b"e") + _field(6, _field(1, b"deep") + _field(2, value))


def _field(number: int, content: bytes) -> bytes:
    size, length = len(content), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


async def test_a_damaged_event_is_the_fault_of_its_own() -> None:
    desk = Desk()
    deep = [_nested(14), _nested(17), _nested(2_000)]
    batch = Batch(events=[_GOOD, _NOT_UTF8, b"\xff" * 50, _CUT_OFF, b"", *deep, _GOOD])
    items = request_of(batch.SerializeToString(), LIMITS).items
    assert items is not None
    accepted = await desk.ingest.accept_items(items.lines, items.damaged)
    codes = ["malformed", "malformed", "malformed", "missing_event", "too_deep", "too_deep"]
    assert [(item.index, item.code) for item in accepted.rejected] == list(zip((1, 2, 3, 4, 6, 7), codes, strict=True))
    assert accepted.count == 3
    letters = [envelope for envelope in desk.envelopes() if envelope.rejection is not None]
    assert letters[0].original == "\n\x02\ufffd\ufffd"


async def test_an_event_that_is_too_large_as_json_is_refused_before_it_is_read_or_after() -> None:
    desk = Desk()
    huge = Event(event="e", properties={"text": value_of(["x" * 1000] * 70)}).SerializeToString()
    empty_values = (
        Event(event="e").SerializeToString()
        + b"\x32\x87\x80\x80\x02\x0a\x01a\x12\x80\x80\x80\x02"
        + bytes(4 * 1024 * 1024)
    )
    items = request_of(Batch(events=[huge, empty_values]).SerializeToString(), LIMITS).items
    assert items is not None
    assert set(items.damaged) == {1}
    accepted = await desk.ingest.accept_items(items.lines, items.damaged)
    assert [item.code for item in accepted.rejected] == ["too_large", "too_large"]


@settings(deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.floats() | st.none() | st.booleans() | st.just([]), max_size=50))
def test_no_event_within_the_limit_as_json_is_over_the_limit_as_a_message(values: list[Any]) -> None:
    message = event_of({"event": "e", "v": values}).SerializeToString()
    text = json.dumps({"event": "e", "v": values}, separators=(",", ":"))
    assert len(message) <= 8 * len(text)


def test_more_events_than_a_batch_may_have_are_refused_before_one_of_them_is_read() -> None:
    limits = IngestSettings(batch_events_max=10)
    assert request_of(Batch(events=[b""] * 10).SerializeToString(), limits).items is not None
    with pytest.raises(BodyTooLarge, match="over 10 items"):
        request_of(Batch(events=[b""] * 11).SerializeToString(), limits)


@pytest.mark.parametrize("message", [b"\xff", b"\x0a\x05a", b"{}"])
def test_what_is_no_request_is_said_to_be_none(message: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        request_of(message, LIMITS)
    assert refused.value.code == "malformed_body"


def test_events_and_json_together_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="both"):
        request_of(SendRequest(events=[Event()], json=b"{}").SerializeToString(), LIMITS)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_words(message: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        request = request_of(message, LIMITS)
        assert request.items is None or len(request.items.lines) > 0
