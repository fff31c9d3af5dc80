from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.log.base import LogBatch, LogSlice, OffsetRange
from streamgauge.model import Envelope
from streamgauge.stream.batch import decode
from streamgauge.stream.state import Pending
from streamgauge.stream.steps import SetRejectedAside
from unit.stream.making import NOON_MS, SPEC, decoded, event, field_of, log_batch, rejected

TRAP = 'a\t{"page":"/trap"}\n\\t\\s\\\\"'
"""Text that holds what a line is divided and escaped by."""


def column(batch: Any, name: str) -> list[Any]:
    return batch.events[name].to_list()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("404.0", "404.0"),
        ("", ""),
        ("null", "null"),
        (404, "404"),
        (404.0, "404"),
        (-7, "-7"),
        (2**63 - 1, "9223372036854775807"),
        (-(2**63), "-9223372036854775808"),
        (0.1, "0.1"),
        (1e21, "1000000000000000000000"),
        (1e-7, "0.0000001"),
        (True, "true"),
        (False, "false"),
        (None, None),
        ([], "[]"),
        ({}, "{}"),
    ],
)
def test_a_value_is_its_json_text(value: object, text: str | None) -> None:
    assert column(decoded(event(page=value), fields={"page"}), "p:page") == [text]


@pytest.mark.parametrize("value", [[1, 2.5, "a", None, True], {"a": {"b": [None, "x,y"]}}, [["deep"], []], ['q"']])
def test_an_array_or_an_object_is_json_text_that_reads_back_as_it_was(value: object) -> None:
    (text,) = column(decoded(event(page=value), fields={"page"}), "p:page")
    assert json.loads(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "grüße",
        "😀🏳️‍🌈",
        "a\u2028b\u2029c",
        "x\x00y",
        "\x00",
        "\x1f",
        "\x7f\x85",
        "a\nb\r\nc",
        "\r",
        "null",
        " ",
        '"\\',
        "\ufeff",
        "\uffff",
        TRAP,
    ],
)
def test_any_text_comes_through_as_it_was_sent(text: str) -> None:
    batch = decoded(event(text, user_id=text, page=text), event("next"), fields={"page", "user_id", "event"})
    assert column(batch, "event") == [text, "next"]
    assert column(batch, "user_id") == [text, None]
    assert column(batch, "p:user_id") == [text, None]
    assert column(batch, "p:event") == [text, "next"]
    assert column(batch, "p:page") == [text, None]
    assert msgspec.json.decode(column(batch, "properties")[0]) == {"page": text}


def test_a_property_that_is_missing_is_null() -> None:
    batch = decoded(event(page="/"), event(other=1), event(page=None), event(), fields={"page"})
    assert column(batch, "p:page") == ["/", None, None, None]


@pytest.mark.parametrize("fields", [(), ("page",), ("event",)])
def test_events_of_which_none_has_properties_are_decoded(fields: tuple[str, ...]) -> None:
    batch = decoded(event("a"), event("b"), fields=fields)
    assert column(batch, "event") == ["a", "b"]
    assert column(batch, "properties") == ["{}", "{}"]


def test_the_text_of_the_properties_is_what_was_sent() -> None:
    properties = {"a": 1.0, "b": [1, {"c": "}}"}], "d": TRAP, "properties": {"properties": {}}}
    (text,) = column(decoded(event(**properties)), "properties")
    assert text == msgspec.json.encode(properties).decode()


@pytest.mark.parametrize("name", ["timestamp", "received_at", "producer", "sequence", "rejection", "original"])
def test_a_property_may_be_called_like_a_field_of_the_envelope(name: str) -> None:
    # These are properties only where a client could send them past its own fields, as any unknown name.
    envelope = msgspec.structs.replace(event(), properties={name: "mine"})
    batch = decoded(envelope, fields={name})
    assert column(batch, f"p:{name}") == ["mine"]
    assert column(batch, "timestamp") == [NOON_MS]
    assert column(batch, "producer") == [None]


@pytest.mark.parametrize(
    "name", ["properties", "p:page", "p:", "line", "highest", "log_partition", "measured", "value"]
)
def test_a_property_may_be_called_like_a_column_of_ours(name: str) -> None:
    envelope = msgspec.structs.replace(event(), properties={"page": "/", name: "mine"})
    batch = decoded(envelope, fields={name, "page"})
    assert column(batch, f"p:{name}") == ["mine"]
    assert column(batch, "p:page") == ["/"]


