"""A workspace with many runs of one plan, written straight into its tables: what pages about several runs are tested
and photographed with. Every figure follows from the requests that are there; nothing is scored by hand.

    Campaign(store).run(lost={(8, 2): 14})          # a run whose test 8 lost 14 in its repeat 2
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from sqlalchemy import insert

from gui.store import (
    LostDatagram,
    MarkerRow,
    SampleRow,
    ScoringEntry,
    ServerEntry,
    Store,
    TestSpec,
    VerdictKind,
    VerdictRow,
    schema,
)
from gui.store.keys import match_key
from shoveler.service import CollectorStatus, Drop, Position, Progress, ShovelerStatus

T0 = 1_795_943_400.0
"""28 November 2026, 09:10 UTC."""
DAY = 86_400.0
MIB = 1 << 20

PLAN = """name = "{name}"
settle = "{settle}s"

[[test]]
servers = {servers}
files_per_server = {files}
per_round = {per_round}
repeats = {repeats}
seed = 42
pass_at = {pass_at}
[test.who]
slots = {slots}
"""


@dataclass
class Campaign:
    """Adds runs of one plan to a store, a day apart."""

    store: Store
    tests: Sequence[TestSpec] = (TestSpec(4, 50, 10, repeats=2, seed=42, name="4×50"),)
    name: str = "osdf-2021"
    servers: int = 4
    clients: int = 4
    now: float = T0
    names: Sequence[str] = ()
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _ids: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        named = [*self.names, *(f"s{number:02}" for number in range(len(self.names) + 1, self.servers + 1))]
        self.store.put_servers(
            [ServerEntry(f"root://s{n:02}.example.org:1094", name, source="lab") for n, name in enumerate(named, 1)]
        )
        self._ids = [server.id for server in self.store.servers()]
        with self.store.database.write() as connection:
            for number in range(1, self.clients + 1):
                connection.execute(
                    insert(schema.agent).values(
                        identity=f"shared/c{number}", name=f"c{number}", role="client", facts="{}", first_seen=1.0,
                        last_seen=1.0,
                    )
                )  # fmt: skip

    def run(
        self,
        *,
        lost: Mapping[tuple[int, int], int] | None = None,
        slower: float = 1.0,
        cause: str = "the kernel dropped datagrams: 1 f-stream datagram of s02 after number 42 never came",
        lost_at: str = "kernel",
        ended: bool = True,
        environment: Mapping[str, Any] | None = None,
        settle: float = 60.0,
        slots: int = 16,
        drops: int = 0,
        daemons: bool = True,
        samples: bool = True,
        events: bool = False,
    ) -> int:
        """One run. `lost`: records missing by test and repeat, all at the second server. `slower`: a factor on the
        time of each request. `events`: a broker that is away and a server that hangs, in each repeat."""
        number = next(self._numbers)
        self.now += DAY
        spec = self.tests[-1]
        facts = {
            "host": "hub", "hub": "wss://hub:8765", "lab": False, "broker": "", "servers": self.servers,
            "clients": [{"name": f"c{n}", "host": f"host-{n}", "version": "0.9", "platform": "Linux", "cpus": 8,
                         "xrootd": "5.7.3", "rtt": 0.01 * number} for n in range(1, self.clients + 1)],
        } if environment is None else environment  # fmt: skip
        run = self.store.create_run(
            name=self.name,
            plan_text=PLAN.format(
                name=self.name, settle=f"{settle:g}", servers=spec.servers, files=spec.files_per_server,
                per_round=spec.per_round, repeats=spec.repeats, pass_at=spec.pass_at, slots=slots,
            ),
            settle=settle, tests=self.tests, now=self.now, environment=facts,
            versions={"tally": "0.9.0"} if facts else {},
        )  # fmt: skip
        self.store.set_run(run, state="running", started=self.now)
        begun = self.now
        t = self.now
        failed = False
        for test, one in enumerate(self.tests, 1):
            for repeat in range(1, one.repeats + 1):
                missing = (lost or {}).get((test, repeat), 0)
                failed |= missing > 0
                t = self._repeat(run, test, repeat, one, t + 2, missing, slower, lost_at, cause, samples=samples)
                if events:
                    self._events(run, test, repeat)
        if daemons:
            self._statuses(run, begun, t, drops)
        if ended:
            self.store.set_run(run, state="failed" if failed else "passed", ended=t)
        return run

    def _repeat(
        self, run: int, test: int, number: int, spec: TestSpec, t: float, missing: int, slower: float, lost_at: str,
        cause: str, *, samples: bool,
    ) -> float:  # fmt: skip
        store, source = self.store, Random(run * 1000 + test * 10 + number)
        repeat = store.start_repeat(run, test, number, t)
        store.add_marker(run, MarkerRow(t, "phase", f"test {test}, repeat {number}"))
        tags = store.allocate_tags(spec.servers * self.clients)
        rows: list[dict[str, Any]] = []
        tag_ids = self._tags(repeat, tags, spec.servers)
        rounds = -(-spec.files_per_server // spec.per_round)
        length = max(3.0, spec.per_round * spec.servers * 0.06 * slower / self.clients / 4)
        for place in range(spec.files_per_server):
            part = place // spec.per_round
            for server in range(spec.servers):
                which = server * self.clients + (place % self.clients)
                begins = t + 1 + part * (length + 1.0) + source.random() * length * 0.9
                took = slower * min(8.0, 0.05 * source.lognormvariate(0, 0.7))
                path = f"/store/test/f{place:04}.root"
                rows.append(
                    {
                        "repeat_id": repeat, "tag_id": tag_ids[which], "server_id": self._ids[server],
                        "match_key": match_key(tags[which], path), "path": path, "round": part + 1, "size": MIB,
                        "seed": 1, "state": 2, "ok": 1, "t_started": begins, "t_open": begins, "t_close": begins + took,
                        "read_asked": MIB, "read_got": MIB, "readv_asked": 0, "readv_got": 0, "written": 0,
                        "read_ops": 1, "readv_ops": 0, "write_ops": 0, "reached": "", "status": 0, "error": "",
                    }
                )  # fmt: skip
        with store.database.write() as connection:
            for begin in range(0, len(rows), 20_000):
                connection.execute(insert(schema.request), rows[begin : begin + 20_000])
        ended = t + 1 + rounds * (length + 1.0)
        for part in range(rounds):
            store.add_marker(run, MarkerRow(t + 1 + part * (length + 1.0), "round", f"round {part + 1}"))
        if samples:
            self._samples(repeat, spec, rows, int(t), int(ended) + 8, missing)
        settled = ended + (90 if missing else 8)
        store.set_repeat(repeat, state="settled", ended=ended, settled=settled, complete=not missing,
                         reason="")  # fmt: skip
        self._score(repeat, spec, rows, missing, settled, lost_at, cause)
        return settled

    def _events(self, run: int, test: int, repeat: int) -> None:
        (entry,) = [e for e in self.store.repeats(run) if (e.test_number, e.number) == (test, repeat)]
        assert entry.started is not None
        for at, kind, text in (
            (4.0, "fault", "broker-down for 3 s"),
            (4.2, "fault", "the broker was taken down"),
            (9.0, "held", "s03 did not answer for 4 s; 12 requests had to wait."),
        ):
            self.store.add_marker(run, MarkerRow(entry.started + at, kind, text))

    def _tags(self, repeat: int, tags: Sequence[str], servers: int) -> list[int]:
        with self.store.database.write() as connection:
            agents = [row.id for row in connection.execute(schema.agent.select().order_by(schema.agent.c.id))]
            known = {row.tag: row.id for row in connection.execute(schema.tag.select())}
            for number, tag in enumerate(tags):
                connection.execute(
                    schema.tag.update()
                    .where(schema.tag.c.id == known[tag])
                    .values(
                        repeat_id=repeat, agent_id=agents[number % self.clients],
                        server_id=self._ids[number // self.clients % servers], slot=number % 16,
                    )
                )  # fmt: skip
        return [known[tag] for tag in tags]

    def _samples(
        self, repeat: int, spec: TestSpec, rows: Sequence[Mapping[str, Any]], begin: int, end: int, missing: int
    ) -> None:
        """A sample of each server and second: what it was asked, read and recorded until then."""
        asked: dict[tuple[int, int], int] = {}
        closed: dict[tuple[int, int], int] = {}
        for row in rows:
            for at, counts in ((row["t_open"], asked), (row["t_close"], closed)):
                key = (row["server_id"], int(at))
                counts[key] = counts.get(key, 0) + 1
        found: list[SampleRow] = []
        for place, server in enumerate(self._ids[: spec.servers]):
            requested = read = recorded = 0
            for second in range(begin, end):
                kept = spec.files_per_server - (missing if place == 1 else 0)
                recorded = min(read, kept)  # what was read a second ago
                requested += asked.get((server, second), 0)
                read += closed.get((server, second), 0)
                found.append(SampleRow(second, server, requested, read, recorded, 0, read * MIB, recorded * MIB))
        self.store.add_samples(repeat, found)

    def _score(
        self, repeat: int, spec: TestSpec, rows: Sequence[Mapping[str, Any]], missing: int, settled: float,
        lost_at: str, cause: str,
    ) -> None:  # fmt: skip
        """The last requests of the second server that closed before the middle of the repeat are missing."""
        with self.store.database.read() as connection:
            ids = [
                (row.t_close, row.id)
                for row in connection.execute(
                    schema.request.select().where(
                        schema.request.c.repeat_id == repeat,
                        schema.request.c.server_id == self._ids[min(1, spec.servers - 1)],
                    )
                )
            ]
        ids.sort()
        middle = len(ids) // 2
        gone = ids[max(0, middle - missing) : max(0, middle - missing) + missing]
        datagram = LostDatagram("1234", 1, "F", 42, 1, gone[0][0] - 0.5, gone[-1][0] + 0.5, "close") if gone else None
        total = len(rows)
        entry = ScoringEntry(
            repeat_id=repeat, kind="settle", t=settled, record_mark=0, total=total, recorded=total - len(gone),
            matched=total - len(gone), late=0, wrong_bytes=0, missing=len(gone), duplicate=0, client_failed=0,
            unreported=0, unrequested=0, recovered=0, bytes_asked=total * MIB, bytes_got=total * MIB,
            bytes_recorded=(total - len(gone)) * MIB, first_open=min(row["t_open"] for row in rows),
            last_close=max(row["t_close"] for row in rows), id=0, not_waited=0,
        )  # fmt: skip
        self.store.add_scoring(
            entry,
            [
                VerdictRow(request, VerdictKind.MISSING, False, 0, 0, 0, 0, (), lost_at, True, cause, datagram)
                for _, request in gone
            ],
        )

    def _statuses(self, run: int, begun: float, ended: float, drops: int) -> None:
        """A shoveler and a collector that report every five seconds; in the middle the broker is away for fifteen."""
        store = self.store
        steps = int((ended - begun) / 5) + 1
        previous = 0
        for step in range(steps + 1):
            t = begun + step * 5
            taken = 40 * step
            away = step in (steps // 2, steps // 2 + 1, steps // 2 + 2)
            confirmed = 40 * (steps // 2 - 1) if away else taken
            counted = drops if step > steps // 3 else 0
            shoveler = ShovelerStatus(
                id="sh-a", started=begun - 9999, t=t, host="site-a", version="0.9.0", kernel_drops=311 + counted,
                positions={"1": Position(first=0, received_upto=taken, confirmed_upto=confirmed)},
                drops=[Drop(listen="0.0.0.0:9930", t_from=t - 5, t_to=t, count=drops)] if counted > previous else [],
                spool_bytes=(taken - confirmed) * 1200,
            )  # fmt: skip
            previous = counted
            collector = CollectorStatus(
                id="col-1", started=begun - 9999, t=t, host="site-a", version="0.9.0",
                positions={"1": Progress(seen_upto=max(0, confirmed - 20))},
            )  # fmt: skip
            for message in (shoveler, collector):
                store.put_status(run, message)
                store.add_status_step(run, message)
