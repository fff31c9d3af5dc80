"""Settings from a file: what is there by default, what is refused and how it is named, what the docs say about it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from streamgauge.config import (
    DEFAULT_ROLLUPS,
    AccessSettings,
    AlertSettings,
    CacheSettings,
    FlinkSettings,
    GrpcSettings,
    IngestSettings,
    KafkaSettings,
    LoaderSettings,
    LogSettings,
    ProfileSettings,
    QuerySettings,
    RetentionSettings,
    ServerSettings,
    Settings,
    SqlSettings,
    StoreSettings,
    StreamSettings,
    load_settings,
)
from streamgauge.core.errors import ConfigError
from streamgauge.model import Rollup
from streamgauge.notify_settings import (
    AlertmanagerSettings,
    EmailSettings,
    InhibitionSettings,
    MaintenanceSettings,
    NotificationSettings,
    PagerDutySettings,
    ReceiverSettings,
    SlackSettings,
    WebhookSettings,
)

DOC = (Path(__file__).parents[2] / "docs" / "guide" / "configuration.md").read_text(encoding="utf-8")
SECTIONS: dict[str, type[msgspec.Struct]] = {
    "server": ServerSettings,
    "ingest": IngestSettings,
    "grpc": GrpcSettings,
    "access": AccessSettings,
    "retention": RetentionSettings,
    "embedded_log": LogSettings,
    "kafka": KafkaSettings,
    "stream": StreamSettings,
    "flink": FlinkSettings,
    "loader": LoaderSettings,
    "profile": ProfileSettings,
    "store_tables": StoreSettings,
    "query": QuerySettings,
    "sql": SqlSettings,
    "answer_cache": CacheSettings,
    "alerts": AlertSettings,
    "notifications": NotificationSettings,
}
LISTS: dict[str, type[msgspec.Struct]] = {
    "rollups": Rollup,
    "receivers": ReceiverSettings,
    "inhibitions": InhibitionSettings,
    "maintenance": MaintenanceSettings,
}
KINDS: dict[str, type[msgspec.Struct]] = {
    "slack": SlackSettings,
    "pagerduty": PagerDutySettings,
    "webhook": WebhookSettings,
    "email": EmailSettings,
    "alertmanager": AlertmanagerSettings,
}
UNITS = {"ms": "milliseconds", "s": "seconds", "bytes": "bytes", "chars": "characters", "days": "days"}
"""The last part of a name that is a unit, and what the docs call it."""


class Row(NamedTuple):
    default: str
    unit: str


def documented(heading: str) -> dict[str, Row]:
    """The rows of the table under a heading of the docs."""
    section = DOC.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.*?) ?\| ", section, re.MULTILINE)
    return {name: Row(default, unit) for name, default, unit in rows}


def as_json(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def defaults(settings: type[msgspec.Struct]) -> dict[str, Any]:
    """Of each field that isn't a section of its own."""
    fields = msgspec.structs.fields(settings)
    return {field.name: as_json(field.default) for field in fields if field.name not in (*SECTIONS, *LISTS)}


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "streamgauge.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("heading", "settings"), [("Top level", Settings), *((f"`[{name}]`", one) for name, one in SECTIONS.items())]
)
def test_every_setting_is_documented_with_its_default(heading: str, settings: type[msgspec.Struct]) -> None:
    found = {name: tomllib.loads(f"x = {row.default.strip('`')}")["x"] for name, row in documented(heading).items()}
    assert found == defaults(settings)


@pytest.mark.parametrize("section", SECTIONS)
def test_the_documented_unit_is_that_of_the_name(section: str) -> None:
    for name, row in documented(f"`[{section}]`").items():
        parts = [part for part in name.split("_")[1:] if part in UNITS]
        if parts:
            of_what = "requests per second" if name.endswith("_requests_per_s") else UNITS[parts[-1]]
            assert row.unit.startswith(of_what), name


@pytest.mark.parametrize("name", LISTS)
def test_every_field_of_what_a_file_may_have_several_of_is_documented(name: str) -> None:
    assert set(documented(f"`[[{name}]]`")) == {field.encode_name for field in msgspec.structs.fields(LISTS[name])}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_receiver_is_documented(kind: str) -> None:
    rows = re.findall(rf"^\| `{kind}` \| `(\w+)` \| ", DOC, re.MULTILINE)
    assert set(rows) == {field.encode_name for field in msgspec.structs.fields(KINDS[kind])}


