import base64
import json
import socket
import subprocess
import time

import pytest

import shoveler.receiver as receiver_module
from shoveler import control
from shoveler.control import Committed, Confirm, Finished, Options, Returned, State, Stop
from shoveler.listeners import open_listener
from shoveler.receiver import Receiver
from shoveler.replay import Replay, identity
from shoveler.service import Address
from shoveler.spool.errors import SpoolFullError
from shoveler.spool.reader import SpoolReader
from shoveler.spool.values import Audit
from shoveler.spool.writer import Spool


def binary(body=b""):
    return b"f\x00" + (8 + len(body)).to_bytes(2, "big") + b"\x00\x00\x00\x01" + body


class Rig:
    """A receiver in this process, run by hand."""

    def __init__(self, path, *, sockets=1, options=None, reserve=0, receive_buffer=4 << 20, replay=None):
        self.path = path
        self.spool = Spool(path, reserve=reserve)
        self.reader = SpoolReader(path)
        self.listeners = [open_listener(Address("127.0.0.1", 0)) for _ in range(sockets)]
        for sock in self.listeners:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.main, self.end = control.socket_pair()
        self.senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for sender in self.senders:
            sender.bind(("127.0.0.1", 0))
        self.naps = []
        self.receiver = self.make(options or Options(), replay)

    def make(self, options, replay=None):
        return Receiver(self.spool, self.listeners, self.end, options, replay=replay, sleep=self.naps.append)

    def remote(self, sender=0):
        return f"127.0.0.1:{self.senders[sender].getsockname()[1]}"

    def send(self, *datagrams, sender=0, listener=0):
        for datagram in datagrams:
            self.senders[sender].sendto(datagram, self.listeners[listener].getsockname())

    def say(self, message):
        assert control.say(self.main, message)

    def heard(self, kind):
        return [message for message in control.heard_by_main(self.main) or [] if isinstance(message, kind)]

    def step(self, times=1):
        for _ in range(times):
            self.receiver.step(0.0)

    def until(self, condition, seconds=10.0):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not come to pass"
            self.receiver.step(0.01)

    def datagrams(self):
        return [datagram for block in self.reader.blocks(0, 1 << 30) for datagram in block.datagrams]

    def close(self):
        self.receiver.close()
        self.reader.close()
        self.spool.close()
        for sock in (*self.listeners, *self.senders, self.main, self.end):
            sock.close()


@pytest.fixture
def rig(tmp_path):
    rigs = []

    def make(**kwargs):
        path = tmp_path / str(len(rigs))
        path.mkdir()
        rigs.append(Rig(path, **kwargs))
        return rigs[-1]

    yield make
    for made in rigs:
        made.close()


def test_what_is_sent_is_in_the_spool_and_said(rig):
    r = rig()
    sent = [binary(b"%d" % n) for n in range(5)]
    r.send(*sent)
    r.step()
    assert r.datagrams() == sent
    assert r.heard(Committed)[-1] == Committed(5)
    assert r.reader.senders()[r.remote()].received == 5


def test_a_burst_becomes_blocks_of_256(rig):
    r = rig()
    r.send(*[binary(b"x" * 100)] * 1000)
    r.step()
    assert [len(block.datagrams) for block in r.reader.blocks(0, 1 << 30)] == [256, 256, 256, 232]


def test_large_datagrams_make_smaller_blocks(rig):
    r = rig(receive_buffer=32 << 20)
    r.send(*[binary(b"x" * 65_000)] * 100)
    r.step()
    blocks = r.reader.blocks(0, 1 << 30)
    assert sum(len(block.datagrams) for block in blocks) == 100
    assert max(sum(map(len, block.datagrams)) for block in blocks) < 6 << 20
    assert r.reader.senders()[r.remote()].oversize == 100


