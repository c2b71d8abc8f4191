"""Fuzz decoding and correlating as a server lives them: datagram after datagram into one correlator, for ten millions.

An input is one datagram (mutations of real ones, and of nothing). It is fed to a correlator that lives on from input to
input under small limits, with a checkpoint now and then, after which it goes on with other options; some are printed
as a tree. What must hold: no exception; every record is JSON; the state keeps its bounds; and the memory of the process
stays flat: resident memory when the fuzzing has gone on for a fifth of the time is compared with that at its end, and
20 % more fails (the fuzzer's own corpus is in it).

`fuzz_core` is its other half: whole scripts, played twice, each from a fresh state. Here what breaks may depend on the
datagrams before it, so the last of them are kept beside it as ``last.jsonl``, a capture that `tally-collector` replays.

    python tests/soak/fuzz_wire.py          TALLY_SOAK_MINUTES=30
    python tests/soak/fuzz_wire.py FILE     play one input again, loudly
"""

from __future__ import annotations

import base64
import json
import sys
import time
from collections import deque
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import guided
import psutil

from collector.correlate import Correlator
from collector.wire import tree

NAME = "fuzz_wire"
MAX_INPUT = 640
"""Small, for many of them; what only larger ones reach is for the other fuzzer."""
GROWTH = 0.20
STEP = 0.02
"""Seconds between datagrams, on the correlator's clock: graces, times to live and restarts all come to pass."""
CYCLE = 256
"""Datagrams in a cycle: records are taken, time passes, changes are collected."""
SAMPLE = 20_000
KEPT = 5_000
PRINTED = 8
"""Each eighth datagram is printed as a tree, too."""
SENDERS = ("192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1", "[2001:db8::1]:1")
OTHER = 37
"""From restart to restart the options are this many combinations further (it has no divisor in common with their
number, so that all come)."""


class Life:
    """The correlator, and what it has been told."""

    def __init__(self) -> None:
        self.restarts = 0
        self.options = guided.options(0)
        self.correlator = Correlator(self.options)
        self.rows: dict[bytes, bytes] = {}
        self.t = 1_700_000_000.0
        self.inputs = 0
        self.records = 0
        self.last: deque[tuple[float, str, bytes]] = deque(maxlen=KEPT)
        self.began = time.monotonic()
        self.samples: list[tuple[float, int]] = []

    def play(self, data: bytes) -> None:
        sender = SENDERS[data[-1] & 3 if data else 0]
        self.t += STEP
        self.last.append((self.t, sender, data))
        try:
            self.correlator.feed(data, sender, self.t, "spool")
            self.inputs += 1
            if not self.inputs % PRINTED:
                json.dumps(tree(data))
            if not self.inputs % CYCLE:
                self._cycle()
        except BaseException:
            self.write_last()
            raise
        if not self.inputs % SAMPLE:
            self._sample()

    def _cycle(self) -> None:
        correlator = self.correlator
        correlator.advance(self.t)
        for record in correlator.take():
            json.loads(record.body)
            self.records += 1
        put, delete = correlator.changes()
        self.rows.update(put)
        for key in delete:
            self.rows.pop(key, None)
        counters = correlator.counters
        assert counters["state_servers"] <= self.options.max_servers
        assert counters["state_bytes"] <= guided.MAX_BYTES or not counters["state_files"]
        if not self.inputs % (64 * CYCLE):
            self.restarts += 1
            self.options = guided.options(OTHER * self.restarts)
            fresh = Correlator(self.options)
            fresh.restore(self.rows.items())
            for name in ("state_servers", "state_sessions", "state_files", "state_held"):
                assert fresh.counters[name] == correlator.counters[name], f"{name} after a restart"
            self.correlator = fresh

    def _sample(self) -> None:
        self.samples.append((time.monotonic() - self.began, psutil.Process().memory_info().rss))
        target = guided.place(NAME) / "life.json"
        report = {"played": self.inputs, "records": self.records, "rows": len(self.rows), "samples": self.samples}
        target.with_suffix(".new").write_text(json.dumps(report))
        target.with_suffix(".new").replace(target)

    def write_last(self) -> None:
        with (guided.place(NAME) / "last.jsonl").open("w") as out:
            for t, sender, data in self.last:
                out.write(json.dumps({"t": t, "remote": sender, "data": base64.b64encode(data).decode()}) + "\n")


_life: list[Life] = []


def play(data: bytes) -> None:
    """Play one input in the life of this process; an AssertionError, or any other, is a finding."""
    if not _life:
        _life.append(Life())
    _life[0].play(data)


def memory(seconds: float) -> dict[str, object]:
    """Resident memory in MiB after a fifth of the time and at the end, from what the fuzzing process has written."""
    try:
        life = json.loads((guided.place(NAME) / "life.json").read_text())
    except FileNotFoundError:
        return {"flat": False, "why": f"fewer than {SAMPLE} inputs were played"}
    early = next((rss for at, rss in life["samples"] if at >= seconds / 5), life["samples"][-1][1])
    late = life["samples"][-1][1]
    return {
        "records": life["records"],
        "state_rows": life["rows"],
        "rss_mib_early": round(early / 2**20, 1),
        "rss_mib_end": round(late / 2**20, 1),
        "flat": late <= early * (1 + GROWTH),
    }


def main() -> int:
    seeds = list(dict.fromkeys(data for capture in guided.captured() for data in capture if len(data) <= MAX_INPUT))
    (guided.place(NAME) / "life.json").unlink(missing_ok=True)
    result, ok = guided.main(NAME, play, seeds, MAX_INPUT)
    if "played" not in result:
        result |= memory(60 * guided.minutes(30))
        ok = ok and result["flat"] is True
    print(json.dumps(result))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
