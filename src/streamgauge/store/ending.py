"""Queries that nobody waits for are ended in the engine: by KILL QUERY, from another connection."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Final

from clickhouse_connect.driver.exceptions import ClickHouseError

from streamgauge.core.errors import ConfigError
from streamgauge.store.client import StoreClients

_KILL: Final = "KILL QUERY WHERE Settings['log_comment'] = {id:String} ASYNC"
_AGAIN_S: Final = 0.2
_AT_ONCE: Final = 4


class Ended(threading.Event):
    """Set by who carries a query out, when it is over however it went."""


Named = Callable[[], AbstractContextManager[str | None]]
"""The query's id, which stays the query's as long as the context lasts; None while nobody carries it out."""


class QueryEnder:
    """Used from any thread. A query is known by what it carries as the setting `log_comment`."""

    def __init__(self, clients: StoreClients) -> None:
        self._clients = clients
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="query-end")

    def end(self, ended: Ended, named: Named) -> None:
        """Until it has ended: the engine may not have begun with it."""
        with contextlib.suppress(RuntimeError):  # while this is closing: the limit of time ends it then
            self._threads.submit(self._end, ended, named)

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _end(self, ended: Ended, named: Named) -> None:
        # On every host: which one carries it out is known to the connection alone.
        hosts = range(self._clients.hosts)
        with contextlib.ExitStack() as stack, contextlib.suppress(ClickHouseError, ConfigError):
            clients = [stack.enter_context(contextlib.closing(self._clients.connect_from(one)[0])) for one in hosts]
            while not ended.wait(0):
                with named() as query_id:
                    for client in clients if query_id else ():
                        client.command(_KILL, parameters={"id": query_id})
                ended.wait(_AGAIN_S)
