"""Records straight into a file: in it once, whatever was written and not committed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from collector.correlate import Record
from collector.sinks import SinkError
from collector.sinks.direct import DirectFile, can_be_direct, gather, share_path


def records(*names: str) -> list[Record]:
    return [Record("file", "cms", name, name.encode()) for name in names]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.jsonl"


def test_what_is_written_is_in_the_file_behind_what_was_there(path: Path) -> None:
    path.write_text("old\n")
    file = DirectFile(path, None)
    file.write(records("a", "b"))
    file.write(records("c"))
    file.close()
    assert path.read_text() == "old\na\nb\nc\n"


def test_what_was_not_committed_is_cut_off(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_text("old\n")
    file = DirectFile(path, None)
    file.write(records("a"))
    mark = file.mark()
    file.write(records("b"))
    file.close()  # killed
    again = DirectFile(path, mark)
    assert path.read_text() == "old\na\n"
    again.write(records("b"))
    again.close()
    assert path.read_text() == "old\na\nb\n"
    caplog.clear()


def test_what_came_after_the_end_is_of_somebody_else(path: Path) -> None:
    file = DirectFile(path, None)
    file.write(records("a"))
    mark = file.mark(done=True)
    file.close()
    with path.open("a") as other:
        other.write("theirs\n")
    DirectFile(path, mark).close()
    assert path.read_text() == "a\ntheirs\n"


def test_another_file_of_that_name_is_not_cut(path: Path) -> None:
    file = DirectFile(path, None)
    file.write(records("a"))
    mark = file.mark()
    file.close()
    path.rename(path.with_suffix(".1"))
    path.write_text("a long line of somebody else\n")
    DirectFile(path, mark).close()
    assert path.read_text() == "a long line of somebody else\n"


def test_a_write_that_fails_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = DirectFile(path, None)
    file.write(records("a"))
    original = os.pwrite
    room = iter([1, 0])

    def full(fd: int, text: memoryview, at: int) -> int:
        if next(room):
            return original(fd, text[:1], at)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("collector.sinks.direct.os.pwrite", full)
        with pytest.raises(OSError, match="No space"):
            file.write(records("bbb"))
    assert path.read_text() == "a\n"
    file.write(records("bbb"))
    file.close()
    assert path.read_text() == "a\nbbb\n"


def test_what_was_written_can_be_taken_back(path: Path) -> None:
    file = DirectFile(path, None)
    file.write(records("a"))
    before = file.length
    file.write(records("bbb", "ccc"))
    file.go_back(before)
    file.write(records("d"))
    assert path.read_text() == "a\nd\n"
    file.go_back(before)
    file.write([])
    file.close()
    assert path.read_text() == "a\n"


def test_a_pipe_cannot_be_direct(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert not can_be_direct(tmp_path / "pipe")
    assert can_be_direct(tmp_path / "none")


def test_where_no_file_can_be_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"cannot write records to .*: No such file or directory"):
        DirectFile(tmp_path / "gone" / "x", None)


# ---------------------------------------------------------------- several workers


def test_the_shares_come_together_in_order(path: Path) -> None:
    files = [DirectFile(path, None, share=share) for share in range(3)]
    for number, file in enumerate(files):
        file.write(records(f"{number}a", f"{number}b"))
        file.close()
    gather(path, 3)
    assert path.read_text() == "0a\n0b\n1a\n1b\n2a\n2b\n"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("calls", range(1, 14))
def test_gathering_that_is_killed_is_done_again(
    path: Path, calls: int, restart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every place; and in between the workers have opened their files again and found nothing more to do."""
    marks = []
    for share in range(3):
        file = DirectFile(path, None, share=share)
        file.write(records(str(share)))
        marks.append(file.mark(done=True))
        file.close()
    left = [calls]

    def killing(original: object) -> object:
        def call(*arguments: object, **more: Any) -> object:
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt
            return original(*arguments, **more)  # type: ignore[operator]

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "sendfile", killing(os.sendfile))
        patch.setattr(os, "fsync", killing(os.fsync))
        patch.setattr(Path, "unlink", killing(Path.unlink))
        patch.setattr(Path, "replace", killing(Path.replace))
        try:
            gather(path, 3)
        except KeyboardInterrupt:
            pass
    if restart:
        for share, mark in enumerate(marks):
            DirectFile(path, mark, share=share).close()
    gather(path, 3)
    assert path.read_text() == "0\n1\n2\n"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_share_of_a_run_that_nobody_goes_on_with_is_emptied(path: Path) -> None:
    share_path(path, 1).write_text("stale\n")
    DirectFile(path, None, share=1).close()
    assert share_path(path, 1).read_text() == ""


@pytest.mark.parametrize("begun", [True, False])
def test_what_a_killed_gathering_left_does_not_touch_the_file_of_a_later_run(
    path: Path, begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("a long file of the run before\n")
    share_path(path, 1).write_text("1\n")

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(*(os, "fsync", kill) if not begun else (os, "sendfile", kill))
        with pytest.raises(KeyboardInterrupt):
            gather(path, 2)
    path.rename(path.with_name("kept"))  # the person begins anew
    for share in range(2):
        file = DirectFile(path, None, share=share)
        file.write(records(str(share)))
        file.close()
    gather(path, 2)
    assert path.read_text() == "0\n1\n"
