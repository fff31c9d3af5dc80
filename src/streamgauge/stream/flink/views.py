"""What happens to events between the log and the rows, as views and inserts of Flink SQL.

The steps are those of `stream.pipeline.Pipeline`, one view a step:

    log → item → plain, numbered → in_time → told → counted → panes of each rollup, sessions, raw events
                       └─▶ dead letters        └─▶ duplicates

Plain items and those that a producer numbered come together only where rows are shared out anyway: behind a union, each
of Flink's tasks that reads from it would be sent all rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streamgauge.model import DAY_MS, SESSION_DIMENSIONS, SESSION_METRICS, Rollup
from streamgauge.stream.flink.dialect import array, interval, known, name, text, texts
from streamgauge.stream.flink.tables import TICK, sink_name
from streamgauge.stream.pipeline import wanted_fields
from streamgauge.stream.spec import PipelineSpec
from streamgauge.stream.window import condition_texts

_ENVELOPE = (
    "event_id",
    "event",
    "timestamp_ms",
    "received_ms",
    "user_id",
    "anonymous_id",
    "producer",
    "sequence",
    "properties",
    "code",
    "message",
    "original",
    "fields",
)
_ASKED_FOR = "CASE WHEN POSITION(CHR(0) IN COALESCE(user_id, '')) > 0 THEN CAST(NULL AS STRING) ELSE user_id END"
"""Of profiles. PostgreSQL has no texts with the character 0, and refuses the question."""

_PLACE = ("log_partition", "log_offset")
_ITEM = ", ".join(f"`{column}`" for column in (*_ENVELOPE, *_PLACE, "written"))

_KINDS = ("plain", "numbered")
_SESSION_FIELDS = ("page", "country", "device")
_ROW_INTERVAL_MS = 5_000
"""An open session that only goes on gives a row at most so often."""

_MADE_ID = "COALESCE(event_id = producer || ':' || CAST(`sequence` AS STRING), event_id LIKE 'sg-%')"
"""Whether the server made the id: nobody repeats it who doesn't number his items."""


