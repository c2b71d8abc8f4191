"""Alert rules and dashboards: each alert fires on what it is for, every panel's query runs on a real Prometheus."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.engine import Snapshot
from collector.metrics import Metrics as CollectorMetrics
from shoveler.daemon import Metrics as ShovelerMetrics
from shoveler.service import Address, Health, MonitorServer, exposition, new_registry

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "packaging/monitoring"
DASHBOARDS = sorted(MONITORING.glob("dashboard-*.json"))


def both() -> tuple[Any, Any]:
    """The registries of a shoveler and of a collector at work."""
    shoveler, collector = new_registry(), new_registry()
    metrics = ShovelerMetrics(shoveler)
    metrics.connected.set(1.0)
    metrics.token.set(3600.0)
    for family in (metrics.rejected, metrics.oversize, metrics.sender_packets):
        family.set(1.0, "length")
    labelled = {"records": {"file": 1.0}, "core": {"missing{fstat}": 1.0}, "set_aside": {"time": 1.0}}
    labelled["core"] |= {"incomplete{no_open}": 1.0, "rejected{short}": 1.0}
    CollectorMetrics(collector, peer_names=False).show([Snapshot(part="p", labelled=labelled, trouble={"input": "x"})])
    return shoveler, collector


def promtool(*arguments: str | Path, stdin: bytes = b"") -> str:
    done = subprocess.run(["promtool", *arguments], cwd=MONITORING, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return done.stdout.decode()


def test_every_alert_fires_on_what_it_is_for_and_on_nothing_else() -> None:
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts.test.yml")
    alerts = set(re.findall(r"- alert: (\w+)", (MONITORING / "alerts.yml").read_text()))
    tested = set(re.findall(r'- name: "(\w+) fires"', (MONITORING / "alerts.test.yml").read_text()))
    assert alerts == tested
    assert alerts == set(re.findall(r"^\| `(\w+)` \(", (ROOT / "docs/alerts.md").read_text(), re.MULTILINE))


PEERS = {"shoveler_packets_received", "shoveler_validations_failed", "shoveler_rabbitmq_reconnects",
         "collector_packets_parsed_ok", "collector_parse_errors", "collector_ttl_evictions",
         "collector_records_emitted", "collector_records_dropped"}  # fmt: skip
"""Counters that keep the names of the OSG programs, without `_total`, so that dashboards go on."""


def test_the_metrics_are_as_prometheus_wants_them() -> None:
    for registry in both():
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=exposition(registry) + b"\n", capture_output=True, check=False
        )
        complaints = (done.stdout + done.stderr).decode().splitlines()
        assert [line for line in complaints if line.split(" ")[0] not in PEERS] == []


def expressions(path: Path) -> list[str]:
    return [target["expr"] for panel in json.loads(path.read_text())["panels"] for target in panel["targets"]]


def test_rules_and_panels_use_only_metrics_that_there_are() -> None:
    exposed = "".join(exposition(registry).decode() for registry in both())
    there = set(re.findall(r"^# TYPE (\w+) ", exposed, re.MULTILINE)) | set(
        re.findall(r"^(\w+)[{ ]", exposed, re.MULTILINE)
    )
    texts = [(MONITORING / "alerts.yml").read_text(), *(expr for path in DASHBOARDS for expr in expressions(path))]
    used = set(re.findall(r"\b(?:shoveler|collector|process)_\w+", " ".join(texts)))
    assert len(used) > 25
    assert used - there == set()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Prometheus that scrapes a shoveler and a collector."""
    place = tmp_path_factory.mktemp("prometheus")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    shoveler, collector = both()
    with (
        MonitorServer(Address("127.0.0.1", 0), shoveler, Health()) as one,
        MonitorServer(Address("127.0.0.1", 0), collector, Health()) as two,
    ):
        jobs = [{"job_name": f"tally-{name}", "static_configs": [{"targets": [str(server.address)]}]}
                for name, server in (("shoveler", one), ("collector", two))]  # fmt: skip
        (place / "prometheus.yml").write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}))
        command = ["prometheus", f"--config.file={place}/prometheus.yml", f"--storage.tsdb.path={place}/data"]
        command.append(f"--web.listen-address=127.0.0.1:{port}")
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline:
                try:
                    if len(ask(port, "count_over_time(up[1m]) > 2")) == 2:
                        break
                except OSError:
                    pass  # it is starting
                time.sleep(0.2)
            else:
                raise AssertionError((place / "log").read_text())
            yield port
        finally:
            process.terminate()
            process.wait()


def ask(port: int, query: str) -> list[Any]:
    text = urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{text}", timeout=30) as answer:
        document = json.load(answer)
    assert document["status"] == "success"
    found: list[Any] = document["data"]["result"]
    return found


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_shows_something(path: Path, prometheus: int) -> None:
    for expression in expressions(path):
        query = expression.replace("$instance", ".*").replace("$__rate_interval", "1m")
        assert ask(prometheus, query), f"{expression} gives nothing"
    dashboard = json.loads(path.read_text())
    (variable,) = [each for each in dashboard["templating"]["list"] if each["name"] == "instance"]
    metric = re.fullmatch(r"label_values\((\w+), instance\)", variable["query"])
    assert metric
    assert ask(prometheus, metric[1])
