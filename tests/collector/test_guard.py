"""The core raises, wherever it may: what it was at is set aside, and all else is as if that had never come."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from collector.correlate import Correlator, Options, Record, correlator, rows
from collector.correlate.accesses import Accesses
from collector.correlate.fast import FastFiles
from collector.correlate.incarnation import Access, Incarnation
from collector.correlate.maps import Maps
from collector.correlate.sequences import Sequences
from collector.correlate.timekeeper import Timekeeper
from collector.correlate.waiting import Waiting
from collector.correlate.writer import Writer
from collector.guard import Advance, Aside, Drain, Guard, Step
from collector.sources import Datagram

T = 1_795_000_000.0
POISON = b"/poison/"


def _load_traffic() -> ModuleType:
    path = Path(__file__).resolve().parent.parent / "bench" / "traffic.py"
    spec = importlib.util.spec_from_file_location("traffic", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["traffic"] = module
    spec.loader.exec_module(module)
    return module


traffic = _load_traffic()


SICK = 100_000_000_000_009


def story() -> list[Datagram]:
    """Three servers at work, and a fourth that has files of a certain directory now and then, among others. Between two
    of those what is missing of the fourth is not waited for any more.
    """
    _, sent = traffic.day(3, 60)
    odd = traffic.Server(9)
    user, login = odd.login("poison")
    stream = [odd.hello(), *login, *odd.reads(user, 20)]
    for number in range(3):
        begun, opens = odd.opens(user, 2)
        stream.append(opens)
        first, last = (odd._access(user, "/data/run/") for _ in range(2))
        bad = odd._access(user, f"{POISON.decode()}{number}/")
        stream += [odd._f([first, bad, last], count=6), *odd.reads(user, 20)]
        stream.append(odd._f([traffic.closed(access.file_id, access.read) for access in begun]))
    for place, data in enumerate(stream):
        sent.insert(3 * place, (odd.remote, data))
    return [Datagram(data, remote, T + 10 * n, "spool", n, "spool") for n, (remote, data) in enumerate(sent)]


class Ahead:
    """Has the records that went ahead."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.undone = 0
        """Records that were taken back."""

    def write(self, records: list[Record]) -> None:
        self.records += records

    def undo(self) -> None:
        self.undone += len(self.records)
        self.records.clear()


class Life:
    """A correlator behind a guard, with the rows that it has given out. `size`: datagrams in a cycle. `ahead`: records
    need not wait for the end of a cycle.
    """

    def __init__(self, options: Options | None = None, *, ahead: bool = False) -> None:
        self.ahead = ahead
        self.undone = 0
        self.correlator = Correlator(options)
        self.rows: dict[bytes, bytes] = {}
        self.guard = Guard(self.correlator, lambda: self.rows.items())
        self.records: list[Any] = []
        self.aside: list[Aside] = []

    def play(self, steps: Sequence[Step]) -> None:
        ahead = Ahead() if self.ahead else None
        outcome = self.guard.apply(steps, ahead)
        if ahead is not None:
            self.records += ahead.records
            self.undone += ahead.undone
        self.records += outcome.records
        self.aside += outcome.aside
        assert not dict(outcome.puts).keys() & set(outcome.deletes)
        self.rows.update(outcome.puts)
        for key in outcome.deletes:
            self.rows.pop(key, None)

    def day(self, datagrams: Iterable[Datagram], size: int) -> None:
        every = list(datagrams)
        for start in range(0, len(every), size):
            some = every[start : start + size]
            self.play([*some, Advance(some[-1].t)])
        self.play([Drain(T + 5000)])

    def looks(self) -> dict[str, Any]:
        """All that it knows, but for the numbers of its cycles."""
        again = Correlator()
        again.restore(self.rows.items())
        return again.dump()["incarnations"]


def ids(records: Iterable[Any]) -> list[tuple[str, str]]:
    """To compare them, also of the two ways: their fields are in another order."""
    return sorted((r.record_id, json.dumps(json.loads(r.body), sort_keys=True)) for r in records)


