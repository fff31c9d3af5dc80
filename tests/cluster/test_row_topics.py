"""Topics on a real broker: those of rows are made once and checked, that of events is checked where it is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from kafka_server import KafkaServer
from running import eventually
from streamgauge.core.errors import ConfigError
from streamgauge.log.kafka_cluster import Cluster
from streamgauge.model import ROW_TABLES

pytestmark = pytest.mark.cluster


def test_there_is_a_topic_for_each_table_and_one_for_progress(kafka: KafkaServer, tmp_path: Path) -> None:
    cluster = Cluster(f"{kafka.url}/{tmp_path.name}")
    cluster.found_rows(3, 7)
    cluster.found_rows(3, 7)
    admin, prefix = AdminClient({"bootstrap.servers": f"127.0.0.1:{kafka.port}"}), f"{tmp_path.name}."

    def found() -> dict[str, int]:
        topics = admin.list_topics(timeout=10).topics
        own = {name: topic for name, topic in topics.items() if name.startswith(prefix)}
        return {name.removeprefix(prefix): len(topic.partitions) for name, topic in own.items()}

    eventually(lambda: found() == dict.fromkeys(ROW_TABLES, 3) | {"progress": 1}, "the topics are there")


def test_topics_of_rows_with_another_number_of_partitions_are_refused(kafka: KafkaServer, tmp_path: Path) -> None:
    cluster = Cluster(f"{kafka.url}/{tmp_path.name}")
    cluster.found_rows(3, 7)
    with pytest.raises(ConfigError, match="has 3 partitions, not 4"):
        cluster.found_rows(4, 7)


def test_a_topic_of_events_that_is_compacted_is_refused_and_one_that_keeps_less_than_is_wanted_is_told(
    kafka: KafkaServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    admin, name = AdminClient({"bootstrap.servers": f"127.0.0.1:{kafka.port}"}), tmp_path.name
    made = {
        f"{name}.whole": {},
        f"{name}.short": {"retention.ms": "3600000"},
        f"{name}.compacted": {"cleanup.policy": "compact"},
    }
    topics = [NewTopic(topic, num_partitions=2, replication_factor=1, config=config) for topic, config in made.items()]
    for created in admin.create_topics(topics).values():
        created.result(10)
    Cluster(f"{kafka.url}/{name}.whole").found(2, 7)
    assert caplog.text == ""
    Cluster(f"{kafka.url}/{name}.short").found(2, 7)
    assert "retention.log_days is 7" in caplog.text
    caplog.clear()
    with pytest.raises(ConfigError, match="compacted"):
        Cluster(f"{kafka.url}/{name}.compacted").found(2, 7)
    Cluster(f"{kafka.url}/{name}.ours").found(2, 7)
    Cluster(f"{kafka.url}/{name}.ours").found(2, 7)
    assert caplog.text == ""
