"""Loading records and reconciling a million requests with a million records, on SQLite and (if asked) PostgreSQL.

    python tests/bench/bench_reconcile.py [--requests 1000000] [--database URL] [--keep DIR]

Prints one line of JSON for each figure. The database is made from nothing in a temporary directory; records go in as
JSON through `Store.load`, in batches of 10,000, as the bus consumer hands them over. Peak memory is of the whole
process, the generated records included, which are made in pieces and not kept.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from gui.reconcile import LiveCounts, score
from gui.store import NewRequest, Store, TestSpec, VerdictKind

SERVERS = 50
SLOTS = 16
BATCH = 10_000
BODY = (
    '{"kind":"file","schema":1,"record_id":"%s.f","access_id":"%s","final":true,"server_id":"%d","stod":1760000000,'
    '"file_id":%d,"serverID":"1760000000#192.0.2.%d#1094","server":"s%02d.example.org","server_ip":"192.0.2.%d",'
    '"server_hostname":"s%02d.example.org","port":1094,"instance":"s%02d","site":"SITE-A","version":"5.5.3",'
    '"@timestamp":"2025-10-09T08:53:21Z","start_time":1760000001,"end_time":1760000002,"operation_time":1,'
    '"time_min":1760000000,"time_max":1760000005,"user":"%s","session_tag":"%s","protocol":"xroot","host":"192.0.2.99",'
    '"ipv6":false,"appinfo":"tally:%s","filename":"%s","dirname1":"/store","dirname2":"/store/test",'
    '"logical_dirname":"/store","filesize":1048576,"read":%d,"readv":0,"write":0,"read_single_bytes":%d,'
    '"read_vector_bytes":0,"read_bytes_at_close":1048576,"write_bytes_at_close":0,"read_operations":1,'
    '"read_single_operations":1,"read_vector_operations":0,"write_operations":0,"read_min":1048576,"read_max":1048576,'
    '"read_single_min":1048576,"read_single_max":1048576,"read_average":1048576.0,"read_single_average":1048576.0,'
    '"access_type":"read","forced":0,"HasFileCloseMsg":1,"shoveler":"5f2c9e8b7a6d"}'
)


def report(name: str, value: float, unit: str, limit: str) -> None:
    """One figure as a line of JSON."""
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit, "limit_or_peer": limit}), flush=True)


def fill(store: Store, count: int) -> tuple[int, list[str]]:
    """A repeat of `count` requests that were all read; returns its id and the tags, of SLOTS × SERVERS sessions."""
    per_tag = -(-count // (SERVERS * SLOTS))
    run = store.create_run(
        name="bench", plan_text="", settle=90.0, tests=[TestSpec(SERVERS, count // SERVERS, 100)], now=1.0
    )
    repeat = store.start_repeat(run, 1, 1, 1.0)
    tags = store.allocate_tags(SERVERS * SLOTS)
    begun = time.perf_counter()
    for round_number in range(per_tag):
        wanted = min(len(tags), count - round_number * len(tags))
        requests = [
            NewRequest(
                tags[i], path(round_number), f"root://s{i % SERVERS:02}.example.org:1094", "shared/c1", i, 1 << 20
            )
            for i in range(wanted)
        ]
        store.add_requests(repeat, round_number + 1, requests, 1.0)
    report("requests entered", count / (time.perf_counter() - begun), "1/s", "none; 3,500/s are made by one client")
    with store.database.write() as connection:  # what the journal would do line by line, at once
        connection.exec_driver_sql(
            "UPDATE request SET state = 2, ok = 1, t_started = 10, t_open = 10, t_close = 11, read_asked = 1048576,"
            " read_got = 1048576, read_ops = 1"
        )
    return repeat, tags


def path(number: int) -> str:
    return f"/store/test/dir{number % 100:02}/file{number:06}.root"


def bodies(tags: list[str], count: int) -> Iterator[list[bytes]]:
    """Records of all requests but one in 1,000, one in 1,000 with wrong bytes; a repeat's tags come interleaved."""
    batch: list[bytes] = []
    for i in range(count):
        place, number = i % len(tags), i // len(tags)
        if i % 1000 == 7:
            continue
        access = blake2b(str(i).encode(), digest_size=16).hexdigest()
        server, tag = place % SERVERS, tags[place]
        read = 1048576 if i % 1000 != 8 else 500
        batch.append(
            (
                BODY
                % (access, access, 1000 + server, i, server, server, server, server, server, tag, tag, tag,
                   path(number), read, read)
            ).encode()
        )  # fmt: skip
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def measure(address: str, count: int) -> None:
    """All figures for one database."""
    kind = "SQLite" if "://" not in address else "PostgreSQL"
    with Store(address) as store:
        repeat, tags = fill(store, count)
        live = LiveCounts(store, repeat)
        live.look(0.0)
        spent = looked = 0.0
        loaded = looks = 0
        for batch in bodies(tags, count):
            begun = time.perf_counter()
            loaded += store.load(batch, 20.0).final
            spent += time.perf_counter() - begun
            if loaded // BATCH % 4 == 0:
                begun = time.perf_counter()
                live.look(20.0)
                looked += time.perf_counter() - begun
                looks += 1
        report(f"{kind}: records loaded", loaded / spent, "1/s", ">= 100000")
        report(f"{kind}: live look after 40,000 new records", looked / max(1, looks) * 1000, "ms", "1-2 looks/s")
        times = []
        for _ in range(3):
            begun = time.perf_counter()
            entry = score(store, repeat, "recheck", 30.0)
            times.append(time.perf_counter() - begun)
        assert entry.total == count
        assert entry.missing == sum(1 for i in range(count) if i % 1000 == 7), entry
        assert entry.wrong_bytes == sum(1 for i in range(count) if i % 1000 == 8), entry
        assert entry.matched == count - entry.missing - entry.wrong_bytes
        assert len(store.requests(repeat, verdict=VerdictKind.MISSING, limit=10)) == min(10, entry.missing)
        report(f"{kind}: join and verdicts of {count:,} requests", sorted(times)[1], "s", "<= 5 for 1,000,000")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report(f"{kind}: peak memory", peak, "MiB", "<= 500")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--database", help="measure this empty PostgreSQL database instead of an SQLite file")
    arguments = parser.parse_args()
    if arguments.database:
        measure(arguments.database, arguments.requests)
        return 0
    with tempfile.TemporaryDirectory(prefix="tally-bench-") as directory:
        file = Path(directory) / "bench.db"
        measure(str(file), arguments.requests)
        report("SQLite: size of the file", file.stat().st_size / 2**20, "MiB", "none")
    return 0


if __name__ == "__main__":
    sys.exit(main())
