"""The journal: what is written stays, in order, once, whoever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from agent import journal as journal_module
from agent.journal import Appender, Journal, JournalError, JournalFullError
from agent.messages import Done, Line, Started

JOB = "1.1.1"


def started(path: str, tag: str = "tagaaaaa", job: str = JOB) -> Started:
    return Started(0, job, 0, tag, "root://s:1094", path, 100.0)


def done(path: str, tag: str = "tagaaaaa", job: str = JOB) -> Done:
    return Done(0, job, tag, path, True, 100.0, 101.0, 10, 10, 0, 0, 0, 1, 0, 0)


def shown(lines: list[Line]) -> list[str]:
    """`1 s /a`: number, kind and path."""
    return [f"{line.n} {'s' if isinstance(line, Started) else 'd'} {line.path}" for line in lines]


def write(journal: Journal, *lines: Line) -> None:
    appender = Appender(journal.segment)
    for line in lines:
        appender.write(line)
    appender.close()


def read_all(journal: Journal) -> list[Line]:
    lines: list[Line] = []
    while part := journal.read(lines[-1].n if lines else 0):
        lines += part
    return lines


# ---------------------------------------------------------------- numbers


def test_lines_are_numbered_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    first, second = Appender(journal.segment), Appender(journal.segment)
    first.write(started("/a"))
    second.write(started("/b"))
    assert journal.grown()
    assert shown(journal.collect()) == ["1 s /a", "2 s /b"]
    second.write(done("/b"))
    first.write(done("/a"))
    assert shown(journal.collect()) == ["3 d /b", "4 d /a"]
    assert not journal.grown()
    assert journal.collect() == []
    assert journal.last == 4
    assert shown(journal.read(2)) == ["3 d /b", "4 d /a"]


def test_the_same_numbers_after_a_restart(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    write(journal, started("/a"), done("/a"))
    journal.collect()
    before = (journal.id, read_all(journal))
    journal.close()
    again = Journal(tmp_path)
    assert (again.id, read_all(again)) == before
    assert again.interrupted == 0


def test_two_journals_have_two_ids(tmp_path: Path) -> None:
    assert Journal(tmp_path / "a").id != Journal(tmp_path / "b").id


def test_only_what_was_synced_is_numbered(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    write(journal, started("/a"))
    synced = journal.sync()
    write(journal, started("/b"))
    assert shown(journal.collect(synced)) == ["1 s /a"]
    assert shown(journal.collect()) == ["2 s /b"]


def test_reading_begins_anywhere(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    write(journal, *(started(f"/f{i}") for i in range(2500)))
    journal.collect()
    for after in (0, 1, 998, 999, 1000, 1001, 2498):
        assert journal.read(after)[0].path == f"/f{after}"
        assert journal.read(after)[0].n == after + 1
    assert journal.read(2500) == []
    assert journal.read(9999) == []


def test_a_batch_is_bounded_in_bytes(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    write(journal, *(started("/" + "x" * 4000 + str(i)) for i in range(600)))
    journal.collect()
    first = journal.read(0)
    assert 200 < len(first) < 300
    assert [line.n for line in read_all(journal)] == list(range(1, 601))


# ---------------------------------------------------------------- crashes


def test_started_without_done_is_interrupted(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    write(journal, started("/a"), started("/b"), done("/a"))
    journal.close()  # the agent dies here; nothing was numbered yet

    again = Journal(tmp_path)
    assert again.interrupted == 1
    lines = read_all(again)
    assert shown(lines) == ["1 s /a", "2 s /b", "3 d /a", "4 d /b"]
    last = lines[-1]
    assert isinstance(last, Done)
    assert (last.ok, last.interrupted, last.job, last.tag) == (False, True, JOB, "tagaaaaa")
    assert last.t_close >= last.t_open == 100.0
    again.close()
    assert Journal(tmp_path).interrupted == 0


def test_a_torn_line_counts_for_nothing_and_harms_no_other(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    write(journal, started("/a"))
    with journal.segment.open("ab") as file:
        file.write(b'\n["s",0,"1.1.1",0,"tagaa')  # power cut, or a full disk, in mid-line
    write(journal, done("/a"))
    assert shown(journal.collect()) == ["1 s /a", "2 d /a"]
    assert len(journal.torn) == 1
    assert shown(read_all(journal)) == ["1 s /a", "2 d /a"]
    journal.close()
    assert shown(read_all(Journal(tmp_path))) == ["1 s /a", "2 d /a"]


def test_zeros_after_a_power_cut_count_for_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    write(journal, started("/a"))
    journal.close()
    with journal.segment.open("ab") as file:
        file.write(b"\0" * 300)
    again = Journal(tmp_path)
    assert shown(read_all(again)) == ["1 s /a", "2 d /a"]


def test_a_line_that_is_not_complete_yet_waits(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    whole = b"\n" + journal_module._encode(started("/a")) + b"\n"
    with journal.segment.open("ab", buffering=0) as file:
        file.write(whole[:20])
        assert journal.collect() == []
        file.write(whole[20:])
        assert shown(journal.collect()) == ["1 s /a"]


WRITER = """
    import sys, time
    from pathlib import Path
    from agent.journal import Appender
    from agent.messages import Started
    appender = Appender(Path(sys.argv[1]))
    number = 0
    while True:
        number += 1
        appender.write(Started(0, "1.1.1", 0, "tagaaaaa", "root://s:1094", f"/{sys.argv[2]}/{number}", 1.0))
        print(number, flush=True)
