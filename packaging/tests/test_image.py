"""The container image: built, and its programs started in it as a runtime does, fed, and stopped."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import images
import pytest
from images import Containers
from machines import CommandError
from test_daemons import SEND

NOBODY = 65532
LARGEST = 420 * 2**20
SHOVELER = [
    "tally-shoveler",
    "--listen",
    "127.0.0.1:9993",
    "--bus",
    "/var/lib/tally/bus",
    "--metrics",
    "127.0.0.1:9931",
]
COLLECTOR = [
    "tally-collector",
    "--from",
    "/var/lib/tally/bus",
    "--to",
    "/var/lib/tally/bus",
    "--metrics",
    "127.0.0.1:9932",
]


@pytest.fixture(scope="module")
def image() -> str:
    return images.build()


@pytest.fixture
def containers(image: str, tmp_path: Path) -> Iterator[Containers]:
    made = Containers(image, tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """As Kubernetes gives it: it belongs to the user of the pod."""
    made = tmp_path / "volume"
    made.mkdir(mode=0o770)
    os.chown(made, NOBODY, NOBODY)
    tmp_path.chmod(0o755)
    return made


GET = """\
import sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen(sys.argv[1], timeout=10)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status)
print(answer.read().decode(), end="")
"""


def page(containers: Containers, port: int, path: str, *, status: int = 200, seconds: float = 120) -> str:
    """What a page says, once it answers with this status."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            code, _, text = containers.inside(GET, f"http://127.0.0.1:{port}{path}").partition("\n")
            if int(code) == status:
                return text
            said = code + text
        except CommandError as error:
            said = str(error)
        assert time.monotonic() < deadline, said
        time.sleep(0.3)


def until(containers: Containers, port: int, line: str, *, seconds: float = 120) -> None:
    """Wait for a line of the metrics."""
    deadline = time.monotonic() + seconds
    while line not in (said := page(containers, port, "/metrics").splitlines()):
        assert time.monotonic() < deadline, "\n".join(said)
        time.sleep(0.3)


def test_the_image_says_who_it_runs_as_and_is_slim(containers: Containers) -> None:
    assert containers.config["User"] == "65532:65532"
    assert "Entrypoint" not in containers.config
    assert not (containers.root / "build").exists()
    assert list((containers.root / "usr/bin").glob("pip*")) == []
    assert images.size() < LARGEST


def test_every_program_starts_with_a_root_that_cannot_be_written(containers: Containers, volume: Path) -> None:
    mounts = {"/var/lib/tally": volume}
    for program in ("tally", "tally-agent", "tally-shoveler", "tally-collector"):
        assert "0.1.0" in containers.run([program, "--version"], {}, mounts=mounts)
    said = containers.run(
        ["/usr/bin/python3", "-c", "import os; print(os.getuid(), os.access('/', os.W_OK))"], {}, mounts=mounts
    )
    assert said.split() == [str(NOBODY), "False"]


def test_datagrams_go_through_shoveler_and_collector(containers: Containers, volume: Path) -> None:
    mounts = {"/var/lib/tally": volume}
    containers.start("shoveler", SHOVELER, {}, mounts=mounts)
    containers.start("collector", COLLECTOR, {}, mounts=mounts)
    for port in (9931, 9932):
        assert page(containers, port, "/livez") == "ok\n"
        assert page(containers, port, "/readyz") == "ok\n"
    sent = int(containers.inside(SEND, "3"))
    until(containers, 9931, f"shoveler_packets_received {float(sent)}")
    until(containers, 9932, f"collector_datagrams_total {float(sent)}")
    containers.stop("shoveler")
    containers.stop("collector")
    assert sorted(path.name for path in (volume / "spool").iterdir())
    assert {path.stat().st_uid for path in volume.rglob("*")} == {NOBODY}


def test_a_broker_that_is_away_makes_nothing_unready(containers: Containers, volume: Path) -> None:
    mounts = {"/var/lib/tally": volume}
    containers.start(
        "shoveler", [*SHOVELER[:3], "--bus", "amqp://tally@127.0.0.1:5672/", *SHOVELER[5:]], {}, mounts=mounts
    )
    assert page(containers, 9931, "/readyz") == "ok\n"
    containers.inside(SEND, "1")
    assert "bus" in json.loads(page(containers, 9931, "/healthz", status=503))["problems"]
    assert page(containers, 9931, "/readyz") == "ok\n"
    containers.stop("shoveler")


def test_the_hub_starts_and_lets_agents_ask(containers: Containers, volume: Path) -> None:
    mounts = {"/var/lib/tally": volume}
    command = [
        "tally",
        "hub",
        "--listen",
        "127.0.0.1:8765",
        "--metrics",
        "127.0.0.1:9933",
        "--bus",
        "/var/lib/tally/bus",
    ]
    containers.start("hub", command, {}, mounts=mounts)
    assert page(containers, 9933, "/livez") == "ok\n"
    assert page(containers, 9933, "/readyz") == "ok\n"
    assert "tally_hub_build_info" in page(containers, 9933, "/metrics")
    assert (volume / "hub").is_dir()
    containers.stop("hub")
