"""Slack, PagerDuty, an Alertmanager, a webhook and a mail server, played on loopback: they check what they are sent
against what the real ones document, and answer as those do, or as a test says.
"""

from __future__ import annotations

import contextlib
import json
import re
import socketserver
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

Check = Callable[["Received"], None]


class Received(NamedTuple):
    path: str
    headers: Mapping[str, str]
    body: Any


class Answer(NamedTuple):
    status: int
    body: str = ""
    headers: Mapping[str, str] = {}


class Played:
    """`received`: what was taken, `refused`: what was not as documented. `answers`: for the next requests, instead of
    the usual one. While `stall` is set nothing is answered."""

    def __init__(self, check: Check, usual: Callable[[Received], Answer]) -> None:
        self._check, self._usual = check, usual
        self.received: list[Received] = []
        self.refused: list[str] = []
        self.answers: deque[Answer] = deque()
        self.stall = threading.Event()
        self._is_over = threading.Event()
        self._arrival = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def bodies(self) -> list[Any]:
        return [one.body for one in self.received]

    def wait_for(self, count: int) -> list[Any]:
        """Return when so many were taken."""
        return self.wait_until(lambda bodies: len(bodies) >= count)

    def wait_until(self, condition: Callable[[list[Any]], bool], seconds_max: float = 60.0) -> list[Any]:
        """Return what was taken, when it is so."""
        with self._arrival:
            is_there = self._arrival.wait_for(lambda: condition(self.bodies), seconds_max)
        assert is_there, f"{len(self.received)} came; refused: {self.refused}"
        return self.bodies

    def close(self) -> None:
        self._is_over.set()
        self._server.shutdown()
        self._server.server_close()

    def _take(self, one: Received) -> Answer:
        while self.stall.is_set() and not self._is_over.wait(0.01):
            pass
        if self.answers:
            return self.answers.popleft()
        try:
            self._check(one)
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            self.refused.append(repr(error))
            return Answer(400, f"not as documented: {error!r}")
        with self._arrival:
            self.received.append(one)
            self._arrival.notify_all()
        return self._usual(one)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        played = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("content-length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = played._take(Received(self.path, headers, json.loads(content)))
                body = answer.body.encode()
                with contextlib.suppress(OSError):  # whoever asked may have given up
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def check_slack(one: Received) -> None:
    """https://docs.slack.dev/reference/block-kit/blocks"""
    assert one.headers["content-type"] == "application/json"
    assert isinstance(one.body["text"], str)
    assert one.body["text"]
    blocks = one.body["blocks"]
    assert 1 <= len(blocks) <= 50
    for block in blocks:
        match block["type"]:
            case "header":
                assert block["text"]["type"] == "plain_text"
                assert 1 <= len(block["text"]["text"]) <= 150
            case "section":
                assert block["text"]["type"] == "mrkdwn"
                assert 1 <= len(block["text"]["text"]) <= 3_000
                if button := block.get("accessory"):
                    assert button["type"] == "button"
                    assert len(button["text"]["text"]) <= 75
                    assert len(button["url"]) <= 3_000
            case "context":
                assert 1 <= len(block["elements"]) <= 10
            case other:
                raise AssertionError(other)


def check_pagerduty(one: Received) -> None:
    """https://developer.pagerduty.com/docs/send-alert-event"""
    body = one.body
    assert one.path == "/v2/enqueue"
    assert len(json.dumps(body)) < 512_000
    assert body["routing_key"]
    assert body["event_action"] in ("trigger", "acknowledge", "resolve")
    assert 1 <= len(body["dedup_key"]) <= 255
    if body["event_action"] == "trigger":
        payload = body["payload"]
        assert 1 <= len(payload["summary"]) <= 1_024
        assert payload["source"]
        assert payload["severity"] in ("critical", "error", "warning", "info")
        datetime.fromisoformat(payload["timestamp"])
        assert isinstance(payload["custom_details"], dict)
    for link in body.get("links", []):
        assert link["href"].startswith("http")


def check_webhook(one: Received) -> None:
    """https://prometheus.io/docs/alerting/latest/configuration/#webhook_config"""
    body = one.body
    assert body["version"] == "4"
    assert body["groupKey"]
    assert body["status"] in ("firing", "resolved")
    assert isinstance(body["truncatedAlerts"], int)
    assert isinstance(body["receiver"], str)
    assert isinstance(body["externalURL"], str)
    for name in ("groupLabels", "commonLabels", "commonAnnotations"):
        assert all(isinstance(value, str) for value in body[name].values())
    assert body["alerts"]
    for alert in body["alerts"]:
        assert alert["status"] in ("firing", "resolved")
        assert alert["labels"]["alertname"]
        assert isinstance(alert["annotations"], dict)
        assert isinstance(alert["generatorURL"], str)
        datetime.fromisoformat(alert["startsAt"])
        assert (alert["endsAt"] == "0001-01-01T00:00:00Z") == (alert["status"] == "firing")
        assert re.fullmatch("[0-9a-f]{16}", alert["fingerprint"])


def check_alertmanager(one: Received) -> None:
    """`postableAlerts` of Alertmanager's api/v2/openapi.yaml."""
    assert one.path == "/api/v2/alerts"
    assert isinstance(one.body, list)
    for alert in one.body:
        assert set(alert) <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
        assert alert["labels"]
        assert all(isinstance(value, str) for value in {**alert["labels"], **alert["annotations"]}.values())
        assert datetime.fromisoformat(alert["endsAt"]) >= datetime.fromisoformat(alert["startsAt"])


def _pagerduty_answer(one: Received) -> Answer:
    return Answer(
        202, json.dumps({"status": "success", "message": "Event processed", "dedup_key": one.body["dedup_key"]})
    )


@pytest.fixture
def slack() -> Iterator[Played]:
    yield from _running(Played(check_slack, lambda _: Answer(200, "ok")))


@pytest.fixture
def pagerduty() -> Iterator[Played]:
    yield from _running(Played(check_pagerduty, _pagerduty_answer))


@pytest.fixture
def webhook() -> Iterator[Played]:
    yield from _running(Played(check_webhook, lambda _: Answer(200)))


@pytest.fixture
def alertmanager() -> Iterator[Played]:
    yield from _running(Played(check_alertmanager, lambda _: Answer(200)))


def _running(played: Played) -> Iterator[Played]:
    yield played
    played.close()


class Mail(NamedTuple):
    sender: str
    recipients: list[str]
    message: EmailMessage
    login: str


class PlayedMailServer:
    """SMTP as far as a client needs it. `replies`: by command, instead of the usual one."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.replies: dict[str, str] = {}
        played = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    played._talk(self.rfile, lambda text: self.wfile.write(f"{text}\r\n".encode()))

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _talk(self, lines: Any, say: Callable[[str], object]) -> None:
        sender, recipients, login = "", list[str](), ""
        say("220 played ESMTP")
        for line in lines:
            command = line.decode().rstrip()
            verb = command.split(" ")[0].upper()
            if verb in self.replies:
                say(self.replies[verb])
                continue
            match verb:
                case "EHLO":
                    say("250-played")
                    say("250 AUTH PLAIN")
                case "AUTH":
                    login = command
                    say("235 2.7.0 good")
                case "MAIL":
                    sender = command
                    say("250 ok")
                case "RCPT":
                    recipients.append(command)
                    say("250 ok")
                case "DATA":
                    say("354 go on")
                    content = b"".join(iter(lambda: next(lines), b".\r\n"))
                    message = message_from_bytes(content, policy=policy.default)
                    self.mails.append(Mail(sender, recipients, message, login))
                    say("250 2.0.0 queued as 1")
                case "QUIT":
                    say("221 bye")
                    return
                case _:
                    say("250 ok")


@pytest.fixture
def mail_server() -> Iterator[PlayedMailServer]:
    server = PlayedMailServer()
    yield server
    server.close()
