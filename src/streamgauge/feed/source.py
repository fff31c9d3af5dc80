"""A file of lines, plain or gzip: opened once, read twice, in memory that doesn't grow with it."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

from streamgauge.feed.errors import FeedError

LINE_BYTES_MAX: Final = 64 * 1024
_READ_BYTES: Final = 256 * 1024
_GZIP_MAGIC: Final = b"\x1f\x8b"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line as it is in the file, with its line feed. `number` counts from 1.

    Of a line that is `too_long`, `data` has the first `LINE_BYTES_MAX` bytes and a line feed.
    """

    number: int
    data: bytes
    too_long: bool = False


class Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...


class SourceFile:
    """The second reading ends where the first one ended, so that a log that is being written is read as the same
    lines both times. Raises FeedError when the file can't be read, is damaged, or was cut between the readings."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("rb", buffering=0)
            self.is_gzip = self._file.read(2) == _GZIP_MAGIC
        except OSError as error:
            raise FeedError(f"can't read {path}: {error.strerror}", hint="check the path") from error
        self._size_bytes = path.stat().st_size
        self._end_bytes: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def size_bytes(self) -> int:
        """On disk, when it was opened."""
        return self._size_bytes

    @property
    def position_bytes(self) -> int:
        """How far the current reading is, on disk: in units of `size_bytes`."""
        return min(self._file.tell(), self._size_bytes)

    def lines(self, digest: Digest | None = None) -> Iterator[Line]:
        """All lines from the start; `digest` is given every byte before decoding, after decompression."""
        try:
            yield from self._lines(digest)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FeedError(
                f"the gzip file {self.path} is damaged or cut off: {error}", hint="check it with: gzip --test"
            ) from error
        except OSError as error:
            raise FeedError(f"can't read {self.path}: {error.strerror or error}") from error

    def _lines(self, digest: Digest | None) -> Iterator[Line]:
        reader = self._rewound()
        left_bytes = self._end_bytes
        read_bytes = number = 0
        while left_bytes is None or left_bytes > 0:
            data = reader.readline(LINE_BYTES_MAX + 1 if left_bytes is None else min(LINE_BYTES_MAX + 1, left_bytes))
            if not data:
                break
            number += 1
            too_long = len(data) > LINE_BYTES_MAX and not data.endswith(b"\n")
            size_bytes = len(data)
            if digest is not None:
                digest.update(data)
            if too_long:
                size_bytes += self._skip_line(reader, digest, None if left_bytes is None else left_bytes - size_bytes)
                data = data[:LINE_BYTES_MAX] + b"\n"
            read_bytes += size_bytes
            if left_bytes is not None:
                left_bytes -= size_bytes
            yield Line(number, data.removeprefix(_BYTE_ORDER_MARK) if number == 1 else data, too_long)
        if left_bytes:
            raise FeedError(f"{self.path} became shorter while it was being read", hint="run the import again")
        self._end_bytes = read_bytes

    def _rewound(self) -> io.BufferedReader:
        self._file.seek(0)
        if self.is_gzip:
            # GzipFile is a raw stream in all but its class; its own readline is slower than BufferedReader's.
            return io.BufferedReader(gzip.GzipFile(fileobj=self._file), _READ_BYTES)  # type: ignore[type-var,unused-ignore]
        return io.BufferedReader(_Unclosed(self._file), _READ_BYTES)

    @staticmethod
    def _skip_line(reader: io.BufferedReader, digest: Digest | None, left_bytes: int | None) -> int:
        """Read the rest of a line and forget it; how many bytes it had."""
        skipped_bytes = 0
        while left_bytes is None or skipped_bytes < left_bytes:
            wanted = _READ_BYTES if left_bytes is None else min(_READ_BYTES, left_bytes - skipped_bytes)
            data = reader.readline(wanted)
            if digest is not None:
                digest.update(data)
            skipped_bytes += len(data)
            if not data or data.endswith(b"\n"):
                break
        return skipped_bytes


class _Unclosed(io.RawIOBase):
    """Keeps the file open when the buffer over it goes away: a BufferedReader closes what it reads."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._file.readinto(buffer)
