"""Pages of other origins: which may send events, and what their browser is told."""

from __future__ import annotations

from typing import Any

import pytest

from streamgauge.api.cross_origin import CrossOrigin
from streamgauge.api.errors import ErrorAnswers
from streamgauge.config import IngestSettings
from streamgauge.core.origins import allowed_origins
from streamgauge.core.selfmetrics import SelfMetrics

SHOP = "https://shop.example"
ASKS = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,authorization"}


async def _accepts(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 202, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b"{}", "more_body": False})


async def asked(method: str, headers: dict[str, str]) -> tuple[int, dict[str, str], SelfMetrics]:
    """The answer to a request at a server that allows the shop."""
    sent: list[Any] = []
    metrics = SelfMetrics()

    async def receive() -> Any:
        raise AssertionError("the body is the endpoint's to read")

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope: Any = {"type": "http", "method": method, "path": "/events", "headers": raw}
    await CrossOrigin(_accepts, allowed_origins([SHOP]), ErrorAnswers(metrics))(scope, receive, send)
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}, metrics


@pytest.mark.parametrize(
    ("pattern", "origin", "is_allowed"),
    [
        (SHOP, SHOP, True),
        (SHOP, "http://shop.example", False),
        (SHOP, "https://shop.example:8443", False),
        (SHOP, "https://shopXexample", False),
        (SHOP, "https://shop.example.evil.example", False),
        (SHOP, "null", False),
        (SHOP, "", False),
        ("https://SHOP.example", SHOP, True),
        ("https://*.example", SHOP, True),
        ("https://*.example", "https://a.b.example", True),
        ("https://*.example", "https://example", False),
        ("https://*.example", "https://evil/.example", False),
        ("https://*.example", f"{SHOP}:8443", False),
        ("https://*.example:*", f"{SHOP}:8443", True),
        ("http://localhost:*", "http://localhost", True),
        ("http://localhost:*", "http://localhost:5173", True),
        ("http://localhost:*", "http://localhost:5173@evil.example", False),
        ("http://localhost:*", "http://localhost.evil.example:80", False),
        ("*", "null", True),
        ("*", SHOP, True),
    ],
)
def test_an_origin_is_allowed_as_a_whole(pattern: str, origin: str, is_allowed: bool) -> None:
    assert allowed_origins(["https://other.example", pattern])(origin) is is_allowed


def test_without_any_pattern_no_origin_is_allowed() -> None:
    assert not allowed_origins([])("")


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:8000"])
def test_pages_of_this_machine_are_allowed_by_default_and_no_others(origin: str) -> None:
    is_allowed = allowed_origins(IngestSettings().allowed_origins)
    assert is_allowed(origin)
    assert not is_allowed(SHOP)
    assert not is_allowed("null")


async def test_a_browser_that_asks_is_told_what_it_may_send() -> None:
    status, headers, _ = await asked("OPTIONS", {"origin": SHOP, **ASKS})
    assert status == 204
    assert headers["access-control-allow-origin"] == SHOP
    assert headers["access-control-allow-methods"] == "POST"
    assert {"content-type", "authorization"} <= set(headers["access-control-allow-headers"].split(", "))
    assert int(headers["access-control-max-age"]) > 600
    assert headers["vary"] == "origin"


async def test_an_allowed_page_may_read_the_answer_and_when_to_try_again() -> None:
    status, headers, _ = await asked("POST", {"origin": SHOP})
    assert (status, headers["access-control-allow-origin"], headers["vary"]) == (202, SHOP, "origin")
    assert "retry-after" in headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize(("method", "more"), [("OPTIONS", ASKS), ("POST", {})])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
async def test_a_page_of_another_origin_is_refused_and_counted(method: str, more: dict[str, str], origin: str) -> None:
    status, headers, metrics = await asked(method, {"origin": origin, **more})
    assert status == 403
    assert "access-control-allow-origin" not in headers
    assert metrics.http_errors.labels("origin_not_allowed")._value.get() == 1


@pytest.mark.parametrize("headers", [{}, {"host": "stats.example:8080", "origin": "http://stats.example:8080"}])
async def test_programs_and_the_servers_own_pages_are_answered_as_ever(headers: dict[str, str]) -> None:
    assert (await asked("POST", headers))[:2] == (202, {"content-type": "application/json"})
