"""One server of a lab stands still: the others go on to the end meanwhile, and it is asked for the rest afterwards."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.messages import LabState, decode_lab_state

pytestmark = pytest.mark.xrootd

TALLY = [sys.executable, "-m", "gui.cli"]
LAB = [sys.executable, "-m", "agent.cli", "lab"]
SERVERS, FILES, PER_ROUND = 6, 100, 10
PLAN = f"""
name = "hung"
settle = "60s"
[[test]]
servers = {SERVERS}
files_per_server = {FILES}
per_round = {PER_ROUND}
wait = "300ms"
timeout = "120s"
"""


@pytest.fixture
def lab() -> Iterator[LabState]:
    """Six servers on a local bus, in a short directory, as XRootD's own paths may not be long."""
    with tempfile.TemporaryDirectory(prefix="tally-test-") as place:
        words = ["--dir", f"{place}/lab"]
        up = [*LAB, "up", "--servers", str(SERVERS), "--bus", f"{place}/bus", *words]
        subprocess.run(up, check=True, capture_output=True)
        try:
            yield decode_lab_state((Path(place) / "lab" / "state.json").read_bytes())
        finally:
            subprocess.run([*LAB, "down", *words], check=True, capture_output=True)


def read(database: Path, server: str, others: str = "=") -> int:
    """Requests to this server (with ``<>``: to all others) that are done."""
    if not database.exists():
        return 0
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        text = f"SELECT count(*) FROM request JOIN server s ON s.id = server_id WHERE ok AND s.name {others} ?"
        try:
            return int(connection.execute(text, (server,)).fetchone()[0])
        except sqlite3.OperationalError:  # its tables are being made
            return 0


def wait_for(condition: Callable[[], bool], run: subprocess.Popen[str], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert run.poll() is None, "the run has ended"
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.1)


def test_the_other_servers_are_asked_for_all_while_one_stands_still(lab: LabState, tmp_path: Path) -> None:
    plan, database, said = tmp_path / "plan.toml", tmp_path / "w.db", tmp_path / "said.txt"
    plan.write_text(PLAN)
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    words = ["--headless", "--lab", lab.directory, "--db", str(database), "--listen", listen, "--insecure"]
    hung = lab.servers[2]
    with (
        said.open("w") as out,
        subprocess.Popen([*TALLY, "run", str(plan), *words], stdout=out, stderr=out, text=True) as run,
    ):
        try:
            wait_for(lambda: read(database, hung.name) >= PER_ROUND, run)
            os.kill(hung.pid, signal.SIGSTOP)
            try:
                wait_for(lambda: read(database, hung.name, "<>") == (SERVERS - 1) * FILES, run)
                assert read(database, hung.name) < FILES, "it stands still"
                wait_for(lambda: f"server {hung.name}: {hung.name} has not answered" in said.read_text(), run)
            finally:
                os.kill(hung.pid, signal.SIGCONT)
            assert run.wait(120) == 0, said.read_text()
        finally:
            run.kill()
    words = ["results", "--json", "--db", str(database)]
    report = json.loads(subprocess.run([*TALLY, *words], capture_output=True, check=True).stdout)
    (test,) = report["tests"]
    assert (test["figures"]["total"], test["figures"]["matched"]) == (SERVERS * FILES, SERVERS * FILES)
    assert [m["kind"] for m in report["markers"] if m["text"].startswith(hung.name)] == ["hold", "held"]
    assert f"Z: {hung.name} did not answer for " in said.read_text(), "in the report"
