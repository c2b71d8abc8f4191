"""The collector's core on one core: datagrams in, JSON records out, against a bare loop over the same datagrams.

The load is that of a busy server: f-stream datagrams of at most 1452 bytes, each with opens and closes of files that
are read, by sessions that are known. A *full record* has every field that such an access has.

The *bare loop* is the least that a Python program must do to write the very same records from this load (which is
verified): read both f-stream records of a file with precompiled structs, keep the open until its close comes, look up
the ready-made text of session and directory, compute id and averages, fill in templates. It is written for this load
alone: it knows the server, sessions and directories beforehand, follows no sequence, looks for no duplicate, keeps no
closed ids, checks no length, flag or character, and has no other case.

Both are timed in turns, several times, by processor time; the figure is the median. So are the cores of the peers, in
programs of their own, where they can be had (see peers.py). Garbage is collected as in the daemon and the peers.

    python tests/bench/bench_collector_core.py [--records N] [--profile]
"""

from __future__ import annotations

import argparse
import cProfile
import datetime
import gc
import hashlib
import json
import random
import re
import statistics
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import peers

from collector.correlate import Correlator
from collector.engine import collect_garbage_seldom

SID = 34923666814074
STOD = 1_795_320_476
REMOTE = "192.0.2.1:40000"
SESSIONS = 64
CYCLE = 100
"""Datagrams between two checkpoints, as the shell takes them."""


def maps() -> list[bytes]:
    texts = [
        (b"=", 0, f"=/root.25204:{SID}@se01.example.org\n&site=SITE-A&port=21084&inst=disk1&pgm=xrootd&ver=v5.5.3")
    ]
    for user in range(1, SESSIONS + 1):
        name = f"xroot/tag{user:05d}.{25000 + user}:{SID}@[::ffff:198.51.100.{user}]"
        texts.append((b"u", user, f"{name}\n&p=unix&n=root&h=host&o=cms&r=&g=root&m=&R=v6.2.1&x=python3.11&y=&I=4"))
        texts.append((b"i", 1000 + user, f"{name}\ntally:tag{user:05d}"))
    return [
        struct.pack(">cBHII", code, number % 256, 12 + len(text), STOD, dictid) + text.encode()
        for number, (code, dictid, text) in enumerate(texts)
    ]


def fstream(records: int, *, mixed: bool) -> list[bytes]:
    """Datagrams with `records` opens and as many closes. `mixed`: vector reads, writes and forced closes among them."""
    rng = random.Random(1)
    found: list[bytes] = []
    file_id, number, clock = 2000, 0, STOD + 60
    while records > 0:
        body, count, kept = b"", 0, []
        while len(body) < 1452 - 32 - 150:
            name = b"/store/data/run%03d/file%06d.root" % (file_id % 50, file_id)
            size = rng.randrange(1 << 20, 1 << 31)
            length = (20 + len(name) + 8) & ~3
            user = rng.randrange(1, SESSIONS + 1)
            body += struct.pack(">BBHIqI", 1, 1, length, file_id, size, user) + name.ljust(length - 20, b"\0")
            kept.append((file_id, size))
            file_id += 1
            ops, readv, write, flags = rng.randrange(1, 40), 0, 0, 2
            read = rng.randrange(ops, size)
            vectors = [0, 0, 0]
            if mixed and file_id % 4 == 0:
                readv, vectors = rng.randrange(1, size), [2, 3, 30]
            elif mixed and file_id % 9 == 0:
                write, read, ops = read, 0, 0
            elif mixed and file_id % 31 == 0:
                flags = 3
            body += struct.pack(
                ">BBHIqqqIIIHHqIIIIII", 0, flags, 80, file_id - 1, read, readv, write, ops, vectors[0], int(write > 0),
                vectors[0], vectors[1], vectors[2], 1000 if ops else 0, 1 << 20 if ops else 0,
                100 * vectors[0], 5000 * vectors[0], write and 10, write and 20,
            )  # fmt: skip
            count += 2
            records -= 1
        if number % 20 == 0:
            clock += 1
        tod = struct.pack(">BBHHHIIQ", 2, 1, 24, 0, count, clock, clock + 2, SID)
        found.append(struct.pack(">cBHI", b"f", number % 256, 32 + len(body), STOD) + tod + body)
        number += 1
    return found


