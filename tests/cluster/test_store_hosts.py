"""A store on several hosts of which one is killed, and processes that bring one store up to date at the same time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from contract.store_places import pane_batch
from local_cluster.clickhouse import ClickHouseServer
from streamgauge.config import QuerySettings, RetentionSettings, StoreSettings
from streamgauge.core.errors import ConfigError, Unavailable
from streamgauge.store.client import StoreClients
from streamgauge.store.migrations import migrate
from streamgauge.store.reader import ClickHouseReader
from streamgauge.store.schema import MIGRATIONS
from streamgauge.store.writer import ClickHouseWriter

pytestmark = pytest.mark.cluster

_TOTAL = "SELECT sum(value) FROM metrics"
_NOON_S = 1_767_268_800


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[ClickHouseServer, ClickHouseServer]]:
    """Each has a store of its own, so that an answer tells which one was asked."""
    one, other = (ClickHouseServer(tmp_path / name).start() for name in ("one", "other"))
    for host in (one, other):
        with closing(StoreClients(host.url).connect()) as client:
            migrate(client, RetentionSettings(), StoreSettings())
    yield one, other
    for host in (one, other):
        host.stop()


def url_of(*hosts: ClickHouseServer) -> str:
    return f"clickhouse://default:pass%20word@{','.join(f'127.0.0.1:{host.port}' for host in hosts)}/default"


async def test_when_a_host_is_killed_the_next_one_is_written_to_and_asked(
    hosts: tuple[ClickHouseServer, ClickHouseServer],
) -> None:
    one, other = hosts
    clients = StoreClients(url_of(one, other))
    with closing(ClickHouseWriter(clients)) as writer, closing(ClickHouseReader(clients, QuerySettings())) as reader:
        writer.write(pane_batch("a", [(_NOON_S, "m", 1.0, {})]))
        assert await reader.query(_TOTAL, {}) == [(1.0,)]
        one.kill()
        writer.write(pane_batch("b", [(_NOON_S, "m", 2.0, {})]))
        assert await reader.query(_TOTAL, {}) == [(2.0,)]
        other.kill()
        with pytest.raises(Unavailable):
            await reader.query(_TOTAL, {})
        with pytest.raises(Unavailable):
            writer.write(pane_batch("c", [(_NOON_S, "m", 4.0, {})]))
        one.start()
        writer.write(pane_batch("c", [(_NOON_S, "m", 4.0, {})]))
        assert await reader.query(_TOTAL, {}) == [(5.0,)]


def test_a_host_that_is_down_at_the_start_is_passed_over(hosts: tuple[ClickHouseServer, ClickHouseServer]) -> None:
    one, other = hosts
    one.kill()
    with closing(StoreClients(url_of(one, other)).connect()) as client:
        assert client.query("SELECT 1").result_rows == [(1,)]
    other.kill()
    with pytest.raises(ConfigError, match="can't open the store") as refused:
        StoreClients(url_of(one, other)).connect()
    assert "pass" not in refused.value.message


_MIGRATE = """
import sys
from streamgauge.config import RetentionSettings, StoreSettings
from streamgauge.store.client import StoreClients
from streamgauge.store.migrations import migrate
tables = StoreSettings(cluster=sys.argv[2])
client = StoreClients(sys.argv[1], tables).connect()
print("connected", flush=True)
sys.stdin.readline()
migrate(client, RetentionSettings(events_days=9), tables)
"""


@pytest.mark.parametrize("cluster", ["", "one"])
def test_processes_that_start_together_bring_a_store_up_to_date_together(tmp_path: Path, cluster: str) -> None:
    server = ClickHouseServer(tmp_path / "store", cluster=cluster).start()
    command = [sys.executable, "-c", _MIGRATE, server.url, cluster]
    starting = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in starting:
        assert process.stdout is not None
        assert process.stdout.readline() == "connected\n"
    for process in starting:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in starting:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    tables = StoreSettings(cluster=cluster)
    with closing(StoreClients(server.url, tables).connect()) as client:
        assert migrate(client, RetentionSettings(events_days=9), tables) == 0
        versions = client.query("SELECT DISTINCT version FROM schema_versions ORDER BY version").result_rows
        assert [version for (version,) in versions] == [step.version for step in MIGRATIONS]
        columns = "SELECT count() FROM system.columns WHERE table = 'metrics' AND startsWith(name, 'd_')"
        assert client.query(columns).result_rows == [(len(tables.promoted_dimensions),)]
    server.stop()
