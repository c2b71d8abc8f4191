"""The whole daemon, from the socket to the broker."""

import base64
import gzip
import importlib.metadata
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
import zlib
from pathlib import Path

import pika
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from shoveler_harness import Queue, Supervisor, binary, eventually, number_of

from shoveler import config, control
from shoveler import daemon as daemon_module
from shoveler.bus import BusUnavailableError, Outgoing, open_consumer, open_publisher, open_topology, parse_bus_address
from shoveler.daemon import Daemon, ReceiverProcess, StatusSender
from shoveler.listeners import open_listener
from shoveler.receiver import Task
from shoveler.service import ASK, Address, Health, Position, ShovelerStatus, Signals, decode_status
from shoveler.spool.reader import SpoolReader
from shoveler.spool.writer import Spool
from tests.ports import free_port
from tests.promises import within

pytestmark = pytest.mark.broker
NOWHERE = "amqp://guest:guest@127.0.0.1:1/"


@pytest.fixture
def queue(broker):
    made = Queue(broker.url, f"shoveler-{uuid.uuid4().hex[:8]}")
    yield made
    made.delete()


@pytest.fixture
def start(tmp_path):
    started = []

    def make(bus, *options, **kwargs):
        directory = tmp_path / str(len(started))
        directory.mkdir()
        options = (*options, "--status-exchange", "") if "--status-exchange" not in options else options
        started.append(Supervisor(directory, bus, *options, **kwargs))
        return started[-1].start()

    yield make
    for supervisor in started:
        supervisor.close()


def send(supervisor, *datagrams, source=None):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source or "127.0.0.1", 0))
        for datagram in datagrams:
            sock.sendto(datagram, supervisor.target)
        return "{}:{}".format(*sock.getsockname())


@pytest.fixture(params=["broker", "directory"])
def bus(request, tmp_path):
    """A queue on either bus."""
    url = request.getfixturevalue("broker").url if request.param == "broker" else str(tmp_path / "bus")
    made = Queue(url, f"shoveler-{uuid.uuid4().hex[:8]}")
    yield made
    made.delete()


@pytest.mark.parametrize("framing", ["single", "batch"])
def test_in_equals_out_in_order(bus, start, framing):
    queue = bus
    shoveler = start(queue.publish, "--bus-exchange", queue.name, "--framing", framing).ready()
    sent = [binary(n) for n in range(1000)]
    remote = send(shoveler, *sent[:500], b"not one of ours")
    send(shoveler, *sent[500:])
    got = queue.take(1000)
    assert [e.data for e in got] == sent
    spool = got[0].id.partition(":")[0]
    assert [e.id for e in got] == [f"{spool}:{n}" for n in range(1, 1001)]
    assert got[0].remote == remote
    assert got[0].version == "0.1.0"
    eventually(lambda: shoveler.audit().confirmed == 1000)
    eventually(lambda: shoveler.metric("shoveler_confirmed_total") == 1000)
    assert shoveler.metric("shoveler_packets_received") == 1001
    assert shoveler.metric("shoveler_validations_failed") == 1
    assert shoveler.metric("shoveler_queue_size") == 0
    assert shoveler.health()["ok"] is True
    code, seconds = shoveler.stop()
    assert (code, shoveler.audit().exact) == (0, True)
    assert seconds < within(10)
    assert queue.rest() == [], "nothing twice"


def test_messages_are_persistent_mandatory_and_have_the_headers(queue, start):
    shoveler = start(queue.publish, "--bus-routing-key", "some.key").ready()
    send(shoveler, binary(1))
    consumer = open_consumer(parse_bus_address(queue.url), exchange=queue.name, queue=queue.name, reader="test")
    [message] = eventually(lambda: consumer.take(1, 0.5))
    consumer.close()
    assert message.routing_key == "some.key"
    reader = SpoolReader(shoveler.spool)
    assert message.headers == {"shoveler": reader.id, "shard": zlib.crc32(b"127.0.0.1") % 256}
    assert message.id == f"{reader.generations()[0].word}:1"
    reader.close()
    assert json.loads(message.body)["remote"].startswith("127.0.0.1:")