def is_poison(data: bytes) -> bool:
    return POISON in data


def raises(original: Callable[..., Any], when: Callable[..., bool]) -> Callable[..., Any]:
    """As the original, which does all of its work first: so something is half applied."""

    def double(*arguments: Any) -> Any:
        result = original(*arguments)
        if when(*arguments):
            raise KeyError("nobody thought of this")
        return result

    return double


def _path_of(inc: Incarnation, file_id: int) -> bytes:
    entry = inc.files.get(file_id)
    return entry[2] or b"" if entry is not None else b""


PLACES: dict[str, tuple[Any, str, Callable[..., bool]]] = {
    "after the quick way has written all records": (FastFiles, "apply", lambda _, inc, data, *__: is_poison(data)),
    "at a directory of the second of three": (
        FastFiles, "_know_directory", lambda _, directory: is_poison(directory + b"/"),
    ),
    "after the sequence has noted it": (Sequences, "observe_files", lambda _, inc, n, data, *__: is_poison(data)),
    "at an open, the plain way": (Accesses, "open", lambda _, inc, item, *__: is_poison(item.path or b"")),
    "when an access is settled": (Waiting, "settle", lambda _, inc, a: isinstance(a, Access) and is_poison(a.path)),  # type: ignore[arg-type]
    "when its record is written": (Writer, "finish", lambda _, inc, a: isinstance(a, Access) and is_poison(a.path)),  # type: ignore[arg-type]
}  # fmt: skip


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("place", PLACES)
def test_a_datagram_at_which_the_core_raises(place: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, when = PLACES[place]
    told = story()
    good = [d for d in told if not is_poison(d.data)]
    bad = [d for d in told if is_poison(d.data)]
    other = Life()
    other.day(good, size)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, raises(getattr(owner, name), when))
        life = Life()
        life.day(told, size)
    assert [aside.datagram for aside in life.aside] == bad
    assert {(aside.what, aside.error) for aside in life.aside} == {("datagram", "KeyError: 'nobody thought of this'")}
    assert ids(life.records) == ids(other.records)
    assert life.rows.keys() == other.rows.keys()
    assert life.looks() == other.looks()
    for name, more in (("datagrams", len(bad)), ("decoded", 0)):
        assert life.correlator.counters[name] == other.correlator.counters[name] + more


def test_what_went_ahead_is_taken_back_when_the_core_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.guard._AT_ONCE", 5)
    owner, name, when = PLACES["after the quick way has written all records"]
    told = story()
    other = Life()
    other.day([d for d in told if not is_poison(d.data)], 1000)
    monkeypatch.setattr(owner, name, raises(getattr(owner, name), when))
    life = Life(ahead=True)
    life.day(told, 50)
    assert [aside.datagram for aside in life.aside] == [d for d in told if is_poison(d.data)]
    assert life.undone > 0
    assert ids(life.records) == ids(other.records)
    assert life.looks() == other.looks()


def test_what_goes_ahead_is_what_would_have_come_in_its_order() -> None:
    told = [d for d in story() if not is_poison(d.data)]
    life, other = Life(ahead=True), Life()
    life.day(told, 1000)
    other.day(told, 1000)
    assert life.records == other.records
    assert life.rows == other.rows


def test_a_map_at_which_the_core_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    told = story()

    def when(_: Maps, __: Incarnation, message: Any, *___: Any) -> bool:
        return message.code == "u" and message.userid.user == "poison"

    monkeypatch.setattr(Maps, "apply", raises(Maps.apply, when))
    life = Life()
    life.day(told, 50)
    assert [aside.datagram for aside in life.aside] == [d for d in told if d.data[:1] == b"u" and b"poison" in d.data]
    monkeypatch.undo()
    other = Life()
    other.day([d for d in told if d != life.aside[0].datagram], 50)
    assert ids(life.records) == ids(other.records)
    assert life.looks() == other.looks()


