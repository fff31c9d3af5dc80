from __future__ import annotations

from typing import Any

import pytest

from streamgauge.core.errors import ConfigError, Unavailable
from streamgauge.log.kafka_cluster import Cluster, retention_shortcoming
from streamgauge.model import DAY_MS


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


@pytest.mark.parametrize("policy", ["compact", "compact,delete", "delete,compact"])
def test_a_topic_of_events_that_is_compacted_is_refused_with_what_to_do(policy: str) -> None:
    with pytest.raises(ConfigError, match="only the newest event of each user") as refused:
        retention_shortcoming("clicks", {"cleanup.policy": policy, "retention.ms": "-1"}, 7)
    assert "--entity-name clicks --add-config cleanup.policy=delete" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("kept_ms", "said"),
    [
        (-1, None),
        (7 * DAY_MS, None),
        (8 * DAY_MS, None),
        (7 * DAY_MS - 1, "retention.log_days is 7"),
        (DAY_MS // 2, "for 0.5 days"),
        (0, "for 0 days"),
    ],
)
def test_a_topic_that_keeps_events_for_less_than_is_wanted_is_told(kept_ms: int, said: str | None) -> None:
    found = retention_shortcoming("events", {"cleanup.policy": "delete", "retention.ms": str(kept_ms)}, 7)
    assert (found is None) == (said is None)
    assert (said or "") in (found or "")
