"""A file as a sink: whole lines, on disk, whatever the disk does."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collector.checkpoint import Chunk
from collector.sinks import SinkError
from collector.sinks.file import FileSink, OutputClosedError


def chunk(number: int, *lines: str, stream: str = "records") -> Chunk:
    return Chunk(number, stream, "file.cms", lines, "\n".join(lines).encode())


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Disk:
    """os.write that takes only so many bytes, and then fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.space = 1_000_000
        self.code = errno.ENOSPC
        write: Callable[[int, Any], int] = os.write

        def limited(fd: int, data: Any) -> int:
            if self.space <= 0:
                raise OSError(self.code, os.strerror(self.code))
            done = write(fd, data[: self.space])
            self.space -= done
            return done

        monkeypatch.setattr("os.write", limited)


def test_a_line_for_each_record_on_disk_before_it_is_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    path = tmp_path / "records.jsonl"
    monkeypatch.setattr("os.fdatasync", lambda _: synced.append(path.read_text()))
    sink = FileSink(path)
    sink.send(chunk(1, "a", "b"))
    sink.send(chunk(2, "c"))
    assert sink.backlog == 6
    assert sink.poll(0.0) == 2
    assert synced == ["a\nb\nc\n"]
    assert sink.backlog == 0
    sink.close()


def test_it_appends(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text("before\n")
    sink = FileSink(path)
    sink.send(chunk(1, "a"))
    sink.poll(0.0)
    sink.close()
    assert path.read_text() == "before\na\n"


@pytest.mark.parametrize("torn", ["half a li", "x" * 200_000])
def test_a_line_torn_by_a_kill_is_cut_off(tmp_path: Path, torn: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text("whole\n" + torn)
    FileSink(path).close()
    assert path.read_text() == "whole\n"
    assert "ends in an incomplete line" in caplog.text


def test_a_file_that_is_nothing_but_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text("half")
    FileSink(path).close()
    assert path.read_text() == ""


def test_a_write_that_the_disk_took_in_part_is_finished_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    time, disk = Time(), Disk(monkeypatch)
    path = tmp_path / "records.jsonl"
    sink = FileSink(path, monotonic=time)
    disk.space = 7
    sink.send(chunk(1, "first", "second"))
    sink.send(chunk(2, "third"))
    assert sink.poll(0.0) == 0
    assert path.read_text() == "first\ns"
    assert sink.trouble == f"cannot write records to {path}: No space left on device"
    for _ in range(20):
        time.now += 1
        assert sink.poll(0.0) == 0
    disk.space = 1_000_000
    time.now += 60
    assert sink.poll(0.0) == 2
    assert path.read_text() == "first\nsecond\nthird\n"
    assert sink.trouble == ""
    messages = [record.message for record in caplog.records]
    assert len(messages) == 2  # one when it began, one when it was over
    assert "nothing is lost meanwhile" in messages[0]
    sink.close()


def test_a_reader_that_went_away_ends_the_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    disk = Disk(monkeypatch)
    disk.space, disk.code = 0, errno.EPIPE
    sink = FileSink(tmp_path / "x")
    sink.send(chunk(1, "a"))
    with pytest.raises(OutputClosedError, match="nobody reads"):
        sink.poll(0.0)
    sink.close()


def test_streams_that_do_not_belong_into_the_file_are_safe_at_once(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    sink = FileSink(path, skip=frozenset({"wlcg"}))
    sink.send(chunk(1, "a"))
    sink.send(chunk(2, "the same in another form", stream="wlcg"))
    assert sink.poll(0.0) == 2
    assert path.read_text() == "a\n"
    sink.close()


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    sink = FileSink(None)
    sink.send(chunk(1, "a"))
    assert sink.poll(0.0) == 1
    sink.close()
    assert capfd.readouterr().out == "a\n"


def test_a_path_that_cannot_be_written_gets_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"cannot write records to .*: Is a directory"):
        FileSink(tmp_path)
