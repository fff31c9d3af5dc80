"""A system with keys, over its real port."""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from keyed import KeyedSystem, bearer, keys_command, new_key
from running import RunningSystem, eventually, free_port
from streamgauge.ingest.grpc.ingest_pb2 import Event, SendRequest

EVENT = {"event": "edge"}
FOR_ALL = {"/healthz", "/readyz", "/session", "/openapi.json", "/docs", "/docs/style.css", "/sdk.js", "/v1/m"}
"""What is answered without a key, and tells nothing of what is counted."""

MESSAGE = {"event": "x", "userId": "u", "batch": [{"type": "track", "event": "x", "userId": "u"}]}
"""Of Segment's protocol, whose keys stand in bodies: what is no message is refused before one is looked for."""

ROLLUP = '[[rollups]]\nname = "by_source"\ndimensions = ["source", "sent_source"]\n'


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedSystem]:
    with KeyedSystem(tmp_path_factory.mktemp("keyed") / "data", config=ROLLUP) as started:
        yield started


@pytest.fixture(scope="module")
def write_key(system: KeyedSystem) -> str:
    return new_key(system.data, "shop", "write", "--origin", "https://shop.example")


@pytest.fixture(scope="module")
def read_key(system: KeyedSystem) -> str:
    return new_key(system.data, "grafana", "read")


def operations(system: KeyedSystem) -> list[tuple[str, str]]:
    """Method and path of all that the OpenAPI document describes, parameters filled in."""
    paths: dict[str, dict[str, Any]] = system.ask("/openapi.json").json()["paths"]
    found = [(method.upper(), path) for path, item in paths.items() for method in item if method != "parameters"]
    assert len(found) > 20
    return [
        (method, "/".join("x" if part.startswith("{") else part for part in path.split("/"))) for method, path in found
    ]


def test_without_a_key_every_route_is_closed(system: KeyedSystem) -> None:
    for method, path in operations(system):
        answer = system.ask(path, method, json=MESSAGE if path.startswith("/v1/") and method == "POST" else None)
        if path not in FOR_ALL:
            assert answer.status_code == 401, (method, path, answer.text)
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert "unauthorized" in answer.text


@pytest.mark.parametrize("wrong", ["Bearer", "Bearer sga_wrong", "Basic !", "Bearer " + "x" * 5_000])
def test_a_key_that_is_none_opens_nothing(system: KeyedSystem, wrong: str) -> None:
    for path in ("/metrics/names", "/keys", "/api/v1/query?query=1", "/live", "/-/metrics"):
        assert system.ask(path, headers={"Authorization": wrong}).status_code == 401


def test_a_write_key_reads_nothing_and_changes_nothing(system: KeyedSystem, write_key: str) -> None:
    for method, path in operations(system):
        if path in FOR_ALL or path in ("/events", "/imports") or path.startswith("/v1/"):
            continue
        assert system.ask(path, method, headers=bearer(write_key)).status_code == 403, (method, path)


def test_a_read_key_reads_and_neither_sends_nor_changes(system: KeyedSystem, read_key: str) -> None:
    headers = bearer(read_key)
    for path in ("/metrics/names", "/api/v1/query?query=1", "/-/metrics", "/dead-letter"):
        assert system.ask(path, headers=headers).status_code == 200, path
    assert system.ask("/api/v1/query", "POST", headers=headers, data={"query": "1"}).status_code == 200
    assert system.ask("/events", "POST", headers=headers, json=EVENT).status_code == 403
    for method, path in (("POST", "/keys"), ("GET", "/keys"), ("GET", "/audit"), ("POST", "/replays")):
        assert system.ask(path, method, headers=headers, json={}).status_code == 403, path


def test_a_write_key_is_taken_as_bearer_as_a_user_without_password_and_in_the_url(
    system: KeyedSystem, write_key: str
) -> None:
    basic = base64.b64encode(f"{write_key}:".encode()).decode()
    for headers in (bearer(write_key), {"Authorization": f"Basic {basic}"}):
        assert system.ask("/events", "POST", headers=headers, json=EVENT).status_code == 202
    assert system.ask(f"/events?write_key={write_key}", "POST", json=EVENT).status_code == 202
    assert system.ask(f"/events?write_key={system.admin}", "POST", json=EVENT).status_code == 401


