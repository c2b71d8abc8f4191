import json
import logging

import pytest

from shoveler import config
from shoveler.bus import BusRefusedError, BusUnavailableError, Outcome
from shoveler.bus.token import TokenFile
from shoveler.envelope import BATCH, SINGLE, decode, shard_of
from shoveler.publisher import READ_BYTES, UNSETTLED_BYTES, BatchFramer, Courier, Ledger, OpenBlock, SingleFramer
from shoveler.service import Health
from shoveler.spool.values import Block

A, B, C = "192.0.2.7:1094", "192.0.2.8:1094", "192.0.2.7:9999"


def block(first, *rows, arrived=0.0, generation="s"):
    remotes = list(dict.fromkeys(remote for remote, _ in rows))
    return Block(
        first,
        first + len(rows) - 1,
        arrived,
        remotes,
        [remotes.index(remote) for remote, _ in rows],
        [d for _, d in rows],
        generation,
    )


def opened(blocks):
    return [(b, OpenBlock(b.last, len(b.datagrams))) for b in blocks]


# ---------------------------------------------------------------- framing


def test_single_framing():
    blocks = [block(5, (A, b"one"), (B, b"two"), generation="1st"), block(7, (A, b"three"), generation="2nd")]
    parcels = SingleFramer("ab12", "0.1", "key").frame(opened(blocks))
    messages = [parcel.message for parcel in parcels]
    assert [m.id for m in messages] == ["1st:5", "1st:6", "2nd:7"]
    assert [decode(m.body, m.content_type, m.id)[0].data for m in messages] == [b"one", b"two", b"three"]
    assert all(m.routing_key == "key" and m.content_type == SINGLE for m in messages)
    assert messages[0].headers == {"shoveler": "ab12", "shard": shard_of(A)}
    assert [(o.last, remote, n) for parcel in parcels for o, remote, n in parcel.parts] == [
        (6, A, 1),
        (6, B, 1),
        (7, A, 1),
    ]


def test_a_batch_is_of_one_shard_and_keeps_the_order():
    rows = [(remote, b"%d" % n) for n, remote in enumerate([A, B, A, C, B, A])]
    blocks = [block(1, *rows[:4], generation="1st"), block(5, *rows[4:], generation="2nd")]
    parcels = BatchFramer("ab12", "0.1").frame(opened(blocks))
    contents = {parcel.message.headers["shard"]: decode(parcel.message.body, BATCH, None) for parcel in parcels}
    assert set(contents) == {shard_of(A), shard_of(B)}
    assert shard_of(A) == shard_of(C), "the port plays no part"
    assert [(e.id, e.remote, e.data) for e in contents[shard_of(A)]] == [
        ("1st:1", A, b"0"), ("1st:3", A, b"2"), ("1st:4", C, b"3"), ("2nd:6", A, b"5"),
    ]  # fmt: skip
    assert [e.id for e in contents[shard_of(B)]] == ["1st:2", "2nd:5"]
    assert {p.message.id for p in parcels} == {"1st:1", "1st:2"}
    assert all(p.message.content_type == BATCH for p in parcels)
    assert sum(n for p in parcels for _, _, n in p.parts) == 6


def test_batches_have_a_size():
    blocks = [block(1, *[(A, b"x" * 1000)] * 100)]
    parcels = BatchFramer("s", "1", max_bytes=20_000).frame(opened(blocks))
    assert 5 <= len(parcels) <= 10
    assert max(len(p.message.body) for p in parcels) < 22_000
    ids = [json.loads(row)["id"] for p in parcels for row in p.message.body.split(b"\n")]
    assert ids == [f"s:{n}" for n in range(1, 101)]