def test_it_naps_when_little_comes_and_not_when_much_does(rig):
    r = rig()
    r.send(binary())
    r.step()
    assert r.naps == [pytest.approx(0.02)], "the rest of 8 MiB, at the fastest that datagrams can come"
    r.send(*[binary()] * 500)
    r.step()
    r.send(*[binary()] * 500)
    r.step()
    assert len(r.naps) == 2
    small = rig(receive_buffer=50_000)
    small.send(binary())
    small.step()
    assert 0 < small.naps[0] < 0.001, "a small buffer does not last long"


def test_with_a_small_buffer_datagrams_wait_in_memory_for_company_but_not_for_long(rig, monkeypatch):
    monkeypatch.setattr(receiver_module, "_AGE", 1000.0)
    r = rig(receive_buffer=50_000)
    for n in range(5):
        r.send(binary(b"%d" % n))
        r.step()
    assert r.reader.audit().received == 0
    assert 900 < r.receiver._timeout() <= 1000
    r.receiver._commit_by = 0.0
    assert r.receiver._timeout() == 0
    r.step()
    assert [len(block.datagrams) for block in r.reader.blocks(0, 1 << 30)] == [5]
    for n in range(256):
        r.send(binary(b"%d" % n))
        r.step()
    assert r.reader.audit().received > 5 + 150, "a full block does not wait"


def test_what_waits_in_memory_grows_no_older_by_a_nap(rig):
    r = rig(receive_buffer=2 << 20)
    r.receiver._nap = 0.005  # with a smaller buffer than that of a whole 3 MiB, naps are shorter than `_AGE`
    r.send(binary(b"1"))
    r.step()
    assert r.reader.audit().received == 0
    r.receiver._commit_by = time.monotonic() + 0.001
    r.send(binary(b"2"))
    r.step()
    assert 0 <= r.naps[1] <= 0.001, "a datagram is committed at most 10 ms after it was read"


def test_several_sockets_and_senders(rig):
    r = rig(sockets=2)
    r.send(binary(b"1"), sender=0, listener=0)
    r.send(binary(b"2"), sender=1, listener=1)
    r.send(b"bad", sender=1, listener=0)
    r.step()
    senders = r.reader.senders()
    assert (senders[r.remote(0)].received, senders[r.remote(1)].received) == (1, 1)
    assert senders[r.remote(1)].rejected == {"short": 1}


def test_any_bytes_are_counted_and_do_no_harm(rig):
    r = rig()
    odd = [b"", b"\x00", b"f" * 7, b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 1000, binary(b"ok"), bytes(65507)]
    r.send(*odd)
    r.step()
    assert r.datagrams() == [binary(b"ok")]
    r.until(lambda: r.reader.totals()[0].rejected == 6)
    assert r.reader.senders()[r.remote()].rejected == {"empty": 1, "short": 2, "length": 3}


def test_confirmed_datagrams_are_removed_soon_without_traffic(rig):
    r = rig()
    r.send(binary(), binary())
    r.step()
    r.say(Confirm(2))
    r.until(lambda: r.reader.audit() == Audit(2, 2, 0))


def test_confirmed_datagrams_are_removed_with_the_next_block(rig):
    r = rig()
    r.send(binary())
    r.step()
    r.say(Confirm(1))
    r.send(binary())
    r.step()
    assert r.reader.audit() == Audit(2, 1, 1)


def test_returned_datagrams_are_counted(rig):
    r = rig()
    r.send(binary())
    r.step()
    r.say(Returned({r.remote(): 3}))
    r.until(lambda: r.reader.senders()[r.remote()].returned == 3)


def test_what_the_kernel_dropped_is_counted(rig):
    r = rig(receive_buffer=4096)
    r.send(*[binary(b"x" * 900)] * 100)
    r.until(lambda: r.reader.totals()[0].kernel_drops > 0)
    totals, _ = r.reader.totals()
    assert totals.received + totals.kernel_drops == 100
    [drop] = r.reader.drops()
    assert (drop.listen, drop.count) == ("{}:{}".format(*r.listeners[0].getsockname()), totals.kernel_drops)
    assert drop.t_from == 0.0, "somebody else made the socket, and nobody had looked at it"
    # The socket lives on (its supervisor holds it), the receiver is a new one.
    again = r.make(Options())
    r.receiver = again
    r.send(*[binary(b"x" * 900)] * 100)
    before = totals.kernel_drops
    again._beat = 0.0
    r.until(lambda: r.reader.totals()[0].kernel_drops > before)
    totals, _ = r.reader.totals()
    assert totals.received + totals.kernel_drops == 200
    first, second = r.reader.drops()
    assert (first, second.count) == (drop, totals.kernel_drops - drop.count), "each is told once"
    assert first.t_to <= second.t_from < second.t_to <= time.time()


