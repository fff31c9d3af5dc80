"""A server of `POST /events` that does as it is told, for what a real one does only when it is in trouble."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections import deque
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple


class Reply(NamedTuple):
    """To the next request. `status` 0: none, the connection is cut."""

    status: int
    body: Mapping[str, Any] = MappingProxyType({})
    retry_after: str = ""


class Recorder:
    """Use as a context manager. `requests` are lists of events; `at_s` when they came; `port`: to listen at again."""

    def __init__(self, port: int = 0, body_bytes_max: int = 10_000_000) -> None:
        self.replies: deque[Reply] = deque()
        self.requests: list[list[dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.at_s: list[float] = []
        self._came = threading.Condition()
        self._body_bytes_max = body_bytes_max
        self._http = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for request in self.requests for event in request]

    def wait_for(self, count: int, seconds_max: float = 20.0) -> None:
        """Until so many events came."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.events) >= count, seconds_max), f"{len(self.events)} of {count}"

    def _reply(self, body: bytes) -> Reply:
        if self.replies:
            return self.replies.popleft()
        if len(body) > self._body_bytes_max:
            return Reply(413, {"error": {"code": "body_too_large", "message": "too large"}})
        return Reply(202, {"status": "accepted"})

    def _handler(recorder) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                recorder.at_s.append(time.monotonic())
                reply = recorder._reply(body)
                if reply.status == 202 or "rejected" in reply.body:
                    with recorder._came:
                        recorder.requests.append([json.loads(line) for line in body.split(b"\n")])
                        recorder.headers.append({name.lower(): value for name, value in self.headers.items()})
                        recorder._came.notify_all()
                if not reply.status:
                    self.close_connection = True
                    return
                text = json.dumps(dict(reply.body)).encode()
                self.send_response(reply.status)
                self.send_header("Content-Length", str(len(text)))
                if reply.retry_after:
                    self.send_header("Retry-After", reply.retry_after)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Tests are quiet."""

        return Handler
