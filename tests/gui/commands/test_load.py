"""`tally load`, as typed."""

from __future__ import annotations

import gzip
import io
import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from agent.lab.broker import PrivateBroker
from gui.cli import main
from gui.commands import load
from gui.store import AT_ONCE, Store, engine, once
from shoveler.bus import Outgoing, open_publisher, open_topology, parse_bus_address
from tests.waiting import until

LIMIT = 120.0


def record(number: int) -> str:
    fields = {
        "kind": "file", "schema": 1, "record_id": f"{number:032x}.f", "access_id": f"{number:032x}", "final": True,
        "server_id": "7", "stod": 1_700_000_000, "file_id": number, "filename": f"/f{number}", "user": "somebody",
        "read": 1, "readv": 0, "write": 0, "start_time": 1_700_000_100, "end_time": 1_700_000_101,
    }  # fmt: skip
    return json.dumps(fields)


def test_what_is_there_already_is_not_loaded_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "records.jsonl"
    file.write_text("".join(record(number) + "\n" for number in range(3)))
    command = ["load", "--from", str(file), "--db", str(tmp_path / "w.db")]
    assert main(command) == 0
    assert "0 were already there; 3 of others counted" in capsys.readouterr().out
    assert main(command) == 0
    assert "3 were already there; 0 of others counted" in capsys.readouterr().out


def test_a_locked_workspace_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, database = tmp_path / "records.jsonl", tmp_path / "w.db"
    file.write_text(record(1))
    Store(database).close()
    monkeypatch.setattr(engine, "_BUSY_SECONDS", 0.05)
    monkeypatch.setattr(engine, "PRAGMAS", ("PRAGMA busy_timeout=50",))
    tell = load._busy
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        def told(store: Store, waits: bool) -> None:
            tell(store, waits)
            if waits:
                other.execute("ROLLBACK")

        monkeypatch.setattr(load, "_busy", told)
        assert main(["load", str(file), "--db", str(database)]) == 0
    said = capsys.readouterr()
    assert said.err == f"tally load: another program has locked {database}; waiting for it, up to 10 minutes\n"
    assert "1 of others counted" in said.out


def test_what_cannot_be_known_to_be_new_is_not_counted_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "REMEMBERED", 2)
    file, database = tmp_path / "records.jsonl", str(tmp_path / "w.db")
    file.write_text("".join(record(number) + "\n" for number in range(3)))
    with Store(database) as store:
        store.load(file.read_bytes().splitlines(), 1.0)
        store.load([], 86_400.0)
    assert main(["load", str(file), "--db", database]) == 0
    assert capsys.readouterr().out.splitlines()[1] == (
        "3 were not counted: single records of their days are no longer remembered, so they may have been counted "
        "before."
    )


def test_a_line_that_is_no_record_is_named_and_the_others_are_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "records.jsonl"
    # Beyond the first batch, too: the line's number is that in the file.
    lines = [record(1), "", "no json", *[record(2)] * AT_ONCE, '{"a": 1}', record(3)]
    file.write_text("\n".join(lines))
    assert main(["load", "--from", str(file), "--db", str(tmp_path / "w.db")]) == 1
    said = capsys.readouterr()
    problems = said.err.splitlines()
    assert problems[0].startswith(f"tally load: {file}, line 3: not a record: JSON is malformed")
    assert problems[1].startswith(
        f'tally load: {file}, line {AT_ONCE + 4:,}: not a record: a JSON object without "kind", in no'
    )
    assert len(problems) == 2
    assert "3 of others counted" in said.out
    assert "2 could not be read" in said.out


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", "--from", str(tmp_path / "none"), "--db", str(tmp_path / "w.db")]) == 2
    assert capsys.readouterr().err.startswith(f"tally: There is no file {tmp_path / 'none'}; ")


def test_a_plan_that_is_a_directory_is_named_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path), "--headless", "--db", str(tmp_path / "w.db")]) == 2
    assert capsys.readouterr().err == f"tally: The plan {tmp_path} cannot be read: Is a directory.\n"


def test_a_file_is_taken_in_every_form_in_which_people_have_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [json.loads(record(number)) for number in range(3)]
    lines = "".join(json.dumps(one) + "\n" for one in records).encode()
    forms = {
        "lines": lines,
        "lines.dos": b"\xef\xbb\xbf" + lines.replace(b"\n", b"\r\n\r\n"),
        "compressed": gzip.compress(lines),
        "array": json.dumps(records).encode(),
        "array.pretty": json.dumps(records, indent=2).encode(),
        "array.gz": gzip.compress(b" \n" + json.dumps(records, indent=2).encode()),
    }
    for name, content in forms.items():
        (tmp_path / name).write_bytes(content)
        assert main(["load", str(tmp_path / name), "--db", str(tmp_path / f"{name}.db")]) == 0, name
        assert "3 of others counted" in capsys.readouterr().out, name
    (tmp_path / "one").write_text(json.dumps(records[0], indent=2))
    assert main(["load", str(tmp_path / "one"), "--db", str(tmp_path / "one.db")]) == 0
    assert "1 of others counted" in capsys.readouterr().out
    for name in ("lines", "array.gz"):
        with io.TextIOWrapper(io.BytesIO(forms[name])) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            assert main(["load", "-", "--db", str(tmp_path / f"{name}-stdin.db")]) == 0, name
        assert "3 of others counted" in capsys.readouterr().out, name


