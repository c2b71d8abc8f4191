"""The worker process by hand: frames in, frames out. Whole jobs: tests/agent/test_client.py."""

from __future__ import annotations

import io
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.journal import Journal, JournalFullError
from agent.messages import Auth, Done, Protocol, Request, Started, Workload
from agent.workloads import worker as worker_module
from agent.workloads.answers import Answers
from agent.workloads.frames import (
    HEAD,
    Drain,
    Figures,
    Finish,
    Ready,
    Remark,
    Setup,
    Unfit,
    Work,
    decode_from_worker,
    framed,
    length,
)
from agent.workloads.outcome import Outcome
from agent.workloads.starting import process_command
from agent.workloads.worker import _figures, _Tally
from tests.promises import within
from tests.waiting import until


class Worker:
    """A worker process and the pipes to it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def say(self, message: Any) -> None:
        self.process.stdin.write(framed(message))
        self.process.stdin.flush()

    def hear(self) -> Any:
        head = self.process.stdout.read(HEAD)
        return decode_from_worker(self.process.stdout.read(length(head))) if head else None

    def rest(self) -> list[Any]:
        """All that it still says."""
        return list(iter(self.hear, None))


@contextmanager
def a_worker(**environ: str) -> Iterator[Worker]:
    """`PYTHONPATH` is looked at before the one of this process."""
    if mine := os.environ.get("PYTHONPATH"):
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, (environ.get("PYTHONPATH"), mine)))
    with subprocess.Popen(
        process_command("worker"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environ},
    ) as process:
        try:
            yield Worker(process)
        finally:
            process.kill()


def setup(journal: Journal, slots: int = 1) -> Setup:
    return Setup("1.1.1", [Workload("full")], 5.0, list(range(slots)), str(journal.segment))


@pytest.mark.xrootd
def test_what_it_is_told_it_does_and_then_it_ends(xrootd: Any, tmp_path: Path) -> None:
    xrootd.add("/store/worker", 1000)
    journal = Journal(tmp_path)
    with a_worker() as worker:
        worker.say(setup(journal))
        assert isinstance(worker.hear(), Ready)
        worker.say(Work(3, [Request("tagaaaaa", 0, xrootd.url, "/store/worker", 1000, 1)]))
        worker.say(Finish())
        figures = worker.rest()
        assert worker.process.wait(60) == 0
    last = figures[-1]
    assert isinstance(last, Figures)
    assert last.servers[xrootd.url].bytes == 1000
    assert [(type(line), line.path) for line in journal.collect()] == [
        (Started, "/store/worker"), (Done, "/store/worker"),
    ]  # fmt: skip


@pytest.mark.xrootd
def test_each_request_goes_over_the_protocol_of_its_workload(xrootd: Any, tmp_path: Path) -> None:
    """In a process of its own: the XRootD client looks for authorities once."""
    xrootd.add("/store/each", 5)
    protocols: list[Protocol] = ["root", "roots", "http", "https"]
    workloads = [Workload(protocol=protocol) for protocol in protocols]
    journal = Journal(tmp_path)
    with a_worker() as worker:
        worker.say(Setup("1.1.1", workloads, 30.0, [0], str(journal.segment), protocols, Auth(xrootd.ca)))
        assert isinstance(worker.hear(), Ready)
        tags = ["tagaaaaa", "tagbbbbb", "tagccccc", "tagddddd"]
        requests = [Request(tag, 0, xrootd.url, "/store/each", 5, 1, share) for share, tag in enumerate(tags)]
        worker.say(Work(0, requests))
        worker.say(Finish())
        worker.rest()
        assert worker.process.wait(60) == 0
    done = {line.tag: line for line in journal.collect() if isinstance(line, Done)}
    assert [(done[tag].ok, done[tag].error, done[tag].read_got) for tag in tags] == [(True, "", 5)] * 4
    assert [done[tag].phases.open > 0 for tag in tags] == [True, True, False, False]
    assert [done[tag].phases.tls > 0 for tag in tags] == [False, False, False, True]
    assert all(done[tag].phases.first > 0 for tag in tags)


def test_without_the_xrootd_package_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "XRootD").mkdir()
    (tmp_path / "XRootD" / "__init__.py").write_text("raise ImportError('no such package')")
    with a_worker(PYTHONPATH=str(tmp_path)) as worker:
        worker.say(setup(Journal(tmp_path / "state")))
        assert isinstance(message := worker.hear(), Unfit)
        assert worker.process.wait(60) == 1
    assert "pip install" in message.sentence


def test_a_fault_in_a_slot_ends_the_process_and_not_just_the_slot(tmp_path: Path) -> None:
    """Otherwise the job would wait for that slot for ever."""
    fake = tmp_path / "fake"
    (fake / "XRootD" / "client").mkdir(parents=True)
    (fake / "XRootD" / "__init__.py").write_text("")
    (fake / "XRootD" / "client" / "__init__.py").write_text(
        "__version__ = '1'\nclass File:\n    def open(self, *a, **k): raise RuntimeError('a bug in the binding')\n"
    )
    (fake / "XRootD" / "client" / "flags.py").write_text("class OpenFlags: READ, NEW, MAKEPATH = 1, 2, 4\n")
    with a_worker(PYTHONPATH=str(fake)) as worker:
        worker.say(setup(Journal(tmp_path / "state")))
        assert isinstance(worker.hear(), Ready)
        worker.say(Work(0, [Request("tagaaaaa", 0, "root://s", "/f", 1000, 1)]))
        assert worker.process.wait(60) == worker_module.FAULT
        assert b"a bug in the binding" in worker.process.stderr.read()


def test_a_call_that_never_comes_back_costs_its_request_and_nothing_else(tmp_path: Path) -> None:
    fake = tmp_path / "fake"
    (fake / "XRootD" / "client").mkdir(parents=True)
    (fake / "XRootD" / "__init__.py").write_text("")
    (fake / "XRootD" / "client" / "__init__.py").write_text(FAKE_CLIENT)
    (fake / "XRootD" / "client" / "flags.py").write_text("class OpenFlags: READ, NEW, MAKEPATH = 1, 2, 4\n")
    journal = Journal(tmp_path / "state")
    with a_worker(PYTHONPATH=str(fake)) as worker:
        worker.say(Setup("1.1.1", [Workload("full")], 0.1, [0], str(journal.segment), patience=0.5))
        assert isinstance(worker.hear(), Ready)
        paths = ["/one", "/stuck", "/two"]
        worker.say(Work(0, [Request("tagaaaaa", 0, "root://s", path, 3, 1) for path in paths]))
        worker.say(Finish())
        said = worker.rest()
        assert worker.process.wait(60) == 0
    done = {line.path: line for line in journal.collect() if isinstance(line, Done)}
    assert [(path, done[path].ok, done[path].interrupted) for path in paths] == [
        ("/one", True, False), ("/stuck", False, True), ("/two", True, False),
    ]  # fmt: skip
    assert done["/stuck"].error == "The client did not come back from 'open', whose limit of 0.1 s is over."
    (remark,) = [message for message in said if isinstance(message, Remark)]
    assert remark.text.startswith("root://s: The client did not come back")
    assert (said[-1].servers["root://s"].done, said[-1].servers["root://s"].failed) == (2, 1)


class Hangs:
    """A client whose calls never come back, one for each slot."""

    def __init__(self) -> None:
        self.answers = Answers()

    def perform(self, _workload: Any, request: Request, stop: threading.Event, _count: Any) -> Outcome:
        self.answers.begin(threading.get_ident(), request.server, "open", 0.0)
        stop.wait()
        return Outcome(0.0, 0.0)


class Disk:
    """A journal that takes started lines, and done lines only while there is room."""

    def __init__(self) -> None:
        self.room = threading.Event()
        self.lines: list[Any] = []

    def write(self, line: Any) -> None:
        if isinstance(line, Done) and not self.room.is_set():
            raise JournalFullError("The disk is full.")
        self.lines.append(line)


def test_a_full_disk_keeps_nobody_from_giving_up_other_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the watcher stood still with the first, and with it whoever hangs in another slot."""
    monkeypatch.setattr(worker_module, "FULL_RETRY", 0.01)
    client, disk, output, stop = Hangs(), Disk(), worker_module._Output(io.BytesIO()), threading.Event()
    made: Any = worker_module._Slot
    plan = Setup("1.1.1", [Workload("full")], 0.1, [0, 1], "", patience=0.5)
    lanes = threading.Semaphore(9)
    slots = [made(number, plan, client, disk, output, stop, lanes) for number in plan.slots]
    for number, slot in enumerate(slots):
        slot.queue.put((0, Request(f"tagaaaa{number}", number, "root://s", f"/{number}", 3, 1)))
        slot.queue.put(None)
        slot.start()
    until(lambda: len(client.answers.calls) == len(slots))
    watcher = threading.Thread(target=lambda: given_up.extend(slot.look(1.0) for slot in slots), daemon=True)
    given_up: list[int] = []
    watcher.start()
    watcher.join(60)
    assert (given_up, [type(line) for line in disk.lines]) == ([1, 1], [Started, Started])
    disk.room.set()
    for slot in slots:
        while slot.wait(1.0):
            pass
    stop.set()
    done = [(line.path, line.ok, line.interrupted) for line in disk.lines if isinstance(line, Done)]
    assert sorted(done) == [("/0", False, True), ("/1", False, True)]
    assert [slot.tallies["root://s"].failed for slot in slots] == [1, 1]


