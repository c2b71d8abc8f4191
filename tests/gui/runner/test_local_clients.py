"""Real agents on this machine: started, killed, ended; nothing stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest

from gui.hub import HubOptions
from gui.runner import LocalClients, LocalClientsError, local_clients


async def test_agents_join_and_are_ended(stage: Any) -> None:
    options = HubOptions(directory=stage.directory / "hub", host="127.0.0.1", port=0)
    async with stage.open(hub=options) as workspace:
        async with LocalClients(workspace.hub, 2, key=stage.secret, label="here") as clients:
            views = workspace.hub.roster.agents
            assert {(view.name, view.role, view.labels) for view in views} == {
                ("c1", "client", ("here",)),
                ("c2", "client", ("here",)),
            }
            assert all(view.state == "up" for view in views)
            pids = clients.pids()
            directory = clients._directory
            assert stage.secret not in " ".join(psutil.Process(pids["c1"]).cmdline())
            assert (directory / "key").stat().st_mode & 0o777 == 0o600
            text = await clients.kill("c1", 0.1)
            assert text == "c1 was killed, and started again after 0.1 s."
            assert clients.pids()["c1"] != pids["c1"]
            await stage.until(
                lambda: {v.name: v.sessions for v in workspace.hub.roster.agents} == {"c1": 2, "c2": 1}, 30
            )
            last = [*pids.values(), *clients.pids().values()]
        assert not any(psutil.pid_exists(pid) for pid in last)
        assert not directory.exists()


async def test_an_agent_that_cannot_join_is_told_with_its_last_words(stage: Any) -> None:
    async with stage.open() as workspace:
        with pytest.raises(LocalClientsError, match=r"The agent c1 ended at once \(exit code [12]\): .+"):
            async with LocalClients(workspace.hub, 1, key="x" * 40):
                pass


async def test_a_program_that_is_not_there(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_clients, "program_command", lambda _name: ["/nowhere/tally-agent"])
    async with stage.open() as workspace:
        with pytest.raises(LocalClientsError, match="cannot be started"):
            async with LocalClients(workspace.hub, 1, key=stage.secret):
                pass


async def test_an_agent_that_does_not_end_is_killed(
    stage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "stubborn"
    program.write_text("#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.1; done\n")
    program.chmod(0o755)
    monkeypatch.setattr(local_clients, "program_command", lambda _name: [str(program)])
    monkeypatch.setattr(local_clients, "START_SECONDS", 0.3)
    monkeypatch.setattr(local_clients, "END_SECONDS", 0.3)
    async with stage.open() as workspace:
        with pytest.raises(LocalClientsError, match=r"No word from c1 within 0\.3 s: it wrote nothing"):
            async with LocalClients(workspace.hub, 1, key=stage.secret, directory=tmp_path / "agents"):
                pass
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(program) in (p.info["cmdline"] or [])]
    assert (tmp_path / "agents").exists(), "a directory that was given stays"