class Bare:
    """The bare loop, with what it must know of a load; taken from records that the core has written for it."""

    HEAD = (
        b'{"kind":"file","schema":1,"record_id":"%b.f","access_id":"%b","final":true,"file_id":%d,"start_time":%d,'
        b'"time_min":%d,"time_max":%d,"end_time":%d,"operation_time":%d,"@timestamp":"%b","filesize":%d,'
        b'"HasFileCloseMsg":1,"forced":%d,'
    )
    TAIL = (
        b'"read":%d,"readv":0,"write":0,"read_single_bytes":%d,"read_vector_bytes":0,"read_bytes_at_close":%d,'
        b'"write_bytes_at_close":0,"read_operations":%d,"read_single_operations":%d,"read_vector_operations":0,'
        b'"write_operations":0,"access_type":"read","read_single_min":%d,"read_single_max":%d,'
        b'"read_single_average":%b,"read_min":%d,"read_max":%d,"read_average":%b}'
    )

    def __init__(self, written: list[bytes]) -> None:
        self.sessions: dict[int, bytes] = {}
        self.directories: dict[bytes, bytes] = {}
        own = {*re.findall(rb'"([a-z_@A-Z]+)":', self.HEAD + self.TAIL), b"filename"}
        for body in written:
            fields = {k: v for k, v in json.loads(body).items() if k.encode() not in own}
            path = json.loads(body)["filename"].rpartition("/")[0].encode()
            where = {k: fields.pop(k) for k in ("dirname1", "dirname2", "logical_dirname")}
            user = int(fields["user"].removeprefix("tag"))
            self.sessions[user] = json.dumps(fields, separators=(",", ":")).encode()[1:-1] + b',"filename":"'
            self.directories[path] = b'",' + json.dumps(where, separators=(",", ":")).encode()[1:-1] + b","

    def run(self, datagrams: list[bytes], keep: list[bytes] | None = None) -> int:
        """Write the records; how many. They are added to `keep` when it is given."""
        head = struct.Struct(">BBHI").unpack_from
        opened = struct.Struct(">qI").unpack_from
        closed = struct.Struct(">qqqIIIHHqIIIIII").unpack_from
        window = struct.Struct(">HIIQ").unpack_from
        pack = struct.Struct(">II").pack
        number = msgspec.json.Encoder().encode
        base = hashlib.blake2b(struct.pack(">QI", SID, STOD), digest_size=16)
        sessions, directories = self.sessions, self.directories
        files: dict[int, tuple[int, int, int, int, bytes]] = {}
        out: list[bytes] = []
        total, stamp_of, stamp = 0, 0, b""
        for turn, data in enumerate(datagrams, 1):
            end = len(data)
            records, begin, finish, _ = window(data, 14)
            span, place, offset = finish - begin, 0, 32
            while offset < end:
                kind, flags, size, file_id = head(data, offset)
                time_ = begin + span * place // records
                if kind == 1:
                    length, user = opened(data, offset + 8)
                    name = data[offset + 20 : offset + size].rstrip(b"\0")
                    files[file_id] = (time_, begin, length, user, name)
                else:
                    start, t_min, length, user, name = files.pop(file_id)
                    read, _, _, reads, _, _, _, _, _, rmin, rmax, _, _, _, _ = closed(data, offset + 8)
                    if time_ != stamp_of:
                        moment = datetime.datetime.fromtimestamp(time_, datetime.UTC)
                        stamp_of, stamp = time_, moment.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
                    digest = base.copy()
                    digest.update(pack(file_id, t_min))
                    identity = digest.hexdigest().encode()
                    average = number(read / reads)
                    first = self.HEAD % (
                        identity, identity, file_id, start, t_min, finish, time_, time_ - start, stamp, length,
                        flags & 1,
                    )  # fmt: skip
                    last = self.TAIL % (
                        read, read, read, reads, reads, rmin, rmax, average, rmin, rmax, average,
                    )  # fmt: skip
                    path = directories[name[: name.rfind(b"/")]]
                    out.append(b"".join((first, sessions[user], name, path, last)))
                offset += size
                place += 1
            if turn % CYCLE == 0:
                total += len(out)
                if keep is not None:
                    keep += out
                out.clear()
        if keep is not None:
            keep += out
        return total + len(out)


