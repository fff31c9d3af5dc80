"""What an importer must know of a file's format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from streamgauge.feed.source import Line


class Parsed(NamedTuple):
    """An event: `event` is anything that msgspec encodes as a JSON object. `time_ms` is when it was, shifted like the
    event; None where the event doesn't say."""

    time_ms: int | None
    event: object


class Format(Protocol):
    @property
    def kind(self) -> str:
        """Its name, as in `streamgauge import KIND FILE`."""
        ...

    @property
    def identity(self) -> str:
        """The options that change what the events are: another identity is another import."""
        ...

    @property
    def metric(self) -> str:
        """The rollup where the events can be seen."""
        ...

    @property
    def preamble(self) -> bytes:
        """What the file of rejected lines must begin with to be a file of this format; known once lines were read."""
        ...

    def records(self, lines: Iterator[Line]) -> Iterator[Line]:
        """What is one event each, from the lines. A record of several lines has the number of its first.

        Raises FeedError where the file can't be of this format."""
        ...

    def parse(self, data: bytes, shift_ms: int) -> Parsed:
        """The event of a record, its time moved by `shift_ms`. Raises LineError."""
        ...


def text_of(data: bytes) -> str:
    """Logs are UTF-8, or bytes of an unknown encoding, which Latin-1 keeps apart without losing any."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
