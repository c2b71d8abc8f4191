"""Closing at any moment ends everything: no process, no directory, exit code 0. By Ctrl-C, SIGTERM, or the window."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

pytestmark = pytest.mark.xrootd

DEMO = ("demo", "--servers", "2", "--files", "400", "--rate", "10")


def labs(temporary: Path) -> list[Path]:
    return list(temporary.glob("tally-demo-*"))


def up(temporary: Path) -> bool:
    return any('"state":"up"' in path.read_text() for path in temporary.glob("tally-demo-*/lab/state.json"))


def requests(database: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection, connection:
            return int(connection.execute("select count(*) from request").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # not made yet


MOMENTS: list[tuple[str, int, Callable[[Path, Path], object]]] = [
    ("the lab is starting", signal.SIGINT, lambda temporary, _: labs(temporary)),
    ("its terminal is closed", signal.SIGHUP, lambda _, database: requests(database) > 20),
    ("the run is going", signal.SIGTERM, lambda _, database: requests(database) > 20),
]


@pytest.mark.parametrize(("moment", "number", "reached"), MOMENTS, ids=[m[0].replace(" ", "-") for m in MOMENTS])
def test_ended_by_a_signal(start, own_places, tmp_path, moment: str, number: int, reached) -> None:
    database = tmp_path / "demo.db"
    program = start(*DEMO, "--bus", str(tmp_path / "bus"), "--db", str(database))
    program.wait_for(lambda: reached(own_places, database))
    program.process.send_signal(number)
    program.process.send_signal(number)  # an impatient person changes nothing
    assert program.end() == 0, program.said()
    assert program.left() == []
    assert [path.name for path in own_places.iterdir()] == []
    assert "Traceback" not in program.said()
    assert "Task was destroyed" not in program.said()


def test_ended_by_the_end_of_its_screen(start, own_screen, own_places, tmp_path) -> None:
    database = tmp_path / "demo.db"
    program = start(*DEMO, "--bus", str(tmp_path / "bus"), "--db", str(database))
    program.wait_for(lambda: requests(database) > 20)
    own_screen.terminate()
    assert program.end() == 1, program.said()
    assert program.left() == []
    assert [path.name for path in own_places.iterdir()] == []
    assert "the display is gone" in program.said()
    assert "Traceback" not in program.said()


def test_ended_before_anything_began(start, own_places, tmp_path) -> None:
    program = start()
    program.wait_for(lambda: (tmp_path / "config").exists() or program.process.poll() is None)
    program.wait_for(lambda: _handles(program.process.pid, signal.SIGTERM))
    program.process.send_signal(signal.SIGTERM)
    assert program.end() == 0, program.said()
    assert "Traceback" not in program.said()


def _handles(pid: int, number: int) -> bool:
    """Whether the process has a handler of its own for this signal."""
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("SigCgt:"))
    return bool(int(line.split()[1], 16) >> (number - 1) & 1)
