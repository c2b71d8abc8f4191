"""Fuzz the collector's core: any bytes, in any order, at any time.

An input is a combination of options (two bytes) and a script: datagrams (mutations of real ones, and of nothing), the
passing of time, checkpoints after which another correlator goes on from the rows, and the end of the source. Two
correlators play it, one by the quick way, one by the plain way. What must hold: no exception; both write the same;
every record is JSON; the state keeps its bounds, and is the same after a checkpoint; every datagram can be printed as a
tree.

    python tests/soak/fuzz_core.py          TALLY_SOAK_MINUTES=30
    python tests/soak/fuzz_core.py FILE     play one input again, loudly
    python tests/soak/fuzz_core.py --keep   choose of all inputs there are those that every `make test` plays
"""

from __future__ import annotations

import base64
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import guided

from collector.correlate import Correlator, Options, Record
from collector.wire import tree

MAX_INPUT = 16_384
CORPUS = Path(__file__).resolve().parents[1] / "collector" / "correlate" / "corpus.jsonl"
"""Inputs that are played by each `make test`."""
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

    def __init__(self, options: Options, *, quick: bool) -> None:
        self._options = options
        self._quick = quick
        self._rows: dict[bytes, bytes] = {}
        self.records: list[Record] = []
        self.correlator = self._new()

    def _new(self) -> Correlator:
        correlator = Correlator(self._options)
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
    options = guided.options(int.from_bytes(data[:2]))
    players = Player(options, quick=True), Player(options, quick=False)
    t = 1_700_000_000.0
    for what, datagram, sender, wait in steps(data[2:]):
        t += wait
        for player in players:
            if what == "feed":
                player.correlator.feed(datagram, sender, t, "spool" if wait else None)
            elif what == "advance":
                player.correlator.advance(t)
                assert player.correlator.counters["state_servers"] <= options.max_servers
                assert (
                    player.correlator.counters["state_bytes"] <= options.max_bytes
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
    for number, datagrams in enumerate(guided.captured()):
        script = (number * 37 % guided.COMBINATIONS).to_bytes(2)
        for place, data in enumerate(datagrams):
            if len(script) + len(data) > MAX_INPUT - 10:
                continue
            script += bytes([place % 2 | (place % 3) << 3]) + len(data).to_bytes(2) + data
            if place % 5 == 4:
                script += bytes([6, 5 | 4 << 3])
        found.append(script)
    return found


def keep() -> None:
    """Of the corpora that are there: the shortest inputs that together reach every line that any of them reaches, and
    those that are kept already, in the order of their bytes.
    """
    kept = kept_inputs()
    found = [path.read_bytes() for path in (guided.place("fuzz_core") / "corpus").iterdir()]
    reached: set[tuple[str, int]] = set()
    for data in kept:
        reached |= guided.lines_of(play, data)
    for data in sorted({*found, *seeds()}, key=lambda data: (len(data), data)):
        new = guided.lines_of(play, data) - reached
        if new:
            reached |= new
            kept.append(data)
    texts = [json.dumps(base64.b64encode(zlib.compress(data, 9)).decode()) for data in sorted(set(kept))]
    CORPUS.write_text("\n".join(texts) + "\n")
    print(f"{len(texts)} inputs, {CORPUS.stat().st_size} bytes, {len(reached)} lines of the core")


def kept_inputs() -> list[bytes]:
    """The inputs of `CORPUS`."""
    lines = CORPUS.read_text().splitlines() if CORPUS.exists() else []
    return [zlib.decompress(base64.b64decode(json.loads(line))) for line in lines]


def main() -> int:
    if sys.argv[1:] == ["--keep"]:
        keep()
        return 0
    result, ok = guided.main("fuzz_core", play, seeds(), MAX_INPUT)
    print(json.dumps(result))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
