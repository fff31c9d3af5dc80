"""Segment's official SDKs, each in a process of its own; that of the browser as a site of another origin serves it."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "segment"
_PACKAGES: Final = FOLDER / "node_modules" / "@segment"
_MISSING: Final = "Segment's SDKs are missing: `make test` installs them"


class Sender:
    """A program that sends events until they are acknowledged, then ends."""

    def __init__(self, *command: str, path: Path | None = None) -> None:
        assert _PACKAGES.is_dir(), _MISSING
        environment = {**os.environ, **({"PYTHONPATH": str(path)} if path else {})}
        self._process = subprocess.Popen(
            command, cwd=FOLDER, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def finish(self, seconds_max: float) -> None:
        output, _ = self._process.communicate(timeout=seconds_max)
        assert self._process.returncode == 0, output

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def python_sender(url: str, count: int) -> Sender:
    return Sender(sys.executable, "send.py", url, str(count), path=FOLDER.parents[1] / ".make" / "segment-python")


def node_sender(url: str, count: int) -> Sender:
    return Sender("node", "send.mjs", url, str(count))


class _Site(http.server.SimpleHTTPRequestHandler):
    def translate_path(self, path: str) -> str:
        is_script = path.endswith("/analytics-next.js")
        return str(_PACKAGES / "analytics-next" / "dist" / "umd" / "index.js" if is_script else FOLDER / "page.html")

    def log_message(self, *_: object) -> None:
        """A test prints enough."""


@contextmanager
def site() -> Iterator[str]:
    """The address of a site on this machine whose page has Segment's SDK for browsers."""
    assert _PACKAGES.is_dir(), _MISSING
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Site)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()