"""


def test_kill_9_of_the_writers_loses_no_line_that_was_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), str(journal.segment), name],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    said = []
    for writer in writers:
        assert writer.stdout is not None
        with writer.stdout as output:
            numbers = [output.readline() for _ in range(200)]
            writer.send_signal(signal.SIGKILL)
            numbers += output.readlines()
        said.append(int([number for number in numbers if number.endswith("\n")][-1]))
        writer.wait()
    journal.collect()
    lines = read_all(journal)
    assert [line.n for line in lines] == list(range(1, len(lines) + 1))
    for name, last in zip("ab", said, strict=True):
        paths = [line.path for line in lines if line.path.startswith(f"/{name}/")]
        # In order, without holes, and at least all that the writer could still speak of.
        assert paths == [f"/{name}/{i}" for i in range(1, len(paths) + 1)]
        assert len(paths) >= last


def test_a_new_agent_waits_for_the_workers_of_a_dead_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    orphan = Appender(journal.segment)
    journal.close()
    with pytest.raises(JournalError, match="Workers of an earlier agent are still writing"):
        Journal(tmp_path, wait=0.1)
    orphan.write(started("/late"))
    orphan.close()
    assert shown(read_all(Journal(tmp_path))) == ["1 s /late", "2 d /late"]


def test_one_agent_at_a_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(JournalError, match=rf"process {os.getpid()}.*--state or --name"):
        Journal(tmp_path)
    journal.close()
    Journal(tmp_path).close()


# ---------------------------------------------------------------- on disk


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> dict[Path, int]:
    """How much of each file was there when it was last synced."""
    sizes: dict[Path, int] = {}
    real = os.fsync

    def fsync(file: int) -> None:
        real(file)
        sizes[Path(f"/proc/self/fd/{file}").readlink()] = os.fstat(file).st_size

    monkeypatch.setattr(journal_module.os, "fsync", fsync)  # type: ignore[attr-defined]
    return sizes


def test_a_line_has_a_number_only_when_it_is_on_disk(tmp_path: Path, synced: dict[Path, int]) -> None:
    journal = Journal(tmp_path)
    write(journal, started("/a"))
    safe = journal.sync()
    assert safe == journal.segment.stat().st_size == synced[journal.segment]
    write(journal, done("/a"))
    assert shown(journal.collect(safe)) == ["1 s /a"], "the other may be lost yet"
    assert synced[journal.segment] == safe
    assert shown(journal.collect()) == ["2 d /a"]
    assert synced[journal.segment] == journal.segment.stat().st_size


def test_what_a_crash_left_is_on_disk_before_it_is_numbered(
    tmp_path: Path, synced: dict[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Journal(tmp_path)
    write(first, started("/a"), done("/a"))
    assert synced[first.segment] < first.segment.stat().st_size
    first.close()
    synced.clear()
    numbered: list[tuple[int, int]] = []
    real = journal_module._Segment.number

    def number(segment: Any, data: bytes, torn: list[int]) -> list[Line]:
        numbered.append((segment.offset + len(data), synced.get(segment.path, 0)))
        return real(segment, data, torn)

    monkeypatch.setattr(journal_module._Segment, "number", number)
    assert Journal(tmp_path).last == 2
    assert numbered
    assert all(end <= safe for end, safe in numbered), numbered


def test_a_new_segment_is_on_disk_with_its_name(tmp_path: Path, synced: dict[Path, int]) -> None:
    journal = Journal(tmp_path)
    assert synced[journal.segment] == journal.segment.stat().st_size > 0
    assert journal.segment.parent in synced
    assert list(synced).index(journal.segment) < list(synced).index(journal.segment.parent)


# ---------------------------------------------------------------- a full disk


def test_a_full_disk_takes_nothing_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    appender = Appender(journal.segment)
    appender.write(started("/a"))

    real = os.write

    def half(file: int, data: bytes) -> int:
        return real(file, data[: len(data) // 2])

    monkeypatch.setattr(journal_module.os, "write", half)  # type: ignore[attr-defined]
    with pytest.raises(JournalFullError, match="the disk is full"):
        appender.write(done("/a"))

    def none(file: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal_module.os, "write", none)  # type: ignore[attr-defined]
    with pytest.raises(JournalFullError, match="No space left on device"):
        appender.write(done("/a"))
    monkeypatch.undo()
    appender.write(done("/a"))
    assert shown(journal.collect()) == ["1 s /a", "2 d /a"]


def test_a_really_full_disk(small_disk: Path) -> None:
    journal = Journal(small_disk)
    appender = Appender(journal.segment)
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (journal.room() - 8192))
    written = []
    with pytest.raises(JournalFullError):  # noqa: PT012 - which write is the one too many, the disk decides
        for number in range(1000):
            appender.write(started(f"/{number}"))
            written.append(f"/{number}")
    assert [line.path for line in journal.collect()] == written
    filler.unlink()
    appender.write(done("/0"))
    assert [line.path for line in journal.collect()] == ["/0"]
    appender.close()
    journal.close()


# ---------------------------------------------------------------- segments


def test_acknowledged_segments_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "ROTATE_BYTES", 1000)
    journal = Journal(tmp_path)
    for part in range(3):
        write(journal, *(line for i in range(10) for line in (started(f"/{part}/{i}"), done(f"/{part}/{i}"))))
        journal.collect()
        journal.rotate()
    names = sorted(path.name for path in (tmp_path / "journal").glob("*.jsonl"))
    assert names == [f"{first:016d}.jsonl" for first in (1, 21, 41, 61)]
    assert [line.n for line in read_all(journal)] == list(range(1, 61))
    assert journal.read(19)[0].n == 20  # a batch ends with its segment
    assert journal.read(20)[0].n == 21

    journal.acknowledge(39)
    assert len(list((tmp_path / "journal").glob("*.jsonl"))) == 3
    assert journal.read(0)[0].n == 21  # what was acknowledged is gone
    journal.acknowledge(60)
    assert [path.name for path in (tmp_path / "journal").glob("*.jsonl")] == ["0000000000000061.jsonl"]
    write(journal, started("/z"), done("/z"))
    assert shown(journal.collect()) == ["61 s /z", "62 d /z"]
    journal.close()
    assert Journal(tmp_path).last == 62


def test_a_small_segment_is_kept_open(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    write(journal, started("/a"), done("/a"))
    journal.rotate()
    assert len(list((tmp_path / "journal").glob("*.jsonl"))) == 1


def test_a_segment_that_cannot_be_begun_leaves_the_journal_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "ROTATE_BYTES", 10)
    journal = Journal(tmp_path)
    write(journal, started("/a"), done("/a"))
    journal.collect()

    def fsync(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal_module.os, "fsync", fsync)  # type: ignore[attr-defined]
        patch.setattr(Journal, "collect", lambda self: [])
        with pytest.raises(JournalFullError, match="cannot be created: No space left on device"):
            journal.rotate()
    journal.rotate()
    write(journal, started("/b"))
    assert shown(journal.collect()) == ["3 s /b"]


def test_an_acknowledgement_beyond_the_end_is_cut_to_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    write(journal, started("/a"), done("/a"))
    journal.collect()
    journal.acknowledge(1000)
    assert journal.acknowledged == 2
    journal.acknowledge(1)
    assert journal.acknowledged == 2


def test_a_renewed_journal_begins_at_1_under_another_id(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    write(journal, started("/a"), done("/a"))
    journal.collect()
    journal.read(0)
    old = journal.id
    journal.renew()
    write(journal, started("/b"))
    assert shown(journal.collect()) == ["1 s /b"]
    assert shown(journal.read(0)) == ["1 s /b"]
    assert journal.id != old
    journal.close()
    again = Journal(tmp_path)
    assert (again.id, again.last) == (journal.id, 2)


# ---------------------------------------------------------------- other people's files


def test_a_newer_journal_is_declined(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.close()
    journal.segment.write_text('{"tally_journal": 7, "journal": "x", "first": 1}\n')
    with pytest.raises(JournalError, match=r"newer tally-agent \(format 7, this one knows 1\)"):
        Journal(tmp_path)


def test_something_else_is_declined(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "0000000000000001.jsonl").write_text("hello\n")
    with pytest.raises(JournalError, match="is not a journal of tally-agent"):
        Journal(tmp_path)


def test_a_missing_segment_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "ROTATE_BYTES", 100)
    journal = Journal(tmp_path)
    for part in range(3):
        write(journal, started(f"/{part}"), done(f"/{part}"))
        journal.rotate()
    journal.close()
    (tmp_path / "journal" / "0000000000000003.jsonl").unlink()
    with pytest.raises(JournalError, match="does not follow the segment before it"):
        Journal(tmp_path)


def test_a_segment_without_its_first_line_is_as_if_it_were_not(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    write(journal, started("/a"), done("/a"))
    journal.close()
    (tmp_path / "journal" / "0000000000000003.jsonl").write_bytes(b'{"tally_jou')
    assert Journal(tmp_path).last == 2


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path / "file" / "state")
