"""`/docs`: the OpenAPI document as a page to read. It has no script, and loads nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from litestar import Litestar, Request, Response, get
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi.spec import Components, SecurityScheme

from streamgauge.api.door import NEEDS, NOTHING, needed_by

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
    "Cache-Control": "no-cache",
}
_FOR_ALL: Final = {NEEDS: NOTHING}
_SCHEME: Final = "key"
_WORDS: Final = {
    "write": "Needs a write key, or an admin's.",
    "read": "Needs a read key, or an admin's.",
    "admin": "Needs an admin key.",
    NOTHING: "Needs no key.",
}
_STYLE: Final = """
:root { color-scheme: light dark; --text: light-dark(#14191c, #e9edef); --muted: light-dark(#57636a, #98a4ab);
  --line: light-dark(#e1e5e7, #272e33); --ground: light-dark(#ffffff, #0e1113); --wash: light-dark(#f0f3f4, #1c2226);
  --accent: light-dark(#0a6c8f, #5cc3e6); }
body { max-width: 60rem; margin: 0 auto; padding: 2rem 1rem 6rem; background: var(--ground); color: var(--text);
  font: 0.9375rem/1.5 system-ui, sans-serif; }
a { color: var(--accent); }
h1, h2 { line-height: 1.2; }
h2 { margin: 3rem 0 0.5rem; text-transform: capitalize; }
nav ul { columns: 18rem; padding: 0; list-style: none; font-size: 0.8125rem; }
code, pre { font: 0.8125rem/1.5 ui-monospace, monospace; }
pre { overflow: auto; padding: 0.75rem; border-radius: 6px; background: var(--wash); }
details { border-top: 1px solid var(--line); }
summary { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; align-items: baseline; padding: 0.6rem 0;
  cursor: pointer; }
summary:hover { background: var(--wash); }
summary b { min-width: 3.5rem; color: var(--accent); font-size: 0.75rem; text-transform: uppercase; }
summary span, .muted { color: var(--muted); }
table { width: 100%; border-collapse: collapse; margin: 0.5rem 0 1rem; }
th, td { padding: 0.3rem 1rem 0.3rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
.body { padding: 0 0 1.5rem; }
"""


def docs_routes() -> list[BaseRouteHandler]:
    @get("/docs", summary="This API as a page", tags=["docs"], opt=_FOR_ALL, media_type="text/html")
    async def get_docs(request: Request[Any, Any, Any]) -> Response[str]:
        page = docs_page(request.app.openapi_schema.to_schema())
        return Response(page, media_type="text/html; charset=utf-8", headers=_HEADERS)

    @get("/docs/style.css", summary="The page's style", tags=["docs"], opt=_FOR_ALL, media_type="text/css")
    async def get_style() -> Response[str]:
        return Response(_STYLE, media_type="text/css; charset=utf-8", headers={"Cache-Control": "no-cache"})

    return [get_docs, get_style]


def describe_needs(framework: Litestar) -> None:
    """Say of each operation of the document which key it needs, from what its route itself says to the guard."""
    document = framework.openapi_schema
    document.components = document.components or Components()
    schemes = {**(document.components.security_schemes or {})}
    schemes[_SCHEME] = SecurityScheme(type="http", scheme="bearer", description="A key: see docs/guide/security.md.")
    document.components.security_schemes = schemes
    for route in framework.routes:
        item = (document.paths or {}).get(route.path_format)
        for handler in getattr(route, "route_handlers", ()):
            if item is None or not isinstance(handler, HTTPRouteHandler):
                continue
            for method in handler.http_methods:
                if (operation := getattr(item, str(method).lower(), None)) is not None:
                    needed = needed_by(handler, str(method))
                    operation.security = [] if needed == NOTHING else [{_SCHEME: [needed]}]


def docs_page(document: Mapping[str, Any]) -> str:
    groups: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if operation := item.get(method):
                groups.setdefault((operation.get("tags") or ["other"])[0], []).append((method, path, operation))
    info = document["info"]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])} API</title>",
        '<link rel="stylesheet" href="docs/style.css"></head><body>',
        f"<h1>{escape(info['title'])} API <small class=muted>{escape(info['version'])}</small></h1>",
        '<p>The same for programs: <a href="openapi.json">openapi.json</a>. Back to <a href="./">the dashboard</a>. '
        "A key is sent as <code>Authorization: Bearer KEY</code>; on loopback none is needed until there is one.</p>",
        "<nav>",
    ]
    for name, operations in groups.items():
        parts.append(f"<h3>{escape(name)}</h3><ul>")
        parts += [f'<li><a href="#{_anchor(m, p)}">{m.upper()} {escape(p)}</a></li>' for m, p, _ in operations]
        parts.append("</ul>")
    parts.append("</nav><main>")
    for name, operations in groups.items():
        parts.append(f"<h2>{escape(name)}</h2>")
        for method, path, operation in operations:
            parts += _operation(method, path, operation, document)
    return "".join([*parts, "</main></body></html>"])


def _operation(method: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    yield f'<details open id="{_anchor(method, path)}"><summary><b>{method}</b><code>{escape(path)}</code>'
    yield f'<span>{escape(operation.get("summary") or "")}</span></summary><div class="body">'
    if operation.get("description"):
        yield f"<p>{escape(operation['description'])}</p>"
    if (security := operation.get("security")) is not None:
        yield f'<p class="muted">{_WORDS[next(iter(security[0].values()))[0] if security else NOTHING]}</p>'
    parameters = [_resolved(one, document) for one in operation.get("parameters") or ()]
    if parameters:
        yield _table("Parameter", "In", "What", [_parameter(one) for one in parameters])
    for kind, media in (operation.get("requestBody") or {}).get("content", {}).items():
        shown = _shown(media.get("schema") or {}, document)
        yield f"<p>Body: <code>{escape(kind)}</code></p><pre>{escape(shown)}</pre>"
    answers = (operation.get("responses") or {}).items()
    rows = [(f"<code>{escape(status)}</code>", "", escape(one.get("description", ""))) for status, one in answers]
    yield f"{_table('Answer', '', '', rows)}</div></details>"


def _parameter(one: Mapping[str, Any]) -> tuple[str, str, str]:
    schema = one.get("schema") or {}
    words = [one.get("description") or "", f"({schema['type']})" if isinstance(schema.get("type"), str) else ""]
    if one.get("required"):
        words.append("required")
    return f"<code>{escape(one['name'])}</code>", escape(one["in"]), escape(" ".join(word for word in words if word))


def _table(first: str, second: str, third: str, rows: list[tuple[str, str, str]]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in (first, second, third))
    body = "".join(f"<tr><td>{a}</td><td>{b}</td><td>{c}</td></tr>" for a, b, c in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _resolved(part: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a `$ref` stands for."""
    found: Any = part
    while isinstance(found, Mapping) and "$ref" in found:
        place: Any = document
        for name in found["$ref"].removeprefix("#/").split("/"):
            place = place[name]
        found = place
    return dict(found)


def _shown(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    return json.dumps(_resolved(schema, document), indent=2, ensure_ascii=False)


def _anchor(method: str, path: str) -> str:
    return escape(f"{method}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '') or 'root'}")
