"""Token buckets: how many requests each key and address may make. Pure; time is given."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from typing import Final

import msgspec

BURST_S: Final = 2
"""A bucket holds the tokens of so many seconds."""

BUCKETS_MAX: Final = 100_000
"""Of each kind; those that were used longest ago make room, which at worst gives a stranger a full bucket."""


class Taken(msgspec.Struct, frozen=True, gc=False):
    """`wait_s`: how long until it would have been granted; 0 where it was."""

    limit: int
    remaining: int
    full_in_s: int
    wait_s: int


class Buckets:
    """One bucket for each name, full at first."""

    def __init__(self, buckets_max: int = BUCKETS_MAX) -> None:
        self._buckets_max = buckets_max
        self._filled: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, per_s: int, now_s: float, cost: int = 1) -> Taken:
        """Nothing is taken where there is not enough."""
        size = per_s * BURST_S
        tokens, at_s = self._filled.pop(name, (float(size), now_s))
        tokens = min(float(size), tokens + max(0.0, now_s - at_s) * per_s)
        is_granted = tokens >= cost
        left = tokens - cost if is_granted else tokens
        self._filled[name] = left, max(at_s, now_s)
        if len(self._filled) > self._buckets_max:
            self._filled.popitem(last=False)
        wait_s = 0 if is_granted else max(1, math.ceil((cost - tokens) / per_s))
        return Taken(size, int(left), math.ceil((size - left) / per_s), wait_s)

    def charge(self, name: str, per_s: int, now_s: float, cost: int) -> None:
        """Takes what there is, of whoever has already been answered."""
        self.take(name, per_s, now_s, min(cost, self.take(name, per_s, now_s, 0).remaining))

    def __len__(self) -> int:
        return len(self._filled)


def network_of(address: str) -> str:
    """Whose limit an address comes under: of IPv6, a household's 2^64 addresses are one."""
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, 64), strict=False))