def test_the_largest_batch_is_none_that_a_broker_refuses_for_ever():
    """RabbitMQ 4 takes messages up to 16 MiB. The smallest datagrams have the most around them."""
    largest = int(config.SCHEMA.setting("batch.max_bytes").maximum)  # type: ignore[arg-type]
    rows = [("[fd00:1111:2222:3333:4444:5555:6666:7777]:65535", b"")] * (largest // 60)
    framer = BatchFramer("0123456789abcdef", "10.10.10", max_bytes=largest)
    [parcel, *_] = framer.frame(opened([block(10**12, *rows, generation="0123456789abcdef")]))
    assert largest < len(parcel.message.body) < 16 * 2**20


# ---------------------------------------------------------------- ledger


def framed(*blocks):
    ledger = Ledger()
    parcels = SingleFramer("s", "1").frame([(b, ledger.open(b)) for b in blocks])
    ledger.sending(parcels)
    return ledger, parcels


def ok(*numbers):
    return [Outcome(f"s:{n}", "confirmed") for n in numbers]


def test_only_what_is_confirmed_without_a_gap_may_leave():
    ledger, parcels = framed(block(1, (A, b"1"), (A, b"2")), block(3, (A, b"3")), block(4, (A, b"4")))
    size = ledger.bytes
    assert size == sum(len(p.message.body) for p in parcels)
    assert ledger.settle(ok(2, 3)) == (False, [])
    assert ledger.confirmed_upto == 0
    assert ledger.settle(ok(1)) == (True, [])
    assert (ledger.confirmed_upto, ledger.confirmed_whole) == (3, 3)
    assert ledger.settle(ok(4))[0]
    assert (ledger.confirmed_upto, ledger.unsettled, ledger.bytes) == (4, 0, 0)


def test_what_failed_is_sent_again_in_the_old_order():
    ledger, _ = framed(block(1, *[(A, b"x")] * 5))
    _, failed = ledger.settle([*ok(1), Outcome("s:4", "refused", "full"), Outcome("s:2", "returned"), *ok(3)])
    assert [parcel.message.id for _, parcel in failed] == ["s:4", "s:2"]
    assert (ledger.unsettled, ledger.failed) == (1, 2)
    assert [p.message.id for p in ledger.again(all_unsettled=False)] == ["s:2", "s:4"]
    ledger, _ = framed(block(1, *[(A, b"x")] * 3))
    ledger.settle([Outcome("s:2", "refused")])
    again = ledger.again(all_unsettled=True)
    assert [p.message.id for p in again] == ["s:1", "s:2", "s:3"]
    size = ledger.bytes
    ledger.sending(again)
    assert ledger.bytes == size, "counted once, however often it is sent"


def test_an_outcome_of_a_connection_that_was_given_up_changes_nothing():
    ledger, _ = framed(block(1, (A, b"1")))
    assert ledger.settle(ok(7)) == (False, [])
    ledger.again(all_unsettled=True)
    assert ledger.settle(ok(1)) == (False, [])
    assert ledger.confirmed_upto == 0


# ---------------------------------------------------------------- the courier


class FlakyBus:
    """A bus in memory with faults dialled in. What it confirmed is in `kept`, in order."""

    def __init__(self):
        self.kept = []
        self.connects = []
        self.absent = None  # an exception: connecting raises it
        self.cut_after = None  # so many more messages are taken, then the connection breaks
        self.silent = False  # takes messages, confirms nothing
        self.answer = {}  # message id → outcome status, once
        self.everything = None  # status for all
        self.blocked = None
        self.window = 1000
        self.holds = 1 << 40  # bytes that it takes before it has no room
        self.token_changed = False
        self.waited = 0.0
        self.sent = 0

    def connect(self):
        if self.absent is not None:
            raise self.absent
        self.connects.append(Connection(self))
        return self.connects[-1]


class Connection:
    def __init__(self, bus):
        self.bus = bus
        self.waiting = []
        self.closed = False
        bus.token_changed = False

    @property
    def pending(self):
        return len(self.waiting)

    @property
    def room(self):
        full = self.bus.blocked or sum(len(message.body) for message in self.waiting) > self.bus.holds
        return 0 if full else self.bus.window - len(self.waiting)

    @property
    def blocked(self):
        return self.bus.blocked

    def token_changed(self):
        return self.bus.token_changed

    def send(self, messages):
        assert len(messages) <= self.room, "the courier would wait in send"
        for message in messages:
            if self.bus.cut_after is not None:
                if self.bus.cut_after == 0:
                    self.bus.cut_after = None
                    raise BusUnavailableError("the connection broke")
                self.bus.cut_after -= 1
            self.bus.sent += 1
            self.waiting.append(message)

    def outcomes(self, timeout):
        if self.bus.silent or not self.waiting:
            self.bus.waited += timeout
            return []
        messages, self.waiting = self.waiting, []
        found = []
        for message in messages:
            status = self.bus.answer.pop(message.id, None) or self.bus.everything or "confirmed"
            if status == "confirmed":
                self.bus.kept.append(message)
            found.append(Outcome(message.id, status, "reason"))  # type: ignore[arg-type]
        return found

    def close(self):
        self.closed = True


class Blocks:
    """What the courier sees of a spool."""

    def __init__(self):
        self.rows = []
        self.reads = []

    def put(self, *rows):
        self.rows.append(block(self.rows[-1].last + 1 if self.rows else 1, *rows))
        return self.rows[-1].last

    def blocks(self, after, limit):
        self.reads.append(after)
        found, size = [], 0
        for b in self.rows:
            if b.last > after and size < limit:
                found.append(b)
                size += sum(map(len, b.datagrams))
        return found


class Run:
    def __init__(self, framer=None, linger=0.0):
        self.now = 100.0
        self.bus, self.spool, self.health = FlakyBus(), Blocks(), Health()
        self.confirmed, self.returned = [], []
        self.courier = Courier(
            self.spool,  # type: ignore[arg-type]
            framer or SingleFramer("s", "1"),
            self.bus.connect,
            confirmed=self.confirmed.append,
            returned=self.returned.append,
            health=self.health,
            linger=linger,
            clock=lambda: self.now + self.bus.waited,
        )

    def put(self, *rows):
        self.courier.committed = self.spool.put(*rows)

    def steps(self, seconds=0.0):
        """Step for so many seconds, in leaps as long as it wants to rest."""
        until = self.now + self.bus.waited + seconds
        while True:
            rest = self.courier.step()
            if self.now + self.bus.waited + rest > until:
                return rest
            self.now += rest

    @property
    def kept(self):
        return [int(message.id.partition(":")[2]) for message in self.bus.kept]


def test_in_equals_out():
    run = Run()
    run.put(*[(A, b"x")] * 300)
    run.put(*[(B, b"x")] * 50)
    assert run.steps() == pytest.approx(1.0)
    assert run.kept == list(range(1, 351))
    assert run.confirmed[-1] == 350
    assert run.courier.done
    assert run.health.problems() == {}


def test_nothing_is_read_when_nothing_is_new():
    run = Run()
    run.put((A, b"x"))
    run.steps(10)
    assert run.spool.reads == [0]


def test_the_bus_is_away_at_first(caplog):
    run = Run()
    run.bus.absent = BusUnavailableError("cannot reach the broker")
    run.put((A, b"x"))
    caplog.set_level(logging.INFO, "shoveler.publisher")
    run.steps(300)
    assert run.health.problems() == {"bus": "cannot reach the broker"}
    assert not run.courier.connected
    assert 3 <= len(caplog.records) <= 6, "one line a minute, not one a try"
    run.bus.absent = None
    run.steps(60)
    assert run.kept == [1]
    assert run.health.problems() == {}
    caplog.clear()


def test_a_link_that_breaks_in_the_middle_loses_nothing():
    """Peer weakness G1: success reported for 300, delivered 100."""
    run = Run()
    run.put(*[(A, b"x")] * 300)
    run.bus.silent, run.bus.cut_after = True, 100
    run.steps(0.1)
    assert run.confirmed == []
    run.bus.silent = False
    run.steps(60)
    assert run.kept == list(range(1, 301))
    assert run.confirmed[-1] == 300
    assert run.courier.reconnects == 1
    assert [c.closed for c in run.bus.connects] == [True, False], "no connection is left behind (peer weakness G13)"


def test_no_outcome_no_confirmation():
    run = Run()
    run.bus.silent = True
    run.put(*[(A, b"x")] * 10)
    run.steps(100)
    assert run.confirmed == []
    assert not run.courier.done
    assert run.courier.ledger.unsettled == 10


def test_unroutable_datagrams_stay_and_are_counted(caplog):
    run = Run()
    run.bus.everything = "returned"
    run.put((A, b"1"), (B, b"2"), (A, b"3"))
    run.steps()
    assert run.returned == [{A: 2, B: 1}]
    assert run.confirmed == []
    told = "datagrams came back: reason; start the collector or bind its queue"
    assert run.health.problems() == {"bus": told}
    run.bus.everything = None
    run.steps(60)
    assert run.kept == [1, 2, 3]
    assert run.health.problems() == {}
    caplog.clear()


def test_a_full_queue_refuses_and_later_takes(caplog):
    run = Run()
    run.bus.answer = {"s:2": "refused", "s:3": "refused"}
    run.put(*[(A, b"x")] * 4)
    run.steps()
    assert (run.kept, run.confirmed) == ([1, 4], [])
    run.put((A, b"new"))
    run.steps(60)
    assert run.kept == [1, 4, 2, 3, 5], "what failed goes before anything newer"
    assert run.confirmed[-1] == 5
    assert run.courier.reconnects == 0
    caplog.clear()


def test_refusals_are_tried_again_ever_more_slowly(caplog):
    run = Run()
    run.bus.everything = "refused"
    run.put((A, b"x"))
    run.steps(300)
    assert 12 <= run.bus.sent <= 24
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) <= 6
    caplog.clear()


