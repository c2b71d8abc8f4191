"""What is done with messages from the bus."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gui.runner.intake import Loaded, RecordIntake, StatusIntake, on_loop
from gui.store import AT_ONCE, LoadResult, Store, TestSpec
from shoveler.bus import Incoming
from shoveler.service import (
    CollectorStatus,
    Position,
    Progress,
    ServerProcess,
    ShovelerStatus,
    decode_status,
    encode_status,
    routing_key,
)
from shoveler.service.status import ShovelerSender


class Loading:
    """A store that only counts."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.settings: dict[str, str] = {}
        self.setting = self.settings.get
        self.put_setting = self.settings.__setitem__

    def load_all(self, batches: Iterable[list[bytes]], loaded: Callable[[LoadResult, float], None]) -> None:
        for bodies in batches:
            self.batches.append(len(bodies))
            loaded(LoadResult(final=len(bodies)), 1.0)


def test_both_framings_in_batches_of_a_bounded_size() -> None:
    store, told = Loading(), list[Loaded]()
    intake = RecordIntake(store, told.append)  # type: ignore[arg-type]
    intake([Incoming(b'{"a":1}', 1), Incoming(b'{"a":1}\n{"a":2}\n{"a":3}\n', 2), Incoming(b"", 3)])
    assert store.batches == [4]
    assert [loaded.result.final for loaded in told] == [4]
    store.batches.clear()
    intake([Incoming(b"{}\n" * (AT_ONCE // 2 + 1000), number) for number in range(4)])
    assert store.batches == [AT_ONCE + 2000, AT_ONCE + 2000]
    store.batches.clear()
    intake([])
    assert store.batches == []


def status(number: int, *, spooled: int = 0, t: float = 0.0) -> Incoming:
    message = ShovelerStatus(
        id="sp1",
        started=1.0,
        t=t,
        host="h",
        version="1",
        senders={"127.0.0.1:9": ShovelerSender(received=number + spooled, confirmed=number, spooled=spooled)},
    )
    return Incoming(encode_status(message), number, routing_key=routing_key(message))


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(tmp_path / "w.db") as made:
        yield made


def test_the_last_word_of_each_daemon_is_known(store: Store) -> None:
    changes: list[int] = []
    intake = StatusIntake(store, lambda: changes.append(1))
    collector = CollectorStatus(id="c", started=1.0, t=1.0, host="h", version="1")
    intake(
        [status(1, spooled=3), status(2, spooled=5), Incoming(encode_status(collector), 3, routing_key="collector.c")]
    )
    assert [(member.program, member.id, member.status.t) for member in intake.members] == [
        ("shoveler", "sp1", 0.0),
        ("collector", "c", 1.0),
    ]
    assert changes == [1]


def test_how_far_those_are_who_tell_positions(store: Store) -> None:
    intake = StatusIntake(store, lambda: None)
    positions = {"g": Position(first=3, received_upto=9, confirmed_upto=7)}
    shoveler = ShovelerStatus(id="sp1", started=1.0, t=1.0, host="h", version="1", positions=positions)
    progress = {"g": Progress(seen_upto=7, holes=[(4, 5)])}
    collector = CollectorStatus(id="c", started=1.0, t=1.0, host="h", version="1", positions=progress, held=2)
    began = time.time()
    assert not intake.heard_since(began, both=True)
    intake([Incoming(encode_status(shoveler), 1, routing_key="shoveler.sp1"), Incoming(b"{}", 2, routing_key="ask")])
    assert (intake.heard_since(began, both=False), intake.heard_since(began, both=True)) == (True, False)
    older = msgspec.structs.replace(collector, schema=1, id="old", positions={})
    intake([Incoming(encode_status(each), 2, routing_key=routing_key(each)) for each in (collector, older)])
    assert intake.heard_since(began, both=True)
    (taker,), (reader,) = intake.takers(began), intake.readers(began)
    assert (taker.id, taker.positions) == ("sp1", {"g": (3, 9)})
    assert (reader.id, reader.positions, reader.held) == ("c", {"g": (7, [(4, 5)])}, 2)
    assert not intake.heard_since(time.time() + 1, both=False)
    assert (intake.takers(time.time() + 1), intake.readers(time.time() + 1)) == ([], [])


def test_who_sends_past_our_shovelers(store: Store) -> None:
    intake = StatusIntake(store, lambda: None)
    now = time.time()
    processes = [ServerProcess(sender="192.0.2.1:1", sid="1", stod=1, last=now)]
    collector = CollectorStatus(id="c", started=1.0, t=1.0, host="h", version="1", processes=processes)
    intake([Incoming(encode_status(collector), 1, routing_key="collector.c")])
    assert intake.strangers(now - 1)
    assert not intake.strangers(now + 1), "it was heard of before"
    senders = {"192.0.2.1:1": ShovelerSender(received=1)}
    shoveler = ShovelerStatus(id="sp1", started=1.0, t=1.0, host="h", version="1", senders=senders)
    intake([Incoming(encode_status(shoveler), 1, routing_key="shoveler.sp1")])
    assert not intake.strangers(now - 1)


def test_what_daemons_say_in_the_middle_of_a_run_is_kept(store: Store) -> None:
    spec = TestSpec(servers=1, files_per_server=1, per_round=1)
    run = store.create_run(name="r", plan_text="", settle=1, tests=[spec], now=1.0)
    intake = StatusIntake(store, lambda: None)
    intake([status(1, t=1.0)])
    intake.begin_run(run)
    intake([status(2, t=2.0), status(3, t=3.0), status(4, t=4.0)])
    steps = [decode_status(f"{step.program}.{step.member}", step.body) for step in store.status_steps(run)]
    assert [(step.t, step.senders) for step in steps] == [(2.0, {}), (3.0, {}), (4.0, {})]


def test_what_is_no_status_is_passed_over(store: Store) -> None:
    intake = StatusIntake(store, lambda: None)
    intake([Incoming(b"{", 1, routing_key="shoveler.x"), Incoming(b"{}", 2, routing_key="what.x"), status(3)])
    assert len(intake.members) == 1


def test_first_and_last_of_a_run_are_kept(store: Store) -> None:
    spec = TestSpec(servers=1, files_per_server=1, per_round=1)
    run = store.create_run(name="r", plan_text="", settle=1, tests=[spec], now=1.0)
    intake = StatusIntake(store, lambda: None)
    intake([status(1, t=1.0)])
    intake.begin_run(run)
    intake([status(2, t=2.0), status(3, t=3.0)])
    intake.end_run()
    intake([status(4, t=4.0)])
    (pair,) = store.statuses(run)
    assert (pair.first_t, pair.last_t) == (1.0, 3.0)


async def test_from_a_thread_to_the_loop() -> None:
    told: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    call = on_loop(loop, lambda *arguments: told.put_nowait((*arguments, threading.current_thread().name)))
    await asyncio.to_thread(call, 7)
    assert await told.get() == (7, threading.current_thread().name)


def test_a_loop_that_is_closed_is_not_told() -> None:
    loop = asyncio.new_event_loop()
    call = on_loop(loop, lambda: None)
    loop.close()
    call()
