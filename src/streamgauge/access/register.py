"""The register of keys and sessions in the state database. Each function is work of one transaction."""

from __future__ import annotations

import secrets
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from streamgauge.access.keys import (
    ORIGINS_MAX,
    Key,
    Scope,
    Verified,
    checked_name,
    checked_origin,
    hash_of,
    hint_of,
    new_secret,
    selector_of,
    verifier_of,
)
from streamgauge.access.tables import KEYS, SESSIONS
from streamgauge.core.errors import InvalidRequest, NotFound

KEYS_MAX: Final = 1_000
"""Live ones: each server knows all of them."""

LISTED_MAX: Final = 1_000
SESSIONS_MAX: Final = 1_000
"""Further ones take the place of the oldest."""


class MadeKey(msgspec.Struct, frozen=True):
    """`secret` is told this once."""

    key: Key
    secret: str


class Known(msgspec.Struct, frozen=True):
    """What a server has to know at a moment: live secrets of keys, and tokens of sessions, by their selectors."""

    keys: dict[str, Verified] = {}
    sessions: dict[str, Verified] = {}
    any_made: bool = False
    """Also where all are revoked by now: revoking the last one must not open the server."""


class KeyWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    scope: Scope
    origins: tuple[str, ...] = ()
    requests_per_s: int = 0


def create(connection: Connection, wish: KeyWish, now_ms: int) -> MadeKey:
    """Raises InvalidRequest."""
    name, origins = checked_name(wish.name), _checked_origins(wish.origins)
    if not 0 <= wish.requests_per_s <= 1_000_000:
        raise _invalid("requests_per_s is not a rate", "from 1 to 1,000,000 requests a second; 0: as the settings say")
    live = KEYS.c.revoked_ms.is_(None)
    if connection.execute(select(func.count()).select_from(KEYS).where(live)).scalar_one() >= KEYS_MAX:
        raise _invalid(f"there are {KEYS_MAX:,} keys already", "revoke those that nobody uses")
    if connection.execute(select(KEYS.c.id).where(live, KEYS.c.name == name)).first():
        raise _invalid(f"there is a key named {name!r} already", "choose another name, or rotate or revoke that one")
    secret = new_secret(wish.scope)
    key = Key(secrets.token_hex(4), name, wish.scope, origins, wish.requests_per_s, hint_of(secret), now_ms)
    row = {**msgspec.structs.asdict(key), "origins": "\n".join(origins), "hash": hash_of(secret)}
    connection.execute(insert(KEYS).values(row))
    return MadeKey(key, secret)


def listed(connection: Connection) -> list[Key]:
    """The newest first, revoked ones too."""
    rows = connection.execute(select(KEYS).order_by(KEYS.c.created_ms.desc(), KEYS.c.id).limit(LISTED_MAX))
    return [_key(row) for row in rows]


def rotate(connection: Connection, which: str, now_ms: int, overlap_ms: int) -> MadeKey:
    """A new secret; the one before is good for `overlap_ms` more. Raises NotFound."""
    row = _live(connection, which)
    secret = new_secret(row.scope)
    changed = {
        "hash": hash_of(secret),
        "hint": hint_of(secret),
        "previous_hash": row.hash if overlap_ms else None,
        "previous_until_ms": now_ms + overlap_ms if overlap_ms else None,
    }
    connection.execute(update(KEYS).where(KEYS.c.id == row.id).values(changed))
    connection.execute(delete(SESSIONS).where(SESSIONS.c.key_id == row.id))
    return MadeKey(_key(_live(connection, row.id)), secret)


def revoke(connection: Connection, which: str, now_ms: int) -> Key:
    """By name or id. Raises NotFound."""
    row = _live(connection, which)
    connection.execute(update(KEYS).where(KEYS.c.id == row.id).values(revoked_ms=now_ms))
    connection.execute(delete(SESSIONS).where(SESSIONS.c.key_id == row.id))
    return msgspec.structs.replace(_key(row), revoked_ms=now_ms)


def known(connection: Connection, now_ms: int) -> Known:
    keys: dict[str, Verified] = {}
    by_id: dict[str, Key] = {}
    for row in connection.execute(select(KEYS).where(KEYS.c.revoked_ms.is_(None))):
        key = by_id[row.id] = _key(row)
        keys[selector_of(row.hash)] = Verified(verifier_of(row.hash), key, None)
        if row.previous_hash is not None and row.previous_until_ms > now_ms:
            old = row.previous_hash
            keys[selector_of(old)] = Verified(verifier_of(old), key, row.previous_until_ms)
    sessions = {
        selector_of(row.hash): Verified(verifier_of(row.hash), by_id[row.key_id], row.expires_ms)
        for row in connection.execute(select(SESSIONS).where(SESSIONS.c.expires_ms > now_ms))
        if row.key_id in by_id
    }
    return Known(keys, sessions, bool(keys) or any_made(connection))


def any_made(connection: Connection) -> bool:
    return connection.execute(select(KEYS.c.id).limit(1)).first() is not None


def open_session(connection: Connection, token: str, key_id: str, now_ms: int, expires_ms: int) -> None:
    connection.execute(delete(SESSIONS).where(SESSIONS.c.expires_ms <= now_ms))
    oldest = select(SESSIONS.c.hash).order_by(SESSIONS.c.created_ms.desc()).offset(SESSIONS_MAX - 1).limit(-1)
    if connection.dialect.name == "postgresql":
        oldest = oldest.limit(None)
    connection.execute(delete(SESSIONS).where(SESSIONS.c.hash.in_(oldest)))
    row = {"hash": hash_of(token), "key_id": key_id, "created_ms": now_ms, "expires_ms": expires_ms}
    connection.execute(insert(SESSIONS).values(row))


def close_session(connection: Connection, token: str) -> None:
    connection.execute(delete(SESSIONS).where(SESSIONS.c.hash == hash_of(token)))


def _live(connection: Connection, which: str) -> Row[Any]:
    is_it = or_(KEYS.c.id == which, KEYS.c.name == which)
    found = select(KEYS).where(is_it, KEYS.c.revoked_ms.is_(None)).order_by((KEYS.c.id == which).desc())
    row = connection.execute(found).first()
    if row is None:
        raise NotFound(
            f"there is no key {which[:80]!r}, or it is revoked", hint="`streamgauge keys list` shows what there is"
        )
    return row


def _key(row: Row[Any]) -> Key:
    return Key(
        row.id,
        row.name,
        row.scope,
        tuple(row.origins.split()),
        row.requests_per_s,
        row.hint,
        row.created_ms,
        row.revoked_ms,
        row.previous_until_ms,
    )


def _checked_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    if len(origins) > ORIGINS_MAX:
        raise _invalid(f"there are over {ORIGINS_MAX} origins", "make a key for each site")
    return tuple(dict.fromkeys(checked_origin(origin) for origin in origins))


def _invalid(message: str, hint: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_key", hint=hint)
