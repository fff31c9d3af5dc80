"""Prometheus' HTTP API as its clients use it, over a real port of a real system."""

from __future__ import annotations

import json
import math
import re
import socket
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from running import RunningSystem, eventually
from streamgauge.model import HOUR_MS, MINUTE_MS

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards" / "streamgauge.json"
CONFIG = "[stream]\nwatermark_delay_ms = 0\nidle_partition_ms = 100\n"
NOW_MS = time.time_ns() // 1_000_000
MINUTE_AGO_MS = NOW_MS // MINUTE_MS * MINUTE_MS - MINUTE_MS
"""A minute that is over when the system starts; the events are in the 30 before it."""
MINUTES = 30


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with RunningSystem(tmp_path_factory.mktemp("prometheus") / "data", config=CONFIG) as running:
        running.send([view(minute, number) for minute in range(MINUTES) for number in range(minute % 4)])
        running.wait_until_idle()
        eventually(lambda: complete_up_to_s(running) * 1000 >= MINUTE_AGO_MS, "the watermark has passed")
        yield running
        assert running.stop() == 0, running.output
        assert not any(bad in running.output for bad in (" ERROR ", "Traceback")), running.output


def view(minute: int, number: int) -> dict[str, Any]:
    country, device = ("US", "DE", "FR")[number], ("mobile", "desktop")[minute % 2]
    at_ms = MINUTE_AGO_MS - (minute + 1) * MINUTE_MS + number * 1_000
    return {"event": "page_view", "timestamp": at_ms, "country": country, "device": device, "page": f"/{minute % 3}"}


def complete_up_to_s(running: RunningSystem) -> float:
    return running.self_metric("streamgauge_stream_complete_up_to_seconds")


def ask(system: RunningSystem, endpoint: str, **parameters: Any) -> Any:
    answer = system.get(f"/api/v1/{endpoint}", params=parameters)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "success"
    return answer.json()["data"]


