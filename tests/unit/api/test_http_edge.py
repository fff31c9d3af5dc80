"""The HTTP API at its edges, asked over a real port of a real system."""

from __future__ import annotations

import contextlib
import csv
import http.client
import io
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from running import RunningSystem, eventually, free_port

BODY_BYTES_MAX = 10 * 1024 * 1024
JSON = {"content-type": "application/json"}
EVENT = b'{"event":"edge"}'
STATES = ("starting", "ready", "stale", "degraded", "stopping")


def is_error(answer: httpx.Response, status: int, code: str) -> bool:
    """Whether the answer has the one shape of errors, and tells nothing of the inside."""
    body = answer.json()
    assert "Traceback" not in answer.text
    assert "site-packages" not in answer.text
    assert answer.headers["content-type"] == "application/json"
    assert set(body["error"]) == {"code", "message", "hint"}
    assert all(isinstance(part, str) for part in body["error"].values())
    return (answer.status_code, body["error"]["code"]) == (status, code)


def raw(system: RunningSystem, request: bytes, *, then_close: bool = False) -> tuple[int, bytes]:
    """Status and body of the answer to bytes that no client would send; (0, b"") where the connection is closed."""
    with system.connect() as connection:
        with contextlib.suppress(OSError):  # it may refuse, and close, before it has read everything
            connection.sendall(request)
            if then_close:
                with contextlib.suppress(OSError):  # the server may have closed it already
                    connection.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(connection)
        try:
            answer.begin()
            return answer.status, answer.read()
        except (http.client.BadStatusLine, ConnectionError):
            return 0, b""


def post_of(*headers: str, body: bytes = b"") -> bytes:
    head = ("POST /events HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers, "", "")
    return "\r\n".join(head).encode() + body


@pytest.mark.parametrize(
    "path", ["/nope", "/%00", "/" + "a" * 300, "/" + "a" * 5_000, "/%2e%2e/%2e%2e/etc/passwd", "/%ff", "/api/v1/nope"]
)
@pytest.mark.parametrize("prefix", ["", "/assets"])
def test_what_is_not_there_is_not_found(running_system: RunningSystem, prefix: str, path: str) -> None:
    assert is_error(running_system.get(prefix + path), 404, "not_found")


@pytest.mark.parametrize("path", ["/assets/..%2f..%2fhttp.py", "/..%2f..%2fhttp.py", "/assets/%2e%2e/%2e%2e/http.py"])
def test_files_outside_of_the_dashboard_are_not_found(running_system: RunningSystem, path: str) -> None:
    status, body = raw(running_system, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert status == 404
    assert json.loads(body)["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/events"),
        ("PUT", "/events"),
        ("DELETE", "/events"),
        ("OPTIONS", "/events"),
        ("GET", "/imports"),
        ("POST", "/metrics"),
        ("DELETE", "/metrics/names"),
        ("PUT", "/healthz"),
        ("PATCH", "/readyz"),
        ("POST", "/live"),
        ("PROPFIND", "/-/metrics"),
    ],
)
def test_another_method_is_not_allowed_and_the_right_ones_are_named(
    running_system: RunningSystem, method: str, path: str
) -> None:
    answer = running_system.client.request(method, path)
    assert is_error(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]


@pytest.mark.parametrize("path", ["/", "/events", "/metrics", "/live", "/nope", "/healthz", "/imports"])
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE"])
def test_head_and_options_get_an_answer_that_is_no_failure(
    running_system: RunningSystem, method: str, path: str
) -> None:
    answer = running_system.client.request(method, path)
    assert answer.status_code < 500
    assert method != "HEAD" or answer.content == b""