def test_the_source_of_an_event_is_the_key_that_it_came_with_whatever_it_says(
    system: KeyedSystem, write_key: str
) -> None:
    sent = [{"event": "s", "event_id": "s-1"}, {"event": "s", "event_id": "s-2", "source": "forged"}]
    assert system.ask("/events", "POST", headers=bearer(write_key), json=sent).status_code == 202
    assert system.post("/events", json=[{"event": "s", "source": "till"}, {"event": "s"}]).status_code == 202
    question = {"name": "by_source", "range": "1h", "group_by": ["source", "sent_source"]}

    def counted() -> set[tuple[str, str]]:
        rows = system.get("/metrics", params=question).json()
        return {(row["source"], row["sent_source"]) for row in rows}

    unknown = "(unknown)"
    expected = {("shop", unknown), ("shop", "forged"), ("till", unknown), ("admin", unknown)}
    eventually(lambda: counted() >= expected, f"{expected} are counted")
    assert "forged" not in {source for source, _ in counted()}


async def test_calls_of_grpc_need_a_write_key_and_their_events_have_its_source(
    system: KeyedSystem, write_key: str, read_key: str
) -> None:
    send = "/streamgauge.v1.Ingest/Send"
    message = SendRequest(events=[Event(event="g", event_id="g-1")]).SerializeToString()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{system.grpc_port}") as channel:
        for key, code in (("", "UNAUTHENTICATED"), ("sgw_wrong", "UNAUTHENTICATED"), (read_key, "PERMISSION_DENIED")):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary(send)(message, metadata=[("authorization", f"Bearer {key}")] if key else [])
            assert refused.value.code().name == code
        await channel.unary_unary(send)(message, metadata=[("authorization", f"Bearer {write_key}")])

    def explained() -> str:
        return system.get("/events/g-1").text

    eventually(lambda: '"source":"shop"' in explained(), "the event has its source")


def test_pages_that_a_key_names_may_use_it_and_others_may_not(system: KeyedSystem, write_key: str) -> None:
    def sent_from(origin: str, key: str) -> tuple[int, str | None]:
        answer = system.ask("/events", "POST", headers={**bearer(key), "Origin": origin}, json=EVENT)
        return answer.status_code, answer.headers.get("access-control-allow-origin")

    shop = "https://shop.example"
    assert sent_from(shop, write_key) == (202, shop)
    assert sent_from(shop, "sgw_wrong") == (401, shop)  # the page may read why
    assert sent_from("http://localhost:3000", write_key)[0] == 403
    assert sent_from("https://evil.example", write_key)[0] == 403
    ask = {"Origin": shop, "Access-Control-Request-Method": "POST"}
    assert system.ask("/events", "OPTIONS", headers=ask).status_code == 204


def test_a_revoked_key_is_refused_within_seconds(system: KeyedSystem) -> None:
    secret = new_key(system.data, "short", "write")
    assert system.ask("/events", "POST", headers=bearer(secret), json=EVENT).status_code == 202
    assert keys_command(system.data, "revoke", "short").returncode == 0
    started_s = time.monotonic()
    eventually(
        lambda: system.ask("/events", "POST", headers=bearer(secret), json=EVENT).status_code == 401, "it is refused"
    )
    assert time.monotonic() - started_s < 4


def test_who_listens_is_cut_off_when_the_key_is_revoked(system: KeyedSystem) -> None:
    secret = new_key(system.data, "listener", "read")
    with httpx.stream("GET", system.url("/live"), headers=bearer(secret), trust_env=False, timeout=20) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        next(lines)
        assert system.client.delete("/keys/listener").status_code == 200
        assert sum(line.startswith("event: tick") for line in lines) < 5  # it ends


def test_keys_are_made_listed_rotated_and_revoked_over_http(system: KeyedSystem) -> None:
    made = system.post("/keys", json={"name": "api-made", "scope": "write", "origins": ["https://a.example"]})
    assert made.status_code == 201
    secret = made.json()["secret"]
    assert secret not in system.get("/keys").text
    rotated = system.post("/keys/api-made/rotate", json={"overlap_h": 0}).json()
    assert rotated["key"]["hint"] == rotated["secret"][-4:]
    assert system.ask("/events", "POST", headers=bearer(secret), json=EVENT).status_code == 401
    assert system.ask("/events", "POST", headers=bearer(rotated["secret"]), json=EVENT).status_code == 202
    assert system.client.delete("/keys/api-made").json()["revoked_at"]
    assert system.client.delete("/keys/api-made").status_code == 404
    for bad in ({}, {"name": "x"}, {"name": "x", "scope": "root"}, {"name": "", "scope": "read"}, [1], "x"):
        assert system.post("/keys", json=bad).status_code == 400
    assert system.post("/keys", content=b'{"name":"x","scope":"read"}').status_code == 415


