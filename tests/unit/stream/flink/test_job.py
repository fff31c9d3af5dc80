"""The job's SQL is what is written down in tests/golden/flink.

Where a change of it is meant, `RENEW_GOLDEN=1 pytest tests/unit/stream/flink/test_job.py` writes it down anew; what
`git diff tests/golden/flink` shows then is what the change does to the job. Views that have other columns or other
functions with state can't go on from older savepoints.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from streamgauge.flink_commands import flink_app

_GOLDEN: Final = Path(__file__).parents[3] / "golden" / "flink"

_SMALL: Final = """
log = "kafka://kafka:9092/events"
runner = "flink://jobmanager:8081"
profiles = ""

[[rollups]]
name = "page_views"
measure = "count"
event = "page_view"
"""

_ALL_KINDS: Final = """
log = "kafka://reader:s3cret@kafka:9092,kafka2:9092/shop?security.protocol=SASL_SSL&sasl.mechanism=SCRAM-SHA-512"
runner = "flink://jobmanager:8081"
profiles = "postgresql://reader@postgres/crm?password=s3cret&sslmode=require"

[kafka]
partitions = 6

[flink]
state = "s3://bucket/streamgauge/"
parallelism = 4
pane_ms = 2_500
checkpoint_ms = 5_000
transaction_ms = 3_600_000
state_backend = "hashmap"
profile_cache_s = 60

[profile]
columns = ["plan", "user_country"]

[stream]
allowed_lateness_ms = 3_600_000
session_gap_ms = 600_000
cardinality_max = 100

[[rollups]]
name = "events_of_all"
measure = "count"

[[rollups]]
name = "purchases"
measure = "count"
event = "purchase"
dimensions = ["plan", "country"]
where = { device = ["phone", "tablet"] }

[[rollups]]
name = "revenue"
measure = { sum = "amount" }
event = "purchase"
dimensions = ["user_country", "country"]
where = { coupon = "Dad's day" }

[[rollups]]
name = "cheapest"
measure = { min = "amount" }
window = "1h"

[[rollups]]
name = "dearest"
measure = { max = "amount" }
dimensions = ["country"]
"""

_CONFIGS: Final = {"small": _SMALL, "all_kinds": _ALL_KINDS}


def printed(config: str, folder: Path, *options: str) -> str:
    """What `streamgauge flink sql` prints for a config file."""
    file = folder / "streamgauge.toml"
    file.write_text(config, encoding="utf-8")
    result = CliRunner().invoke(flink_app, ["sql", "--config", str(file), *options])
    assert result.exit_code == 0, result.exception
    return result.stdout


@pytest.mark.parametrize("name", list(_CONFIGS))
def test_the_sql_of_a_job_is_what_is_written_down(name: str, tmp_path: Path) -> None:
    made, golden = printed(_CONFIGS[name], tmp_path), _GOLDEN / f"{name}.sql"
    if os.environ.get("RENEW_GOLDEN"):
        golden.write_text(made, encoding="utf-8")
    assert made == golden.read_text(encoding="utf-8")


def test_passwords_are_in_what_is_printed_only_when_they_are_asked_for(tmp_path: Path) -> None:
    assert "s3cret" not in printed(_ALL_KINDS, tmp_path)
    assert printed(_ALL_KINDS, tmp_path, "--with-secrets").count("s3cret") > 1
