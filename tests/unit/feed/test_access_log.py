from __future__ import annotations

import contextlib
import gzip
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.feed.access_log import AccessLog, log_time_ms
from streamgauge.feed.errors import LineError

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
REAL_LOG = Path(__file__).parents[4] / "shared" / "data" / "apache_access.log.gz"


def parsed(line: str | bytes, shift_ms: int = 0) -> dict[str, Any]:
    data = line if isinstance(line, bytes) else line.encode()
    event: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(AccessLog().parse(data, shift_ms).event))
    return event


def combined(
    request: str = "GET / HTTP/1.1", referrer: str = "-", agent: str = FIREFOX, client: str = "10.0.0.1"
) -> str:
    return f'{client} - - [17/May/2015:10:05:03 +0000] "{request}" 200 512 "{referrer}" "{agent}"\n'


def test_a_combined_line_becomes_a_request_with_all_its_fields() -> None:
    line = combined("GET /shop/tent?colour=red HTTP/1.1", "https://example.org/")
    assert parsed(line) == {
        "event": "request",
        "timestamp": 1_431_857_103_000,
        "user_id": "10.0.0.1",
        "bytes": 512,
        "status": 200,
        "method": "GET",
        "page": "/shop/tent",
        "referrer": "https://example.org/",
        "device": "desktop",
    }


def test_a_common_line_has_neither_referrer_nor_device() -> None:
    event = parsed('10.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326')
    assert event == {
        "event": "request",
        "timestamp": 971_211_336_000,
        "user_id": "10.0.0.1",
        "bytes": 2326,
        "status": 200,
        "method": "GET",
        "page": "/apache_pb.gif",
    }


def test_a_dash_for_the_size_is_no_bytes_and_for_anything_else_no_field() -> None:
    event = parsed('10.0.0.1 - - [17/May/2015:10:05:03 +0000] "-" 408 - "-" "-"')
    assert event["bytes"] == 0
    assert not {"method", "page", "request", "referrer"} & event.keys()
    assert event["device"] == "other"


@pytest.mark.parametrize("client", ["2001:db8::8a2e:370:7334", "::1", "::ffff:10.0.0.1", "crawl.example.com"])
def test_a_client_is_an_address_of_any_family_or_a_name(client: str) -> None:
    assert parsed(combined(client=client))["user_id"] == client


@pytest.mark.parametrize(
    ("target", "page"),
    [
        ("/", "/"),
        ("/?q=a", "/"),
        ("//twice//", "//twice//"),
        ("/a%20b", "/a%20b"),
        ("/a b", "/a b"),
        ("/with#fragment", "/with"),
        ("/login?next=http://elsewhere.example/", "/login"),
        ("http://example.org/a/b?c", "/a/b"),
        ("http://example.org", "/"),
        ("https://example.org?x", "/"),
        ("*", "*"),
        ("example.org:443", "example.org:443"),
        ("?only=query", "/"),
    ],
)
def test_a_page_is_the_path_of_the_target(target: str, page: str) -> None:
    assert parsed(combined(f"GET {target} HTTP/1.1"))["page"] == page


def test_http_0_9_has_no_version() -> None:
    event = parsed(combined("GET /old"))
    assert (event["method"], event["page"]) == ("GET", "/old")


