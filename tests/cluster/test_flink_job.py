"""The jar in Flink's local cluster: statements of SQL as the arguments of its main class, over a file that ends."""

from __future__ import annotations

import base64
import json
import random
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flink_records import record
from streamgauge.log.base import LogBatch, LogSlice
from streamgauge.model import DAY_MS, Envelope
from streamgauge.stream.batch import decode

pytestmark = pytest.mark.cluster

BEGIN_MS = 1_700_000_000_000
FIELDS = ["country", "page", "d"]

_FUNCTIONS = {
    "envelope": "Envelope",
    "event_clock_ms": "EventClock",
    "above_highest": "AboveHighest",
    "sessions": "Sessions",
    "told_apart": "ToldApart",
}
_LOG = """
    CREATE TABLE log (
      record BYTES, kafka_ms BIGINT, log_offset BIGINT, log_partition AS 3, received AS TO_TIMESTAMP_LTZ(kafka_ms, 3),
      WATERMARK FOR received AS TO_TIMESTAMP_LTZ(event_clock_ms(record, kafka_ms, 300000), 3)
    ) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'json')
"""
_ITEMS = """
    CREATE TEMPORARY VIEW items AS
    SELECT e.*, kafka_ms, log_partition, log_offset, received FROM log,
      LATERAL TABLE(envelope(record, kafka_ms, log_partition, log_offset, ARRAY['country', 'page', 'd'])) AS e
"""
_COUNTED = """
    CREATE TEMPORARY VIEW counted AS
    SELECT COALESCE(anonymous_id, user_id) AS who, user_id AS identified, event, timestamp_ms, received_ms, log_offset,
      fields[1] AS country, fields[2] AS page, fields[3] AS device, received FROM items WHERE event IS NOT NULL
"""
_PANES = """
    CREATE TEMPORARY VIEW panes AS
    SELECT timestamp_ms / 86400000 AS `day`, timestamp_ms, CAST(1 AS DOUBLE) AS `value`,
      ARRAY[COALESCE(fields[2], '(unknown)')] AS dims FROM items WHERE event IS NOT NULL
"""
_TOLD = [
    """JSON_ARRAY('item', event_id, event, timestamp_ms, received_ms, user_id, anonymous_id, producer, sequence,
      properties, code, fields[1], fields[2], fields[3] NULL ON NULL) FROM items""",
    """JSON_ARRAY('above', event_id, sequence NULL ON NULL)
      FROM above_highest(input => TABLE items PARTITION BY (producer, log_partition)) WHERE producer IS NOT NULL""",
    """JSON_ARRAY(kind, who, started_at, ended_at, events, page_views, entry_page, exit_page, is_open, version,
      sessions, session_seconds NULL ON NULL)
      FROM sessions(input => TABLE counted PARTITION BY who, gap_ms => CAST(1000 AS BIGINT),
        keep_ms => CAST(86400000 AS BIGINT), every_ms => CAST(5000 AS BIGINT), on_time => DESCRIPTOR(received))""",
    """JSON_ARRAY('pane', timestamp_ms, `value`, dims[1] NULL ON NULL)
      FROM told_apart(input => TABLE panes PARTITION BY `day`, values_max => 2)""",
]


def told(home: Path, folder: Path, records: list[bytes]) -> dict[str, list[list[Any]]]:
    """What each of `_TOLD` gives, by its first column."""
    rows = [
        {"record": base64.b64encode(line).decode(), "kafka_ms": BEGIN_MS + place, "log_offset": place}
        for place, line in enumerate(records)
    ]
    (folder / "log.json").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    statements = [
        *["SET 'table.dml-sync' = 'true'", "SET 'parallelism.default' = '1'", "SET 'table.exec.state.ttl' = '1 h'"],
        *[
            f"CREATE TEMPORARY SYSTEM FUNCTION {name} AS 'streamgauge.flink.{java}'"
            for name, java in _FUNCTIONS.items()
        ],
        _LOG.format(path=folder / "log.json"),
        *[_ITEMS, _COUNTED, _PANES, "CREATE TABLE told (line STRING) WITH ('connector' = 'print')"],
        "EXECUTE STATEMENT SET BEGIN " + "".join(f"INSERT INTO told SELECT {query};" for query in _TOLD) + " END",
    ]
    (lib,) = home.glob("venv/lib/python3*/site-packages/pyflink/lib")
    run = subprocess.run(
        [
            "java",
            "-Dfile.encoding=UTF-8",
            "-Dlog4j2.level=WARN",
            "-cp",
            f"{home / 'streamgauge-flink.jar'}:{lib / '*'}",
            "streamgauge.flink.Job",
            *statements,
        ],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=300,
    )
    told_beside = [line for line in run.stdout.split("\n") if not line.startswith("+I[")]
    assert run.returncode == 0, "\n".join([*told_beside[-100:], run.stderr[-3000:]])
    found: dict[str, list[list[Any]]] = {}
    for line in run.stdout.split("\n"):  # not splitlines: texts may hold ends of lines of other kinds
        if line.startswith("+I["):
            kind, *columns = json.loads(line[3:-1])
            found.setdefault(kind, []).append(columns)
    return found


def _event(number: int, time_ms: int, page: str, **columns: Any) -> bytes:
    return Envelope(
        f"e{number}", "page_view", BEGIN_MS + time_ms, BEGIN_MS + number, properties={"page": page}, **columns
    ).to_line()


def test_statements_run_as_arguments_and_each_function_does_its_part(flink_home: Path, tmp_path: Path) -> None:
    rng = random.Random(20_265)
    strange = [record(rng) for _ in range(100)]
    journey = [
        _event(1, 0, "/a", user_id="u"),
        _event(2, 1_500, "/c", user_id="u"),
        _event(3, 750, "/b", user_id="u"),
        _event(4, -9_000, "/p1", producer="p", sequence=5),
        _event(5, -9_000, "/p2", producer="p", sequence=5),
        _event(6, -9_000, "/p3", producer="p", sequence=6),
    ]
    found = told(flink_home, tmp_path, [*strange, b"no envelope", *journey])
    lines = [*strange, *journey]
    events = decode(LogBatch((LogSlice(3, 0, len(lines), b"\n".join(lines)),)), FIELDS).events
    own = [
        "event_id",
        "event",
        "timestamp",
        "received_at",
        "user_id",
        "anonymous_id",
        "producer",
        "sequence",
        "properties",
    ]
    wanted = events.filter(pl.col("event").is_not_null()).select(*own, *[f"p:{name}" for name in FIELDS]).rows()
    items = [tuple([*columns[:9], *columns[10:]]) for columns in found["item"] if columns[1] is not None]
    assert items == wanted
    assert [columns[0] for columns in found["item"] if columns[9] == "undecodable"] == ["sg-3-100"]
    assert [columns for columns in found["above"] if columns[0] in ("e4", "e5", "e6")] == [["e4", 5], ["e6", 6]]
    of_user = [columns for columns in found["row"] if columns[0] == "u"]
    last = max(of_user, key=lambda columns: columns[8])
    assert last[1:8] == [BEGIN_MS, BEGIN_MS + 1_500, 3, 3, "/a", "/c", False]
    assert ["u", None, None, None, None, "/a", None, None, None, 1.0, 1.5] in found["rollup"]
    today = {dims for time_ms, _, dims in found["pane"] if time_ms // DAY_MS == BEGIN_MS // DAY_MS}
    assert len(today - {"(unknown)", "(other)"}) == 2
    assert "(other)" in today
