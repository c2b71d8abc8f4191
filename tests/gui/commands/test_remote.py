"""Commands with ``--hub``, each as a process of its own, at a real hub with TLS."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gui.cli import main
from gui.hub import HubOptions
from gui.hub.keys import new_key
from tests.gui.runner.conftest import Stage, stage  # noqa: F401 - a fixture


@dataclass
class Far:
    """A hub, and an operator and an observer of it on another machine."""

    stage: Stage
    workspace: Any
    directory: Path

    def words(self, scope: str = "operator") -> list[str]:
        key = new_key([scope], time.time(), sub="anna")
        self.workspace.store.put_key(key)
        file = self.directory / f"{key.kid}.txt"
        file.write_text(key.secret)
        hub = self.workspace.hub
        return [
            "--hub",
            hub.local_address,
            "--pin",
            hub.pin,
            "--kid",
            key.kid,
            "--key-file",
            str(file),
            "--name",
            "anna",
        ]

    async def tally(self, *words: str, scope: str = "operator", code: int = 0) -> tuple[str, str]:
        """Run it; returns what it printed, and its errors."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_")}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gui.cli", *words, *self.words(scope)),
            env=clean | {"TALLY_DATA": str(self.directory / "data"), "PYTHONIOENCODING": "utf-8"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await process.communicate()
        assert process.returncode == code, (out.decode(), errors.decode())
        assert b"Traceback" not in errors
        return out.decode(), errors.decode()


@pytest.fixture
async def far(stage: Stage, tmp_path: Path) -> AsyncIterator[Far]:  # noqa: F811
    tls = HubOptions(directory=stage.directory / "hub", host="127.0.0.1", port=0, heartbeat=0.2)
    async with stage.open(hub=tls) as workspace:
        yield Far(stage, workspace, tmp_path)


async def test_results_compare_and_federation_of_a_remote_hub(far: Far) -> None:
    far.stage.monitoring.lose = lambda done: done.path.endswith(("1", "3", "5", "7", "9"))
    await far.stage.join("c1")
    first, second = await far.stage.run(), await far.stage.run()
    out, _ = await far.tally("results", "--list", "--json", scope="observer")
    assert [row["run"] for row in json.loads(out)] == [second.run, first.run]
    out, _ = await far.tally("results", str(first.run), "--json", scope="observer")
    report = json.loads(out)
    assert (report["run"]["id"], report["tests"][0]["figures"]["total"]) == (first.run, 12)
    missing = report["tests"][0]["figures"]["missing"]
    assert missing > 0
    out, _ = await far.tally("results", "--requests", "--verdict", "missing", scope="observer")
    rows = out.splitlines()[1:]
    assert len(rows) == second.tests[0].missing
    out, _ = await far.tally("results", "--evidence", rows[0].split(",")[0], scope="observer")
    assert "missing" in out
    page = far.directory / "page.html"
    await far.tally("results", "--format", "html", "--out", str(page), scope="observer")
    assert page.read_text().startswith("<!doctype html>") or "<html" in page.read_text()
    out, _ = await far.tally("compare", str(first.run), str(second.run), "--json", scope="observer")
    assert json.loads(out)
    out, _ = await far.tally("federation", "--json", scope="observer")
    assert json.loads(out)["rows"][0]["accesses"] == far.workspace.store.usage("server")[0].accesses
    _, said = await far.tally("results", "99", scope="observer", code=2)
    assert "There is no run 99" in said


async def test_a_plan_is_run_with_its_reports_here(far: Far) -> None:
    await far.stage.join("c1")
    plan = far.directory / "plan.toml"
    plan.write_text(far.stage.plan_text)
    (far.directory / "files.txt").write_text(far.stage.files)
    out, said = await far.tally("run", str(plan), "--out", str(far.directory / "reports"))
    assert "100.00 %" in out
    assert "passed. 12 of 12 requests matched" in out
    names = {path.name for path in (far.directory / "reports").iterdir()}
    assert {"run-1.json", "run-1.html", "run-1.csv", "run-1.pdf"} <= names
    assert any(name.startswith("run-1") and name.endswith(".zip") for name in names)
    _, said = await far.tally("run", str(plan), scope="observer", code=2)
    assert "look on only" in said


async def test_wait_is_for_the_clients_of_this_run(far: Far) -> None:
    plan = far.directory / "plan.toml"
    plan.write_text(far.stage.plan_text)
    (far.directory / "files.txt").write_text(far.stage.files)
    _, said = await far.tally("run", str(plan), "--wait", "0.5", code=2)
    assert "Not all clients have connected" in said


async def test_a_run_is_paused_resumed_and_stopped_from_elsewhere(far: Far) -> None:
    stage_ = far.stage
    (c1,) = await stage_.join("c1", hold=lambda _request: True)
    running = stage_.start()
    await stage_.until(lambda: len(c1.held) == 8)
    _, said = await far.tally("pause", scope="observer", code=2)
    assert "look on only" in said
    out, _ = await far.tally("pause")
    assert f"Run {stage_.now.run} of wss://" in out
    assert "is paused" in out
    _, said = await far.tally("pause", code=2)
    assert "The run is paused already." in said
    assert (await far.tally("resume"))[0].rstrip().endswith("goes on.")
    stopping = asyncio.create_task(far.tally("stop", "--wait"))  # noqa: TID251 - awaited below
    await stage_.until(lambda: far.workspace.runs.session is None or far.workspace.runs.session._stopping)
    c1.hold = lambda _request: False
    await c1.release()
    out, _ = await stopping
    assert "Run 1: stopped." in out
    assert (await running).outcome == "stopped"
    _, said = await far.tally("stop", code=2)
    assert "No run is under way" in said


async def test_agents_are_managed_from_elsewhere(far: Far) -> None:
    await far.stage.join("c1", "c2")
    out, _ = await far.tally("agent", "list", "--json", scope="observer")
    assert {row["name"] for row in json.loads(out)} == {"c1", "c2"}
    await far.tally("agent", "drain", "c1")
    hub = far.workspace.hub
    c1 = next(view for view in hub.roster.agents if view.name == "c1")
    await far.stage.until(lambda: hub.hold_of(c1, "drain") is not None)
    await far.tally("agent", "resume", "c1")
    await far.stage.until(lambda: hub.hold_of(c1, "drain") is None)
    out, _ = await far.tally("agent", "disconnect", "c1", "c2", "--for", "10m")
    assert out.splitlines() == ["c1 is disconnected.", "c2 is disconnected."]
    await far.stage.until(lambda: {v.state for v in far.workspace.hub.roster.agents} == {"disconnected"})
    await far.tally("agent", "allow", "c1", "c2")
    _, said = await far.tally("agent", "revoke", "c1", code=2)
    assert "joined with the shared key" in said
    _, said = await far.tally("agent", "drain", "c9", code=2)
    assert "There is no agent 'c9'; known agents: c1, c2." in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["results", "--hub", "wss://h", "--db", "w.db"], "--db is of this machine, and --hub of another"),
        (["--db", "w.db", "stop", "--hub", "wss://h"], "--db is of this machine, and --hub of another"),
        (["run", "p.toml", "--hub", "wss://h", "--lab"], "--lab is of this machine"),
        (["run", "p.toml", "--hub", "wss://h", "--local-clients", "0"], "--local-clients is of this machine"),
        (["run", "p.toml", "--pin", "sha256:00"], "--pin is for a remote hub: add --hub URL"),
        (["compare", "--kid", "k"], "--kid is for a remote hub"),
        (["federation", "--key-file", "f"], "--key-file is for a remote hub"),
        (["pause", "--ca-file", "f"], "--ca-file is for a remote hub"),
        (["results", "--schema", "--hub", "wss://h"], "--schema is the same for every hub; leave --hub out"),
        (["agent", "disconnect", "c1", "--db", "DB"], "say for how long: --for TIME or --until-allowed"),
        (["agent", "disconnect", "c1", "--for", "soon", "--db", "DB"], "--for: "),
        (["--hub", "wss://h", "--db", "w.db"], "--db is of this machine, and --hub of another"),
        (["--pin", "sha256:00"], "--pin is for a remote hub: add --hub URL"),
        (["stop", "--hub", "wss://h"], "sign in with `tally login wss://h`"),
    ],
)
def test_options_that_make_no_sense_together(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLY_DATA", str(tmp_path / "data"))
    for name in ("TALLY_KEY", "TALLY_DB"):
        monkeypatch.delenv(name, raising=False)
    assert main([str(tmp_path / "w.db") if word == "DB" else word for word in words]) == 2
    assert says in capsys.readouterr().err


def test_holds_are_made_in_the_database_of_a_hub_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from gui.hub.persistence import Sighting
    from gui.store import Store

    database = str(tmp_path / "w.db")
    with Store(database) as store:
        known = ("k1/c1", "client"), ("k2/c1", "client"), ("k1/s1", "server")
        store.see_agents([Sighting(one, one[3:], role, {"host": "h"}) for one, role in known], 1.0)
    assert main(["agent", "drain", "c1", "--db", database]) == 2
    assert "Several agents are called 'c1'; say which: k1/c1 or k2/c1." in capsys.readouterr().err
    assert main(["agent", "drain", "k1/c1", "--db", database]) == 0
    assert main(["agent", "drain", "s1", "--db", database]) == 2
    assert main(["agent", "disconnect", "k2/c1", "--until-allowed", "--db", database]) == 0
    capsys.readouterr()
    assert main(["agent", "list", "--json", "--db", database]) == 0
    states = {(row["kid"], row["name"]): row["state"] for row in json.loads(capsys.readouterr().out)}
    assert states == {("k1", "c1"): "draining", ("k2", "c1"): "disconnected", ("k1", "s1"): "known"}
    assert main(["agent", "allow", "k2/c1", "--db", database]) == 0
    assert main(["agent", "resume", "k2/c1", "--db", database]) == 0
    assert "c1 was not drained." in capsys.readouterr().out