def test_a_message_has_the_form_of_the_osg_shoveler(broker, queue, start):
    """Field by field as the broker has it: read with a plain client, by nothing of ours."""
    six = free_port(socket.SOCK_DGRAM, "::1")
    shoveler = start(queue.publish, "--listen", f"[::1]:{six}", held=False).ready()
    sent = [binary(1), binary(2)]
    remotes = [send(shoveler, sent[0])]
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.sendto(sent[1], ("::1", six))
        remotes.append(f"[::1]:{sock.getsockname()[1]}")
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    channel = connection.channel()
    got = []

    def both():
        method, properties, body = channel.basic_get(queue.name, auto_ack=True)
        if method is not None:
            got.append((method, properties, body))
        return len(got) == 2

    eventually(both)
    connection.close()
    reader = SpoolReader(shoveler.spool)
    spool, [generation] = reader.id, reader.generations()
    reader.close()
    got.sort(key=lambda message: json.loads(message[2])["remote"].startswith("["))
    for (method, properties, body), datagram, remote in zip(got, sent, remotes, strict=True):
        assert (method.exchange, method.routing_key) == (queue.name, "")
        data = base64.b64encode(datagram).decode()
        assert json.loads(body, object_pairs_hook=list) == [
            ("remote", remote), ("version", importlib.metadata.version("xrootd-tally")), ("data", data),
        ]  # fmt: skip
        word, _, number = properties.message_id.partition(":")
        assert (word, number in ("1", "2")) == (generation.word, True)
        shard = zlib.crc32(remote.rpartition(":")[0].strip("[]").encode()) % 256
        assert (properties.delivery_mode, properties.content_type) == (2, "application/json")
        assert properties.headers == {"shoveler": spool, "shard": shard}
    assert spool != generation.word


def test_the_broker_comes_later(broker, start):
    name = f"shoveler-{uuid.uuid4().hex[:8]}"
    shoveler = start(NOWHERE).ready()
    send(shoveler, *[binary(n) for n in range(100)])
    eventually(lambda: shoveler.audit().spooled == 100)
    eventually(lambda: "127.0.0.1:1" in shoveler.health()["problems"]["bus"])
    code, seconds = shoveler.stop()
    assert code == 0
    assert seconds < within(10), "a broker that is not there is not waited for"
    queue = Queue(broker.url, name)
    shoveler.command[shoveler.command.index(NOWHERE)] = queue.publish
    shoveler.start().ready()
    assert [number_of(e.data) for e in queue.take(100)] == list(range(100))
    queue.delete()


def test_nobody_is_bound_yet(broker, start):
    """Peer weakness G1: no queue bound, 0 errors, 0 recoverable."""
    queue = Queue(broker.url, f"shoveler-{uuid.uuid4().hex[:8]}", bind=False)
    shoveler = start(queue.publish).ready()
    send(shoveler, *[binary(n) for n in range(10)])
    eventually(lambda: "no queue is bound" in shoveler.health()["problems"].get("bus", ""))
    eventually(lambda: shoveler.metric("shoveler_returned_total") >= 10)
    assert shoveler.audit().spooled == 10
    queue.bind()
    got = queue.take(10, 60)
    assert sorted(number_of(e.data) for e in got) == list(range(10))
    eventually(lambda: shoveler.health()["ok"])
    queue.delete()


def test_the_exchange_and_its_type_may_be_somebody_elses(broker, start):
    """A missing exchange is made; one that exists, of any type, is used (peer weakness G1: 48 of 50 lost silently)."""
    name = f"shoveler-{uuid.uuid4().hex[:8]}"
    shoveler = start(f"{broker.url}?exchange={name}").ready()
    send(shoveler, binary(1))
    eventually(lambda: "no queue is bound" in shoveler.health()["problems"].get("bus", ""))
    queue = Queue(broker.url, name)
    assert len(queue.take(1, 60)) == 1
    queue.delete()


