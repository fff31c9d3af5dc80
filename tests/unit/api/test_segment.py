"""Segment's tracking API over a real port of a real system."""

from __future__ import annotations

import base64
import gzip
import json
import uuid
from typing import Any

import pytest

from running import RunningSystem, eventually

PAGE = {"Origin": "http://localhost:3000"}


def message(kind: str = "track", **fields: Any) -> dict[str, Any]:
    return {"type": kind, "event": "Opened", "userId": "u1", "messageId": str(uuid.uuid4()), **fields}


def stored(system: RunningSystem, event_id: str) -> dict[str, Any]:
    """The event as it was counted."""

    def found() -> dict[str, Any] | None:
        answer = system.get(f"/events/{event_id}")
        occurrences = answer.json().get("occurrences", [])
        return next((one for one in occurrences if one["status"] == "counted"), None)

    return eventually(found, f"{event_id} is counted")  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("path", "event"),
    [
        ("track", "Opened"),
        ("t", "Opened"),
        ("page", "page_view"),
        ("p", "page_view"),
        ("screen", "screen_view"),
        ("s", "screen_view"),
        ("identify", "identify"),
        ("i", "identify"),
        ("group", "group"),
        ("g", "group"),
        ("alias", "alias"),
        ("a", "alias"),
        ("t/", "Opened"),
    ],
)
def test_each_path_takes_its_message(running_system: RunningSystem, path: str, event: str) -> None:
    sent = {"event": "Opened", "userId": "u1", "messageId": str(uuid.uuid4())}
    answer = running_system.post(f"/v1/{path}", json=sent)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert stored(running_system, sent["messageId"])["event"] == event


@pytest.mark.parametrize("path", ["batch", "b", "import"])
def test_a_batch_is_taken_compressed_and_as_plain_text(running_system: RunningSystem, path: str) -> None:
    messages = [message(), message("page", properties={"path": "/a"})]
    body = gzip.compress(json.dumps({"batch": messages, "context": {"locale": "de-DE"}, "writeKey": "WK"}).encode())
    headers = {"content-type": "text/plain", "content-encoding": "gzip"}
    answer = running_system.post(f"/v1/{path}", content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    event = stored(running_system, messages[1]["messageId"])
    assert (event["properties"]["page"], event["properties"]["locale"]) == ("/a", "de-DE")


def test_a_bad_message_leaves_the_others_as_they_are_and_is_kept(running_system: RunningSystem) -> None:
    bad = message("nope")
    answer = running_system.post("/v1/batch", json={"batch": [bad, good := message(), 7]})
    body = answer.json()
    assert (answer.status_code, body["success"], body["count"], body["rejected_count"]) == (200, True, 1, 2)
    assert [(one["index"], one["code"]) for one in body["rejected"]] == [(0, "invalid_type"), (2, "not_an_object")]
    assert stored(running_system, good["messageId"])["event"] == "Opened"
    letters = eventually(
        lambda: running_system.get("/dead-letter", params={"reason": "invalid_type"}).json()["letters"], "a dead letter"
    )
    assert bad["messageId"] in [json.loads(one["original"])["messageId"] for one in letters if one["original"]]


def test_where_no_message_is_good_the_answer_says_why_as_sdks_read_it(running_system: RunningSystem) -> None:
    answer = running_system.post("/v1/track", json={"userId": "u1"})
    body = answer.json()
    assert (answer.status_code, body["success"], body["code"]) == (400, False, "missing_event")
    assert body["message"] == body["error"]["message"]


@pytest.mark.parametrize(
    ("asked", "content", "status", "code"),
    [
        ("POST /v1/batch", b"{", 400, "malformed_body"),
        ("POST /v1/batch", b"", 400, "empty_body"),
        ("POST /v1/t", b"[" * 100_000, 400, "malformed_body"),
        ("POST /v1/track", b" " * (10 * 1024 * 1024 + 1), 413, "body_too_large"),
        ("POST /v1/batch", b'{"batch":[' + b"1," * 100_000 + b"1]}", 413, "body_too_large"),
        ("GET /v1/track", b"", 405, "method_not_allowed"),
        ("POST /v1/projects/WK/settings", b"", 405, "method_not_allowed"),
        ("POST /v1/nope", b"{}", 404, "not_found"),
        ("GET /v1/projects//settings", b"", 404, "not_found"),
    ],
)
def test_what_is_refused_says_so_as_sdks_read_it(
    running_system: RunningSystem, asked: str, content: bytes, status: int, code: str
) -> None:
    answer = running_system.client.request(*asked.split(), content=content)
    body = answer.json()
    assert (answer.status_code, body["code"], body["error"]["code"]) == (status, code, code)
    assert body["message"]


def test_settings_send_an_sdk_to_where_it_asked(running_system: RunningSystem) -> None:
    settings = running_system.get("/v1/projects/a-key/settings").json()
    ours = settings["integrations"]["Segment.io"]
    assert (ours["apiKey"], ours["protocol"]) == ("a-key", "http")
    assert f"{ours['protocol']}://{ours['apiHost']}" == running_system.url("/v1")


def test_telemetry_of_an_sdk_is_answered(running_system: RunningSystem) -> None:
    assert running_system.post("/v1/m", json={"series": []}).status_code == 200


def test_a_page_of_this_machine_may_send_after_asking(running_system: RunningSystem) -> None:
    asked = running_system.client.options(
        "/v1/t",
        headers={
            **PAGE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,x-retry-count",
        },
    )
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == PAGE["Origin"]
    allowed = asked.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "content-type", "x-retry-count"} <= set(allowed)
    authorization = f"Basic {base64.b64encode(b'WK:').decode()}"
    answer = running_system.post("/v1/t", json=message(), headers={**PAGE, "Authorization": authorization})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, PAGE["Origin"])
    assert "retry-after" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://["])
@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
def test_a_page_of_another_site_may_not(running_system: RunningSystem, method: str, origin: str) -> None:
    sent = message()
    answer = running_system.client.request(method, "/v1/t", headers={"Origin": origin}, json=sent)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")
    assert "access-control-allow-origin" not in answer.headers
    running_system.wait_until_idle()
    assert running_system.get(f"/events/{sent['messageId']}").status_code == 404


def test_a_message_that_is_sent_again_is_counted_once(running_system: RunningSystem) -> None:
    kind = f"Once {uuid.uuid4()}"
    batch = {"batch": [message(event=kind), message(event=kind)]}
    for _ in range(3):
        assert running_system.post("/v1/batch", json=batch).status_code == 200
    running_system.wait_until_counted(2, "events", event=kind)
    running_system.wait_until_idle()
    assert running_system.total("events", event=kind) == 2


def test_the_calls_are_in_the_openapi_document(running_system: RunningSystem) -> None:
    paths = running_system.get("/openapi.json").json()["paths"]
    calls = ("track", "page", "screen", "identify", "group", "alias", "batch", "import", "m", *"tpsigab")
    assert {f"/v1/{call}" for call in calls} | {"/v1/projects/{key}/settings"} <= set(paths)
    assert {"/sdk.js", "/docs", "/openapi.json", "/events"} <= set(paths)
