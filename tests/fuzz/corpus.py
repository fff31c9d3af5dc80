"""What inputs are made from: the texts that the tests themselves have, and bytes that decoders stumble over."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

INPUT_BYTES_MAX: Final = 16_384

_TESTS: Final = Path(__file__).parents[1]
_TEXT_BYTES_MAX: Final = 2_048
_TOKENS: Final = (
    *(bytes([byte]) for byte in b"\x00\x1b\x7f\x80\xff\n\r\t\"'\\{}[]()<>,:;=|*%-"),
    *(
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\\ud800",
        b"\\u0000",
        b"\xe2\x80\xa8",
        "\u0663".encode(),
    ),
    *(b"NaN", b"Infinity", b"-0", b"1e999", b"1e-999", b"9" * 19, b"9" * 400, b"0x7fffffff", b"-9223372036854775809"),
    *(b"null", b"true", b"{}", b"[]", b"[" * 500, b"(" * 500, b'{"a":' * 100, b"- " * 300),
    *(b"9999-12-31T23:59:60Z", b"0000-00-00T00:00:00Z", b"2026-02-30T25:61:61+99:99", b"[5m:1s]", b"offset -9e9d"),
    *(b'"event":"e",', b'"timestamp":', b'"userId":1,', b'"properties":', b'"traits":', b'"context":', b'"batch":'),
)


def texts_in(pattern: str) -> Sequence[bytes]:
    """Of the files of tests that match, each once."""
    found: dict[bytes, None] = {}
    for file in sorted(_TESTS.glob(pattern)):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
                text = node.value if isinstance(node.value, bytes) else node.value.encode("utf-8", "replace")
                if 0 < len(text) <= _TEXT_BYTES_MAX:
                    found[text] = None
    assert found, pattern
    return list(found)


def mutated(corpus: Sequence[bytes], random: Random) -> bytes:
    """One of the corpus, changed in a few places."""
    data = bytearray(random.choice(corpus))
    for _ in range(random.randint(0, 5)):
        start = random.randint(0, len(data))
        end = min(len(data), start + random.randint(0, 16))
        match random.randrange(6):
            case 0 if data:
                data[start % len(data)] ^= 1 << random.randrange(8)
            case 1:
                del data[start:end]
            case 2:
                data[start:start] = data[start:end] * random.randint(1, 8)
            case 3:
                data[start:end] = random.choice(_TOKENS)
            case 4:
                data[start:start] = random.choice(_TOKENS)
            case _:
                other = random.choice(corpus)
                data[start:end] = other[random.randint(0, len(other)) :]
    return bytes(data[:INPUT_BYTES_MAX])