def test_status_messages(broker, start):
    exchange = f"status-{uuid.uuid4().hex[:8]}"
    topology = open_topology(parse_bus_address(broker.url))
    topology.declare_exchange(exchange)
    topology.declare_queue(exchange, exchange=exchange)
    queue = Queue(broker.url, f"shoveler-{uuid.uuid4().hex[:8]}")
    shoveler = start(queue.publish, "--status-exchange", exchange, "--status-interval", "1s").ready()
    remote = send(shoveler, binary(1), binary(2), b"bad", binary(3, 1473))
    consumer = open_consumer(parse_bus_address(broker.url), exchange=exchange, queue=exchange, reader="test")

    def done():
        for message in consumer.take(10, 0.2):
            status = decode_status(message.routing_key, message.body)
            if status.senders and status.senders[remote].confirmed == 3:
                return status
        return None

    status = eventually(done)
    assert isinstance(status, ShovelerStatus)
    sender = status.senders[remote]
    assert (sender.received, sender.spooled, sender.oversize, sender.bytes) == (3, 0, 1, 1673)
    assert (sender.rejected, sender.by_code) == ({"short": 1}, {"f": 3})
    assert status.host == socket.gethostname()
    started = status.started
    send(shoveler, binary(4))
    eventually(lambda: shoveler.audit().confirmed == 4)
    shoveler.stop()
    last = None
    while messages := consumer.take(100, 0.5):
        last = decode_status(messages[-1].routing_key, messages[-1].body)
    assert sum(s.confirmed for s in last.senders.values()) == 4, "the last word, at drain, has all"  # type: ignore[misc]
    assert last.started == started
    consumer.close()
    topology.delete_queue(exchange, exchange=exchange)
    topology.delete_exchange(exchange)
    topology.close()
    queue.delete()


def test_who_asks_for_the_status_gets_it_at_once(tmp_path, start):
    """And positions in it, by generation: a receiver that was killed goes on in another one."""
    url = str(tmp_path / "bus")
    queue = Queue(url, "shoveled-xrd")
    topology = open_topology(parse_bus_address(url))
    topology.declare_exchange("tally-status")
    topology.declare_queue("statuses", exchange="tally-status", binding="shoveler.#")
    statuses = open_consumer(parse_bus_address(url), exchange="tally-status", queue="statuses", reader="test")
    hub = open_publisher(parse_bus_address(url), exchange="tally-status", writer="hub")

    def take():
        messages = statuses.take(1, 20.0)
        statuses.acknowledge(messages[0].delivery)
        return decode_status(messages[0].routing_key, messages[0].body)

    shoveler = start(url, "--status-exchange", "tally-status", "--status-interval", "1h").ready()
    first = take()  # the one at the beginning
    assert first.positions == {}
    send(shoveler, binary(1), binary(2))
    eventually(lambda: shoveler.audit().confirmed == 2)
    shoveler.receiver().kill()
    eventually(lambda: "restarting the receiver" in shoveler.said())
    send(shoveler, binary(3))
    eventually(lambda: shoveler.audit().confirmed == 3)
    eventually(lambda: hub.send([Outgoing(b"{}", "1", ASK)]) or hub.outcomes(0.0)[0].status == "confirmed")
    answer = take()
    assert (answer.id, len(answer.positions)) == (first.id, 2)
    assert list(answer.positions.values()) == [
        Position(first=1, received_upto=2, confirmed_upto=2),
        Position(first=3, received_upto=3, confirmed_upto=3),
    ]
    ids = [envelope.id.split(":")[0] for envelope in queue.take(3)]
    assert list(dict.fromkeys(ids)) == list(answer.positions)
    for opened in (statuses, hub, topology):
        opened.close()


