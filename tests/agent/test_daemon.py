"""The command as people and systemd run it: a real process, real signals."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.cli import main
from agent.daemon import SCHEMA, prepare
from agent.keys import PersonalFile, fingerprint, save_personal
from agent.messages import (
    CredentialError,
    Heartbeat,
    Invitation,
    PersonalKey,
    RepeatDone,
    RepeatReady,
    Request,
    Round,
    ServerReport,
    Started,
    StartRepeat,
    Workload,
    encode_join_string,
)
from tests.ports import free_port
from tests.promises import within

KEY = "the shared key of the tests, long enough"
JOB = "1.1.1"
LONG = Workload("long", bytes=10, reads=2, pause=600.0)


class Running:
    """A tally-agent process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def ended(self) -> tuple[int, str]:
        """(exit code, all that it said on standard error)"""
        async with asyncio.timeout(60):
            _, errors = await self.process.communicate()
        return self.process.returncode or 0, errors.decode()

    def workers(self) -> list[int]:
        return [child.pid for child in psutil.Process(self.process.pid).children()]


@pytest.fixture
def tally_agent(tmp_path: Path) -> Any:
    @asynccontextmanager
    async def running(*arguments: str, **environ: str) -> AsyncIterator[Running]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("TALLY_")}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "agent.cli",
            *arguments,
            env=clean | {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")} | environ,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield Running(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    return running


async def a_job(hub: Any, server: str, paths: list[str]) -> None:
    await hub.in_session()
    await hub.say(StartRepeat(JOB, LONG, slots=2))
    assert (await hub.next(RepeatReady)).error == ""
    await hub.say(Round(JOB, 0, [Request(f"tagd{i:04d}", i, server, path, 100, i) for i, path in enumerate(paths)]))
    await hub.until(lambda: len([x for x in hub.lines if isinstance(x, Started)]) == len(paths), "started lines")


def gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) for pid in pids)


# ---------------------------------------------------------------- a life


@pytest.mark.xrootd
async def test_sigterm_drains_within_ten_seconds(hub: Any, xrootd: Any, tally_agent: Any, eventually: Any) -> None:
    xrootd.add("/store/term", 100)
    async with tally_agent(
        "--hub",
        hub.url,
        "--insecure",
        "--role",
        "client",
        "--name",
        "c1",
        "--label",
        "EU",
        "--label",
        "fast",
        TALLY_KEY=KEY,
    ) as agent:
        await a_job(hub, xrootd.url, ["/store/term"])
        workers = agent.workers()
        assert len(workers) == 1
        began = time.monotonic()
        agent.process.terminate()
        code, said = await agent.ended()
        assert time.monotonic() - began < within(10)
        assert code == 0, said
        await eventually(lambda: gone(workers), "end of the workers")
    (register,) = [message for _, message in hub.registrations]
    assert (register.name, register.role, register.labels) == ("c1", "client", ["EU", "fast"])
    assert register.pid == agent.process.pid
    # The hub heard of the interrupted request, and of the end of the job, before the agent went.
    assert [(line.ok, line.interrupted) for line in hub.done()] == [(False, True)]
    await hub.next(RepeatDone)
    assert "= stopping: finishing what is in progress first" in said
    assert KEY not in said


@pytest.mark.xrootd
async def test_kill_9_and_start_again(hub: Any, xrootd: Any, tally_agent: Any, eventually: Any) -> None:
    for name in ("a", "b"):
        xrootd.add(f"/store/kill/{name}", 100)
    arguments = ("--hub", hub.url, "--insecure", "--name", "c1")
    async with tally_agent(*arguments, TALLY_KEY=KEY) as agent:
        await a_job(hub, xrootd.url, ["/store/kill/a", "/store/kill/b"])
        workers = agent.workers()
        agent.process.kill()
        await agent.process.wait()
        await eventually(lambda: gone(workers), "end of the orphaned workers")
    first_session = hub.lines[:]
    hub.received.clear()
    async with tally_agent(*arguments, TALLY_KEY=KEY) as agent:
        await hub.until(lambda: len(hub.done()) == 2, "done lines")
        beat = await hub.next(Heartbeat)
        assert beat.jobs == []
        agent.process.terminate()
        await agent.ended()
    assert hub.lines[: len(first_session)] == first_session
    assert [line.n for line in hub.lines] == [1, 2, 3, 4]
    assert {(line.path, line.ok, line.interrupted) for line in hub.done()} == {
        ("/store/kill/a", False, True),
        ("/store/kill/b", False, True),
    }


