"""What an event is, and the exact edge of every bound."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streamgauge.config import IngestSettings
from streamgauge.ingest.accept import Numbering
from streamgauge.ingest.identity import EventIds
from streamgauge.ingest.validate import EventValidator, ItemError, original_text, timestamp_ms
from streamgauge.model import Envelope
from unit.ingest.memory_log import NOW_MS, Desk, event_with

NOON_MS = 1_767_268_800_000
"""2026-01-01T12:00:00Z."""


def nested(depth: int, kind: str) -> bytes:
    """An event that is `depth` levels deep, itself counted."""
    opening, closing = (b"[", b"]") if kind == "lists" else (b'{"a":', b"}")
    inner = b"" if kind == "lists" else b"1"
    return b'{"event":"e","x":' + opening * (depth - 1) + inner + closing * (depth - 1) + b"}"


async def test_an_event_needs_nothing_but_its_name() -> None:
    envelope = await Desk().event(b'{"event":"page_view"}')
    assert (envelope.event, envelope.timestamp, envelope.received_at) == ("page_view", NOW_MS, NOW_MS)
    assert (envelope.user_id, envelope.anonymous_id, envelope.properties) == (None, None, {})
    assert envelope.event_id


@pytest.mark.parametrize("item", [b"{}", b'{"event":null}', b'{"events":"x"}', b'{"Event":"x"}'])
async def test_an_event_without_a_name_is_missing_one(item: bytes) -> None:
    assert await Desk().codes(item) == [(0, "missing_event")]


@pytest.mark.parametrize("name", ["", 1, 1.5, True, False, [], {}, ["a"]])
async def test_a_name_that_is_no_text_is_invalid(name: Any) -> None:
    assert await Desk().codes(event_with("event", name)) == [(0, "invalid_event")]


async def test_a_name_of_256_characters_passes_and_one_more_is_too_long() -> None:
    desk = Desk()
    assert (await desk.event(event_with("event", "😀" * 256))).event == "😀" * 256
    assert await desk.codes(event_with("event", "a" * 257)) == [(0, "name_too_long")]


@pytest.mark.parametrize("item", [b"1", b"null", b"true", b'"text"', b"1.5", b'[["event","a"]]', b"[[]]"])
async def test_an_item_that_is_no_object_says_so(item: bytes) -> None:
    assert await Desk().codes(b"[%s]" % item) == [(0, "not_an_object")]


async def test_a_string_of_exactly_the_limit_passes_and_one_character_more_does_not() -> None:
    desk = Desk(string_chars_max=100)
    assert (await desk.event(event_with("x", "😀" * 100))).properties == {"x": "😀" * 100}
    assert await desk.codes(event_with("x", "a" * 101)) == [(0, "string_too_long")]


@pytest.mark.parametrize("value", [["a" * 101], {"y": "a" * 101}, [[{"y": ["a" * 101]}]]])
async def test_a_string_is_bounded_wherever_it_is(value: Any) -> None:
    assert await Desk(string_chars_max=100).codes(event_with("x", value)) == [(0, "string_too_long")]


async def test_256_properties_pass_and_one_more_is_too_many() -> None:
    own = {"event": "e", "timestamp": 1, "user_id": 1, "anonymous_id": 1, "event_id": "x"}
    desk = Desk()
    most = {f"p{number}": number for number in range(256)}
    assert (await desk.event(msgspec.json.encode(own | most))).properties == most
    assert await desk.codes(msgspec.json.encode(own | most | {"p256": 1})) == [(0, "too_many_properties")]


async def test_the_line_of_an_event_may_have_exactly_the_limit_and_not_a_byte_more() -> None:
    shortest = Envelope("i", "e", NOW_MS, NOW_MS, properties={"x": ""})
    line_bytes = len(shortest.to_line())
    desk = Desk(event_bytes_max=1_000, string_chars_max=10**6)
    fitting = "a" * (1_000 - line_bytes)
    item = {"event": "e", "event_id": "i", "x": fitting}
    await desk.event(msgspec.json.encode(item))
    assert len(desk.log.records[-1].value) == 1_000
    assert await desk.codes(msgspec.json.encode(item | {"x": fitting + "a"})) == [(0, "too_large")]


async def test_names_of_properties_are_bounded_by_the_bound_on_the_event() -> None:
    desk = Desk()
    assert await desk.codes(event_with("k" * 70_000, 1)) == [(0, "too_large")]
    assert (await desk.event(event_with("k" * 60_000, 1))).properties == {"k" * 60_000: 1}


@pytest.mark.parametrize("kind", ["lists", "objects"])
async def test_16_levels_pass_and_17_are_too_deep(kind: str) -> None:
    desk = Desk()
    await desk.event(nested(16, kind))
    assert await desk.codes(nested(17, kind)) == [(0, "too_deep")]


@pytest.mark.parametrize("kind", ["lists", "objects"])
async def test_a_line_of_a_hundred_thousand_levels_is_too_deep_and_its_neighbours_pass(kind: str) -> None:
    desk = Desk()
    accepted = await desk.send(b'{"event":"a"}\n' + nested(100_000, kind) + b'\n{"event":"b"}', "application/x-ndjson")
    assert [(item.index, item.code) for item in accepted.rejected] == [(1, "too_deep")]
    assert accepted.count == 2


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 0, -1])
async def test_integers_of_64_bits_keep_every_digit(value: int) -> None:
    desk = Desk()
    assert (await desk.event(event_with("x", value))).properties == {"x": value}
    assert (await desk.event(event_with("x", [value]))).properties == {"x": [value]}


@pytest.mark.parametrize(
    "number", ["9223372036854775808", "-9223372036854775809", "18446744073709551616", "1" + "0" * 400, "9" * 5_000]
)
@pytest.mark.parametrize("place", ["%s", "[%s]", '{"y":%s}'])
async def test_an_integer_of_more_than_64_bits_is_out_of_range(number: str, place: str) -> None:
    item = b'{"event":"e","x":%s}' % (place % number).encode()
    assert await Desk().codes(item) == [(0, "number_out_of_range")]


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1e309"])
@pytest.mark.parametrize("place", ["%s", "[%s]", '{"y":%s}'])
async def test_a_number_that_is_no_finite_double_is_out_of_range(number: str, place: str) -> None:
    item = b'{"event":"e","x":%s}' % (place % number).encode()
    assert await Desk().codes(item) == [(0, "number_out_of_range")]


@pytest.mark.parametrize("number", ["1.7976931348623157e308", "5e-324", "-0.0", "1.0", "0.1"])
async def test_doubles_keep_their_value(number: str) -> None:
    envelope = await Desk().event(b'{"event":"e","x":%s}' % number.encode())
    assert repr(envelope.properties["x"]) == repr(float(number))


@pytest.mark.parametrize(
    "literal", ["NaN", "Infinity", "-Infinity", "nan", "undefined", "0x10", "01", "1.", ".5", "+1"]
)
async def test_literals_that_json_does_not_have_are_malformed(literal: str) -> None:
    lines = b'{"event":"e","x":%s}\n{"event":"good"}' % literal.encode()
    assert await Desk().codes(lines, "application/x-ndjson") == [(0, "malformed")]


@pytest.mark.parametrize(
    "text", ["\x00", "a\x00b", "😀", "\u2028\u2029\x85", "\x1b[31m", "\r\n\t", '"\\', "\uffff", "﷽"]
)
async def test_text_is_kept_character_for_character_in_every_place(text: str) -> None:
    item = {"event": text, "user_id": text, "anonymous_id": text, "event_id": text, text: text, "deep": [{text: text}]}
    desk = Desk()
    envelope = await desk.event(msgspec.json.encode(item))
    assert {envelope.event, envelope.user_id, envelope.anonymous_id, envelope.event_id} == {text}
    assert envelope.properties == {text: text, "deep": [{text: text}]}
    assert b"\n" not in desk.log.records[-1].value


async def test_a_surrogate_pair_is_one_character() -> None:
    assert (await Desk().event(rb'{"event":"e","x":"\ud83d\ude00"}')).properties == {"x": "😀"}


@pytest.mark.parametrize(
    "bad", [rb'"\ud800"', rb'"\udc00"', rb'"\ud800\ud800"', rb'"\ud800x"', b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\xaf"']
)
@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson"])
async def test_text_that_is_no_unicode_spoils_its_own_item_only(bad: bytes, content_type: str) -> None:
    items = [b'{"event":"good"}', b'{"event":"e","x":%s}' % bad, b'{"event":"good"}']
    body = b"\n".join(items) if "nd" in content_type else b"[" + b",".join(items) + b"]"
    desk = Desk()
    accepted = await desk.send(body, content_type)
    assert accepted.count == 2
    assert [(item.index, item.code) for item in accepted.rejected] == [(1, "malformed")]


async def test_of_a_name_that_is_there_twice_the_last_one_counts() -> None:
    envelope = await Desk().event(b'{"event":"a","x":1,"event":"b","x":2,"deep":{"y":1,"y":2}}')
    assert (envelope.event, envelope.properties) == ("b", {"x": 2, "deep": {"y": 2}})


@pytest.mark.parametrize("name", ["properties", "received_at", "producer", "sequence", "rejection", "original", ""])
async def test_fields_of_the_envelope_can_be_properties(name: str) -> None:
    envelope = await Desk().event(event_with(name, {"code": "x", "message": "y"}))
    assert envelope.properties == {name: {"code": "x", "message": "y"}}
    assert (envelope.producer, envelope.sequence, envelope.rejection, envelope.original) == (None, None, None, None)
    assert envelope.received_at == NOW_MS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01T12:00:00Z", NOON_MS),
        ("2026-01-01t12:00:00z", NOON_MS),
        ("2026-01-01 12:00:00Z", NOON_MS),
        ("2026-01-01T12:00:00+00:00", NOON_MS),
        ("2026-01-01T12:00:00-00:00", NOON_MS),
        ("2026-01-01T13:30:00+01:30", NOON_MS),
        ("2026-01-01T04:00:00-08:00", NOON_MS),
        ("2026-01-02T11:59:00+23:59", NOON_MS),
        ("2026-01-01T13:00:00+0100", NOON_MS),
        ("2026-01-01T12:00:00.1Z", NOON_MS + 100),
        ("2026-01-01T12:00:00.12Z", NOON_MS + 120),
        ("2026-01-01T12:00:00.123Z", NOON_MS + 123),
        ("2026-01-01T12:00:00.1239Z", NOON_MS + 123),
        ("2026-01-01T12:00:00.999999Z", NOON_MS + 999),
        ("2026-01-01T12:00:00.123456789Z", NOON_MS + 123),
        ("2026-01-01T12:00:00.999999999999999999999Z", NOON_MS + 999),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:00:00-01:00", 0),
        ("2099-12-31T23:59:59.999Z", 4_102_444_799_999),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("2016-12-31T23:59:60.5z", 1_483_228_800_500),
        ("2016-12-31T15:59:60-08:00", 1_483_228_800_000),
    ],
)
def test_rfc_3339_is_read_to_the_millisecond(text: str, expected: int) -> None:
    assert timestamp_ms(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Z",
        "now",
        "1767268800000",
        "2026-01-01",
        "2026-01-01T12:00:00",
        "2026-01-01T12:00:00.123",
        "2026-W01-4T12:00:00Z",
        "2026-001T12:00:00Z",
        "20260101T120000Z",
        "2026-01-01T120000Z",
        "2026-01-01T12Z",
        "2026-01-01T12:00Z",
        "2026-01-01T12:00:00,5Z",
        "2026-01-01T12:00:00.Z",
        "2026-01-01T12:00:00.1234567xZ",
        "2026-01-01T12:00:00 Z",
        "2026-01-01T12:00:00\x00Z",
        " 2026-01-01T12:00:00Z",
        "2026-01-01T12:00:00Z\n",
        "2026-01-01T12:00:00ZZ",
        "2026-01-01T12:00:00+01",
        "2026-01-01T12:00:00+01:00:30",
        "2026-01-01T12:00:00+24:00",
        "2026-01-01T12:00:00+1:00",
        "2026-01-01T12:00:00UTC",
        "2026-01-01_12:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-01-01T25:00:00Z",
        "2026-01-01T12:60:00Z",
        "2026-01-01T12:00:61Z",
        "2026-01-01T23:59:60:60Z",
        "2026-01-01T12:00:59:60Z",
        "2026-01-01T12:00:60Z",
        "2026-01-01T23:59:60+01:00",
        "0000-01-01T00:00:00Z",
        "12026-01-01T00:00:00Z",
        "-026-01-01T12:00:00Z",
        "\uff12\uff10\uff12\uff16-01-01T12:00:00Z",
        "2026-01-01T12:00:00Z" * 1000,
        "Thu, 01 Jan 2026 12:00:00 GMT",
    ],
)
def test_what_is_not_rfc_3339_with_an_offset_is_invalid(text: str) -> None:
    with pytest.raises(ItemError) as caught:
        timestamp_ms(text)
    assert caught.value.code == "invalid_timestamp"
    assert len(caught.value.message) < 250


@pytest.mark.parametrize(
    "value",
    [
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:59:59+01:00",
        "2100-01-01T00:00:00Z",
        "2099-12-31T23:59:59-00:01",
        "2099-12-31T23:59:60Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        -1,
        -1.0,
        4_102_444_800_000,
        4_102_444_800_000.0,
        1e300,
        2**63 - 1,
        -(2**63),
    ],
)
def test_times_outside_of_1970_to_2099_are_out_of_range(value: Any) -> None:
    with pytest.raises(ItemError) as caught:
        timestamp_ms(value)
    assert caught.value.code == "timestamp_out_of_range"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (0.0, 0),
        (-0.0, 0),
        (1, 1),
        (1e3, 1000),
        (float(NOON_MS), NOON_MS),
        (4_102_444_799_999, 4_102_444_799_999),
    ],
)
def test_whole_numbers_are_milliseconds(value: float, expected: int) -> None:
    found = timestamp_ms(value)
    assert (found, type(found)) == (expected, int)


@pytest.mark.parametrize("value", [True, False, [], {}, [1], 1.5, -0.5, float("nan"), float("inf"), float("-inf")])
def test_what_is_no_whole_number_is_an_invalid_timestamp(value: Any) -> None:
    with pytest.raises(ItemError) as caught:
        timestamp_ms(value)
    assert caught.value.code == "invalid_timestamp"


def test_every_millisecond_of_a_second_survives_the_way_through_text() -> None:
    assert [timestamp_ms(f"2026-01-01T12:00:00.{ms:03}Z") for ms in range(1000)] == list(range(NOON_MS, NOON_MS + 1000))


@pytest.mark.parametrize(
    ("day", "rest"),
    [
        (10, ".\uff11\uff12\uff13Z"),
        (11, ".\u0661\u0662\u0663Z"),
        (12, ".\xb2\xb2\xb2Z"),
        (13, ".1_3Z"),
        (14, ". 13Z"),
        (15, ".+13Z"),
        (16, ":123Z"),
        (17, ".123z"),
        (18, ".12Z"),
        (19, ".123+01:00"),
    ],
)
def test_a_time_is_read_the_same_after_another_one_of_its_second(day: int, rest: str) -> None:
    def read() -> int | str:
        try:
            return timestamp_ms(f"2031-01-{day}T12:00:00{rest}")
        except ItemError as error:
            return error.code

    before = read()
    timestamp_ms(f"2031-01-{day}T12:00:00.000Z")
    assert read() == before


async def test_a_timestamp_of_null_is_the_time_of_receipt() -> None:
    assert (await Desk().event(b'{"event":"e","timestamp":null}')).timestamp == NOW_MS


@pytest.mark.parametrize("field", ["user_id", "anonymous_id", "event_id"])
async def test_an_integer_id_and_its_text_are_the_same(field: str) -> None:
    desk = Desk()
    for value in (123, "123"):
        assert getattr(await desk.event(event_with(field, value)), field) == "123"
    keys = [record.key for record in desk.log.records]
    assert keys[0] == keys[1] == b"123"


@pytest.mark.parametrize("value", ["", None])
@pytest.mark.parametrize("field", ["user_id", "anonymous_id"])
async def test_an_empty_user_is_none(field: str, value: Any) -> None:
    assert getattr(await Desk().event(event_with(field, value)), field) is None


@pytest.mark.parametrize("value", [1.5, 1.0, True, False, [], {}, ["a"], "a" * 257])
@pytest.mark.parametrize("field", ["user_id", "anonymous_id", "event_id"])
async def test_an_id_that_is_neither_text_nor_integer_is_invalid(field: str, value: Any) -> None:
    assert await Desk().codes(event_with(field, value)) == [(0, f"invalid_{field}")]


@pytest.mark.parametrize("field", ["user_id", "anonymous_id", "event_id"])
async def test_an_id_may_have_256_characters(field: str) -> None:
    assert getattr(await Desk().event(event_with(field, "😀" * 256)), field) == "😀" * 256


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (-1, "-1"), (2**63 - 1, str(2**63 - 1)), (-(2**63), str(-(2**63)))]
)
async def test_an_integer_id_keeps_every_digit(value: int, text: str) -> None:
    assert (await Desk().event(event_with("user_id", value))).user_id == text


async def test_an_event_id_that_is_empty_or_absent_is_made_and_is_unique() -> None:
    desk = Desk()
    await desk.send(b'[{"event":"e","event_id":null},{"event":"e"},{"event":"e","event_id":""}]')
    assert len({envelope.event_id for envelope in desk.envelopes()} - {""}) == 3


async def test_the_key_is_the_anonymous_id_else_the_user_else_the_event() -> None:
    desk = Desk()
    for item in (
        {"user_id": "u", "anonymous_id": "a", "event_id": "e"},
        {"user_id": "u", "anonymous_id": "", "event_id": "e"},
        {"user_id": "", "anonymous_id": None, "event_id": "e"},
    ):
        await desk.event(msgspec.json.encode({"event": "x", **item}))
    assert [record.key for record in desk.log.records] == [b"a", b"u", b"e"]


def test_ids_of_two_processes_differ() -> None:
    assert EventIds().of_body().new() != EventIds().of_body().new()


def test_the_quick_way_leaves_nested_values_to_the_careful_way() -> None:
    validator = EventValidator(IngestSettings())
    assert validator.decode_quickly(b'[{"event":"e","x":1}]', as_lines=False) == [{"event": "e", "x": 1}]
    for nested_value in (b"[]", b"{}"):
        assert validator.decode_quickly(b'[{"event":"e","x":%s}]' % nested_value, as_lines=False) is None


@pytest.mark.parametrize(
    ("raw", "kept"), [(b"abc", "abc"), (b"a\xffb", "a\ufffdb"), ("ab😀".encode(), "ab\ufffd"), (b"", "")]
)
def test_the_original_is_kept_up_to_a_limit_as_valid_text(raw: bytes, kept: str) -> None:
    assert original_text(raw, 5) == kept


async def test_an_empty_name_is_refused_as_empty() -> None:
    accepted = await Desk().send(b'{"event":""}')
    assert [(item.code, "empty" in item.message) for item in accepted.rejected] == [("invalid_event", True)]


@pytest.mark.parametrize("body", [b'{"event":"a"}', b'[{"event":"a"}]', b'{"event":"a"}\n{"event":"b"}'])
async def test_a_byte_order_mark_before_the_body_is_passed_over(body: bytes) -> None:
    desk = Desk()
    accepted = await desk.send(b"\xef\xbb\xbf" + body)
    assert (accepted.count, accepted.rejected) == (body.count(b"event"), ())
    assert desk.envelopes()[0].event == "a"


@pytest.mark.parametrize("place", ["%s", '{"y":%s}'])
@pytest.mark.parametrize("number", ["9223372036854775808", "18446744073709551615", "18446744073709551616"])
async def test_a_number_that_is_out_of_range_is_told_the_range(number: str, place: str) -> None:
    accepted = await Desk().send(b'{"event":"e","x":%s}' % (place % number).encode())
    assert "from -2^63 to 2^63-1 (64 bits, signed)" in accepted.rejected[0].message


async def test_half_a_surrogate_pair_in_a_name_is_called_so() -> None:
    accepted = await Desk().send(b'[{"event":"e"},{"event":"\\ud800"}]')
    assert accepted.rejected[0].message.startswith("this is not valid JSON: \\ud800 at byte 10 is half of a surrogate")


async def test_text_that_is_not_utf_8_says_at_which_byte_of_its_item() -> None:
    accepted = await Desk().send(b'[{"event":"e"},{"event":"e","x":"ab\xff"}]')
    assert accepted.rejected[0].message == "this is not valid JSON: byte 20 (0xff) is not UTF-8"


@pytest.mark.parametrize("kind", ["lists", "objects"])
async def test_an_item_of_a_hundred_thousand_levels_is_too_deep_and_its_neighbours_pass(kind: str) -> None:
    desk = Desk()
    accepted = await desk.send(b'[{"event":"a"},' + nested(100_000, kind) + b',{"event":"b"}]')
    assert [(item.index, item.code) for item in accepted.rejected] == [(1, "too_deep")]
    assert accepted.count == 2
    assert await desk.codes(nested(100_000, kind)) == [(0, "too_deep")]


@pytest.mark.parametrize("event_id", ["sg-", "sg-1", "sg-\uffff"])
async def test_an_id_that_begins_as_the_servers_do_is_reserved(event_id: str) -> None:
    desk = Desk()
    assert await desk.codes(event_with("event_id", event_id)) == [(0, "reserved_event_id")]
    assert not desk.envelopes()[0].event


@pytest.mark.parametrize("event_id", ["sg", "sg,", "sg.", "SG-1", "s", "asg-1", "sf-z", "sh"])
async def test_an_id_that_only_resembles_the_servers_is_free(event_id: str) -> None:
    assert (await Desk().event(event_with("event_id", event_id))).event_id == event_id


async def test_a_numbered_event_may_bring_an_id_that_the_server_made() -> None:
    desk = Desk()
    await desk.send(event_with("event_id", "sg-1"), numbering=Numbering("replay", 0))
    assert [envelope.event_id for envelope in desk.envelopes()] == ["sg-1"]