def test_a_refusal_of_the_bus_is_an_error_for_the_operator(caplog):
    run = Run()
    run.bus.absent = BusRefusedError("the broker refuses the password of 'shoveler'")
    run.put((A, b"x"))
    run.steps(10)
    assert run.health.problems() == {"bus": "the broker refuses the password of 'shoveler'"}
    assert {record.levelname for record in caplog.records} == {"ERROR"}
    caplog.clear()


def test_the_same_trouble_is_logged_once_a_minute_and_another_one_at_once(caplog):
    run = Run()
    run.put((A, b"x"))
    run.bus.absent = BusUnavailableError("nobody listens")
    run.steps(10)
    run.bus.absent = BusRefusedError("wrong token")
    run.steps(20)
    logged = [record.getMessage().partition(";")[0] for record in caplog.records]
    assert logged == ["! nobody listens", "! wrong token"]
    caplog.clear()


def test_a_new_token_is_taken_up_without_losing_or_doubling(caplog):
    """Peer weakness G2: a nil dereference within 10 s of a new token, under load."""
    run = Run()
    for n in range(50):
        run.put(*[(A, b"x")] * 20)
        run.bus.token_changed = n % 10 == 9
        run.bus.silent = n % 10 == 9
        run.steps()
        run.bus.silent = False
        run.now += 2.5
    run.steps(20)
    assert run.kept == list(range(1, 1001))
    assert len(run.bus.connects) == 6
    assert [c.closed for c in run.bus.connects] == [True] * 5 + [False]
    caplog.clear()


