"""Keys: what they are, and how they are told apart from everything else. Pure.

A key's secret is 256 random bits behind a prefix that says what it is. Only its SHA-256 is kept: no list of likely
secrets exists that a slow or salted hash would have to hold up, and events are authenticated thousands of times a
second.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from streamgauge.config import Origin
from streamgauge.core.errors import InvalidRequest

Scope = Literal["write", "read", "admin"]
"""`write` sends events and nothing else, so that its secret may be public; `read` asks; `admin` does all."""

SCOPES: Final[tuple[Scope, ...]] = ("write", "read", "admin")

SECRET_CHARS_MAX: Final = 128
"""What is longer is no secret of ours."""

ORIGINS_MAX: Final = 32

_PREFIXES: Final[Mapping[Scope, str]] = {"write": "sgw_", "read": "sgr_", "admin": "sga_"}
_SECRET_BYTES: Final = 32
_HINT_CHARS: Final = 4
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_GRANTS: Final[Mapping[Scope, frozenset[Scope]]] = {
    "write": frozenset({"write"}),
    "read": frozenset({"read"}),
    "admin": frozenset(SCOPES),
}


class Key(msgspec.Struct, frozen=True):
    """All of a key but its secret, of which `hint` has the last characters. Events sent with it are of the source
    `name`. `origins`: patterns of the web pages whose scripts may use it; none: those of `ingest.allowed_origins`."""

    id: str
    name: str
    scope: Scope
    origins: tuple[str, ...]
    requests_per_s: int
    """0: as many as `limits.key_requests_per_s` says."""
    hint: str
    created_ms: int
    revoked_ms: int | None = None
    previous_until_ms: int | None = None
    """Until then the secret from before a rotation is good as well."""

    def may(self, scope: Scope) -> bool:
        return scope in _GRANTS[self.scope]


class Verified(msgspec.Struct, frozen=True):
    """What a secret is good for, and until when (None: no end). It is found by the selector, one half of its hash; the
    other half, `verifier`, is compared in constant time."""

    verifier: str
    key: Key
    until_ms: int | None


def new_secret(scope: Scope) -> str:
    return _PREFIXES[scope] + secrets.token_urlsafe(_SECRET_BYTES)


def hint_of(secret: str) -> str:
    return secret[-_HINT_CHARS:]


def hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def selector_of(hashed: str) -> str:
    return hashed[: len(hashed) // 2]


def verifier_of(hashed: str) -> str:
    return hashed[len(hashed) // 2 :]


def checked_name(name: str) -> str:
    """Raises InvalidRequest."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name[:80]!r} is not a name of a key",
            code="invalid_key",
            hint="1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit: it is the `source` of the events",
        )
    return name


def checked_origin(origin: str) -> str:
    """Raises InvalidRequest."""
    try:
        return msgspec.convert(origin, Origin).lower()
    except msgspec.ValidationError:
        raise InvalidRequest(
            f"{origin[:80]!r} is not an origin of web pages",
            code="invalid_key",
            hint="scheme, host and port, like https://shop.example or https://*.shop.example; or * for all",
        ) from None
