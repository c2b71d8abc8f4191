"""Bundles from people who mean no good, and what is done with each: the table in docs/bundles.md is made of them.

Each takes a `Forge` (see conftest) over a signed bundle and gives a path. Names of functions are not used: the sentence
beside each is its row in the table.
"""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

Make = Callable[[Any], Path]

REQUESTS, RECORDS, VERDICTS, SAMPLES = "requests.ndjson", "records.ndjson", "verdicts.ndjson", "samples.ndjson"


def _file(content: bytes) -> Make:
    def make(forge: Any) -> Path:
        path: Path = forge.path.with_name("forged.tally.zip")
        path.write_bytes(content)
        return path

    return make


def _pipe(forge: Any) -> Path:
    path: Path = forge.path.with_name("forged.tally.zip")
    os.mkfifo(path)
    return path


def _cut(forge: Any) -> Path:
    content = forge.path.read_bytes()
    return _file(content[: len(content) // 2])(forge)


def _damaged(forge: Any) -> Path:
    content = bytearray(forge.path.read_bytes())
    with zipfile.ZipFile(forge.path) as archive:
        info = archive.getinfo(REQUESTS)
    content[info.header_offset + 30 + len(info.filename) + 60] ^= 0xFF
    return _file(bytes(content))(forge)


def _with(name: str, **more: Any) -> Make:
    """With one more part."""

    def make(forge: Any) -> Path:
        path: Path = forge.changed({})
        with zipfile.ZipFile(path, "a", more.get("method", zipfile.ZIP_DEFLATED)) as archive:
            archive.writestr(name, more.get("content", b"x"))
        return path

    return make


def _bzip2(forge: Any) -> Path:
    path: Path = forge.path.with_name("forged.tally.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in forge.parts().items():
            archive.writestr(name, content, zipfile.ZIP_BZIP2 if name == RECORDS else zipfile.ZIP_DEFLATED)
    return path


def _patched(name: str, *, local: int, central: int, value: bytes, like: bytes | None = None) -> Make:
    """With bytes of the two headers of a part replaced (at these offsets)."""

    def make(forge: Any) -> Path:
        path: Path = forge.changed({} if like is None else {name: like})
        content = bytearray(path.read_bytes())
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(name)
            start = archive.start_dir
        here = content.index(name.encode(), start) - 46
        content[info.header_offset + local : info.header_offset + local + len(value)] = value
        content[here + central : here + central + len(value)] = value
        path.write_bytes(bytes(content))
        return path

    return make


def _large_directory(forge: Any) -> Path:
    path: Path = forge.changed({})
    content = bytearray(path.read_bytes() + bytes(2**22))
    end = content.rindex(b"PK\5\6")
    record = content[end : end + 22]
    struct.pack_into("<I", record, 12, 2**22)
    return _file(bytes(content[:end] + bytes(2**22) + record))(forge)


def _many(forge: Any) -> Path:
    path: Path = forge.path.with_name("forged.tally.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(30_000):
            archive.writestr(f"{number:06}", b"")
    return path


def _manifest(**changes: Any) -> Make:
    return lambda forge: forge.sealed({}, **changes)


def _run(**changes: Any) -> Make:
    return lambda forge: forge.run(**changes)


def _text(part: str, old: bytes, new: bytes) -> Make:
    """With the first `old` in the text of a part replaced."""

    def make(forge: Any) -> Path:
        content = forge.content(part)
        assert old in content
        return forge.sealed({part: content.replace(old, new, 1)})

    return make


def _row(part: str, number: int, changes: dict[int, Any]) -> Make:
    """With values in one line replaced."""

    def make(forge: Any) -> Path:
        rows = forge.rows(part)
        for place, value in changes.items():
            rows[number][place] = value
        return forge.with_rows(part, rows)

    return make


def _rows(part: str, change: Callable[[list[Any]], list[Any]]) -> Make:
    return lambda forge: forge.with_rows(part, change(forge.rows(part)))


def _field(part: str, number: int, **changes: Any) -> Make:
    return _rows(part, lambda rows: [*rows[:number], rows[number] | changes, *rows[number + 1 :]])


def _scorings(**changes: Any) -> Make:
    return lambda forge: forge.scorings(**changes)


def _server(url: str) -> Make:
    def make(forge: Any) -> Path:
        servers = forge.json("run.json")["servers"]
        return forge.run(servers=[servers[0] | {"url": url}, *servers[1:]])

    return make


def _status(body: str) -> Make:
    def make(forge: Any) -> Path:
        (status,) = forge.json("run.json")["statuses"]
        return forge.run(statuses=[status | {"last": body}])

    return make


def _all_passed(*, verdicts: bool) -> Make:
    """Every figure says 100 %; with or without the verdicts that say otherwise."""

    def make(forge: Any) -> Path:
        run = forge.json("run.json")
        for repeat in run["repeats"]:
            for figures in repeat["scorings"]:
                figures |= {"matched": figures["total"], "recorded": figures["total"]}
                figures |= dict.fromkeys(("late", "missing", "wrong_bytes", "duplicate", "client_failed"), 0)
        run |= {"state": "passed", "message": "1 of 1 test passed"}
        changes = {"run.json": msgspec.json.encode(run)}
        return forge.sealed(changes if verdicts else changes | {VERDICTS: b""})

    return make


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def _overlapping(forge: Any) -> Path:
    """Two entries of the directory lead to one part."""
    path: Path = forge.changed({})
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo(SAMPLES).header_offset
        here = content.index(VERDICTS.encode(), archive.start_dir) - 46
    struct.pack_into("<I", content, here + 42, place)
    return _file(bytes(content))(forge)


def _with_script(forge: Any) -> Path:
    return _file(b"#!/bin/sh\nrm -rf ~\n" + forge.changed({}).read_bytes())(forge)


def _commented(forge: Any) -> Path:
    path: Path = forge.changed({})
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"\x1b[2J" * 10_000
    return path


def _linked(forge: Any) -> Path:
    """Every part says that it is a symbolic link, the samples to a file of the machine."""
    path: Path = forge.path.with_name("forged.tally.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in forge.parts().items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, b"/etc/passwd" if name == SAMPLES else content)
    return path


def _test(**changes: Any) -> Make:
    return lambda forge: forge.run(tests=[forge.json("run.json")["tests"][0] | changes])


def _all(part: str, changes: dict[int, Any]) -> Make:
    """With values in all lines replaced."""
    return _rows(part, lambda rows: [[changes.get(place, value) for place, value in enumerate(row)] for row in rows])


def _passed_with(**lists: Any) -> Make:
    """Said to have passed, with nothing that anybody was asked for."""

    def make(forge: Any) -> Path:
        run = forge.json("run.json") | {"state": "passed", "message": "all passed"} | lists
        return forge.sealed(
            {"run.json": msgspec.json.encode(run), REQUESTS: b"", RECORDS: b"", VERDICTS: b"", SAMPLES: b""}
        )

    return make


def _unscored(forge: Any) -> Path:
    """Said to have passed; requests and records are there, and no figures."""
    run = forge.json("run.json") | {"state": "passed"}
    run["repeats"] = [repeat | {"scorings": []} for repeat in run["repeats"]]
    path: Path = forge.sealed({"run.json": msgspec.json.encode(run), VERDICTS: b""})
    return path


def _second_repeat_out(forge: Any) -> Path:
    """Without the second of two repeats, and without all that it had."""
    run = forge.json("run.json") | {"state": "passed"}
    run["repeats"] = run["repeats"][:1]
    requests = [row for row in forge.rows(REQUESTS) if row[0] == 0]
    tags = {row[5] for row in requests}
    parts = {
        REQUESTS: requests,
        RECORDS: [row for row in forge.rows(RECORDS) if row["session_tag"] in tags],
        VERDICTS: [row for row in forge.rows(VERDICTS) if row[0] == 0],
        SAMPLES: [],
    }
    lines = {part: b"".join(msgspec.json.encode(row) + b"\n" for row in rows) for part, rows in parts.items()}
    path: Path = forge.sealed({"run.json": msgspec.json.encode(run), **lines})
    return path


def _backwards(rows: list[Any]) -> list[Any]:
    """Datagrams that ended before they began."""
    return [[*row[:13], row[13] and row[13] | {"begin": 9e10, "end": 0.0, "class": "\u202e"}] for row in rows]


_MAD = {
    "clients": [1, "x", {"name": {}, "cpus": []}], "fstat_seconds": [1], "flush_seconds": {"a": 1}, "files": "x",
    "lab": "yes", "host": [[]], "kernel": 7, "servers": {}, "hub": None,
}  # fmt: skip
_PROCESS = {"sid": "1", "stod": 2**62, "sender": "[::", "host": "\0", "port": -1, "last": 1e300, "ended": -1e300}


def _changed_after(forge: Any) -> Path:
    rows = forge.rows(RECORDS)
    rows[0]["read"] += 1
    return forge.changed({RECORDS: b"".join(msgspec.json.encode(row) + b"\n" for row in rows)})


def _signature_of_another(forge: Any) -> Path:
    signature = forge.content("signature.json")
    path: Path = forge.run(message="another one")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("signature.json", signature)
    return path


HOSTILE: list[tuple[str, Make]] = [
    # no zip file, or not one of these
    ("a text called .zip", _file(b"hello")),
    ("nothing", _file(b"")),
    ("a named pipe that nobody writes to", _pipe),
    ("half of a bundle", _cut),
    ("a byte flipped in the middle", _damaged),
    ("a part missing", lambda forge: forge.changed({RECORDS: None})),
    ("a part more: ../../.ssh/authorized_keys", _with("../../.ssh/authorized_keys")),
    ("a part more: /etc/passwd", _with("/etc/passwd")),
    ("a part there twice", _with("run.json", content=b"{}")),
    ("a name with a NUL in it", _patched(SAMPLES, local=30 + 8, central=46 + 8, value=b"\0")),
    ("an encrypted part", _patched("manifest.json", local=6, central=8, value=b"\1")),
    ("a part in another compression", _bzip2),
    ("a bomb: 50 MB of zeros in 50 kB", lambda forge: forge.changed({RECORDS: b"0" * 50_000_000})),
    ("a bomb that says it is small",
     _patched(RECORDS, local=22, central=24, value=struct.pack("<I", 1000), like=b"0" * 50_000_000)),
    ("two parts at one place", _overlapping),
    ("a size of 4 GiB", _patched(SAMPLES, local=22, central=24, value=b"\xff\xff\xff\xff")),
    ("parts that are symbolic links", _linked),
    ("a directory of 4 MiB", _large_directory),
    ("30,000 parts", _many),
    # what is said cannot be read
    ("another format", _manifest(format="holiday-photos")),
    ("a newer schema", _manifest(schema=99, tally="9.9")),
    ("a manifest of 1 MB", _manifest(by="x" * 1_000_000)),
    ("a manifest with a line more than there is", _manifest(requests=17)),
    ("a manifest without sums", _manifest(parts={})),
    ("a signature on a schema that had none",
     lambda forge: forge.changed({"manifest.json": msgspec.json.encode(
         forge.json("manifest.json") | {"schema": 2, "parts": {}})})),
    ("10,000 brackets", lambda forge: forge.sealed({"run.json": b"[" * 10_000})),
    ("an environment of 30 levels", _run(environment={"deep": _nested(30)})),
    ("a number of 5,000 digits", _text("run.json", b'"host-a"', b"9" * 5_000)),
    ("a number beyond 64 bits where anything may be", _text("run.json", b'"host-a"', b"9" * 20)),
    ("NaN for a time", _text("run.json", b'"created":', b'"created":NaN,"was":')),
    ("1e999 for a time", _text("run.json", b'"created":', b'"created":1e999,"was":')),
    ("text that is not UTF-8", _text("run.json", b"a note", b"a \xff note")),
    ("a byte order mark", lambda forge: forge.sealed({"run.json": b"\xef\xbb\xbf" + forge.content("run.json")})),
    ("half a surrogate pair", _text("run.json", b"a note", b"a \\ud800 note")),
    ("a line of 400 KiB", _row(REQUESTS, 3, {24: "x" * 400 * 1024})),
    ("a column more than there are", _rows(REQUESTS, lambda rows: [*rows[:3], [*rows[3], 1], *rows[4:]])),
    ("a corrupt line among the records", _text(RECORDS, b'{"kind"', b'{"kind')),
    ("a record of another kind", _field(RECORDS, 2, kind="cache")),
    ("a record with -1 bytes", _field(RECORDS, 2, read=-1)),
    ("a record with 1e300 bytes", _field(RECORDS, 2, read=1e300)),
    ("a status message that is none", _status("{}")),
    ("a status message with numbers of 30 digits", _status(
        '{"id":"s","started":1,"t":2,"host":"h","version":"1","kernel_drops":' + "9" * 30 + "}")),
    # what is said cannot be
    ("matched = 2^63 - 1", _scorings(matched=2**63 - 1)),
    ("more matched than there are", _scorings(matched=9)),
    ("more requests counted than there are", _scorings(total=9, missing=9)),
    ("more recorded than asked for", _scorings(recorded=9)),
    ("a pass mark of -1 %", _text("run.json", b'"pass_at":100.0', b'"pass_at":-1')),
    ("a round of no files", _test(per_round=0)),
    ("a test of no servers", _test(servers=0)),
    ("bytes that add up to more than 64 bits", _rows(REQUESTS, lambda rows: [
        [*row[:14], 2**62, *row[15:]] for row in rows])),
    ("a time a hair after 1970", _row(REQUESTS, 0, {11: 5e-324})),
    ("the address root://[::1", _server("root://[::1")),
    ("the port 99999", _server("root://h:99999")),
    ("an address of a file", _server("file:///etc/passwd")),
    ("a server whose name moves the cursor", lambda forge: forge.run(servers=[
        server | {"name": "\x1b[2J"} for server in forge.json("run.json")["servers"]])),
    ("a path with a line end", _row(REQUESTS, 0, {6: "/store/a\n/store/b"})),
    ("a server there twice", lambda forge: forge.run(servers=forge.json("run.json")["servers"][:1] * 2)),
    ("a repeat there twice", lambda forge: forge.run(repeats=forge.json("run.json")["repeats"][:1] * 2)),
    ("a state that no run has", _run(state="victorious")),
    ("a request of a server that is not there", _row(REQUESTS, 3, {1: 7})),
    ("a request there twice", _rows(REQUESTS, lambda rows: [rows[0], rows[0], *rows[2:]])),
    ("a tag of two clients", _row(REQUESTS, 1, {2: 1})),
    ("a record there twice", _rows(RECORDS, lambda rows: [rows[0], *rows])),
    ("a record of another run in this workspace", _field(RECORDS, 2, session_tag="victim00", appinfo="")),
    ("a verdict on a request of another repeat", _row(VERDICTS, 0, {2: 9})),
    ("two verdicts on a request", _rows(VERDICTS, lambda rows: [rows[0], *rows])),
    ("two samples of a second", _rows(SAMPLES, lambda rows: [rows[0], *rows])),
    # what may be, and is not
    ("100 % written over the figures", _all_passed(verdicts=True)),
    ("100 % written over them, and the verdicts taken out", _all_passed(verdicts=False)),
    ("a record taken out", _rows(RECORDS, lambda rows: rows[1:])),
    ("a record with other bytes", _field(RECORDS, 0, read=7)),
    ("a client's error taken out", _rows(REQUESTS, lambda rows: [[*row[:10], 1, *row[11:]] for row in rows])),
    ("a run that is under way", _run(state="running", ended=None)),
    ("a state there twice, the second passed", _text("run.json", b'"state":"inconclusive"',
                                                       b'"state":"inconclusive","state":"passed"')),
    ("no repeats, and passed", _passed_with(repeats=[])),
    ("no tests, and passed", _passed_with(tests=[], repeats=[])),
    ("requests without figures, and passed", _unscored),
    ("one of two repeats taken out, and passed", _second_repeat_out),
    ("100,000 repeats promised, and two there", _test(repeats=100_000)),
    ("a record id of one letter", _field(RECORDS, 0, record_id="x")),
    ("a record that says its bytes twice", _text(RECORDS, b'"read":', b'"read":0,"read":')),
    # what only looks harmless, and is
    ("a shell script in front", _with_script),
    ("a comment that moves the cursor", _commented),
    ("a client there twice", _run(agents=["shared/c1", "shared/c1"])),
    ("a name written from right to left", _run(name="\u202edessap\u2066")),
    ("a path with control characters", _row(REQUESTS, 0, {6: "/store/\x1b[2J\x85\u2028"})),
    ("a run that ended before it began", _run(started=9e10, ended=1.0)),
    ("a run of the year 5138", _run(created=1e11, started=1e11, ended=1e11)),
    ("requests that took 2,800 years", _all(REQUESTS, {11: 2.0, 12: 2.0, 13: 9e10})),
    ("requests closed before they were opened", _all(REQUESTS, {12: 1.7e9, 13: 1.0})),
    ("requests done at no time", _all(REQUESTS, {11: None, 12: None, 13: None})),
    ("requests of one moment", _all(REQUESTS, {11: 1.7e9, 12: 1.7e9, 13: 1.7e9})),
    ("requests that reached [::1", _all(REQUESTS, {22: "[::1"})),
    ("samples 68 years apart", _rows(SAMPLES, lambda rows: [rows[0], [*rows[0][:1], 2**31 - 1, *rows[0][2:]]])),
    ("events 3,000 years apart", _run(markers=[
        {"t": 0.0, "kind": "fault", "text": "wire-loss for 99999999w"}, {"t": 1e11, "kind": "round", "text": "\0"}])),
    ("a plan of 5,000 brackets", _run(plan="a=" + "[" * 5_000)),
    ("a plan with a key of 20,000 parts", _run(plan="a" + ".a" * 20_000 + "=1")),
    ("a plan with a number of 10,000 digits", _run(plan="a=" + "9" * 10_000)),
    ("a plan that moves the cursor", _run(plan='name="\x1b[2J\0"')),
    ("an environment in which nothing is as it should be", _run(environment=_MAD)),
    ("an interval of 1e308 s", _run(environment={"fstat_seconds": 1e308, "flush_seconds": 1e308})),
    ("versions that are none", _run(versions={"agents": 5, "xrootd": {"a": [1]}, "tally": [[]], "python": None})),
    ("a record of the year 31 billion", _field(RECORDS, 0, end_time=10**18, start_time=-5, operation_time=-(10**15))),
    ("a record of 500 levels", _field(RECORDS, 0, more=_nested(500))),
    ("a record lost on the moon", _all(VERDICTS, {10: "moon", 12: "\x1b[2J"})),
    ("a datagram that ended before it began", _rows(VERDICTS, _backwards)),
    ("a shoveler that has confirmed what it has not received", _status(msgspec.json.encode(
        {"id": "s", "started": 1e300, "t": -1e300, "host": "h", "version": "1",
         "positions": {"1": {"first": 2**62, "received_upto": -5, "confirmed_upto": 2**62}}}).decode())),
    ("a server process at the address [::", lambda forge: forge.run(statuses=[
        status | {"program": "collector", "last": msgspec.json.encode(
            {"id": "s", "started": 1.0, "t": 2.0, "host": "h", "version": "1", "processes": [_PROCESS]}).decode(),
            "first": '{"id":"s","started":1,"t":2,"host":"h","version":"1"}'}
        for status in forge.json("run.json")["statuses"]])),
    # who made it
    ("changed after it was signed", _changed_after),
    ("the signature of another bundle", _signature_of_another),
    ("a signature that is none", lambda forge: forge.changed({"signature.json": b'{"key":"mine","signature":"yes"}'})),
    ("a note of Tally that calls it signed", _run(notes=[
        {"t": 9.0, "author": "tally", "text": "Intact, signed with the key of this hub."}])),
]  # fmt: skip
