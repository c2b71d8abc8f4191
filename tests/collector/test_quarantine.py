"""What is set aside: on disk before anything is acknowledged, once, bounded, and to be read again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from collector import inspection
from collector.guard import Aside
from collector.quarantine import Quarantine, quarantine_path
from collector.sources import Datagram
from collector.sources.file import FileSource


def aside(number: int, data: bytes = b"=\0\0\x08\0\0\0\1") -> Aside:
    taken = Datagram(data, "192.0.2.1:1094", 1000.5, "spool", number, "spool")
    return Aside("datagram", "KeyError: 'host'", "correlate/fast.py:7 in f", 1000.5, taken)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return quarantine_path(tmp_path, "collector")


def entries(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_an_entry_is_a_line_of_a_capture_and_says_why(path: Path) -> None:
    Quarantine(path, clock=lambda: 2000.0).keep([aside(7)])
    (entry,) = entries(path)
    assert entry.pop("version")
    assert entry == {
        "t": 1000.5,
        "remote": "192.0.2.1:1094",
        "data": "PQAACAAAAAE=",
        "id": "spool:7",
        "what": "datagram",
        "error": "KeyError: 'host'",
        "place": "correlate/fast.py:7 in f",
        "set_aside": 2000.0,
    }
    assert list(FileSource(path).take(0).datagrams) == [aside(7).datagram]
    assert path.stat().st_mode & 0o777 == 0o600


def test_inspect_shows_it(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = Aside("server", "KeyError: 5", "correlate/x.py:1 in g", 1001.0, state={"sid": 17, "host": "se01"})
    Quarantine(path).keep([aside(7), server])
    assert inspection.main([str(path)]) == 0
    shown = capsys.readouterr().out
    assert "set aside: KeyError: 'host' at correlate/fast.py:7 in f" in shown
    assert "192.0.2.1:1094" in shown
    assert "a server was forgotten: KeyError: 5 at correlate/x.py:1 in g" in shown
    assert "se01" in shown
    assert inspection.main([str(path), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["set_aside"] == "KeyError: 'host' at correlate/fast.py:7 in f"
    assert lines[1]["state"]["sid"] == 17


def test_what_comes_again_after_a_kill_is_there_once(path: Path) -> None:
    Quarantine(path).keep([aside(1), aside(2)])
    Quarantine(path).keep([aside(2), aside(3)])
    assert [entry["id"] for entry in entries(path)] == ["spool:1", "spool:2", "spool:3"]


def test_a_line_that_a_kill_has_torn_is_written_again(path: Path) -> None:
    Quarantine(path).keep([aside(1), aside(2)])
    path.write_bytes(path.read_bytes()[:-20])
    Quarantine(path).keep([aside(2)])
    assert [entry["id"] for entry in entries(path)] == ["spool:1", "spool:2"]


def test_it_is_bounded_and_says_what_it_gave_up(path: Path) -> None:
    quarantine = Quarantine(path, largest=2000)
    for number in range(100):
        quarantine.keep([aside(number)])
    older = path.with_name("collector.quarantine.1.jsonl")
    kept = [*entries(older), *(entries(path) if path.exists() else [])]
    assert [entry["id"] for entry in kept] == [f"spool:{n}" for n in range(100 - len(kept), 100)]
    assert quarantine.forgotten == 100 - len(kept)
    assert older.stat().st_size < 2500
    assert sorted(p.name for p in path.parent.iterdir() if p != path) == [older.name]


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Quarantine(quarantine_path(tmp_path / "gone", "collector")).keep([aside(1)])


def test_without_a_state_nothing_is_kept(tmp_path: Path) -> None:
    Quarantine(None).keep([aside(1)])
    assert list(tmp_path.iterdir()) == []
