from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.lab.pids import alive, clean_environment, dies_with_us, end, identity
from agent.messages import LabProcess

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def entry(pid: int, of: str | None = None) -> LabProcess:
    return LabProcess("p", "shoveler", pid, identity=identity(pid) if of is None else of)


def test_a_process_is_known_by_its_start_and_not_by_its_pid(sleeper: subprocess.Popen[bytes]) -> None:
    assert identity(sleeper.pid) == identity(sleeper.pid) != ""
    assert identity(sleeper.pid) != identity(os.getpid())
    assert alive(entry(sleeper.pid))
    assert not alive(entry(sleeper.pid, of=identity(os.getpid())))
    assert not alive(LabProcess("p", "shoveler", 0))
    assert not alive(LabProcess("p", "shoveler", sleeper.pid))


def test_a_process_that_has_ended_has_no_identity_not_even_as_a_zombie() -> None:
    process = subprocess.Popen(["true"])
    before = entry(process.pid)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and still a zombie
    assert identity(process.pid) == ""
    assert not alive(before)
    process.wait()
    assert identity(process.pid) == ""


def test_a_process_whose_first_thread_has_ended_is_not_gone() -> None:
    program = (
        "import ctypes, platform, threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "number = 60 if platform.machine() == 'x86_64' else 93\n"  # exit: of this thread alone
        "ctypes.CDLL(None).syscall(number, 0)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        wait_until(lambda: status(process.pid)["State"].startswith("Z"))
        assert alive(entry(process.pid))  # nobody can wait for it yet
        process.kill()


def test_end_asks_first_and_kills_who_does_not_listen(sleeper: subprocess.Popen[bytes]) -> None:
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as deaf:
        assert deaf.stdout is not None
        deaf.stdout.readline()
        assert end([entry(sleeper.pid), entry(deaf.pid)], grace=0.2) == []
        assert sleeper.wait() == -signal.SIGTERM
        assert deaf.wait() == -signal.SIGKILL


def test_end_leaves_a_stranger_with_the_same_pid_alone(sleeper: subprocess.Popen[bytes]) -> None:
    assert end([entry(sleeper.pid, of="otherboot-123"), LabProcess("p", "broker", 0)], grace=0.0) == []
    assert sleeper.poll() is None


def test_a_child_dies_with_a_parent_that_is_killed() -> None:
    parent_program = (
        "import subprocess, sys, time\n"
        "from agent.lab.pids import dies_with_us\n"
        "child = subprocess.Popen(dies_with_us(['sleep', '60']))\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent_program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = entry(int(parent.stdout.readline()))
        wait_until(
            lambda: status(child.pid)["Name"] == "sleep"
        )  # until then it is still setpriv, which has yet to ask the kernel
        parent.kill()
    wait_until(lambda: not alive(child))


def test_without_setpriv_the_plain_command_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert dies_with_us(["a", "b"]) == ["a", "b"]


def test_children_get_none_of_what_was_meant_for_us(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TALLY_KEY", "TALLY_SHOVELER_LISTEN", "LISTEN_FDS", "NOTIFY_SOCKET"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("LANG", "C.UTF-8")
    assert clean_environment()["LANG"] == "C.UTF-8"
    assert not {"TALLY_KEY", "TALLY_SHOVELER_LISTEN", "LISTEN_FDS", "NOTIFY_SOCKET"} & clean_environment().keys()


def test_other_programs_do_not_load_the_libraries_of_a_frozen_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/tally/_internal")
    monkeypatch.delenv("LD_LIBRARY_PATH_ORIG", raising=False)
    assert "LD_LIBRARY_PATH" not in clean_environment()
    monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", "/usr/local/lib")
    assert clean_environment()["LD_LIBRARY_PATH"] == "/usr/local/lib"