def test_every_section_is_documented_and_no_other() -> None:
    sections = {field.name for field in msgspec.structs.fields(Settings)} - set(defaults(Settings)) - set(LISTS)
    assert sections == set(SECTIONS) == set(re.findall(r"^## `\[(\w+)\]`$", DOC, re.MULTILINE))


def test_the_complete_file_of_the_docs_has_everything_as_it_is_without_a_file(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", DOC, re.DOTALL)
    assert load_settings(written(tmp_path, text)) == Settings() == load_settings(None)
    complete = as_json(Settings())
    given = tomllib.loads(text)
    assert given.keys() == complete.keys()
    for section in SECTIONS:
        assert given[section] == complete[section]


def test_every_default_is_within_its_own_bounds() -> None:
    assert msgspec.convert(msgspec.to_builtins(Settings()), Settings) == Settings()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("nonsense = 1", "nonsense"),
        ("data = 3", "$.data"),
        ("server = 3", "$.server"),
        ("server = []", "$.server"),
        ("rollups = 3", "$.rollups"),
        ("rollups = {}", "$.rollups"),
        ("[server]\nports = 1", "ports"),
        ('[server]\nport = "8080"', "$.server.port"),
        ("[server]\nport = 0", "$.server.port"),
        ("[server]\nport = 65536", "$.server.port"),
        ("[server]\nport = true", "$.server.port"),
        ("[server]\nport = 2026-01-01", "$.server.port"),
        ("[server]\ndrain_s_max = -1", "$.server.drain_s_max"),
        ('[server]\nhost = ""', "$.server"),
        ('[server]\nhost = "example.com"', "$.server"),
        ("[ingest]\nbody_bytes_max = 0", "$.ingest.body_bytes_max"),
        ("[ingest]\nstring_chars_max = 1.5", "$.ingest.string_chars_max"),
        ("[retention]\nlog_days = 0", "$.retention.log_days"),
        ("[embedded_log]\npartitions = 0", "$.embedded_log.partitions"),
        ("[embedded_log]\npartitions = 1025", "$.embedded_log.partitions"),
        ("[stream]\nbatch_interval_ms = -1", "$.stream.batch_interval_ms"),
        ("[query]\nthreads = 0", "$.query.threads"),
        ('[store_tables]\npromoted_dimensions = ["a", "b`"]', "$.store_tables.promoted_dimensions[1]"),
        ('[store_tables]\npromoted_dimensions = ["a\\n"]', "$.store_tables.promoted_dimensions[0]"),
        ("[[rollups]]\ndimensions = []", "$.rollups[0]"),
        ('[[rollups]]\nname = "a"\n[[rollups]]\nname = "a b"', "$.rollups[1]"),
        ('[[rollups]]\nname = "a"\ndimension = ["b"]', "$.rollups[0]"),
    ],
)
def test_what_a_file_has_wrong_is_refused_with_its_field_and_the_file(tmp_path: Path, text: str, field: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_settings(file, data=None, host=None, port=None)
    assert str(file) in caught.value.message
    assert field in caught.value.message
    assert "configuration.md" in caught.value.hint


@pytest.mark.parametrize("content", [b"a = [", b"= 1", b"\xff\xfe", b"[server]\n[server]", b"x = 1\nx = 2"])
def test_what_is_not_toml_is_refused_with_the_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "streamgauge.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="not valid TOML") as caught:
        load_settings(file)
    assert str(file) in caught.value.message


def test_a_file_that_can_not_be_read_is_refused_with_its_name(tmp_path: Path) -> None:
    for file in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError, match="can't read the config file") as caught:
            load_settings(file)
        assert str(file) in caught.value.message


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, 'data = "there"\n[server]\nhost = "::1"\nport = 1\ndrain_s_max = 3.5')
    assert load_settings(file, data=None, host=None, port=None).server == ServerSettings("::1", 1, 3.5)
    settings = load_settings(file, data=Path("here"), host="127.0.0.1", port=2)
    assert (settings.data, settings.server) == ("here", ServerSettings("127.0.0.1", 2, 3.5))


