"""Small parts: texts in the parser's words, labels, durations, numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.query.promql.durations import duration_ms
from streamgauge.query.promql.errors import PromqlSyntaxError
from streamgauge.query.promql.labels import is_label_name, labels_of, written
from streamgauge.query.promql.regex import expanded, matching
from streamgauge.query.promql.text import for_parser, is_utf8, quoted
from streamgauge.query.promql.written import general_number, metrics_number, parsed_number, written_number


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("1_000 + 0x_1F_ff", "1000 + 0x1Fff"),
        ("1_0.2_5e3", "10.25e3"),
        ("m_1 + a:1_0:b + m1_000", "m_1 + a:1_0:b + m1_000"),
        ('m{a="1_000"} # 1_000', 'm{a="1_000"} # 1_000'),
        ("m @ -5", "m @ 200000000005.0"),
        ("m @ - 1m30s", "m @ 200000000090.0"),
        ('"\\xc3\\xa9"', '"é"'),
        ("`\\xc3`", "`\\xc3`"),
        ('"\\\\xc3"', '"\\\\xc3"'),
        ('"\\x22"', '"\\u0022"'),
    ],
)
def test_what_the_parser_does_not_know_is_written_in_its_words(query: str, words: str) -> None:
    assert for_parser(query) == words


def test_a_byte_that_is_no_text_stays_recognisable() -> None:
    text = for_parser('"a\\xc5z"').strip('"')
    assert not is_utf8(text)
    assert not is_label_name(text)
    assert quoted(text) == '"a\\xc5z"'


@pytest.mark.parametrize(
    ("text", "length_ms"),
    [
        ("1h30m", 5_400_000),
        ("90s", 90_000),
        ("5", 5_000),
        ("1.5", 1_500),
        ("-1m", -60_000),
        ("10s53ms", 10_053),
        ("0", 0),
    ],
)
def test_lengths_of_time_are_read(text: str, length_ms: int) -> None:
    assert duration_ms(text) == length_ms


@pytest.mark.parametrize("text", ["", "-", "5x", "1m1h", "1.5m", "NaN", "400y"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(PromqlSyntaxError):
        duration_ms(text)


@given(st.floats())
def test_a_written_number_reads_back_as_itself(value: float) -> None:
    for write in (written_number, general_number, metrics_number):
        again = parsed_number(write(value))
        assert again is not None
        assert again == value or (math.isnan(again) and math.isnan(value))


@pytest.mark.parametrize(
    ("value", "shortest", "general", "metrics"),
    [
        (1.0, "1", "1", "1.0"),
        (0.5, "0.5", "0.5", "0.5"),
        (1_234_567.5, "1234567.5", "1.2345675e+06", "1.2345675e+06"),
        (100_000.0, "100000", "100000", "100000.0"),
        (1.5e-7, "0.00000015", "1.5e-07", "1.5e-07"),
        (-0.0, "-0", "-0", "-0.0"),
        (math.inf, "+Inf", "+Inf", "+Inf"),
        (math.nan, "NaN", "NaN", "NaN"),
    ],
)
def test_numbers_are_written_as_prometheus_does(value: float, shortest: str, general: str, metrics: str) -> None:
    assert (written_number(value), general_number(value), metrics_number(value)) == (shortest, general, metrics)


@pytest.mark.parametrize("text", ["", "x", "1_0", "0x", " 1", "1 "])
def test_what_is_no_number_is_none(text: str) -> None:
    assert parsed_number(text) is None


def test_expressions_match_whole_values_and_dots_match_line_ends() -> None:
    assert matching("a.b|c", ["a\nb", "c", "cc", "xa.b"]).tolist() == [True, True, False, False]
    assert matching(".*((?i)PRO)x", ["aprox", "aPROx", "APROX"]).tolist() == [True, True, False]


@pytest.mark.parametrize("pattern", ["(", "a(?=b)", "*"])
def test_what_is_no_expression_is_refused(pattern: str) -> None:
    with pytest.raises(PromqlSyntaxError):
        matching(pattern, ["a"])


def test_groups_are_put_into_the_template() -> None:
    assert expanded("(?P<first>.)(.*)", "$2-${first}$$", ["abc", ""]) == ["bc-a$", ""]


def test_labels_are_sorted_and_empty_ones_are_none() -> None:
    assert labels_of({"b": "2", "a": "1", "c": ""}) == (("a", "1"), ("b", "2"))
    assert written(labels_of({"b": 'say "x"', "__name__": "m"})) == '{__name__="m", b="say \\"x\\""}'