def test_datagrams_whose_fragments_are_lost_are_counted_from_the_first_start_on(rig, monkeypatch):
    failures = [40]
    monkeypatch.setattr(receiver_module, "reassembly_failures", lambda: failures[0])
    monkeypatch.setattr(receiver_module, "reassembly_wait", lambda: 30.0)
    r = rig()
    r.send(binary())
    r.step()
    assert r.reader.fragments() == []
    failures[0] = 43
    before = time.time()
    r.receiver._beat = 0.0
    r.until(r.reader.fragments)
    [lost] = r.reader.fragments()
    assert (lost.listen, lost.count) == ("", 3)
    assert lost.t_from < before - 29 < before <= lost.t_to
    failures[0] = 44  # while no receiver runs
    r.receiver = r.make(Options())
    r.until(lambda: len(r.reader.fragments()) == 2)
    assert [one.count for one in r.reader.fragments()] == [3, 1]


def test_what_is_not_taken_is_told_with_its_time(rig):
    r = rig()
    before = time.time()
    r.send(b"bad", b"bad", binary())
    r.until(lambda: r.reader.refusals())
    [refusal] = r.reader.refusals()
    assert (refusal.sender, refusal.reason, refusal.count) == (r.remote(), "short", 2)
    assert before <= refusal.t_from <= refusal.t_to <= time.time()


def test_at_the_cap_new_datagrams_are_counted_and_the_old_stay(rig, caplog):
    r = rig(options=Options(max_bytes=100_000))
    r.send(*[binary(b"x" * 900)] * 300)
    r.step()
    r.until(lambda: r.reader.totals()[0].rejected > 0)
    totals, size = r.reader.totals()
    assert totals.received + totals.rejected == 300
    assert 100_000 <= size < 200_000
    assert r.reader.senders()[r.remote()].rejected == {"spool_full": totals.rejected}
    assert len(caplog.records) == 1, "loud, but once"
    assert "spool.max_bytes" in caplog.text
    assert "maximum" in r.heard(State)[-1].problem
    r.say(Confirm(totals.received))
    r.until(lambda: r.reader.audit().spooled == 0)
    r.send(binary())
    r.until(lambda: r.reader.audit().received == totals.received + 1)
    caplog.clear()


def test_options_change_while_it_runs(rig):
    r = rig()
    r.send(b"bad")
    r.step()
    r.say(Options(verify=False, ip_map={"all": "10.0.0.1"}))
    r.step()
    r.send(b"bad")
    r.step()
    assert r.datagrams() == [b"bad"]
    [remote] = [name for name, sender in r.reader.senders().items() if sender.received]
    assert remote.startswith("10.0.0.1:")


def test_the_form_of_its_log_lines_changes_while_it_runs(rig, monkeypatch):
    forms = []
    monkeypatch.setattr(receiver_module, "setup_logging", lambda *form: forms.append(form))
    r = rig()
    r.say(Options(verify=False))
    r.say(Options(log_format="json", log_level="debug"))
    r.step()
    assert forms == [("json", "debug")]


def test_forwarding_sends_envelopes_to_who_wants_them_as_the_osg_shoveler_does(rig):
    with open_listener(Address("127.0.0.1", 0)) as target:
        target.settimeout(5)
        options = Options(forward=[target.getsockname()[:2]], forward_envelopes=True, version="1.2")
        r = rig(options=options)
        r.send(binary(b"1"))
        r.step()
        envelope = json.loads(target.recv(1000))
    assert (envelope["version"], base64.b64decode(envelope["data"])) == ("1.2", binary(b"1"))
    assert envelope["remote"].startswith("127.0.0.1:")


