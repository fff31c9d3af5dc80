from __future__ import annotations

from typing import Any

import pytest

from streamgauge.core.errors import ConfigError, Unavailable
from streamgauge.log.kafka_cluster import Cluster


@pytest.mark.parametrize(
    ("url", "topic", "properties"),
    [
        ("kafka://host:9092", "events", {"bootstrap.servers": "host:9092"}),
        ("kafka://a:9092,b:9093/clicks", "clicks", {"bootstrap.servers": "a:9092,b:9093"}),
        (
            "kafka://me:p%40ss:word@host:9092/?security.protocol=SASL_SSL",
            "events",
            {"sasl.username": "me", "sasl.password": "p@ss:word", "security.protocol": "SASL_SSL"},
        ),
    ],
)
def test_an_address_names_brokers_topic_and_properties(url: str, topic: str, properties: dict[str, Any]) -> None:
    cluster = Cluster(url)
    assert cluster.topic == topic
    assert properties.items() <= cluster.properties.items()


@pytest.mark.parametrize(
    "url", ["kafka://", "kafka:///events", "kafka://host/a/b", "kafka://host?no.such.property=1", "kafka://host?acks=x"]
)
def test_what_is_no_address_is_refused_without_the_password(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Cluster(url.replace("kafka://", "kafka://me:secret@", 1))
    assert "secret" not in f"{refused.value.message} {refused.value.hint}"


def test_where_nothing_listens_it_is_unavailable_and_says_so() -> None:
    with pytest.raises(Unavailable, match="Kafka"):
        Cluster("kafka://127.0.0.1:1/events").found(4, 7)
