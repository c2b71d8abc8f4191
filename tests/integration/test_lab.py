"""The lab with everything real: XRootD servers, shovelers, RabbitMQ or the local bus, the collector, XRootD clients."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pika
import pika.exceptions
import pytest

from agent.lab.broker import PrivateBroker
from agent.lab.pids import alive
from agent.messages import LabState, decode_lab_state
from collector.records import FileRecord
from shoveler.bus import BusOptions, open_consumer, open_topology, parse_bus_address
from tests.waiting import until

pytestmark = pytest.mark.xrootd

LAB = [sys.executable, "-m", "agent.cli", "lab"]
ROOT = Path(__file__).parents[2]

# Reads whole files: each argument is a JSON list [url, path]. A process of its own, since a tag keeps its connection.
READER = """
import json, sys
from XRootD import client
for argument in sys.argv[1:]:
    url, path = json.loads(argument)
    with client.File() as file:
        status, _ = file.open(f"{url}/{path}")
        assert status.ok, status.message
        status, data = file.read()
        assert status.ok, status.message
        print(json.dumps([url, path, len(data)]), flush=True)
"""

Seen = dict[tuple[str, str], list[tuple[str, int]]]
"""(tag, path) → record id and bytes read of each of its records."""


def lab(*words: str, expect: int = 0) -> str:
    done = subprocess.run([*LAB, *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def directory() -> Iterator[Path]:
    """A lab directory; the lab in it, if there is one, is taken down, and nothing of it may be left."""
    with tempfile.TemporaryDirectory(prefix="tally-test-") as place:
        path = Path(place) / "lab"
        yield path
        state = decode_lab_state((path / "state.json").read_bytes()) if path.exists() else None
        lab("down", "--dir", str(path))
        assert not path.exists()
        if state is not None:
            nothing_left(state)


def nothing_left(state: LabState) -> None:
    assert [p.name for p in state.processes if alive(p)] == []
    assert not Path(state.work_directory).exists()
    for server in state.servers:
        with socket.socket() as port:
            port.bind(("", int(server.url.rpartition(":")[2])))


def state_of(directory: Path) -> LabState:
    return decode_lab_state((directory / "state.json").read_bytes())


def requests(state: LabState, tag: str, count: int) -> dict[tuple[str, str], int]:
    """(tag, path) → size: `count` files of each server, each server under a tag of its own."""
    return {
        (f"{tag}{n:02d}", file.path): file.size for n, _ in enumerate(state.servers) for file in state.files[:count]
    }


def read(state: LabState, wanted: dict[tuple[str, str], int]) -> None:
    """Make the requests; every file must come whole."""
    arguments = []
    for tag, path in wanted:
        url = state.servers[int(tag[-2:])].url.replace("root://", f"root://{tag}@")
        arguments.append(json.dumps([url, path]))
    done = subprocess.run(
        [sys.executable, "-c", READER, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    got = {(url.partition("@")[0][7:], path): size for url, path, size in map(json.loads, done.stdout.splitlines())}
    assert got == wanted


def add(seen: Seen, body: bytes, taken: set[str]) -> None:
    """Note file records by request, but for those whose ids were `taken` before."""
    for line in body.split(b"\n"):
        record = json.loads(line)
        if record.get("kind") == "file" and record["record_id"] not in taken:
            key = (record.get("session_tag", ""), record.get("filename", ""))
            seen.setdefault(key, []).append((record["record_id"], record["read"]))


class Records:
    """A durable queue of our own on the records exchange of a lab, which outlives restarts of the broker.

    A consumer that keys on the record's id: after a fault records may come again, with the same id."""

    def __init__(self, state: LabState) -> None:
        self._taken: set[str] = set()
        self._url = pika.URLParameters(state.bus)
        self._queue = f"{state.prefix}lab-test"
        with pika.BlockingConnection(self._url) as connection:
            channel = connection.channel()
            channel.exchange_declare(state.records_exchange, "topic", durable=True)
            channel.queue_declare(self._queue, durable=True)
            channel.queue_bind(self._queue, state.records_exchange, "#")

    def collect(self, count: int) -> Seen:
        """What arrives until so many requests were seen, for at most a minute."""
        seen: Seen = {}
        deadline = time.monotonic() + 60
        while len(seen) < count and time.monotonic() < deadline:
            with contextlib.suppress(pika.exceptions.AMQPError), pika.BlockingConnection(self._url) as connection:
                channel = connection.channel()
                for method, _, body in channel.consume(self._queue, inactivity_timeout=0.1):
                    if method is not None:
                        add(seen, body, self._taken)
                        channel.basic_ack(method.delivery_tag)
                    if len(seen) >= count or time.monotonic() > deadline:
                        break
        self._taken.update(record_id for found in seen.values() for record_id, _ in found)
        return seen

    def delete(self) -> None:
        with pika.BlockingConnection(self._url) as connection:
            connection.channel().queue_delete(self._queue)


