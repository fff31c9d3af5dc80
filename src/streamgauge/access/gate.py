"""The gate: who a request is from, and whether it may do what it asks for. Knows nothing of HTTP but headers."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import msgspec

from streamgauge.access.buckets import Buckets, Taken, network_of
from streamgauge.access.credentials import Credentials
from streamgauge.access.keyring import Keyring
from streamgauge.access.keys import Key, Scope
from streamgauge.config import AccessSettings
from streamgauge.core.errors import Forbidden, OriginNotAllowed, RateLimited, Unauthorized
from streamgauge.core.origins import allowed_origins
from streamgauge.core.selfmetrics import SelfMetrics

LOCAL_ACTOR: Final = "anyone"
"""Who acts where no key is needed."""

_REFUSED_COST: Final = 20
"""A secret that is good for nothing costs its address as much as so many requests."""

_MAKE_A_KEY: Final = "streamgauge keys create NAME --scope"


class Caller(msgspec.Struct, frozen=True):
    """Who a request is from. Without a key: anyone where none is needed, else a stranger."""

    address: str
    key: Key | None = None
    by_session: bool = False

    @property
    def actor(self) -> str:
        return self.key.name if self.key is not None else LOCAL_ACTOR

    @property
    def source(self) -> str | None:
        """Of the events that come with the request."""
        return self.key.name if self.key is not None else None


class Origin(msgspec.Struct, frozen=True):
    """Of the web page whose script sent a request: as the browser says it, and whether it is one of this server."""

    name: str
    is_own: bool


class Gate:
    """Used on the event loop only. `is_private`: nobody reaches the port but those who may do everything, so that no
    key is needed until the first one is made."""

    def __init__(
        self,
        keyring: Keyring,
        settings: AccessSettings,
        metrics: SelfMetrics,
        *,
        is_private: bool,
        is_allowed_origin: Callable[[str], bool],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keyring = keyring
        self._settings = settings
        self._metrics = metrics
        self._is_private = is_private
        self._is_allowed_origin = is_allowed_origin
        self._seconds = seconds
        self._addresses = Buckets()
        self._keys = Buckets()
        self._under_way: dict[str, int] = {}

    @property
    def is_open(self) -> bool:
        return self._is_private and not self._keyring.any_made

    # Limits

    def enter(self, address: str) -> Taken | None:
        """Counts a request of an address; each must `leave`. What is left of its rate; None where there is no limit.
        Raises RateLimited, after which it must not leave."""
        network = network_of(address)
        under_way, most = self._under_way.get(network, 0), self._settings.address_requests_max
        if most and under_way >= most:
            raise self._limited("address_requests", f"{most} requests of your address are under way", 1)
        per_s = self._settings.address_requests_per_s
        taken = self._addresses.take(network, per_s, self._seconds()) if per_s else None
        if taken is not None and taken.wait_s:
            raise self._limited("address", f"your address sends over {per_s} requests a second", taken.wait_s)
        self._under_way[network] = under_way + 1
        return taken

    def leave(self, address: str) -> None:
        network = network_of(address)
        left = self._under_way.get(network, 0) - 1
        if left > 0:
            self._under_way[network] = left
        else:
            self._under_way.pop(network, None)

    def _limited(self, limit: str, message: str, wait_s: int) -> RateLimited:
        self._metrics.access_limited.labels(limit).inc()
        return RateLimited(message, hint="send less often, or more events in each request", retry_after_s=wait_s)

    def take(self, key: Key) -> Taken | None:
        """Counts a request of a key. Raises RateLimited."""
        per_s = key.requests_per_s or self._settings.key_requests_per_s
        if not per_s:
            return None
        taken = self._keys.take(key.id, per_s, self._seconds())
        if taken.wait_s:
            raise self._limited("key", f"the key {key.name} sends over {per_s} requests a second", taken.wait_s)
        return taken

    # Who, and what

    async def caller(self, credentials: Credentials, address: str) -> Caller:
        """Raises Unauthorized where a secret is given that is good for nothing, Unavailable where that can't be
        told."""
        if self.is_open:
            return Caller(address)
        if credentials.session:
            # One that has ended is none: the page that asks is shown how to sign in.
            key = await self._keyring.key_of_session(credentials.session)
            return Caller(address, key, by_session=key is not None)
        secret = credentials.secret or credentials.write_key
        if not secret:
            self._keyring.check_age()
            return Caller(address)
        key = await self._keyring.key(secret)
        if key is None or (credentials.write_key and key.scope != "write"):
            raise self._refused(address, key)
        return Caller(address, key)

    def caller_of_body(self, credentials: Credentials, address: str) -> Caller:
        """Of a key in a body, which may be read in any thread: only keys that are known already, as new ones are after
        a second. Raises as `caller` does."""
        if self.is_open:
            return Caller(address)
        key = self._keyring.key_now(credentials.write_key)
        if key is None or key.scope != "write":
            raise self._refused(address, key)
        return Caller(address, key)

    def _refused(self, address: str, key: Key | None) -> Unauthorized:
        self.charge(address)
        self._metrics.access_refused.labels("unknown_key" if key is None else "misplaced_key").inc()
        if key is not None:
            return Unauthorized(
                "only a write key may stand in a URL or a body",
                hint=f"send Authorization: Bearer …; and as URLs are logged, rotate the key {key.name}",
            )
        return Unauthorized(
            "the key is not known, or it is revoked", hint="`streamgauge keys list` shows what there is"
        )

    def charge(self, address: str) -> None:
        """For a secret that was good for nothing."""
        per_s = self._settings.address_requests_per_s
        if per_s:
            self._addresses.charge(network_of(address), per_s, self._seconds(), _REFUSED_COST)

    def may(self, caller: Caller, scope: Scope) -> bool:
        return self.is_open or (caller.key is not None and caller.key.may(scope))

    def check(self, caller: Caller, scope: Scope) -> None:
        """Raises Unauthorized, Forbidden."""
        if self.may(caller, scope):
            return
        if caller.key is None:
            self._metrics.access_refused.labels("no_key").inc()
            raise Unauthorized(
                f"this needs a key of scope {scope}",
                hint=f"send Authorization: Bearer KEY; `{_MAKE_A_KEY} {scope}` makes one",
            )
        self._metrics.access_refused.labels("scope").inc()
        raise Forbidden(
            f"the key {caller.key.name} has the scope {caller.key.scope}, and this needs {scope}",
            hint=f"`{_MAKE_A_KEY} {scope}` makes one that may",
        )

    # Web pages

    def check_origin(self, caller: Caller, origin: Origin | None, *, is_event: bool) -> None:
        """Of a request that changes something. Pages of other sites may send events alone: those that the key names,
        or where it names none, or none is needed, those of `ingest.allowed_origins`. A session is only for this
        server's own pages, and browsers say of those where they are from. Raises OriginNotAllowed."""
        if origin is None:
            if caller.by_session:
                raise self._foreign("a browser sent this, and it does not say from which page")
        elif not origin.is_own and not (is_event and self._allows(caller, origin.name)):
            raise self._foreign(f"pages at {origin.name[:200]} may not do this")

    def _allows(self, caller: Caller, origin: str) -> bool:
        if caller.by_session:
            return False
        if caller.key is not None and caller.key.origins:
            return _matcher(caller.key.origins)(origin)
        return self._is_allowed_origin(origin)

    def _foreign(self, message: str) -> OriginNotAllowed:
        self._metrics.access_refused.labels("origin").inc()
        return OriginNotAllowed(
            message,
            hint="name the page in the origins of the key, or in ingest.allowed_origins in the config file",
        )

    def knows_origin(self, origin: str) -> bool:
        """Whether pages there may send events, with the right key."""
        return self._is_allowed_origin(origin) or _matcher(self._keyring.origins)(origin)


@lru_cache(maxsize=1_024)
def _matcher(origins: tuple[str, ...]) -> Callable[[str], bool]:
    return allowed_origins(origins)