@pytest.mark.parametrize("name", ["", " ", "a b", "a.b", "a:b", "ä😀", 'q"uote', "back\\slash", "new\nline", "x\x00"])
def test_a_property_may_have_any_name(name: str) -> None:
    batch = decoded(event(**{name: "mine"}), event(), fields={name})
    assert column(batch, f"p:{name}") == ["mine", None]


def test_a_field_of_the_envelope_is_a_dimension_and_no_property_of_that_name_is() -> None:
    envelope = msgspec.structs.replace(event("own", user_id="u"), properties={"event": "theirs", "user_id": 1})
    batch = decoded(envelope, fields={"event", "user_id", "anonymous_id", "event_id"})
    fields = {name: column(batch, f"p:{name}") for name in ("event", "user_id", "anonymous_id", "event_id")}
    assert fields == {"event": ["own"], "user_id": ["u"], "anonymous_id": [None], "event_id": ["sg-test"]}


def test_a_rejected_item_keeps_what_was_sent() -> None:
    originals = [TRAP, '{"event":"x","properties":{"page":"/"}}', 'not json \u2028 "\\', "", "\x00"]
    batch = decoded(*(rejected(original) for original in originals), event(page="/"), fields={"page"})
    after = SetRejectedAside().apply(batch, SPEC)
    (letters,) = after.dead_letters
    assert letters["original"].to_list() == originals
    assert letters["reason"].to_list() == ["malformed"] * len(originals)
    assert column(after, "properties") == ['{"page":"/"}']
    assert column(after, "p:page") == ["/"]


def test_each_record_knows_where_it_lies_in_the_log() -> None:
    batch = decode(log_batch({1: [event("a"), event("b")], 3: [event("c")]}, {1: 5, 3: 2**40}), ())
    assert column(batch, "event") == ["a", "b", "c"]
    assert column(batch, "log_partition") == [1, 1, 3]
    assert column(batch, "log_offset") == [5, 6, 2**40]
    assert batch.ranges == (OffsetRange(1, 5, 7), OffsetRange(3, 2**40, 2**40 + 1))
    assert Pending(batch.ranges, SPEC, 7).batch_id == f"1:5-7,3:{2**40}-{2**40 + 1}"


@pytest.mark.parametrize("fields", [(), ("page",)])
@pytest.mark.parametrize("count", [1, 3])
def test_a_count_of_lines_that_is_wrong_raises(count: int, fields: tuple[str, ...]) -> None:
    lines = b"\n".join([event("a").to_line(), event("b").to_line()])
    with pytest.raises(ValueError, match="2 lines"):
        decode(LogBatch((LogSlice(0, 0, count, lines),)), fields)


FOREIGN = [
    b"not a line",
    b'{"event": "page_view"}',
    b"i\te\t1",
    b"i\te\tnoon\t1\t\t\t\t\t{}",
    b"i\te\t1_0\t1\t\t\t\t\t{}",
    b"\te\t1\t1\t\t\t\t\t{}",
    b"i\te\t1\t1\t\t\t\t\t",
    b"i\te\t1\t1\t\t\t\t\t{",
    b"i\te\t1\t1\t\t\t\t\t[1]",
    b"i\te\t1\t1\t\t\t\t\t{}\t{}",
    b'i\te\t1\t1\t\t\t\t\t{"a":\t1}',
    b"i\t\t1\t1\t\t\t\t\t{}",
    b"i\te\t99999999999999999999\t1\t\t\t\t\t{}",
    b"i\te\t1\t\t\t\t\t\t{}",
    b"\xff\xfe\x00",
    b"i\t\xff\t1\t1\t\t\t\t\t{}",
    b"i\ta\rb\t1\t1\t\t\t\t\t{}",
    b" ",
    b"i\te\t-1\t1\t\t\t\t\t{}",
    b"i\te\t4102444800000\t1\t\t\t\t\t{}",
    b"i\te\t1\t4102444800000\t\t\t\t\t{}",
    b'i\te\t1\t1\t\t\t\t\t{"a":"\\ud800"}',
    b'i\te\t1\t2\tu\t\t\t\t{"page": 1e400, "a": -}',
    b"\x00",
    b"i\te\t1\t1\t\t\t\t\t" + b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
]


