import contextlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.ingest.segment import Shared, event_of
from streamgauge.ingest.validate import ItemError

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "segment" / "messages.json").read_text(encoding="utf-8"))
RECEIVED_MS = round(datetime.fromisoformat(GOLDEN["received_at"]).timestamp() * 1_000)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=[case["name"] for case in GOLDEN["cases"]])
def test_a_message_becomes_its_event(case: dict[str, Any]) -> None:
    shared = Shared(case["kind"], case["batch_context"], case["sent_at"])
    assert event_of(case["message"], shared, RECEIVED_MS) == case["event"]


def test_the_messages_of_a_batch_leave_its_context_as_it_is() -> None:
    shared = Shared(None, {"page": {"path": "/a"}, "app": {"name": "Shop"}})
    messages = [{"type": "track", "event": str(number)} for number in range(3)]
    assert [event_of(message, shared, 0) for message in messages] == [
        {"event": str(number), "page": "/a", "app": "Shop"} for number in range(3)
    ]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "nope"}, "invalid_type"),
        ({"type": 7}, "invalid_type"),
        ({}, "invalid_type"),
        ({"type": "track", "event": "a", "properties": [1]}, "invalid_properties"),
        ({"type": "track", "event": "a", "context": "x"}, "invalid_context"),
        ({"type": "identify", "traits": 1}, "invalid_traits"),
        ({"type": "track", "event": "a", "timestamp": "yesterday"}, "invalid_timestamp"),
    ],
)
def test_what_is_no_message_is_refused_with_a_reason(message: dict[str, Any], code: str) -> None:
    with pytest.raises(ItemError) as refusal:
        event_of(message, Shared(), 0)
    assert refusal.value.code == code


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
_ANY = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner))
_NAMES = st.sampled_from(
    ["type", "event", "properties", "traits", "context", "timestamp", "sentAt", "userId", "messageId", "name"]
)


@given(message=st.dictionaries(_NAMES, _ANY | st.sampled_from(["track", "page", "screen", "identify"])), part=_ANY)
def test_a_message_of_any_shape_is_an_event_or_refused(message: dict[str, Any], part: Any) -> None:
    context = dict.fromkeys(("page", "device", "os", "campaign", "userAgent", "location"), part)
    with contextlib.suppress(ItemError):
        event = event_of({**message, "context": context}, Shared(), RECEIVED_MS)
        left = event.get("context", {})
        for name in ("userAgent", "location"):  # one is a text or nothing, the other has no place of its own
            found = event.get("user_agent") if name == "userAgent" else left.get(name)
            assert found == part or part in (None, "", {}) or type(part) in (dict, list)
