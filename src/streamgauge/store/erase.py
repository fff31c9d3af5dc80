"""Rows of one person, deleted from the store. Rollups stay: they are counts, not of anybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from clickhouse_connect.driver.exceptions import ClickHouseError

from streamgauge.core.errors import Unavailable
from streamgauge.store.client import StoreClients

ANONYMOUS_IDS_MAX: Final = 10_000
"""Of one user."""

_UNTIL: Final = "received_at <= fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')"
_ID_IN_TEXT: Final = (
    "if(JSONType(original, '{0}') = 'String', JSONExtractString(original, '{0}'), JSONExtractRaw(original, '{0}'))"
)
_USERS_IN_TEXT: Final = f"[{_ID_IN_TEXT.format('user_id')}, {_ID_IN_TEXT.format('userId')}]"
_VISITORS_IN_TEXT: Final = f"[{_ID_IN_TEXT.format('anonymous_id')}, {_ID_IN_TEXT.format('anonymousId')}]"
"""As events call them, and as Segment's messages do."""

_LETTER_OF_THEM: Final = (
    f"({{user:String}} != '' AND has({_USERS_IN_TEXT}, {{user:String}}) "
    f"OR arrayAll(id -> id IN ('', 'null'), {_USERS_IN_TEXT}) "
    f"AND hasAny({_VISITORS_IN_TEXT}, {{anonymous:Array(String)}}) "
    # What can't be read may be of whomever it names.
    "OR NOT isValidJSON(original) AND arrayExists("
    "id -> position(original, concat('\"', id, '\"')) > 0 OR position(original, toJSONString(id)) > 0, "
    "arrayFilter(id -> id != '', arrayPushBack({anonymous:Array(String)}, {user:String}))))"
)
_OF_THEM: Final = (
    "({user:String} != '' AND user_id = {user:String} OR user_id = '' AND anonymous_id IN {anonymous:Array(String)})"
)
_CONDITIONS: Final = {
    "events": f"{_UNTIL} AND {_OF_THEM}",
    "duplicates": f"{_UNTIL} AND {_OF_THEM}",
    # Of the user, whoever was the visitor; and of the visitor, unless another user was.
    "sessions": f"{_UNTIL} AND ({{user:String}} != '' AND (identified_user_id = {{user:String}} "
    "OR NOT is_anonymous AND user_id = {user:String}) OR is_anonymous AND user_id IN {anonymous:Array(String)} "
    "AND identified_user_id IN ('', {user:String}))",
    "dead_letter": f"{_UNTIL} AND {_LETTER_OF_THEM}",
}
_BY_HASH: Final = (
    f"{_UNTIL} AND lower(hex(SHA256(multiIf(identified_user_id != '', concat('user:', identified_user_id), "
    "is_anonymous, concat('anonymous:', user_id), concat('user:', user_id))))) = {hash:String}"
)
_ANONYMOUS_IDS: Final = (
    "SELECT DISTINCT anonymous_id FROM events WHERE user_id = {user:String} AND anonymous_id != '' "
    f"AND {_UNTIL} ORDER BY anonymous_id LIMIT {ANONYMOUS_IDS_MAX}"
)


class ClickHouseErase:
    """Blocks; used by one thread. Raises Unavailable; cut off at any point, it can be done again."""

    def __init__(self, clients: StoreClients) -> None:
        self._layout = clients.layout
        self._connection = clients.open({"mutations_sync": 2})

    def anonymous_ids(self, user: str, until_ms: int) -> list[str]:
        """That events of the user came with as well."""
        return [str(row[0]) for row in self._query(_ANONYMOUS_IDS, {"user": user, "until_ms": until_ms})]

    def erase(self, user: str, anonymous: Sequence[str], until_ms: int) -> dict[str, int]:
        """Rows received until then, deleted: how many of each table. `user` may be empty."""
        whose = {"user": user, "anonymous": list(anonymous), "until_ms": until_ms}
        return {table: self._delete(table, where, whose) for table, where in _CONDITIONS.items()}

    def erase_sessions(self, hashed: str, until_ms: int) -> int:
        """Of whoever the hash is of: sessions that were written once more after they were erased."""
        return self._delete("sessions", _BY_HASH, {"hash": hashed, "until_ms": until_ms})

    def close(self) -> None:
        self._connection.close()

    def _delete(self, table: str, where: str, whose: dict[str, Any]) -> int:
        (count,) = self._query(f"SELECT count() FROM {table} WHERE {where}", whose)[0]
        if count:
            try:
                self._connection.command(self._layout.alter(table, f"DELETE WHERE {where}"), whose)
            except ClickHouseError as error:
                raise _unavailable(error) from error
        return int(count)

    def _query(self, sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        try:
            return self._connection.query(sql, parameters)
        except ClickHouseError as error:
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"the store did not erase: {error}", hint="ask again: what was erased stays so")