@pytest.mark.parametrize("fields", [{"page"}, {"page", "a", "event"}])
@pytest.mark.parametrize("line", FOREIGN)
def test_a_record_that_others_wrote_is_a_dead_letter_and_the_events_beside_it_are_counted(
    line: bytes, fields: set[str]
) -> None:
    lines = b"\n".join([event("a", page="/x").to_line(), line, event("b").to_line()])
    batch = SetRejectedAside().apply(decode(LogBatch((LogSlice(2, 7, 3, lines),)), fields, 42), SPEC)
    assert column(batch, "event") == ["a", "b"]
    assert column(batch, "log_offset") == [7, 9]
    assert batch.dropped == {"undecodable": 1}
    (letters,) = batch.dead_letters
    assert letters["received_at"].to_list() == [42]
    assert letters["event_id"].to_list() == ["sg-2-8"]
    assert letters["original"].to_list() == [line.decode(errors="replace")]


BY_OTHERS = b'i\te\t1\t2\tu\t\t\t\t{"page": 1, "d": [null, {}]}'


def test_properties_may_be_written_by_others() -> None:
    found = decode(LogBatch((LogSlice(0, 0, 1, BY_OTHERS),)), {"page", "d"})
    assert (column(found, "event"), column(found, "p:page")) == (["e"], ["1"])


LINES = st.binary(min_size=1, max_size=60) | st.sampled_from(FOREIGN) | st.just(BY_OTHERS)


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=6))
def test_no_record_ends_the_stream(lines: list[bytes]) -> None:
    one_line_each = [line.replace(b"\n", b"_") for line in lines]
    found = decode(LogBatch((LogSlice(0, 0, len(lines), b"\n".join(one_line_each)),)), {"page"}, 1)
    after = SetRejectedAside().apply(found, SPEC)
    assert after.events.height + sum(letters.height for letters in after.dead_letters) == len(lines)


def test_more_lines_than_one_parser_thread_takes_keep_their_order() -> None:
    envelopes = [event(f"e{n}", page=n, note="x" * (n % 50)) for n in range(20_000)]
    batch = decoded(*envelopes, fields={"page"})
    assert column(batch, "event") == [f"e{n}" for n in range(20_000)]
    assert column(batch, "p:page") == [str(n) for n in range(20_000)]


@given(st.text(min_size=1, alphabet=st.sampled_from("a\\tns\t\n\r\x00") | st.characters(exclude_categories=["Cs"])))
def test_a_line_reads_back_as_the_envelope_it_was_made_of(text: str) -> None:
    good = msgspec.structs.replace(event(text, event_id=text, user_id=text, anonymous_id=text), properties={text: text})
    numbered = msgspec.structs.replace(good, producer="p", sequence=0)
    for envelope in (good, numbered, rejected(text, event_id=text)):
        line = envelope.to_line()
        assert b"\n" not in line
        assert Envelope.from_line(line) == envelope


@given(st.binary(max_size=40))
def test_what_is_no_line_of_an_envelope_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="not an envelope"):
        Envelope.from_line(line)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from([TRAP, "}", "\t", '"', "\\", "\\t", "\r"])
)
NAMES = st.text(max_size=6) | st.sampled_from(["page", "properties", "timestamp", "\t"])
EVENTS = st.builds(
    lambda name, user, properties: msgspec.structs.replace(event(name, user_id=user), properties=properties),
    st.text(min_size=1, max_size=12) | st.just(TRAP),
    st.none() | st.text(min_size=1, max_size=8),
    st.dictionaries(NAMES, SCALARS, max_size=4),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=6), st.sets(NAMES, max_size=3))
def test_columns_are_what_a_plain_reading_of_each_event_gives(envelopes: list[Any], fields: set[str]) -> None:
    batch = decoded(*envelopes, fields=fields)
    assert column(batch, "event") == [one.event for one in envelopes]
    assert column(batch, "user_id") == [one.user_id for one in envelopes]
    for name in fields:
        assert column(batch, f"p:{name}") == [field_of(one, name) for one in envelopes]
    sent = [msgspec.json.encode(one.properties).decode() for one in envelopes]
    assert column(batch, "properties") == sent
