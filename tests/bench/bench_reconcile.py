"""Loading a million records, reconciling them with a million requests, on SQLite and on a PostgreSQL of its own.

    python tests/bench/bench_reconcile.py [--records 1000000] [--only sqlite|postgres] [--part own|foreign|live]
    python tests/bench/bench_reconcile.py --part own --database URL          # any database that is empty

Prints one line of JSON for each figure. Each part has a process and an empty database of its own: *own* are records
of Tally's requests, loaded, joined with these and judged; *foreign* are records of others, which become daily sums;
*live* counts a repeat while it is loaded. Records go in as JSON through `Store.load_all`, as from `tally load` and the
bus. Peak memory is of the whole process; records are generated in pieces, beside the time that counts, and not kept.
PostgreSQL is Debian's (where it is installed), with its own settings: what is committed is on the disk.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from itertools import chain
from pathlib import Path

from gui.reconcile import LiveCounts, score
from gui.store import AT_ONCE, LoadResult, NewRequest, Store, TestSpec, VerdictKind
from gui.store.engine import PRAGMAS

SERVERS = 50
SLOTS = 16
BATCH = AT_ONCE
USERS = 300
DIRECTORIES = 20
HELPER = Path(__file__).parents[1] / "gui" / "store" / "postgres.py"
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
                tags[i],
                path(round_number),
                f"root://s{i % SERVERS:02}.example.org:1094",
                "shared/c1",
                i,
                1 << 20,
                round=round_number + 1,
            )
            for i in range(wanted)
        ]
        store.add_requests(repeat, requests, 1.0)
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


def foreign_bodies(count: int) -> Iterator[list[bytes]]:
    """Records of others: USERS people at all servers, four files in a session, a hundred records a second."""
    batch: list[bytes] = []
    for i in range(count):
        access = blake2b(str(i).encode(), digest_size=16).hexdigest()
        server, user = i % SERVERS, i // SERVERS // 4 % USERS
        text = BODY % (access, access, 1000 + server, i, server, server, server, server, server, f"u{user}", f"u{user}",
                       "", path(i), 1048576, 1048576)  # fmt: skip
        when = 1_760_000_000 + i // 100
        text = text.replace('"/store/test"', f'"/store/user{user % DIRECTORIES}"')
        text = text.replace('"logical_dirname":"/store"', f'"logical_dirname":"/store/user{user % DIRECTORIES}"')
        text = text.replace(
            '"start_time":1760000001,"end_time":1760000002', f'"start_time":{when - 1},"end_time":{when}'
        )
        batch.append(text.encode())
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def loaded_rate(store: Store, batches: Iterator[list[bytes]], after: Callable[[int], None] = lambda _: None) -> float:
    """Records loaded in a second; what makes them is not counted, nor is `after`, which is told after each batch how
    many are in. By processor time, of all threads: the last of the reported figures."""
    given = loaded = 0
    outside = (0.0, 0.0)

    def clocks() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def beyond(begun: tuple[float, float]) -> None:
        nonlocal outside
        wall, cpu = clocks()
        outside = outside[0] + wall - begun[0], outside[1] + cpu - begun[1]

    def make() -> Iterator[list[bytes]]:
        nonlocal given
        while True:
            begun = clocks()
            batch = next(batches, None)
            beyond(begun)
            if batch is None:
                return
            given += len(batch)
            yield batch

    def told(result: LoadResult, _: float) -> None:
        nonlocal loaded
        loaded += result.final + result.foreign
        begun = clocks()
        after(loaded)
        beyond(begun)

    wall, cpu = clocks()
    store.load_all(make(), told, lambda: 20.0)
    wall, cpu = (now - then - out for now, then, out in zip(clocks(), (wall, cpu), outside, strict=True))
    assert loaded == given, f"{loaded:,} of {given:,} records"
    report("records loaded, processor time of all threads for each", cpu / loaded * 1e6, "us", "none")
    return loaded / wall


def bare_rate(store: Store) -> float:
    """The rows that `own` has loaded, inserted once more into a table and an index like theirs, in the same batches and
    transactions, by a program that does nothing else: what SQLite leaves for the loader to reach."""
    names = "tag_id, match_key, record_key, body, origin_id, file_id, read, path"
    directory = Path(str(store.database.url.database)).parent
    copy = sqlite3.connect(directory / "bare.db", isolation_level=None)
    for line in ("PRAGMA page_size=8192", "PRAGMA journal_mode=WAL", *PRAGMAS):
        copy.execute(line)
    copy.execute(f"ATTACH '{store.database.url.database}' AS loaded")
    for table in ("record", "ix_record_identity", "record_block"):
        copy.execute(copy.execute("SELECT sql FROM loaded.sqlite_master WHERE name = ?", (table,)).fetchone()[0])
    row = "(?, ?, ?, ?, ?, ?, ?, ?, 0, 0, NULL)"
    last, count, spent = 0, 0, 0.0
    while rows := copy.execute(
        f"SELECT {names} FROM loaded.record WHERE id > {last} ORDER BY id LIMIT {BATCH}"
    ).fetchall():
        last += len(rows)
        blocks = copy.execute("SELECT * FROM loaded.record_block ORDER BY id LIMIT ? OFFSET ?",
                              (-(-len(rows) // 512), count // 512)).fetchall()  # fmt: skip
        count += len(rows)
        begun = time.perf_counter()
        copy.execute("BEGIN IMMEDIATE")
        for start in range(0, len(rows), 100):
            part = rows[start : start + 100]
            copy.execute(
                f"INSERT INTO main.record ({names}, readv, write, flags) VALUES {', '.join([row] * len(part))}"
                " ON CONFLICT DO NOTHING",
                tuple(chain.from_iterable(part)),
            )
        copy.executemany("INSERT OR IGNORE INTO main.record_block VALUES (?, ?, ?)", blocks)
        copy.execute("COMMIT")
        spent += time.perf_counter() - begun
    copy.close()
    return count / spent


def own(store: Store, kind: str, count: int) -> None:
    """Records of ours: loaded, joined, judged."""
    repeat, tags = fill(store, count)
    rate = loaded_rate(store, bodies(tags, count))
    report(f"{kind}: records loaded", rate, "1/s", LIMITS[kind])
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
    if store.database.is_sqlite:
        bare = bare_rate(store)
        report(f"{kind}: the same rows inserted by sqlite3 alone", bare, "1/s", f"loaded: {rate / bare:.2f} of it")


def foreign(store: Store, kind: str, count: int) -> None:
    """Records of others."""
    report(f"{kind}: foreign records loaded", loaded_rate(store, foreign_bodies(count)), "1/s", LIMITS[kind])
    assert sum(row.accesses for row in store.usage("server", own=False)) == count


def live(store: Store, kind: str, count: int) -> None:
    """What the Live page asks while a repeat is loaded."""
    repeat, tags = fill(store, count)
    counts = LiveCounts(store, repeat)
    counts.look(0.0)
    times = []

    def look(_: int) -> None:
        begun = time.perf_counter()
        counts.look(20.0)
        times.append(time.perf_counter() - begun)

    loaded_rate(store, bodies(tags, count), look)
    name = f"{kind}: live look after {BATCH:,} new records, {count:,} requests open"
    report(name, sum(times) / len(times) * 1000, "ms", "1-2 looks/s")


PARTS = {"own": own, "foreign": foreign, "live": live}
LIMITS = {"SQLite": ">= 100000", "PostgreSQL": ">= 50000"}


def measure(part: str, address: str, count: int) -> None:
    """The figures of one part, in this process."""
    kind = "SQLite" if "://" not in address else "PostgreSQL"
    with Store(address) as store:
        PARTS[part](store, kind, count)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report(f"{kind}: peak memory, {part}", peak, "MiB", "<= 500")


def measure_apart(part: str, address: str, count: int) -> None:
    """The same in a process of its own."""
    here = [sys.executable, __file__, "--part", part, "--database", address, "--records", str(count)]
    subprocess.run(here, check=True)


def on_sqlite(parts: list[str], count: int) -> None:
    """All parts, each on a new file."""
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="tally-bench-") as directory:
            file = Path(directory) / "bench.db"
            measure_apart(part, str(file), count)
            if part == "own":
                report("SQLite: size of the file", file.stat().st_size / 2**20, "MiB", "none")


def on_postgres(parts: list[str], count: int) -> None:
    """All parts, each on a new server."""
    spec = importlib.util.spec_from_file_location("tally_test_postgres", HELPER)
    assert spec is not None
    assert spec.loader is not None
    helper = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(helper)
    programs = helper.find_programs()
    if programs is None:
        print("PostgreSQL is not installed (apt-get install postgresql); its figures are left out", file=sys.stderr)
        return
    for part in parts:
        server = helper.PrivatePostgres(programs, durable=True)
        try:
            measure_apart(part, server.url, count)
        finally:
            server.stop()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--part", choices=sorted(PARTS))
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    parser.add_argument("--database", help="measure one part on this empty database")
    arguments = parser.parse_args()
    if arguments.database:
        if not arguments.part:
            parser.error("--database is for one --part")
        measure(arguments.part, arguments.database, arguments.records)
        return 0
    parts = [arguments.part] if arguments.part else list(PARTS)
    if arguments.only != "postgres":
        on_sqlite(parts, arguments.records)
    if arguments.only != "sqlite":
        on_postgres(parts, arguments.records)
    return 0


if __name__ == "__main__":
    sys.exit(main())
