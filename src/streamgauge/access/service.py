"""What can be done with keys and sessions while the server runs."""

from __future__ import annotations

import secrets
from typing import Final

from sqlalchemy import Connection

from streamgauge.access import register
from streamgauge.access.keyring import Keyring
from streamgauge.access.keys import Key, Scope
from streamgauge.access.register import KeyWish, Known, MadeKey
from streamgauge.core.clock import Clock
from streamgauge.core.errors import Forbidden, InvalidRequest, Unauthorized
from streamgauge.model import HOUR_MS
from streamgauge.state.database import StateDatabase

ROTATION_OVERLAP_H: Final = 24
ROTATION_OVERLAP_H_MAX: Final = 24 * 90

_TOKEN_BYTES: Final = 32


class KeyService:
    """Raises Overloaded and Unavailable where the state database does."""

    def __init__(self, database: StateDatabase, clock: Clock, session_h: int) -> None:
        self._database = database
        self._clock = clock
        self._session_ms = session_h * HOUR_MS
        self.keyring = Keyring(self._known, clock)

    async def keys(self) -> list[Key]:
        return await self._database.read(register.listed)

    async def create(self, wish: KeyWish) -> MadeKey:
        """Raises InvalidRequest."""
        if wish.scope != "admin" and not self.keyring.any_made:
            raise InvalidRequest(
                "the first key must be of the scope admin: nobody could make or revoke others without one",
                code="invalid_key",
                hint="from the first key on, every request needs one",
            )
        now_ms = self._clock.now_ms()
        made = await self._database.write(lambda connection: register.create(connection, wish, now_ms))
        await self.keyring.refresh()
        return made

    async def rotate(self, which: str, overlap_h: int) -> MadeKey:
        """Raises NotFound, InvalidRequest."""
        overlap_ms, now_ms = overlap_ms_of(overlap_h), self._clock.now_ms()
        made = await self._database.write(lambda connection: register.rotate(connection, which, now_ms, overlap_ms))
        await self.keyring.refresh()
        return made

    async def revoke(self, which: str) -> Key:
        """Raises NotFound."""
        now_ms = self._clock.now_ms()
        revoked = await self._database.write(lambda connection: register.revoke(connection, which, now_ms))
        await self.keyring.refresh()
        return revoked

    async def sign_in(self, secret: str, scopes: tuple[Scope, ...] = ("read", "admin")) -> tuple[Key, str, int]:
        """The key, the token of the session, and its seconds. Raises Unauthorized, Forbidden."""
        key = await self.keyring.key(secret)
        if key is None:
            raise Unauthorized(
                "this is not a key, or it is revoked", hint="`streamgauge keys create NAME --scope admin` makes one"
            )
        if key.scope not in scopes:
            raise Forbidden(
                f"the key {key.name} only sends events", hint="sign in with a key of the scope read or admin"
            )
        token, now_ms = secrets.token_urlsafe(_TOKEN_BYTES), self._clock.now_ms()

        def work(connection: Connection) -> None:
            register.open_session(connection, token, key.id, now_ms, now_ms + self._session_ms)

        await self._database.write(work)
        await self.keyring.refresh()
        return key, token, self._session_ms // 1_000

    async def sign_out(self, token: str) -> None:
        await self._database.write(lambda connection: register.close_session(connection, token))
        await self.keyring.refresh()

    async def _known(self) -> Known:
        now_ms = self._clock.now_ms()
        return await self._database.read(lambda connection: register.known(connection, now_ms))


def overlap_ms_of(overlap_h: int) -> int:
    """Raises InvalidRequest."""
    if not 0 <= overlap_h <= ROTATION_OVERLAP_H_MAX:
        raise InvalidRequest(
            f"the secret from before can't be good for {overlap_h} hours more",
            code="invalid_key",
            hint=f"0 to {ROTATION_OVERLAP_H_MAX}",
        )
    return overlap_h * HOUR_MS