def local_records(state: LabState) -> Callable[[int], Seen]:
    """The same on a local bus: from now on records are kept; the function takes so many requests' worth."""
    address = parse_bus_address(state.bus, role="source")
    topology = open_topology(address)
    topology.declare_exchange(state.records_exchange)
    topology.declare_queue("test", exchange=state.records_exchange)
    topology.close()

    def collect(count: int) -> Seen:
        seen: Seen = {}
        consumer = open_consumer(
            address, exchange=state.records_exchange, queue="test",
            reader="lab-test", options=BusOptions(),
        )  # fmt: skip

        def arrived() -> bool:
            for message in consumer.take(1000, 0.1):
                add(seen, message.body, set())
                consumer.acknowledge(message.delivery)
            return len(seen) >= count

        until(arrived)
        consumer.close()
        return seen

    return collect


def sizes(seen: Seen) -> dict[tuple[str, str], int]:
    """What was recorded for each request, every record counted once."""
    return {key: sum(size for _, size in set(found)) for key, found in seen.items()}


@pytest.mark.broker
def test_every_request_is_recorded_also_when_daemons_and_the_broker_are_killed(directory: Path) -> None:
    said = lab("up", "--dir", str(directory), "--servers", "4", "--shovelers", "2", "--json")
    state = state_of(directory)
    assert json.loads(said)["servers"][3]["name"] == "s04"
    assert "***" in json.loads(said)["bus"]
    assert state.broker == "private"
    records = Records(state)
    wanted = requests(state, "labreq", 20)
    read(state, wanted)
    assert sizes(records.collect(len(wanted))) == wanted

    for tag, faults in (("labkil", ["kill-shoveler", "kill-collector"]), ("labbrk", ["broker-down"])):
        for fault in faults:
            lab("fault", fault, "--for", "1s", "--dir", str(directory))
        wanted = requests(state, tag, 20)
        read(state, wanted)
        assert sizes(records.collect(len(wanted))) == wanted
    restarts = {p.name: p.restarts for p in state_of(directory).processes}
    assert {restarts[name] for name in ("shoveler-1", "shoveler-2", "collector", "broker")} == {1}
    lab("status", "--dir", str(directory))
    lab("down", "--dir", str(directory))
    nothing_left(state)


@pytest.mark.broker
def test_on_a_given_broker_there_are_only_names_of_the_labs_own_and_none_at_the_end(
    directory: Path, broker: PrivateBroker
) -> None:
    def names() -> set[str]:
        return {*broker.ctl("list_queues", "name").split(), *broker.ctl("list_exchanges", "name").split()}

    before = names()
    lab("up", "--dir", str(directory), "--servers", "2", "--bus", broker.url, "--framing", "single")
    state = state_of(directory)
    assert state.broker == "given"
    records = Records(state)
    wanted = requests(state, "labgiv", 5)
    read(state, wanted)
    assert sizes(records.collect(len(wanted))) == wanted
    made = names() - before
    assert {state.packets_exchange, state.records_exchange, state.packets_queue} <= made
    # the daemons hear what is asked of them in queues of their connections, whose names the broker makes
    assert all(name.startswith((state.prefix, "amq.gen-")) for name in made)
    records.delete()
    assert (
        "the lab does not stop it"
        in subprocess.run(
            [*LAB, "fault", "broker-down", "--dir", directory], capture_output=True, text=True, check=False
        ).stderr
    )
    lab("down", "--dir", str(directory))
    assert names() == before


@pytest.mark.broker
def test_names_are_removed_from_a_given_broker_also_after_the_supervisor_was_killed(
    directory: Path, broker: PrivateBroker
) -> None:
    lab("up", "--dir", str(directory), "--servers", "1", "--bus", broker.url)
    state = state_of(directory)
    (supervisor,) = [p for p in state.processes if p.kind == "supervisor"]
    os.kill(supervisor.pid, signal.SIGKILL)
    lab("status", "--dir", str(directory), expect=1)
    assert "the lab is down" in lab("down", "--dir", str(directory))
    assert state.prefix not in broker.ctl("list_queues", "name") + broker.ctl("list_exchanges", "name")