FAKE_CLIENT = """
import time
__version__ = "1"
class Status: ok, errno, code, message = True, 0, 0, ""
class File:
    def open(self, url, *a, **k):
        if url.endswith("/stuck"): time.sleep(1e6)
        return Status, None
    def read(self, offset, size, timeout): return Status, b"x" * size
    def close(self, timeout): return Status, None
    def get_property(self, name): return ""
"""


HANGING_CLIENT = """
import os, time
__version__ = "1"
class Status: ok, errno, code, message = True, 0, 0, ""
class File:
    def open(self, url, *a, **k):
        while "@hung" in url and not url.endswith("/first"):
            if os.path.exists(os.environ["RELEASE"]): break
            time.sleep(0.01)
        return Status, None
    def read(self, offset, size, timeout): return Status, b"x" * size
    def close(self, timeout): return Status, None
    def get_property(self, name): return ""
"""


@contextmanager
def a_hanging_server(place: Path) -> Iterator[tuple[Worker, Journal, Path]]:
    """A worker with one slot, whose client hangs at server ``hung`` (but for /first) until a file is there."""
    fake, release = place / "fake", place / "release"
    (fake / "XRootD" / "client").mkdir(parents=True)
    (fake / "XRootD" / "__init__.py").write_text("")
    (fake / "XRootD" / "client" / "__init__.py").write_text(HANGING_CLIENT)
    (fake / "XRootD" / "client" / "flags.py").write_text("class OpenFlags: READ, NEW, MAKEPATH = 1, 2, 4\n")
    journal = Journal(place / "state")
    with a_worker(PYTHONPATH=str(fake), RELEASE=str(release)) as worker:
        worker.say(setup(journal))
        assert isinstance(worker.hear(), Ready)
        worker.say(Work(1, [request("hung", "/first")]))
        yield worker, journal, release


