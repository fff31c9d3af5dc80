"""`GET /sdk.js`: how the script is served."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from streamgauge.api.sdk import sdk_route

SCRIPT = b"window.streamgauge = {}; // \xe2\x80\xa6"


async def asked(file: Path, headers: dict[str, str]) -> httpx.Response:
    app = Litestar([sdk_route(file)], openapi_config=None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        return await client.get("/sdk.js", headers=headers)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    written = tmp_path / "sdk.js"
    written.write_bytes(SCRIPT)
    return written


@pytest.mark.parametrize("encoding", ["identity", "gzip", "br, gzip;q=0.5"])
async def test_any_page_may_load_the_script_and_keep_it_for_a_while(file: Path, encoding: str) -> None:
    answer = await asked(file, {"accept-encoding": encoding, "origin": "https://shop.example"})
    assert (answer.status_code, answer.content) == (200, SCRIPT)
    assert answer.headers.get("content-encoding") == ("gzip" if "gzip" in encoding else None)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "max-age=3600" in answer.headers["cache-control"]
    assert answer.headers["vary"].lower() == "accept-encoding"


async def test_a_browser_that_has_it_already_gets_no_second_one(file: Path) -> None:
    etag = (await asked(file, {})).headers["etag"]
    again = await asked(file, {"if-none-match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert (await asked(file, {"if-none-match": '"of another version"'})).status_code == 200


async def test_where_it_is_not_built_the_answer_says_how_to_build_it(tmp_path: Path) -> None:
    answer = await asked(tmp_path / "none.js", {})
    assert answer.status_code == 503
    assert "make up" in answer.text
