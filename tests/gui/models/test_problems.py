"""The history of problems: first and last seen, counted, gone and back again, kept in a file of bounded size."""

from __future__ import annotations

import stat
from pathlib import Path

from gui.models import problems as module
from gui.models.problems import ProblemHistory, as_text
from gui.runner.progress import Problem

AWAY = Problem(100.0, "warning", "records", "The broker is away.", "Start it.")


def again(t: float, count: int) -> Problem:
    return Problem(t, "warning", "records", "The broker is away.", "Start it.", count)


def test_a_problem_that_goes_and_comes_back() -> None:
    history = ProblemHistory()
    history.of_workspace([AWAY], 100.0)
    history.of_workspace([again(103.0, 3)], 103.0)
    (entry,) = history.entries
    assert (entry.first, entry.last, entry.count, entry.state, entry.since) == (100.0, 103.0, 3, "now", "still so")
    history.of_workspace([], 141.0)
    (entry,) = history.entries
    assert entry.since.endswith("after 41 s")
    assert not entry.open
    assert history.open == 0
    history.of_workspace([again(200.0, 1)], 200.0)
    (entry,) = history.entries
    assert (entry.first, entry.last, entry.count, entry.again) == (100.0, 200.0, 4, 1)
    assert entry.since == "still so, came back once"
    history.of_workspace([again(200.0, 1)], 201.0)
    assert history.entries == [entry]


def test_events_of_the_window_are_counted_and_stay() -> None:
    history = ProblemHistory()
    history.add(Problem(1.0, "error", "report", "The disk is full."))
    history.add(Problem(5.0, "error", "report", "The disk is full."))
    history.of_workspace([], 6.0)
    (entry,) = history.entries
    assert (entry.count, entry.since, history.open) == (2, "happened again", 1)


def test_what_a_closed_workspace_had_is_not_called_gone() -> None:
    history = ProblemHistory()
    history.of_workspace([AWAY], 100.0)
    history.closed(150.0)
    (entry,) = history.entries
    assert entry.since.endswith("not known since")
    history.of_workspace([again(200.0, 1)], 200.0)
    assert history.entries[0].again == 1


def test_cleared_ones_come_back_only_when_they_happen_again() -> None:
    history = ProblemHistory()
    history.of_workspace([AWAY], 100.0)
    history.clear()
    history.of_workspace([AWAY], 101.0)
    assert history.entries == []
    history.of_workspace([again(105.0, 2)], 105.0)
    assert [(entry.count, entry.first) for entry in history.entries] == [(1, 105.0)]


def test_full_text() -> None:
    history = ProblemHistory()
    history.of_workspace([again(100.0, 3)], 100.0)
    text = as_text(history.entries)
    assert text.startswith("warning · records · ")
    assert "3 times since" in text
    assert text.endswith("still so\nThe broker is away.\nWhat to do: Start it.")


def test_the_file_survives_a_restart_without_secrets(tmp_path: Path) -> None:
    history, path = ProblemHistory(), tmp_path / "data" / "problems.jsonl"
    history.of_workspace([AWAY], 100.0)
    history.add(Problem(7.0, "error", "bus", "amqp://tally:secret@mq/ refuses " + "x" * 9000))
    history.save(path)
    assert b"secret" not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    later = ProblemHistory()
    later.load(path)
    assert [(entry.where, entry.since) for entry in later.entries] == [
        ("records", "before this start; not known since"),
        ("bus", "before this start; not known since"),
    ]
    assert later.open == 0
    assert len(later.entries[1].text) == module.LONGEST
    later.of_workspace([again(300.0, 1)], 300.0)
    assert (later.entries[0].first, later.entries[0].again) == (100.0, 1)


def test_it_is_bounded_and_what_is_over_goes_first(tmp_path: Path) -> None:
    history = ProblemHistory()
    history.of_workspace([AWAY], 1.0)
    history.of_workspace([], 2.0)
    for number in range(module.MOST + 5):
        history.add(Problem(10.0 + number, "error", "x", f"problem {number}"))
    assert len(history.entries) == module.MOST
    assert all(entry.where == "x" for entry in history.entries)
    history.save(tmp_path / "p")
    assert len((tmp_path / "p").read_text().splitlines()) == module.MOST


def test_a_damaged_file_and_one_that_cannot_be_written(tmp_path: Path, caplog) -> None:
    history, path = ProblemHistory(), tmp_path / "p"
    history.load(path)
    history.add(Problem(1.0, "info", "a", "b"))
    history.save(path)
    path.write_bytes(b'{"first":\n\xff\n' + path.read_bytes() + b'{"cut')
    later = ProblemHistory()
    later.load(path)
    assert [entry.text for entry in later.entries] == ["b"]
    later.load(tmp_path)
    assert "cannot be read" in caplog.text
    (tmp_path / "file").write_text("")
    later.save(tmp_path / "file" / "p")
    assert "cannot be written" in caplog.text
