from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.feed.errors import FeedError, LineError
from streamgauge.feed.source import Line
from streamgauge.feed.tabular import Columns, Tabular, number_of, time_of

NOON_MS = 1_767_268_800_000
PLAIN = Columns({}, event="row")


def lines_of(text: str) -> Iterator[Line]:
    return (Line(number, data) for number, data in enumerate(text.encode().splitlines(keepends=True), 1))


def events(text: str, columns: Columns = PLAIN, shift_ms: int = 0) -> list[Any]:
    table = Tabular(columns)
    return [table.parse(record.data, shift_ms).event for record in table.records(lines_of(text)) if record.data.strip()]


def test_columns_become_fields_under_their_own_names() -> None:
    text = "event,user_id,timestamp,plan\nsignup,u1,2026-01-01T12:00:00Z,free\n"
    assert events(text, Columns({})) == [{"event": "signup", "user_id": "u1", "timestamp": NOON_MS, "plan": "free"}]


def test_mapped_columns_become_fields_under_the_mapped_names() -> None:
    text = "kind,who,at\nsignup,u1,1767268800\n"
    columns = Columns({"event": "kind", "user_id": "who", "timestamp": "at"})
    assert events(text, columns) == [{"event": "signup", "user_id": "u1", "timestamp": NOON_MS}]


def test_the_name_of_events_is_for_those_without_one() -> None:
    assert events("event,n\na,1\n,2\n") == [{"event": "a", "n": "1"}, {"event": "row", "n": "2"}]


def test_digits_are_text_unless_their_column_is_one_of_numbers() -> None:
    columns = Columns({}, event="row", numbers=frozenset({"price"}))
    assert events("zip,price\n01234,12.50\n", columns) == [{"event": "row", "zip": "01234", "price": 12.5}]


def test_empty_cells_are_left_out() -> None:
    assert events("a,b\n,1\n") == [{"event": "row", "b": "1"}]


def test_a_quoted_cell_may_have_delimiters_quotes_and_line_feeds() -> None:
    text = 'a,b\n"one, ""two""\nthree",4\n5,6\n'
    assert events(text) == [{"event": "row", "a": 'one, "two"\nthree', "b": "4"}, {"event": "row", "a": "5", "b": "6"}]


def test_a_quote_within_a_cell_does_not_open_anything() -> None:
    assert events('a,b\n5" pipe,1\nx,2\n')[0] == {"event": "row", "a": '5" pipe', "b": "1"}


def test_a_quote_that_is_never_closed_takes_no_more_than_the_longest_line() -> None:
    text = 'a,b\n"open,1\n' + "x,2\n" * 40_000
    table = Tabular(PLAIN)
    records = list(table.records(lines_of(text)))
    assert records[0].too_long
    assert len(records[0].data) < 70_000
    assert not records[1].too_long


def test_another_delimiter_may_be_chosen() -> None:
    assert events("a\tb\n1,5\t2\n", Columns({}, "row", delimiter="\t")) == [{"event": "row", "a": "1,5", "b": "2"}]


def test_a_mapped_column_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(FeedError) as caught:
        events("when,who\n", Columns({"timestamp": "time"}, "row"))
    assert "'time'" in caught.value.message
    assert caught.value.hint == "the columns are: when, who"


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", PLAIN),
        ("\n\n", PLAIN),
        ("a,a\n", PLAIN),
        ("a,,b\n", PLAIN),
        ("a,b\n", Columns({})),
        ("a,b\n", Columns({}, "row", numbers=frozenset({"c"}))),
        ("timestamp,ts\n", Columns({"timestamp": "ts"}, "row")),
        ('"a" b,c\n', PLAIN),
    ],
)
def test_a_header_that_does_not_fit_stops_the_import(text: str, columns: Columns) -> None:
    with pytest.raises(FeedError):
        events(text, columns)


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n"])
def test_a_delimiter_is_one_character_that_can_be_one(delimiter: str) -> None:
    with pytest.raises(FeedError):
        Tabular(Columns({}, "row", delimiter=delimiter))


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("2026-01-01,1,2", "wrong_number_of_cells"),
        ("2026-01-01", "wrong_number_of_cells"),
        ("2026-01-01,much", "not_a_number"),
        ("2026-01-01,nan", "not_a_number"),
        ("2026-01-01,inf", "not_a_number"),
        ("yesterday,1", "invalid_time"),
        (",1", "invalid_time"),
        ('2026-01-01,"1"2', "malformed"),
    ],
)
def test_a_row_that_does_not_fit_says_why(row: str, code: str) -> None:
    with pytest.raises(LineError) as caught:
        events(f"timestamp,n\n{row}\n", Columns({}, "row", numbers=frozenset({"n"})))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T12:00:00Z",
        "2026-01-01T13:00:00+01:00",
        "2026-01-01 12:00:00",
        "2026-01-01T12:00:00.000",
        "1767268800",
        "1767268800.0",
        "1767268800000",
    ],
)
def test_a_time_may_be_iso_8601_seconds_or_milliseconds(text: str) -> None:
    assert time_of(text) == NOON_MS


def test_a_shift_moves_timestamps() -> None:
    assert events("timestamp\n1767268800\n", shift_ms=5)[0]["timestamp"] == NOON_MS + 5


def test_other_options_are_another_import() -> None:
    identities = {
        Tabular(columns).identity
        for columns in (
            PLAIN,
            Columns({}, "other"),
            Columns({"user_id": "a"}, "row"),
            Columns({}, "row", frozenset({"a"})),
            Columns({}, "row", delimiter=";"),
        )
    }
    assert len(identities) == 5
    assert (
        Tabular(Columns({"a": "1", "b": "2"}, "row")).identity == Tabular(Columns({"b": "2", "a": "1"}, "row")).identity
    )


@given(st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_as_it_is_written(value: float) -> None:
    assert number_of(repr(value), "n") == value


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\0\x85\x1c\x1d\x1e\x0b\x0c\u2028\u2029"), min_size=1)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=5))
def test_what_a_csv_writer_wrote_is_read_back(rows: list[tuple[str, str]]) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b"), *rows])
    assert events(out.getvalue()) == [{"event": "row", "a": a, "b": b} for a, b in rows]