class Views:
    """Of one pipeline. `has_profiles`: whether there is a table `profiles` to join."""

    def __init__(self, spec: PipelineSpec, pane_ms: int, *, has_profiles: bool) -> None:
        self._spec = spec
        self._pane = interval(pane_ms)
        self._fields = sorted(wanted_fields(spec))
        self._joined = spec.profile_columns if has_profiles else ()

    def views(self) -> Iterator[tuple[str, str]]:
        """Name and query, in the order in which they build on each other."""
        spec = self._spec
        envelope = f"envelope(record, {_ms('written')}, log_partition, log_offset, ARRAY[{texts(self._fields)}])"
        yield (
            "item",
            f"SELECT {_ITEM}\nFROM log, LATERAL TABLE({envelope}) AS e({', '.join(f'`{c}`' for c in _ENVELOPE)})",
        )
        yield "plain", f"{self._judged()}\nFROM item WHERE producer IS NULL"
        yield (
            "item_numbered",
            f"SELECT {_ITEM}, producer || ' ' || CAST(log_partition AS STRING) AS who FROM item "
            "WHERE producer IS NOT NULL",
        )
        yield (
            "numbered",
            self._judged().replace("`written`", "rowtime AS written") + "\nFROM "
            "above_highest(TABLE item_numbered PARTITION BY who, DESCRIPTOR(written), 'above_highest')",
        )
        columns = f"{_ITEM}, whose, is_anonymous"
        with_id = " UNION ALL ".join(
            f"SELECT {columns} FROM {view} WHERE reason IS NULL AND NOT is_made" for view in _KINDS
        )
        yield (
            "looked_at",
            f"SELECT {columns}, COUNT(*) OVER (PARTITION BY event_id, whose, is_anonymous ORDER BY proc\n"
            "  ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS times\n"
            f"FROM (SELECT *, PROCTIME() AS proc FROM ({with_id}))",
        )
        without = [f"SELECT {columns} FROM {view} WHERE reason IS NULL AND is_made" for view in _KINDS]
        yield "told", "\nUNION ALL\n".join([f"SELECT {columns} FROM looked_at WHERE times = 1", *without])
        yield "counted", self._counted()
        texts_ = ", ".join(
            f"SUBSTRING({self._field(field)}, 1, {spec.dimension_chars_max}) AS {field}" for field in _SESSION_FIELDS
        )
        yield (
            "beat",
            "SELECT CASE WHEN whose <> '' THEN IF(is_anonymous, 'a', 'u') || whose END AS who, event, timestamp_ms,\n"
            f"  received_ms, log_offset, written, {texts_},\n"
            "  IF(is_anonymous, user_id, CAST(NULL AS STRING)) AS identified\nFROM counted\n"
            f"UNION ALL\nSELECT CAST(NULL AS STRING), {text(TICK)}, {_ms('ticked')}, {_ms('ticked')}, "
            "CAST(0 AS BIGINT), ticked, "
            f"{', '.join(['CAST(NULL AS STRING)'] * (len(_SESSION_FIELDS) + 1))} FROM clock",
        )
        yield (
            "session_change",
            f"SELECT * FROM sessions(TABLE beat PARTITION BY who, {_long(spec.session_gap_ms)}, "
            f"{_long(spec.allowed_lateness_ms)},\n  {_long(_ROW_INTERVAL_MS)}, DESCRIPTOR(written), 'sessions')",
        )
        for rollup in spec.rollups:
            yield from self._panes(rollup)
        yield from self._session_panes()

    def inserts(self) -> Iterator[str]:
        """What goes to each topic of rows."""
        spec = self._spec
        sums = [rollup for rollup in spec.rollups if rollup.measured.kind in ("count", "sum")]
        extremes = [rollup for rollup in spec.rollups if rollup.measured.kind in ("min", "max")]
        parts = [_rows(rollup.name, rollup.dimensions, "`value`", f"limited_{rollup.name}") for rollup in sums]
        parts += [
            _rows(metric, SESSION_DIMENSIONS, "`value`", f"limited_session_{metric}") for metric in SESSION_METRICS
        ]
        yield _insert("metrics", "\nUNION ALL\n".join(parts))
        if extremes:
            both = "`value`, `value`"
            found = [_rows(rollup.name, rollup.dimensions, both, f"limited_{rollup.name}") for rollup in extremes]
            yield _insert("metrics_extremes", "\nUNION ALL\n".join(found))
        yield _insert(
            "sessions",
            "SELECT SUBSTRING(who, 2), who LIKE 'a%', opened_at, started_at, ended_at, events, page_views, "
            "entry_page, exit_page, country, device, is_open, received_at, version, is_deleted,\n"
            "  IF(who LIKE 'a%', identified, SUBSTRING(who, 2))\n"
            "FROM session_change WHERE kind = 'row'",
        )
        yield _insert(
            "events",
            "SELECT event_id, event, timestamp_ms, received_ms, COALESCE(user_id, ''), COALESCE(anonymous_id, ''), "
            "properties, log_partition, log_offset, enriched FROM counted",
        )
        yield _insert(
            "duplicates",
            "SELECT received_ms, event_id, log_partition, log_offset, COALESCE(user_id, ''), COALESCE(anonymous_id, '')"
            " FROM looked_at WHERE times > 1",
        )
        late = (
            "late_letter(reason, event_id, event, timestamp_ms, received_ms, user_id, anonymous_id, properties, "
            f"{_long(spec.allowed_lateness_ms)}, {_long(spec.future_ms_max)})"
        )
        refused = [
            "SELECT received_ms, code, message, event_id, original, log_partition, log_offset\n"
            f"FROM {view} WHERE code IS NOT NULL"
            for view in _KINDS
        ]
        late_ones = [
            "SELECT received_ms, reason, late_message, event_id, late_original, log_partition, log_offset\n"
            f"FROM {view}, LATERAL TABLE({late}) AS l(late_message, late_original)\n"
            "WHERE code IS NULL AND reason IS NOT NULL"
            for view in _KINDS
        ]
        yield _insert("dead_letter", "\nUNION ALL\n".join([*refused, *late_ones]))
        yield _insert(
            "progress",
            f"SELECT {_ms('CAST(window_end AS TIMESTAMP_LTZ(3))')}\n"
            "FROM TABLE(TUMBLE(TABLE beat, DESCRIPTOR(written), INTERVAL '1' SECOND))\n"
            "GROUP BY window_start, window_end",
        )

    def _judged(self) -> str:
        """An item with why it isn't counted, and whose it is."""
        spec, late_ms = self._spec, "received_ms - timestamp_ms"
        return (
            f"SELECT {_ITEM}, CASE WHEN code IS NOT NULL THEN code\n"
            f"  WHEN producer IS NULL AND {late_ms} > {spec.allowed_lateness_ms} THEN 'too_late'\n"
            f"  WHEN {late_ms} < -{spec.future_ms_max} THEN 'too_far_ahead' END AS reason,\n"
            f"  COALESCE(anonymous_id, user_id, '') AS whose,\n"
            f"  anonymous_id IS NOT NULL OR user_id IS NULL AS is_anonymous, {_MADE_ID} AS is_made"
        )

    def _counted(self) -> str:
        """Each event once, with what the profile of its user adds where it has no property of that name."""
        columns = f"{_ITEM}, whose, is_anonymous"
        if not self._joined:
            return f"SELECT {columns}, '' AS enriched FROM told"
        places = {column: self._fields.index(column) + 1 for column in self._joined}
        added = {column: f"CASE WHEN t.fields[{at}] IS NULL THEN p.{name(column)} END" for column, at in places.items()}
        pairs = ", ".join(f"{text(column)}, {value}" for column, value in added.items())
        merged = [
            f"COALESCE(t.fields[{at}], p.{name(field)})" if field in places else f"t.fields[{at}]"
            for at, field in enumerate(self._fields, 1)
        ]
        kept = ", ".join(
            f"{array(merged)} AS fields" if column == "fields" else f"t.{column}"
            for column in (*_ENVELOPE, *_PLACE, "written", "whose", "is_anonymous")
        ).replace("t.sequence", "t.`sequence`")
        return (
            f"SELECT {kept},\n  enrichment(ARRAY[{pairs}]) AS enriched\n"
            f"FROM (SELECT *, PROCTIME() AS proc, {_ASKED_FOR} AS asked_for FROM told) AS t\n"
            "LEFT JOIN profiles FOR SYSTEM_TIME AS OF t.proc AS p ON t.asked_for = p.user_id"
        )

    def _panes(self, rollup: Rollup) -> Iterator[tuple[str, str]]:
        """Panes of a few seconds of the clock, by the window of the event time: they are additive, no event is late for
        them, and none waits for a watermark."""
        spec, measure = self._spec, rollup.measured
        value = {
            "count": "CAST(COUNT(*) AS DOUBLE)",
            "sum": "SUM(measured)",
            "min": "MIN(measured)",
            "max": "MAX(measured)",
        }[measure.kind]
        dimensions = [known(self._field(field), spec.dimension_chars_max) for field in rollup.dimensions]
        columns = [f"timestamp_ms - MOD(timestamp_ms, {rollup.window_ms}) AS window_ms"]
        columns += [f"{dimension} AS d{at}" for at, dimension in enumerate(dimensions)]
        conditions = [] if rollup.event is None else [f"event = {text(rollup.event)}"]
        conditions += [f"{self._field(field)} IN ({texts(values)})" for field, values in condition_texts(rollup)]
        if measure.kind != "count":
            columns.append(f"measured({self._field(measure.field)}) AS measured")
        where = f"\n  WHERE {' AND '.join(conditions)}" if conditions else ""
        measured = "" if measure.kind == "count" else "WHERE measured IS NOT NULL\n"
        yield f"measured_{rollup.name}", f"SELECT {', '.join(columns)}, PROCTIME() AS proc\n  FROM counted{where}"
        yield from self._limited(
            rollup.name, f"measured_{rollup.name}", [f"d{at}" for at in range(len(dimensions))], value, measured
        )

    def _session_panes(self) -> Iterator[tuple[str, str]]:
        chars = self._spec.dimension_chars_max
        dimensions = ", ".join(f"{known(field, chars)} AS d{at}" for at, field in enumerate(SESSION_DIMENSIONS))
        for metric in SESSION_METRICS:
            yield (
                f"closed_{metric}",
                f"SELECT timestamp_ms AS window_ms, {dimensions}, CAST({metric} AS DOUBLE) AS measured, "
                f"PROCTIME() AS proc\n  FROM session_change WHERE kind = 'rollup' AND {metric} <> 0",
            )
            keys = [f"d{at}" for at in range(len(SESSION_DIMENSIONS))]
            yield from self._limited(f"session_{metric}", f"closed_{metric}", keys, "SUM(measured)", "")

    def _limited(self, label: str, view: str, keys: Sequence[str], value: str, where: str) -> Iterator[tuple[str, str]]:
        """Panes of a view, then the same with `(other)` in the place of values over the limit."""
        dims = f"{array(keys)} AS dims, " if keys else ""
        yield (
            f"panes_{label}",
            f"SELECT window_ms AS timestamp_ms, {dims}{value} AS `value`, window_ms / {DAY_MS} AS `day`\n"
            f"FROM TABLE(TUMBLE(TABLE {view}, DESCRIPTOR(proc), {self._pane}))\n"
            f"{where}GROUP BY {', '.join(['window_start', 'window_end', 'window_ms', *keys])}",
        )
        if not keys:
            yield f"limited_{label}", f"SELECT timestamp_ms, `value` FROM panes_{label}"
            return
        yield (
            f"limited_{label}",
            f"SELECT timestamp_ms, dims, `value` FROM "
            f"told_apart(TABLE panes_{label} PARTITION BY `day`, {self._spec.cardinality_max}, "
            f"DEFAULT, 'told_apart_{label}')",
        )

    def _field(self, field: str) -> str:
        return f"fields[{self._fields.index(field) + 1}]"


def _ms(time: str) -> str:
    """A time as ms since 1970."""
    return f"epoch_ms({time})"


def _long(number: int) -> str:
    return f"CAST({number} AS BIGINT)"


def _rows(metric: str, dimensions: Sequence[str], values: str, view: str) -> str:
    pairs = (
        ", ".join(f"{text(dimension)}, dims[{at}]" for at, dimension in enumerate(dimensions, 1)) if dimensions else ""
    )
    mapped = f"MAP[{pairs}]" if pairs else "CAST(NULL AS MAP<STRING, STRING>)"
    return f"SELECT timestamp_ms / 1000, {text(metric)}, {values}, {mapped} FROM {view}"


def _insert(table: str, query: str) -> str:
    return f"INSERT INTO {sink_name(table)}\n{query}"
