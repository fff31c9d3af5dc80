"""What runs where, and how each engine itself can be asked about it."""

from __future__ import annotations

import os

from rich.console import Console

from local_cluster.layout import Layout

_CONSUMER_GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"


def print_summary(out: Console, layout: Layout, seconds: float) -> None:
    out.print(f"\n[bold]The cluster is ready[/bold] ({seconds:.1f} s). Ctrl-C stops it and keeps its data.\n")
    rows = [("part", "where", "process", "its log")]
    rows += [(part.name, part.where, str(part.pid or ""), _near(part.log)) for part in layout.parts]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        out.print("  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    api, ingest = layout.apis[0].port, layout.ingests[0].port
    out.print(
        "\n  clickhouse stands in for a server: ClickHouse's HTTP interface over chDB, the same engine", style="dim"
    )
    out.print(f"\n  dashboard   http://localhost:{api}/")
    out.print(f"  send to     http://localhost:{ingest}/events")
    out.print(f"  gRPC        localhost:{layout.ingests[0].grpc_port}")
    if layout.flink is not None:
        out.print(f"  Flink       http://{layout.flink.address}/")
    out.print(f"  settings    {_near(layout.settings_file)}\n")
    out.print("Try it, in another terminal:")
    for what, command in _commands(layout):
        out.print(f"  [dim]# {what}[/dim]")
        out.print(f"  {command}", markup=False)


def _commands(layout: Layout) -> list[tuple[str, str]]:
    kafka, ingest = layout.kafka, layout.ingests[0].port
    programs = f"java -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp '{kafka.classes}'"
    flink = (
        [] if layout.flink is None else [("Flink: its jobs", f"curl -s http://{layout.flink.address}/jobs/overview")]
    )
    return [
        (
            "a made-up shop's week, then its traffic as it happens",
            f".venv/bin/streamgauge demo --url http://localhost:{ingest}",
        ),
        (
            "Kafka: how far its consumer groups are",
            f"{programs} {_CONSUMER_GROUPS} --bootstrap-server 127.0.0.1:{kafka.port} --describe --all-groups",
        ),
        *flink,
        (
            "ClickHouse's interface: rows by table",
            f"curl -s 'http://127.0.0.1:{layout.clickhouse.port}/' --data-binary "
            '"SELECT table, sum(rows) FROM system.parts WHERE active GROUP BY table"',
        ),
        (
            "PostgreSQL: profiles by plan",
            f"psql '{layout.postgres.url}' -c 'SELECT plan, count(*) FROM profiles GROUP BY 1'",
        ),
        ("Redis", f"redis-cli -p {layout.redis.port} info keyspace"),
    ]


def _near(path: os.PathLike[str]) -> str:
    """As short as it can be written from here."""
    whole = os.fspath(path)
    relative = os.path.relpath(whole)
    return whole if relative.startswith("..") else relative