def refused(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["status"] == "error"
    assert body["error"]
    return answer.status_code, body["errorType"]


def test_what_was_sent_is_what_a_range_sums_up_to(system: RunningSystem) -> None:
    parameters = {"query": "sum(page_views)", "start": (NOW_MS - HOUR_MS) / 1000, "end": MINUTE_AGO_MS / 1000}
    (series,) = ask(system, "query_range", step="1m", **parameters)["result"]
    assert series["metric"] == {}
    assert sum(float(value) for _, value in series["values"]) == sum(minute % 4 for minute in range(MINUTES))
    by_country = ask(system, "query", query="sum by (country) (sum_over_time(page_views[1h]))")["result"]
    assert {one["metric"]["country"]: one["value"][1] for one in by_country} == {"US": "22", "DE": "14", "FR": "7"}


def test_a_pane_is_a_sample_at_its_end_and_one_without_events_is_zero(system: RunningSystem) -> None:
    (series,) = ask(system, "query", query='page_views{country="US",device="desktop",page="/1"}[1h]')["result"]
    samples = {round(at_s * 1000): value for at_s, value in series["values"]}
    minutes = [minute for minute in range(MINUTES) if minute % 4 and minute % 2 == 1 and minute % 3 == 1]
    ends = {MINUTE_AGO_MS - minute * MINUTE_MS for minute in minutes}
    assert {at_ms for at_ms, value in samples.items() if value != "0"} == ends
    assert min(samples) == min(ends)
    assert max(samples) >= MINUTE_AGO_MS
    assert sorted(samples) == list(range(min(samples), max(samples) + 1, MINUTE_MS))


def test_no_sample_is_newer_than_the_answer_says_is_complete(system: RunningSystem) -> None:
    answer = system.get("/api/v1/query", params={"query": "timestamp(page_views)", "time": NOW_MS / 1000 + 90})
    complete_s = datetime.fromisoformat(answer.headers["streamgauge-complete-up-to"]).timestamp()
    newest = [float(one["value"][1]) for one in answer.json()["data"]["result"]]
    assert newest
    assert max(newest) <= complete_s
    assert int(answer.headers["streamgauge-lag-ms"]) >= 0


@pytest.mark.parametrize(
    ("query", "kind", "result"),
    [
        ("1 + 1", "scalar", "2"),
        ("1 / 0", "scalar", "+Inf"),
        ("-1 / 0", "scalar", "-Inf"),
        ("0 / 0", "scalar", "NaN"),
        ("1e-7", "scalar", "1e-7"),
        ("1e21", "scalar", "1e+21"),
        ("0.1 + 0.2", "scalar", "0.30000000000000004"),
        ("123456789012", "scalar", "123456789012"),
        ("-0", "scalar", "-0"),
        ("'text'", "string", "text"),
    ],
)
def test_numbers_and_texts_are_written_as_prometheus_does(
    system: RunningSystem, query: str, kind: str, result: str
) -> None:
    data = ask(system, "query", query=query, time="1700000000.5")
    assert data == {"resultType": kind, "result": [1700000000.5, result]}


@pytest.mark.parametrize("moment", ["1700000000", "2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00", "1.7e9"])
def test_times_are_seconds_or_rfc_3339(system: RunningSystem, moment: str) -> None:
    assert ask(system, "query", query="time()", time=moment)["result"] == [1_700_000_000, "1700000000"]


def test_a_form_is_as_good_as_a_query_string(system: RunningSystem) -> None:
    for endpoint, form in {
        "query": {"query": "vector(3)", "time": "5"},
        "query_range": {"query": "vector(3)", "start": "0", "end": "60", "step": "30s"},
        "series": {"match[]": '{__name__=~"page_.*"}'},
        "labels": {"match[]": "page_views"},
        "format_query": {"query": "sum(a)by(b)"},
    }.items():
        posted = system.post(f"/api/v1/{endpoint}", data=form)
        assert posted.status_code == 200, posted.text
        assert posted.json() == system.get(f"/api/v1/{endpoint}", params=form).json()


@pytest.mark.parametrize(
    ("endpoint", "parameters", "status", "kind"),
    [
        ("query", {}, 400, "bad_data"),
        ("query", {"query": "sum("}, 400, "bad_data"),
        ("query", {"query": "1", "time": "yesterday"}, 400, "bad_data"),
        ("query", {"query": "1", "timeout": "0"}, 400, "bad_data"),
        ("query", {"query": "1", "limit": "-1"}, 400, "bad_data"),
        ("query", {"query": "page_views + on (country) page_views"}, 422, "execution"),
        ("query", {"query": "sum_over_time(vector(1)[900d:1s])"}, 422, "execution"),
        ("query", {"query": "quantile_over_time(0.5, rand[1h])", "timeout": "x"}, 400, "bad_data"),
        ("query_range", {"query": "1", "start": "0", "end": "11001", "step": "1"}, 400, "bad_data"),
        ("query_range", {"query": "1", "start": "0", "end": "1", "step": "0"}, 400, "bad_data"),
        ("query_range", {"query": "1", "start": "1", "end": "0", "step": "1"}, 400, "bad_data"),
        ("query_range", {"query": "1", "start": "NaN", "end": "0", "step": "1"}, 400, "bad_data"),
        ("series", {}, 400, "bad_data"),
        ("series", {"match[]": "rate(a[5m])"}, 400, "bad_data"),
        ("labels", {"start": "2", "end": "1"}, 400, "bad_data"),
        ("query_exemplars", {"query": "("}, 400, "bad_data"),
        ("format_query", {"query": "("}, 400, "bad_data"),
    ],
)
def test_errors_have_prometheus_types(
    system: RunningSystem, endpoint: str, parameters: dict[str, str], status: int, kind: str
) -> None:
    assert refused(system.get(f"/api/v1/{endpoint}", params=parameters)) == (status, kind)


HEAVY = "quantile_over_time(0.5, vector(1)[50000s:1s])"
"""At 11,000 steps: half a thousand million samples, some seconds."""
HEAVY_SPAN = {"query": HEAVY, "start": "0", "end": "11000", "step": "1"}


def test_a_question_that_takes_too_long_is_a_timeout(system: RunningSystem) -> None:
    began_s = time.monotonic()
    assert refused(system.get("/api/v1/query_range", params={**HEAVY_SPAN, "timeout": "300ms"})) == (503, "timeout")
    assert time.monotonic() - began_s < 3


def test_a_question_is_given_up_when_its_client_goes_away(system: RunningSystem) -> None:
    def canceled() -> float:
        return system.self_metric("streamgauge_http_errors_total", code="canceled")

    before = canceled()
    path = str(httpx.URL("/api/v1/query_range", params=HEAVY_SPAN))
    with system.connect() as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        connection.settimeout(0.2)
        with pytest.raises(socket.timeout):
            connection.recv(1)
    eventually(lambda: canceled() == before + 1, "the question was given up", 4)


def test_a_limit_truncates_with_a_warning(system: RunningSystem) -> None:
    answer = system.get(
        "/api/v1/query", params={"query": "page_views", "time": MINUTE_AGO_MS / 1000, "limit": "2"}
    ).json()
    assert len(answer["data"]["result"]) == 2
    assert answer["warnings"] == ["results truncated due to limit"]
    labels = system.get("/api/v1/labels", params={"limit": "1"}).json()
    assert (len(labels["data"]), labels["warnings"]) == (1, ["results truncated due to limit"])


def test_infos_and_warnings_are_told(system: RunningSystem) -> None:
    answer = system.get("/api/v1/query", params={"query": "rate(page_views[5m])", "time": MINUTE_AGO_MS / 1000}).json()
    assert any("might not be a counter" in info for info in answer["infos"])
    warned = system.get("/api/v1/query", params={"query": "quantile(2, page_views)", "time": MINUTE_AGO_MS / 1000})
    assert "quantile value should be between 0 and 1" in warned.json()["warnings"][0]


def test_labels_values_and_series_are_found(system: RunningSystem) -> None:
    assert {"__name__", "country", "device", "page", "event"} <= set(ask(system, "labels"))
    assert ask(system, "labels", **{"match[]": "page_views"}) == ["__name__", "country", "device", "page"]
    assert ask(system, "label/country/values") == ["DE", "FR", "US"]
    assert ask(system, "label/country/values", **{"match[]": 'page_views{country!="DE"}'}) == ["FR", "US"]
    assert ask(system, "label/country/values", start="0", end="60") == []
    names = ask(system, "label/__name__/values")
    assert {"page_views", "events", "requests", "sessions", "streamgauge_stream_events_total"} <= set(names)
    series = ask(system, "series", **{"match[]": ['page_views{country="FR"}', 'events{country="FR"}']})
    assert {one["__name__"] for one in series} == {"page_views", "events"}
    assert {one["country"] for one in series} == {"FR"}


def test_metadata_tells_what_metrics_are(system: RunningSystem) -> None:
    found = ask(system, "metadata")
    assert found["page_views"][0]["type"] == "gauge"
    assert found["streamgauge_stream_events_total"][0]["type"] == "counter"
    assert list(ask(system, "metadata", metric="sessions")) == ["sessions"]


def test_what_grafana_asks_beside_is_answered(system: RunningSystem) -> None:
    assert [group["name"] for group in ask(system, "rules")["groups"]] == ["streamgauge"]
    assert ask(system, "alerts") == {"alerts": []}
    assert ask(system, "query_exemplars", query="page_views") == []
    assert ask(system, "format_query", query="sum(a)by(b)/c") == "sum by (b) (a) / c"
    build = ask(system, "status/buildinfo")
    assert build["version"].startswith("3.")
    assert "features" not in build


def test_self_metrics_have_a_past(system: RunningSystem) -> None:
    (series,) = ask(system, "query", query="streamgauge_stream_events_total[5m]")["result"]
    assert len(series["values"]) >= 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["query", "query_range", "series", "labels", "label/a/values", "metadata", "format_query"]),
    st.dictionaries(
        st.sampled_from(["query", "time", "start", "end", "step", "timeout", "limit", "match[]", "lookback_delta"]),
        st.sampled_from(["1", "0", "-1", "1e300", "1e15", "-1e18", "NaN", "page_views", "m[5m]", "\x00", "💧", "5m"])
        | st.text(max_size=8),
    ),
)
def test_no_parameters_are_a_bug(system: RunningSystem, endpoint: str, parameters: dict[str, str]) -> None:
    answer = system.get(f"/api/v1/{endpoint}", params=parameters)
    assert answer.status_code in (200, 400, 422), answer.text
    assert answer.json()["status"] == ("success" if answer.status_code == 200 else "error")


def test_every_question_of_the_grafana_dashboard_is_answered(system: RunningSystem) -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    variables = {
        "country": "US|DE",
        "device": ".*",
        "__interval": "2m",
        "__range": "1h",
        "__rate_interval": "4m",
    }
    for variable in dashboard["templating"]["list"]:
        metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()  # type: ignore[union-attr]
        assert ask(system, f"label/{label}/values", **{"match[]": metric}), variable
    targets = [target for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(targets) >= 12
    answered = set()
    for target in targets:
        query = re.sub(r"\$(\w+)", lambda found: variables[found[1]], target["expr"])
        span = {"start": (NOW_MS - HOUR_MS) / 1000, "end": NOW_MS / 1000, "step": 120}
        data = (
            ask(system, "query", query=query)
            if target.get("instant")
            else ask(system, "query_range", query=query, **span)
        )
        assert data["resultType"] == ("vector" if target.get("instant") else "matrix")
        if any("page_views" in query and math.isfinite(float(one.get("value", [0, 0])[1])) for one in data["result"]):
            answered.add(target["expr"])
    assert len(answered) >= 4
