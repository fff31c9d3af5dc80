"""Imports: a file is read once to know it, and once to send it."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from streamgauge.core.clock import Clock
from streamgauge.feed.blocks import Block, blocks
from streamgauge.feed.errors import LineError
from streamgauge.feed.format import Format
from streamgauge.feed.producer import Producer, Refused, Registration, connect, reach
from streamgauge.feed.rejected import Example, RejectedLines
from streamgauge.feed.source import LINE_BYTES_MAX, Line, SourceFile

PREVIEW_EVENTS_MAX: Final = 5
_REPORT_RECORDS: Final = 2_000


class Report(Protocol):
    """Told how it goes, from any thread."""

    def phase(self, title: str, bytes_total: int) -> None: ...

    def progress(self, bytes_done: int, lines: int) -> None:
        """Of the phase; bytes of the file on disk."""
        ...

    def waiting(self, why: str) -> None: ...


class Scan(NamedTuple):
    """What the first reading found. `newest_ms` is None where no event says when it was, or where nobody asked."""

    producer: str
    newest_ms: int | None


@dataclass
class Summary:
    """Counts of this run. `already` are lines that an earlier run had sent; the times are of the events sent now."""

    imported: int = 0
    already: int = 0
    shift_ms: int = 0
    source: str = ""
    goes_on: bool = False
    """Whether an earlier run had registered it: then its shift holds, whatever was asked for now."""
    first_ms: int | None = None
    last_ms: int | None = None
    rejected_by_code: dict[str, int] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    rejected_path: Path | None = None
    rejected_problem: str = ""
    """Why the rejected lines are not in a file; empty where they are."""
    preview: list[bytes] = field(default_factory=list)

    @property
    def rejected(self) -> int:
        return sum(self.rejected_by_code.values())

    def saw(self, time_ms: int | None) -> None:
        if time_ms is not None:
            self.first_ms = time_ms if self.first_ms is None else min(self.first_ms, time_ms)
            self.last_ms = time_ms if self.last_ms is None else max(self.last_ms, time_ms)


class _Refusal(NamedTuple):
    line: Line
    code: str
    message: str


class _Batch(NamedTuple):
    """`items[i]` is number `sequence + i` and came from `lines[i]`; `refusals` are the lines between them."""

    sequence: int
    items: list[bytes]
    lines: list[Line]
    times_ms: list[int | None]
    refusals: list[_Refusal]


async def import_file(
    path: Path, format_: Format, url: str, *, shift_to_now: bool, clock: Clock, report: Report
) -> Summary:
    """Send all events of a file, each once, however often this is called and wherever it was interrupted.

    Raises FeedError when it can't be finished.
    """
    with SourceFile(path) as file:
        async with connect(url) as client:
            await reach(client)
            scan = await asyncio.to_thread(scan_file, file, format_, report, find_newest=shift_to_now)
            producer = Producer(client, scan.producer, on_wait=report.waiting)
            wanted_shift_ms = 0 if scan.newest_ms is None else clock.now_ms() - scan.newest_ms
            source = os.fsencode(path.name).decode(errors="replace")
            registration = await producer.register(source, wanted_shift_ms)
            return await _send(file, format_, producer, registration, report)


def preview_file(path: Path, format_: Format, *, shift_to_now: bool, clock: Clock, report: Report) -> Summary:
    """What an import would send, without sending it."""
    summary = Summary()
    with SourceFile(path) as file:
        if shift_to_now:
            newest_ms = scan_file(file, format_, report, find_newest=True).newest_ms
            summary.shift_ms = 0 if newest_ms is None else clock.now_ms() - newest_ms
        report.phase("parsing", file.size_bytes)
        for block in blocks(format_.records(file.lines())):
            batch = _parsed(block, format_, summary.shift_ms)
            summary.imported += len(batch.items)
            summary.preview += batch.items[: PREVIEW_EVENTS_MAX - len(summary.preview)]
            for time_ms in batch.times_ms:
                summary.saw(time_ms)
            for refusal in batch.refusals:
                summary.rejected_by_code[refusal.code] = summary.rejected_by_code.get(refusal.code, 0) + 1
                if len(summary.examples) < PREVIEW_EVENTS_MAX:
                    summary.examples.append(Example(refusal.line.number, refusal.code, refusal.message))
            report.progress(file.position_bytes, block.records[-1].number)
    return summary


def scan_file(file: SourceFile, format_: Format, report: Report, *, find_newest: bool) -> Scan:
    """Read the file to its end: the name of its sequence of events, and the time of the newest one."""
    report.phase("reading", file.size_bytes)
    digest = hashlib.blake2b(digest_size=16)
    newest_ms: int | None = None
    number = 0
    for record in format_.records(file.lines(digest)):
        number = record.number
        if find_newest and not record.too_long:
            time_ms = _time_ms(record, format_)
            if time_ms is not None and (newest_ms is None or time_ms > newest_ms):
                newest_ms = time_ms
        if number % _REPORT_RECORDS == 0:
            report.progress(file.position_bytes, number)
    report.progress(file.position_bytes, number)
    # Neither the path nor the shift: a file that was moved, compressed or shifted otherwise is still the same import.
    digest.update(f"\0{format_.kind}\0{format_.identity}".encode())
    return Scan(f"import-{digest.hexdigest()}", newest_ms)


def _time_ms(record: Line, format_: Format) -> int | None:
    try:
        return format_.parse(record.data, 0).time_ms
    except LineError:
        return None


async def _send(
    file: SourceFile, format_: Format, producer: Producer, registration: Registration, report: Report
) -> Summary:
    summary = Summary(shift_ms=registration.shift_ms, source=registration.source, goes_on=not registration.created)
    path = file.path.with_name(f"{file.path.name}.rejected")
    with RejectedLines(path, keep=registration.next_sequence > 0) as rejected:
        report.phase("sending", file.size_bytes)
        batches = _batches(file, format_, registration, summary, report)
        batch = await asyncio.to_thread(next, batches, None)
        while batch is not None:
            for refusal in batch.refusals:
                rejected.add(*refusal, preamble=format_.preamble)
            rejected.flush()  # before it is sent: what the server has is not read again by an import that goes on
            # The next batch is parsed while this one is on its way; it is sent only when this one was answered.
            refused, following = await asyncio.gather(
                producer.send(batch.sequence, batch.items) if batch.items else _nothing(),
                asyncio.to_thread(next, batches, None),
            )
            for one in refused:
                rejected.add(batch.lines[one.index], one.code, one.message, preamble=format_.preamble)
            summary.imported += len(batch.items) - len(refused)
            for time_ms in batch.times_ms:
                summary.saw(time_ms)
            batch = following
    summary.rejected_by_code = dict(rejected.count_by_code)
    summary.examples = rejected.examples
    summary.rejected_path = path if rejected.count and not rejected.problem else None
    summary.rejected_problem = rejected.problem
    return summary


async def _nothing() -> list[Refused]:
    return []


def _batches(
    file: SourceFile, format_: Format, registration: Registration, summary: Summary, report: Report
) -> Iterator[_Batch]:
    """All that the server doesn't have yet, in order."""
    for block in blocks(format_.records(file.lines())):
        report.progress(file.position_bytes, block.records[-1].number)
        if block.end <= registration.next_sequence:
            summary.already += len(block.records)
            continue
        batch = _parsed(block, format_, registration.shift_ms)
        done = min(max(0, registration.next_sequence - block.start), len(batch.items))
        if done and done == len(batch.items):
            summary.already += len(block.records)
            continue
        summary.already += done
        yield _Batch(block.start + done, batch.items[done:], batch.lines[done:], batch.times_ms[done:], batch.refusals)


def _parsed(block: Block, format_: Format, shift_ms: int) -> _Batch:
    batch = _Batch(block.start, [], [], [], [])
    encode = msgspec.json.Encoder().encode
    for line in block.records:
        if line.too_long:
            batch.refusals.append(_Refusal(line, "too_long", f"it is over {LINE_BYTES_MAX:,} bytes"))
        elif line.data.strip():
            try:
                time_ms, event = format_.parse(line.data, shift_ms)
                batch.items.append(encode(event))
            except LineError as error:
                batch.refusals.append(_Refusal(line, error.code, error.message))
                continue
            batch.lines.append(line)
            batch.times_ms.append(time_ms)
    return batch
