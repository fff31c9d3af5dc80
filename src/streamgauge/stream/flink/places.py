"""Where the job finds things, in the words of Java: properties of Kafka's client, addresses of JDBC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from streamgauge.core.errors import ConfigError
from streamgauge.stream.flink.tables import ProfilePlace

_SAME: Final = ("bootstrap.servers", "security.protocol")
_OURS: Final = frozenset({"client.id", "log_level", "reconnect.backoff.max.ms", "sasl.username", "sasl.password"})
"""What the Python client is given for itself, or is translated here."""

_USER: Final = frozenset({"user", "password"})
"""Of the query of PostgreSQL's address, where they may stand too, and count more than those before the host."""

_LOGIN: Final = "org.apache.flink.kafka.shaded.org.apache.kafka.common.security"
"""Inside the jar of Flink's connector, Kafka's classes have other names."""


def java_properties(properties: Mapping[str, Any]) -> dict[str, str]:
    """Of Kafka's Java client, from those of librdkafka. Raises ConfigError for one that has no known like there."""
    found = {key: str(properties[key]) for key in _SAME if key in properties}
    for key, value in properties.items():
        if key in _OURS or key in _SAME:
            continue
        if key in ("sasl.mechanism", "sasl.mechanisms"):
            found["sasl.mechanism"] = str(value)
        elif key == "ssl.ca.location":
            found |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(value)}
        elif not str(key).startswith("debug"):
            raise ConfigError(
                f"the property {key!r} of the log's address can't be given to Flink's client of Kafka",
                hint="leave it away for Flink, or run the embedded runner: streamgauge stream",
            )
    if "sasl.username" in properties:
        found["sasl.jaas.config"] = _login(found.get("sasl.mechanism", "PLAIN"), properties)
    return found


def _login(mechanism: str, properties: Mapping[str, Any]) -> str:
    module = "plain.PlainLoginModule" if mechanism == "PLAIN" else "scram.ScramLoginModule"
    user, password = (_quoted(str(properties.get(f"sasl.{key}", ""))) for key in ("username", "password"))
    return f"{_LOGIN}.{module} required username={user} password={password};"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def jdbc_place(url: str, table: str, cache_ms: int) -> ProfilePlace:
    """From `postgresql://user:password@host:5432/database?sslmode=…`. Raises ConfigError for several hosts or none."""
    parts = urlsplit(url)
    if not parts.hostname or "," in parts.netloc:
        raise ConfigError(
            "Flink needs one host in the address of the profiles",
            hint='write profiles = "postgresql://user:password@host:5432/database"',
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    said = {key: value for key, value in parse_qsl(parts.query.replace("+", "%2B")) if key in _USER}
    others = "&".join(pair for pair in parts.query.split("&") if unquote(pair.partition("=")[0]) not in _USER)
    query = f"?{others}" if others else ""
    address = f"jdbc:postgresql://{host}:{parts.port or 5432}/{parts.path.strip('/') or 'postgres'}{query}"
    user = said.get("user") or unquote(parts.username or "postgres")
    password = said.get("password") or unquote(parts.password or "")
    return ProfilePlace(address, table, user, password, cache_ms)
