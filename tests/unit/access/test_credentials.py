"""What a request says of who sends it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.access.credentials import Credentials, credentials_of, credentials_of_body

GIVEN = "sgw_abc"


def basic(text: str) -> bytes:
    return b"Basic " + base64.b64encode(text.encode())


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        ({}, b"", Credentials()),
        ({b"authorization": b"Bearer sgw_abc"}, b"", Credentials(secret=GIVEN)),
        ({b"authorization": b"bearer   sgw_abc "}, b"", Credentials(secret=GIVEN)),
        ({b"authorization": basic("sgw_abc:")}, b"", Credentials(secret=GIVEN)),
        ({b"authorization": basic("sgw_abc:password")}, b"", Credentials(secret=GIVEN)),
        ({b"authorization": basic("sgw_abc")}, b"", Credentials(secret=GIVEN)),
        ({}, b"a=b&write_key=sgw%5Fabc&c", Credentials(write_key=GIVEN)),
        ({}, b"write_key=", Credentials()),
        ({b"cookie": b"a=b; streamgauge_session=t0k; c=d"}, b"", Credentials(session="t0k")),
        ({b"cookie": b"xstreamgauge_session=t0k"}, b"", Credentials()),
        # Who says it in a header means that.
        (
            {b"authorization": b"Bearer sgw_abc", b"cookie": b"streamgauge_session=t"},
            b"write_key=q",
            Credentials(GIVEN),
        ),
        ({b"cookie": b"streamgauge_session=t"}, b"write_key=q", Credentials(write_key="q")),
    ],
)
def test_a_key_is_taken_from_where_clients_put_it(
    headers: dict[bytes, bytes], query: bytes, expected: Credentials
) -> None:
    assert credentials_of(headers, query) == expected


@pytest.mark.parametrize(
    "value", [b"", b"Bearer", b"Bearer ", b"Basic", b"Basic !!", b"Digest x", b"Bearer " + b"x" * 2_000, basic(":x")]
)
def test_an_authorization_that_is_none_is_not_the_same_as_no_authorization(value: bytes) -> None:
    """Else whoever misspells a key would be taken for someone who needs none."""
    found = credentials_of({b"authorization": value})
    assert found.secret
    assert not found.secret.startswith("sg")


@pytest.mark.parametrize(("said", "expected"), [("k", "k"), (None, ""), (5, ""), (["k"], ""), ({"k": 1}, "")])
def test_the_write_key_of_a_body_is_one_only_where_it_is_a_text(said: object, expected: str) -> None:
    assert credentials_of_body(said) == Credentials(write_key=expected)


@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_are_credentials_or_none(authorization: bytes, cookie: bytes, query: bytes) -> None:
    credentials_of({b"authorization": authorization, b"cookie": cookie}, query)
    credentials_of({b"cookie": cookie}, query)


def test_credentials_do_not_show_themselves() -> None:
    assert GIVEN not in f"{Credentials(GIVEN, GIVEN, GIVEN)!r}{Credentials(GIVEN)}"