def test_forwarding_sends_the_datagram_itself(rig, caplog):
    """Peer weakness G22: the JSON envelope is forwarded instead."""
    with open_listener(Address("127.0.0.1", 0)) as four, open_listener(Address("::1", 0)) as six:
        targets = [four.getsockname()[:2], six.getsockname()[:2], ("127.0.0.1", 0)]
        r = rig(options=Options(forward=targets))
        r.send(binary(b"1"), b"not one of ours", binary(b"2"))
        r.step()
        for target in (four, six):
            target.settimeout(5)
            assert [target.recv(100), target.recv(100)] == [binary(b"1"), binary(b"2")]
    assert r.receiver._forward_failed == 2, "port 0 cannot be sent to"
    assert r.datagrams() == [binary(b"1"), binary(b"2")]
    assert "cannot forward to 127.0.0.1:0" in caplog.text
    caplog.clear()


def test_stopping_takes_what_waits_and_nothing_more(rig):
    r = rig()
    r.send(*[binary()] * 700)
    r.say(Stop())
    r.step(2)
    assert r.heard(Finished) == [Finished(700)]
    r.send(binary())
    r.step(3)
    assert r.reader.audit().received == 700
    r.say(Confirm(700))
    r.step(2)
    assert r.reader.audit() == Audit(700, 700, 0), "confirmed datagrams are still removed"


def test_that_it_has_finished_is_said_until_it_is_heard(rig):
    """The main process may be busy for long, as while it connects: its end of the control socket is then full."""
    r = rig()
    while control.say(r.end, Committed(0)):
        pass
    r.say(Stop())
    r.step(2)
    assert r.heard(Finished) == []
    r.until(lambda: r.heard(Finished))


def test_when_main_is_gone_everything_read_is_made_safe(rig):
    r = rig()
    r.send(*[binary()] * 10)
    r.say(Confirm(0))
    r.main.close()
    r.receiver.run()
    assert r.reader.audit().received in (0, 10)
    assert r.reader.audit().exact


# ---------------------------------------------------------------- the disk is full


class FullDisk:
    """A spool whose disk is full for a while: commits fail as they do then, all else is real."""

    def __init__(self, spool):
        self.real = spool.commit
        self.spool = spool
        self.full = False
        self.fits = False
        spool.commit = self.commit
        spool.fits = lambda size: self.fits
        spool.loosen = self.loosen

    def commit(self, draft, books):
        if self.full and (draft is not None or not self.spool.tight) and not self.fits:
            raise SpoolFullError("cannot write the spool: database or disk is full")
        self.real(draft, books)

    def loosen(self):
        self.spool._room.tight = self.full
        return not self.full