@pytest.mark.parametrize("request_line", [r"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "hello", "get / HTTP/1.1"])
def test_what_is_not_http_is_kept_as_it_came(request_line: str) -> None:
    event = parsed(combined(request_line))
    assert "request" in event
    assert not {"method", "page"} & event.keys()


def test_raw_tls_bytes_are_a_request_too() -> None:
    line = b'10.0.0.1 - - [17/May/2015:10:05:03 +0000] "\x16\x03\x01\xfc\x03" 400 226 "-" "-"\n'
    assert parsed(line)["request"] == "\x16\x03\x01ü\x03"


def test_escaped_quotes_and_backslashes_belong_to_the_field() -> None:
    event = parsed(combined(referrer=r"https://example.org/?q=\"a\\b\"", agent=r"say \"curl/8\""))
    assert event["referrer"] == 'https://example.org/?q="a\\b"'
    assert event["device"] == "bot"


def test_escaped_bytes_are_decoded_as_the_utf_8_they_were() -> None:
    assert parsed(combined(r"GET /caf\xc3\xa9 HTTP/1.1"))["page"] == "/café"
    assert parsed(combined(r"GET /caf\xe9 HTTP/1.1"))["page"] == "/café"


def test_undecodable_bytes_are_read_as_latin_1() -> None:
    assert parsed(combined("GET /caf\xe9 HTTP/1.1").encode("latin-1"))["page"] == "/café"


def test_a_last_field_that_was_cut_off_is_what_is_left_of_it() -> None:
    assert parsed(combined(agent="Mozilla/5.0 (compatible; Googlebot/2.1")[:-2])["device"] == "bot"


def test_fields_after_the_user_agent_are_ignored() -> None:
    assert parsed(combined().rstrip() + ' "10.9.8.7" 0.002\n')["device"] == "desktop"


@pytest.mark.parametrize("user", ["-", "frank", "frank sinatra", '""', "a[b]"])
def test_a_user_may_be_any_text(user: str) -> None:
    assert parsed(combined().replace("- - [", f"- {user} [", 1))["user_id"] == "10.0.0.1"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "garbage",
        '10.0.0.1 - - "GET / HTTP/1.1" 200 5',
        '10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1"',
        '10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" OK 5',
        "10.0.0.1 - - [17/May/2015:10:05:03 +0000] GET / HTTP/1.1 200 5",
    ],
)
def test_a_line_of_another_form_says_so(line: str) -> None:
    with pytest.raises(LineError) as caught:
        parsed(line)
    assert caught.value.code == "not_a_log_line"


@pytest.mark.parametrize("time", ["17/Mai/2015:10:05:03 +0000", "2015-05-17T10:05:03Z", "31/Feb/2015:10:05:03 +0000"])
def test_a_time_that_does_not_exist_says_so(time: str) -> None:
    with pytest.raises(LineError) as caught:
        log_time_ms(time)
    assert caught.value.code == "invalid_time"


@pytest.mark.parametrize(
    "time", ["17/May/2015:12:05:03 +0200", "17/May/2015:04:35:03 -0530", "17/May/2015:10:05:03 +0000"]
)
def test_a_time_counts_with_its_zone(time: str) -> None:
    assert log_time_ms(time) == 1_431_857_103_000


def test_a_leap_second_is_the_second_after_it() -> None:
    assert log_time_ms("31/Dec/2016:23:59:60 +0000") == log_time_ms("01/Jan/2017:00:00:00 +0000")


def test_a_shift_moves_the_event_and_the_time_that_is_told() -> None:
    assert parsed(combined(), shift_ms=1_000)["timestamp"] == 1_431_857_104_000
    assert AccessLog().parse(combined().encode(), 1_000).time_ms == 1_431_857_104_000


@given(st.binary(max_size=300))
def test_any_bytes_are_an_event_or_a_line_error(data: bytes) -> None:
    with contextlib.suppress(LineError):
        msgspec.json.encode(AccessLog().parse(data, 0).event)


@given(st.text(st.characters(codec="utf-8", exclude_characters='"\\\r\n'), max_size=60))
def test_any_text_without_quotes_comes_through_a_referrer(text: str) -> None:
    event = parsed(combined(referrer=text))
    assert event.get("referrer") == (None if text in ("", "-") else text)


@pytest.mark.parametrize("piece", ["[", "[x] ", '[x] "', '[x] "a', '"', "\\", '\\\\"', "a ", " ["])
def test_no_line_takes_long_to_be_refused(piece: str) -> None:
    line = ("a b c " + piece * 65_536)[:65_536].encode()
    started_s = perf_counter()
    with pytest.raises(LineError):
        AccessLog().parse(line, 0)
    assert perf_counter() - started_s < 1


@pytest.mark.skipif(not REAL_LOG.exists(), reason="the sample log is not here")
def test_every_line_of_a_real_log_is_counted() -> None:
    with gzip.open(REAL_LOG) as file:
        events = [AccessLog().parse(line, 0).event for line in file]
    statuses = Counter(event.status for event in events)  # type: ignore[attr-defined]
    assert len(events) == 10_000
    assert (statuses[200], statuses[404]) == (9126, 213)
