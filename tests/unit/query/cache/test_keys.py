"""Equal questions have one key, others another."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.model import DAY_MS, Rollup
from streamgauge.query.cache.keys import KEY_CHARS_MAX, question_key
from streamgauge.query.question import Question, QuestionLimits, parse_question

NOW_MS = 1_767_268_845_000  # 2026-01-01T12:00:45Z
METRICS = {
    name: Rollup(name, dimensions=("country", "device", "page"), window=window)
    for name, window in (("page_views", "60s"), ("hours", "1h"))
}
LIMITS = QuestionLimits(11_000, 10_000)


def asked(*parameters: tuple[str, str], **more: str) -> Question:
    return parse_question([*parameters, *more.items()], METRICS, NOW_MS, LIMITS)


def test_a_person_can_read_it() -> None:
    assert question_key(asked(name="page_views", range="7d", country="US")) == (
        "page_views:2025-12-25T13:00+7d:step=1h:country=US"
    )
    assert question_key(asked(name="page_views", range="90m", group_by="page", filter="device:mobile")) == (
        "page_views:2026-01-01T10:31+90m:by=page:top=1000:device=mobile"
    )


@pytest.mark.parametrize(
    "other",
    [
        [("country", "US"), ("device", "mobile"), ("range", "24h"), ("name", "page_views")],
        [("name", "page_views"), ("filter", "device:mobile"), ("filter", "country:US")],
        [("name", "page_views"), ("country", "US"), ("filter", "country:US"), ("device", "mobile"), ("step", "10m")],
        [
            ("name", "page_views"),
            ("from", "2025-12-31T12:10:00Z"),
            ("to", "2026-01-01T13:10:00+01:00"),
            ("step", "600s"),
            ("country", "US"),
            ("device", "mobile"),
        ],
    ],
)
def test_one_question_asked_in_other_words_has_the_same_key(other: list[tuple[str, str]]) -> None:
    plain = asked(name="page_views", country="US", device="mobile")
    assert question_key(asked(*other)) == question_key(plain)


def test_no_other_question_has_the_key_of_one() -> None:
    values = ["", "US", "us", "US:device=x", "US%3A", "ü", "a=b", "a,b", "page:step=1h", "(other)"]
    values += ["a|b", "a|c", r"a\|b", "a*", r"a\*", "*", r"\*", "a*|b", "a|b*", "a|", "a%7Cb", "!=a", "!a"]
    dimensions = ("country", "country!", "page")
    keys: dict[str, Question] = {}
    for name, span, shape, value, dimension in itertools.product(
        METRICS, ("7d", "24h", "1h"), ("group", "limit", "order", "top", "upwards", "step", "none"), values, dimensions
    ):
        more: dict[str, Any] = {
            "group": {"group_by": "page"},
            "limit": {"group_by": "page", "limit": "7"},
            "order": {"group_by": "page", "limit": "7", "order": "name"},
            "top": {"group_by": "page", "top": "7", "order": "name"},
            "upwards": {"group_by": "page", "limit": "7", "order": "value"},
            "step": {"step": "2h"},
            "none": {},
        }[shape]
        question = asked(("filter", f"{dimension}:{value}"), name=name, range=span, **more)
        equal = keys.setdefault(question_key(question), question)
        assert (equal.metric.name, equal.from_ms, equal.to_ms, *_rest(equal)) == (
            question.metric.name,
            question.from_ms,
            question.to_ms,
            *_rest(question),
        )
        assert question.group_by or equal.step_ms == question.step_ms


@pytest.mark.parametrize("other", ["c*|b|a", "a|b|c*|a", "c*|a|c*|b"])
def test_alternatives_have_no_order(other: str) -> None:
    one, same = (question_key(asked(name="page_views", filter=f"page!:{text}")) for text in ("a|b|c*", other))
    assert one == same
    assert one.endswith(":page!=a|b|c*")


def _rest(question: Question) -> tuple[Any, ...]:
    return question.filters, question.limit, question.group_by, question.selection, question.order


def test_what_it_is_compared_with_is_in_the_key() -> None:
    plain, previous, week = (
        question_key(asked(name="page_views", range="24h", **more))
        for more in ({}, {"compare": "previous"}, {"compare": "week"})
    )
    assert previous.endswith(":step=10m:earlier=1d")
    assert len({plain, previous, week}) == 3
    same = [question_key(asked(name="page_views", range="7d", compare=compare)) for compare in ("previous", "week")]
    assert same[0] == same[1]


def test_the_time_zone_is_in_the_key_but_utc_is_what_is_left_out() -> None:
    plain, utc, berlin, paris = (
        question_key(asked(name="page_views", range="24h", **more))
        for more in ({}, {"tz": "UTC"}, {"tz": "Europe/Berlin"}, {"tz": "Europe/Paris"})
    )
    assert plain == utc
    assert berlin.endswith(":step=10m:tz=Europe/Berlin")
    assert len({plain, berlin, paris}) == 3


def test_each_dimension_of_a_breakdown_is_in_its_key() -> None:
    given = [("country",), ("device",), ("country", "device"), ("device", "country"), ("country", "device", "page")]
    keys = [question_key(asked(("name", "page_views"), *(("group_by", name) for name in names))) for names in given]
    assert len(set(keys)) == len(given)
    assert keys[2].endswith(":by=country,device:top=1000")


@given(st.lists(st.text(max_size=200), min_size=2, max_size=2, unique=True))
def test_a_long_one_is_bounded_and_still_its_own(values: list[str]) -> None:
    base = "p" * 300
    one, other = (question_key(asked(name="page_views", page=base + value)) for value in values)
    assert one != other
    assert len(one) == len(other) == KEY_CHARS_MAX
    assert one.startswith("page_views:")
    assert one.isascii()
    assert one.isprintable()


def test_every_part_of_a_question_is_in_its_key() -> None:
    parts = {
        "metric",
        "from_ms",
        "to_ms",
        "step_ms",
        "group_by",
        "filters",
        "limit",
        "selection",
        "order",
        "earlier_ms",
        "zone",
    }
    assert set(Question.__struct_fields__) == parts, "question_key must tell questions with the new part apart"
    question = asked(name="page_views", range="7d", group_by="page")
    assert question.to_ms - question.from_ms == 7 * DAY_MS
    assert question_key(question) != question_key(asked(name="page_views", range="8d", group_by="page"))
