import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.core.errors import InvalidRequest
from streamgauge.ingest.segment_body import messages_of, write_key_of


def basic(credentials: str) -> str:
    return f"Basic {base64.b64encode(credentials.encode()).decode()}"


def test_one_message_is_the_body_itself() -> None:
    body = b'{"event": "a", "writeKey": "WK", "context": {"locale": "de"}, "sentAt": "2026-01-01T00:00:00Z"}'
    messages = messages_of(body, "track", None)
    assert (messages.raw, messages.write_key) == ([body], "WK")
    assert (messages.shared.kind, messages.shared.context, messages.shared.sent_at) == ("track", {}, None)


def test_messages_of_a_batch_share_its_context_and_its_time_of_sending() -> None:
    body = b'\xef\xbb\xbf{"batch": [{"type":"track"}, 7], "context": {"locale": "de"}, "sentAt": 5, "integrations": {}}'
    messages = messages_of(body, None, basic("WK:"))
    assert (messages.raw, messages.write_key) == ([b'{"type":"track"}', b"7"], "WK")
    assert (messages.shared.kind, messages.shared.context, messages.shared.sent_at) == (None, {"locale": "de"}, 5)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (b" \n", "empty_body"),
        (b"[]", "malformed_body"),
        (b"7", "malformed_body"),
        (b'{"batch": {}}', "malformed_body"),
        (b'{"batch": [{]}', "malformed_body"),
        (b'{"batch": [NaN}', "malformed_body"),
        (b'{"batch": [NaN] "a": 1}', "malformed_body"),
        (b'{"batch": [NaN]} x', "malformed_body"),
        (b'{"batch": NaN}', "malformed_body"),
        (b"{}", "malformed_body"),
        (b'{"batch":' + b"[" * 100_000, "malformed_body"),
    ],
)
def test_what_is_no_batch_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        messages_of(body, None, None)
    assert refusal.value.code == code


def test_a_message_that_is_no_json_leaves_the_others_as_they_are() -> None:
    body = (
        b'{"sentAt" : 5,\n"batch": [{"a": NaN}, {"b": "\\ud800"} , {"c": "\xff"}, {"d": 1}], "context": {"x": "]}"} }'
    )
    messages = messages_of(body, None, None)
    assert messages.raw == [b'{"a": NaN}', b'{"b": "\\ud800"}', b'{"c": "\xff"}', b'{"d": 1}']
    assert (messages.shared.sent_at, messages.shared.context) == (5, {"x": "]}"})


@given(messages=st.lists(st.dictionaries(st.text(), st.text() | st.integers()), min_size=1))
def test_by_the_outline_a_batch_has_the_messages_that_it_has(messages: list[dict[str, object]]) -> None:
    body = json.dumps({"batch": messages, "sentAt": 5}).encode()
    spoiled = body[:-1] + b', "x": NaN}'
    assert [json.loads(raw) for raw in messages_of(spoiled, None, None).raw] == messages
    assert messages_of(spoiled, None, None).raw == messages_of(body, None, None).raw


@pytest.mark.parametrize(
    ("authorization", "in_body", "key"),
    [
        (basic("header:"), "body", "header"),
        (basic("header"), None, "header"),
        (basic(":"), "body", "body"),
        ("Bearer abc", "body", "body"),
        ("Basic %%%", "body", "body"),
        (None, "", None),
        (None, 7, None),
        (None, None, None),
    ],
)
def test_the_write_key_is_that_of_the_header_or_of_the_body(
    authorization: str | None, in_body: object, key: str | None
) -> None:
    assert write_key_of(authorization, in_body) == key


def test_a_write_key_of_any_length_is_none() -> None:
    with pytest.raises(InvalidRequest, match="write key"):
        write_key_of(None, "k" * 257)


_VALID = (
    b'{"batch": [{"type": "track", "event": "a"}, {"type": "page"}], "context": {}, "sentAt": "x", "writeKey": "WK"}'
)


@given(
    at=st.integers(0, len(_VALID)),
    cut=st.integers(0, 20),
    new=st.binary(max_size=12) | st.sampled_from([b"NaN", b"[{"]),
)
def test_bytes_of_any_kind_are_messages_or_refused(at: int, cut: int, new: bytes) -> None:
    body = _VALID[:at] + new + _VALID[at + cut :]
    with contextlib.suppress(InvalidRequest):
        assert all(type(raw) is bytes for raw in messages_of(body, None, None).raw)
    with contextlib.suppress(InvalidRequest):
        assert messages_of(body, "track", None).raw == [body.removeprefix(b"\xef\xbb\xbf")]
