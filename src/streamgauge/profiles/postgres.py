"""Profiles in a table of PostgreSQL that is somebody else's: read only, at most a connection at a time."""

from __future__ import annotations

import contextlib
import importlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from streamgauge.core.clock import Clock
from streamgauge.core.errors import ConfigError, Unavailable
from streamgauge.profiles.base import READ_PROFILES, Chunk, Marker, check_columns, following
from streamgauge.profiles.names import UPDATED_AT, USER_ID

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

CONNECT_S_MAX: Final = 10
STATEMENT_MS_MAX: Final = 600_000
"""Of a reading of all profiles, with the time that this side takes."""

SILENCE_MS_MAX: Final = 30_000
VISIBLE_S_MAX: Final = 30
"""So long after its `updated_at` may a change be committed, or be stamped by a clock that is behind."""

_SECONDS_END: Final = 100_000_000_000
"""Integers below are seconds since 1970 (until the year 5138), or versions; others are milliseconds."""

_INTEGERS: Final = frozenset({"int2", "int4", "int8"})
_TIMES: Final = frozenset({"timestamptz", "timestamp"})
_MICROSECONDS: Final = 1_000_000
_SETTINGS: Final = (
    "SELECT set_config('statement_timeout', %(statement_timeout)s, true), set_config('TimeZone', 'UTC', true)"
)
_NOW_MICROSECONDS: Final = "SELECT floor(extract(epoch FROM now()) * 1000000)::bigint"


class _Shape(NamedTuple):
    """Which columns the table has, and of what type its `updated_at` is. Times are read as microseconds since 1970."""

    columns: frozenset[str]
    time_type: str

    @property
    def is_time(self) -> bool:
        return self.time_type in _TIMES