async def test_two_agents_with_one_name_do_not_share_a_journal(hub: Any, tally_agent: Any) -> None:
    arguments = ("--hub", hub.url, "--insecure", "--name", "c1")
    async with tally_agent(*arguments, TALLY_KEY=KEY) as first:
        await hub.in_session()
        async with tally_agent(*arguments, TALLY_KEY=KEY) as second:
            code, said = await second.ended()
    assert code == 1
    assert f"Another agent (process {first.process.pid}) uses" in said
    assert "--state or --name" in said


async def test_metrics_and_health(hub: Any, tally_agent: Any, eventually: Any) -> None:
    where = f"127.0.0.1:{free_port()}"

    def get(page: str) -> str:
        try:
            with urllib.request.urlopen(f"http://{where}/{page}") as answer:
                return answer.read().decode()
        except urllib.error.URLError as error:
            return str(error)

    async with tally_agent("--hub", hub.url, "--insecure", "--name", "c1", "--metrics", where, TALLY_KEY=KEY) as agent:
        await hub.in_session()
        for _ in range(300):
            page = await asyncio.to_thread(get, "metrics")
            if "tally_agent_connected 1.0" in page:
                break
            await asyncio.sleep(0.1)
        assert "tally_agent_connected 1.0" in page
        assert "tally_agent_sessions_total 1.0" in page
        assert "tally_agent_requests_total 0.0" in page
        for _ in range(300):
            health = await asyncio.to_thread(get, "healthz")
            if health.startswith("{") and json.loads(health)["ok"]:
                break
            await asyncio.sleep(0.1)
        assert json.loads(health)["ok"]
        agent.process.terminate()
        assert (await agent.ended())[0] == 0


