"""Manifests and chart, rendered by Kustomize (Debian's kubectl) and by Helm's engine, against Kubernetes' schemas."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from helm_python import Chart
from machines import System

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = sorted(path.name for path in (ROOT / "packaging/kubernetes/overlays").iterdir())
CHART = ROOT / "packaging/helm/xrootd-tally"
VERSIONS = ("1.29", "1.33", "1.37")
PARENT = """\
apiVersion: v2
name: cache
version: 1.0.0
dependencies:
  - {name: xrootd-tally, alias: tally, version: ">=0"}
"""
CACHE = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: cache
spec:
  selector: {matchLabels: {app: cache}}
  template:
    metadata: {labels: {app: cache}}
    spec:
      containers:
        - {name: xrootd, image: cache}
      initContainers:
        {{- include "tally.sidecar" (dict "root" .Subcharts.tally "settings" "mine") | nindent 8 }}
      volumes:
        {{- include "tally.sidecarVolumes" (dict "root" .Subcharts.tally "settings" "mine") | nindent 8 }}
"""


def valid(documents: list[dict[str, Any]]) -> list[str]:
    """What they are, after each was held against the schemas of every version."""
    for each in documents:
        for version in VERSIONS:
            if each["apiVersion"] != "monitoring.coreos.com/v1":
                kubernetes_validate.validate(each, version, strict=True)
    return sorted(f"{each['kind']} {each['metadata']['name']}" for each in documents)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What Kustomize makes of each overlay."""
    system = System("13", tmp_path_factory.mktemp("kustomize") / "debian-13")
    try:
        system.run("apt-get update -qq && apt-get install -y -qq --no-install-recommends kubernetes-client")
        shutil.copytree(ROOT / "packaging/kubernetes", system.root / "kubernetes")
        made = {name: system.run(f"kubectl kustomize /kubernetes/overlays/{name}") for name in OVERLAYS}
    finally:
        system.close()
    return {name: list(yaml.safe_load_all(text)) for name, text in made.items()}


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_is_valid_and_every_name_in_it_is_there(rendered: dict[str, Any], name: str) -> None:
    documents = rendered[name]
    assert valid(documents)
    maps = {each["metadata"]["name"] for each in documents if each["kind"] == "ConfigMap"}
    named = set()
    for each in documents:
        if each["kind"] in ("Deployment", "StatefulSet", "DaemonSet"):
            pod = each["spec"]["template"]["spec"]
            named |= {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume}
            mounted = {
                m["name"] for c in [*pod["containers"], *pod.get("initContainers", [])] for m in c["volumeMounts"]
            }
            claims = {claim["metadata"]["name"] for claim in each["spec"].get("volumeClaimTemplates", [])}
            assert mounted == {volume["name"] for volume in pod["volumes"]} | claims
            assert all("registry.example.org" in container["image"] for container in pod["containers"])
    assert named == maps


@pytest.mark.parametrize("name", ["xrootd-cache", "pelican-cache"])
def test_the_side_car_is_in_the_pod_of_the_cache(rendered: dict[str, Any], name: str) -> None:
    (workload,) = [each for each in rendered[name] if each["kind"] in ("Deployment", "StatefulSet")]
    pod = workload["spec"]["template"]
    (shoveler,) = pod["spec"]["initContainers"]
    assert (shoveler["name"], shoveler["restartPolicy"]) == ("tally-shoveler", "Always")
    assert pod["metadata"]["labels"]["tally-shoveler"] == "sidecar"
    assert len(pod["spec"]["containers"]) == 1


def chart(values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    with Chart.load(CHART) as loaded:
        made = loaded.render(values=values, name="site", namespace="tally")
    return [each for text in made.values() for each in yaml.safe_load_all(text) if each]


def test_the_chart_with_its_defaults() -> None:
    assert valid(chart()) == [
        "ConfigMap site-collector", "ConfigMap site-hub", "ConfigMap site-shoveler", "Ingress site-hub",
        "NetworkPolicy site-collector", "NetworkPolicy site-hub", "NetworkPolicy site-shoveler",
        "PodDisruptionBudget site-collector", "PodDisruptionBudget site-hub", "PodDisruptionBudget site-shoveler",
        "PodMonitor site", "Service site-collector", "Service site-hub", "Service site-shoveler",
        "StatefulSet site-collector", "StatefulSet site-hub", "StatefulSet site-shoveler",
    ]  # fmt: skip


def test_the_chart_on_every_node_and_nothing_else() -> None:
    values = {"shoveler": {"kind": "DaemonSet"}, "hub": {"enabled": False}, "collector": {"enabled": False}}
    made = chart(values)
    assert valid(made) == ["ConfigMap site-shoveler", "DaemonSet site-shoveler", "PodMonitor site"]


def test_values_become_settings() -> None:
    values = {
        "broker": {"url": "amqps://me@b/v"},
        "shoveler": {"settings": {"map": {"10.0.0.1": "192.0.2.1"}, "spool": {"synchronous": "full"}}},
        "collector": {"shards": 2, "settings": {"state": {"ttl": "48h"}}},
        "hub": {"settings": {"signin": {"provider": "github"}}},
    }
    made = chart(values)
    assert valid(made)
    texts = {key: value for each in made if each["kind"] == "ConfigMap" for key, value in each["data"].items()}
    shoveler, collector, hub = (
        tomllib.loads(texts[name]) for name in ("tally-shoveler.toml", "tally-collector.toml", "settings.toml")
    )
    assert (shoveler["map"], shoveler["spool"]) == (
        {"10.0.0.1": "192.0.2.1"},
        {"max_bytes": "8GiB", "synchronous": "full"},
    )
    assert (collector["from"], collector["state"]["ttl"]) == ("amqps://me@b/v", "48h")
    assert (hub["signin"]["provider"], hub["bus"]["token_file"]) == ("github", "/etc/tally/broker/token")
    (stateful,) = [each for each in made if each["kind"] == "StatefulSet" and "collector" in each["metadata"]["name"]]
    assert stateful["spec"]["replicas"] == 2


def test_another_kind_of_shoveler_is_refused() -> None:
    with pytest.raises(Exception, match=r"shoveler\.kind is StatefulSet or DaemonSet"):
        chart({"shoveler": {"kind": "Deployment"}})


def test_the_side_car_in_the_chart_of_a_cache(tmp_path: Path) -> None:
    parent = tmp_path / "cache"
    (parent / "templates").mkdir(parents=True)
    (parent / "Chart.yaml").write_text(PARENT)
    (parent / "templates/cache.yaml").write_text(CACHE)
    shutil.copytree(CHART, parent / "charts/xrootd-tally")
    parts = {"shoveler": {"enabled": False}, "collector": {"enabled": False}, "hub": {"enabled": False}}
    with Chart.load(parent) as loaded:
        made = loaded.render(values={"tally": parts}, name="cache", namespace="cache")
    documents = [each for text in made.values() for each in yaml.safe_load_all(text) if each]
    assert "Deployment cache" in valid(documents)
