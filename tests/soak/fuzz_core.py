"""Fuzz the collector's core: any bytes, in any order, at any time.

An input is a script: datagrams (mutations of real ones, and of nothing), the passing of time, checkpoints after which
another correlator goes on from the rows, and the end of the source. Two correlators play it, one by the quick way, one
by the plain way. What must hold: no exception; both write the same; every record is JSON; the state keeps its bounds,
and is the same after a checkpoint; every datagram can be printed as a tree.

Coverage-guided by atheris where it is installed, otherwise by chance. Inputs that reach new code are kept under
``build/soak/fuzz_core/corpus``, so that the next run goes on from there; what breaks is kept beside them.

    python tests/soak/fuzz_core.py          TALLY_SOAK_MINUTES=30
    python tests/soak/fuzz_core.py FILE     play one input again, loudly
"""

from __future__ import annotations

import base64
import json
import os
import random
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from collector.correlate import Correlator, Options, Record
from collector.wire import tree

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "build" / "soak" / "fuzz_core"
CAPTURES = Path(os.environ.get("TALLY_CAPTURES", ROOT.parent / "shared" / "captures"))
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
    one, other = (sorted(player.records, key=lambda r: (r.record_id, r.kind, r.body)) for player in players)
    for first, second in zip(one, other, strict=True):
        assert first[:3] == second[:3], "quick and plain differ"
        assert json.loads(first.body) == json.loads(second.body), "quick and plain differ"


def seeds() -> list[bytes]:
    """Real captures as scripts, with a checkpoint here and there."""
    found = []
    for path in sorted(CAPTURES.glob("*.jsonl")) if CAPTURES.is_dir() else []:
        script = b""
        for place, line in enumerate(path.read_text().splitlines()):
            data = base64.b64decode(json.loads(line)["data"])
            if len(script) + len(data) > MAX_INPUT - 10:
                continue
            script += bytes([place % 2 | (place % 3) << 3]) + len(data).to_bytes(2) + data
            if place % 5 == 4:
                script += bytes([6, 5 | 4 << 3])
        found.append(script)
    return found


CHILD = """
import sys
import atheris
sys.path.insert(0, {folder!r})
with atheris.instrument_imports(include=["collector"]):
    import fuzz_core
atheris.Setup(["fuzz_core", *{arguments!r}], lambda data: fuzz_core.play(bytes(data)))
atheris.Fuzz()
"""
"""The process that fuzzes: coverage must be there before our modules are imported."""


def guided(seconds: float) -> subprocess.CompletedProcess[str]:
    """Let atheris run for so long, in a process of its own (it ends the process itself)."""
    arguments = [
        str(PLACE / "corpus"),
        f"-max_total_time={int(seconds)}",
        f"-max_len={MAX_INPUT}",
        "-rss_limit_mb=3000",
        "-timeout=60",
        f"-artifact_prefix={PLACE}/found-",
        "-print_final_stats=1",
    ]
    code = CHILD.format(folder=str(Path(__file__).parent), arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    (PLACE / "log").write_text(done.stdout)
    return done


def by_chance(seconds: float) -> int:
    """Mutate seeds at random for so long. The number of inputs played; a finding is written and raised."""
    rng = random.Random()
    pool = [path.read_bytes() for path in (PLACE / "corpus").iterdir()] or [b"\0\0\1="]
    played, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = bytearray(rng.choice(pool))
        for _ in range(rng.choice([1, 1, 2, 5, 30])):
            place = rng.randrange(len(data) + 1)
            change = rng.random()
            if change < 0.5 and place < len(data):
                data[place] = rng.choice([0, 1, 127, 255, rng.randrange(256)])
            elif change < 0.7:
                data[place : place + rng.randrange(20)] = rng.randbytes(rng.randrange(20))
            else:
                other = rng.choice(pool)
                begin = rng.randrange(len(other) + 1)
                data[place:place] = other[begin : begin + rng.randrange(2000)]
        script = bytes(data[:MAX_INPUT])
        try:
            play(script)
        except BaseException:
            (PLACE / f"found-{random.randrange(1 << 32):08x}").write_bytes(script)
            raise
        played += 1
    return played


def main() -> int:
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        play(Path(sys.argv[1]).read_bytes())
        print("played without a finding")
        return 0
    seconds = 60 * float(os.environ.get("TALLY_SOAK_MINUTES", "30"))
    corpus = PLACE / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number:02d}").write_bytes(seed)
    before = len(list(corpus.iterdir()))
    findings = Counter(path.name for path in PLACE.glob("found-*"))
    try:
        import atheris  # noqa: F401

        guide = "atheris"
    except ImportError:
        guide = "chance"
    result: dict[str, object] = {"guide": guide, "seconds": round(seconds)}
    if guide == "atheris":
        done = guided(seconds)
        ok = done.returncode == 0
        for line in done.stdout.splitlines():
            if line.startswith("stat::number_of_executed_units"):
                result["inputs"] = int(line.split(":")[-1])
        if not ok:
            print("\n".join(done.stdout.splitlines()[-30:]))
    else:
        try:
            result["inputs"], ok = by_chance(seconds), True
        except Exception:
            traceback.print_exc()
            ok = False
    new = [path.name for path in PLACE.glob("found-*") if path.name not in findings]
    result |= {
        "corpus": len(list(corpus.iterdir())),
        "new_in_corpus": len(list(corpus.iterdir())) - before,
        "findings": new,
    }
    print(json.dumps(result))
    return 0 if ok and not new else 1


if __name__ == "__main__":
    sys.exit(main())
