"""Small inputs that real servers, plug-ins and relays have sent, each with the right value beside it (``cases/``).

Each case goes through the production path: lines of a capture by `FileSource`, then `Correlator`. It must give the same
when every datagram comes twice, and when the collector is stopped and started again after every datagram.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.correlate import Correlator, Options, Record
from collector.sources import Datagram
from collector.sources.file import FileSource

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.stem for path in CASES.glob("*.jsonl"))


def datagrams(path: Path) -> Iterator[Datagram]:
    source = FileSource(path)
    while not source.ended:
        taken = source.take(0.0)
        assert not taken.rejects, "a line of a case is refused by the file source"
        yield from taken.datagrams  # type: ignore[misc]
    source.close()


class Collector:
    """A correlator that can be stopped and started again."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.records: list[Record] = []
        self.correlator = Correlator(Options())
        self.now = 0.0

    def feed(self, datagram: Datagram) -> None:
        self.now = datagram.t
        self.correlator.feed(datagram.data, datagram.remote, datagram.t, datagram.shoveler)

    def restart(self) -> None:
        self.records += self.correlator.take()
        put, delete = self.correlator.changes()
        for key in delete:
            del self.rows[key]
        self.rows |= dict(put)
        self.correlator = Correlator(Options())
        self.correlator.restore(self.rows.items())

    def end(self) -> list[Record]:
        self.correlator.drain(self.now)
        return self.records + self.correlator.take()


def once(path: Path) -> tuple[list[Record], dict[str, int]]:
    collector = Collector()
    for datagram in datagrams(path):
        collector.feed(datagram)
    return collector.end(), collector.correlator.counters


def doubled(path: Path) -> tuple[list[Record], dict[str, int]]:
    collector = Collector()
    for datagram in datagrams(path):
        collector.feed(datagram)
        collector.feed(datagram)
    return collector.end(), collector.correlator.counters


def restarted(path: Path) -> tuple[list[Record], dict[str, int]]:
    collector = Collector()
    for datagram in datagrams(path):
        collector.feed(datagram)
        collector.restart()
    return collector.end(), {}


@pytest.mark.parametrize("way", [once, doubled, restarted], ids=lambda way: way.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_a_case_gives_the_right_value(name: str, way: Callable[[Path], tuple[list[Record], dict[str, int]]]) -> None:
    want = tomllib.loads((CASES / f"{name}.toml").read_text())
    records, counters = way(CASES / f"{name}.jsonl")
    bodies = [{"kind": record.kind, **json.loads(record.body)} for record in records]
    shown = [said(body, wanted) for body, wanted in zip(bodies, want["record"], strict=False)]
    shown += bodies[len(shown) :]  # records that nobody expects are shown whole
    assert shown == want["record"]
    if way is once:
        counted = want.get("counters", {})
        assert {name: counters.get(name, 0) for name in counted} == counted


def said(body: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """What a record says of the fields that a case speaks about, in the form of the case."""
    shown = {name: body[name] for name in wanted if name in body}
    if "absent" in wanted:
        shown["absent"] = [name for name in wanted["absent"] if name not in body]
    return shown


def test_every_case_has_its_right_value_and_its_story() -> None:
    assert sorted(path.stem for path in CASES.glob("*.toml")) == NAMES
    told = (CASES / "README.md").read_text()
    assert [name for name in NAMES if f"`{name}`" not in told] == []
