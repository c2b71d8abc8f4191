"""A small world for tests of store, reconcile and report: servers, clients that ask, a collector that records.

Everything goes through the public methods of the store, as the hub and the runner use them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec

from agent.messages import Done, Line, Started
from collector.records import FileRecord
from gui.hub.persistence import JournalBatch
from gui.store import LoadResult, NewRequest, Store, TestSpec

T0 = 1_760_000_000.0
"""When everything begins: 9 October 2025, a Thursday."""
MIB = 1 << 20


@dataclass
class Asked:
    """A request as the client made it."""

    tag: str
    path: str
    server: str
    agent: str
    size: int
    round: int = 1


@dataclass
class World:
    """Acts on a store; every act moves `now` on by a second."""

    store: Store
    now: float = T0
    run: int = 0
    repeat: int = 0
    _lines: dict[str, int] = field(default_factory=dict)
    _files: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def tick(self) -> float:
        self.now += 1.0
        return self.now

    def begin(self, *tests: TestSpec, name: str = "a plan", settle: float = 90.0, **environment: Any) -> int:
        """A run with these tests; its first repeat begins."""
        self.run = self.store.create_run(
            name=name,
            plan_text=f'name = "{name}"\n',
            settle=settle,
            tests=tests or (TestSpec(1, 4, 4),),
            now=self.tick(),
            environment=environment,
            versions={"tally": "0.1.0"},
        )
        self.store.set_run(self.run, state="running", started=self.now)
        self.repeat = self.store.start_repeat(self.run, 1, 1, self.tick())
        return self.run

    def next_repeat(self, test: int = 1, number: int = 2) -> int:
        self.repeat = self.store.start_repeat(self.run, test, number, self.tick())
        return self.repeat

    def ask(
        self,
        count: int = 1,
        *,
        server: str = "root://s01.example.org:1094",
        agent: str = "shared/c1",
        size: int = MIB,
        slot: int = 0,
        number: int = 1,
        paths: Sequence[str] = (),
    ) -> list[Asked]:
        """Requests of one tag, entered as pending."""
        (tag,) = self.store.allocate_tags(1)
        names = paths or [f"/store/test/f{number:04}.root" for number in range(1, count + 1)]
        asked = [Asked(tag, path, server, agent, size, number) for path in names]
        self.store.add_requests(
            self.repeat,
            [NewRequest(tag, a.path, server, agent, slot, size, 7, round=number) for a in asked],
            self.tick(),
        )
        return asked

    def journal(self, agent: str, lines: Sequence[Line]) -> None:
        self.store.store_journal([JournalBatch(agent, agent.rpartition("/")[2], "journal-1", lines)])

    def number(self, agent: str) -> int:
        """The next line number of an agent's journal."""
        self._lines[agent] = self._lines.get(agent, 0) + 1
        return self._lines[agent]

    def _started(self, a: Asked) -> Started:
        return Started(self.number(a.agent), self.job, a.round, a.tag, a.server, a.path, self.tick())

    def start(self, *asked: Asked) -> None:
        """The client says that it is about to open these."""
        for a in asked:
            self.journal(a.agent, [self._started(a)])

    def read(self, *asked: Asked, ok: bool = True, error: str = "", interrupted: bool = False, **facts: int) -> None:
        """The client read these whole (or failed to, or did what `facts` say), and says so in its journal."""
        lines: dict[str, list[Line]] = {}
        for a in asked:
            started = self._started(a)
            done = Done(
                self.number(a.agent),
                self.job,
                a.tag,
                a.path,
                ok,
                self.now,
                self.tick(),
                read_asked=facts.get("read", a.size if not facts else 0),
                read_got=facts.get("got", facts.get("read", a.size if not facts else 0)) if ok else 0,
                readv_asked=facts.get("readv", 0),
                readv_got=facts.get("readv", 0),
                written=facts.get("written", 0),
                read_ops=1,
                readv_ops=0,
                write_ops=0,
                server=a.server.partition("://")[2],
                status=0 if ok else 3011,
                error=error,
                interrupted=interrupted,
            )
            lines.setdefault(a.agent, []).extend((started, done))
        for agent, written in lines.items():
            self.journal(agent, written)

    @property
    def job(self) -> str:
        return f"{self.run}.1.1"

    def body(self, asked: Asked, *, final: bool = True, file_id: int = 0, access: str = "", **fields: Any) -> bytes:
        """A record of an access of this request, as a collector writes it; by default it matches."""
        number = file_id or next(self._files)
        host = asked.server.partition("://")[2].partition(":")[0]
        identity = access or blake2b(f"{host} {number}".encode(), digest_size=16).hexdigest()
        values: dict[str, object] = {
            "kind": "file",
            "schema": 1,
            "record_id": f"{identity}.{'f' if final else 'p'}",
            "access_id": identity,
            "final": final,
            "server_id": str(int.from_bytes(blake2b(host.encode(), digest_size=6).digest())),
            "stod": int(T0) - 1000,
            "file_id": number,
            "server": host,
            "server_ip": "192.0.2.1",
            "port": 1094,
            "site": "SITE-A",
            "start_time": int(self.now) - 1,
            "end_time": int(self.now),
            "operation_time": 1,
            "user": asked.tag,
            "session_tag": asked.tag,
            "appinfo": f"tally:{asked.tag}",
            "filename": asked.path,
            "logical_dirname": "/store",
            "read": asked.size,
            "readv": 0,
            "write": 0,
        }
        values |= fields
        return msgspec.json.encode(msgspec.convert({k: v for k, v in values.items() if v is not None}, FileRecord))

    def record(self, *asked: Asked, **fields: Any) -> LoadResult:
        """The collector records these, and the records are loaded."""
        return self.store.load([self.body(a, **fields) for a in asked], self.tick())
