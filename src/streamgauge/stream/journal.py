"""How a step's memory gets to the disk: as a journal of blocks, which the runner commits together with offsets.

A step adds a block for what changed in a batch; now and then one that holds everything, so that a restart has little
to read. What a block holds is the step's own business.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

Blocks = Sequence[tuple[int, bytes]]
"""What a step resumes from: its kept blocks with their numbers, in order."""


class StateChange(msgspec.Struct, frozen=True):
    """A block that a step adds to its journal. Blocks before number `oldest_kept` are not needed any more."""

    number: int
    block: bytes
    oldest_kept: int = 0


class Journal:
    """Numbers the blocks of one step, and knows when it is time for one that holds everything."""

    def __init__(self, blocks: Blocks) -> None:
        self._next = blocks[-1][0] + 1 if blocks else 0
        self._bytes = sum(len(block) for _, block in blocks)

    @property
    def size_bytes(self) -> int:
        """Of all blocks that are kept, for a step that doesn't drop single ones."""
        return self._bytes

    @property
    def next_number(self) -> int:
        return self._next

    def add(self, block: bytes, *, oldest_kept: int = 0) -> StateChange:
        change = StateChange(self._next, block, oldest_kept)
        self._next += 1
        self._bytes += len(block)
        return change

    def replace(self, block: bytes) -> StateChange:
        """A block that makes all before it superfluous."""
        self._bytes = 0
        return self.add(block, oldest_kept=self._next)
