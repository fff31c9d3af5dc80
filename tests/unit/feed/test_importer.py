from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamgauge.core.clock import ManualClock
from streamgauge.feed import producer
from streamgauge.feed.access_log import AccessLog
from streamgauge.feed.errors import FeedError
from streamgauge.feed.format import Format
from streamgauge.feed.importer import Summary, import_file, preview_file
from streamgauge.feed.ndjson import Ndjson
from streamgauge.feed.tabular import Columns, Tabular
from unit.feed.fake_server import FakeServer, Trouble

NEWEST_MS = 1_431_860_000_000


class Silent:
    def phase(self, title: str, bytes_total: int) -> None: ...

    def progress(self, bytes_done: int, lines: int) -> None: ...

    def waiting(self, why: str) -> None: ...


def imported(
    path: Path, server: FakeServer, format_: Format, *, shift_to_now: bool = False, clock: ManualClock | None = None
) -> Summary:
    return asyncio.run(
        import_file(path, format_, server.url, shift_to_now=shift_to_now, clock=clock or ManualClock(), report=Silent())
    )


def ndjson_file(folder: Path, count: int, bad: Callable[[int], bool] = lambda n: False) -> Path:
    path = folder / "events.ndjson"
    path.write_text(
        "".join("oops\n" if bad(n) else f'{{"event":"a","user_id":{n % 50},"n":{n}}}\n' for n in range(count))
    )
    return path


def numbers(server: FakeServer) -> list[int]:
    return sorted(event["n"] for event in server.events)


def log_file(folder: Path) -> Path:
    path = folder / "access.log"
    times = ("10:05:03", "10:53:20", "10:20:00")
    line = '1.1.1.1 - - [17/May/2015:{} +0000] "GET / HTTP/1.1" 200 5\n'
    path.write_text("".join(map(line.format, times)))
    return path


def test_every_line_is_imported_once(server: FakeServer, tmp_path: Path) -> None:
    summary = imported(ndjson_file(tmp_path, 4_500), server, Ndjson())
    assert (summary.imported, summary.already, summary.rejected) == (4_500, 0, 0)
    assert numbers(server) == list(range(4_500))


def test_a_second_run_finds_nothing_new_and_sends_nothing(server: FakeServer, tmp_path: Path) -> None:
    path = ndjson_file(tmp_path, 2_500, bad=lambda n: n % 1_000 == 7)
    imported(path, server, Ndjson())
    requests = len(server.sent)
    kept = (tmp_path / "events.ndjson.rejected").read_bytes()
    summary = imported(path, server, Ndjson())
    assert (summary.imported, summary.already, summary.rejected) == (0, 2_500, 0)
    assert len(server.sent) == requests
    assert (tmp_path / "events.ndjson.rejected").read_bytes() == kept


def test_an_import_is_known_by_its_content_not_by_its_name_or_compression(server: FakeServer, tmp_path: Path) -> None:
    path = ndjson_file(tmp_path, 100)
    packed = tmp_path / "other.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    imported(path, server, Ndjson())
    assert imported(packed, server, Ndjson()).source == "events.ndjson"
    assert len(server.events) == 100


def test_options_that_change_the_events_make_another_import(server: FakeServer, tmp_path: Path) -> None:
    path = ndjson_file(tmp_path, 10)
    imported(path, server, Ndjson())
    imported(path, server, Ndjson("visit"))
    assert len(server.imports) == 2


@pytest.mark.parametrize("answered", [0, 1, 2])
def test_an_import_that_was_cut_off_goes_on_where_it_stopped(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered: int
) -> None:
    path = ndjson_file(tmp_path, 7_000, bad=lambda n: n % 13 == 0)
    good = [n for n in range(7_000) if n % 13]
    send = producer.Producer.send
    left = answered

    async def cut_off(self: producer.Producer, sequence: int, items: list[bytes]) -> list[producer.Refused]:
        nonlocal left
        refused = await send(self, sequence, items)
        if left == 0:
            raise FeedError("the answer was lost")
        left -= 1
        return refused

    with monkeypatch.context() as patch:
        patch.setattr(producer.Producer, "send", cut_off)
        with pytest.raises(FeedError):
            imported(path, server, Ndjson())
    summary = imported(path, server, Ndjson())
    assert numbers(server) == good
    assert summary.goes_on
    assert summary.already > 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8, deadline=None)
@given(
    st.lists(st.sampled_from([Trouble(503, "0"), Trouble(429, "0"), Trouble(), Trouble(keeps=True)]), max_size=4),
    st.integers(2, 400),
)
def test_no_trouble_on_the_way_loses_or_doubles_an_event(tmp_path: Path, troubles: list[Trouble], every: int) -> None:
    path = ndjson_file(tmp_path, 5_000, bad=lambda n: n % every == 0)
    with FakeServer() as server:
        server.troubles.extend(troubles)
        summary = imported(path, server, Ndjson())
        assert numbers(server) == [n for n in range(5_000) if n % every]
    assert summary.imported + summary.rejected == 5_000


