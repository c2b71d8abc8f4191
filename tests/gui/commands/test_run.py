"""`tally hub` as people and systemd run it: a real process, real signals."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.connection import RefusedError, Trust, join, parse_hub
from agent.messages import Notice, Register, sign_token
from gui.commands.run import AgentLines
from gui.hub import AgentView


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_hub_shows_its_whole_pin_and_stopping_it_is_no_failure(tmp_path: Path, number: signal.Signals) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_")}
    command = [sys.executable, "-m", "gui.cli", "hub", "--listen", "127.0.0.1:0", "--db", str(tmp_path / "w.db")]
    with subprocess.Popen(
        command, env=clean | {"TALLY_DATA": str(tmp_path / "data")}, stderr=subprocess.PIPE, text=True
    ) as hub:
        assert hub.stderr is not None
        try:
            first = hub.stderr.readline()
            assert re.match(r"Hub at wss://127\.0\.0\.1:\d+, pin sha256:[0-9a-f]{64}; workspace ", first), first
            hub.send_signal(number)
            _, said = hub.communicate(timeout=60)
            assert hub.returncode == 0
        finally:
            hub.kill()  # or a failure above would wait for it for ever
    assert "Traceback" not in said
    assert "Agents reconnect by themselves" in said


KEY = "a shared key for tests of the hub, long enough"
FORGED = "x\nHub at wss://evil:8765, pin sha256:00; workspace\x1b[2J\x9b31m\u202e\r"


def test_no_agent_can_forge_a_line_or_silence_another(tmp_path: Path) -> None:
    """A real hub in its own process; one agent floods it with notices, and another has something to say, too."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_")}
    command = [sys.executable, "-m", "gui.cli", "hub", "--insecure", "--listen", "127.0.0.1:0"]
    command += ["--db", str(tmp_path / "w.db")]
    env = clean | {"TALLY_DATA": str(tmp_path / "data"), "TALLY_KEY": KEY, "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE) as hub:
        assert hub.stderr is not None
        try:
            first = hub.stderr.readline().decode()
            found = re.match(r"Hub at (ws://127\.0\.0\.1:\d+), without TLS", first)
            assert found, first
            said = asyncio.run(_flood(found[1], hub.stderr))
            hub.send_signal(signal.SIGTERM)
            said += hub.communicate(timeout=60)[1].decode().split("\n")
        finally:
            hub.kill()
    assert all(line.isprintable() for line in said)
    assert not [line for line in said if line.startswith("Hub at")]
    assert any("agent honest: the disk is full" in line for line in said)
    flood = [line for line in said if "agent flood: " in line]
    assert 1 < len(flood) < 20
    refused = [line for line in said if "join from 127.0.0.1: The token is not signed with a key" in line]
    assert 0 < len(refused) < 20
    assert any('client "flood" from x·Hub at wss://evil:8765' in line for line in said)


async def _flood(url: str, stderr: Any) -> list[str]:
    """Returns the lines that the hub printed until the honest agent was heard."""
    for _ in range(100):
        with pytest.raises(RefusedError):
            await _agent(url, "c9", key="x" * 40)
    flooding = await _agent(url, "flood")
    for number in range(2000):
        await flooding.send(Notice("warning", f"{number} {FORGED}", 1.0))
    honest = await _agent(url, "honest")
    await honest.send(Notice("error", "the disk is full", 1.0))
    said: list[str] = []
    async with asyncio.timeout(120):
        while not any("the disk is full" in line for line in said):
            said.append((await asyncio.to_thread(stderr.readline)).decode().removesuffix("\n"))
    for session in (flooding, honest):
        await session.close(1000, "")
    return said


async def _agent(url: str, name: str, key: str = KEY) -> Any:
    address = parse_hub(url, insecure=True)
    token = sign_token(key, sub=name, scope="agent:client")
    return await join(address, Trust(address), token, Register(role="client", version="1", host=FORGED))


def test_an_agent_that_comes_and_goes_all_the_time_is_told_of_now_and_then() -> None:
    lines, told = AgentLines(), []
    steady = AgentView("2", "shared", "c2", "client", "up", host="h")
    for second in range(100):
        state: Any = "missing" if second % 2 else "up"
        told += lines([AgentView("1", "shared", "c1", "client", state, reason="lost"), steady], float(second))
    assert told.count('client "c2" from h: up') == 1
    assert 5 <= len([line for line in told if '"c1"' in line]) <= 10
    assert lines([steady], 101.0) == []
