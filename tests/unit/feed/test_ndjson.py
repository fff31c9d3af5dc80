from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.feed.errors import LineError
from streamgauge.feed.ndjson import Ndjson

NOON_MS = 1_767_268_800_000


def sent(line: bytes, shift_ms: int = 0, event: str | None = None) -> bytes:
    return msgspec.json.encode(Ndjson(event).parse(line, shift_ms).event)


def test_a_line_is_sent_as_it_is() -> None:
    line = b'{"event": "a",  "n": 1.10, "timestamp": "2026-01-01T12:00:00Z"}'
    assert sent(line + b"\r\n") == line


@pytest.mark.parametrize("line", [b'{"n":1}', b'{"event":null,"n":1}', b'{"event":"","n":1}'])
def test_an_event_without_a_name_gets_the_default_one(line: bytes) -> None:
    assert msgspec.json.decode(sent(line, event="visit")) == {"event": "visit", "n": 1}


def test_an_event_with_a_name_keeps_it() -> None:
    assert sent(b'{"event":"a"}', event="visit") == b'{"event":"a"}'


@pytest.mark.parametrize("timestamp", ["1767268800000", '"2026-01-01T12:00:00Z"', '"2026-01-01T13:00:00+01:00"'])
def test_a_shift_moves_timestamps_of_every_form(timestamp: str) -> None:
    line = f'{{"event":"a","timestamp":{timestamp}}}'.encode()
    assert msgspec.json.decode(sent(line, shift_ms=500)) == {"event": "a", "timestamp": NOON_MS + 500}
    assert Ndjson().parse(line, 500).time_ms == NOON_MS + 500


@pytest.mark.parametrize("timestamp", ["null", '"yesterday"', '"2026-01-01T12:00:00"', "true", "[]", "1e300"])
def test_a_timestamp_that_is_none_is_left_for_the_server_to_judge(timestamp: str) -> None:
    line = f'{{"event":"a","timestamp":{timestamp}}}'.encode()
    assert sent(line, shift_ms=500) == line
    assert Ndjson().parse(line, 500).time_ms is None


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"[]", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"7", "not_an_object"),
        (b"{", "malformed"),
        (b'{"event":"a"} {"event":"b"}', "malformed"),
        (b"\xff", "malformed"),
        (b'{"a":' * 5_000, "malformed"),
    ],
)
def test_what_is_not_an_object_says_so(line: bytes, code: str) -> None:
    with pytest.raises(LineError) as caught:
        sent(line)
    assert caught.value.code == code


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=5))
def test_whatever_an_event_has_besides_comes_through_a_shift(properties: dict[str, Any]) -> None:
    event = {**properties, "event": "a", "timestamp": NOON_MS}
    assert msgspec.json.decode(sent(msgspec.json.encode(event), shift_ms=1)) == {**event, "timestamp": NOON_MS + 1}


@given(st.binary(max_size=100))
def test_any_bytes_are_an_event_or_a_line_error(data: bytes) -> None:
    with contextlib.suppress(LineError):
        sent(data, shift_ms=1, event="a")