@pytest.mark.parametrize("size", [7, 1000])
def test_state_that_cannot_be_written_down(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The core takes the datagram, and raises when it is asked for its rows: which one it was has to be searched."""
    told = [d for d in story() if not is_poison(d.data)]
    servers, _ = traffic.day(2, 1)
    servers[1].sid += 77
    bad = Datagram(servers[1].hello(), "192.0.2.99:1", T, "spool", 5000, "spool")
    original = rows.incarnation_rows

    def double(inc: Incarnation, *rest: Any) -> Any:
        if inc.sid == servers[1].sid:
            raise OverflowError("int too big")
        return original(inc, *rest)

    other = Life()
    other.day(told, size)
    monkeypatch.setattr(rows, "incarnation_rows", double)
    life = Life()
    life.day([*told[:25], bad, *told[25:]], size)
    assert [aside.datagram for aside in life.aside] == [bad]
    assert ids(life.records) == ids(other.records)
    assert life.looks() == other.looks()


def test_one_that_raises_only_once_is_not_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tried again alone, and taken: no datagram is given up for what has nothing to do with it."""
    told = story()
    failures = iter([True])
    monkeypatch.setattr(Accesses, "open", raises(Accesses.open, lambda *_: next(failures, False)))
    life, other = Life(), Life()
    life.day(told, 1000)
    assert next(failures, None) is None
    other.day(told, 1000)
    assert life.aside == []
    assert ids(life.records) == ids(other.records)


@pytest.mark.parametrize("look", ["_look", "_sweep_server"])
def test_a_server_whose_time_outs_raise_is_forgotten_and_no_other(look: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = story()
    sick = SICK
    monkeypatch.setattr(Timekeeper, look, raises(getattr(Timekeeper, look), lambda _, inc: inc.sid == sick))
    life, other = Life(), Life()
    life.day(told, 20)
    monkeypatch.undo()
    other.day(told, 20)
    assert {aside.what for aside in life.aside} == {"server"}
    assert {aside.state["sid"] for aside in life.aside if aside.state is not None} == {sick}
    json.dumps([aside.state for aside in life.aside])

    def of_others(records: Iterable[Any]) -> list[tuple[str, str]]:
        return [r for r in ids(records) if json.loads(r[1])["server_id"] != str(sick)]

    assert of_others(life.records) == of_others(other.records)
    assert [i for i in life.looks() if i["sid"] != sick] == [i for i in other.looks() if i["sid"] != sick]  # type: ignore[index]
    serials = {key[1:5] for key in life.rows if key[:1] == b"i"}
    assert {key[1:5] for key in life.rows if key[:1] != b"m"} == serials  # none without its server: that is unreadable


def test_the_end_of_the_input_is_written_out_for_all_servers_but_the_sick_one(monkeypatch: pytest.MonkeyPatch) -> None:
    told = story()[:30]
    monkeypatch.setattr(Correlator, "_write_out", raises(Correlator._write_out, lambda _, inc: inc.sid == SICK))
    life = Life()
    life.day(told, 20)
    assert [aside.what for aside in life.aside] == ["server"]


def test_a_look_at_the_whole_state_that_raises_costs_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    told = story()
    original = correlator.Timekeeper.tick  # type: ignore[attr-defined]
    monkeypatch.setattr("collector.correlate.eviction.Eviction.relieve", lambda _: 1 / 0)
    life = Life()
    life.day(told, 50)
    assert original is Timekeeper.tick
    assert {(aside.what, aside.error) for aside in life.aside} == {("time", "ZeroDivisionError: division by zero")}
    monkeypatch.undo()
    other = Life()
    other.day(told, 50)
    assert ids(life.records) == ids(other.records)


def test_out_of_memory_is_no_fault_of_a_datagram(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(Accesses, "open", none_left)
    monkeypatch.setattr(FastFiles, "apply", none_left)
    with pytest.raises(MemoryError):
        Life().day(story(), 50)
