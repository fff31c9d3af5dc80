from __future__ import annotations

import csv
import io
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.api.formats import format_of, formatted
from streamgauge.core.errors import InvalidRequest

ROWS = st.lists(
    st.fixed_dictionaries({"page": st.text(), "value": st.none() | st.floats(allow_nan=False, allow_infinity=False)})
)


@given(ROWS)
def test_any_rows_come_back_from_every_format(rows: list[dict[str, Any]]) -> None:
    encoded = {
        name: formatted(msgspec.json.encode(rows), ["page", "value"], name)[0] for name in ("json", "csv", "ndjson")
    }
    assert json.loads(encoded["json"]) == rows
    assert [json.loads(line) for line in encoded["ndjson"].split(b"\n") if line] == rows
    head, *cells = csv.reader(io.StringIO(encoded["csv"].decode(), newline=""))
    assert head == ["page", "value"]
    assert [(page, float(value) if value else None) for page, value in cells] == [
        (row["page"], row["value"]) for row in rows
    ]


def test_lines_of_csv_end_as_rfc_4180_has_it_and_null_is_nothing() -> None:
    body, media_type = formatted(b'[{"page":"a,\\"b","value":1.0},{"page":"","value":null}]', ["page", "value"], "csv")
    assert body == b'page,value\r\n"a,""b",1.0\r\n,\r\n'
    assert media_type == "text/csv; header=present"


def test_without_rows_csv_still_names_its_columns() -> None:
    assert formatted(b"[]", ["country", "device", "value"], "csv")[0] == b"country,device,value\r\n"
    assert formatted(b"[]", ["country"], "ndjson")[0] == b""


@pytest.mark.parametrize("text", ["", "CSV", "xml"])
def test_a_format_that_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        format_of([("format", text)])
    assert (refused.value.code, refused.value.hint) == ("invalid_format", "one of json, csv, ndjson")
