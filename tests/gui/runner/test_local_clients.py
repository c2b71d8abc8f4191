"""Real agents on this machine: started, killed, ended; nothing stays."""

from __future__ import annotations

import asyncio
import os
import sys
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
            one, two = clients.names
            assert {(view.name, view.role, view.labels) for view in views} == {
                (one, "client", ("here", "c1")),
                (two, "client", ("here", "c2")),
            }
            assert all(view.state == "up" for view in views)
            pids = clients.pids()
            directory = clients._directory
            assert stage.secret not in " ".join(psutil.Process(pids[one]).cmdline())
            assert (directory / "key").stat().st_mode & 0o777 == 0o600
            text = await clients.kill(one, 0.1)
            assert text == f"{one} was killed, and started again after 0.1 s."
            assert clients.pids()[one] != pids[one]
            await stage.until(lambda: {v.name: v.sessions for v in workspace.hub.roster.agents} == {one: 2, two: 1}, 30)
            last = [*pids.values(), *clients.pids().values()]
        assert not any(psutil.pid_exists(pid) for pid in last)
        assert not directory.exists()


async def test_no_name_is_used_twice_unless_the_journals_are_kept(stage: Any, tmp_path: Path) -> None:
    """An agent that an earlier program has left cannot keep one of ours from joining, nor be taken for it."""
    async with stage.open() as workspace:
        made = [LocalClients(workspace.hub, 2, key=stage.secret) for _ in range(50)]
        assert len({clients.names[0] for clients in made}) > 45
        kept = LocalClients(workspace.hub, 2, key=stage.secret, directory=tmp_path / "kept")
        assert kept.names == ["c1", "c2"]


PARENT = """
import asyncio, sys
from pathlib import Path
from gui.hub import HubOptions
from gui.runner import LocalClients, Workspace, WorkspaceOptions

async def main(place):
    hub = HubOptions(directory=place / "hub", host="127.0.0.1", port=0, insecure=True)
    async with Workspace.open(WorkspaceOptions(database=place / "w.db", hub=hub, shared_key="k" * 40)) as workspace:
        async with LocalClients(workspace.hub, 2, key="k" * 40) as clients:
            print(*clients.pids().values(), flush=True)
            await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_agents_end_with_a_program_that_is_killed(stage: Any, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", PARENT, str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    assert parent.stdout is not None
    agents = [psutil.Process(int(pid)) for pid in (await parent.stdout.readline()).split()]
    assert len(agents) == 2
    (directory,) = temporary.glob("tally-clients-*")
    assert (directory / "key").exists()
    parent.kill()
    await parent.wait()
    await stage.until(lambda: not any(agent.is_running() and agent.status() != "zombie" for agent in agents), 60)
    assert not directory.exists(), "nor does a key or a journal stay behind"


async def test_agents_that_are_let_go_belong_to_another_program(stage: Any) -> None:
    hub = HubOptions(directory=stage.directory / "hub", host="127.0.0.1", port=0, insecure=True)
    heir = await asyncio.create_subprocess_exec("sleep", "600")
    async with stage.open(hub=hub) as workspace:
        async with LocalClients(workspace.hub, 1, key=stage.secret) as clients:
            (pid,) = clients.pids().values()
            handed = clients.let_go(heir.pid)
        assert psutil.pid_exists(pid)
        (name,) = handed.names
        async with LocalClients.adopted(workspace.hub, handed) as adopted:
            assert adopted.pids() == {name: pid}
            heir.kill()  # the owner is this program now
            await heir.wait()
            await stage.until(lambda: len([v for v in workspace.hub.roster.agents if v.live]) == 1)
            agent = psutil.Process(pid)
        await stage.until(lambda: not agent.is_running() or agent.status() == "zombie", 10)
        assert not handed.directory.exists()


async def test_an_agent_that_cannot_join_is_told_with_its_last_words(stage: Any) -> None:
    async with stage.open() as workspace:
        with pytest.raises(LocalClientsError, match=r"The agent c1-[0-9a-f]{4} ended at once \(exit code [12]\): .+"):
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
