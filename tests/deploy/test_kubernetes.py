"""The manifests for Kubernetes: they fit its schemas, and fit each other and the settings."""

import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.running import PROGRAMS

_FOLDER = Path(__file__).parents[2] / "deploy/kubernetes"
_SETTINGS = tomllib.loads((_FOLDER / "collector.toml").read_text())
_LABELS = {"app.kubernetes.io/name": "tracklog"}

with_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed; Debian has no package")


def _listed() -> list[Path]:
    return [_FOLDER / name for name in yaml.safe_load((_FOLDER / "kustomization.yaml").read_text())["resources"]]


def _resources() -> list[dict[str, Any]]:
    return [resource for path in _listed() for resource in yaml.safe_load_all(path.read_text())]


def _spec(kind: str, name: str = "tracklog") -> Any:
    (spec,) = [each["spec"] for each in _resources() if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return spec


_POD = _spec("StatefulSet")["template"]["spec"]
(_CONTAINER,) = _POD["containers"]


def _validate(version: str, *paths: Path) -> None:
    command = [str(PROGRAMS / "kubernetes-validate"), "--strict", "-k", version, *map(str, paths)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", ["1.32", "1.37"])
def test_every_manifest_fits_the_schemas_of_kubernetes(version: str) -> None:
    _validate(version, *_listed(), _FOLDER / "secret.example.yaml")


@with_kubectl
def test_kustomize_builds_manifests_that_fit_the_schemas(tmp_path: Path) -> None:
    built = subprocess.run(["kubectl", "kustomize", str(_FOLDER)], check=True, capture_output=True, text=True).stdout
    path = tmp_path / "built.yaml"
    path.write_text(built)
    _validate("1.37", path)
    resources = list(yaml.safe_load_all(built))
    assert {each["metadata"].get("namespace", "tracklog") for each in resources} == {"tracklog"}
    (name,) = [each["metadata"]["name"] for each in resources if each["kind"] == "ConfigMap"]
    assert name.startswith("tracklog-")
    assert name in str([each for each in resources if each["kind"] == "StatefulSet"])


def test_every_file_of_the_folder_is_part_of_the_kustomization_or_is_the_example_of_a_secret() -> None:
    others = {"kustomization.yaml", "secret.example.yaml", "collector.toml"}
    assert {path.name for path in _FOLDER.iterdir()} == {path.name for path in _listed()} | others


def test_all_selectors_choose_the_pods() -> None:
    assert _spec("StatefulSet")["template"]["metadata"]["labels"] == _LABELS
    for spec in (_spec("StatefulSet"), _spec("PodDisruptionBudget"), *_POD["topologySpreadConstraints"]):
        assert spec.get("selector", spec.get("labelSelector")) == {"matchLabels": _LABELS}
    assert _spec("NetworkPolicy")["podSelector"] == {"matchLabels": _LABELS}
    assert [_spec("Service", name)["selector"] for name in ("tracklog", "tracklog-nodes")] == [_LABELS] * 2


def test_ports_are_those_of_the_settings() -> None:
    ports = {each["name"]: each["containerPort"] for each in _CONTAINER["ports"]}
    assert ports == {"http": _SETTINGS["server"]["port"], "admin": _SETTINGS["admin"]["port"]}
    for service in (_spec("Service"), _spec("Service", "tracklog-nodes")):
        assert {each["targetPort"] for each in service["ports"]} <= set(ports)


def test_readiness_is_the_health_of_the_event_port_and_no_probe_kills_a_node_with_a_slow_disk() -> None:
    assert _CONTAINER["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert not {"livenessProbe", "startupProbe"} & set(_CONTAINER)


def test_kubernetes_waits_longer_than_the_collector_takes_to_stop() -> None:
    server = _SETTINGS["server"]
    assert _POD["terminationGracePeriodSeconds"] > server["shutdown_delay"] + server["grace_seconds"]


def test_a_pod_has_the_rights_that_it_needs_and_no_more() -> None:
    assert _POD["automountServiceAccountToken"] is False
    assert _POD["securityContext"]["runAsNonRoot"] is True
    assert _POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert _CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_log_and_dead_letters_are_on_the_volume_and_the_settings_where_the_image_looks() -> None:
    mounts = {each["name"]: each["mountPath"] for each in _CONTAINER["volumeMounts"]}
    (claim,) = _spec("StatefulSet")["volumeClaimTemplates"]
    for table in ("log", "dead_letters"):
        assert _SETTINGS[table]["dir"].startswith(f"{mounts[claim['metadata']['name']]}/")
    assert mounts["settings"] == "/etc/tracklog"


def test_the_example_of_a_secret_has_every_variable_of_the_settings() -> None:
    secret = yaml.safe_load((_FOLDER / "secret.example.yaml").read_text())
    assert _CONTAINER["envFrom"] == [{"secretRef": {"name": secret["metadata"]["name"]}}]
    assert {f"env:{name}" for name in secret["stringData"]} == {
        _SETTINGS["admin"]["token"],
        _SETTINGS["session"]["secret"],
    }


def test_a_scrape_of_each_pod_by_its_name_is_answered() -> None:
    spec = _spec("StatefulSet")
    names = [f"tracklog-{at}.{spec['serviceName']}.tracklog.svc" for at in range(spec["replicas"])]
    assert _SETTINGS["admin"]["hosts"] == names, "else it gets 421"
