from typing import Any

import pytest

from streamgauge.log.base import LogBatch, LogSlice
from streamgauge.model import Envelope, Rejection
from streamgauge.profiles.identify import Traits, traits_in


def batch_of(*lines: bytes) -> LogBatch:
    return LogBatch((LogSlice(0, 0, len(lines), b"\n".join(lines)),))


def line(event: str = "identify", user_id: str | None = "u", *, at_ms: int = 5, **properties: Any) -> bytes:
    return Envelope("id", event, at_ms, 10, user_id, "a", properties=properties).to_line()


def test_traits_are_those_of_identify_events_that_have_a_user() -> None:
    lines = [
        line(traits={"plan": "pro"}),
        line("page_view", traits={"plan": "x"}),
        line(user_id=None, traits={"plan": "x"}),
        line(traits={}),
        line(traits="x"),
        line(),
        Envelope("identify", "x", 1, 1, "identify", properties={"traits": {"a": 1}}).to_line(),
        Envelope("id", "", 1, 1, rejection=Rejection("code", "why"), original="\tidentify\t").to_line(),
        line(user_id="v\t\\", traits={"plan": None, "age": 7}),
    ]
    assert traits_in(batch_of(*lines)) == [
        Traits("u", 5, {"plan": "pro"}),
        Traits("v\t\\", 5, {"plan": None, "age": "7"}),
    ]


@pytest.mark.parametrize(
    "broken", [b"garbage\tidentify\t", b"a\tidentify\t\t\t\t\t\t\tx", b"a\tidentify\t1\t1\tu\t\t\t\t[1]"]
)
def test_what_is_no_envelope_is_passed_over(broken: bytes) -> None:
    assert [one.user_id for one in traits_in(batch_of(broken, line(traits={"a": 1})))] == ["u"]


def test_values_are_the_texts_that_properties_are_and_names_those_of_columns() -> None:
    traits = {"n": 1.0, "t": True, "o": {"a": [1]}, "e": "", "user_id": "x", "Updated_At": 1, "a b": 1, "1": 1}
    (found,) = traits_in(batch_of(line(traits=traits)))
    assert found == Traits("u", 5, {"n": "1", "t": "true", "o": '{"a":[1]}', "e": None}, unnamed_count=4)


def test_nobody_says_anything_later_than_it_came() -> None:
    (found,) = traits_in(batch_of(line(at_ms=99, traits={"plan": "pro"})))
    assert found.time_ms == 10