def test_every_change_is_in_the_audit_log_with_who_made_it(system: KeyedSystem) -> None:
    system.post("/keys", json={"name": "watched", "scope": "read"})
    system.client.delete("/keys/watched")
    system.client.delete("/keys/nobody")
    entries = system.get("/audit", params={"limit": 3}).json()["entries"]
    assert [(entry["actor"], entry["action"], entry["subject"], entry["status"]) for entry in entries] == [
        ("admin", "DELETE /keys/{which}", "which=nobody", 404),
        ("admin", "DELETE /keys/{which}", "which=watched", 200),
        ("admin", "POST /keys", "key=watched scope=read", 201),
    ]
    assert entries[0]["address"] == "127.0.0.1"
    assert any(
        entry["action"] == "keys create" and entry["actor"].startswith("command line")
        for entry in system.get("/audit", params={"limit": 1_000}).json()["entries"]
    )
    assert system.get("/audit", params={"limit": 0}).status_code == 400


def test_readiness_is_for_all_and_its_reasons_are_not(system: KeyedSystem) -> None:
    assert system.ask("/readyz").json() == {"status": "ready"}
    assert system.get("/readyz").json()["stages"]["keys"] == {"state": "ready"}


# Browsers


def signed_in(system: KeyedSystem, key: str) -> str:
    answer = system.ask("/session", "POST", json={"key": key}, headers={"Origin": system.url()})
    assert answer.status_code == 200, answer.text
    return answer.headers["set-cookie"]


def test_a_browser_signs_in_with_a_cookie_that_scripts_and_other_sites_cannot_use(
    system: KeyedSystem, read_key: str
) -> None:
    cookie = signed_in(system, read_key)
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert read_key not in cookie
    headers = {"Cookie": cookie.partition(";")[0]}
    assert system.ask("/session", headers=headers).json() == {"needed": True, "name": "grafana", "scope": "read"}
    assert system.ask("/metrics/names", headers=headers).status_code == 200
    assert system.ask("/keys", headers=headers).status_code == 403
    out = system.ask("/session", "DELETE", headers={**headers, "Origin": system.url()})
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert system.ask("/metrics/names", headers=headers).status_code == 401
    assert system.ask("/session", headers=headers).json() == {"needed": True, "name": None, "scope": None}


def test_a_session_changes_nothing_for_a_page_of_another_site(system: KeyedSystem) -> None:
    cookie = {"Cookie": signed_in(system, system.admin).partition(";")[0]}
    wish = {"name": "csrf", "scope": "admin"}
    for said in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = system.ask("/keys", "POST", headers={**cookie, **said}, json=wish)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed"), said
    for said in ({"Origin": system.url()}, {"Sec-Fetch-Site": "same-origin"}):
        wish["name"] += "x"
        assert system.ask("/keys", "POST", headers={**cookie, **said}, json=wish).status_code == 201


@pytest.mark.parametrize("key", ["", "sga_wrong", "x" * 200])
def test_what_is_no_key_does_not_sign_in(system: KeyedSystem, key: str) -> None:
    answer = system.ask("/session", "POST", json={"key": key})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_a_write_key_does_not_sign_in(system: KeyedSystem, write_key: str) -> None:
    assert system.ask("/session", "POST", json={"key": write_key}).status_code == 403


# The whole of it


def test_commands_take_the_key_of_the_environment(system: KeyedSystem) -> None:
    def asked(key: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "streamgauge", "query", "by_source", "--url", system.url(), "--json"]
        environment = {**os.environ, "STREAMGAUGE_KEY": key}
        return subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment, check=False)

    assert asked(system.admin).returncode == 0
    without = asked("")
    assert without.returncode == 1
    assert "STREAMGAUGE_KEY" in without.stderr


def test_secrets_are_in_no_file_and_no_output(system: KeyedSystem, write_key: str, read_key: str) -> None:
    for secret in (system.admin, write_key, read_key):
        system.ask(f"/nope/{secret[:8]}?a={secret}", headers=bearer(secret))
        system.ask("/events", "POST", headers=bearer(secret), content=b"{")
        system.ask("/session", "POST", content=json.dumps({"key": secret, "x": 1}))
    kept = [file for file in system.data.rglob("*") if file.is_file()]
    assert any(file.name == "state.db" for file in kept)
    for secret in (system.admin, write_key, read_key):
        assert secret not in system.output
        assert secret not in system.get("/-/metrics").text + system.get("/audit?limit=1000").text
        assert not [file for file in kept if secret.encode() in file.read_bytes()]