@pytest.mark.parametrize(
    ("text", "field"),
    [("[server]\nport = 0", "$.server.port"), ('[server]\nhost = "x"', "$.server"), ("data = 3", "$.data")],
)
def test_what_a_file_has_wrong_is_refused_also_where_the_command_line_goes_before_it(
    tmp_path: Path, text: str, field: str
) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_settings(file, data=Path("here"), host="127.0.0.1", port=2)
    assert str(file) in caught.value.message
    assert field in caught.value.message


def test_what_the_command_line_has_wrong_is_not_blamed_on_a_good_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^the command line: .*'example\.com'"):
        load_settings(written(tmp_path, "[server]\nport = 1"), host="example.com")


@pytest.mark.parametrize("network", ["", "proxy", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0-10.0.0.9"])
def test_a_proxy_that_is_no_network_is_refused_with_its_text(tmp_path: Path, network: str) -> None:
    with pytest.raises(ConfigError, match="not a network") as caught:
        load_settings(written(tmp_path, f'[ingest]\ntrusted_proxies = ["::1", "{network}"]'))
    assert f"trusted_proxies has {network!r}" in caught.value.message
    assert "$.ingest" in caught.value.message


def test_what_the_command_line_has_wrong_is_refused_as_such() -> None:
    with pytest.raises(ConfigError, match=r"the command line: .*'example\.com'"):
        load_settings(None, host="example.com")


def test_localhost_is_an_address() -> None:
    assert load_settings(None, host="localhost").server.host == "127.0.0.1"


def test_parts_live_in_the_data_folder_where_nothing_else_is_said() -> None:
    settings = load_settings(None, data=Path("/var/lib/x"))
    assert (settings.log_url, settings.store_url) == ("sqlite:////var/lib/x/log", "chdb:////var/lib/x/store")
    assert (Settings().log_url, Settings().store_url) == ("sqlite:///data/log", "chdb:///data/store")
    assert Settings(log="sqlite:///a", store="chdb:///b").log_url == "sqlite:///a"


def test_rollups_of_a_file_replace_the_defaults(tmp_path: Path) -> None:
    text = """
        [[rollups]]
        name = "sales"
        event = "order"
        dimensions = ["country", "event"]
        where = {status = 200, paid = true, method = ["card", "cash"]}
        measure = {sum = "price"}
        window = "5m"
    """
    (sales,) = load_settings(written(tmp_path, text)).rollups
    assert (sales.measured.kind, sales.measured.field, sales.window_ms) == ("sum", "price", 300_000)
    assert sales.where == {"status": 200, "paid": True, "method": ["card", "cash"]}
    assert Settings().rollups == DEFAULT_ROLLUPS


@pytest.mark.parametrize("name", ["a", "_", "A9_" * 21 + "x"])
def test_names_of_rollups_and_dimensions_have_up_to_64_characters(name: str) -> None:
    assert Rollup(name=name, dimensions=(name,)).name == name


@pytest.mark.parametrize("name", ["", "a b", "9a", "a-b", "ä", "a\n", "a" * 65, "a`"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must match"):
        Rollup(name=name)
    with pytest.raises(ValueError, match="must match"):
        Rollup(name="a", dimensions=(name,))


@pytest.mark.parametrize("window", ["60s", "1m", "5m", "1440m", "1h", "24h", "1d", "120s"])
def test_windows_are_whole_minutes_that_divide_a_day(window: str) -> None:
    assert 86_400_000 % Rollup(name="a", window=window).window_ms == 0


@pytest.mark.parametrize("window", ["", "0m", "1s", "90s", "7m", "2d", "1w", "-1m", "1.5m", "1 m", "m", "1M"])
def test_other_windows_are_refused(window: str) -> None:
    with pytest.raises(ValueError, match=r"duration|window"):
        Rollup(name="a", window=window)


@pytest.mark.parametrize("measure", ["sum", "", "avg", {}, {"avg": "x"}, {"sum": ""}, {"sum": "x", "min": "y"}])
def test_other_measures_are_refused(measure: Any) -> None:
    with pytest.raises(ValueError, match="measure"):
        Rollup(name="a", measure=measure)


@pytest.mark.parametrize("kind", ["sum", "min", "max"])
def test_measures_take_a_property(kind: str) -> None:
    measured = Rollup(name="a", measure={kind: "price"}).measured
    assert (measured.kind, measured.field) == (kind, "price")


def test_a_dimension_is_there_once() -> None:
    with pytest.raises(ValueError, match="repeat"):
        Rollup(name="a", dimensions=("b", "c", "b"))


def test_no_dimension_is_called_value_as_answers_call_what_is_measured() -> None:
    with pytest.raises(ValueError, match="value"):
        Rollup(name="a", dimensions=("value",))


def test_two_rollups_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name: a, b"):
        Settings(rollups=tuple(Rollup(name=name) for name in "abacb"))


@pytest.mark.parametrize("runner", ["embedded", "flink://127.0.0.1:8081", "flink://jobmanager", "flink://[::1]:8081/"])
def test_a_runner_is_the_embedded_one_or_a_flink_cluster(runner: str, tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, f'runner = "{runner}"'))
    assert settings.flink_counts == (runner != "embedded")


@pytest.mark.parametrize("runner", ["", "flink", "flink://", "http://host:8081", "flink://host:x", "flink://host/job"])
def test_what_is_no_runner_is_refused(runner: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a runner: write embedded or flink://host:8081"):
        load_settings(written(tmp_path, f'runner = "{runner}"'))


RECEIVER = '[[receivers]]\nname = "oncall"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RECEIVER, "no kind: give it exactly one of slack"),
        (RECEIVER + 'slack = {url = "http://a"}\nwebhook = {url = "http://a"}', "slack and webhook"),
        (RECEIVER + "slack = {}", "exactly one is needed of webhook_url_env, webhook_url_file, url"),
        (RECEIVER + 'slack = {url = "http://a", webhook_url_env = "A"}', "exactly one"),
        (RECEIVER + 'slack = {url = "ftp://s3cret"}', "must begin with http"),
        (RECEIVER + 'slack = {webhook_url_env = "a b"}', "webhook_url_env"),
        (RECEIVER + 'pagerduty = {routing_key = "s3cret"}', "unknown field `routing_key`"),
        (RECEIVER + 'slack = {url = "http://a"}\nmatchers = ["a=~("]', "'oncall': invalid regular expression"),
        (RECEIVER + 'slack = {url = "http://a"}\ngroup_wait = "30"', "'oncall': '30' is not a duration"),
        (RECEIVER + 'email = {to = ["a"], from = "b@c", host = "d"}', "'a' is not an e-mail address"),
        (RECEIVER + 'email = {to = ["a@b"], from = "b@c", host = "d", username = "u"}', "goes with password_env"),
        (
            RECEIVER
            + 'email = {to = ["a@b"], from = "b@c", host = "d", username = "u", password_env = "P", tls = "none"}',
            "for all to read",
        ),
        (2 * (RECEIVER + 'slack = {url = "http://a"}\n'), "two receivers have the same name: oncall"),
        ('[[inhibitions]]\nsource = ["a=b"]\ntarget = []', "target"),
        ('[[inhibitions]]\nsource = ["a=b"]\ntarget = ["a"]', "is no matcher"),
        ('[[maintenance]]\nname = "a"\nmatchers = ["a=b"]\nfrom = "25:00"\nto = "02:00"', "no time of day"),
        ('[[maintenance]]\nname = "a"\nmatchers = ["a=b"]\nfrom = "02:00"\nto = "02:00"', "no length"),
        ('[[maintenance]]\nname = "a"\nmatchers = ["a=b"]\nfrom = "02:00"\nto = "03:00"\ntz = "Mars"', "time zone"),
        ('[notifications]\ngroup_wait = "soon"', "not a duration"),
    ],
)
def test_receivers_that_could_tell_nobody_are_refused_without_their_secrets(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(written(tmp_path, text))
    assert message in caught.value.message
    assert "s3cret" not in caught.value.message


def test_a_receiver_of_the_issue_s_form_is_read(tmp_path: Path) -> None:
    text = RECEIVER + 'match = {severity = "page"}\npagerduty = {routing_key_env = "PD_KEY"}'
    (receiver,) = load_settings(written(tmp_path, text)).receivers
    assert (receiver.kind, [str(one) for one in receiver.matched]) == ("pagerduty", ['severity="page"'])
