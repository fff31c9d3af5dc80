"""Origins of web pages, as browsers say them: which are meant by a pattern."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection


def allowed_origins(patterns: Collection[str]) -> Callable[[str], bool]:
    """Whether an `Origin` header is one of these: `https://shop.example`, `https://*.example.com` (any name below it),
    `http://localhost:*` (any port, or none), `*` (any at all, also the `null` of a file)."""
    if "*" in patterns:
        return lambda _: True
    anyone = re.compile("|".join(map(_expression, patterns)) or "(?!)", re.ASCII)
    return lambda origin: anyone.fullmatch(origin) is not None


def _expression(pattern: str) -> str:
    escaped = re.escape(pattern.lower())
    return escaped.replace(r"://\*\.", r"://(?:[a-z0-9_-]+\.)+").replace(r":\*", r"(?::\d+)?")
