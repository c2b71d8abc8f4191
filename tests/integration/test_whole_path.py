"""The whole path with real parts: XRootD servers, shoveler, bus, collector, hub, client agents, and the verdict."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pika
import pytest

from agent.lab.broker import PrivateBroker
from tests.ports import free_port
from tests.promises import within

pytestmark = pytest.mark.xrootd

TALLY = [sys.executable, "-m", "gui.cli"]
AGENT = [sys.executable, "-m", "agent.cli"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data directory of this test's own, with no display and no settings from outside."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "TALLY_KEY", "TALLY_DB", "TALLY_BUS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TALLY_DATA", str(tmp_path / "data"))
    # XRootD limits the length of its admin path, so labs need a short temporary directory.
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as short:
        Path(short).chmod(0o777)  # the lab's servers run as another user when we are root
        monkeypatch.setenv("TMPDIR", short)
        yield tmp_path


def tally(*arguments: str, seconds: float = 500) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TALLY, *arguments], capture_output=True, text=True, timeout=seconds, check=False)


def left_behind(before: set[str]) -> list[str]:
    """Processes and directories of demonstrations that were not there before."""
    found = [name for name in demo_directories() if name not in before]
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            found += [command for name in found if name in command]
    return found


def demo_directories() -> set[str]:
    names = Path(os.environ["TMPDIR"]).iterdir()
    return {str(path) for path in names if path.name.startswith(("tally-demo-", "tally-clients-"))}


def test_the_demonstration_records_every_request_and_leaves_nothing_behind(place: Path) -> None:
    before = demo_directories()
    done = tally(
        *("demo", "--headless", "--servers", "2", "--files", "10", "--rate", "5"), *("--bus", str(place / "bus"))
    )
    assert done.returncode == 0, done.stderr
    assert "Every one of the 20 requests was recorded exactly as it was made." in done.stdout
    assert re.search(r"^1\s+2×10\s+2\s+10\s+20\s+5/server\s+20\.00\s+100\.00 %", done.stdout, re.MULTILINE), done.stdout
    assert "results 1 --db" in done.stdout
    assert left_behind(before) == []
    listed = tally("results", "--list", "--json", "--db", str(place / "data" / "demo.db"))
    (run,) = json.loads(listed.stdout)
    assert (run["conclusion"], run["matched"], run["counted"]) == ("pass", 20, 20)


@pytest.mark.broker
def test_a_given_broker_sees_only_prefixed_names_and_none_of_them_afterwards(
    place: Path, broker: PrivateBroker
) -> None:
    before = broker.ctl("list_queues", "name", "--silent").split()
    exchanges = set(broker.ctl("list_exchanges", "name", "--silent").split())
    done = tally("demo", "--headless", "--servers", "2", "--files", "10", "--rate", "5", "--bus", broker.url)
    assert done.returncode == 0, done.stderr
    queues = set(broker.ctl("list_queues", "name", "--silent").split()) - set(before)
    assert {name for name in queues if name.startswith("lab-")} == set()
    assert set(broker.ctl("list_exchanges", "name", "--silent").split()) == exchanges
    # The workspace's own queue outlives a run: records that come later are still for it.
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        for queue in queues:
            connection.channel().queue_delete(queue)


def test_ctrl_c_at_any_time_leaves_nothing_behind(place: Path) -> None:
    for words in ("starting 2 XRootD servers", "client agents", "reading"):
        before = demo_directories()
        process = subprocess.Popen(
            [
                *TALLY,
                "demo",
                "--headless",
                "--servers",
                "2",
                "--files",
                "200",
                "--rate",
                "5",
                "--bus",
                str(place / "bus"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        said = ""
        while words not in said:
            line = process.stderr.readline()
            assert line, f"it ended before it said {words!r}: {said}"
            said += line
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
        assert process.returncode == 1, rest
        assert "Traceback" not in rest
        assert left_behind(before) == [], f"after Ctrl-C at {words!r}"


PLAN = """name = "two"
settle = "20s"
[[test]]
servers = {servers}
files_per_server = 4
per_round = 2
wait = "0.2s"
{more}
"""


@pytest.mark.parametrize(
    ("more", "line", "sentence"),
    [
        ("reapeats = 3", 8, "unknown key 'reapeats'; did you mean repeats?"),
        ("repeats = -3", 8, "repeats: expected a number from 1"),
        ("seed = ", 8, "this is not TOML"),
    ],
)
def test_a_plan_that_is_wrong_is_named_by_its_line(place: Path, more: str, line: int, sentence: str) -> None:
    plan = place / "plan.toml"
    plan.write_text(PLAN.format(servers=2, more=more))
    done = tally("run", str(plan), "--headless")
    assert done.returncode == 2
    assert f"{plan}, line {line}" in done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_what_cannot_work_gets_one_sentence_and_exit_code_2(place: Path) -> None:
    plan = place / "plan.toml"
    plan.write_text(PLAN.format(servers=2, more=""))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = tally("hub", "--listen", f"127.0.0.1:{port}", "--db", str(place / "w.db"))
        assert done.returncode == 2
        assert f"127.0.0.1:{port}" in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
    for arguments, sentence in (
        (["run", "nothing.toml", "--headless"], "There is no plan file 'nothing.toml'; presets are: osdf-2021"),
        (["run", str(plan), "--headless", "--listen", "nowhere"], "--listen"),
        (
            ["run", str(plan), "--headless", "--listen", "127.0.0.1:0"],
            "There is no bus to take records from",
        ),
        (["run", str(plan), "--headless", "--lab", str(place / "no")], "There is no lab in"),
        (["demo", "--servers", "0"], "servers must be from 1 to 200"),
        (["results", "--db", str(place / "w.db")], "There are no runs in"),
        (["results", "7", "--db", str(place / "w.db")], "7"),
    ):
        done = tally(*arguments)
        assert done.returncode == 2, (arguments, done.stderr)
        assert sentence in done.stderr, (arguments, done.stderr)
        assert "Traceback" not in done.stderr


def test_a_database_of_a_newer_version_is_refused_and_left_alone(place: Path) -> None:
    file = place / "newer.db"
    assert tally("key", "create", "--shared", "--db", str(file)).returncode == 0
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    content = file.read_bytes()
    done = tally("key", "list", "--db", str(file))
    assert done.returncode == 2
    assert "newer" in done.stderr
    assert str(file) in done.stderr
    assert file.read_bytes() == content


@pytest.fixture
def lab(place: Path):
    """A lab of two servers on the local bus."""
    directory = Path("/tmp") / f"tally-test-lab-{os.getpid()}"
    up = subprocess.run(
        [*AGENT, "lab", "up", "--servers", "2", "--dir", str(directory), "--bus", str(place / "bus"), "--json"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert up.returncode == 0, up.stderr
    try:
        yield directory
    finally:
        subprocess.run([*AGENT, "lab", "down", "--dir", str(directory)], capture_output=True, timeout=90, check=True)


def test_an_unreachable_server_and_a_missing_file_are_the_clients_failures(place: Path, lab: Path) -> None:
    files = place / "files.txt"
    files.write_text("/store/not/there.dat 1000\n")
    plan = place / "plan.toml"
    dead = f"root://127.0.0.1:{free_port()}"
    plan.write_text(
        PLAN.format(servers=json.dumps(["s01", dead]), more='timeout = "3s"\n[test.files]\nlist = "files.txt"')
    )
    db = str(place / "w.db")
    listen = f"127.0.0.1:{free_port()}"
    done = tally("run", str(plan), "--headless", "--lab", str(lab), "--db", db, "--listen", listen, "--insecure")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    with closing(sqlite3.connect(db)) as database, database:
        rows = database.execute("SELECT ok, status, error FROM request").fetchall()
    database.close()
    assert len(rows) == 8
    assert all(not ok and status and error for ok, status, error in rows), rows
    report = json.loads(tally("results", "--json", "--db", db).stdout)
    (test,) = report["tests"]
    assert (test["figures"]["client_failed"], test["figures"]["missing"]) == (8, 0)
    assert test["figures"]["conclusion"] == "inconclusive"


def test_every_correctness_preset_passes(place: Path, lab: Path) -> None:
    """All of them at the same time, as they come, but for the pauses: those only take time. Files of a lab begin at one
    byte, so that every workload meets files smaller than what it would like to read."""
    presets = sorted((Path(__file__).parents[2] / "resources" / "presets").glob("correctness-*.toml"))
    assert len(presets) == 5
    runs = {}
    for preset in presets:
        plan = place / preset.name
        plan.write_text(
            preset.read_text().replace('wait = "1s"', 'wait = "100ms"').replace('pause = "60s"', 'pause = "500ms"')
        )
        words = ["run", str(plan), "--headless", "--lab", str(lab), "--db", str(plan.with_suffix(".db"))]
        runs[plan] = subprocess.Popen(
            [*TALLY, *words, "--listen", f"127.0.0.1:{free_port()}", "--insecure"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    said = {}
    try:
        for plan, run in runs.items():
            said[plan] = run.communicate(timeout=120)[1]
    finally:
        for run in runs.values():
            run.kill()
            run.communicate()
    assert {plan.stem: run.returncode for plan, run in runs.items()} == {plan.stem: 0 for plan in runs}, said
    for plan in runs:
        report = json.loads(tally("results", "--json", "--db", str(plan.with_suffix(".db"))).stdout)
        for test in report["tests"]:
            figures = test["figures"]
            assert (figures["matched"], figures["client_failed"]) == (figures["total"], 0), (plan.stem, figures)


def test_an_agent_with_a_wrong_key_is_told_so_and_the_hub_goes_on(place: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    hub = subprocess.Popen(
        [*TALLY, "hub", "--listen", listen, "--insecure", "--db", str(place / "w.db")],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert hub.stderr is not None
        assert listen in hub.stderr.readline()
        agent = subprocess.run(
            [
                *AGENT,
                "--hub",
                f"ws://{listen}",
                "--insecure",
                "--role",
                "client",
                "--name",
                "c1",
                "--state",
                str(place / "c1"),
            ],
            env=os.environ | {"TALLY_KEY": "x" * 40},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert agent.returncode in (1, 2), agent.stderr
        assert "401" in agent.stderr or "key" in agent.stderr.lower()
        assert "Traceback" not in agent.stderr
        assert hub.poll() is None
        began = time.monotonic()
        hub.send_signal(signal.SIGINT)
        assert hub.wait(120) == 0
        assert time.monotonic() - began < within(15)
    finally:
        hub.kill()
        hub.communicate()
