"""A pipeline to test with: shovelers and collectors that report every five seconds, as real ones would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gui.models.fleet import FleetServer, SenderFigures
from gui.models.pipeline import Facts
from gui.runner.consume import ConsumerState
from gui.runner.intake import Member
from shoveler.service import CollectorStatus, ShovelerStatus
from shoveler.service.status import CollectorSender, Drop, Gap, Position, Progress, ServerProcess, ShovelerSender

BEGAN = 1_795_000_000.0
STEP = 5.0


class World:
    """Servers that send, shovelers that take, a broker that may be cut, collectors that may be slow or dead."""

    def __init__(
        self, *, servers: int = 8, shovelers: int = 1, collectors: int = 1, each: float = 12.0, name: str = "s",
        clock: Callable[[int], float] = lambda n: BEGAN + n * STEP,
    ) -> None:  # fmt: skip
        self.clock = clock
        self.step = 0
        self.names = [f"{name}{number:02}" for number in range(1, servers + 1)]
        self.each = each
        self.shovelers = [f"{number:08x}aa" for number in range(0xA1, 0xA1 + shovelers)]
        self.collectors = [f"k{number}" for number in range(1, collectors + 1)]
        self.received = dict.fromkeys(self.names, 0)
        self.confirmed = dict.fromkeys(self.names, 0)
        self.seen = 0.0
        self.records = 0
        self.loaded = 0
        self.drops: dict[str, list[Drop]] = {one: [] for one in self.shovelers}
        self.cut = False
        self.slow = 1.0
        """Share of the packets that the collectors work off."""
        self.silent: set[str] = set()
        self.heard: dict[str, Member] = {}
        self.version = "0.9.0"
        self.hosts = [f"mon{number}.site-{'abcde'[number - 1]}.example.org" for number in range(1, shovelers + 1)]

    @property
    def t(self) -> float:
        return self.clock(self.step)

    def go(self, steps: int = 1) -> Iterator[Facts]:
        """Let time pass; the facts after each step."""
        for _ in range(steps):
            self.step += 1
            for number, name in enumerate(self.names):
                wobble = 1 + 0.08 * (((self.step * 7 + number * 13) % 11) / 5 - 1)
                self.received[name] += round(self.each * STEP * wobble)
                if not self.cut:
                    left = self.received[name] - self.confirmed[name]
                    self.confirmed[name] += min(left, round(self.each * STEP * 2.4))
            total = sum(self.confirmed.values())
            pace = sum(self.received.values()) / self.step * self.slow * (2.0 if self.slow == 1.0 else 1.0)
            if not self.cut or self.seen < total:
                self.seen = min(float(total), self.seen + pace)
            self.records = round(self.seen * 7)
            self.loaded = self.records
            self._report()
            yield self.facts()

    def lose(self, shoveler: int, count: int) -> None:
        """The kernel drops datagrams."""
        self.drops[self.shovelers[shoveler]].append(
            Drop(listen="0.0.0.0:9993", t_from=self.t - 2, t_to=self.t - 1, count=count)
        )

    def _mine(self, number: int) -> list[str]:
        return self.names[number :: len(self.shovelers)]

    def _report(self) -> None:
        for number, shoveler in enumerate(self.shovelers):
            if shoveler in self.silent:
                continue
            mine = self._mine(number)
            taken, done = sum(self.received[n] for n in mine), sum(self.confirmed[n] for n in mine)
            senders = {
                f"192.0.2.{self.names.index(n) + 1}:4000": ShovelerSender(
                    received=self.received[n], confirmed=self.confirmed[n], bytes=self.received[n] * 1200,
                    spooled=self.received[n] - self.confirmed[n],
                )
                for n in mine
            }  # fmt: skip
            behind = (taken - done) / max(1.0, self.each * len(mine))
            status = ShovelerStatus(
                id=shoveler, started=BEGAN - 9e5, t=self.t, host=self.hosts[number], version=self.version,
                senders=senders, kernel_drops=sum(d.count for d in self.drops[shoveler]),
                drops=self.drops[shoveler][-4:],
                positions={f"g{number}": Position(first=1, received_upto=taken, confirmed_upto=done)},
                spool_bytes=(taken - done) * 1200, oldest=self.t - behind if taken > done else None,
            )  # fmt: skip
            self.heard[shoveler] = Member("shoveler", shoveler, self.t, status)
        share = self.seen / max(1.0, sum(self.confirmed.values()))
        positions = {
            f"g{number}": Progress(seen_upto=int(share * sum(self.confirmed[n] for n in self._mine(number))))
            for number in range(len(self.shovelers))
        }
        for number, collector in enumerate(self.collectors):
            if collector in self.silent:
                continue
            mine = self.names[number :: len(self.collectors)]
            part = len(mine) / max(1, len(self.names))
            joined = CollectorStatus(
                id=collector, started=BEGAN - 4e5, t=self.t, host=f"col{number + 1}.example.org", version=self.version,
                senders={
                    "192.0.2.1:4000": CollectorSender(seen=int(self.seen * part), records=int(self.records * part))
                },
                positions=positions, held=3,
                processes=[
                    ServerProcess(
                        sender=f"192.0.2.{self.names.index(n) + 1}:4000", sid=str(1000 + self.names.index(n)), stod=1,
                        last=self.t,
                        gaps=[Gap(cls="F", stod=1, after=41, missing=1, t_min=1, t_max=2)] if n == mine[-1] else [],
                    )
                    for n in mine
                ],
            )  # fmt: skip
            self.heard[collector] = Member("collector", collector, self.t, joined)

    def facts(self, **changes: Any) -> Facts:
        """What is known now."""
        values: dict[str, Any] = {
            "t": self.t,
            "servers": [
                FleetServer(
                    name, f"root://{name}.example.org:1094", "up", config="ok",
                    figures=SenderFigures(
                        rate=self.each, last_minute=tuple(self.each + (n * 7 % 5) for n in range(12)), gaps=0,
                        shoveler=self.shovelers[number % len(self.shovelers)], last_seen=self.t,
                    ),
                )
                for number, name in enumerate(self.names)
            ],
            "members": tuple(self.heard.values()),
            "bus": "amqps://mq.example.org:5671/tally",
            "records": ConsumerState(connected=True, depths=(self.step * 7 % 23,)),
            "queue": "tally.scale-2026-11-9f2c41ab",
            "database": "/home/ada/scale-2026-11.db",
            "database_kind": "SQLite",
            "database_size": 1_288_490_188,
            "loaded": self.loaded,
            "last_load": self.t - 0.4,
        }  # fmt: skip
        return Facts(**(values | changes))