class PostgresProfiles:
    """A ProfileSource. The table, or view, has `user_id` of any type, `updated_at` (timestamptz, or an integer that
    rises: milliseconds or seconds since 1970, or a version), and columns of any type; those it lacks are null.

    An index on `updated_at` keeps the polls cheap.
    """

    def __init__(self, url: str, columns: Sequence[str], clock: Clock, *, table: str = "profiles") -> None:
        """`table` may name its schema: `crm.users`. Raises ConfigError where psycopg isn't installed, or the URL can't
        be one; the message never has a password."""
        try:
            self._psycopg: Any = importlib.import_module("psycopg")
            self._sql: Any = importlib.import_module("psycopg.sql")
            self._psycopg_conninfo: Any = importlib.import_module("psycopg.conninfo")
        except ImportError:
            raise ConfigError(
                "profiles in PostgreSQL need the package psycopg",
                hint="install it with: pip install 'streamgauge[postgres]'",
            ) from None
        self._columns = check_columns(columns)
        self._clock = clock
        self._table = table.split(".")
        self._secrets, self._conninfo = self._parsed(url)
        self._connection: psycopg.Connection[Any] | None = None
        self._closed = False

    def read(self, since: Marker | None = None) -> Iterator[Chunk]:
        try:
            with self._connected() as connection:
                yield from self._chunks(connection, since)
        except self._psycopg.Error as error:
            raise Unavailable(f"the profiles in PostgreSQL can't be read: {self._plain(error)}") from None
        except pl.exceptions.PolarsError as error:
            raise Unavailable(f"the profiles in PostgreSQL can't be understood: {error}") from error

    def close(self) -> None:
        self._closed = True
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(self._psycopg.Error):
                connection.cancel_safe(timeout=1.0)

    def _parsed(self, url: str) -> tuple[list[str], str]:
        """What must not be shown, and the URL with what this program wants of a connection."""
        try:
            given = self._psycopg_conninfo.conninfo_to_dict(url)
            conninfo = self._psycopg_conninfo.make_conninfo(
                url,
                connect_timeout=given.get("connect_timeout", CONNECT_S_MAX),
                application_name=given.get("application_name", "streamgauge"),
                client_encoding="utf8",
                keepalives_idle=SILENCE_MS_MAX // 1_000,
                tcp_user_timeout=SILENCE_MS_MAX,
            )
        except self._psycopg.Error:
            raise ConfigError(
                "the URL of the profiles is not one of PostgreSQL",
                hint="write postgresql://user:password@host:5432/database, with special characters as %XX",
            ) from None
        return [str(given[name]) for name in ("password", "sslpassword") if given.get(name)], conninfo

    @contextlib.contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        if self._closed:
            raise Unavailable("the profiles are closed")
        # Nothing is prepared, so that a pooler in between doesn't matter.
        with self._psycopg.connect(self._conninfo, prepare_threshold=None) as connection:
            self._connection = connection
            try:
                connection.read_only = True
                connection.execute(_SETTINGS, {"statement_timeout": str(STATEMENT_MS_MAX)})
                yield connection
            finally:
                self._connection = None

    def _chunks(self, connection: psycopg.Connection[Any], since: Marker | None) -> Iterator[Chunk]:
        shape = self._shape(connection)
        now_ms = self._clock.now_ms()
        row = connection.execute(_NOW_MICROSECONDS).fetchone()
        now = row[0] if row else 0  # by the clock that stamps the changes, as far as this side knows
        newest: int | None = None
        with connection.cursor() as cursor, cursor.copy(self._query(shape, self._bound(since, shape))) as rows:
            for part in _parts(rows):
                frame = self._frame(part)
                seen = frame[UPDATED_AT].max()
                if isinstance(seen, int):
                    seen = min(seen, now // _microseconds_of(seen, is_time=shape.is_time))
                    newest = seen if newest is None else max(newest, seen)
                yield Chunk(frame.drop(UPDATED_AT), None)
        empty = pl.DataFrame(schema=dict.fromkeys((USER_ID, *self._columns), pl.String()))
        yield Chunk(empty, following(since, newest, now_ms))

    def _shape(self, connection: psycopg.Connection[Any]) -> _Shape:
        query = self._sql.SQL("SELECT * FROM {} LIMIT 0").format(self._sql.Identifier(*self._table))
        described = connection.execute(query).description or ()
        name = ".".join(self._table)
        names = frozenset(column.name for column in described)
        if missing := {USER_ID, UPDATED_AT} - names:
            raise Unavailable(f"the table {name} in PostgreSQL has no column {', '.join(sorted(missing))}")
        oid = next(column.type_code for column in described if column.name == UPDATED_AT)
        known = connection.adapters.types.get(oid)
        kind = known.name if known else ""
        if kind not in _TIMES | _INTEGERS:
            raise Unavailable(f"{UPDATED_AT} of the table {name} in PostgreSQL is neither a timestamptz nor an integer")
        return _Shape(names, kind)

    def _query(self, shape: _Shape, bound: int | None) -> sql.Composed:
        part, name = self._sql.SQL, self._sql.Identifier
        texts = [
            part("nullif({}::text, '')").format(name(column)) if column in shape.columns else part("NULL")
            for column in self._columns
        ]
        time, since = part("{}::bigint"), part(" AND {} >= {}")
        if shape.is_time:
            time = part("CASE WHEN isfinite({0}) THEN floor(extract(epoch FROM {0}) * 1000000)::bigint END")
            # In the column's own type, or its index would not be used.
            since = part(f" AND {{}} >= '1970-01-01 00:00+00'::{shape.time_type} + {{}} * interval '1 microsecond'")
        where = part("{}::text <> ''").format(name(USER_ID))
        if bound is not None:
            where += since.format(name(UPDATED_AT), self._sql.Literal(bound))
        composed: sql.Composed = part("COPY (SELECT {} FROM {} WHERE {}) TO STDOUT (FORMAT csv)").format(
            part(", ").join([part("{}::text").format(name(USER_ID)), *texts, time.format(name(UPDATED_AT))]),
            name(*self._table),
            where,
        )
        return composed

    def _bound(self, since: Marker | None, shape: _Shape) -> int | None:
        """The least `updated_at` to read; None for all."""
        if since is None:
            return None
        if since.settled(VISIBLE_S_MAX * 1_000):
            return since.newest + 1
        return since.newest - VISIBLE_S_MAX * _MICROSECONDS // _microseconds_of(since.newest, is_time=shape.is_time)

    def _frame(self, text: bytes) -> pl.DataFrame:
        schema = {**dict.fromkeys((USER_ID, *self._columns), pl.String()), UPDATED_AT: pl.Int64()}
        return pl.read_csv(text, has_header=False, schema=schema, encoding="utf8-lossy")

    def _plain(self, error: Exception) -> str:
        """In one line and without what is secret, though psycopg doesn't put that there."""
        message = " ".join(str(error).split())
        for secret in self._secrets:
            message = message.replace(secret, "***")
        return message or type(error).__name__


def _microseconds_of(updated_at: int, *, is_time: bool) -> int:
    """How many microseconds the unit of this `updated_at` has."""
    if is_time:
        return 1
    return _MICROSECONDS if updated_at < _SECONDS_END else 1_000


def _parts(rows: Iterable[bytes | bytearray | memoryview]) -> Iterator[bytes]:
    """Some rows' bytes at a time: a server sends each row by itself."""
    source = iter(rows)
    while part := list(itertools.islice(source, READ_PROFILES)):
        yield b"".join(part)
