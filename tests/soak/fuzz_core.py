"""Fuzz the collector's core: any bytes, in any order, at any time.

An input is a script: datagrams (mutations of real ones, and of nothing), the passing of time, checkpoints after which
another correlator goes on from the rows, and the end of the source. Two correlators play it, one by the quick way, one
by the plain way. What must hold: no exception; both write the same; every record is JSON; the state keeps its bounds,
and is the same after a checkpoint; every datagram can be printed as a tree.

    python tests/soak/fuzz_core.py          TALLY_SOAK_MINUTES=30
    python tests/soak/fuzz_core.py FILE     play one input again, loudly
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import guided

from collector.correlate import Correlator, Options, Record
from collector.wire import tree

MAX_INPUT = 16_384
MAX_BYTES = 300_000
OPTIONS = Options(max_bytes=MAX_BYTES, max_servers=8, ttl=3600.0, max_age=20_000.0)
SENDERS = ("192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1", "[2001:db8::1]:1")
WAITS = (0.0, 0.1, 1.0, 6.0, 13.0, 21.0, 61.0, 3700.0)


def steps(data: bytes) -> Iterator[tuple[str, bytes, str, float]]:
    """An input as steps: (what, datagram, sender, seconds since the one before)."""
    offset = 0
    while offset < len(data):
        code = data[offset]
        offset += 1
        wait = WAITS[code >> 3 & 7]
        if code & 7 < 5:
            if offset + 2 > len(data):
                return
            length = int.from_bytes(data[offset : offset + 2])
            offset += 2
            yield "feed", data[offset : offset + length], SENDERS[code & 3], wait
            offset += length
        else:
            yield ("advance", "checkpoint", "drain")[(code & 7) - 5], b"", "", wait


class Player:
    """One correlator that plays a script, going through checkpoints when told."""

    def __init__(self, *, quick: bool) -> None:
        self._quick = quick
        self._rows: dict[bytes, bytes] = {}
        self.records: list[Record] = []
        self.correlator = self._new()

    def _new(self) -> Correlator:
        correlator = Correlator(OPTIONS)
        correlator._streams.quick = self._quick
        return correlator

    def checkpoint(self) -> None:
        self.records += self.correlator.take()
        put, delete = self.correlator.changes()
        assert not dict(put).keys() & set(delete), "a row is put and deleted"
        self._rows.update(put)
        for key in delete:
            self._rows.pop(key, None)
        correlator = self._new()
        correlator.restore(self._rows.items())
        for name in ("state_servers", "state_sessions", "state_files", "state_held"):
            assert correlator.counters[name] == self.correlator.counters[name], f"{name} after a restart"
        self.correlator = correlator


def play(data: bytes) -> None:
    """Play one input; an AssertionError, or any other, is a finding."""
    players = Player(quick=True), Player(quick=False)
    t = 1_700_000_000.0
    for what, datagram, sender, wait in steps(data):
        t += wait
        for player in players:
            if what == "feed":
                player.correlator.feed(datagram, sender, t, "spool" if wait else None)
            elif what == "advance":
                player.correlator.advance(t)
                assert player.correlator.counters["state_servers"] <= OPTIONS.max_servers
                assert (
                    player.correlator.counters["state_bytes"] <= MAX_BYTES
                    or not player.correlator.counters["state_files"]
                )
            elif what == "checkpoint":
                player.checkpoint()
            else:
                player.correlator.drain(t)
        if what == "feed":
            json.dumps(tree(datagram))
    for player in players:
        player.correlator.drain(t)
        player.records += player.correlator.take()
        assert player.correlator.counters["state_held"] == 0
        json.dumps(player.correlator.status())
        json.dumps(player.correlator.dump())
    # The quick way writes the fields in an order of its own.
    one, other = (sorted((*r[:3], json.dumps(json.loads(r.body), sort_keys=True)) for r in p.records) for p in players)
    assert one == other, "quick and plain differ"


def seeds() -> list[bytes]:
    """Real captures as scripts, with a checkpoint here and there."""
    found = []
    for datagrams in guided.captured():
        script = b""
        for place, data in enumerate(datagrams):
            if len(script) + len(data) > MAX_INPUT - 10:
                continue
            script += bytes([place % 2 | (place % 3) << 3]) + len(data).to_bytes(2) + data
            if place % 5 == 4:
                script += bytes([6, 5 | 4 << 3])
        found.append(script)
    return found


def main() -> int:
    result, ok = guided.main("fuzz_core", play, seeds(), MAX_INPUT)
    print(json.dumps(result))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