class Line:
    """A publisher of status messages whose other end can go away, or silent."""

    def __init__(self):
        self.room, self.sent, self.looks, self.new_token, self.closed = 10, 0, 0, False, False
        self.broken = None

    def send(self, messages):
        self.sent += len(messages)

    def outcomes(self, timeout):
        self.looks += 1
        if self.broken is not None:
            raise self.broken
        return []

    def token_changed(self):
        return self.new_token

    def close(self):
        self.closed = True


def test_the_connection_for_status_messages_is_kept_alive_between_them(tmp_path, monkeypatch, caplog):
    """A broker hangs up on who is silent for twice the heartbeat; `status.interval` may be longer than that."""
    lines = []
    monkeypatch.setattr(daemon_module, "open_publisher", lambda *_, **__: lines.append(Line()) or lines[-1])
    with Spool(tmp_path, reserve=0):
        reader = SpoolReader(tmp_path)
        settings = config.SCHEMA.load(None, {}).replace(status__interval="1h")
        sender = StatusSender(settings, reader, "1")
        for second in range(100):
            sender.beat(1000.0 + second, Health(), connected=True)
        assert (len(lines), lines[0].sent) == (1, 1)
        assert lines[0].looks >= 100
        lines[0].new_token = True
        sender.beat(1100.0, Health(), connected=True)
        assert lines[0].closed
        sender.send(Health())
        lines[1].room = 0
        sender.send(Health())
        assert lines[1].sent == 1, "a broker that reads nothing is not waited for"
        lines[1].broken = BusUnavailableError("gone")
        sender.beat(1101.0, Health(), connected=True)
        assert lines[1].closed
        assert "no status messages for now: gone" in caplog.text
        caplog.clear()
        reader.close()


def test_stopping_empties_socket_and_spool(queue, start):
    shoveler = start(queue.publish).ready()
    send(shoveler, *[binary(n) for n in range(3000)])
    code, seconds = shoveler.stop()
    assert (code, seconds < within(10)) == (0, True)
    assert [number_of(e.data) for e in queue.take(3000)] == list(range(3000))
    assert shoveler.audit() == (3000, 3000, 0)


def test_a_second_shoveler_on_one_spool_is_refused(start, tmp_path):
    first = start(NOWHERE).ready()
    second = start(NOWHERE)
    second.command[second.command.index(str(second.spool))] = str(first.spool)
    second.close()
    second.held = False
    second.command += ["--listen", "127.0.0.1:0"]
    second.start()
    assert second.process.wait(60) == 1
    assert f"another tally-shoveler (process {first.process.pid}) uses the spool {first.spool}" in second.said()
    assert "Traceback" not in second.said()
    send(first, binary(1))
    eventually(lambda: first.audit().spooled == 1)


def test_an_address_in_use_is_one_sentence(start):
    first = start(NOWHERE, held=False).ready()
    second = start(NOWHERE, "--listen", f"127.0.0.1:{first.target[1]}", held=False)
    assert second.process.wait(60) == 1
    assert f"! cannot listen on 127.0.0.1:{first.target[1]}: Address already in use; another" in second.said()
    assert "Traceback" not in second.said()


def test_the_receiver_is_started_again(queue, start):
    shoveler = start(queue.publish).ready()
    send(shoveler, *[binary(n) for n in range(10)])
    assert len(queue.take(10)) == 10
    shoveler.receiver().kill()
    eventually(lambda: "restarting the receiver" in shoveler.said())
    send(shoveler, *[binary(n) for n in range(10, 20)])
    assert [number_of(e.data) for e in queue.take(10)] == list(range(10, 20))
    eventually(lambda: shoveler.health()["ok"])


