"""A website on an origin of its own: one page at every path, and the built SDK as files."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

_ROOT = Path(__file__).parents[2]
TAG_FILE = _ROOT / "src" / "streamgauge" / "api" / "sdk" / "sdk.js"
EXAMPLE_FILE = _ROOT / "sdk" / "web" / "examples" / "index.html"
_MODULES = _ROOT / "sdk" / "web" / "dist"


class Site:
    """Use as a context manager. `html` is what the next load of any path shows."""

    def __init__(self) -> None:
        site = self
        self.html = ""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content, media_type = site._answer(self.path)
                self.send_response(200)
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Site:
        self._thread.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def show_tag(self, **attributes: str) -> None:
        """A page with the script tag. `data_host` becomes `data-host`."""
        text = " ".join(f'{name.replace("_", "-")}="{value}"' for name, value in attributes.items())
        self.html = f"<!doctype html><title>Shop</title><script async {text}></script>"

    def show_module(self, options: str) -> None:
        """A page that imports the SDK as a module. `options`: of `init`, in JavaScript."""
        self.html = (
            "<!doctype html><title>Shop</title><script type=module>"
            f'import {{ init }} from "/modules/index.js"; window.streamgauge = init({options})</script>'
        )

    def _answer(self, path: str) -> tuple[bytes, str]:
        if path == "/sdk.js":
            return TAG_FILE.read_bytes(), "text/javascript"
        if path.startswith("/modules/"):
            return (_MODULES / path.removeprefix("/modules/")).read_bytes(), "text/javascript"
        return self.html.encode(), "text/html; charset=utf-8"
