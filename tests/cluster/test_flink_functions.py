"""The functions for Flink beside the embedded runner: given the same at random, both must make the same of it."""

from __future__ import annotations

import base64
import random
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from flink_records import FIELDS, broken, record
from streamgauge.log.base import LogBatch, LogSlice
from streamgauge.model import DAY_MS, Refused
from streamgauge.stream.batch import decode
from streamgauge.stream.cardinality import DimensionValues
from streamgauge.stream.session import Sessions
from streamgauge.stream.spec import PipelineSpec

pytestmark = pytest.mark.cluster

NOW_MS = 1_800_000_000_000
PARTITION = 3
GAP_MS = 1_000
SPEC = PipelineSpec((), 0, 0, 512, cardinality_max=3, session_gap_ms=GAP_MS)
FOR_EVER_MS = 10**12
NO_EVENT = "the record of the log is no event of the ingest API: "

Columns = list[str | None]


def compared(home: Path, arguments: Sequence[str], commands: Iterable[str]) -> list[list[Columns]]:
    """What `streamgauge.flink.Compare` says to each command: lines of columns."""
    classes = f"{home / 'streamgauge-flink.jar'}:{home / 'build' / 'test-classes'}:{_flink_jars(home)}"
    run = subprocess.run(
        ["java", "-cp", classes, "streamgauge.flink.Compare", *arguments],
        input="".join(f"{command}\n" for command in commands),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    answers: list[list[Columns]] = [[]]
    for line in run.stdout.splitlines():
        if line == ".":
            answers.append([])
        else:
            answers[-1].append([_text_of(column) for column in line.split(" ")])
    return answers[:-1]


def _flink_jars(home: Path) -> Path:
    (lib,) = home.glob("venv/lib/python3*/site-packages/pyflink/lib")
    return lib / "*"


def _text_of(column: str) -> str | None:
    if column == "-":
        return None
    return base64.b64decode(column[1:]).decode() if column.startswith("=") else column


def _column_of(value: str | bytes | None) -> str:
    if value is None:
        return "-"
    return "=" + base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


# Envelopes


def embedded(lines: Sequence[bytes], start: int) -> pl.DataFrame:
    batch = LogBatch((LogSlice(PARTITION, start, len(lines), b"\n".join(lines)),))
    return decode(batch, FIELDS, NOW_MS).events


def expected(row: dict[str, Any]) -> Columns:
    """What the function has to say where the embedded runner has this row."""
    names = ("event_id", "event", "timestamp", "received_at", "user_id", "anonymous_id", "producer", "sequence")
    own = [None if row[name] is None else str(row[name]) for name in names]
    if row["event"] is not None:
        return [*own, row["properties"], None, None, None, *[row[f"p:{name}"] for name in FIELDS]]
    why = msgspec.json.decode(row["properties"], type=Refused)
    is_record = why.code != "undecodable"
    message = why.message if is_record else NO_EVENT
    return [*own, row["properties"] if is_record else None, why.code, message, why.original, *[None] * len(FIELDS)]


def judged(lines: Sequence[bytes], home: Path) -> list[Columns]:
    commands = (f"{_column_of(line)} {NOW_MS} {PARTITION} {place}" for place, line in enumerate(lines))
    found = [columns for (columns,) in compared(home, ["envelopes", *FIELDS], commands)]
    for columns in found:
        if columns[9] == "undecodable" and (columns[10] or "").startswith(NO_EVENT):
            columns[10] = NO_EVENT  # the rest is in the words of other libraries
    return found


def test_records_that_the_ingest_api_writes_are_decoded_alike(flink_home: Path) -> None:
    rng = random.Random(20_261)
    lines = [record(rng) for _ in range(6_000)]
    rows = embedded(lines, 0).iter_rows(named=True)
    for line, row, found in zip(lines, rows, judged(lines, flink_home), strict=True):
        assert found == expected(row), line


def test_records_that_others_write_are_decodable_alike(flink_home: Path) -> None:
    """Beside one that certainly isn't, so that the embedded runner looks at each closely."""
    rng = random.Random(20_262)
    lines = [broken(rng) for _ in range(1_500)]
    undecodable = 0
    for place, (line, found) in enumerate(zip(lines, judged(lines, flink_home), strict=True)):
        row = embedded([line, b"no envelope"], place).row(0, named=True)
        undecodable += found[9] == "undecodable"
        assert found == expected(row), line
    assert 300 < undecodable < 1_400


def test_the_clock_goes_by_the_time_of_events_that_came_in_time(flink_home: Path) -> None:
    rng = random.Random(20_263)
    lines = [record(rng) for _ in range(1_000)]
    ahead_ms = 5 * 60_000
    said = compared(flink_home, ["clock"], (f"{_column_of(line)} {NOW_MS} {ahead_ms}" for line in lines))
    clocks = [None if clock == "null" else int(clock or "") for ((clock,),) in said]
    current = (pl.col("event").is_not_null()) & (pl.col("producer").is_null())
    in_time = pl.col("timestamp") - pl.col("received_at") <= ahead_ms
    clock = pl.when(current & in_time).then(pl.min_horizontal("timestamp", "received_at", pl.lit(NOW_MS)))
    assert clocks == embedded(lines, 0).select(clock.alias("clock"))["clock"].to_list()
    assert 100 < sum(clock is not None for clock in clocks) < 900


# Sessions


def _event(rng: random.Random, time_ms: int, received_ms: int) -> dict[str, Any]:
    texts = [None, "", "a", "b", "c"]
    return {
        "user_id": rng.choice([None, None, "u", "v"]),
        "anonymous_id": "x",
        "event": rng.choice(["page_view", "click"]),
        "timestamp": time_ms,
        "received_at": received_ms,
        **{f"p:{name}": rng.choice(texts) for name in ("page", "country", "device")},
    }


_EVENT_SCHEMA = {
    "user_id": pl.String(),
    "anonymous_id": pl.String(),
    "event": pl.String(),
    "timestamp": pl.Int64(),
    "received_at": pl.Int64(),
    "p:page": pl.String(),
    "p:country": pl.String(),
    "p:device": pl.String(),
}


def _command(user: int, event: dict[str, Any] | None, watermark_ms: int) -> str:
    if event is None:
        return f"time {user} {watermark_ms}"
    texts = " ".join(_column_of(event[name]) for name in ("p:page", "p:country", "p:device", "user_id"))
    is_page_view = int(event["event"] == "page_view")
    return f"event {user} {event['timestamp']} {event['received_at']} {is_page_view} {texts} {watermark_ms}"


def _steps(rng: random.Random) -> list[tuple[dict[str, Any] | None, int]]:
    """Events, or none where only time goes on, and watermarks."""
    watermark_ms, received_ms = 0, 100_000
    steps = []
    for _ in range(60):
        watermark_ms += rng.choice([0, 0, 0, GAP_MS // 2, GAP_MS])
        received_ms += rng.randrange(3)
        time_ms = 100_000 + rng.randrange(0, 20 * GAP_MS, GAP_MS // 4) + rng.choice([0, 0, 0, -1, 1])
        event = _event(rng, time_ms, received_ms) if rng.random() < 0.8 else None
        steps.append((event, 100_000 + watermark_ms))
    return steps


def _embedded_changes(
    sessions: Sessions, step: tuple[dict[str, Any] | None, int], version: int
) -> set[tuple[Any, ...]]:
    event, watermark_ms = step
    events = pl.DataFrame([event] if event else [], schema=_EVENT_SCHEMA, orient="row")
    changes = sessions.apply(events, watermark_ms, version, SPEC)
    rows = changes.rows.select(
        pl.lit("row").alias("kind"),
        *["opened_at", "started_at", "ended_at", "received_at", "events", "page_views"],
        *[pl.col(name).replace("", None) for name in ("entry_page", "exit_page", "country", "device")],
        *["is_open", "is_deleted"],
        pl.col("identified_user_id").replace("", None),
    )
    closed = changes.closed.select(
        pl.lit("rollup").alias("kind"),
        *["timestamp", "p:country", "p:device", "p:entry_page", "sessions", "session_seconds", "bounces"],
    )
    return {*rows.iter_rows(), *closed.iter_rows()}


def _flink_changes(answer: list[Columns]) -> set[tuple[Any, ...]]:
    changes = set()
    for kind, *columns in answer[:-1]:
        if kind == "row":
            numbers, texts, (is_open, _, is_deleted, identified) = columns[:6], columns[6:10], columns[10:]
            changes.add((kind, *map(_number, numbers), *texts, is_open == "1", _number(is_deleted), identified))
        else:
            changes.add((kind, _number(columns[0]), *columns[1:4], *[float(text or "") for text in columns[4:]]))
    return changes


def _number(column: str | None) -> int:
    return int(column or "")


def test_sessions_open_go_on_close_merge_and_come_back_alike(flink_home: Path) -> None:
    """The embedded runner takes a micro-batch at a time, a function an event: so here each batch is of one."""
    runs = [_steps(random.Random(seed)) for seed in range(60)]
    commands = [_command(user, *step) for user, steps in enumerate(runs) for step in steps]
    answers = iter(compared(flink_home, ["sessions", str(GAP_MS), str(FOR_EVER_MS), "0"], commands))
    for steps in runs:
        sessions = Sessions([])
        for version, step in enumerate(steps):
            assert _flink_changes(next(answers)) == _embedded_changes(sessions, step, version), step


def test_what_a_session_is_in_the_end_doesnt_depend_on_how_often_it_is_told(flink_home: Path) -> None:
    runs = [_steps(random.Random(seed)) for seed in range(20)]
    ending = [(None, FOR_EVER_MS)]
    commands = [_command(user, *step) for user, steps in enumerate(runs) for step in [*steps, *ending]]
    last: list[dict[tuple[int, str | None], tuple[Any, ...]]] = []
    told = 0
    for every_ms in ("0", "5000"):
        newest: dict[tuple[int, str | None], tuple[Any, ...]] = {}
        answers = compared(flink_home, ["sessions", str(GAP_MS), str(FOR_EVER_MS), every_ms], commands)
        for command, answer in zip(commands, answers, strict=True):
            user = int(command.split(" ")[1])
            for columns in answer:
                if columns[0] == "row":
                    version, told = _number(columns[12]), told + (every_ms == "0") - (every_ms == "5000")
                    newest[user, columns[1]] = max(newest.get((user, columns[1]), (0,)), (version, *columns[1:12]))
        last.append({key: row[1:] for key, row in newest.items()})
    assert last[0] == last[1]
    assert told > 50, "fewer rows are told where a session that only goes on waits"


# Values that are told apart


def test_values_over_a_limit_become_other_alike(flink_home: Path) -> None:
    rng = random.Random(20_264)
    values = ["(unknown)", "(other)", "a", "b", "c", "d", "é\t "]
    panes = [(rng.randrange(3), rng.choice(values), rng.choice(values)) for _ in range(400)]
    commands = (f"{day} {_column_of(first)} {_column_of(second)}" for day, first, second in panes)
    embedded_values = DimensionValues([])
    for (day, *dims), (found,) in zip(panes, compared(flink_home, ["values", "3"], commands), strict=True):
        pane = pl.DataFrame({"timestamp": [day * DAY_MS], "value": [1.0], "p:x": [dims[0]], "p:y": [dims[1]]})
        limited = embedded_values.limit("r", pane, "sum", SPEC.cardinality_max)
        assert found == list(limited.select("p:x", "p:y").row(0))