def test_a_shift_to_now_moves_the_newest_line_to_now_and_keeps_the_distances(
    server: FakeServer, tmp_path: Path
) -> None:
    clock = ManualClock(1_800_000_000_000)
    summary = imported(log_file(tmp_path), server, AccessLog(), shift_to_now=True, clock=clock)
    times_ms = [event["timestamp"] - clock.now_ms() for event in server.events]
    assert times_ms == [-2_897_000, 0, -2_000_000]
    assert summary.shift_ms == clock.now_ms() - NEWEST_MS
    assert (summary.first_ms, summary.last_ms) == (clock.now_ms() - 2_897_000, clock.now_ms())


@pytest.mark.parametrize("shift_to_now", [True, False])
def test_an_import_that_goes_on_keeps_the_shift_it_began_with(
    server: FakeServer, tmp_path: Path, shift_to_now: bool
) -> None:
    clock = ManualClock(1_800_000_000_000)
    path = log_file(tmp_path)
    server.troubles.append(Trouble(400))
    with pytest.raises(FeedError, match="the queue is full"):
        imported(path, server, AccessLog(), shift_to_now=True, clock=clock)
    clock.advance(3_600_000)
    summary = imported(path, server, AccessLog(), shift_to_now=shift_to_now, clock=clock)
    assert summary.shift_ms == 1_800_000_000_000 - NEWEST_MS
    assert max(event["timestamp"] for event in server.events) == 1_800_000_000_000


def test_without_a_shift_times_stay_as_they_are(server: FakeServer, tmp_path: Path) -> None:
    summary = imported(log_file(tmp_path), server, AccessLog())
    assert summary.last_ms == max(event["timestamp"] for event in server.events) == NEWEST_MS


def test_lines_that_are_no_events_are_kept_as_they_were(server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "mixed.ndjson"
    path.write_bytes(b'{"event":"a","n":1}\noops \xff\r\n\n{"n":2}\n' + b"x" * 70_000 + b'\n{"event":"a","n":3}\n[')
    summary = imported(path, server, Ndjson())
    assert numbers(server) == [1, 3]
    assert summary.rejected_by_code == {"malformed": 1, "missing_event": 1, "not_an_object": 1, "too_long": 1}
    assert {example.line_number for example in summary.examples} == {2, 4, 5, 7}
    assert summary.rejected_path == tmp_path / "mixed.ndjson.rejected"
    lines = summary.rejected_path.read_bytes().split(b"\n")
    assert {line[:65_536] for line in lines} == {b"oops \xff\r", b'{"n":2}', b"x" * 65_536, b"[", b""}


def test_rejected_lines_are_in_their_file_before_the_server_has_the_lines_around_them(
    server: FakeServer, tmp_path: Path
) -> None:
    path = ndjson_file(tmp_path, 3_000, bad=lambda n: n == 7)
    server.troubles.append(Trouble(400))
    with pytest.raises(FeedError):
        imported(path, server, Ndjson())
    assert Path(f"{path}.rejected").read_bytes().count(b"\n") == 1


def test_rejected_lines_that_can_not_be_kept_do_not_stop_the_import(server: FakeServer, tmp_path: Path) -> None:
    path = ndjson_file(tmp_path, 3_000, bad=lambda n: n % 100 == 0)
    (tmp_path / "events.ndjson.rejected").mkdir()
    summary = imported(path, server, Ndjson())
    assert (summary.imported, summary.rejected) == (2_970, 30)
    assert "can't be written" in summary.rejected_problem


def test_a_file_of_rejected_lines_is_not_left_when_there_are_none(server: FakeServer, tmp_path: Path) -> None:
    path = ndjson_file(tmp_path, 10)
    old = tmp_path / "events.ndjson.rejected"
    old.write_text("of an earlier import")
    assert imported(path, server, Ndjson()).rejected_path is None
    assert not old.exists()


def test_rejected_rows_of_a_table_can_be_imported_again_with_their_header(server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b'event,n\r\na,1\r\na\r\n"a\r\nb",x\r\n')
    summary = imported(path, server, Tabular(Columns({}, numbers=frozenset({"n"}))))
    assert summary.rejected_path is not None
    assert summary.rejected_path.read_bytes() == b'event,n\na\r\n"a\r\nb",x\r\n'
    assert server.events == [{"event": "a", "n": 1}]


def test_a_file_of_another_kind_is_read_to_its_end_and_sends_nothing(server: FakeServer, tmp_path: Path) -> None:
    summary = imported(ndjson_file(tmp_path, 3_000), server, AccessLog())
    assert (summary.imported, summary.rejected_by_code) == (0, {"not_a_log_line": 3_000})
    assert server.sent == []


def test_an_empty_file_is_imported_in_no_time(server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert imported(path, server, Ndjson(), shift_to_now=True).imported == 0


def test_a_damaged_gzip_file_sends_nothing(server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(ndjson_file(tmp_path, 5_000).read_bytes())[:-100])
    with pytest.raises(FeedError, match="damaged or cut off"):
        imported(path, server, Ndjson())
    assert server.imports == {}


def test_a_preview_counts_like_an_import_and_needs_no_server(tmp_path: Path) -> None:
    path = ndjson_file(tmp_path, 3_000, bad=lambda n: n % 1_000 == 999)
    summary = preview_file(path, Ndjson(), shift_to_now=True, clock=ManualClock(), report=Silent())
    assert (summary.imported, summary.rejected_by_code) == (2_997, {"malformed": 3})
    assert summary.preview == [b'{"event":"a","user_id":%d,"n":%d}' % (n, n) for n in range(5)]
    assert not (tmp_path / "events.ndjson.rejected").exists()
