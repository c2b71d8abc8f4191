"""A file of records is loaded by another process, with progress, and can be stopped."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

import pytest

from gui.runner import loading
from gui.runner.loading import FileLoading, LoadEnd, LoadError, LoadLine
from gui.store import AT_ONCE, Store
from tests.waiting import until


def record(number: int) -> str:
    return json.dumps(
        {
            "kind": "file", "schema": 1, "record_id": f"{number:032x}.f", "access_id": f"{number:032x}", "final": True,
            "server_id": "7", "stod": 1_700_000_000, "file_id": number, "filename": f"/f{number}", "user": "somebody",
            "read": 1, "readv": 0, "write": 0, "start_time": 1_700_000_100, "end_time": 1_700_000_101,
        }
    )  # fmt: skip


async def test_progress_and_the_end(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl.gz"
    count = AT_ONCE + 5
    file.write_bytes(gzip.compress("".join(record(n) + "\n" for n in range(count)).encode() + b"not json\n"))
    Store(tmp_path / "w.db").close()
    seen: list[LoadLine] = []
    end = await FileLoading(str(tmp_path / "w.db"), file).load(seen.append)
    assert [line.records for line in seen] == [AT_ONCE, count + 1]
    assert all(0 < line.read <= line.size == file.stat().st_size for line in seen)
    assert (end.foreign, end.bad, end.stopped) == (count, 1, False)
    assert end.problems[0].startswith(f"{file}, line {count + 1:,}: ")
    assert "20,005 of others counted" in end.words()[0]


async def test_it_can_be_stopped_and_what_is_loaded_stays(tmp_path: Path) -> None:
    file, database = tmp_path / "records.jsonl", tmp_path / "w.db"
    file.write_text("".join(record(n) + "\n" for n in range(6 * AT_ONCE)))
    Store(database).close()
    task = FileLoading(str(database), file)
    end = await task.load(lambda _line: task.stop())
    assert end.stopped
    assert AT_ONCE <= end.foreign < 6 * AT_ONCE
    assert end.words()[-1].startswith("The loading was stopped")
    again = await FileLoading(str(database), file).load(lambda _line: None)
    assert again.repeated == end.foreign
    assert again.foreign == 6 * AT_ONCE - end.foreign


async def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="is not a file"):
        await FileLoading(str(tmp_path / "w.db"), tmp_path).load(lambda _line: None)
    (tmp_path / "a.json").write_text("[1, 2")
    with pytest.raises(LoadError, match=r"a\.json was not loaded: .*begins like an array"):
        await FileLoading(str(tmp_path / "w.db"), tmp_path / "a.json").load(lambda _line: None)


async def test_cancelling_ends_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "tally"
    program.write_text('#!/bin/sh\necho $$ > "$TALLY_DB"\nexec sleep 600\n')
    program.chmod(0o755)
    monkeypatch.setattr(loading, "program_command", lambda _name: [str(program)])
    monkeypatch.setattr(loading, "END_SECONDS", 5.0)
    (tmp_path / "r").write_text("")
    pid = tmp_path / "pid"
    work = asyncio.get_running_loop().create_task(FileLoading(str(pid), tmp_path / "r").load(lambda _line: None))
    await asyncio.to_thread(until, lambda: pid.exists() and pid.read_text().strip())
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_before_it_began_and_the_words() -> None:
    end = LoadEnd(final=2, provisional=1, scored=1, sealed=4, producers={"nobody": 3})
    assert end.words() == [
        "3 records of Tally's tests loaded, 0 were there already; 0 of others counted, 0 of other kinds, "
        "0 could not be read.",
        "1 repeat got new records: scored again.",
        "4 of days that are no longer remembered were not counted.",
    ]
