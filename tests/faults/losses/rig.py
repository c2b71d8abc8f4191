"""One round of losses: a lab with a relay whose whole ledger is kept, a run on it, and what went wrong at a moment.

Everything is real: XRootD servers, shoveler, RabbitMQ, collector, client agents, `tally run` and `tally results`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pika
from losses.truth import After, Told

from agent.lab.layout import Layout
from agent.lab.ledger import Entry, decode, digest
from agent.lab.options import LabOptions
from agent.messages import LabState, decode_lab_state
from gui.report import build
from gui.report.document import request_of
from gui.store import Store
from shoveler.envelope import EnvelopeError
from shoveler.envelope import decode as decode_message

_UP = """
import sys, msgspec
from agent.lab import cli
from agent.lab.options import LabOptions
sys.exit(cli.bring_up(msgspec.json.decode(sys.argv[1], type=LabOptions)))
"""
_RUN_SECONDS = 600.0
_TAP = "losses-tap"
_ALL = 1_000_000
"""Missing requests to be judged, at most."""


class RigError(Exception):
    """A round could not be played; the text says at which step."""


@dataclass(frozen=True)
class Round:
    """One kind of loss. `deeds`: (seconds after the first open, what is done then to the rig)."""

    name: str
    faults: str = ""
    """``[[test.fault]]`` of the plan."""
    deeds: tuple[tuple[float, Callable[[Rig], None]], ...] = ()
    before: Callable[[Rig], None] | None = None
    at_end: Callable[[Rig], None] | None = None
    lab: dict[str, Any] = field(default_factory=dict)
    files_per_server: int = 60
    per_round: int = 20
    wait: str = "1s"
    workload: str = 'kind = "full"'
    settle: str = "30s"
    later: frozenset[str] = frozenset()
    least: int = 1
    """A round with fewer misses has shown nothing."""
    least_failed: int = 0
    """Requests that must have failed at the client."""
    known: frozenset[str] = frozenset()
    """Stages that can have lost something in it; any other truth is a defect of the campaign."""


class Rig:
    """One lab and one run on it; `close` leaves nothing behind."""

    def __init__(self, directory: Path, this: Round, servers: int) -> None:
        self._directory = directory
        self._round = this
        self.lab = directory / "lab"
        self._environment = os.environ | {"XDG_DATA_HOME": str(directory / "data"), "TALLY_KEY": "k" * 40}
        self._database = directory / "run.db"
        wishes = {"directory": str(self.lab), "servers": servers, "relay": True, "ledger": True, "large_files": 0,
                  "file_bytes": 64 * 1024}  # fmt: skip
        self._options = msgspec.convert(wishes | this.lab, LabOptions)
        self.purged: set[str] = set()
        self._trouble: list[BaseException] = []

    # -- the story

    def play(self) -> tuple[list[Told], dict[str, Any], list[Entry], After]:
        """Up, tap, run, drain, read. Raises RigError."""
        self._do([sys.executable, "-c", _UP, msgspec.json.encode(self._options).decode()], "the lab does not come up")
        self._make_tap()
        tapped_since = time.time()
        if self._round.before is not None:
            self._round.before(self)
        plan = self._directory / "plan.toml"
        plan.write_text(self._plan())
        run = subprocess.Popen(
            [sys.executable, "-m", "gui.cli", "run", str(plan), "--headless", "--lab", str(self.lab), "--insecure",
             "--listen", "127.0.0.1:0", "--local-clients", "2", "--db", str(self._database)],
            env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        deeds = threading.Thread(target=self._do_deeds, args=[run])
        deeds.start()
        try:
            said, _ = run.communicate(timeout=_RUN_SECONDS)
        finally:
            if run.poll() is None:
                run.terminate()
                run.wait(30)
            deeds.join()
        if self._trouble:
            raise RigError(f"a deed failed: {self._trouble[0]!r}")
        if run.returncode not in (0, 1):
            raise RigError(f"the run ended with {run.returncode}: {said[-2000:]}")
        if self._round.at_end is not None:
            self._round.at_end(self)
        report = json.loads(self._do([*self._tally("results"), "--format", "json"], "no results"))
        after = After(self._drain(_TAP), frozenset(self.purged), tapped_since, self._round.later)
        return self._told(report["run"]["id"]), report, self.entries(), after

    def close(self) -> None:
        self._do([sys.executable, "-m", "agent.cli", "lab", "down", "--dir", str(self.lab)], "the lab does not go down")

    # -- what deeds do

    def fault(self, *words: str) -> None:
        self._do([sys.executable, "-m", "agent.cli", "lab", "fault", *words, "--dir", str(self.lab)], "no fault")

    def forget_state(self) -> None:
        """The state of a collector that does not run: as if its disk had been replaced."""
        shutil.rmtree(Layout(self.lab).collector)

    def purge(self) -> None:
        """All that waits for the collector is taken out of its queue; it is known what that was."""
        self.purged |= self._drain(self.state.packets_queue)

    @property
    def state(self) -> LabState:
        return decode_lab_state(Layout(self.lab).state.read_bytes())

    def entries(self) -> list[Entry]:
        """The injector's log; a line that is just being written comes the next time."""
        whole, _, _ = Layout(self.lab).ledger.read_bytes().rpartition(b"\n")
        return [decode(line) for line in whole.split(b"\n") if line]

    # -- the parts

    def _plan(self) -> str:
        this = self._round
        return (
            f'name = "{this.name}"\nsettle = "{this.settle}"\n[[test]]\nservers = {self._options.servers}\n'
            f"files_per_server = {this.files_per_server}\nper_round = {this.per_round}\n"
            f'wait = "{this.wait}"\n[test.who]\nslots = 8\n'
            f"[test.workload]\n{this.workload}\n{this.faults}"
        )

    def _do_deeds(self, run: subprocess.Popen[str]) -> None:
        try:
            if not self._round.deeds:
                return
            while not any(getattr(entry, "contents", None) and entry.contents.opens for entry in self.entries()):
                if run.poll() is not None:
                    raise RigError("the run ended before its first open")
                time.sleep(0.1)
            began = time.monotonic()
            for at, deed in self._round.deeds:
                time.sleep(max(0.0, began + at - time.monotonic()))
                deed(self)
        except BaseException as error:
            self._trouble.append(error)

    def _tally(self, command: str) -> list[str]:
        return [
            sys.executable,
            "-m",
            "gui.cli",
            command,
            *(["1"] if command == "results" else []),
            "--db",
            str(self._database),
        ]

    def _do(self, command: list[str], wrong: str) -> str:
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            raise RigError(f"{wrong}: {(done.stderr or done.stdout)[-2000:]}")
        return done.stdout

    def _told(self, run: int) -> list[Told]:
        """What is said of each missing request; a report as JSON lists 1,000 of them."""
        with Store(self._database) as store:
            report = build(store, run, max_odd=_ALL, timing=False)
        if report.odd_total > len(report.odd):
            raise RigError(f"only {len(report.odd):,} of {report.odd_total:,} requests are listed")
        listed = (request_of(request, *report.test_of(request)) for request in report.odd)
        return [
            Told(q.server, q.tag, q.path, q.lost_at, q.certain, q.cause, q.datagram and msgspec.to_builtins(q.datagram))
            for q in listed
            if q.verdict == "missing"
        ]

    # -- the bus

    @contextlib.contextmanager
    def _channel(self) -> Iterator[Any]:
        with pika.BlockingConnection(pika.URLParameters(self.state.bus)) as connection:
            yield connection.channel()

    def _make_tap(self) -> None:
        with self._channel() as channel:
            channel.queue_declare(_TAP, durable=True)
            channel.queue_bind(_TAP, self.state.packets_exchange, "#")

    def _drain(self, queue: str) -> set[str]:
        """Digests of all datagrams in the queue, which is empty afterwards."""
        found: set[str] = set()
        with self._channel() as channel:
            while True:
                method, properties, body = channel.basic_get(queue, auto_ack=True)
                if method is None:
                    return found
                try:
                    envelopes = decode_message(body, properties.content_type or "", properties.message_id)
                except EnvelopeError as error:
                    raise RigError(f"a message on {queue} is no envelope: {error}") from None
                found.update(digest(envelope.data) for envelope in envelopes)
