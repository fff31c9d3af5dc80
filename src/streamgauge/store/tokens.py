"""Insert tokens of the embedded engine whose rows were never finished: see docs/adr/0006.

The engine writes a token down, then gives the finished part its final name. Killed between the two, it knows the token
at its next start and has no rows for it, so that the same rows would be ignored when they come again. Such tokens are
taken back here, in the engine's own way: a record in its log.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

_ADDED: Final = "1"
_DROPPED: Final = "2"


class _Part(NamedTuple):
    """`20260101_3_7_1`: the blocks 3 to 7 of a partition; a mutation adds a fifth number."""

    partition: str
    first: int
    last: int

    @classmethod
    def named(cls, name: str) -> _Part | None:
        pieces = name.split("_")
        if len(pieces) not in (4, 5) or not all(piece.isdigit() for piece in pieces[1:]):
            return None
        return cls(pieces[0], int(pieces[1]), int(pieces[2]))


def forget_tokens_without_rows(store: Path) -> int:
    """Before the engine opens the folder; how many. A token whose rows were removed since, by their retention, counts
    too: nobody sends those again."""
    return sum(_repair(log) for log in store.glob("store/*/*/deduplication_logs"))


def _repair(log: Path) -> int:
    files = sorted(log.glob("deduplication_log_*.txt"), key=lambda file: int(file.stem.rpartition("_")[2]))
    if not files:
        return 0
    there = _Blocks(part for folder in log.parent.iterdir() if (part := _Part.named(folder.name)) is not None)
    orphans = {
        token: name
        for token, name in _tokens(files).items()
        if (part := _Part.named(name)) is not None and not there.have(part)
    }
    with files[-1].open("r+b") as newest:
        complete = newest.read().rfind(b"\n") + 1
        newest.truncate(complete)  # of a record that was cut off, nothing is known to the engine either
        newest.seek(complete)
        newest.writelines(f"{_DROPPED}\t{name}\t{token}\n".encode() for token, name in orphans.items())
        newest.flush()
        os.fsync(newest.fileno())
    return len(orphans)


def _tokens(files: Iterable[Path]) -> dict[str, str]:
    """Token → the name of the part that it came with."""
    known: dict[str, str] = {}
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            operation, _, rest = line.partition("\t")
            name, separator, token = rest.partition("\t")
            if operation == _ADDED and separator:
                known[token] = name
            elif operation == _DROPPED:
                known.pop(token, None)
    return known


class _Blocks:
    """The blocks that are in some part, by partition."""

    def __init__(self, parts: Iterable[_Part]) -> None:
        self._parts: dict[str, list[_Part]] = {}
        for part in parts:
            self._parts.setdefault(part.partition, []).append(part)

    def have(self, wanted: _Part) -> bool:
        return any(
            part.first <= wanted.first and wanted.last <= part.last for part in self._parts.get(wanted.partition, ())
        )