def test_on_the_local_bus(directory: Path) -> None:
    bus = directory.parent / "bus"
    lab("up", "--dir", str(directory), "--servers", "2", "--bus", str(bus))
    state = state_of(directory)
    assert (state.broker, state.bus) == ("local", str(bus))
    collect = local_records(state)
    wanted = requests(state, "labloc", 10)
    read(state, wanted)
    assert sizes(collect(len(wanted))) == wanted
    lab("down", "--dir", str(directory))
    assert not bus.exists()


def test_fifty_servers(directory: Path) -> None:
    bus = directory.parent / "bus"
    began = time.monotonic()
    lab("up", "--dir", str(directory), "--servers", "50", "--shovelers", "2", "--bus", str(bus))
    up = time.monotonic() - began
    state = state_of(directory)
    assert len({s.url for s in state.servers}) == 50
    assert len({s.site for s in state.servers}) == 50
    assert all(alive(p) for p in state.processes)
    began = time.monotonic()
    lab("down", "--dir", str(directory))
    down = time.monotonic() - began
    nothing_left(state)
    # What is promised, and many times what is needed: 50 servers within 30 s, gone within 10 s.
    assert up < 30
    assert down < 10


def an_interpreter_for(user: str, environment: dict[str, str]) -> str | None:
    """A Python of our version that this user may execute; ours may be in a home directory."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        try:
            said = subprocess.run(
                [candidate, "-c", "import sys, agent.messages; print(sys.version_info[:2])"],
                user=user, group=pwd.getpwnam(user).pw_gid, extra_groups=[], cwd="/", env=environment,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        except OSError:
            continue
        if said.stdout.strip() == str(sys.version_info[:2]):
            return candidate
    return None


@pytest.mark.skipif(os.getuid() != 0, reason="every other lab test runs as an ordinary user already")
def test_as_an_ordinary_user() -> None:
    user = "nobody"
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    python = an_interpreter_for(user, environment)
    if python is None:
        pytest.skip("no Python interpreter of this version can be executed by other users")
    entry = pwd.getpwnam(user)
    with tempfile.TemporaryDirectory(prefix="tally-user-") as place:
        os.chown(place, entry.pw_uid, entry.pw_gid)

        def theirs(*words: str) -> str:
            done = subprocess.run(
                [python, "-m", "agent.cli", "lab", *words, "--dir", f"{place}/lab"],
                user=user, group=entry.pw_gid, extra_groups=[], cwd="/", env=environment,
                capture_output=True, text=True, check=False, timeout=120,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        try:
            theirs("up", "--servers", "2")
            state = state_of(Path(place) / "lab")
            assert state.broker == "private"
            pids = [p.pid for p in state.processes if p.pid]
            assert {Path(f"/proc/{pid}").stat().st_uid for pid in pids} == {entry.pw_uid}
            records = Records(state)
            wanted = requests(state, "labusr", 5)
            read(state, wanted)
            assert sizes(records.collect(len(wanted))) == wanted
        finally:
            theirs("down")
        nothing_left(state)
        assert list(Path(place).iterdir()) == []


def test_the_records_have_the_names_that_this_test_reads() -> None:
    assert {"session_tag", "filename", "record_id", "read", "kind"} <= set(FileRecord.__struct_fields__)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_cache_counts_what_it_serves_if_asynchronous_reads_are_off(directory: Path, asynchronous: bool) -> None:
    """20 MB in one plain read. With xrootd.async at its default, 5.5.3 and 6.1.0 record that nothing was read."""
    bus = directory.parent / "bus"
    wishes = ["--caches", "1", "--files", "2", "--large-files", "1", "--large-size", "20MiB", "--bus", str(bus)]
    lab("up", "--dir", str(directory), "--servers", "1", *wishes, *(["--cache-async"] if asynchronous else []))
    state = state_of(directory)
    collect = local_records(state)
    (cache,) = state.caches
    assert [server.name for server in state.servers] == ["s01"]
    large = max(state.files, key=lambda file: file.size)
    url = cache.url.replace("root://", "root://labcache@")
    script = [sys.executable, "-c", READER, json.dumps([url, large.path])]
    got = subprocess.run(script, capture_output=True, text=True, timeout=120, check=True).stdout
    assert json.loads(got) == [url, large.path, large.size]
    recorded = sizes(collect(2))  # the cache's, and what its origin says of the cache
    assert recorded["labcache", large.path] == (0 if asynchronous else large.size)
