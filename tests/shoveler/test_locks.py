"""Locks that end with their process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shoveler.locks import FileLock, holder_of


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from shoveler.locks import FileLock; "
        "assert FileLock(pathlib.Path(sys.argv[1])).acquire(); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    lock = FileLock(tmp_path / "lock")
    assert not lock.acquire()
    assert lock.holder() == f"process {holder.pid}"
    holder.kill()
    holder.communicate()
    assert lock.acquire()
    assert lock.held
    lock.release()
    assert not lock.held


def test_who_looks_sees_the_holder_and_disturbs_nobody(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        holder_of(tmp_path / "lock")
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire()
    found = holder_of(lock.path)
    assert found is not None
    assert f"process {found.pid}" == lock.holder()
    lock.release()
    assert holder_of(lock.path) is None
    assert lock.acquire()
    lock.path.write_text("process 4711\n")
    assert lock.holder() == "process 4711", "as earlier versions wrote it"
    lock.path.write_text("")
    assert lock.holder() == "another process"
    lock.release()


def test_a_second_one_waits_as_long_as_it_was_told(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire()
    assert second.acquire(wait=60.0, sleep=lambda _seconds: first.release())
    assert second.held
    second.release()
