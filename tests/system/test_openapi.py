"""The OpenAPI document: it has every route, and whatever is made up from it is answered without a failure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core import NotSet

from keyed import KeyedSystem, bearer

API = Path(__file__).parents[2] / "src" / "streamgauge" / "api"
PAGES = {"/", "/-/addresses"}
"""The dashboard's, which are not described."""

ENDLESS = {"/live"}
EXAMPLES_MAX = 6
"""Of each operation and mode: the whole test takes seconds."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedSystem]:
    config = "access.address_requests_per_s = 0\naccess.key_requests_per_s = 0\n"
    with KeyedSystem(tmp_path_factory.mktemp("described") / "data", config=config) as started:
        yield started
        assert not any(bad in started.output for bad in (" ERROR ", "Traceback")), started.output[-5_000:]


@pytest.fixture(scope="module")
def document(system: KeyedSystem) -> dict[str, Any]:
    content: dict[str, Any] = system.ask("/openapi.json").json()
    return content


def test_every_route_of_the_source_is_in_the_document(document: dict[str, Any]) -> None:
    source = "\n".join(file.read_text(encoding="utf-8") for file in API.rglob("*.py"))
    routes = set(re.findall(r'@(?:get|post|put|patch|delete|route)\(\s*f?"(/[^"]*)"', source))
    assert len(routes) > 20
    routes = {re.sub(r":(?:str|path)\}", "}", path) for path in routes}
    described = set(document["paths"])
    prometheus = "/api/v1{path}"  # of several
    assert {path for path in routes - PAGES if path != prometheus} - described == set()
    assert "/api/v1/query_range" in described


def test_every_operation_says_what_it_is_for_and_which_key_it_needs(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], (method, path)
            assert operation["tags"], (method, path)
            assert operation["security"] in ([], *([{"key": [scope]}] for scope in ("write", "read", "admin"))), path
            assert operation.get("responses"), (method, path)


class _Loads(HTMLParser):
    """What a page has a browser load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given_ones = dict(attributes)
        if tag in ("script", "img", "iframe", "style") or any(name.startswith("on") for name in given_ones):
            self.found.append((tag, given_ones.get("src")))
        if tag == "link":
            self.found.append((tag, given_ones.get("href")))


def test_the_page_to_read_has_every_operation_and_loads_nothing_from_elsewhere(
    system: KeyedSystem, document: dict[str, Any]
) -> None:
    answer = system.ask("/docs")
    loads = _Loads()
    loads.feed(answer.text)
    assert loads.found == [("link", "docs/style.css")]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert system.ask("/docs/style.css").headers["content-type"].startswith("text/css")
    for path, item in document["paths"].items():
        assert f"<code>{path}</code>" in answer.text
        assert all(escape(operation["summary"]) in answer.text for operation in item.values())


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_whatever_is_made_up_from_the_document_is_answered_without_a_failure(
    system: KeyedSystem, document: dict[str, Any], mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_dict(document)
    failed: list[str] = []
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in ENDLESS:
            continue

        @settings(
            max_examples=EXAMPLES_MAX,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case) -> None:
            nonlocal asked
            asked += 1
            answer = case.call(base_url=system.url(), headers=bearer(system.admin), timeout=20)
            if answer.status_code >= 500:
                body = None if isinstance(case.body, NotSet) else case.body
                what = f"{case.method} {case.formatted_path} {case.query} {body!r}"
                failed.append(f"{what}: {answer.status_code} {answer.text[:200]}")

        with suppress(Unsatisfiable):  # nothing can be wrong with what takes nothing
            ask()
    assert failed == [], "\n".join(failed)
    assert asked > 100