async def test_sighup_reads_the_settings_again(hub: Any, tally_agent: Any, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(f'hub = "{hub.url}"\ninsecure = true\nname = "c1"\n[log]\nlevel = "info"\n')
    async with tally_agent("-c", str(file), TALLY_KEY=KEY) as agent:
        await hub.in_session()
        file.write_text(file.read_text().replace("c1", "c2").replace("info", "debug"))
        agent.process.send_signal(signal.SIGHUP)
        text = b""
        async with asyncio.timeout(60):
            while b"settings reloaded" not in text or b"> Heartbeat" not in text:
                text += await agent.process.stderr.readline()
        assert b"these settings need a restart to change: name" in text
        file.write_text("nonsense = 1\n")
        agent.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(60):
            while b"unknown setting 'nonsense'" not in text:
                text += await agent.process.stderr.readline()
        agent.process.terminate()
        assert (await agent.ended())[0] == 0


async def test_a_server_agent(hub: Any, tally_agent: Any, tmp_path: Path) -> None:
    config = tmp_path / "xrootd.cfg"
    config.write_text("all.sitename S\n")
    arguments = ("--role", "server", "--server", "root://127.0.0.1:1", "--xrootd-config", str(config))
    async with tally_agent("--hub", hub.url, "--insecure", *arguments, TALLY_KEY=KEY) as agent:
        report = await hub.next(ServerReport)
        assert (report.server, report.answering, report.site) == ("root://127.0.0.1:1", False, "S")
        agent.process.terminate()
        assert (await agent.ended())[0] == 0


# ---------------------------------------------------------------- joining by invitation


async def test_join_once_and_for_all(
    hub_double: Any, certificate: Callable[..., Any], tally_agent: Any, tmp_path: Path
) -> None:
    pem, pin = certificate("hub")
    secret = "the personal key of c7, long enough too"
    async with hub_double().up(pem) as hub:
        hub.invitations.add("the.invitation.token")
        hub.personal_key = PersonalKey("k7", secret)
        hub.keys["k7"] = secret
        string = encode_join_string(Invitation(hub.url, "the.invitation.token", "client", pin))
        state = tmp_path / "st"

        async def once(*arguments: str) -> None:
            async with tally_agent(*arguments, "--state", str(state)) as agent:
                sessions = hub.sessions
                await hub.until(lambda: hub.sessions > sessions and hub.sockets, "session")
                await hub.until(lambda: any(isinstance(m, Heartbeat) for m in hub.received), "heartbeat")
                agent.process.terminate()
                code, said = await agent.ended()
                assert code == 0
                assert secret not in said
                hub.received.clear()

        await once("join", string, "--name", "c7")
        assert (state / "personal-key.json").stat().st_mode & 0o777 == 0o600
        # From then on it signs for itself: with the same join string (a service file), or with nothing but its state.
        await once("join", string, "--name", "c7")
        await once("--name", "c7")
    assert [claims.get("kid", claims["scope"]) for claims, _ in hub.registrations] == ["join", "k7", "k7"]
    assert [claims.get("sub") for claims, _ in hub.registrations] == [None, "c7", "c7"]
    assert {message.name for _, message in hub.registrations} == {"c7"}


async def test_the_personal_key_is_used_after_a_cut_at_once(hub: Any, tally_agent: Any, tmp_path: Path) -> None:
    secret = "the personal key of c7, long enough too"
    hub.invitations.add("the.invitation.token")
    hub.personal_key = PersonalKey("k7", secret)
    hub.keys["k7"] = secret
    string = encode_join_string(Invitation(hub.url, "the.invitation.token", "client"))
    async with tally_agent("join", string, "--name", "c7", TALLY_INSECURE="1") as agent:
        await hub.next(Heartbeat)
        hub.cut()
        await hub.until(lambda: hub.sessions == 2 and hub.sockets, "second session")
        agent.process.terminate()
        await agent.ended()
    assert [claims.get("kid", "") for claims, _ in hub.registrations] == ["", "k7"]


async def test_a_revoked_agent_ends_with_1(hub: Any, tally_agent: Any) -> None:
    from agent.messages import Goodbye

    async with tally_agent("--hub", hub.url, "--insecure", TALLY_KEY=KEY) as agent:
        await hub.in_session()
        await hub.say(Goodbye("This agent was revoked.", again=False))
        code, said = await agent.ended()
    assert code == 1
    assert "The hub ended the session for good: This agent was revoked." in said


# ---------------------------------------------------------------- which credentials

PERSONAL = "the personal key of c7, long enough too"


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, str, str]]:
    """(key, kid, invitation) of an agent that was invited with the token *old*, started with some arguments."""
    for name in [name for name in os.environ if name.startswith("TALLY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("agent.keys._keyring", lambda: None)
    (tmp_path / "state").mkdir()
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(0o600)
    personal = PersonalFile(1, "wss://h:8765", "", "c7", "client", "k7", PERSONAL, fingerprint("old"))
    save_personal(tmp_path / "state", personal)

    def given(*arguments: str, invited: str = "") -> tuple[str, str, str]:
        parser = argparse.ArgumentParser()
        SCHEMA.add_arguments(parser)
        words = [word.replace("KEYFILE", str(file)) for word in arguments]
        parsed = parser.parse_args(["--state", str(tmp_path / "state"), "--name", "c7", *words])
        invitation = Invitation("wss://h:8765", invited, "client") if invited else None
        found = prepare(SCHEMA.load(parsed), invitation).credentials
        return found.key, found.kid, found.invitation

    return given


def test_the_newest_word_decides_how_an_agent_proves_itself(credentials: Callable[..., tuple[str, str, str]]) -> None:
    assert credentials() == (PERSONAL, "k7", "")
    assert credentials(invited="old") == (PERSONAL, "k7", ""), "a service file goes on saying join STRING"
    assert credentials(invited="new") == ("", "", "new"), "as an agent needs that was revoked"
    assert credentials("--key-file", "KEYFILE") == (KEY, "", "")
    assert credentials("--key-file", "KEYFILE", "--kid", "site-a") == (KEY, "site-a", "")
    with pytest.raises(CredentialError, match="--kid site-a names a key, and none is given"):
        credentials("--kid", "site-a")


# ---------------------------------------------------------------- usage


@pytest.mark.parametrize(
    ("arguments", "environ", "sentence"),
    [
        ([], {}, "No hub is named: give --hub wss://HOST:PORT, or join with a string from the hub."),
        (["--hub", "wss://h"], {}, "This agent has no key: give --key-file FILE or TALLY_KEY, or join with a string"),
        (["--hub", "wss://h"], {"TALLY_KEY": "short"}, "The key has 5 bytes, but at least 32 are needed"),
        (["--hub", "ws://10.0.0.1", "--insecure"], {"TALLY_KEY": KEY}, "10.0.0.1 is another machine"),
        (["--hub", "ws://127.0.0.1:1"], {"TALLY_KEY": KEY}, "is not encrypted"),
        (["--hub", "wss://h", "--name", "a b"], {"TALLY_KEY": KEY}, "'a b' is not a valid name"),
        (["--hub", "wss://h", "--label=-x"], {"TALLY_KEY": KEY}, "'-x' is not a valid name"),
        (["--hub", "wss://h", "--pin", "12"], {"TALLY_KEY": KEY}, 'A pin is "sha256:" and 64 hexadecimal digits'),
        (["--hub", "wss://h", "--ca-file", "/none"], {"TALLY_KEY": KEY}, "The CA file /none cannot be used"),
        (["--hub", "wss://h", "--key-file", "/none"], {}, "The key file /none cannot be read"),
        (["join", "eyJodWIi"], {}, "This is not a complete join string"),
        (["--role", "boss"], {}, "--role: expected one of client, server, got 'boss'"),
        (["--log-level", "loud"], {}, "--log-level: expected one of debug, info, warning, error, got 'loud'"),
        ([], {"TALLY_AGENT_HUBB": "x"}, "TALLY_AGENT_HUBB: no such setting; did you mean 'TALLY_AGENT_HUB'?"),
    ],
)
def test_wrong_usage_is_one_sentence_and_2(
    arguments: list[str],
    environ: dict[str, str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in os.environ if name.startswith("TALLY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("agent.keys._keyring", lambda: None)
    monkeypatch.setattr("agent.cli.setup_logging", lambda *_: None)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert "Traceback" not in errors
    assert errors.count("\n") == 1


def test_a_state_directory_that_cannot_be_made_is_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("agent.cli.setup_logging", lambda *_: None)
    monkeypatch.setenv("TALLY_KEY", KEY)
    (tmp_path / "file").write_text("")
    assert main(["--hub", "wss://h", "--state", str(tmp_path / "file" / "x")]) == 1
    assert "name another with --state" in capsys.readouterr().err


def test_check_config_shows_the_settings_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("agent.cli.setup_logging", lambda *_: None)
    monkeypatch.delenv("TALLY_KEY", raising=False)
    assert main(["--hub", "wss://h", "--key", KEY, "--state", str(tmp_path), "--check-config"]) == 0
    shown = capsys.readouterr().out
    assert "hub = wss://h  (--hub)" in shown
    assert "key = ***  (--key)" in shown
    assert KEY not in shown


def test_the_sample_file_names_every_setting() -> None:
    sample = SCHEMA.sample()
    for setting in SCHEMA.settings:
        assert f"# {setting.name.rpartition('.')[2]} = " in sample


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("tally-agent ")


def test_lab_is_a_program_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "status", "--dir", str(tmp_path)]) != 0
    with pytest.raises(SystemExit):
        main(["lab", "--help"])
    assert "up" in capsys.readouterr().out


def test_the_documentation_has_every_setting_as_it_is_declared() -> None:
    text = (Path(__file__).parents[2] / "docs" / "agent.md").read_text()
    assert SCHEMA.reference() in text, "run SCHEMA.reference() and put it into docs/agent.md"
