"""Waiting for monitoring on a busy bus: it ends by position, whatever else goes over the same shoveler and broker."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.lab.broker import PrivateBroker
from agent.messages import LabState, decode_lab_state

pytestmark = [pytest.mark.xrootd, pytest.mark.broker]

TALLY = [sys.executable, "-m", "gui.cli"]
LAB = [sys.executable, "-m", "agent.cli", "lab"]
RATE = 1000
"""Foreign datagrams a second."""
PLAN = """
name = "busy"
settle = "90s"
[[test]]
servers = 2
files_per_server = 20
per_round = 10
wait = "100ms"
"""


@pytest.fixture
def lab(broker: PrivateBroker) -> Iterator[LabState]:
    """Two servers on a real broker, in a short directory, as XRootD's own paths may not be long."""
    with tempfile.TemporaryDirectory(prefix="tally-test-") as place:
        directory = Path(place) / "lab"
        words = ["--dir", str(directory)]
        subprocess.run([*LAB, "up", "--servers", "2", "--bus", broker.url, *words], check=True, capture_output=True)
        try:
            yield decode_lab_state((directory / "state.json").read_bytes())
        finally:
            subprocess.run([*LAB, "down", *words], check=True, capture_output=True)


class Traffic:
    """Another federation's servers, which send to the same shoveler: `RATE` datagrams a second, each of them new."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._to = (host, int(port))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="foreign traffic")
        self.sent = 0

    @contextmanager
    def flowing(self) -> Iterator[Traffic]:
        self._thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
            while not self._stopping.wait(0.005):
                for _ in range(round((time.monotonic() - began) * RATE) - self.sent):
                    sender.sendto(self._login(), self._to)
                    self.sent += 1

    def _login(self) -> bytes:
        """A login (format reference, section 5): sent whole, of 60 bytes and more."""
        text = f"xroot/other.{self.sent}:17@elsewhere.example.org\n&R=v5.5.3&x=xrdcp&y=&I=4".encode()
        stod = 1_790_000_000
        size = 12 + len(text)
        return b"u" + bytes([self.sent % 256]) + size.to_bytes(2) + stod.to_bytes(4) + self.sent.to_bytes(4) + text


def run(lab: LabState, place: Path) -> dict[str, Any]:
    """The repeat of one run on the lab."""
    plan, database = place / "plan.toml", str(place / "w.db")
    plan.write_text(PLAN)
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    words = ["--headless", "--lab", lab.directory, "--db", database, "--listen", listen, "--insecure"]
    done = subprocess.run([*TALLY, "run", str(plan), *words], capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    words = ["results", "--json", "--db", database]
    report = json.loads(subprocess.run([*TALLY, *words], capture_output=True, check=True).stdout)
    (test,) = report["tests"]
    (repeat,) = test["repeats"]
    found: dict[str, Any] = repeat["repeat"]
    return found


def test_settling_ends_beside_a_thousand_foreign_datagrams_a_second(lab: LabState, tmp_path: Path) -> None:
    with Traffic(lab.servers[0].udp).flowing() as traffic:
        repeat = run(lab, tmp_path)
    took = repeat["settled"] - repeat["ended"]
    assert repeat["settle_complete"] is True
    assert repeat["settle_reason"] == "all that the servers sent is loaded", "by watermark, and not by the limit"
    assert took <= 3 + lab.fstat_seconds + lab.flush_seconds
    assert traffic.sent > RATE
