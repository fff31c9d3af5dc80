"""The door of the gRPC port: whose the events of a call are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from streamgauge.access.credentials import credentials_of
from streamgauge.access.gate import Gate
from streamgauge.core.address import Proxies
from streamgauge.ingest.accept import Source
from streamgauge.ingest.grpc.service import Context


def authorizer(gate: Gate, proxies: Proxies) -> Callable[[Context], Awaitable[Source | None]]:
    """Asked for every batch, so that a stream ends soon after its key. The key is in the call's metadata, as
    `authorization`; the address is what trusted proxies say in `x-forwarded-for`, as for HTTP."""

    async def source_of_call(context: Context) -> Source | None:
        if gate.is_open:
            return None
        metadata = context.invocation_metadata() or ()
        texts = [
            (name, value.decode("latin-1") if isinstance(value, bytes) else value)
            for name, value in metadata
            if name in ("authorization", "x-forwarded-for")
        ]
        headers = {name.encode(): value.encode("latin-1", "replace") for name, value in texts}
        peer = _address(context.peer())
        hops = ",".join(value for name, value in texts if name == "x-forwarded-for")
        address = (proxies.address(peer, hops) if hops else "") or peer
        gate.enter(address)
        try:
            caller = await gate.caller(credentials_of(headers), address)
            gate.check(caller, "write")
            if caller.key is None:
                return None
            gate.take(caller.key)
            return Source(caller.key.name, may_be_stated=caller.key.may("admin"))
        finally:
            gate.leave(address)

    return source_of_call


def _address(peer: str) -> str:
    """Of `ipv4:192.0.2.1:4711` or `ipv6:%5B2001:db8::1%5D:4711`."""
    _, _, rest = unquote(peer).partition(":")
    return rest.rpartition(":")[0].strip("[]")
