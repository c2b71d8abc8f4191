"""The cycle's promises: the order of its steps, and exactly one record of each id whatever dies, whenever."""

from __future__ import annotations

import base64
import json
import logging
import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import msgpack

from collector.checkpoint import (
    CheckpointFullError,
    CheckpointUnusableError,
    Chunk,
    NoCheckpoint,
    Store,
    Transaction,
    open_checkpoint,
)
from collector.correlate import Correlator, Record
from collector.cycle import Cycle, chunked, placed
from collector.quarantine import Quarantine, quarantine_path
from collector.sinks.direct import DirectFile
from collector.sources import Datagram, Reject, Taken
from shoveler.service import Progress


class Clock:
    """A clock that only moves when somebody sleeps or says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Build:
    """A collector's cycle on doubles and a real checkpoint; `kill` and `start` are the process's life."""

    def __init__(self, directory: Path, doubles: Any) -> None:
        self.directory, self.tiny = directory, doubles.correlator
        self.source, self.sink = doubles.source(), doubles.sink()
        self.clock = Clock()
        self.start()

    def start(self, store: Store | None = None) -> None:
        self.store = store or open_checkpoint(self.directory, "queue")
        self.correlator = self.tiny()
        self.cycle = Cycle(
            self.source,
            self.sink,
            self.correlator,
            self.store,
            quarantine=Quarantine(quarantine_path(self.directory, "queue"), clock=self.clock),
            clock=self.clock,
            monotonic=self.clock,
            sleep=self.clock.sleep,
        )
        self.cycle.restore()

    def kill(self) -> None:
        """As kill -9: what is not in the file is gone, the broker gives back what was not acknowledged."""
        self.store.close()
        self.source.reconnect()

    def steps(self, number: int = 5) -> None:
        for _ in range(number):
            self.cycle.step(0.1)
            self.clock.sleep(0.3)


@pytest.fixture
def build(tmp_path: Path, doubles: Any) -> Iterator[Build]:
    built = Build(tmp_path, doubles)
    yield built
    built.store.close()


def notes(build: Build) -> dict[str, str]:
    """record_id → note, of all that was ever published; two different texts under one id would be an error."""
    found: dict[str, str] = {}
    for chunk in build.sink.sent:
        for line in chunk.body.split(b"\n"):
            record = json.loads(line)
            assert found.setdefault(record["record_id"], record["note"]) == record["note"]
    return found


# ---------------------------------------------------------------- the order of things


class Diary:
    """Writes down what happens in which order."""

    def __init__(self, store: Store, source: Any, sink: Any) -> None:
        self.lines: list[str] = []
        commit, send, acknowledge = store.commit, sink.send, source.acknowledge

        def committing(transaction: Transaction) -> None:
            commit(transaction)
            if transaction.chunks:
                self.lines.append("commit " + " ".join(i for chunk in transaction.chunks for i in chunk.ids))
            if transaction.cleared:
                self.lines.append(f"clear {transaction.cleared}")

        def sending(chunk: Chunk) -> None:
            self.lines.append("publish " + " ".join(chunk.ids))
            send(chunk)

        def acknowledging(token: int) -> None:
            self.lines.append(f"acknowledge {token}")
            acknowledge(token)

        store.commit, sink.send, source.acknowledge = committing, sending, acknowledging  # type: ignore[method-assign]


def test_commit_publish_confirm_clear_acknowledge_in_this_order(build: Build) -> None:
    diary = Diary(build.store, build.source, build.sink)
    build.source.give("open a", "close a")
    build.sink.holding = True
    build.steps()
    assert diary.lines == ["commit a.f", "publish a.f"]  # not confirmed: neither cleared nor acknowledged
    build.sink.holding = False
    build.steps()
    assert diary.lines == ["commit a.f", "publish a.f", "clear 1", "acknowledge 1"]


def test_input_that_causes_nothing_is_acknowledged_once_its_state_is_on_disk(build: Build) -> None:
    build.source.give("open a")
    build.steps(1)
    assert dict(build.store.state()) == {b"a": b"1000.000000"}
    assert build.source.acknowledged == [1]


def test_acknowledgements_keep_their_order_while_cycles_overlap(build: Build) -> None:
    build.sink.holding = True
    build.source.give("close a")
    build.steps(1)
    build.source.give("open b")  # causes nothing, but came after something that is not safe yet
    build.steps(1)
    assert build.source.acknowledged == []
    build.sink.holding = False
    build.steps()
    assert build.source.acknowledged == [2]  # covers the first


def test_a_file_opened_and_closed_in_one_cycle_leaves_no_state(build: Build) -> None:
    build.source.give("open a", "close a", "open b")
    build.steps()
    assert dict(build.store.state()) == {b"b": b"1000.000000"}


# ---------------------------------------------------------------- duplicates


def test_a_message_whose_id_was_seen_is_dropped_and_counted(build: Build) -> None:
    build.source.give("open a", "close a")
    build.steps()
    build.source.give("open a", "close a", first=1)
    build.steps()
    assert build.sink.ids == ["a.f"]
    assert build.cycle.counts.duplicates == 2
    assert build.cycle.duplicates_of == {"192.0.2.1:1094": 2}


def test_seen_ids_are_remembered_over_a_restart(build: Build) -> None:
    build.source.give("close a")
    build.steps()
    build.kill()
    build.start()
    build.source.give("close a", first=1)
    build.steps()
    assert build.sink.ids == ["a.f"]
    assert build.source.acknowledged == [1, 2]  # known, so it is safe


def test_an_older_id_that_never_came_is_taken(build: Build) -> None:
    build.source.give("close b", first=9)
    build.steps()
    build.source.give("close a", first=3)
    build.steps()
    assert build.sink.ids == ["b.f", "a.f"]


def test_messages_without_ids_are_all_given_to_the_correlator(build: Build) -> None:
    build.source.give("open a", "close a", spool=None)
    build.steps()
    assert build.sink.ids == ["a.f"]


def test_a_known_id_with_other_content_is_taken_counted_and_said(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    build.source.give("close a", "close b")
    build.steps()
    build.source.give("close c", "close b", "close d", first=1)
    build.steps()
    assert build.sink.ids == ["a.f", "b.f", "c.f", "d.f"]
    assert (build.cycle.counts.reused, build.cycle.counts.duplicates) == (1, 1)
    assert [record.message for record in caplog.records] == [
        "the id spool:1 was already used for another datagram; this one, from 192.0.2.1:1094, is taken too. Was a "
        "shoveler's machine reset to a snapshot while it ran? Restart that shoveler"
    ]


def test_content_is_remembered_over_an_orderly_restart(build: Build) -> None:
    build.source.give("close a")
    build.steps()
    build.source.give("close b")
    build.steps()
    assert build.cycle.wind_down(1.0)
    build.kill()
    build.start()
    build.source.give("close c", "close d", first=1)
    build.steps()
    assert build.sink.ids == ["a.f", "b.f", "c.f", "d.f"]


def test_seen_is_what_is_confirmed(build: Build) -> None:
    build.source.give("close a")
    build.sink.holding = True
    build.steps(1)
    mark = build.cycle.mark()
    assert mark.seen == {"spool": Progress(seen_upto=1)}
    assert not build.cycle.is_behind(mark)
    build.source.give("open b")
    build.sink.holding = False
    build.steps()
    assert build.cycle.is_behind(mark)
    assert build.cycle.is_behind(build.cycle.mark())


def test_seen_waits_for_what_was_left_over_from_the_last_time(build: Build) -> None:
    build.source.give("close a")
    build.sink.holding = True
    build.steps(1)
    build.kill()
    build.start()
    mark = build.cycle.mark()
    assert mark.seen == {"spool": Progress(seen_upto=1)}
    assert not build.cycle.is_behind(mark)
    build.sink.holding = False
    build.steps()
    assert build.cycle.is_behind(mark)


# ---------------------------------------------------------------- kills


def test_open_files_survive_a_kill(build: Build) -> None:
    build.source.give("open a")
    build.steps()
    build.kill()
    build.start()
    build.source.give("close a")
    build.steps()
    assert notes(build) == {"a.f": "complete"}


def test_killed_between_commit_and_confirm_the_outbox_is_published_again(build: Build) -> None:
    build.sink.holding = True
    build.source.give("open a", "close a")
    build.steps()
    assert build.sink.ids == ["a.f"]
    build.kill()
    build.sink.holding = False
    build.start()
    build.steps()
    assert build.sink.ids == ["a.f", "a.f"]  # twice on the bus, once for who keys on record_id
    assert build.store.outbox() == []
    assert build.source.unacknowledged == 0


def test_killed_before_the_commit_the_input_comes_again(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(_transaction: Transaction) -> None:
        raise KeyboardInterrupt

    build.source.give("open a", "close a")
    with monkeypatch.context() as patch:
        patch.setattr(build.store, "commit", dies)
        with pytest.raises(KeyboardInterrupt):
            build.steps()
    build.kill()
    build.start()
    build.steps()
    assert notes(build) == {"a.f": "complete"}


# ---------------------------------------------------------------- what the core cannot take


def aside(build: Build) -> list[str]:
    """The datagrams in the quarantine."""
    path = quarantine_path(build.directory, "queue")
    lines = path.read_text().splitlines() if path.exists() else []
    return [base64.b64decode(json.loads(line)["data"]).decode() for line in lines]


@pytest.mark.parametrize("per_take", [1, 2, 1000])
def test_a_datagram_at_which_the_core_raises_is_set_aside_and_the_rest_goes_on(
    build: Build, per_take: int, caplog: pytest.LogCaptureFixture
) -> None:
    build.source.per_take = per_take
    with caplog.at_level(logging.ERROR):
        build.source.give("open a", "poison x", "close a", "poison y", "open b", "close b", "open c")
        build.steps(10)
    assert aside(build) == ["poison x", "poison y"]
    assert notes(build) == {"a.f": "complete", "b.f": "complete"}
    assert dict(build.store.state()).keys() == {b"c"}
    assert build.cycle.counts.set_aside == {"datagram": 2}
    assert build.source.unacknowledged == 0
    (said,) = caplog.messages  # one line, however many
    assert "KeyError: 'x'" in said
    assert f"tally-collector inspect {quarantine_path(build.directory, 'queue')}" in said
    caplog.clear()
    build.source.give("poison x", first=2)  # delivered once more: it was taken
    build.steps()
    assert (aside(build), build.cycle.counts.duplicates) == (["poison x", "poison y"], 1)


def test_killed_between_quarantine_and_commit_it_is_there_once(
    build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def dies(_transaction: Transaction) -> None:
        raise KeyboardInterrupt

    build.source.give("open a", "poison x", "close a")
    with monkeypatch.context() as patch:
        patch.setattr(build.store, "commit", dies)
        with pytest.raises(KeyboardInterrupt):
            build.steps()
    assert (aside(build), build.source.acknowledged) == (["poison x"], [])
    build.kill()
    build.start()
    build.steps()
    assert aside(build) == ["poison x"]
    assert notes(build) == {"a.f": "complete"}
    assert build.source.unacknowledged == 0
    caplog.clear()


def test_nothing_is_acknowledged_until_the_quarantine_is_on_disk(
    build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("collector.quarantine.os.fsync", full)
        build.source.give("open a", "poison x", "close a")
        build.steps()
        assert "quarantine" in build.cycle.trouble["state"]
        assert (build.sink.sent, build.source.acknowledged) == ([], [])
    build.steps(200)
    assert build.cycle.trouble == {}
    assert aside(build) == ["poison x"]
    assert notes(build) == {"a.f": "complete"}
    assert build.source.acknowledged == [1]
    caplog.clear()


# ---------------------------------------------------------------- anything, in any order

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("give"), st.integers(1, 4)),
        st.tuples(st.just("repeat"), st.integers(1, 40)),
        st.tuples(st.sampled_from(["step", "kill", "reconnect", "hold", "release", "full", "space"]), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=80, deadline=None)
@given(ACTIONS)
def test_every_record_exactly_once_by_id_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, doubles: Any, actions: list[tuple[str, int]]
) -> None:
    build = Build(tmp_path_factory.mktemp("state"), doubles)
    build.source.per_take = 3
    story = [f"{word} f{number}" for number in range(400) for word in ("open", "close")]
    given_so_far = 0
    full = False

    def with_a_disk_that_fills() -> None:
        write = build.store.commit

        def commit(transaction: Transaction) -> None:
            if full:
                raise CheckpointFullError("no space")
            write(transaction)

        build.store.commit = commit  # type: ignore[method-assign]

    with_a_disk_that_fills()
    for action, number in actions:
        if action == "give":
            build.source.give(*story[given_so_far : given_so_far + number])
            given_so_far += number
        elif action == "repeat" and given_so_far:
            seq = 1 + number % given_so_far
            build.source.waiting.append(Datagram(story[seq - 1].encode(), "192.0.2.1:1094", 1000.0, "spool", seq))
        elif action == "step":
            build.steps(1)
        elif action == "kill":
            build.kill()
            build.start()
            with_a_disk_that_fills()
        elif action == "reconnect":
            build.source.reconnect()
        elif action in ("hold", "release"):
            build.sink.holding = action == "hold"
        elif action in ("full", "space"):
            full = action == "full"
    full = build.sink.holding = False
    build.steps(200)
    closed = given_so_far // 2
    assert notes(build) == {f"f{number}.f": "complete" for number in range(closed)}
    assert build.source.unacknowledged == 0
    assert build.store.outbox() == []
    assert build.correlator.names == ({f"f{closed}"} if given_so_far % 2 else set())
    build.store.close()


# ---------------------------------------------------------------- disk full


def test_with_a_full_disk_nothing_is_acknowledged_and_all_goes_on_when_there_is_space(
    build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_transaction: Transaction) -> None:
        raise CheckpointFullError("state x.db cannot be written for now: database or disk is full")

    build.source.give("open a", "close a")
    with monkeypatch.context() as patch, caplog.at_level(logging.INFO):
        patch.setattr(build.store, "commit", full)
        build.steps(20)
        build.source.give("close b")
        build.steps(20)
        assert build.cycle.trouble == {"state": "state x.db cannot be written for now: database or disk is full"}
        assert (build.sink.sent, build.source.acknowledged, len(build.source.waiting)) == ([], [], 1)
        assert build.source.alive > 10  # heartbeats went on
        build.clock.sleep(60)
    build.steps()
    assert notes(build) == {"a.f": "complete", "b.f": "no_open"}
    assert build.cycle.trouble == {}
    assert build.source.acknowledged == [1, 2]
    errors = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(errors) == 2  # one line when it began, one when it was over
    assert "taking no more input" in errors[0]


# ---------------------------------------------------------------- back-pressure


def test_while_the_output_is_stuck_the_input_is_left_where_it_is_but_kept_alive(build: Build) -> None:
    build.sink.holding = True
    build.source.per_take = 1
    build.source.give(*(f"close f{number}" for number in range(200)))
    build.steps(200)
    taken = 200 - len(build.source.waiting)
    assert 0 < taken < 100
    assert build.source.alive > 50
    calls = len(build.correlator.calls)
    build.steps(50)
    assert len(build.correlator.calls) == calls  # no time passes while there is no room to listen
    build.sink.holding = False
    build.steps(2)
    assert build.correlator.calls[calls][0] == "resume"
    build.steps(250)
    assert len(build.source.waiting) == 0
    assert len(notes(build)) == 200


def test_silence_while_not_listening_is_not_held_against_anybody(build: Build) -> None:
    build.source.give("open a")
    build.steps(1)
    build.source.trouble = "the broker is away"
    build.steps(10)
    before = len(build.correlator.calls)
    assert build.correlator.calls[-1][0] == "advance"
    build.steps(10)
    assert len(build.correlator.calls) == before  # no time passes for the correlator while its ears are shut
    build.source.trouble = ""
    build.steps(1)
    assert build.correlator.calls[before][0] == "resume"


# ---------------------------------------------------------------- rejects, ends


def test_rejected_input_is_counted_by_reason_and_acknowledged_with_the_rest(build: Build) -> None:
    rejects = [Reject("envelope", "message is no envelope"), Reject("base64", "data is not base64")]
    taken = Taken([Datagram(b"close a", "192.0.2.1:1094", 1000.0, "spool", 1)], rejects, 7)
    build.source.take = lambda _timeout, queue=[taken]: queue.pop() if queue else Taken()
    build.steps()
    assert build.cycle.counts.rejected == {"envelope": 1, "base64": 1}
    assert build.sink.ids == ["a.f"]
    assert build.source.acknowledged == [7]


def test_the_end_of_a_file_writes_out_what_is_held(tmp_path: Path, doubles: Any) -> None:
    build = Build(tmp_path, doubles)
    build.source.captured, build.source.live = True, False
    build.source.give("open a", "open b", "close b", t=5000.0)
    build.source.ended = False
    build.steps(1)
    build.source.ended = True
    build.steps(3)
    assert build.cycle.finished
    assert build.sink.ids == ["b.f", "a.p"]
    assert ("drain", 5000.0) in build.correlator.calls
    build.store.close()


def test_in_a_replay_time_passes_with_the_datagrams_alone(tmp_path: Path, doubles: Any) -> None:
    def times(per_take: int) -> list[tuple[str, float]]:
        build = Build(tmp_path / str(per_take), doubles)
        build.source.captured, build.source.live = True, False
        build.source.per_take = per_take
        for t in (10.0, 10.4, 11.5, 11.6, 30.0, 29.0, 31.5):
            build.source.give("open a", t=t)
        build.steps(20)
        build.store.close()
        return build.correlator.calls

    assert times(1) == times(3) == times(100)
    assert [t for call, t in times(7) if call == "advance"] == [10.0, 11.5, 30.0, 31.5]


def test_following_a_file_time_goes_on_from_its_last_line(tmp_path: Path, doubles: Any) -> None:
    build = Build(tmp_path, doubles)
    build.source.captured = True
    build.steps(3)
    assert build.correlator.calls == []  # nothing read yet: no time yet
    build.source.give("open a", t=5000.0)
    build.cycle.step(0.1)
    build.clock.sleep(7.0)
    build.cycle.step(0.1)
    assert build.correlator.calls[-1] == ("advance", 5007.0)
    build.store.close()


def test_winding_down_waits_for_what_is_on_its_way_and_leaves_the_rest_in_the_outbox(build: Build) -> None:
    build.source.give("close a")
    build.sink.holding = True
    build.steps(2)
    assert not build.cycle.wind_down(0.0)
    assert [list(chunk.ids) for chunk in build.store.outbox()] == [["a.f"]]
    build.sink.holding = False
    assert build.cycle.wind_down(8.0)
    assert (build.store.outbox(), build.source.acknowledged) == ([], [1])


def test_winding_down_on_a_full_disk_says_so_and_ends_in_order(
    tmp_path: Path, doubles: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    build = Build(tmp_path, doubles)
    build.store.close()
    build.sink = DirectFile(tmp_path / "records.jsonl", None)
    build.start()

    def full(_: object) -> None:
        raise CheckpointFullError("the state cannot be written for now: the disk is full")

    monkeypatch.setattr(build.store, "commit", full)
    assert not build.cycle.wind_down(1.0)
    assert (
        f"the disk is full; anything that other programs append to {tmp_path}/records.jsonl now is cut off"
        in caplog.text
    )
    caplog.clear()
    build.cycle.close()


# ---------------------------------------------------------------- records that go straight into their file


@pytest.fixture
def straight(build: Build, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """With a file as its output, that takes the records of each datagram at once."""
    monkeypatch.setattr("collector.guard._AT_ONCE", 1)
    build.source.per_take = 1000
    reopen(build)
    yield build
    build.sink.close()


def reopen(build: Build) -> None:
    build.store.close()
    build.start(_with_file(build))


def _with_file(build: Build) -> Store:
    store = open_checkpoint(build.directory, "queue")
    build.sink = DirectFile(build.directory / "records.jsonl", store.mark)
    return store


def written(build: Build) -> list[str]:
    """The ids in the file, in their order."""
    return [json.loads(line)["record_id"] for line in build.sink.path.read_text().splitlines()]


def test_records_are_in_the_file_before_the_cycle_ends_and_cut_off_when_it_never_does(
    straight: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    straight.source.give("open a", "close a")
    straight.steps(1)

    def dies(_transaction: Transaction) -> None:
        raise KeyboardInterrupt

    straight.source.give("open b", "close b")
    with monkeypatch.context() as patch:
        patch.setattr(straight.store, "commit", dies)
        with pytest.raises(KeyboardInterrupt):
            straight.steps(1)
    assert written(straight) == ["a.f", "b.f"]
    straight.source.reconnect()
    straight.sink.close()
    with caplog.at_level(logging.INFO):
        reopen(straight)
    assert "will be written again" in caplog.text
    assert written(straight) == ["a.f"]
    straight.steps()
    assert written(straight) == ["a.f", "b.f"]
    assert straight.cycle.counts.records == {"file": 1}


def test_a_datagram_at_which_the_core_raises_leaves_each_record_in_the_file_once(
    straight: Build, caplog: pytest.LogCaptureFixture
) -> None:
    straight.source.give("open a", "close a", "open b", "close b", "poison x", "open c", "close c")
    straight.steps()
    assert written(straight) == ["a.f", "b.f", "c.f"]
    assert straight.cycle.counts.records == {"file": 3}
    assert aside(straight) == ["poison x"]
    caplog.clear()


def test_a_disk_that_fills_within_a_cycle_takes_the_rest_when_there_is_space(
    straight: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original = os.pwrite
    room = iter([True, False, False, False])

    def fills(fd: int, text: memoryview, at: int) -> int:
        if next(room, True):
            return original(fd, text, at)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("collector.sinks.direct.os.pwrite", fills)
    straight.source.give("open a", "close a", "open b", "close b", "open c", "close c")
    straight.steps(1)
    assert written(straight) == ["a.f"]
    assert "No space" in straight.cycle.trouble["state"]
    assert straight.source.acknowledged == []
    straight.steps(200)
    assert written(straight) == ["a.f", "b.f", "c.f"]
    assert (straight.cycle.trouble, straight.source.acknowledged) == ({}, [1])
    assert straight.cycle.counts.records == {"file": 3}
    caplog.clear()


def test_a_state_that_the_correlator_does_not_know_is_refused(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_self: object, _rows: object) -> None:
        raise ValueError("row 'x' is of version 9")

    monkeypatch.setattr(build.tiny, "restore", unknown)
    build.kill()
    with pytest.raises(
        CheckpointUnusableError, match=r"state /.*\.db cannot be used: row 'x' is of version 9; upgrade"
    ):
        build.start()


def _ident(sid: int, number: int) -> bytes:
    text = f"=/root.4711:{sid}@se01.example.org\n&site=A&port=1094&inst=disk1&pgm=xrootd&ver=v5.5.3".encode()
    return struct.pack(">cBHII", b"=", number, 12 + len(text), 1_700_000_000, 0) + text


def _older(directory: Path, version: int) -> None:
    """Make what is in the file of an older (or newer) version: of servers that have only named themselves."""

    def old_tracker(dump: list[Any]) -> list[Any]:
        modulus, newest, came, start, since, _, *rest = dump
        return [modulus, newest, came, start, since, *rest]

    with closing(sqlite3.connect(directory / "queue.db")) as db, db:
        rows = dict(db.execute("SELECT key, value FROM state"))
        rows[b"m"] = msgpack.encode(msgpack.decode(rows[b"m"]) | {"version": version})
        for key in [key for key in rows if key[:1] == b"i" and version < 5]:
            values = msgpack.decode(rows[key])[:-2]
            values[17] = values[17][:-1]
            values[18] = [[sender, c, dump[:-1]] for sender, c, dump in values[18]]
            rows[key] = msgpack.encode(values)
        for key in [key for key in rows if key[:1] == b"i" and version < 3]:
            *before, fseq, sequences, gaps, until, unsettled, _, _, _, used, left, counts, told = msgpack.decode(
                rows[key]
            )[:-6]
            sequences = [[sender, c, old_tracker(dump)] for sender, c, dump in sequences]
            values = [*before, old_tracker(fseq), sequences, gaps, until, unsettled, {}, [], [], used, left]
            rows[key] = msgpack.encode([*values, counts[:-3], told] if version == 2 else [*values, counts[:-4]])
        db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", rows.items())


def _dump(directory: Path) -> list[str]:
    db = sqlite3.connect(directory / "queue.db")
    try:
        return list(db.iterdump())
    finally:
        db.close()


class _Whole(Build):
    """With the real correlator, two servers known, a chunk in the outbox and two ids seen; then killed."""

    def __init__(self, directory: Path, doubles: Any) -> None:
        super().__init__(directory, doubles)
        self.store.close()
        self.tiny = Correlator
        self.start()
        self.source.waiting += [
            Datagram(_ident(sid, 0), f"192.0.2.{sid}:1094", 1000.0, "spool", sid, "spool") for sid in (1, 2)
        ]
        self.steps()
        self.store.commit(Transaction((), (), None, [Chunk(1, "file", "file.cms", ["a.f"], b'{"a":1}')], 0, None))
        self.kill()


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_state_of_an_older_version_is_taken_over_with_outbox_and_ids_and_can_be_read_again(
    version: int, tmp_path: Path, doubles: Any
) -> None:
    build = _Whole(tmp_path, doubles)
    _older(tmp_path, version)
    for start in range(3):  # one server says nothing more
        build.start()
        assert build.correlator.counters["state_servers"] == 2
        build.source.waiting += [
            Datagram(_ident(1, 0), "192.0.2.1:1094", 1000.0, "spool", 1, "spool"),
            Datagram(_ident(1, 1 + start), "192.0.2.1:1094", 1000.0, "spool", 3 + start, "spool"),
        ]
        build.steps()
        assert build.cycle.counts.duplicates == 1
        build.kill()
    assert [chunk.ids for chunk in build.sink.sent] == [["a.f"]]


def test_a_state_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path, doubles: Any) -> None:
    build = _Whole(tmp_path, doubles)
    _older(tmp_path, 6)
    before = _dump(tmp_path)
    with pytest.raises(CheckpointUnusableError, match=r"queue\.db cannot be used: state of version 6; .*upgrade"):
        build.start()
    build.store.close()
    assert _dump(tmp_path) == before
    assert build.sink.sent == []


def test_closing_closes_all_three(build: Build, doubles: Any, tmp_path: Path) -> None:
    other = Build(tmp_path / "other", doubles)
    other.cycle.close()
    assert (other.source.closed, other.sink.closed) == (True, True)
    open_checkpoint(tmp_path / "other", "queue").close()  # the lock is free


def test_without_a_checkpoint_the_cycle_works_all_the_same(tmp_path: Path, doubles: Any) -> None:
    build = Build(tmp_path, doubles)
    build.store.close()
    build.start(NoCheckpoint())
    build.source.give("open a", "close a")
    build.steps()
    assert (build.sink.ids, build.source.acknowledged) == (["a.f"], [1])


# ---------------------------------------------------------------- chunks


def test_records_of_one_stream_and_key_share_a_chunk_in_their_order() -> None:
    records = [
        Record("file", "cms", "1", b"{1}"),
        Record("cache", "none", "2", b"{2}"),
        Record("file", "cms", "3", b"{3}"),
        Record("file", "atlas", "4", b"{4}"),
        Record("summary", "none", "5", b"{5}"),
    ]
    assert list(chunked(records, 7)) == [
        Chunk(7, "records", "file.cms", ["1", "3"], b"{1}\n{3}"),
        Chunk(8, "cache", "cache.none", ["2"], b"{2}"),
        Chunk(9, "records", "file.atlas", ["4"], b"{4}"),
        Chunk(10, "records", "summary.none", ["5"], b"{5}"),
    ]


def test_chunks_know_how_many_records_of_their_stream_were_before() -> None:
    chunks = [
        Chunk(1, "records", "k", ["a", "b"], b""),
        Chunk(2, "cache", "k", ["c"], b""),
        Chunk(3, "records", "l", ["d"], b""),
    ]
    sent = {"records": 10}
    assert [chunk.at for chunk in placed(chunks, sent)] == [10, 0, 12]
    assert sent == {"records": 10}, "that is the checkpoint's, and only a commit changes it"


def test_chunks_are_bounded_in_records_and_bytes_and_a_huge_record_is_alone() -> None:
    many = [Record("file", "cms", str(number), b"{}") for number in range(1000)]
    assert [len(chunk.ids) for chunk in chunked(many, 1)] == [256, 256, 256, 232]
    large = [Record("file", "cms", str(number), b"x" * size) for number, size in enumerate([10, 300_000, 10, 10])]
    chunks = list(chunked(large, 1))
    assert [(chunk.number, list(chunk.ids)) for chunk in chunks] == [(1, ["0"]), (2, ["1"]), (3, ["2", "3"])]
    assert [part for chunk in chunks for part in chunk.body.split(b"\n")] == [record.body for record in large]
