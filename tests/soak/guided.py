"""What the fuzzers of this folder have in common: seeds, a corpus that stays, guidance by coverage, and the result.

Coverage-guided by atheris where it is installed, otherwise by chance. Inputs that reach new code are kept under
``build/soak/NAME/corpus``, so that the next run goes on from there; what breaks is kept beside them as ``found-…``.
"""

from __future__ import annotations

import base64
import json
import math
import os
import random
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from collector.correlate import Options
from collector.correlate.options import LOGICAL_DIRECTORIES

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT / "tests" / "captures"

CHILD = """
import sys
import atheris
sys.path.insert(0, {folder!r})
with atheris.instrument_imports(include=["collector"]):
    import {name}
atheris.Setup([{name!r}, *{arguments!r}], lambda data: {name}.play(bytes(data)))
atheris.Fuzz()
"""
"""The process that fuzzes: coverage must be there before our modules are imported. A module of its own name is what
it drives: ``play(input)`` raises when it finds something."""


MAX_BYTES = 300_000
_WAYS: dict[str, tuple[Any, ...]] = {
    "names": (None, lambda _: None, lambda _: "host.example.org", lambda ip: "" if ip.endswith("1") else f"h-{ip}.org"),
    "wlcg": (False, True),
    "wlcg_only": (False, True),
    "wlcg_path_prefixes": (("/store", "/user/dteam"), ("",)),
    "drop_vos": (frozenset(), frozenset({"cms"})),
    "drop_path_prefixes": ((), ("/store/d", "/data")),
    "grace": (20.0, 0.0),
    "settle": (12.0, 0.0),
    "ttl": (3600.0, 30.0),
    "logical_directories": (LOGICAL_DIRECTORIES, {"/": 1, "/store": 7, "": 2}),
}
"""What every option that changes the core's ways may be. All combinations are played: what is always there in one may
be missing in another."""
COMBINATIONS = math.prod(map(len, _WAYS.values()))


def options(number: int) -> Options:
    """Combination `number`, modulo how many there are; bounds are small, so that they are met."""
    chosen: dict[str, Any] = {}
    for name, ways in _WAYS.items():
        number, which = divmod(number, len(ways))
        chosen[name] = ways[which]
    return Options(max_bytes=MAX_BYTES, max_servers=8, max_age=20_000.0, host="c.example.org", **chosen)


def place(name: str) -> Path:
    """Where a fuzzer keeps its things."""
    return ROOT / "build" / "soak" / name


def minutes(default: float) -> float:
    """How long to fuzz."""
    return float(os.environ.get("TALLY_SOAK_MINUTES", default))


def captured() -> Iterator[list[bytes]]:
    """The datagrams of each real capture."""
    for path in sorted(CAPTURES.glob("*/*.jsonl")):
        yield [base64.b64decode(json.loads(line)["data"]) for line in path.read_text().splitlines()]


def lines_of(play: Callable[[bytes], None], data: bytes) -> set[tuple[str, int]]:
    """The lines of the collector that an input reaches."""
    found: set[tuple[str, int]] = set()

    def line(frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line":
            found.add((frame.f_code.co_filename, frame.f_lineno))
        return line

    def call(frame: FrameType, _event: str, _argument: object) -> Any:
        return line if "/collector/" in frame.f_code.co_filename else None

    sys.settrace(call)
    try:
        play(data)
    finally:
        sys.settrace(None)
    return found


def main(
    name: str, play: Callable[[bytes], None], seeds: list[bytes], max_input: int
) -> tuple[dict[str, object], bool]:
    """Fuzz for `minutes`; the result, and whether nothing was found. With a FILE in the arguments, play that once."""
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        play(Path(sys.argv[1]).read_bytes())
        return {"played": sys.argv[1]}, True
    at, seconds = place(name), 60 * minutes(30)
    corpus = at / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number:03d}").write_bytes(seed)
    before = len(list(corpus.iterdir()))
    findings = {path.name for path in at.glob("found-*")}
    try:
        import atheris  # noqa: F401

        guide = "atheris"
    except ImportError:
        guide = "chance"
    result: dict[str, object] = {"guide": guide, "seconds": round(seconds)}
    if guide == "atheris":
        done = _guided(name, at, seconds, max_input)
        ok = done.returncode == 0
        for line in done.stdout.splitlines():
            if line.startswith("stat::number_of_executed_units"):
                result["inputs"] = int(line.split(":")[-1])
        if not ok:
            print("\n".join(done.stdout.splitlines()[-30:]))
    else:
        try:
            result["inputs"], ok = _by_chance(at, play, seconds, max_input), True
        except Exception:
            traceback.print_exc()
            ok = False
    new = [path.name for path in at.glob("found-*") if path.name not in findings]
    size = len(list(corpus.iterdir()))
    return result | {"corpus": size, "new_in_corpus": size - before, "findings": new}, ok and not new


def _guided(name: str, at: Path, seconds: float, max_input: int) -> subprocess.CompletedProcess[str]:
    """Let atheris run for so long, in a process of its own (it ends the process itself)."""
    arguments = [
        str(at / "corpus"),
        f"-max_total_time={int(seconds)}",
        f"-max_len={max_input}",
        "-rss_limit_mb=3000",
        "-timeout=60",
        f"-artifact_prefix={at}/found-",
        "-print_final_stats=1",
    ]
    code = CHILD.format(folder=str(Path(__file__).parent), name=name, arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    (at / "log").write_text(done.stdout)
    return done


def _by_chance(at: Path, play: Callable[[bytes], None], seconds: float, max_input: int) -> int:
    """Mutate seeds at random for so long. The number of inputs played; a finding is written and raised."""
    rng = random.Random()
    pool = [path.read_bytes() for path in (at / "corpus").iterdir()] or [b"\0\0\1="]
    played, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = bytearray(rng.choice(pool))
        for _ in range(rng.choice([1, 1, 2, 5, 30])):
            where = rng.randrange(len(data) + 1)
            change = rng.random()
            if change < 0.5 and where < len(data):
                data[where] = rng.choice([0, 1, 127, 255, rng.randrange(256)])
            elif change < 0.7:
                data[where : where + rng.randrange(20)] = rng.randbytes(rng.randrange(20))
            else:
                other = rng.choice(pool)
                begin = rng.randrange(len(other) + 1)
                data[where:where] = other[begin : begin + rng.randrange(2000)]
        script = bytes(data[:max_input])
        try:
            play(script)
        except BaseException:
            (at / f"found-{random.randrange(1 << 32):08x}").write_bytes(script)
            raise
        played += 1
    return played