def test_a_token_file_that_is_gone_for_a_while_changes_nothing(tmp_path, caplog):
    """Peer weakness G25: a fatal exit when the token file is absent at one check."""
    (tmp_path / "token").write_text("first")
    run, file, looks = Run(), TokenFile(tmp_path / "token"), []

    def connect():
        file.read()
        connection = FlakyBus.connect(run.bus)
        connection.token_changed = lambda: looks.append(1) or file.changed()
        return connection

    run.courier.connect = connect
    run.put((A, b"x"))
    run.steps()
    (tmp_path / "token").unlink()
    before = len(looks)
    for _ in range(3):
        run.put((A, b"x"))
        run.steps(2.5)
    assert len(looks) >= before + 3
    assert len(run.bus.connects) == 1
    (tmp_path / "token").write_text("second\n")
    run.put((A, b"x"))
    run.steps(2.5)
    assert (len(run.bus.connects), run.kept) == (2, [1, 2, 3, 4, 5])
    caplog.clear()


def test_a_new_token_while_the_old_connection_hangs(caplog):
    """Peer weakness G12: the restart waits for ever for the worker that hangs."""
    run = Run()
    run.bus.silent = True
    run.put(*[(A, b"x")] * 10)
    run.steps()
    run.courier.rotate()
    for _ in range(100):
        run.courier.step()
        run.now += 0.1
    run.bus.silent = False
    run.steps(10)
    assert len(run.bus.connects) == 2
    assert run.kept == list(range(1, 11))
    caplog.clear()


def test_a_blocked_bus_is_waited_for(caplog):
    run = Run()
    run.put((A, b"x"))
    run.bus.blocked = "memory alarm"
    run.steps(5)
    assert run.health.problems() == {"bus": "memory alarm"}
    run.bus.blocked = None
    run.steps(5)
    assert run.kept == [1]
    assert run.health.problems() == {}
    caplog.clear()


def test_the_window_and_the_memory_are_bounded():
    run = Run()
    run.bus.silent = True
    for _ in range(400):
        run.put(*[(A, b"x" * 60_000)] * 10)
    run.steps(10)
    assert run.courier.ledger.bytes < UNSETTLED_BYTES + 2**20
    assert sum(len(p.message.body) for p in run.courier._waiting) < 2 * READ_BYTES
    run.bus.silent = False
    run.steps(100)
    assert run.kept == list(range(1, 4001))


def test_a_bus_that_stops_reading_is_sent_no_more_than_it_has_room_for():
    run = Run()
    run.bus.silent, run.bus.holds = True, 2**20
    for _ in range(40):
        run.put(*[(A, b"x" * 60_000)] * 10)
    run.steps(1)
    on_its_way = sum(len(message.body) for message in run.bus.connects[0].waiting)
    assert 2**20 < on_its_way < 2 * 2**20
    run.bus.silent = False
    run.steps(100)
    assert run.kept == list(range(1, 401))


def test_a_batch_waits_a_little_to_become_fuller():
    run = Run(BatchFramer("s", "1"), linger=0.1)
    run.put((A, b"1"))
    assert run.courier.step() == pytest.approx(0.1)
    run.now += 0.05
    run.put((A, b"2"))
    assert run.courier.step() == pytest.approx(0.05)
    run.now += 0.05
    run.steps(0.01)
    [message] = run.bus.kept
    assert [e.data for e in decode(message.body, BATCH, None)] == [b"1", b"2"]
    assert run.confirmed == [2]


def test_plenty_does_not_wait_and_neither_does_a_program_that_stops():
    run = Run(BatchFramer("s", "1"), linger=60)
    run.put(*[(A, b"x")] * 2000)
    run.steps()
    assert run.confirmed == [2000]
    run.put((A, b"y"))
    run.steps()
    assert run.confirmed == [2000]
    run.courier.flush()
    run.steps()
    assert run.confirmed[-1] == 2001
