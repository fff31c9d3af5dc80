"""Fixtures for tests of every folder."""

pytest_plugins = ["running", "kafka_server", "clickhouse_server"]
