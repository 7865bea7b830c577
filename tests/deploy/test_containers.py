"""The image and the Compose file: hadolint and Compose accept them, and their parts fit each other."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.destinations.clickhouse import SINK, TABLES
from tests.running import PROGRAMS, eventually

_ROOT = Path(__file__).parents[2]
_DEPLOY = _ROOT / "deploy"
_DOCKERFILE = (_ROOT / "Dockerfile").read_text()
_SECRETS = ("TRACKLOG_ADMIN_TOKEN", "CLICKHOUSE_PASSWORD", "GRAFANA_PASSWORD")
_COMPOSE_SETTINGS = tomllib.loads((_DEPLOY / "compose/collector.toml").read_text())


def _has_docker_daemon() -> bool:
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], check=False, capture_output=True).returncode == 0


def _instructions(name: str) -> list[str]:
    """The arguments of an instruction, each time that it occurs."""
    return re.findall(rf"^{name} (.*)$", _DOCKERFILE, re.MULTILINE)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The Compose file as Compose reads it."""
    command = [str(PROGRAMS / "docker-compose"), "-f", str(_DEPLOY / "compose.yaml"), "config", "--format", "json"]
    environment = {name: f"{name}-0123456789abcdef" for name in _SECRETS}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={"PATH": "", **environment})
    assert done.returncode == 0, done.stderr
    settings: dict[str, Any] = json.loads(done.stdout)
    return settings


def test_hadolint_has_nothing_to_say_about_the_dockerfile() -> None:
    done = subprocess.run([str(PROGRAMS / "hadolint"), str(_ROOT / "Dockerfile")], check=False, capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"")


def test_the_image_runs_as_a_user_without_rights_and_serves_the_settings_of_its_folder() -> None:
    assert _instructions("USER") == ["10001:10001"]
    assert _instructions("WORKDIR")[-1] == "/etc/tracklog"
    assert "COPY deploy/collector.toml /etc/tracklog/collector.toml" in _DOCKERFILE
    assert (_instructions("ENTRYPOINT"), _instructions("CMD")) == (['["collector"]'], ['["serve"]'])
    assert 'CMD ["collector", "health"]' in _instructions("HEALTHCHECK")[0]


def test_the_data_of_the_settings_of_the_image_is_on_its_volume() -> None:
    settings = tomllib.loads((_DEPLOY / "collector.toml").read_text())
    (volume,) = _instructions("VOLUME")
    folders = [settings["log"]["dir"], settings["dead_letters"]["dir"], settings["sink"][0]["dir"]]
    assert all(folder.startswith(f"{volume}/") for folder in folders)


def test_the_build_gets_the_files_that_it_copies_and_no_others() -> None:
    lines = (_ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    sources = {name for copied in _instructions("COPY") if "--from" not in copied for name in copied.split()[:-1]}
    assert sources == allowed
    assert all((_ROOT / source).exists() for source in sources)


def test_the_default_extras_of_the_image_are_all_those_of_sinks() -> None:
    extras = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    chosen = re.findall(r"^ARG EXTRAS=(.*)$", _DOCKERFILE, re.MULTILINE)[0].split(",")
    assert set(chosen) == set(extras) - {"dev", "docs"}


def test_every_service_has_one_version_and_gains_no_rights(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert "build" in service or re.search(r":v?\d+\.\d+\.\d+(\.\d+)?$", service["image"]), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "build" in service or service["healthcheck"]["test"], name
        assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports", [])), name


def test_the_collector_of_compose_is_confined_and_gets_time_to_stop(compose: dict[str, Any]) -> None:
    service = compose["services"]["collector"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["stop_grace_period"] == "30s"  # server.grace_seconds is 10 by default


def test_the_files_that_compose_mounts_exist(compose: dict[str, Any]) -> None:
    volumes = [each for service in compose["services"].values() for each in service.get("volumes", [])]
    bound = [each["source"] for each in volumes if each["type"] == "bind"]
    assert len(bound) == 5
    assert all(Path(source).exists() for source in bound)


def test_prometheus_scrapes_the_collector_of_compose_with_its_token(compose: dict[str, Any]) -> None:
    prometheus = yaml.safe_load((_DEPLOY / "prometheus/prometheus.yml").read_text())
    (job,) = prometheus["scrape_configs"]
    admin = _COMPOSE_SETTINGS["admin"]
    assert job["static_configs"] == [{"targets": [f"collector:{admin['port']}"]}]
    assert admin["hosts"] == ["collector"], "else it gets 421"
    name = Path(job["authorization"]["credentials_file"]).name
    assert f"env:{compose['secrets'][name]['environment']}" == admin["token"]
    assert [each["source"] for each in compose["services"]["prometheus"]["secrets"]] == [name]
    assert admin["token"].removeprefix("env:") in compose["services"]["collector"]["environment"]


def test_grafana_finds_prometheus_and_the_dashboard(compose: dict[str, Any]) -> None:
    provisioning = _DEPLOY / "grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in compose["services"]
    (provider,) = yaml.safe_load((provisioning / "dashboards/tracklog.yaml").read_text())["providers"]
    targets = [each["target"] for each in compose["services"]["grafana"]["volumes"]]
    assert f"{provider['options']['path']}/tracklog.json" in targets


def test_kafka_and_clickhouse_are_where_the_settings_look_for_them(compose: dict[str, Any]) -> None:
    kafka, clickhouse = _COMPOSE_SETTINGS["sink"]
    assert kafka["brokers"] == [
        compose["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].removeprefix("PLAINTEXT://")
    ]
    assert [clickhouse] == tomllib.loads(SINK)["sink"]
    assert clickhouse["url"].startswith("http://clickhouse:8123/")
    environment = compose["services"]["clickhouse"]["environment"]
    assert clickhouse["headers"]["X-ClickHouse-User"] == environment["CLICKHOUSE_USER"]
    assert clickhouse["headers"]["X-ClickHouse-Key"] == "env:CLICKHOUSE_PASSWORD"


def test_clickhouse_starts_with_the_tables_of_its_page() -> None:
    text = (_DEPLOY / "compose/clickhouse.sql").read_text()
    assert (
        "".join(line for line in text.splitlines(keepends=True) if not line.startswith("--")).strip() == TABLES.strip()
    )


def test_the_example_of_the_environment_has_every_secret() -> None:
    names = re.findall(r"^(\w+)=$", (_DEPLOY / "compose/env.example").read_text(), re.MULTILINE)
    assert names == list(_SECRETS)


@pytest.mark.torture
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not _has_docker_daemon(), reason="no Docker daemon answers")
def test_the_image_serves_with_a_read_only_root_and_stops_in_order() -> None:
    subprocess.run(["docker", "build", "--quiet", "--tag", "tracklog:test", str(_ROOT)], check=True)
    confined = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    run = ["docker", "run", "--detach", "--stop-timeout", "30", *confined, "tracklog:test"]
    name = subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()

    def inspected(field: str) -> str:
        command = ["docker", "inspect", "--format", f"{{{{.State.{field}}}}}", name]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    try:
        eventually(lambda: inspected("Health.Status") == "healthy", "the container is healthy")
        listed = subprocess.run(["docker", "exec", name, "collector", "sink", "ls"], check=True, capture_output=True)
        assert b"file" in listed.stdout
        subprocess.run(["docker", "stop", name], check=True, capture_output=True)
        assert inspected("ExitCode") == "0"
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], check=False, capture_output=True)
