"""The lines that did not become events: counted, the first few explained, all of them kept beside the file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, NamedTuple, Self

from streamgauge.feed.errors import FeedError
from streamgauge.feed.source import Line

EXAMPLES_MAX: Final = 5


class Example(NamedTuple):
    line_number: int
    code: str
    message: str


class RejectedLines:
    """Writes `FILE.rejected`, their bytes as they were, beginning with `preamble`.

    An import from the first line overwrites what an earlier one left, or removes it where there is nothing to write;
    one that goes on (`keep`) adds to it.
    """

    def __init__(self, path: Path, *, keep: bool) -> None:
        self.path = path
        self.count_by_code: Counter[str] = Counter()
        self.examples: list[Example] = []
        self._keep = keep
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        if not self._keep:
            self.path.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def count(self) -> int:
        return self.count_by_code.total()

    def add(self, line: Line, code: str, message: str, preamble: bytes = b"") -> None:
        """Raises FeedError where the file can't be written."""
        self.count_by_code[code] += 1
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(Example(line.number, code, message))
        try:
            if self._file is None:
                self._file = self.path.open("ab")
                if self._file.tell() == 0:
                    self._file.write(preamble)
            self._file.write(line.data if line.data.endswith(b"\n") else line.data + b"\n")
        except OSError as error:
            raise FeedError(
                f"can't write the rejected lines to {self.path}: {error.strerror}",
                hint="copy the file to a folder that can be written, and import it there: it goes on where it stopped",
            ) from error
