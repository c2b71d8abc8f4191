"""Manifests, chart and image recipe, as files. `make package-test` renders, builds and starts them."""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from agent.server.lint import lint
from collector.config import SCHEMA as COLLECTOR
from collector.config import plan
from gui.runner.settings import read_settings
from shoveler.config import SCHEMA as SHOVELER
from shoveler.config import bus_address, problems

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "packaging/kubernetes"
CHART = ROOT / "packaging/helm/xrootd-tally"
VERSIONS = ("1.29", "1.33", "1.37")
OPERATOR = "monitoring.coreos.com/v1"
"""Kinds of an operator, which Kubernetes' own schemas do not have."""
FOLDERS = sorted(path.parent for path in KUBERNETES.rglob("kustomization.yaml"))
NAMES = [str(folder.relative_to(KUBERNETES)) for folder in FOLDERS]


def documents(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def resources() -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(KUBERNETES.rglob("*.yaml")):
        if path.name not in ("kustomization.yaml", "pelican.yaml") and "shoveler-sidecar" not in path.parts:
            for each in documents(path):
                yield path, each


def ours() -> Iterator[tuple[str, dict[str, Any]]]:
    """Our containers: where each is, and what is said of it."""
    for path in sorted(KUBERNETES.rglob("*.yaml")):
        for each in documents(path):
            if each.get("kind") in ("Deployment", "StatefulSet", "DaemonSet"):
                pod = each["spec"]["template"]["spec"]
                for container in [*pod.get("initContainers", []), *pod.get("containers", [])]:
                    if container["image"] == "xrootd-tally":
                        yield f"{path.relative_to(KUBERNETES)}: {container['name']}", container


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_one_of_this_kubernetes(version: str) -> None:
    checked = 0
    for path, each in resources():
        if each["apiVersion"] != OPERATOR:
            try:
                kubernetes_validate.validate(each, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                raise AssertionError(f"{path}: {each['kind']}: {error}") from None
            checked += 1
    assert checked > 15


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_a_kustomization_names_every_file_that_is_there(folder: Path) -> None:
    (said,) = documents(folder / "kustomization.yaml")
    named = {*said.get("resources", []), *said.get("components", [])}
    named |= {patch["path"] for patch in said.get("patches", [])}
    named |= {name for made in said.get("configMapGenerator", []) for name in made["files"]}
    assert [name for name in sorted(named) if not (folder / name).exists()] == []
    there = {path.name for path in folder.iterdir() if path.is_file()} - {"kustomization.yaml"}
    assert there - named == set()


def test_our_containers_have_no_rights_and_a_limit() -> None:
    seen = list(ours())
    assert len(seen) == 7
    for where, container in seen:
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True, where
        assert security["allowPrivilegeEscalation"] is False, where
        assert security["capabilities"]["drop"] == ["ALL"], where
        assert "memory" in container["resources"]["limits"], where
        assert "sh" not in container["command"], where
        if container["name"] == "own-the-spool":
            continue
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez", where
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz", where
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert container["livenessProbe"]["httpGet"]["port"] in ports, where


def load(schema: Any, path: Path) -> Any:
    parser = argparse.ArgumentParser()
    schema.add_arguments(parser)
    return schema.load(parser.parse_args(["-c", str(path)]), environ={})


@pytest.mark.parametrize("path", sorted(KUBERNETES.rglob("tally-shoveler.toml")), ids=lambda path: path.parent.name)
def test_settings_of_a_shoveler_are_read_and_its_metrics_are_where_the_probes_ask(path: Path) -> None:
    settings = load(SHOVELER, path)
    assert problems(settings) == []
    assert bus_address(settings).password == ""
    assert settings.bus_token_file == Path("/etc/tally/broker/token")
    assert settings.metrics.port == 9931
    assert {address.port for address in settings.listen} == {9993}


def test_settings_of_a_collector_and_of_the_hub_are_read(tmp_path: Path) -> None:
    settings = load(COLLECTOR, KUBERNETES / "collector/tally-collector.toml")
    planned = plan(settings, {"STATE_DIRECTORY": str(tmp_path)})
    assert planned.source.address.password == ""
    assert settings.metrics_listen.port == 9932
    hub, wrong = read_settings(KUBERNETES / "hub/settings.toml")
    assert (wrong, hub.mistakes()) == ([], {})
    assert hub["bus.token_file"] == "/etc/tally/broker/token"


def test_the_caches_of_the_examples_send_what_a_collector_needs() -> None:
    found = lint((KUBERNETES / "overlays/xrootd-cache/xrootd-cache.cfg").read_text())
    assert [each.what for each in found if each.severity == "error"] == []


def test_as_many_collectors_as_shards() -> None:
    (collector,) = documents(KUBERNETES / "collector/statefulset.yaml")
    command = collector["spec"]["template"]["spec"]["containers"][0]["command"]
    assert int(command[command.index("--shards") + 1]) == collector["spec"]["replicas"]


def test_the_version_is_that_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    (chart,) = documents(CHART / "Chart.yaml")
    assert (chart["version"], chart["appVersion"]) == (version, version)
    for path in KUBERNETES.rglob("kustomization.yaml"):
        tags = [each["newTag"] for each in documents(path)[0].get("images", []) if each["name"] == "xrootd-tally"]
        assert set(tags) <= {version}, path


def test_the_recipe_installs_only_what_is_locked_and_copies_what_the_wheel_holds() -> None:
    recipe = (ROOT / "packaging/container/Containerfile").read_text()
    installs = [line for line in recipe.splitlines() if "pip install" in line and "/wheel/" not in line]
    assert installs
    assert all("--require-hashes" in line for line in installs)
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(re.findall(r"^COPY (\w+) \1$", recipe, re.MULTILINE)) == set(wheel["packages"])
    assert "USER 65532:65532" in recipe
    image = {line.split("==")[0] for line in (ROOT / "requirements/image.txt").read_text().splitlines() if "==" in line}
    assert {"pika", "sqlalchemy", "psycopg-binary"} <= image
    assert not {"pyside6-essentials", "numpy", "xrootd"} & image
