"""`tally hub` is killed (kill -9) in a run with real servers, agents and a remote operator: the run goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.promises import within
from tests.waiting import until

pytestmark = pytest.mark.xrootd

TALLY = [sys.executable, "-m", "gui.cli"]
AGENT = [sys.executable, "-m", "agent.cli"]
KEY = "the shared key of this test, which is long enough"
SERVERS, FILES, PER_ROUND = 2, 120, 4
PLAN = f"""
name = "restarted"
settle = "60s"
[[test]]
servers = {SERVERS}
files_per_server = {FILES}
per_round = {PER_ROUND}
wait = "300ms"
"""


class Site:
    """A lab with real servers, a hub that is killed and started again, and two agents."""

    def __init__(self, place: Path, processes: ExitStack) -> None:
        self.place = place
        self.lab = place / "lab"
        self.database = place / "w.db"
        self.address = "127.0.0.1:0"
        self._processes = processes
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("TALLY_", "DISPLAY"))}
        self.environment = clean | {"TALLY_DATA": str(place / "data"), "TALLY_KEY": KEY, "PYTHONUNBUFFERED": "1"}

    def start(self, *words: str, log: str) -> subprocess.Popen[str]:
        """A process that ends with the test; what it says goes to a file."""
        out = self._processes.enter_context((self.place / log).open("w"))
        process = subprocess.Popen(words, env=self.environment, stdout=out, stderr=out, text=True)
        self._processes.callback(_end, process)
        return process

    def hub(self, number: int) -> subprocess.Popen[str]:
        log = f"hub{number}.log"
        words = ["--lab", str(self.lab), "--local-clients", "0", "--listen", self.address, "--insecure"]
        process = self.start(*TALLY, "hub", "--db", str(self.database), *words, log=log)
        until(lambda: re.search(r"Hub at ws://(127\.0\.0\.1:\d+),", self.said(log)))
        found = re.search(r"Hub at ws://(127\.0\.0\.1:\d+),", self.said(log))
        assert found
        self.address = found[1]
        return process

    def agent(self, name: str) -> subprocess.Popen[str]:
        words = ["--hub", f"ws://{self.address}", "--insecure", "--role", "client", "--name", name]
        return self.start(*AGENT, *words, "--state", str(self.place / name), log=f"{name}.log")

    def said(self, log: str) -> str:
        return (self.place / log).read_text()

    def count(self, sql: str) -> int:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            try:
                return int(connection.execute(sql).fetchone()[0])
            except sqlite3.OperationalError:  # its tables are being made
                return 0


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


@pytest.fixture
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="tally-test-") as directory, ExitStack() as processes:
        place = Path(directory)
        lab = [*AGENT, "lab"]
        words = ["--dir", str(place / "lab")]
        up = [*lab, "up", "--servers", str(SERVERS), "--bus", str(place / "bus"), *words]
        subprocess.run(up, check=True, capture_output=True)
        processes.callback(subprocess.run, [*lab, "down", *words], check=True, capture_output=True)
        yield Site(place, processes)


def test_a_hub_that_is_killed_goes_on_with_its_run(site: Site) -> None:
    hub = site.hub(1)
    agents = [site.agent(name) for name in ("c1", "c2")]
    made = subprocess.run(
        [*TALLY, "key", "create", "--scope", "operator", "--kid", "anna", "--sub", "anna", "--db", str(site.database)],
        env={name: value for name, value in site.environment.items() if name != "TALLY_KEY"},
        capture_output=True,
        text=True,
        check=True,
    )
    key = site.place / "anna.key"
    key.write_text(made.stdout.strip().splitlines()[-1].split()[-1])
    (site.place / "plan.toml").write_text(PLAN)
    words = ["--hub", f"ws://{site.address}", "--insecure", "--kid", "anna", "--name", "anna", "--key-file", str(key)]
    site.environment.pop("TALLY_KEY")
    operator = site.start(*TALLY, "run", str(site.place / "plan.toml"), *words, log="operator.log")
    site.environment["TALLY_KEY"] = KEY
    total = SERVERS * FILES
    for number, made_by_then in enumerate((total // 4, total // 2, 3 * total // 4), 2):
        until(lambda least=made_by_then: site.count("SELECT count(*) FROM request WHERE ok") >= least)  # type: ignore[misc]
        hub.send_signal(signal.SIGKILL)
        hub.wait()
        assert operator.poll() is None, site.said("operator.log")
        hub = site.hub(number)
        until(lambda log=f"hub{number}.log": "was under way, and goes on" in site.said(log))  # type: ignore[misc]
    assert operator.wait(within(300)) == 0, site.said("operator.log")
    assert "100.00 %" in site.said("operator.log")
    assert all(agent.poll() is None for agent in agents)
    assert site.count("SELECT count(*) FROM request") == total
    assert site.count("SELECT count(*) FROM request WHERE ok") == total
    assert site.count("SELECT count(DISTINCT tag_id || ' ' || path) FROM request") == total
    assert site.count("SELECT count(*) FROM record WHERE record_key % 2 <> 0") == total, "each was asked once"
    assert site.count("SELECT count(*) FROM run") == 1
    shown = subprocess.run(
        [*TALLY, "results", "--json", "--db", str(site.database)],
        env=site.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(shown.stdout)
    assert (report["run"]["state"], report["conclusion"]) == ("passed", "pass")
    figures = report["tests"][0]["figures"]
    assert (figures["matched"], figures["duplicate"], figures["client_failed"]) == (total, 0, 0)
