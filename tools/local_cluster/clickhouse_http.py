"""ClickHouse's HTTP interface over the embedded engine, for what speaks to a server: `python -m …` FOLDER PORT.

There is no package of a modern server to start without Docker, and chDB is the same engine. What is served here is
what clients need: queries and inserts by POST, settings and parameters in the URL, compressed bodies, the server's
error numbers. It can be told to refuse inserts, and to make them and lose the answer.

It can also be the only host of a cluster, where a file config.xml in the working folder says so: `Distributed` tables
write and ask as on one. Two things the embedded engine doesn't have: a queue of distributed definitions, so `ON
CLUSTER` is left out, and Keeper, so `Replicated` tables are made plain ones.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import signal
import sys
import tempfile
import threading
import zlib
from collections.abc import Mapping
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl, urlsplit

_INSERT: Final = re.compile(rb"\s*INSERT\s+INTO\s+(\S+?)\s*(\([^)]*\))?\s+FORMAT\s+(\w+)\s", re.IGNORECASE)
_FORMAT: Final = re.compile(r"\bFORMAT\s+(\w+)\s*$", re.IGNORECASE)
_CODE: Final = re.compile(r"Code: (\d+)")
_NAME: Final = re.compile(r"\w+")
_ON_CLUSTER: Final = re.compile(r" ON CLUSTER '[^']+'")
_REPLICATED: Final = re.compile(r"Replicated(\w*MergeTree)\('[^']*', '[^']*'(?:, )?([^)]*)\)")
_REPLICATED_WINDOW: Final = re.compile(r"\b(replicated_deduplication_window = \d+), \w+ = \d+")
_SYNC_REPLICA: Final = "SYSTEM SYNC REPLICA"
_TOO_MANY_PARTS: Final = "Code: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS)"
_NOT_THE_ENGINES: Final = {
    "query", "database", "client_protocol_version", "default_format", "session_id", "query_id", "wait_end_of_query",
    "enable_http_compression", "http_headers_progress_interval_ms", "send_progress_in_http_headers",
    "buffer_size", "session_timeout", "role", "compress", "decompress", "quota_key",
    "prefer_localhost_replica",  # the one host is asked in this process: it has no native port
}  # fmt: skip


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
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            given, body = given | _form(kind, body), b""
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
        if sql.startswith(_SYNC_REPLICA):
            return b""
        sql = _plain(sql)
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


def _plain(sql: str) -> str:
    """A definition, as it is without a cluster's other hosts."""
    sql = _REPLICATED.sub(lambda found: f"{found[1]}({found[2]})", _ON_CLUSTER.sub("", sql))
    return _REPLICATED_WINDOW.sub(r"non_\1", sql)


def _form(kind: str, body: bytes) -> dict[str, str]:
    """Clients send parameters as fields of a form where they are too long for an address; the query is one of them."""
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    return {
        str(part.get_param("name", header="content-disposition")): bytes(part.get_payload(decode=True)).decode()
        for part in message.iter_parts()
    }


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
        # The server takes them all at once: that which forbids to set others must come last.
        for name, value in sorted(given.items(), key=lambda setting: setting[0] == "readonly"):
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