def request(server: str, path: str) -> Request:
    return Request("tagaaaaa", 0, f"root://{server}", path, 3, 1)


def silent_now(worker: Worker) -> dict[str, float]:
    """What the next figures say."""
    while True:
        match worker.hear():
            case Figures(silent=silent):
                return silent
            case None:
                raise AssertionError("the worker has ended")


def test_a_server_that_hangs_keeps_no_slot_from_the_others(tmp_path: Path) -> None:
    with a_hanging_server(tmp_path) as (worker, journal, release):
        worker.say(Work(2, [request("hung", "/a"), request("s", "/b"), request("hung", "/c"), request("s", "/d")]))
        lines: list[Any] = []
        while [line.path for line in lines if isinstance(line, Done)] != ["/first", "/b", "/d"]:
            worker.hear()  # figures, once a second
            lines += journal.collect()
        assert [line.path for line in lines if isinstance(line, Started)] == ["/first", "/a", "/b", "/d"]
        while not (silent := silent_now(worker)):
            pass
        assert silent.keys() == {"root://hung"}
        worker.say(Work(3, [request("hung", "/e"), request("s", "/f")]))
        release.touch()
        worker.say(Finish())
        last = worker.rest()[-1]
        assert worker.process.wait(60) == 0
        lines += journal.collect()
    done = [line.path for line in lines if isinstance(line, Done)]
    assert [path for path in done if path in "/a /c /e"] == ["/a", "/c", "/e"], "in order, each once"
    assert sorted(done) == sorted(["/first", "/a", "/b", "/c", "/d", "/e", "/f"])
    assert last.servers["root://hung"].done == 4


