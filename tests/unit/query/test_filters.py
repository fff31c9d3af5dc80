from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.core.errors import InvalidRequest
from streamgauge.query.filters import FILTER_ALTERNATIVES_MAX, Filter, check_filters, exactly, parse_filter


@pytest.mark.parametrize(
    ("text", "values", "prefixes"),
    [
        ("US", ("US",), ()),
        ("US|DE", ("DE", "US"), ()),
        ("US|US", ("US",), ()),
        ("/shop/*", (), ("/shop/",)),
        ("b*|a|*|c*", ("a",), ("", "b", "c")),
        ("", ("(unknown)",), ()),
        ("US|", ("(unknown)", "US"), ()),
        ("|", ("(unknown)",), ()),
        (r"a\|b", ("a|b",), ()),
        (r"a\*", ("a*",), ()),
        (r"a\**", (), ("a*",)),
        (r"a\\", ("a\\",), ()),
        (r"a\\*", (), ("a\\",)),
        (r"a\\|b", ("a\\", "b"), ()),
        (r"C:\dir", (r"C:\dir",), ()),
        ("\\", ("\\",), ()),
        ("a:b!=c", ("a:b!=c",), ()),
    ],
)
@pytest.mark.parametrize("sign", ["", "!"])
def test_a_filter_is_read(sign: str, text: str, values: tuple[str, ...], prefixes: tuple[str, ...]) -> None:
    assert parse_filter(f"page{sign}:{text}") == Filter("page", values, prefixes, is_negated=sign == "!")


@given(st.lists(st.tuples(st.text(st.sampled_from("\\|*a:!")), st.booleans()), min_size=1))
def test_any_text_can_be_written_with_backslashes(alternatives: list[tuple[str, bool]]) -> None:
    written = [re.sub(r"[\\|*]", r"\\\g<0>", text) + "*" * is_prefix for text, is_prefix in alternatives]
    found = parse_filter(f"page:{'|'.join(written)}")
    assert set(found.values) == {text or "(unknown)" for text, is_prefix in alternatives if not is_prefix}
    assert set(found.prefixes) == {text for text, is_prefix in alternatives if is_prefix}


@pytest.mark.parametrize("pattern", ["a*b", "**", "*/cart", r"a*\*", "US|a*b|DE"])
def test_a_star_that_is_not_at_the_end_is_refused_and_told_how_to_write_it(pattern: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_filter(f"page:{pattern}")
    assert refused.value.code == "invalid_filter"
    assert r"\*" in refused.value.hint


@pytest.mark.parametrize("value", ["a|b", "a*", "*", "\\", "a\\|b", "!x"])
def test_all_of_the_text_of_the_short_form_is_the_value(value: str) -> None:
    assert exactly("page", value) == Filter("page", (value,))


def test_alternatives_of_all_filters_together_are_bounded() -> None:
    most = "|".join(f"{number}*" for number in range(FILTER_ALTERNATIVES_MAX))
    check_filters((parse_filter(f"page:{most}"),))
    with pytest.raises(InvalidRequest) as refused:
        check_filters((parse_filter(f"page:{most}"), exactly("country", "US")))
    assert refused.value.code == "too_many_alternatives"
