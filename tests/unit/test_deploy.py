"""What is in deploy/, checked without Docker and Kubernetes: by their schemas, and by what must hold."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import typer.main
import yaml

from streamgauge.api.events import EVENTS_PATH
from streamgauge.api.segment import SEGMENT_PREFIX
from streamgauge.cli import application
from streamgauge.config import ProfileSettings, Settings, load_settings

_ROOT = Path(__file__).parents[2]
_DEPLOY = _ROOT / "deploy"
_COMPOSE_FILES = ("compose.yaml", "compose.flink.yaml")
_OVERLAYS = ("base", "flink")
_SETTINGS = ("streamgauge.toml", "streamgauge.flink.toml", *(f"kubernetes/{one}/streamgauge.toml" for one in _OVERLAYS))
_IN_FLIGHT_S = 10
"""What roles._run waits for before it drains."""
_SESSION_BYTES = 250
"""About, as the settings' guide says."""
_KUBERNETES = "1.34"
_COMMANDS = typer.main.get_command(application).commands  # type: ignore[attr-defined]


def compose(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((_DEPLOY / name).read_text(encoding="utf-8"))
    return content


def services() -> dict[str, dict[str, Any]]:
    """All, by name; of those that the second file changes, both halves, and what they extend."""
    first, second = (compose(name)["services"] for name in _COMPOSE_FILES)
    extended = {
        name: {**first[one["extends"]["service"]], **one} if "extends" in one else one for name, one in second.items()
    }
    return {**extended, **{name: {**extended.get(name, {}), **one} for name, one in first.items()}}


@cache
def manifests(overlay: str) -> list[dict[str, Any]]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not there, which puts the manifests together")
    built = subprocess.run(
        ["kubectl", "kustomize", str(_DEPLOY / "kubernetes" / overlay)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return list(yaml.safe_load_all(built.stdout))


def of_kind(overlay: str, kind: str) -> list[dict[str, Any]]:
    return [manifest for manifest in manifests(overlay) if manifest["kind"] == kind]


# Settings


@pytest.mark.parametrize("name", _SETTINGS)
def test_settings_that_are_deployed_can_be_loaded(name: str) -> None:
    settings = load_settings(_DEPLOY / name)
    assert settings.log_url.startswith("kafka://")
    assert settings.store_url.startswith("clickhouse://")
    assert settings.profiles_url.startswith("postgresql://")
    assert (settings.runner != "embedded") is ("flink" in name)


def test_the_files_for_flink_differ_only_in_who_counts() -> None:
    for folder, one, other in (
        ("", "streamgauge.toml", "streamgauge.flink.toml"),
        ("kubernetes", "base/streamgauge.toml", "flink/streamgauge.toml"),
    ):
        plain, flink = (load_settings(_DEPLOY / folder / name) for name in (one, other))
        assert (plain.log, plain.store, plain.profiles, plain.kafka) == (
            flink.log, flink.store, flink.profiles, flink.kafka
        )  # fmt: skip


def _gib(limit: str) -> int:
    """What Docker calls 4G, and Kubernetes 4Gi."""
    found = re.fullmatch(r"(\d+)Gi?", limit)
    assert found is not None, limit
    return int(found[1]) * 1024**3


def test_a_process_of_stream_has_room_for_what_all_partitions_may_remember() -> None:
    kubernetes = _DEPLOY / "kubernetes" / "base" / "stream.yaml"
    (pod,) = [one for one in yaml.safe_load_all(kubernetes.read_text(encoding="utf-8")) if one["kind"] == "Deployment"]
    (container,) = pod["spec"]["template"]["spec"]["containers"]
    of_compose = compose("compose.yaml")["services"]["stream"]["deploy"]["resources"]["limits"]
    for name, limits in (
        ("streamgauge.toml", of_compose),
        ("kubernetes/base/streamgauge.toml", container["resources"]["limits"]),
    ):
        settings = load_settings(_DEPLOY / name)
        stream = settings.stream
        remembered_bytes = stream.deduplication_bytes_max + stream.sessions_max * _SESSION_BYTES
        assert settings.kafka.partitions * remembered_bytes < 0.75 * _gib(limits["memory"]), name


# Compose


@pytest.mark.parametrize("name", _COMPOSE_FILES)
def test_a_compose_file_is_one_by_its_schema(name: str) -> None:
    vendored = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    jsonschema.validate(compose(name), json.loads(vendored.read_text(encoding="utf-8")))


def test_images_are_pinned() -> None:
    images = [service["image"] for service in services().values() if "image" in service]
    dockerfile = (_DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    images += re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    for overlay in _OVERLAYS:
        images += [
            container["image"]
            for deployment in of_kind(overlay, "Deployment")
            for container in deployment["spec"]["template"]["spec"]["containers"]
        ]
    assert len(images) > 15
    for image in images:
        assert image == "streamgauge:local" or re.search(r":\d+\.\d+", image), f"{image} may be another tomorrow"


def test_every_service_says_whether_it_is_well_how_much_it_may_take_and_that_it_comes_back() -> None:
    for name, service in services().items():
        runs_once_or_has_no_door = {"flink-state", "submit", "taskmanager"}
        assert ("test" in service["healthcheck"]) is (name not in runs_once_or_has_no_door), name
        assert service["restart"] == {"flink-state": "no"}.get(name, "unless-stopped")
        if name != "flink-state":
            assert {"cpus", "memory"} <= set(service["deploy"].get("resources", {}).get("limits", ())), name
        assert service["networks"] == ["streamgauge"]


def test_only_loopback_is_listened_at() -> None:
    ports = [port for service in services().values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_whoever_waits_for_a_service_to_be_well_waits_for_one_that_says_so() -> None:
    known = services()
    for name, service in known.items():
        for other, wanted in service.get("depends_on", {}).items():
            assert other in known, name
            if wanted["condition"] == "service_healthy":
                assert "test" in known[other]["healthcheck"], f"{name} waits for {other}"


def test_our_services_run_commands_that_there_are_under_a_name_that_they_answer_to() -> None:
    ours = {name: service for name, service in services().items() if "build" in service}
    assert {"ingest", "api", "alert", "stream", "loader", "submit"} == set(ours)
    names = {name for file in _SETTINGS[:2] for name in load_settings(_DEPLOY / file).server.names}
    for name, service in ours.items():
        assert service["command"][0] in _COMMANDS, service["command"]
        assert name in names or name == "submit"


@pytest.mark.parametrize("name", _COMPOSE_FILES)
def test_what_is_mounted_is_there(name: str) -> None:
    mounted = [volume for service in compose(name)["services"].values() for volume in service.get("volumes", [])]
    for volume in mounted:
        source = volume.split(":")[0]
        assert (_DEPLOY / source).exists() if source.startswith("./") else source in compose(name)["volumes"], volume


def test_flink_keeps_its_state_where_the_job_that_is_submitted_again_finds_it() -> None:
    state = load_settings(_DEPLOY / "streamgauge.flink.toml").flink.state
    assert state.startswith("file:///")
    volume = f"flink:{state.removeprefix('file://')}"
    content = compose("compose.flink.yaml")["services"]
    for name in ("jobmanager", "taskmanager"):
        assert volume in content[name]["volumes"], f"{name} writes it"
    assert f"{volume}:ro" in content["submit"]["volumes"]
    assert "./streamgauge.flink.toml:/etc/streamgauge.toml:ro" in content["submit"]["volumes"]
    assert content["submit"]["command"][:3] == ["flink", "submit", "--watch"]


def test_in_kubernetes_one_pod_watches_the_job_without_rights_and_never_two() -> None:
    (deployment,) = (one["spec"] for one in of_kind("flink", "Deployment") if one["metadata"]["name"] == "submit")
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"][:3] == ["flink", "submit", "--watch"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"requests", "limits"} <= set(container["resources"])
    assert pod["terminationGracePeriodSeconds"] > 180, "a submission may take so long"


def test_in_kubernetes_the_state_of_flink_is_outside_of_its_pods() -> None:
    assert load_settings(_DEPLOY / "kubernetes" / "flink" / "streamgauge.toml").flink.state.startswith("s3://")


def test_the_table_of_profiles_has_the_columns_that_are_asked_for() -> None:
    sql = (_DEPLOY / "postgres" / "profiles.sql").read_text(encoding="utf-8")
    for column in ("user_id", "updated_at", *ProfileSettings().columns):
        assert re.search(rf"^    {column} ", sql, re.MULTILINE), column


# The image


def test_what_the_image_copies_is_there_and_is_sent_to_the_builder() -> None:
    dockerfile = (_DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    sent = re.findall(r"^!(\S+)", (_DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    sources = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)", dockerfile, re.MULTILINE)
        for source in shlex.split(line)[:-1]
    ]
    assert len(sources) >= 5
    for source in sources:
        assert (_ROOT / source).exists(), source
        assert any(source == one or source.startswith(f"{one}/") for one in sent), source


def test_the_image_does_not_run_as_root() -> None:
    last_stage = (_DEPLOY / "Dockerfile").read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last_stage, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", last_stage, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["streamgauge"\]$', last_stage, re.MULTILINE)


# Kubernetes


@pytest.mark.parametrize("overlay", _OVERLAYS)
def test_manifests_are_valid_by_the_schemas_of_kubernetes(overlay: str) -> None:
    assert len(manifests(overlay)) > 10
    for manifest in manifests(overlay):
        kubernetes_validate.validate(manifest, _KUBERNETES, strict=True)


@pytest.mark.parametrize("overlay", _OVERLAYS)
def test_deployments_run_our_commands_without_rights_and_end_well(overlay: str) -> None:
    counting = {"base": "stream", "flink": "loader"}[overlay]
    deployments = {one["metadata"]["name"]: one["spec"] for one in of_kind(overlay, "Deployment")}
    deployments.pop("submit", None)
    assert set(deployments) == {"ingest", "api", "alert", counting}
    for kind in ("Service", "PodDisruptionBudget"):
        assert {one["metadata"]["name"] for one in of_kind(overlay, kind)} == set(deployments)
    for name, deployment in deployments.items():
        pod = deployment["template"]["spec"]
        (container,) = pod["containers"]
        assert container["args"][0] == name
        assert name in _COMMANDS
        assert pod["securityContext"]["runAsNonRoot"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert {"requests", "limits"} <= set(container["resources"])
        pause_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] > pause_s + _IN_FLIGHT_S + Settings().server.drain_s_max + 10


@pytest.mark.parametrize("overlay", _OVERLAYS)
def test_what_a_manifest_points_at_is_among_them(overlay: str) -> None:
    deployments = {one["metadata"]["name"]: one for one in of_kind(overlay, "Deployment")}
    for scaler in of_kind(overlay, "HorizontalPodAutoscaler"):
        assert scaler["spec"]["scaleTargetRef"]["name"] in deployments
        assert scaler["spec"]["minReplicas"] >= 2
    (secret,) = of_kind(overlay, "Secret")
    for deployment in deployments.values():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
        volumes = deployment["spec"]["template"]["spec"]["volumes"]
        assert {"name": "settings", "secret": {"secretName": secret["metadata"]["name"]}} in volumes
    for service in of_kind(overlay, "Service"):
        target = deployments[service["metadata"]["name"]]["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= target.items()


def test_the_door_sends_to_ingest_what_only_ingest_answers_and_nothing_else() -> None:
    found = re.search(
        r"location ~ (\S+) \{\s*proxy_pass \$ingest;", (_DEPLOY / "front.conf").read_text(encoding="utf-8")
    )
    assert found
    to_ingest = re.compile(found[1])
    own = (EVENTS_PATH, f"{SEGMENT_PREFIX}b", "/imports", "/imports/7", "/sdk.js")
    assert all(to_ingest.match(path) for path in own)
    assert not any(map(to_ingest.match, ("/", "/metrics", f"{EVENTS_PATH}/abc", "/live", "/api/v1/query", "/sql")))
