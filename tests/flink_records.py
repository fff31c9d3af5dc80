"""Records of the log at random: such as the ingest API writes, and such as others may."""

from __future__ import annotations

import json
import random
import struct
from math import isfinite
from typing import Final

from streamgauge.model import Envelope, Rejection

FIELDS: Final = sorted(["page", "country", "d", "ünï", "a b", "event", "user_id", "anonymous_id", "event_id"])
"""That are asked for."""

_KEYS: Final = ["page", "country", "d", "ünï", "a b", "event", "user_id", "message", "x", "y", ""]
_CHARACTERS: Final = [*"abc 0", "é", "ü", "\u2028", "\x7f", "\U0001f600", "/"]
_ESCAPES: Final = [
    r"\"",
    r"\\",
    r"\/",
    r"\b",
    r"\f",
    r"\n",
    r"\r",
    r"\t",
    r"\u0041",
    r"\u00e9",
    r"\u0000",
    r"\ud83d\ude00",
]
_NUMBERS: Final = [
    *["0", "-0", "-0.0", "0.0", "404.0", "1e5", "1E5", "1.0e-5", "2.50e1", "1e22", "1e23", "1e-400", "5e-324"],
    *["9223372036854775808", "-9223372036854775809", "123456789012345678901234567890", "9007199254740993.0"],
    *["2.0e-3", "288230376151711744.0", "1.7976931348623157e308", "3.14159265358979323846", "0.10", "10", "100.00"],
]
_COLUMN_TEXTS: Final = [
    "u1",
    "a\tb",
    "back\\slash",
    "\\t",
    "line\nfeed",
    "cr\r",
    "\\",
    "é\U0001f600",
    " ",
    "(x)",
    "nul\x00",
]
_STRANGE: Final = [
    *[
        b"\t",
        b"\r",
        b"\\",
        b"\\n",
        b"\\q",
        b"\x00",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xc3",
        b"\xf0\x9f\x98",
        b"\xc0\x80",
        b"\xe2\x82",
    ],
    *[
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b",",
        b":",
        b"0",
        b"-",
        b"+",
        b".",
        b"e",
        b" ",
        b"\\u12",
        b"\\ud800",
        b"\\udc00",
        b"null",
    ],
]


def record(rng: random.Random) -> bytes:
    """As the ingest API writes it, with properties as a client may write them."""
    columns = [rng.choice(_COLUMN_TEXTS) for _ in range(3)]
    is_numbered = rng.random() < 0.3
    time_ms = rng.choice([0, 1_700_000_000_000, 4_102_444_799_999, rng.randrange(4_102_444_800_000)])
    envelope = Envelope(
        event_id=columns[0],
        event=rng.choice(["click", "page_view", columns[1]]),
        timestamp=time_ms,
        received_at=rng.choice([time_ms, max(0, time_ms - 60_000), max(0, time_ms - 600_000), 1_900_000_000_000]),
        user_id=rng.choice([None, columns[1]]),
        anonymous_id=rng.choice([None, columns[2]]),
        producer=rng.choice(_COLUMN_TEXTS) if is_numbered else None,
        sequence=rng.choice([0, 7, 2**63 - 1, -5]) if is_numbered else None,
    )
    if rng.random() < 0.15:
        original = rng.choice([None, "", "it\t\n\\ \U0001f600"])
        return Envelope(
            envelope.event_id, "", time_ms, time_ms, rejection=Rejection("bad", 'it is "bad"'), original=original
        ).to_line()
    line = envelope.to_line()
    return line[: line.rindex(b"\t") + 1] + _object(rng, 3).encode()


def broken(rng: random.Random) -> bytes:
    """Such a record with a few changes, of which most make it none."""
    line = record(rng)
    for _ in range(rng.choice([1, 1, 2])):
        at = rng.randrange(len(line) + 1)
        kind = rng.random()
        if kind < 0.5:
            line = line[:at] + rng.choice(_STRANGE) + line[at:]
        elif kind < 0.7:
            line = line[:at] + line[at + rng.randrange(4) :]
        elif kind < 0.9:
            line = line[:at] + rng.choice(_STRANGE) + line[at + 1 :]
        else:
            line = line[:at]
    return line or b"x"


def _object(rng: random.Random, depth: int) -> str:
    members = [f"{_key(rng)}{_space(rng)}:{_space(rng)}{_value(rng, depth)}" for _ in range(rng.randrange(7))]
    return "{" + _space(rng) + f"{_space(rng)},{_space(rng)}".join(members) + _space(rng) + "}"


def _key(rng: random.Random) -> str:
    key = rng.choice(_KEYS)
    if rng.random() < 0.1:
        return '"' + "".join(f"\\u{ord(character):04x}" for character in key) + '"'
    return json.dumps(key, ensure_ascii=rng.random() < 0.5) if rng.random() < 0.9 else _string(rng)


def _value(rng: random.Random, depth: int) -> str:
    kind = rng.random()
    if kind < 0.3:
        return _string(rng)
    if kind < 0.6:
        return _number(rng)
    if kind < 0.8 or not depth:
        return rng.choice(["true", "false", "null", '""', "0"])
    if kind < 0.9:
        return _object(rng, depth - 1)
    separator = f"{_space(rng)},{_space(rng)}"
    return f"[{_space(rng)}{separator.join(_value(rng, depth - 1) for _ in range(rng.randrange(4)))}]"


def _string(rng: random.Random) -> str:
    parts = [rng.choice(_ESCAPES if rng.random() < 0.2 else _CHARACTERS) for _ in range(rng.randrange(12))]
    return '"' + "".join(parts) + '"'


def _number(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(_NUMBERS)
    if kind < 0.6:
        return str(rng.randrange(-(10 ** rng.randrange(1, 38)), 10 ** rng.randrange(1, 38)))
    if kind < 0.8:
        return f"{rng.randrange(10 ** rng.randrange(1, 20))}.{rng.randrange(10 ** rng.randrange(1, 20))}"
    number = float(struct.unpack("<d", rng.randbytes(8))[0])
    return repr(number) if isfinite(number) else "1.25"


def _space(rng: random.Random) -> str:
    return " " if rng.random() < 0.1 else ""