def test_sighup_reads_the_settings_again(queue, start, tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("verify = true\n")
    shoveler = start(queue.publish, "-c", str(file)).ready()
    with open_listener(Address("127.0.0.1", 0)) as target:
        target.settimeout(10)
        file.write_text(
            'verify = false\nlisten = ["127.0.0.1:5"]\n'
            f'forward = ["127.0.0.1:{target.getsockname()[1]}"]\n[map]\nall = "10.0.0.1"\n[log]\nlevel = "debug"\n'
        )
        shoveler.process.send_signal(1)
        eventually(lambda: "settings changed: verify, forward" in shoveler.said())
        assert "these settings need a restart to change: listen" in shoveler.said()
        send(shoveler, b"anything")
        assert target.recv(100) == b"anything"
    [envelope] = queue.take(1)
    assert envelope.data == b"anything"
    assert envelope.remote.startswith("10.0.0.1:")
    file.write_text("verfy = true\n")
    shoveler.process.send_signal(1)
    eventually(lambda: "unknown setting 'verfy'; did you mean 'verify'?" in shoveler.said())
    file.write_text(file.read_text().replace("verfy", "verify"))
    shoveler.process.send_signal(1)
    eventually(lambda: shoveler.said().count("settings changed: verify, forward, log.level, map") == 2)
    shoveler.process.send_signal(1)
    eventually(lambda: "settings reloaded: nothing has changed" in shoveler.said())
    assert shoveler.process.poll() is None


def test_no_secret_in_any_log_line(queue, start):
    """Peer weakness G26."""
    shoveler = start(queue.publish, "--log-level", "debug").ready()
    send(shoveler, binary(1))
    queue.take(1)
    shoveler.stop()
    password = parse_bus_address(queue.url).password
    assert len(password) > 10
    assert password not in shoveler.said()
    assert "amqp://" in shoveler.said()


def lines(*numbers):
    rows = [{"t": 1.0 * n, "remote": "192.0.2.7:1", "data": base64.b64encode(binary(n)).decode()} for n in numbers]
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_a_capture_goes_through_whole_and_the_program_ends(queue, start, tmp_path):
    capture = tmp_path / "c.jsonl"
    capture.write_text(lines(*range(3000)) + '{"t": 1, "data": "eA=="}\n')
    shoveler = start(queue.publish, "--from", f"file:{capture}", "--framing", "batch", held=False)
    assert shoveler.process.wait(60) == 0
    assert [number_of(e.data) for e in queue.take(3000)] == list(range(3000))
    assert shoveler.audit() == (3000, 3000, 0)
    with capture.open("a") as file:
        file.write(lines(3000))
    shoveler.start()
    assert shoveler.process.wait(60) == 0
    assert [number_of(e.data) for e in queue.rest()] == [3000], "what was taken before is not taken again"
    shoveler.command.append("--again")
    shoveler.start()
    assert shoveler.process.wait(60) == 0
    assert len(queue.take(3001)) == 3001


def test_a_capture_that_is_finished_before_anybody_listens(queue, start, tmp_path):
    """The receiver says that it has opened the spool, what it took and that this was all; main hears it all at once."""
    capture = tmp_path / "c.jsonl"
    capture.write_text(lines(0))
    shoveler = start(queue.publish, "--from", f"file:{capture}", held=False)
    eventually(shoveler.receiver)
    shoveler.process.send_signal(signal.SIGSTOP)
    try:
        eventually(lambda: shoveler.totals() and shoveler.totals().received)
    finally:
        shoveler.process.send_signal(signal.SIGCONT)
    assert shoveler.process.wait(60) == 0
    assert shoveler.audit() == (1, 1, 0)


def test_what_was_taken_of_a_capture_that_breaks_off_is_published(queue, start, tmp_path):
    capture = tmp_path / "c.jsonl.gz"
    capture.write_bytes(gzip.compress(lines(*range(1000)).encode())[:-4])
    shoveler = start(queue.publish, "--from", f"file:{capture}", held=False)
    assert shoveler.process.wait(60) == 1
    assert [number_of(e.data) for e in queue.take(1000)] == list(range(1000))
    assert shoveler.audit() == (1000, 1000, 0)
    assert f"the capture {capture} cannot be read further: " in shoveler.said()


def test_what_comes_behind_the_first_word_of_the_receiver_is_not_lost():
    daemon = Daemon(config.SCHEMA.load(None, {}), lambda: None, Signals(), None)  # type: ignore[arg-type, return-value]
    daemon._receiver = ReceiverProcess(Task(spool="", control=-1, options=control.Options()), [], None)  # type: ignore[arg-type]
    daemon._receiver.control, theirs = control.socket_pair()
    with daemon._receiver.control, theirs:
        said = [control.Opened("id", 3), control.Committed(4), control.Finished(4)]
        for message in said:
            assert control.say(theirs, message)  # type: ignore[arg-type]
        assert daemon._await_opened() == (said[0], said[1:])
        daemon._signals.stop()
        before = time.monotonic()
        assert daemon._await_opened() is None, "SIGTERM is heard while the spool is being opened"
        assert time.monotonic() - before < within(20)
    daemon._signals.close()


def test_sighup_is_heard_while_a_finished_capture_waits_for_the_bus(queue, start, tmp_path):
    capture, file = tmp_path / "c.jsonl", tmp_path / "settings.toml"
    capture.write_text(lines(0, 1))
    file.write_text(f'[bus]\nurl = "{NOWHERE}"\n')
    shoveler = start(NOWHERE, "--from", f"file:{capture}", "-c", str(file), held=False)
    shoveler.close()  # the settings are to come from the file, and not from the command line
    at = shoveler.command.index("--bus")
    del shoveler.command[at : at + 2]
    shoveler.start().ready()
    eventually(lambda: shoveler.totals() and shoveler.totals().received == 2)
    eventually(lambda: "127.0.0.1:1" in shoveler.health()["problems"].get("bus", ""))
    file.write_text(f'[bus]\nurl = "{queue.publish}"\n')
    shoveler.process.send_signal(signal.SIGHUP)
    assert shoveler.process.wait(60) == 0
    assert [number_of(e.data) for e in queue.take(2)] == [0, 1]


def test_every_setting_of_the_receiver_reaches_it():
    settings = config.SCHEMA.load(None, {}).replace(
        spool__dir="/s", spool__synchronous="full", spool__reserve="5MiB", receive_buffer="1MiB", speed="captured",
        again=True, follow=True, verify=False, path_mtu=9000, spool__max_bytes="1GiB", map={"all": "10.0.0.1"},
        forward=["192.0.2.1:5"], forward_as="envelope", log__format="json", log__level="debug",
        **{"from": "file:c.jsonl"},
    )  # fmt: skip
    assert Daemon(settings, lambda: None, None, None)._task() == Task(  # type: ignore[arg-type, return-value]
        spool="/s", control=-1, receive_buffer=1 << 20, reserve=5 << 20, synchronous="full", source="c.jsonl",
        follow=True, again=True, captured_speed=True,
        options=control.Options(
            verify=False, ip_map={"all": "10.0.0.1"}, path_mtu=9000, forward=[("192.0.2.1", 5)],
            forward_envelopes=True, version=config.version(), max_bytes=1 << 30,
            log_format="json", log_level="debug",
        ),
    )  # fmt: skip


def test_stop_and_new_settings_are_said_again_until_they_fit():
    """A receiver that waits for its disk does not listen, and a socket pair holds only so much."""
    process = ReceiverProcess(Task(spool="", control=-1, options=control.Options()), [], None)  # type: ignore[arg-type]
    process.control, theirs = control.socket_pair()
    with process.control, theirs:
        while control.say(process.control, control.Confirm(1)):
            pass
        process.use(control.Options(verify=False))
        process.stop()
        assert process.unsaid
        assert {type(message) for message in control.heard_by_receiver(theirs)} == {control.Confirm}
        process.flush()
        assert control.heard_by_receiver(theirs) == [control.Options(verify=False), control.Stop()]
        assert not process.unsaid


def test_a_followed_capture(queue, start, tmp_path):
    capture = tmp_path / "c.jsonl"
    capture.write_text(lines(0))
    shoveler = start(queue.publish, "--from", f"file:{capture}", "--follow", held=False).ready()
    assert len(queue.take(1)) == 1
    with capture.open("a") as file:
        file.write(lines(1, 2))
    assert [number_of(e.data) for e in queue.take(2)] == [1, 2]
    assert shoveler.stop()[0] == 0


def test_a_capture_that_is_not_there(start, tmp_path):
    shoveler = start(NOWHERE, "--from", f"file:{tmp_path}/none", held=False)
    assert shoveler.process.wait(60) == 1
    assert shoveler.said().count(f"cannot read the capture {tmp_path}/none: No such file or directory\n") == 1
    assert "Traceback" not in shoveler.said()


def test_systemd_is_told(start, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(20)
        shoveler = start(NOWHERE, env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"})
        assert sock.recv(100) == b"READY=1\nSTATUS=receiving"
        assert sock.recv(100) == b"WATCHDOG=1"
        shoveler.process.terminate()
        while (said := sock.recv(100)) == b"WATCHDOG=1":
            pass
        assert said == b"STOPPING=1\nSTATUS=draining"


def test_a_missing_token_is_waited_for_and_receiving_goes_on(broker, queue, start, tmp_path):
    """Peer weakness G25: a fatal exit when the token file is absent at one check."""
    address = parse_bus_address(broker.url)
    token = tmp_path / "token"
    url = queue.publish.replace(address.password, "wrong")
    shoveler = start(url, "--bus-token-file", str(token)).ready()
    send(shoveler, binary(1))
    eventually(lambda: shoveler.audit().spooled == 1)
    eventually(lambda: str(token) in shoveler.health()["problems"]["bus"])
    token.write_text(address.password + "\n")  # peer weakness G21: the trailing newline
    assert [number_of(e.data) for e in queue.take(1, 60)] == [1]
    token.unlink()
    send(shoveler, binary(2))
    assert [number_of(e.data) for e in queue.take(1)] == [2]
    assert shoveler.process.poll() is None


def test_nothing_is_left_behind(start):
    """Peer weakness G13: 20 closed, 20 still alive. Here: processes, and the lock."""
    shoveler = start(NOWHERE).ready()
    receiver = shoveler.receiver()
    assert shoveler.stop()[0] == 0
    assert not receiver.is_running()
    shoveler.start().ready()
    receiver = shoveler.receiver()
    shoveler.process.kill()
    shoveler.process.wait()
    eventually(lambda: not receiver.is_running() or receiver.status() == "zombie", 10)


def test_the_command_line_as_installed():
    out = subprocess.run(
        [sys.executable, "-m", "shoveler.cli", "--help"], capture_output=True, text=True, check=True,
        env={**os.environ, "COLUMNS": "100"},
    ).stdout  # fmt: skip
    for option in ("--listen", "--bus", "--spool", "--framing", "--metrics", "--check-config", "-c FILE"):
        assert option in out


def test_a_capture_from_a_pipe(tmp_path):
    queue = Queue(str(tmp_path / "bus"), "packets-of-a-pipe")
    command = [
        sys.executable, "-m", "shoveler.cli", "--from", "file:-", "--bus", queue.publish, "--bus-exchange", queue.name,
        "--spool", str(tmp_path / "spool"), "--status-exchange", "",
    ]  # fmt: skip
    done = subprocess.run(command, input=lines(*range(2000)), text=True, timeout=60, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert [number_of(e.data) for e in queue.take(2000)] == list(range(2000))