def test_a_drain_finishes_what_hangs_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    with a_hanging_server(tmp_path) as (worker, journal, release):
        worker.say(Work(2, [request("hung", "/a"), request("hung", "/b"), request("s", "/c")]))
        lines: list[Any] = []
        while not any(isinstance(line, Done) and line.path == "/c" for line in lines):
            worker.hear()
            lines += journal.collect()
        worker.say(Drain())
        release.touch()
        worker.rest()
        assert worker.process.wait(60) == 0
        lines += journal.collect()
    done = [line.path for line in lines if isinstance(line, Done)]
    assert done[:3] == ["/first", "/c", "/a"], "what was under way is done"
    assert sorted(done) == sorted(line.path for line in lines if isinstance(line, Started))


def test_an_agent_that_goes_away_is_noticed(tmp_path: Path) -> None:
    with a_worker() as worker:
        worker.say(setup(Journal(tmp_path)))
        assert isinstance(worker.hear(), Ready)
        began = time.monotonic()
        worker.process.stdin.close()
        assert worker.process.wait(60) == 0
        assert time.monotonic() - began < within(10)


class _Slot:
    def __init__(self, tally: _Tally) -> None:
        self.tallies = {"root://s:1094": tally}


def test_a_second_is_told_when_it_is_over_and_all_of_them_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.2]
    monkeypatch.setattr(worker_module.time, "time", lambda: now[0])  # type: ignore[attr-defined]
    tally = _Tally()
    slots: Any = {0: _Slot(tally)}
    tally.add(10)
    now[0] = 100.9
    tally.add(5)
    now[0] = 101.05
    tally.add(1)
    assert _figures(slots, 101.05, ended=False).seconds == {}, "a slot may still be adding to the second before"
    told = _figures(slots, 101.15, ended=False)
    assert (told.seconds, told.measured) == ({100: {"root://s:1094": 15}}, 101.0)
    now[0] = 105.0
    tally.add(2)
    assert _figures(slots, 105.2, ended=False).seconds == {101: {"root://s:1094": 1}}
    last = _figures(slots, 105.3, ended=True)
    assert (last.seconds, last.measured) == ({105: {"root://s:1094": 2}}, 105.3)
    assert last.servers["root://s:1094"].bytes == 18


def test_a_clock_that_is_set_back_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = _Tally()
    slots: Any = {0: _Slot(tally)}
    monkeypatch.setattr(worker_module.time, "time", lambda: 5000.0)  # type: ignore[attr-defined]
    tally.add(10)
    assert _figures(slots, 101.5, ended=False).seconds == {5000: {"root://s:1094": 10}}