def test_a_full_disk_is_bridged_by_memory_then_counted_then_over(rig, caplog, monkeypatch):
    monkeypatch.setattr(receiver_module, "HELD_MAX", 1 << 20)
    monkeypatch.setattr(receiver_module, "_STRUGGLE", 0.0)
    r = rig(receive_buffer=32 << 20)
    r.send(*[binary(b"x" * 992)] * 100)
    r.step()
    disk = FullDisk(r.spool)
    disk.full = True
    r.send(*[binary(b"y" * 992)] * 3000)
    r.step()
    held = r.receiver._held_bytes
    assert 1 << 20 <= held < 1.5 * (1 << 20), "memory is bounded"
    r.until(lambda: r.reader.totals()[0].rejected > 0)
    totals, _ = r.reader.totals()
    assert totals.rejected == 3000 - held // 1000, "the books are still written"
    assert r.reader.senders()[r.remote()].rejected == {"disk_full": totals.rejected}
    assert (totals.received, r.reader.audit()) == (100, Audit(100, 0, 100))
    r.receiver._beat = 0.0
    r.step()
    assert "disk is full" in r.heard(State)[-1].problem
    r.say(Confirm(100))
    r.until(lambda: r.reader.audit().spooled == 0)
    disk.fits = True  # publishing made room
    r.until(lambda: r.reader.audit().received == 100 + held // 1000)
    disk.full = False
    r.until(lambda: not r.spool.tight)
    r.send(binary())
    r.until(lambda: r.reader.audit().received == 101 + held // 1000)
    r.receiver._beat = 0.0
    r.step()
    assert r.heard(State)[-1].problem == ""
    levels = [record.levelname for record in caplog.records]
    assert levels.count("ERROR") == 1
    assert "= the spool accepts datagrams again" in caplog.text
    caplog.clear()


def test_stopping_on_a_full_disk_says_what_is_lost(rig, caplog):
    r = rig()
    disk = FullDisk(r.spool)
    disk.full = True
    r.send(*[binary(b"y" * 92)] * 10)
    r.step()
    r.say(Stop())
    r.step(2)
    assert r.heard(Finished) == [Finished(0)]
    assert "1000 bytes of datagrams in memory are lost by stopping" in caplog.text
    caplog.clear()


# ---------------------------------------------------------------- a capture as input


def capture(path, number):
    lines = [
        json.dumps({"t": n, "remote": "192.0.2.7:1", "data": base64.b64encode(binary(b"%d" % n)).decode()})
        for n in range(number)
    ]
    path.write_text("\n".join([*lines, '{"t": 1}', '{"t": 1, "remote": "192.0.2.7:1", "data": "eA=="}']) + "\n")
    return str(path)


def test_a_capture_is_taken_whole_then_it_is_finished(rig, tmp_path):
    name = capture(tmp_path / "c.jsonl", 1000)
    r = rig(sockets=0, replay=Replay(name))
    r.until(lambda: r.heard(Finished))
    assert r.datagrams() == [binary(b"%d" % n) for n in range(1000)]
    senders = r.reader.senders()
    assert senders["192.0.2.7:1"].rejected == {"short": 1}, "a capture passes the same header check"
    assert senders["file"].rejected == {"no_remote": 1}
    assert r.spool.position(identity(name)) > 1000


def test_a_capture_waits_for_room_and_nothing_of_it_is_dropped(rig, tmp_path):
    """Peer weakness G6, at the other end: the file is faster than the bus."""
    r = rig(sockets=0, replay=Replay(capture(tmp_path / "c.jsonl", 5000)), options=Options(max_bytes=20_000))
    confirmed = 0
    deadline = time.monotonic() + 30
    while confirmed < 5000 and time.monotonic() < deadline:
        r.step()
        assert r.reader.totals()[1] < 40_000
        taken = r.reader.totals()[0].received
        if taken > confirmed:
            r.say(Confirm(taken))
            confirmed = taken
            r.receiver._books_since = 0.0
    assert confirmed == 5000
    assert "spool_full" not in r.reader.senders()["192.0.2.7:1"].rejected


def test_a_capture_is_not_finished_before_the_disk_has_all_of_it(rig, tmp_path, monkeypatch, caplog):
    r = rig(sockets=0, replay=Replay(capture(tmp_path / "c.jsonl", 1000)))
    commit = r.spool.commit

    def full(draft, books):
        if draft is not None:
            raise SpoolFullError("cannot use the spool for now: disk is full")
        commit(draft, books)

    monkeypatch.setattr(r.spool, "commit", full)
    r.step(20)
    assert r.heard(Finished) == []
    monkeypatch.setattr(r.spool, "commit", commit)
    r.until(lambda: r.heard(Finished))
    assert r.datagrams() == [binary(b"%d" % n) for n in range(1000)]
    caplog.clear()


def test_a_receiver_whose_main_died_while_it_started_goes_quietly(tmp_path):
    listener = open_listener(Address("127.0.0.1", 0))
    main, end = control.socket_pair()
    main.close()
    with listener, end:
        task = receiver_module.Task(
            spool=str(tmp_path), control=end.fileno(), sockets=[listener.fileno()], reserve=0, options=Options()
        )
        done = subprocess.run(
            receiver_module.command(task), pass_fds=(end.fileno(), listener.fileno()), capture_output=True, timeout=30
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
