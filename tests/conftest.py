"""Fixtures for tests of every folder."""

pytest_plugins = [
    "running",
    "kafka_server",
    "clickhouse_server",
    "flink_server",
    "redis_server",
    "postgres_server",
    "state_places",
    "played",
]
