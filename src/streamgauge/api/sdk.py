"""`GET /sdk.js`: the web SDK as the one script that a page includes."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any, Final

from litestar import Request, Response, get
from litestar.handlers import BaseRouteHandler

from streamgauge.api.door import NEEDS, NOTHING

SDK_FILE: Final = Path(__file__).parent / "sdk" / "sdk.js"
"""As `make setup` builds it."""

_HEADERS: Final = {
    # An hour, so that a new version is everywhere soon; an old one may be shown while it is asked for.
    "Cache-Control": "public, max-age=3600, stale-while-revalidate=86400",
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}
_MEDIA_TYPE: Final = "text/javascript"


def sdk_route(file: Path) -> BaseRouteHandler:
    """Read once: it is small, and changes with the program."""
    plain = file.read_bytes() if file.is_file() else None
    if plain is None:
        return _missing_sdk
    packed = gzip.compress(plain, mtime=0)
    etag = f'"{hashlib.sha256(plain).hexdigest()[:16]}"'

    @get("/sdk.js", summary="The web SDK, for a script tag", tags=["ingest"], opt={NEEDS: NOTHING})
    async def get_sdk(request: Request[Any, Any, Any]) -> Response[bytes]:
        headers = {**_HEADERS, "ETag": etag}
        if etag in request.headers.get("if-none-match", ""):
            return Response(b"", status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed, media_type=_MEDIA_TYPE, headers={**headers, "Content-Encoding": "gzip"})
        return Response(plain, media_type=_MEDIA_TYPE, headers=headers)

    return get_sdk


@get("/sdk.js", summary="The web SDK, for a script tag", tags=["ingest"], opt={NEEDS: NOTHING})
async def _missing_sdk() -> Response[str]:
    text = "The web SDK is not built. Run `make up` in the repository, or `npm ci && npm run build` in its sdk/web.\n"
    return Response(text, media_type="text/plain", status_code=503)
