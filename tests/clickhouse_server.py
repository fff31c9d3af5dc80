"""ClickHouse's HTTP interface over the embedded engine, for tests of what speaks to a server.

There is no package of a modern server for these tests to start, and chDB is the same engine. What is served here is
what clients need: queries and inserts by POST, settings and parameters in the URL, compressed bodies, the server's
error numbers. It can be told to refuse inserts, and to make them and lose the answer.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from running import eventually, free_port

_INSERT: Final = re.compile(rb"\s*INSERT\s+INTO\s+(\S+?)\s*(\([^)]*\))?\s+FORMAT\s+(\w+)\s", re.IGNORECASE)
_FORMAT: Final = re.compile(r"\bFORMAT\s+(\w+)\s*$", re.IGNORECASE)
_CODE: Final = re.compile(r"Code: (\d+)")
_NAME: Final = re.compile(r"\w+")
_TOO_MANY_PARTS: Final = "Code: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS)"
_NOT_THE_ENGINES: Final = {
    "query", "database", "client_protocol_version", "default_format", "session_id", "query_id", "wait_end_of_query",
    "enable_http_compression", "http_headers_progress_interval_ms", "send_progress_in_http_headers",
    "buffer_size", "session_timeout", "role", "compress", "decompress", "quota_key",
}  # fmt: skip


class ClickHouseServer:
    """A server in a process of its own: chDB opens one folder a process."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.port = folder, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"clickhouse://127.0.0.1:{self.port}"

    def start(self) -> ClickHouseServer:
        self._folder.mkdir(parents=True, exist_ok=True)
        output = self._folder.with_name(f"{self._folder.name}.output")
        with output.open("ab") as file:
            command = [sys.executable, __file__, str(self._folder), str(self.port)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        eventually(self._answers, f"the store's server: {output}")
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
            self._process = None

    def trouble(self, *, refused: float = 0.0, unanswered: float = 0.0) -> None:
        """From now on: the share of inserts that are refused, and of those that are made and not answered."""
        httpx.post(self._http("/-/trouble"), params={"refused": refused, "unanswered": unanswered}, trust_env=False)

    def troubled(self) -> Mapping[str, int]:
        """How many inserts were refused and how many not answered."""
        answer: dict[str, int] = httpx.get(self._http("/-/trouble"), trust_env=False).json()
        return answer

    def _http(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(self._http("/ping"), trust_env=False).status_code == 200
        return False


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """One server for all tests that leave it as it is."""
    server = ClickHouseServer(tmp_path_factory.mktemp("clickhouse") / "store").start()
    yield server
    server.stop()


@pytest.fixture
def own_clickhouse(tmp_path: Path) -> Iterator[ClickHouseServer]:
    """A server that the test may trouble."""
    server = ClickHouseServer(tmp_path / "clickhouse").start()
    yield server
    server.stop()


class _Trouble:
    def __init__(self) -> None:
        self.shares = {"refused": 0.0, "unanswered": 0.0}
        self.happened = {"refused": 0, "unanswered": 0}
        self._random = random.Random(20_264)

    def happens(self, kind: str) -> bool:
        happens = self._random.random() < self.shares[kind]
        self.happened[kind] += happens
        return happens


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: ClassVar[str]
    trouble: ClassVar[_Trouble]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/ping":
            self._answer(200, b"Ok.\n")
        elif url.path == "/-/trouble":
            self._answer(200, json.dumps(self.trouble.happened).encode())
        else:
            self._run(b"")

    def do_POST(self) -> None:
        body = self._body()
        url = urlsplit(self.path)
        if url.path == "/-/trouble":
            self.trouble.shares |= {name: float(share) for name, share in parse_qsl(url.query)}
            self._answer(200, b"")
        else:
            self._run(body)

    def log_message(self, *_: object) -> None:
        """Nothing: a test that fails prints what was asked."""

    def _run(self, body: bytes) -> None:
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        text = b"\n".join(part for part in (given.get("query", "").encode(), body) if part)
        insert = _INSERT.match(text)
        if insert and self.trouble.happens("refused"):
            return self._refuse(_TOO_MANY_PARTS)
        try:
            answer = self._insert(insert, text, given) if insert else self._query(text.decode(), given)
        except RuntimeError as error:  # what chDB raises, with the engine's own text
            return self._refuse(str(error))
        if insert and self.trouble.happens("unanswered"):
            self.close_connection = True
            return None
        return self._answer(200, answer, {"X-ClickHouse-Summary": "{}"})

    def _query(self, sql: str, given: Mapping[str, str]) -> bytes:
        named = _FORMAT.search(sql)
        return _engine(self.folder, sql, named[1] if named else given.get("default_format", "TabSeparated"), given)

    def _insert(self, insert: re.Match[bytes], text: bytes, given: Mapping[str, str]) -> bytes:
        table, columns, name = (part.decode() if part else "" for part in insert.groups())
        with tempfile.NamedTemporaryFile(suffix=".rows") as file:
            file.write(text[insert.end() :])
            file.flush()
            sql = f"INSERT INTO {table} {columns} FROM INFILE '{file.name}' FORMAT {name}"
            return _engine(self.folder, sql, "TabSeparated", given)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(chunks)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return _decompressed(body, self.headers.get("Content-Encoding", ""))

    def _refuse(self, message: str) -> None:
        code = _CODE.search(message)
        self._answer(500, message.encode(), {"X-ClickHouse-Exception-Code": code[1] if code else "1002"})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _decompressed(body: bytes, encoding: str) -> bytes:
    """Clients send one frame after the other in one body."""
    import lz4.frame
    import zstandard

    if encoding == "lz4":
        whole = b""
        while body:
            frame = lz4.frame.LZ4FrameDecompressor()
            whole += frame.decompress(body)
            body = frame.unused_data or b""
        return whole
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True).read()
    if encoding == "gzip":
        return gzip.decompress(body)
    return zlib.decompress(body) if encoding == "deflate" else body


def _engine(folder: str, sql: str, form: str, given: Mapping[str, str]) -> bytes:
    """In a connection of its own, so that the settings of one request are not those of the next."""
    import chdb

    connection: Any = chdb.connect(folder)
    try:
        for name, value in given.items():
            if name not in _NOT_THE_ENGINES and not name.startswith("param_") and _NAME.fullmatch(name):
                quoted = value.replace("\\", "\\\\").replace("'", "\\'")
                connection.query(f"SET {name} = '{quoted}'")
        if database := given.get("database"):
            connection.query(f"USE `{database}`")
        parameters = {name.removeprefix("param_"): value for name, value in given.items() if name.startswith("param_")}
        return bytes(connection.query(sql, form, params=parameters).bytes() or b"")
    finally:
        connection.close()


def main(folder: str, port: int) -> None:
    import chdb

    _Handler.folder, _Handler.trouble = folder, _Trouble()
    kept = chdb.connect(folder)  # the engine ends with its last connection
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    try:
        server.serve_forever()
    finally:
        kept.close()
        os._exit(0)  # threads of clients that keep their connections open are not waited for


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
