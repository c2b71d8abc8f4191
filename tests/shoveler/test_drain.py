"""`tally-shoveler drain`: what is in a spool goes to the bus, and then it ends."""

import signal
import subprocess
import sys
from pathlib import Path

from shoveler.bus import open_consumer, open_topology, parse_bus_address
from shoveler.cli import main
from shoveler.envelope import decode
from shoveler.spool.values import Books, Draft
from shoveler.spool.writer import Spool

sys.path.insert(0, str(Path(__file__).parent))
from shoveler_harness import binary, eventually, number_of


def filled(directory, count):
    directory.mkdir()
    with Spool(directory, max_bytes=1 << 30, reserve=0) as spool:
        draft = Draft()
        for number in range(count):
            draft.add("192.0.2.1:5000", binary(number), "f", False)
        draft.arrived = 1.0
        spool.commit(draft, Books())


def drain(spool, bus):
    return [sys.executable, "-m", "shoveler.cli", "drain", "--spool", str(spool), "--bus", str(bus)]


def test_everything_is_sent_and_then_it_ends(tmp_path):
    filled(tmp_path / "spool", 300)
    bus = parse_bus_address(str(tmp_path / "bus"))
    topology = open_topology(bus)
    topology.declare_exchange("shoveled-xrd")
    topology.declare_queue("q", exchange="shoveled-xrd")
    topology.close()
    done = subprocess.run(drain(tmp_path / "spool", tmp_path / "bus"), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    consumer = open_consumer(bus, exchange="shoveled-xrd", queue="q", reader="test")
    taken = consumer.take(1000, 5.0)
    consumer.close()
    datagrams = [each for message in taken for each in decode(message.body, message.content_type, message.id)]
    assert [number_of(each.data) for each in datagrams] == list(range(300))
    again = subprocess.run(drain(tmp_path / "spool", tmp_path / "bus"), capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, "an empty spool is drained"


def test_interrupted_it_says_what_is_left(tmp_path):
    filled(tmp_path / "spool", 5)
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(drain(tmp_path / "spool", "amqp://127.0.0.1:1/"), stderr=out)
    eventually(lambda: b"datagrams stay in the spool" in log.read_bytes(), 60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 1
    assert b"5 datagrams are left in" in log.read_bytes()


def test_a_spool_that_is_not_there_is_not_made(tmp_path, capsys):
    assert main(["drain", "--spool", str(tmp_path / "none"), "--bus", str(tmp_path / "bus")]) == 1
    assert str(tmp_path / "none") in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    assert main(["drain", "--spool", str(tmp_path), "--framing", "x"]) == 2