def test_an_array_that_is_none_and_one_with_something_else_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").write_text("[" + record(1))
    assert main(["load", str(tmp_path / "a"), "--db", str(tmp_path / "a.db")]) == 2
    assert capsys.readouterr().err.startswith(
        f"tally: {tmp_path / 'a'} begins like an array of records but is not one: "
    )
    (tmp_path / "b").write_text(f"[{record(1)}, 5]")
    assert main(["load", str(tmp_path / "b"), "--db", str(tmp_path / "b.db")]) == 1
    assert capsys.readouterr().err.startswith(f"tally load: {tmp_path / 'b'}, record 2: not a record")


def test_what_records_of_another_collector_do_not_tell_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {
        "@timestamp": "2025-10-09T08:53:21Z", "start_time": 1_759_900_000, "serverID": "1759900000#192.0.2.1#9930",
        "server_hostname": "c1.example.org", "filename": "/user/a/f", "user": "a", "host": "h", "protocol": "xroot",
        "read": 5, "readv": 0, "write": 0,
    }  # fmt: skip
    file = tmp_path / "osg.jsonl"
    lines = [{**given, "end_time": 1_760_000_000 + number} for number in range(6000)]
    file.write_text("".join(json.dumps(line) + "\n" for line in [*lines, {**given, "end_time": 1, "write": -1}]))
    assert main(["load", str(file), "--db", str(tmp_path / "w.db")]) == 1
    said = capsys.readouterr()
    assert said.err == (
        f"tally load: {file}, line 6,001: a record of another collector has no number of bytes from 0 to 2^63 − 1 as "
        "'write'\n"
    )
    counts, notes = said.out.splitlines()
    assert "6,000 of others counted" in counts
    assert notes.startswith(
        "6,000 records came from the OSG's collector in Go. Such records do not contain: a record_id (two that agree "
        "in everything count as one), "
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["file", "--follow"], "--follow is only for a bus, and file is not one; leave it out."),
        (["file", "--queue", "q"], "--queue is only for a bus, and file is not one; leave it out."),
        (["file", "--from", "other"], "Both file and --from other are given; load one after the other."),
        ([], "Name what to load: tally load FILE, or tally load amqp://HOST/VHOST?queue=Q"),
    ],
)
def test_what_cannot_be_meant_is_refused(capsys: pytest.CaptureFixture[str], words: list[str], why: str) -> None:
    assert main(["load", *words]) == 2
    assert capsys.readouterr().err == f"tally: {why}\n"


def test_from_a_local_bus_all_is_loaded_that_is_there_and_no_queue_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "IDLE_SECONDS", 0.2)
    bus = tmp_path / "bus"
    with closing(open_topology(parse_bus_address(str(bus)))) as topology:
        topology.declare_exchange("xrd-records")
        topology.declare_queue("somebody else's", exchange="xrd-records")
    cursors = sorted(bus.rglob("*.cursor*"))
    with closing(open_publisher(parse_bus_address(str(bus)), exchange="xrd-records", writer="collector")) as publisher:
        publisher.send([Outgoing(record(number).encode(), f"{number}", "file.none") for number in range(3)])
        while publisher.pending:
            publisher.outcomes(1.0)
    for counted in ("0 were already there; 3 of others", "3 were already there; 0 of others"):
        assert main(["load", str(bus), "--db", str(tmp_path / "w.db")]) == 0
        assert counted in capsys.readouterr().out
    assert sorted(bus.rglob("*.cursor*")) == cursors


@pytest.mark.broker
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, None])
def test_from_a_broker_nothing_is_lost_and_no_queue_is_left_however_it_ends(
    broker: PrivateBroker, tmp_path: Path, end: signal.Signals | None
) -> None:
    exchange = f"records-{tmp_path.name}-{end}"
    command = [
        sys.executable,
        "-m",
        "gui.cli",
        "load",
        f"{broker.url}?exchange={exchange}",
        "--db",
        str(tmp_path / "w"),
    ]
    with closing(open_publisher(parse_bus_address(broker.url), exchange=exchange, writer="collector")) as publisher:

        def published(body: str) -> str:
            publisher.send([Outgoing(body.encode(), "id", "file.none")])
            while not (outcomes := publisher.outcomes(1.0)):
                pass
            return outcomes[0].status

        assert published(record(1)) == "returned", "there is no queue yet"
        with subprocess.Popen([*command, *(["--follow"] if end else [])]) as process:
            try:
                until(lambda: published(record(2)) == "confirmed")
                if end:
                    # Kept by SQLite before it is acknowledged.
                    until(lambda: counted(tmp_path / "w") == 1)
                    process.send_signal(end)
                process.wait(LIMIT)
            finally:
                process.kill()
        until(lambda: published(record(3)) == "returned")
    assert counted(tmp_path / "w") == 1


def counted(database: Path) -> int:
    """Accesses in a workspace, 0 as long as it is not made."""
    if not database.exists():
        return 0
    try:
        with closing(sqlite3.connect(database)) as connection:
            return int(connection.execute("SELECT coalesce(sum(accesses), 0) FROM daily").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
