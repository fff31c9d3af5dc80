"""Matchers as Alertmanager writes them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.core.matchers import Matcher, match_all, parse_matchers
from streamgauge.query.promql import regex

LABELS = {"severity": "page", "country": "US", "team": "web\nshop"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ('severity="page"', True),
        ("severity=page", True),
        ("  severity = page  ", True),
        ('{severity="page",country="US"}', True),
        ('severity="page", country!="US"', False),
        ("severity!=ticket", True),
        ("severity=~pa", False),  # the whole value
        ("severity=~pa.*", True),
        ('severity!~"pa.*|ticket"', False),
        ('country=~"US|DE",', True),
        ('team=~"web.shop"', True),  # . is every character
        ('team="web\\nshop"', True),
        ('missing=""', True),
        ('missing!=""', False),
        ('missing=~".*"', True),
        ('missing=~".+"', False),
        ('"severity"="page"', True),
        ("severity=", False),
    ],
)
def test_labels_match_as_the_operator_says(text: str, matches: bool) -> None:
    assert match_all(parse_matchers(text), LABELS) is matches


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "severity",
        '="page"',
        "severity==page",
        '{severity="page"',
        'a="b" c="d"',
        'a="b',
        "a=b c",
        "1a=b",
        "a=b,,c=d",
    ],
)
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"matcher|brace|left over"):
        parse_matchers(text)


@pytest.mark.parametrize("pattern", ["(", "*a", "(?=x)", "\\1"])
def test_a_pattern_that_is_no_regular_expression_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="regular expression"):
        Matcher("a", "=~", pattern)


@given(
    st.lists(
        st.builds(Matcher, st.from_regex(r"[a-z_]{1,5}", fullmatch=True), st.sampled_from(["=", "!="]), st.text()),
        min_size=1,
        max_size=5,
    )
)
def test_what_is_written_is_read_again(matchers: list[Matcher]) -> None:
    assert list(parse_matchers(",".join(map(str, matchers)))) == matchers


@settings(deadline=None)  # the first match loads the engine
@given(st.sampled_from(["a|b", "a.*", ".+", "(?i)ab", "[^a]", "a{2,3}", ""]), st.text("abAB\n", max_size=4))
def test_patterns_match_what_they_match_in_promql(pattern: str, value: str) -> None:
    assert Matcher("x", "=~", pattern).matches({"x": value}) == bool(regex.matching(pattern, [value])[0])
