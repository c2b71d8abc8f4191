"""What holds whatever is killed, full or gone: taken = confirmed + spool, nothing taken is lost, nothing has two ids.

The oracle is the queue, and the spool as it lies on disk. What was sent but not taken can only have been in the memory
of a killed receiver: at most what one commit holds.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "shoveler"))
from shoveler_harness import Proxy, Queue, Supervisor, Traffic, binary, eventually, number_of

from collector.seen import SeenSet
from shoveler.bus import parse_bus_address
from tests.promises import within

pytestmark = pytest.mark.broker

RATE = 2000
LOST_PER_KILL = 256
"""A receiver that dies takes along what it read and had not committed: one block at most."""


@pytest.fixture
def queue(broker):
    made = Queue(broker.url, f"shoveler-{uuid.uuid4().hex[:8]}")
    yield made
    made.delete()


@pytest.fixture
def start(tmp_path):
    started = []

    def make(bus, *options, directory=tmp_path, **kwargs):
        started.append(Supervisor(directory, bus, *options, "--status-exchange", "", **kwargs))
        return started[-1].start()

    yield make
    for supervisor in started:
        supervisor.close()


@pytest.fixture
def proxy(broker):
    made = Proxy(broker.url)
    yield made
    made.close()


def check(shoveler, envelopes, sent, kills=0):
    """Every promise at once, for a shoveler that has stopped."""
    audit = shoveler.audit()
    assert audit.exact
    by_id = {}
    for envelope in envelopes:
        number = number_of(envelope.data)
        assert by_id.setdefault(envelope.id, number) == number, "one id, two datagrams"
    delivered = Counter(by_id.values())
    assert max(delivered.values(), default=0) <= 1, "one datagram, two ids: taken twice"
    held = Counter(shoveler.in_spool())
    assert len(by_id) >= audit.confirmed, "confirmed, but not in the queue"
    known = set(delivered) | set(held)
    assert len(known) == audit.received, "taken and now nowhere"
    lost = sent - len(known)
    assert 0 <= lost <= kills * LOST_PER_KILL
    return lost


@pytest.mark.parametrize("framing", ["single", "batch"])
def test_kill_9_of_either_process_under_traffic(queue, start, framing):
    rng = random.Random(framing)
    shoveler = start(queue.publish, "--framing", framing).ready()
    traffic = Traffic(shoveler.target, RATE)
    traffic.start()
    kills = 0
    for n in range(6):
        time.sleep(rng.uniform(0.05, 0.6))  # the moment is what this test varies
        if n % 2:
            receiver = shoveler.receiver()
            if receiver is not None:
                receiver.kill()
                kills += 1
            continue
        receiver = shoveler.receiver()
        if receiver is not None and n % 4 == 0:
            receiver.kill()  # both at once
            kills += 1
        shoveler.kill()
        shoveler.start()
    sent = traffic.stop()
    shoveler.ready()
    eventually(lambda: shoveler.audit().received >= sent - kills * LOST_PER_KILL, 30)
    eventually(lambda: shoveler.audit().spooled == 0, 30, "an empty spool")
    assert shoveler.stop()[0] == 0
    envelopes = queue.rest()
    lost = check(shoveler, envelopes, sent, kills)
    totals = shoveler.totals()
    assert totals.received + lost + totals.kernel_drops == sent


def test_the_broker_is_killed_and_comes_back(broker, queue, start):
    shoveler = start(queue.publish).ready()
    traffic = Traffic(shoveler.target, RATE)
    traffic.start()
    envelopes = queue.take(1000)
    broker.kill()
    eventually(lambda: "bus" in shoveler.health()["problems"])
    at_kill = shoveler.audit()
    eventually(lambda: shoveler.audit().received > at_kill.received + 500, what="receiving without a broker")
    assert shoveler.audit().spooled > 0
    broker.start()
    eventually(lambda: not shoveler.health()["problems"], 60, "a connection again")
    sent = traffic.stop()
    eventually(lambda: shoveler.audit().confirmed == sent, 60, "everything confirmed")
    assert shoveler.stop()[0] == 0
    envelopes += queue.rest()
    assert check(shoveler, envelopes, sent) == 0
    assert {number_of(e.data) for e in envelopes} == set(range(sent))


def test_the_token_is_renewed_under_load(broker, queue, start, tmp_path):
    """Peer weakness G2: a crash in 3 of 3 runs, within 10 s of a new token at 900 messages a second."""
    address = parse_bus_address(broker.url)
    token = tmp_path / "token"
    token.write_text(address.password)
    # The same password under other white space is the same token: only a new one makes it connect anew.
    shoveler = start(queue.publish.replace(address.password, "x"), "--bus-token-file", str(token)).ready()
    traffic = Traffic(shoveler.target, RATE)
    traffic.start()
    for n in range(2):
        eventually(lambda n=n: shoveler.audit().confirmed > 500 * (n + 1))
        token.write_text("not-valid-any-more")
        eventually(lambda: "bus" in shoveler.health()["problems"], what="the refusal of a bad token")
        token.write_text(address.password + "\n")
        eventually(lambda: not shoveler.health()["problems"], 60, "the new token in use")
    sent = traffic.stop()
    eventually(lambda: shoveler.audit().confirmed == sent, 60)
    assert shoveler.stop()[0] == 0
    assert check(shoveler, queue.rest(), sent) == 0
    assert address.password not in shoveler.said()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 48 MiB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    made = os.geteuid() == 0 and not subprocess.call(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", mount])
    if not made:
        pytest.skip("mounting a small disk needs root")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


def test_the_disk_is_full(small_disk, queue, proxy, start):
    shoveler = start(
        f"{proxy.url}?exchange={queue.name}", "--spool-reserve", "8MiB", "--bus-heartbeat", "5s", directory=small_disk
    ).ready()
    proxy.freeze()
    receiver = shoveler.receiver()
    before = receiver.memory_info().rss
    traffic = Traffic(shoveler.target, 3000, 20_000)  # 60 MB/s
    traffic.start()
    eventually(lambda: "spool" in shoveler.health()["problems"], 60, "the full disk in the health page")
    asked = [sys.executable, "-m", "shoveler.cli", "status", "--spool", shoveler.spool, "--spool-reserve", "8MiB"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (told.returncode, "FAIL  disk: full, or nearly" in told.stdout) == (1, True), told.stdout
    eventually(lambda: shoveler.metric("shoveler_held_bytes") > 0)
    eventually(lambda: shoveler.metric("shoveler_packets_rejected_total") > 0, 60, "counting what it cannot keep")
    sent = traffic.stop()
    assert receiver.is_running()
    assert receiver.memory_info().rss - before < 64 << 20
    assert shoveler.said().count("up to 48 MiB are kept in memory") == 1, "one loud line"
    held = shoveler.metric("shoveler_held_bytes")
    assert 40 << 20 < held < 64 << 20
    proxy.heal()
    eventually(lambda: not shoveler.health()["problems"], 90, "an empty disk and a full recovery")
    eventually(lambda: shoveler.audit().spooled == 0, 60)
    assert shoveler.metric("shoveler_held_bytes") == 0
    totals = shoveler.totals()
    assert totals.received + totals.rejected + totals.kernel_drops == sent
    more = Traffic(shoveler.target, RATE)
    more.start()
    eventually(lambda: shoveler.audit().confirmed > totals.received + 500)
    extra = more.stop()
    eventually(lambda: shoveler.audit().confirmed == totals.received + extra)
    assert shoveler.stop()[0] == 0
    assert shoveler.audit().exact
    assert len({e.id for e in queue.rest()}) == totals.received + extra


def test_a_spool_left_by_a_crash_on_a_full_disk_opens_without_repair(small_disk, start):
    shoveler = start("amqp://guest:guest@127.0.0.1:1/", "--spool-reserve", "8MiB", directory=small_disk).ready()
    traffic = Traffic(shoveler.target, 3000, 20_000)
    traffic.start()
    eventually(lambda: "spool" in shoveler.health()["problems"], 60)
    shoveler.kill()
    taken = shoveler.audit()
    assert taken.exact
    shoveler.start().ready()
    assert shoveler.audit().exact
    assert shoveler.audit().received >= taken.received
    traffic.stop()
    shoveler.kill()
    assert shoveler.audit().exact


def test_a_receiver_that_hangs_loses_nothing_that_the_kernel_can_hold(queue, start):
    shoveler = start(queue.publish).ready()
    traffic = Traffic(shoveler.target, RATE)
    traffic.start()
    receiver: psutil.Process = shoveler.receiver()
    eventually(lambda: shoveler.audit().received > 100)
    receiver.suspend()
    count = shoveler.audit().received
    before = traffic.sent
    eventually(lambda: traffic.sent > before + RATE)
    assert shoveler.audit().received <= count + LOST_PER_KILL
    receiver.resume()
    sent = traffic.stop()
    eventually(lambda: shoveler.audit().confirmed == sent, 30)
    assert shoveler.stop()[0] == 0
    assert check(shoveler, queue.rest(), sent) == 0


def test_a_link_that_goes_silent_loses_nothing(queue, proxy, start):
    """Peer weakness G1: success reported for 300, delivered 100."""
    shoveler = start(f"{proxy.url}?exchange={queue.name}", "--bus-heartbeat", "5s").ready()
    traffic = Traffic(shoveler.target, RATE)
    traffic.start()
    eventually(lambda: shoveler.audit().confirmed > 500)
    proxy.freeze()
    confirmed = shoveler.audit().confirmed
    eventually(lambda: shoveler.audit().received > confirmed + 2000)
    assert shoveler.audit().confirmed <= confirmed + 1000, "what was on its way; nothing else can be confirmed"
    proxy.heal()
    sent = traffic.stop()
    eventually(lambda: shoveler.audit().confirmed == sent, 60)
    assert shoveler.stop()[0] == 0
    assert check(shoveler, queue.rest(), sent) == 0


def assert_stops_in_time(shoveler, traffic, proxy, queue):
    sent = traffic.stop()
    code, seconds = shoveler.stop()
    assert code == 0
    assert seconds < within(10)
    assert shoveler.audit().received == sent
    proxy.heal()
    check(shoveler, queue.rest(), sent)


def test_it_stops_in_time_although_the_broker_is_silent(queue, proxy, start):
    """Peer weakness G12: a worker that never looks whether it should stop."""
    shoveler = start(f"{proxy.url}?exchange={queue.name}").ready()
    traffic = Traffic(shoveler.target, RATE)
    traffic.start()
    eventually(lambda: shoveler.audit().confirmed > 500)
    proxy.freeze()
    eventually(lambda: shoveler.audit().spooled > 500)
    assert_stops_in_time(shoveler, traffic, proxy, queue)


def test_it_stops_in_time_although_a_silent_broker_leaves_megabytes_unread(queue, proxy, start):
    """More than the connection holds: whoever waits until it is written waits for the heartbeat."""
    shoveler = start(f"{proxy.url}?exchange={queue.name}", "--framing", "batch").ready()
    traffic = Traffic(shoveler.target, 500, 20_000)
    traffic.start()
    eventually(lambda: shoveler.audit().confirmed > 100)
    proxy.freeze()
    taken = shoveler.audit().received
    eventually(lambda: shoveler.audit().received > taken + 2000, 60, "40 MB more")
    assert_stops_in_time(shoveler, traffic, proxy, queue)


def test_what_was_spooled_while_the_broker_was_away_survives_kill_9(queue, start):
    """Peer weakness G4: of 1,500 spooled, 1,002 were only in memory, and a kill loses them."""
    nowhere = "amqp://guest:guest@127.0.0.1:1/"
    shoveler = start(nowhere).ready()
    traffic = Traffic(shoveler.target, 5000)
    traffic.start()
    eventually(lambda: traffic.sent >= 1500)
    sent = traffic.stop()
    eventually(lambda: shoveler.audit().spooled == sent)
    shoveler.kill()
    shoveler.command[shoveler.command.index(nowhere)] = queue.publish
    shoveler.start()
    assert [number_of(e.data) for e in queue.take(sent)] == list(range(sent))


def test_stopping_and_starting_under_traffic_loses_nothing(queue, start):
    """Peer weakness G20: a stop under traffic is a panic. The held socket bridges the time between."""
    shoveler = start(queue.publish).ready()
    traffic = Traffic(shoveler.target, RATE)
    traffic.start()
    for n in range(2):
        eventually(lambda n=n: shoveler.audit().confirmed > 300 * (n + 1))
        code, seconds = shoveler.stop()
        assert (code, seconds < within(10)) == (0, True)
        shoveler.start().ready()
    sent = traffic.stop()
    eventually(lambda: shoveler.audit().confirmed == sent)
    assert shoveler.stop()[0] == 0
    assert check(shoveler, queue.rest(), sent) == 0
    assert shoveler.totals().kernel_drops == 0


@pytest.mark.parametrize("state", ["stopped", "killed"])
def test_a_spool_that_goes_back_in_time_loses_and_doubles_nothing(queue, start, tmp_path, state):
    """Copy, go on, restore, go on. When the file alone made the ids, the collector dropped 100 of them, silently."""
    shoveler, sent = start(queue.publish).ready(), 0

    def go_on(number):
        nonlocal sent
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _ in range(number):
                sock.sendto(binary(sent), shoveler.target)
                sent += 1
        return queue.take(number)

    def end():
        shoveler.stop() if state == "stopped" else shoveler.kill()

    got = go_on(50)
    eventually(lambda: shoveler.audit().spooled == 0)
    end()
    shutil.copytree(shoveler.spool, tmp_path / "copy")
    shoveler.start().ready()
    got += go_on(100)
    eventually(lambda: shoveler.audit().spooled == 0)
    end()
    shutil.rmtree(shoveler.spool)
    shutil.copytree(tmp_path / "copy", shoveler.spool)
    shoveler.start().ready()
    got += go_on(100)
    seen = SeenSet()
    spool_seq = [envelope.id.rpartition(":") for envelope in got]
    taken = [
        number_of(e.data) for e, (spool, _, seq) in zip(got, spool_seq, strict=True) if seen.add(spool, int(seq), 0)
    ]
    assert taken == list(range(250))
    assert len(seen.progress()) == 3
    eventually(lambda: shoveler.audit() == (150, 150, 0))
