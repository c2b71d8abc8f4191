"""Who an agent belongs to, and that it ends with that program."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from agent import owner
from agent.owner import TEMPORARY, Owner, read_owner


async def sleeper() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(600)")


def test_what_is_written_is_read_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "owner"
    assert read_owner(file) is None
    me = Owner.of(os.getpid())
    me.write(file)
    assert read_owner(file) == me
    assert [path.name for path in tmp_path.iterdir()] == ["owner"]
    file.write_text("{")
    assert read_owner(file) is None


def test_another_process_with_the_same_id_is_not_meant() -> None:
    me = Owner.of(os.getpid())
    assert me.alive()
    assert not Owner(me.pid, me.began - 100).alive()
    with pytest.raises(psutil.NoSuchProcess):
        Owner.of(2**22 + 1)


async def test_it_is_over_when_the_program_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "LOOK_SECONDS", 0.02)
    file = tmp_path / "owner"
    first, heir = await sleeper(), await sleeper()
    Owner.of(first.pid).write(file)
    waiting = asyncio.get_running_loop().create_task(owner.ended(file), name="waiting")
    await asyncio.sleep(0.1)
    assert not waiting.done()
    Owner.of(heir.pid).write(file)  # it goes on with the work of the first one
    first.kill()
    await first.wait()
    await asyncio.sleep(0.2)
    assert not waiting.done()
    heir.kill()
    await heir.wait()
    await asyncio.wait_for(waiting, 10)


async def test_it_is_over_when_the_file_is_gone(tmp_path: Path) -> None:
    await asyncio.wait_for(owner.ended(tmp_path / "owner"), 10)


def agents_directory(parent: Path, *names: str, owner: Owner, temporary: bool = True) -> Path:
    directory = parent / "tally-clients-x"
    for name in names:
        (directory / name).mkdir(parents=True)
        (directory / f"{name}.log").touch()
    owner.write(directory / "owner")
    (directory / "key").touch()
    if temporary:
        (directory / TEMPORARY).touch()
    return directory


def test_each_agent_takes_its_part_away_and_the_last_one_the_rest(tmp_path: Path) -> None:
    directory = agents_directory(tmp_path, "c1", "c2", owner=Owner.of(os.getpid()))
    owner.clear_up(directory / "owner", directory / "key", directory / "c1")
    assert sorted(path.name for path in directory.iterdir()) == ["c1.log", "c2", "c2.log", "owner", TEMPORARY]
    owner.clear_up(directory / "owner", directory / "key", directory / "c2")
    assert not directory.exists()


def test_a_directory_that_is_kept_stays(tmp_path: Path) -> None:
    directory = agents_directory(tmp_path, "c1", owner=Owner.of(os.getpid()), temporary=False)
    owner.clear_up(directory / "owner", directory / "key", directory / "c1")
    assert (directory / "c1").exists()
    (directory / TEMPORARY).touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    owner.clear_up(directory / "owner", None, elsewhere)
    assert elsewhere.exists(), "its own state is not part of it"


def test_what_was_left_by_a_machine_that_was_switched_off_is_removed(tmp_path: Path) -> None:
    lost = agents_directory(tmp_path / "a", "c1", owner=Owner(os.getpid(), 1.0))
    mine = agents_directory(tmp_path / "b", "c1", owner=Owner.of(os.getpid()))
    young = tmp_path / "a" / "tally-clients-young"
    young.mkdir()
    for parent in (lost.parent, mine.parent):
        owner.clear_up_after_others(parent, "tally-clients-")
    assert (lost.exists(), mine.exists(), young.exists()) == (False, True, True)
