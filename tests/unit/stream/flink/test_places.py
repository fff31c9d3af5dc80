"""Addresses as Java knows them, and nothing in them that may not be shown."""

from __future__ import annotations

import pytest

from streamgauge.core.errors import ConfigError
from streamgauge.stream.flink.job import FlinkJob, script
from streamgauge.stream.flink.places import java_properties, jdbc_place
from streamgauge.stream.flink.tables import KafkaPlace
from streamgauge.stream.spec import PipelineSpec

_ADDRESS = "jdbc:postgresql://h:5432/db"


def shown(profiles: str, *, with_secrets: bool = False) -> str:
    kafka = KafkaPlace(
        "events", java_properties({"bootstrap.servers": "k:9092", "sasl.username": "u", "sasl.password": "k4fka's"})
    )
    spec = PipelineSpec((), 0, 1_000, 100, profile_columns=("plan",))
    job = FlinkJob(spec, kafka, jdbc_place(profiles, "profiles", 1_000), 1, 1_000, 1_000, 900_000, "rocksdb")
    return script(job, with_secrets=with_secrets)


@pytest.mark.parametrize(
    ("url", "address", "user", "password"),
    [
        ("postgresql://h", "jdbc:postgresql://h:5432/postgres", "postgres", ""),
        ("postgresql://u:p%40ss@[::1]:1234/db", "jdbc:postgresql://[::1]:1234/db", "u", "p@ss"),
        ("postgresql://u@h/db?password=hunter2", _ADDRESS, "u", "hunter2"),
        ("postgresql://u@h/db?pass%77ord=hunt%26er", _ADDRESS, "u", "hunt&er"),
        ("postgresql://u@h/db?password=a+b", _ADDRESS, "u", "a+b"),
        ("postgresql://h/db?sslmode=require&user=v&password=x", f"{_ADDRESS}?sslmode=require", "v", "x"),
        ("postgresql://u:p@h/db?password=q&connect_timeout=3", f"{_ADDRESS}?connect_timeout=3", "u", "q"),
    ],
)
def test_user_and_password_are_taken_out_of_the_address_wherever_they_stand(
    url: str, address: str, user: str, password: str
) -> None:
    place = jdbc_place(url, "profiles", 1_000)
    assert (place.url, place.user, place.password) == (address, user, password)


def test_an_address_of_several_hosts_is_refused() -> None:
    with pytest.raises(ConfigError, match="one host"):
        jdbc_place("postgresql://a,b/db", "profiles", 1_000)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2@h/db",
        "postgresql://u@h/db?password=hunter2",
        "postgresql://u@h/db?sslmode=require&password=hunter2",
        "postgresql://u@h/db?sslkey=/key&sslpassword=hunter2",
        "postgresql://u@h/db?ssl%70assword=hunter2",
    ],
)
def test_no_password_is_shown_unless_it_is_asked_for(url: str) -> None:
    assert "hunter2" not in shown(url)
    assert "k4fka" not in shown(url)
    assert "'***'" in shown(url)
    whole = shown(url, with_secrets=True)
    assert "hunter2" in whole
    assert "k4fka''s" in whole


def test_a_property_that_java_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"queue\.buffering"):
        java_properties({"queue.buffering.max.ms": 5})