def core(datagrams: list[bytes], *, checkpoints: bool = False, keep: list[bytes] | None = None) -> int:
    """The real thing. Returns the number of records; they are added to `keep` when it is given."""
    correlator = Correlator()
    t = STOD + 60.0
    for data in maps():
        correlator.feed(data, REMOTE, t)
    total = 0
    for place, data in enumerate(datagrams, 1):
        correlator.feed(data, REMOTE, t)
        if place % CYCLE == 0 or place == len(datagrams):
            t += 0.1
            correlator.advance(t)
            records = correlator.take()
            total += len(records)
            if keep is not None:
                keep += (record.body for record in records)
            if checkpoints:
                correlator.changes()
    return total


def rates(
    runs: dict[str, Callable[[], int]], others: dict[str, Callable[[], dict[str, Any]]], expected: int, repeats: int = 7
) -> dict[str, float]:
    """Records per second of processor time of each, the median of `repeats` runs in turns; `others` time themselves."""
    found: dict[str, list[float]] = {name: [] for name in (*runs, *others)}
    for _ in range(repeats):
        for name, other in others.items():
            said = other()
            found[name].append(said["records"] / said["cpu_seconds"])
            assert said["records"] == expected, (name, said, expected)
        for name, run in runs.items():
            gc.collect()
            begin = time.process_time()
            records = run()
            found[name].append(records / (time.process_time() - begin))
            assert records == expected, (name, records, expected)
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=60_000)
    parser.add_argument("--profile", action="store_true", help="show where the time goes")
    options = parser.parse_args()
    reads, mixed = fstream(options.records, mixed=False), fstream(options.records, mixed=True)
    if options.profile:
        cProfile.runctx("core(reads)", globals(), locals(), sort="tottime")
        return
    collect_garbage_seldom()  # as the daemon does
    written: list[bytes] = []
    core(reads, keep=written)
    bare = Bare(written)
    same: list[bytes] = []
    bare.run(reads, keep=same)
    assert list(map(json.loads, same)) == list(map(json.loads, written)), "the bare loop writes other records"
    del written, same
    with tempfile.TemporaryDirectory(prefix="bench-core-") as place:
        packets = Path(place) / "packets.jsonl"
        others: dict[str, Callable[[], dict[str, Any]]] = {}
        if peers.find("collector-core"):
            others["Go collector"] = lambda: peers.go_core(packets)
        if peers.find("python-collector") and peers.find("python"):
            others["Python collector"] = lambda: peers.python_core(packets)
        if others:
            peers.write_packets(packets, maps() + reads, REMOTE)
        compare(bare, reads, mixed, options.records, others)


def compare(
    bare: Bare,
    reads: list[bytes],
    mixed: list[bytes],
    records: int,
    others: dict[str, Callable[[], dict[str, Any]]],
) -> None:
    """Time everything in turns and print the figures."""
    names = ("bare loop", "core, full records", "core, mixed accesses", "core, full records, with checkpoint rows")
    found = rates(
        {
            names[0]: lambda: bare.run(reads),
            names[1]: lambda: core(reads),
            names[2]: lambda: core(mixed),
            names[3]: lambda: core(reads, checkpoints=True),
        },
        others,
        records,
    )
    beside = "".join(f"; {name} here: {found[name]:,.0f}" for name in others)
    limits = ("seen elsewhere: 240,000 to 325,000", "at least 150,000" + beside, "", "")
    for name, limit in zip(names, limits, strict=True):
        figure = {
            "name": f"collector: {name}",
            "value": round(found[name]),
            "unit": "records/s",
            "limit_or_peer": limit,
        }
        print(json.dumps(figure))
    ratio = found[names[1]] / found[names[0]]
    figure = {
        "name": "collector: core / bare loop",
        "value": round(ratio, 2),
        "unit": "",
        "limit_or_peer": "at least 0.7",
    }
    print(json.dumps(figure))


if __name__ == "__main__":
    main()