def test_another_address_without_keys_is_refused_with_the_command_that_makes_one(tmp_path: Path) -> None:
    system = RunningSystem(tmp_path / "data", arguments=["--host", "0.0.0.0"])  # noqa: S104
    system.spawn()
    assert system.wait() == 1
    assert "streamgauge keys create admin --scope admin" in system.output


def test_the_first_key_over_http_must_be_an_admin_s_and_closes_the_server(tmp_path: Path) -> None:
    with RunningSystem(tmp_path / "data") as system:
        assert system.get("/session").json() == {"needed": False, "name": None, "scope": "admin"}
        assert system.post("/events", json=EVENT, headers=bearer("any write key")).status_code == 202
        assert system.post("/keys", json={"name": "shop", "scope": "write"}).status_code == 400
        made = system.post("/keys", json={"name": "me", "scope": "admin"})
        assert made.status_code == 201
        assert system.get("/metrics/names").status_code == 401
        assert system.post("/events", json=EVENT).status_code == 401
        assert system.get("/metrics/names", headers=bearer(made.json()["secret"])).status_code == 200


PROBE = """
import json, sys, urllib.request, urllib.error
base, operations = sys.argv[1], json.loads(sys.argv[2])
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
found = []
for method, path in operations:
    request = urllib.request.Request(base + path, method=method, data=b'{"event":"x"}' if method == "POST" else None)
    request.add_header("Content-Type", "application/json")
    try:
        with opener.open(request, timeout=10) as answer:
            found.append((answer.status, path))
    except urllib.error.HTTPError as error:
        found.append((error.code, path))
print(json.dumps(found))
"""


def test_from_another_network_namespace_nothing_is_readable_or_writable_without_a_key(tmp_path: Path) -> None:
    names = [f"sg{os.getpid()}{side}" for side in "ab"]

    def ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    try:
        ip("netns", "add", names[0])
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip("network namespaces can't be made here: that takes root on Linux")
    data, port, server = tmp_path / "data", free_port(), None
    secret = new_key(data, "admin", "admin")
    try:
        ip("netns", "add", names[1])
        ip("link", "add", f"{names[0]}v", "netns", names[0], "type", "veth", "peer", f"{names[1]}v", "netns", names[1])
        for name, address in zip(names, ("10.231.7.1/30", "10.231.7.2/30"), strict=True):
            ip("-n", name, "addr", "add", address, "dev", f"{name}v")
            ip("-n", name, "link", "set", f"{name}v", "up")
            ip("-n", name, "link", "set", "lo", "up")
        command = [
            sys.executable,
            "-m",
            "streamgauge",
            "up",
            "--data",
            str(data),
            "--port",
            str(port),
            "--grpc-port",
            str(free_port()),
        ]
        inside = ["ip", "netns", "exec"]
        server = subprocess.Popen(
            [*inside, names[0], *command, "--host", "10.231.7.1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

        def probed(operations: list[tuple[str, str]], *, key: str = "") -> list[tuple[int, str]]:
            probe = (
                PROBE
                if not key
                else PROBE.replace(
                    'request.add_header("C',
                    f'request.add_header("Authorization", "Bearer {key}"); request.add_header("C',
                )
            )
            arguments = [sys.executable, "-c", probe, f"http://10.231.7.1:{port}", json.dumps(operations)]
            done = subprocess.run([*inside, names[1], *arguments], capture_output=True, text=True, check=False)
            return [(status, path) for status, path in json.loads(done.stdout or "[]")]

        eventually(lambda: probed([("GET", "/readyz")]) == [(200, "/readyz")], "it is ready", 60)
        paths = ["/metrics/names", "/live", "/-/metrics", "/keys", "/audit", "/dead-letter", "/api/v1/labels"]
        operations = [("GET", path) for path in paths] + [("POST", path) for path in ("/events", "/keys", "/replays")]
        assert {status for status, _ in probed(operations)} == {401}
        assert probed([("GET", "/metrics/names"), ("POST", "/events")], key=secret) == [
            (200, "/metrics/names"),
            (202, "/events"),
        ]
    finally:
        if server is not None:
            server.terminate()
            server.wait(20)
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.mark.parametrize("call", ["t", "batch", "m"])
def test_a_key_in_the_headers_that_is_good_for_nothing_is_refused_before_the_body(
    system: KeyedSystem, call: str
) -> None:
    basic = base64.b64encode(b"sgw_guess:").decode()
    head = f"POST /v1/{call} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {basic}\r\n"
    with system.connect() as connection:
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())  # and nothing of it ever comes
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 401
