"""As much of the HTTP API as the feeds use, with troubles to order."""

from __future__ import annotations

import json
import threading
import zlib
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import zstandard

PARTITIONS = 4
REJECTIONS_LISTED_MAX = 100


class Trouble(NamedTuple):
    """What happens to the next `POST /events`. With `keeps`, the events are kept but the answer is lost."""

    status: int = 0
    retry_after: str = ""
    keeps: bool = False


class Sent(NamedTuple):
    producer: str
    sequence: int
    items: int


class FakeServer:
    """Use as a context manager. `events` are what is counted: those that are no duplicates, as they were sent."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.sent: list[Sent] = []
        self.troubles: deque[Trouble] = deque()
        self.body_bytes_max = 10_000_000
        self.imports: dict[str, dict[str, Any]] = {}
        self._highest: dict[tuple[str, int], int] = {}

    def __enter__(self) -> FakeServer:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._http.daemon_threads = False
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def register(self, wanted: dict[str, Any]) -> dict[str, Any]:
        name = wanted["producer"]
        created = name not in self.imports
        highest = max((number for (producer, _), number in self._highest.items() if producer == name), default=-1)
        return {**self.imports.setdefault(name, wanted), "next_sequence": highest + 1, "created": created}

    def accept(self, producer: str, sequence: int, lines: list[bytes]) -> tuple[int, dict[str, Any]]:
        self.sent.append(Sent(producer, sequence, len(lines)))
        rejected = []
        for index, line in enumerate(lines):
            event = json.loads(line)
            if not isinstance(event.get("event"), str):
                rejected.append({"index": index, "code": "missing_event", "message": "the event has no name"})
            else:
                self._count(producer, sequence + index, event)
        count = len(lines) - len(rejected)
        if not rejected:
            return 202, {"status": "accepted", "count": count}
        listed = {"count": count, "rejected": rejected[:REJECTIONS_LISTED_MAX], "rejected_count": len(rejected)}
        if count:
            return 202, {"status": "partial", **listed}
        return 400, {"status": "rejected", **listed, "error": {"code": "missing_event", "message": "…", "hint": ""}}

    def _count(self, producer: str, number: int, event: dict[str, Any]) -> None:
        partition = zlib.crc32(str(event.get("user_id", "")).encode()) % PARTITIONS
        if number > self._highest.get((producer, partition), -1):
            self._highest[producer, partition] = number
            self.events.append(event)


def _handler_of(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, {"status": "alive"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/imports":
                self._answer(200, server.register(json.loads(body)))
                return
            trouble = server.troubles.popleft() if server.troubles else None
            if trouble is not None and trouble.status:
                self._answer(trouble.status, _error("overloaded", "the queue is full"), trouble.retry_after)
                return
            if trouble is None or trouble.keeps:
                self._accept(zstandard.ZstdDecompressor().decompress(body), is_answered=trouble is None)

        def _accept(self, body: bytes, *, is_answered: bool) -> None:
            if len(body) > server.body_bytes_max:
                self._answer(413, _error("body_too_large", "the body is too large"))
                return
            producer, sequence = self.headers["streamgauge-producer"], int(self.headers["streamgauge-sequence"])
            status, answer = server.accept(producer, sequence, body.split(b"\n"))
            if is_answered:
                self._answer(status, answer)

        def _answer(self, status: int, content: dict[str, Any], retry_after: str = "") -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            if retry_after:
                self.send_header("Retry-After", retry_after)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    return Handler


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "hint": ""}}