def test_a_slash_at_the_end_changes_nothing(running_system: RunningSystem) -> None:
    assert running_system.post("/events/", content=EVENT, headers=JSON).status_code == 202
    assert running_system.get("/healthz/").status_code == 200


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", JSON, 400, "empty_body"),
        (b"\n \n", JSON, 400, "empty_body"),
        (b'{"event"', JSON, 400, "malformed_body"),
        (b"[" * 100_000, JSON, 400, "malformed_body"),
        (b"{}", JSON, 400, "missing_event"),
        (b"\xff", JSON, 400, "malformed_body"),
        (EVENT, {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        (EVENT, {"content-type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
        (EVENT, {"content-type": "multipart/form-data"}, 415, "unsupported_media_type"),
        (EVENT, {}, 415, "unsupported_media_type"),
        (EVENT, {**JSON, "content-encoding": "br"}, 415, "unsupported_media_type"),
        (EVENT, {**JSON, "content-encoding": "gzip"}, 400, "malformed_body"),
        (EVENT, {**JSON, "content-encoding": "zstd"}, 400, "malformed_body"),
        (EVENT, {**JSON, "streamgauge-producer": "p"}, 400, "invalid_request"),
        (EVENT, {**JSON, "streamgauge-sequence": "1"}, 400, "invalid_request"),
        (EVENT, {**JSON, "streamgauge-producer": "a b", "streamgauge-sequence": "1"}, 400, "invalid_request"),
        (EVENT, {**JSON, "streamgauge-producer": "p", "streamgauge-sequence": "-1"}, 400, "invalid_request"),
        (b"x" * (BODY_BYTES_MAX + 1), JSON, 413, "body_too_large"),
        (b"[" + b"0," * 100_000 + b"0]", JSON, 413, "body_too_large"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_events_that_are_refused_as_a_whole_say_why(
    running_system: RunningSystem, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    assert is_error(running_system.post("/events", content=body, headers=headers), status, code)


@pytest.mark.parametrize("sequence", ["0" * 20 + "9" * 20, "0" * 5_000, "9" * 5_000, str(2**62 + 1), str(2**63)])
def test_a_number_of_a_producer_that_no_column_holds_is_refused_and_stops_nothing(
    running_system: RunningSystem, sequence: str
) -> None:
    headers = {**JSON, "streamgauge-producer": "huge", "streamgauge-sequence": sequence}
    assert is_error(running_system.post("/events", content=EVENT, headers=headers), 400, "invalid_request")
    running_system.wait_until_idle()


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b'{"producer":"p","source":"s"}', {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        (b'{"producer":"p","source":"s"}', {}, 415, "unsupported_media_type"),
        (b'{"producer":"p","source":"s"}', {"content-type": "application/x-ndjson"}, 415, "unsupported_media_type"),
        (b"", JSON, 400, "malformed_body"),
        (b"null", JSON, 400, "malformed_body"),
        (b"[" * 100_000, JSON, 400, "malformed_body"),
        (b'{"producer":"p","source":"\xff"}', JSON, 400, "malformed_body"),
        (b'{"producer":"p"}', JSON, 400, "malformed_body"),
        (b'{"producer":1,"source":"s"}', JSON, 400, "malformed_body"),
        (b'{"producer":"p","source":"s","x":1}', JSON, 400, "malformed_body"),
        (b'{"producer":"a b","source":"s"}', JSON, 400, "invalid_request"),
        (b'{"producer":"","source":"s"}', JSON, 400, "invalid_request"),
        (b'{"producer":"p","source":""}', JSON, 400, "invalid_request"),
        (b'{"producer":"p","source":"s","shift_ms":1e300}', JSON, 400, "malformed_body"),
        (b'{"producer":"p","source":"%s"}' % (b"x" * BODY_BYTES_MAX), JSON, 413, "body_too_large"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_imports_that_are_refused_say_why(
    running_system: RunningSystem, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    assert is_error(running_system.post("/imports", content=body, headers=headers), status, code)


def test_an_import_is_registered_once_and_goes_on_where_it_was(running_system: RunningSystem) -> None:
    wanted = {"producer": "once", "source": "a.log", "shift_ms": 5}
    assert running_system.post("/imports", json=wanted).json() == {**wanted, "next_sequence": 0, "created": True}
    headers = {**JSON, "streamgauge-producer": "once", "streamgauge-sequence": "7"}
    running_system.post("/events", content=b"[%s,{}]" % EVENT, headers=headers)
    running_system.wait_until_idle()
    again = running_system.post("/imports", json={**wanted, "shift_ms": 6}).json()
    assert again == {**wanted, "next_sequence": 9, "created": False}


def test_a_body_of_exactly_the_limit_is_accepted(running_system: RunningSystem) -> None:
    body = b" " * (BODY_BYTES_MAX - len(EVENT)) + EVENT
    assert running_system.post("/events", content=body, headers=JSON).status_code == 202


@pytest.mark.parametrize("parts", [20, 400])
def test_a_chunked_body_over_the_limit_is_refused_and_the_connection_closed(
    running_system: RunningSystem, parts: int
) -> None:
    body = (b" " * (BODY_BYTES_MAX // 19) for _ in range(parts))
    answer = running_system.post("/events", content=body, headers=JSON)
    assert is_error(answer, 413, "body_too_large")
    assert answer.headers["connection"] == "close"


def test_a_body_may_come_a_byte_at_a_time_while_others_are_answered(running_system: RunningSystem) -> None:
    with running_system.connect() as connection:
        connection.sendall(post_of(f"Content-Length: {len(EVENT)}"))
        for byte in EVENT:
            assert running_system.get("/healthz").status_code == 200
            connection.sendall(bytes([byte]))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 202 ")


@pytest.mark.parametrize(
    "request_",
    [
        post_of("Content-Length: 100", body=EVENT),
        post_of("Transfer-Encoding: chunked", body=b"%x\r\n%s\r\n" % (len(EVENT), EVENT)),
        post_of("Transfer-Encoding: chunked", body=b"ff\r\n" + EVENT),
        post_of("Transfer-Encoding: chunked", body=b"zz\r\n" + EVENT),
    ],
    ids=["content-length", "between chunks", "in a chunk", "not a chunk"],
)
def test_a_body_that_is_cut_off_is_not_accepted(running_system: RunningSystem, request_: bytes) -> None:
    before = running_system.self_metric("streamgauge_ingest_events_total", outcome="accepted")
    status, body = raw(running_system, request_, then_close=True)
    assert status in (0, 400)
    assert not body or json.loads(body)["error"]["code"] == "malformed_body"
    assert running_system.self_metric("streamgauge_ingest_events_total", outcome="accepted") == before


def test_what_follows_the_stated_length_is_not_part_of_the_body(running_system: RunningSystem) -> None:
    status, body = raw(running_system, post_of(f"Content-Length: {len(EVENT)}", body=EVENT + b"garbage\r\n\r\n"))
    assert (status, json.loads(body)) == (202, {"status": "accepted", "count": 1})


@pytest.mark.parametrize(
    "request_",
    [
        b"HELLO\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00" * 10,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"G\x00T / HTTP/1.1\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 600_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 300 + b"\r\n",
        post_of("Content-Length: -1"),
        post_of("Content-Length: 1", "Content-Length: 2", body=b"ab"),
        post_of("Content-Length: 99999999999999999999999", body=EVENT),
    ],
    ids=["text", "tls", "http2", "nul", "bytes in path", "huge header", "many headers", "minus", "two", "endless"],
)
def test_what_is_not_http_is_refused_and_stops_nothing(running_system: RunningSystem, request_: bytes) -> None:
    status, _ = raw(running_system, request_, then_close=True)
    assert status in (0, 400, 413, 431)
    assert running_system.get("/healthz").json() == {"status": "alive"}


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "evil@localhost", "127.0.0.1.nip.io", "", "x:80"]
)
@pytest.mark.parametrize("path", ["/healthz", "/events", "/", "/metrics?name=events", "/live", "/nope"])
def test_a_request_that_is_addressed_to_another_name_is_refused(
    running_system: RunningSystem, host: str, path: str
) -> None:
    answer = running_system.get(path, headers={"host": host})
    assert is_error(answer, 421, "misdirected_request")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:8080"])
def test_a_request_to_a_name_of_this_machine_is_answered(running_system: RunningSystem, host: str) -> None:
    assert running_system.get("/healthz", headers={"host": host}).status_code == 200


def test_no_header_lets_another_origin_read(running_system: RunningSystem) -> None:
    for path in ("/healthz", "/metrics?name=events", "/nope"):
        answer = running_system.get(path, headers={"origin": "https://evil.example"})
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_readiness_names_the_state_of_each_stage(running_system: RunningSystem) -> None:
    answer = running_system.get("/readyz")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "ready")
    assert {"ingest", "log", "stream", "store"} <= body["stages"].keys()
    assert all(stage["state"] in STATES for stage in body["stages"].values())


def test_self_metrics_are_in_prometheus_text_format(running_system: RunningSystem) -> None:
    answer = running_system.get("/-/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert {
        "streamgauge_ingest_events",
        "streamgauge_stream_lag_events",
        "streamgauge_query_seconds",
    } <= families.keys()
    assert all(family.documentation for family in families.values())


def test_self_metrics_count_errors_by_code(running_system: RunningSystem) -> None:
    before = running_system.self_metric("streamgauge_http_errors_total", code="unknown_metric")
    running_system.get("/metrics?name=nope")
    assert running_system.self_metric("streamgauge_http_errors_total", code="unknown_metric") == before + 1


def test_the_description_has_every_path_and_only_references_that_exist(running_system: RunningSystem) -> None:
    document = running_system.get("/openapi.json").json()
    assert document["openapi"].startswith("3.")
    assert {"/events", "/imports", "/metrics", "/metrics/names", "/metrics/values", "/live", "/healthz"} <= document[
        "paths"
    ].keys()
    for reference in re.findall(r'"\$ref": ?"#/([^"]+)"', json.dumps(document)):
        found: Any = document
        for part in reference.split("/"):
            found = found[part]
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    for operation in operations:
        assert operation["responses"]
        for parameter in operation.get("parameters", []):
            assert {"name", "in", "schema"} <= parameter.keys()


def test_a_listener_is_told_of_an_event_within_a_second_and_ticks_when_there_is_none(
    running_system: RunningSystem,
) -> None:
    running_system.wait_until_idle()
    with running_system.live() as told:
        name, hello = next(told)
        assert (name, set(hello)) == ("hello", {"freshness", "version"})
        assert set(hello["freshness"]) == {"complete_up_to", "lag_ms", "lag_events"}
        started_s = time.monotonic()
        running_system.send([{"event": "told", "user_id": 7, "page": "/x", "odd": "a\nb\r\ndata: c"}])
        name, update = next(each for each in told if each[0] == "update" and "told" in str(each[1]["sample"]))
        assert time.monotonic() - started_s < 1
        assert (update["events_count"], update["metrics"]) == (1, {"events": 1.0})
        (sample,) = update["sample"]
        assert (sample["event"], sample["user_id"]) == ("told", "7")
        assert sample["properties"] == {"page": "/x", "odd": "a\nb\r\ndata: c"}
        assert moment(update["from"]) <= moment(sample["timestamp"]) < moment(update["to"])
        assert {next(told)[0], next(told)[0]} == {"tick"}


def moment(text: str) -> datetime:
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


def test_a_listener_that_goes_away_is_forgotten(running_system: RunningSystem) -> None:
    with running_system.live() as told:
        next(told)
        eventually(lambda: running_system.self_metric("streamgauge_live_clients") == 1, "one listener")
    eventually(lambda: running_system.self_metric("streamgauge_live_clients") == 0, "no listener")


ODD_VALUES: list[Any] = [
    None,
    "",
    "x" * 16_384,
    "😀" * 600,
    "\x00",
    "a\nb\u2028\x85",
    '","properties":{"page":"fake"},"',
    "\\",
    '"',
    True,
    0,
    -0.0,
    1.0,
    1e300,
    5e-324,
    2**63 - 1,
    -(2**63),
    [],
    {},
    [1, None, "x", {"y": []}],
    {"page": {"page": [[[[[[[[[[[[]]]]]]]]]]]]}},
    [{"a": 1}, {"a": "x"}, {"b": None}],
]
ODD_NAMES = [
    "",
    "\x00",
    "p:page",
    "line",
    "properties",
    "measured",
    "highest",
    "log_offset",
    "rejection",
    "a.b",
    "😀",
    "$",
]


def test_whatever_is_accepted_is_counted_once(running_system: RunningSystem) -> None:
    odd_values = [{"event": "odd", "page": value, "country": value, "user_id": 1} for value in ODD_VALUES]
    odd_names = [{"event": "odd", name: value} for name in ODD_NAMES for value in (1, "x", [None], {"z": 1})]
    odd_texts = [
        {"event": "odd", "user_id": text, "anonymous_id": text, "event_id": text}
        for text in ODD_VALUES
        if isinstance(text, str) and len(text) <= 256
    ]
    odd_times = [{"event": "odd", "timestamp": ms} for ms in (0, 1, 4_102_444_739_999)]
    everything = odd_values + odd_names + odd_texts
    running_system.send(everything)
    for item in everything[:10]:
        running_system.send([item])
    numbers = {"Streamgauge-Producer": "history", "Streamgauge-Sequence": "0"}
    running_system.post("/events", json=odd_times, headers=numbers).raise_for_status()
    # What is of long ago counts where it is numbered; what is of the far future never does.
    running_system.wait_until_counted(len(everything) + 10 + 2, event="odd")


def test_whatever_is_rejected_stops_nothing(running_system: RunningSystem) -> None:
    lines = [b"\x00\x01\xff\xfe", b"{", b'"\\ud800"', b"[]", b"null", b"1" * 70_000, b"\x1b" * 70_000, b"{}" * 100]
    headers = {"content-type": "application/x-ndjson"}
    answer = running_system.post("/events", content=b"\n".join(lines), headers=headers)
    assert answer.status_code == 400
    assert answer.json()["rejected_count"] == len(lines)
    running_system.wait_until_idle()
    assert running_system.get("/readyz").status_code == 200


def test_at_most_100_rejections_are_listed(running_system: RunningSystem) -> None:
    answer = running_system.post("/events", content=b"[" + b",".join([EVENT] + [b"{}"] * 150) + b"]", headers=JSON)
    body = answer.json()
    assert (answer.status_code, body["status"], body["count"], body["rejected_count"]) == (202, "partial", 1, 150)
    assert [item["index"] for item in body["rejected"]] == list(range(1, 101))


anything = st.text(max_size=12)
times = st.one_of(
    st.sampled_from(
        ["0", "1767268800000", "2026-01-01T12:00:00Z", "2026-01-01T12:00:00+01:00", "2100-01-01T00:00:00Z"]
    ),
    st.integers(-1, 10**20).map(str),
    anything,
)
durations = st.one_of(st.sampled_from(["15m", "24h", "7d", "1m", "90s", "0s", "999999999w", "1M"]), anything)
dimensions = st.one_of(st.sampled_from(["country", "device", "page", "event", "nope"]), anything)
parameters = st.lists(
    st.one_of(
        st.tuples(st.just("name"), st.sampled_from(["events", "page_views", "nope", "'; DROP"])),
        st.tuples(st.just("range"), durations),
        st.tuples(st.just("step"), durations),
        st.tuples(st.sampled_from(["from", "to"]), times),
        st.tuples(st.just("group_by"), dimensions),
        st.tuples(st.just("filter"), st.tuples(dimensions, anything).map(":".join)),
        st.tuples(st.just("limit"), st.one_of(st.integers(-1, 10**12).map(str), anything)),
        st.tuples(dimensions, anything),
    ),
    max_size=4,
)


@settings(max_examples=300, deadline=None)
@given(parameters, st.booleans())
@example([("filter", "country!:US|D*|\\*"), ("filter", "event:*")], True)
@example([("from", "0"), ("to", "4102444800000"), ("group_by", "event"), ("compare", "previous")], True)
@example([("from", "1"), ("to", "4102444800000"), ("compare", "week"), ("step", "52w")], True)
@example([("group_by", "event"), ("group_by", "country"), ("order", "-name"), ("top", "1")], True)
@example([("from", "0"), ("to", "4102444800000"), ("group_by", "event")], True)
@example([("from", "4102444799999")], True)
@example([("from", "0"), ("to", "1"), ("step", "9w")], True)
@example([("range", "5218w")], True)
@example([("country", "\x00")], True)
@example([("country", "{x:String}%s%(a)s\\'\"`?$1@")], True)
def test_no_question_is_a_failure(running_system: RunningSystem, asked: list[tuple[str, str]], with_name: bool) -> None:
    answer = running_system.get("/metrics", params=[("name", "events"), *asked] if with_name else asked)
    if answer.status_code == 200:
        assert isinstance(answer.json(), list)
        assert moment(answer.headers["streamgauge-from"]) < moment(answer.headers["streamgauge-to"])
    else:
        assert answer.status_code == 400, answer.text
        assert is_error(answer, 400, answer.json()["error"]["code"])
        assert answer.json()["error"]["hint"]


def test_values_of_a_dimension_are_answered_with_how_many_there_are(running_system: RunningSystem) -> None:
    running_system.send([{"event": f"valued_{end}"} for end in "aab"])
    running_system.wait_until_idle()
    asked = {"name": "events", "dimension": "event", "prefix": "valued_", "limit": "1"}
    answer = running_system.get("/metrics/values", params=asked)
    assert answer.json() == [{"value": "valued_a", "count": 2.0}]
    assert answer.headers["streamgauge-values"] == "2"
    assert moment(answer.headers["streamgauge-from"]) < moment(answer.headers["streamgauge-to"])
    again = running_system.get("/metrics/values", params=asked)
    assert (again.headers["streamgauge-cache"], again.json()) == ("hit", answer.json())
    group = running_system.get("/metrics", params={"name": "events", "group_by": "event", "filter": "event:valued_*"})
    assert group.json() == [{"event": "valued_a", "value": 2.0}, {"event": "valued_b", "value": 1.0}]


@pytest.mark.parametrize("compared", [{}, {"compare": "week"}])
def test_an_answer_has_the_same_rows_in_every_format(running_system: RunningSystem, compared: dict[str, str]) -> None:
    names = ["f\"o,r'm", "f\r\nü", "f=1+1", "f"]
    running_system.send([{"event": name} for name in names])
    running_system.wait_until_idle()
    for more in ({"group_by": "event", "filter": "event:f*"}, {"event": "f"}, {"group_by": "event", "event": "none"}):
        asked = {"name": "events", "range": "1h", **compared, **more}
        rows = running_system.get("/metrics", params=asked).json()
        lines = running_system.get("/metrics", params={**asked, "format": "ndjson"})
        assert lines.headers["content-type"] == "application/x-ndjson"
        assert [json.loads(line) for line in lines.text.splitlines(keepends=False) if line] == rows
        table = running_system.get("/metrics", params={**asked, "format": "csv"})
        assert table.headers["content-type"] == "text/csv; header=present; charset=utf-8"
        assert table.headers["streamgauge-cache"] == "hit"
        head, *cells = csv.reader(io.StringIO(table.text, newline=""))
        assert head == [more.get("group_by", "timestamp"), "value", *(["compared"] if compared else [])]
        assert cells == [[str(value) for value in row.values()] for row in rows]
    assert is_error(running_system.get("/metrics?name=events&format=xml"), 400, "invalid_format")


requests = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS"]),
        "path": st.sampled_from(["/", "/events", "/imports", "/metrics", "/healthz", "/assets/x"]),
        "query": st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=12),
        "body": st.binary(max_size=40),
        "headers": st.fixed_dictionaries(
            {},
            optional={
                "content-type": st.sampled_from([*JSON.values(), "application/x-ndjson", "text/plain", ";;="]),
                "content-encoding": st.sampled_from(["gzip", "zstd", "br"]),
                "streamgauge-producer": st.sampled_from(["p", "", "a b"]),
                "streamgauge-sequence": st.integers(-1, 2**64).map(str),
            },
        ),
    }
)


@settings(max_examples=150, deadline=None)
@given(requests)
def test_no_request_is_a_failure(running_system: RunningSystem, made_up: dict[str, Any]) -> None:
    target = httpx.URL(running_system.url(made_up["path"])).copy_with(query=made_up["query"].encode())
    answer = running_system.client.request(
        made_up["method"], target, content=made_up["body"], headers=made_up["headers"]
    )
    assert answer.status_code < 500, answer.text


def streamgauge(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, which must end by itself."""
    command = [sys.executable, "-m", "streamgauge", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def assert_refused(done: subprocess.CompletedProcess[str], *says: str) -> None:
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 2, "one line says what is wrong, one what to do"
    assert all(text in done.stderr for text in says), done.stderr


def test_a_second_one_on_the_same_folder_is_refused(running_system: RunningSystem) -> None:
    done = streamgauge("up", "--data", str(running_system.data), "--port", str(free_port()))
    assert_refused(done, str(running_system.data), f"process {running_system.pid}", "--data")


def test_a_second_one_on_the_same_port_is_refused(running_system: RunningSystem, tmp_path: Path) -> None:
    done = streamgauge("up", "--data", str(tmp_path / "data"), "--port", str(running_system.port))
    assert_refused(done, f"port {running_system.port}", "--port")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104
def test_an_address_that_others_reach_is_refused(tmp_path: Path, host: str) -> None:
    assert_refused(
        streamgauge("up", "--data", str(tmp_path / "data"), "--host", host),
        host,
        "without a key",
        "trusted_network = true",
    )


def test_in_a_trusted_network_others_may_call_it_by_its_names_and_addresses_and_nobody_by_another(
    tmp_path: Path,
) -> None:
    config = 'server.host = "0.0.0.0"\nserver.trusted_network = true\nserver.names = ["ingest", "a.example"]\n'
    with RunningSystem(tmp_path / "data", config=config) as system:
        for host in ("localhost", "ingest:8080", "A.example", "10.1.2.3:8080", "10.1.2.3", "[2001:db8::1]:8080"):
            assert system.get("/healthz", headers={"host": host}).status_code == 200, host
        for host in ("evil.example", "ingest.evil.example", "10.1.2.3.evil.example", "10.1.2", "", ":80"):
            assert is_error(system.get("/healthz", headers={"host": host}), 421, "misdirected_request"), host


def test_a_file_that_can_not_be_used_is_refused_with_the_field(tmp_path: Path) -> None:
    file = tmp_path / "[/bold] [red].toml"
    file.parent.mkdir()
    file.write_text("[server]\nport = 70000")
    assert_refused(streamgauge("up", "--config", str(file)), "[/bold] [red].toml", "$.server.port")


def test_localhost_is_a_host(tmp_path: Path) -> None:
    with RunningSystem(tmp_path / "data", arguments=["--host", "localhost"]) as system:
        assert system.get("/healthz").status_code == 200


def test_a_data_folder_may_have_an_odd_name(tmp_path: Path) -> None:
    with RunningSystem(tmp_path / "100% mine, #1: ünïcode & 'more'") as system:
        system.send([{"event": "e"}])
        system.wait_until_counted(1)
        assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [system.data.name]


def test_a_data_folder_with_a_question_mark_is_refused_with_the_reason(tmp_path: Path) -> None:
    system = RunningSystem(tmp_path / "mine?")
    system.spawn()
    assert system.wait() == 1
    assert "question mark" in system.output
    assert "Traceback" not in system.output


class Load:
    """Sends batches from several threads until it is refused. Each has a name, so that it is known which arrived."""

    def __init__(self, system: RunningSystem, batch_events: int) -> None:
        self.acknowledged: set[str] = set()
        self.tried: set[str] = set()
        self._url = system.url("/events")
        self._batch_events = batch_events
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(4)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join()

    def _send(self, thread: int) -> None:
        with httpx.Client(trust_env=False, timeout=20) as client:
            for name in (f"load-{thread}-{number}" for number in range(100_000)):
                self.tried.add(name)
                try:
                    answer = client.post(self._url, json=[{"event": name}] * self._batch_events)
                except httpx.TransportError:
                    return
                if answer.status_code == 503:
                    return
                assert answer.status_code == 202, answer.text
                self.acknowledged.add(name)


@pytest.fixture
def own_system(tmp_path: Path) -> Iterator[RunningSystem]:
    with RunningSystem(tmp_path / "data") as system:
        yield system


@pytest.mark.parametrize("end", ["stop", "kill9"])
def test_every_batch_that_was_accepted_is_counted_once_after_a_restart_under_load(
    own_system: RunningSystem, end: str
) -> None:
    with Load(own_system, batch_events=7) as load:
        eventually(lambda: len(load.acknowledged) > 100, "a hundred batches are accepted")
        if end == "stop":
            assert own_system.stop() == 0, own_system.output
        else:
            own_system.kill9()
    own_system.start()
    own_system.wait_until_idle()
    rows = own_system.get("/metrics", params={"name": "events", "group_by": "event", "limit": "10000"}).json()
    counted = {row["event"]: row["value"] for row in rows}
    assert set(counted.values()) == {7.0}
    assert load.acknowledged <= counted.keys() <= load.tried
    assert "this is a bug" not in own_system.output


def test_a_listener_does_not_hold_up_the_end(own_system: RunningSystem) -> None:
    with own_system.live() as told:
        next(told)
        started_s = time.monotonic()
        own_system.signal(signal.SIGTERM)
        assert "tick" not in {name for name, _ in list(told)[3:]}
        assert own_system.wait() == 0
        assert time.monotonic() - started_s < 4
