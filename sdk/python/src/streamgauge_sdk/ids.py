"""UUIDs of version 7 (RFC 9562): sortable by time, unique over threads, processes and forks."""

from __future__ import annotations

import os
import time

_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62


def uuid7() -> str:
    """All its random bits are the kernel's, so that nothing is shared with a forked process."""
    milliseconds = time.time_ns() // 1_000_000 & (1 << 48) - 1
    random = int.from_bytes(os.urandom(10), "big")
    value = milliseconds << 80 | _VERSION | (random >> 68) << 64 | _VARIANT | random & (1 << 62) - 1
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
