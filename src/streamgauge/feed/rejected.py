"""The lines that did not become events: counted, the first few explained, all of them kept beside the file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, NamedTuple, Self

from streamgauge.feed.source import Line

EXAMPLES_MAX: Final = 5


class Example(NamedTuple):
    line_number: int
    code: str
    message: str


class RejectedLines:
    """Writes `FILE.rejected`, their bytes as they were, beginning with `preamble`.

    An import from the first line overwrites what an earlier one left, or removes it where there is nothing to write;
    one that goes on (`keep`) adds to it. Where the file can't be written, `problem` says why, and no import is stopped:
    logs often are in folders that only the server may write to.
    """

    def __init__(self, path: Path, *, keep: bool) -> None:
        self.path = path
        self.count_by_code: Counter[str] = Counter()
        self.examples: list[Example] = []
        self._keep = keep
        self.problem = ""
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        if not self._keep:
            try:
                self.path.unlink(missing_ok=True)
            except OSError as error:
                self._cannot_write(error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            try:
                self._file.close()  # writes what is still buffered
            except OSError as failure:
                self._cannot_write(failure)

    @property
    def count(self) -> int:
        return self.count_by_code.total()

    def add(self, line: Line, code: str, message: str, preamble: bytes = b"") -> None:
        self.count_by_code[code] += 1
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(Example(line.number, code, message))
        if self.problem:
            return
        try:
            if self._file is None:
                self._file = self.path.open("ab")
                if self._file.tell() == 0:
                    self._file.write(preamble)
            self._file.write(line.data if line.data.endswith(b"\n") else line.data + b"\n")
        except OSError as error:
            self._cannot_write(error)

    def flush(self) -> None:
        """What was added survives the end of this process, however it ends."""
        if self._file is not None and not self.problem:
            try:
                self._file.flush()
            except OSError as error:
                self._cannot_write(error)

    def _cannot_write(self, error: OSError) -> None:
        self.problem = f"they can't be written to {self.path}: {error.strerror}"
