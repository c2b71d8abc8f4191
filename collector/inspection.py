"""``tally-collector inspect``: shows the content of a capture, spool, local bus, checkpoint or quarantine in readable
form.

Datagrams are decoded by `collector.wire.tree`, one after the other. This module adds what else a reader needs: which
server sent it (as far as its datagrams have said so), and where the sequence of a class has a gap. The output is for
people, or with ``--json`` one object per datagram for programs. Inspecting changes nothing.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import json
import sqlite3
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from collector.correlate import Correlator
from collector.digest import digest, fields_as_json
from collector.quarantine import QUARANTINE
from collector.sources import Datagram, Reject, SourceError
from collector.sources.file import FileSource, parse_line
from collector.wire import tree
from shoveler import envelope
from shoveler.spool import blocks, tail

_SQLITE = b"SQLite format 3\0"


class InspectError(Exception):
    """The input cannot be inspected. The text is one sentence."""


class Found(NamedTuple):
    """A datagram and where it was found. `t` None: the arrival time is not known."""

    place: str
    t: float | None
    remote: str
    data: bytes
    id: str | None
    why: str | None = None
    """Why it was set aside (of a quarantine)."""


class Forgotten(NamedTuple):
    """A line of a quarantine without a datagram: a server that was forgotten, or a timed action that failed."""

    t: float
    why: str
    state: dict[str, Any] | None


# ---------------------------------------------------------------- where datagrams come from


def datagrams(path: Path | None) -> Iterator[Found | Forgotten | Reject]:
    """The datagrams of a capture, a quarantine, a spool or a local bus, in order. Raises InspectError."""
    if path is None:
        yield from _capture(None)
        return
    try:
        if path.is_dir():
            yield from _directory(path)
            return
        with path.open("rb") as file:
            head = file.read(len(_SQLITE))
    except OSError as error:
        raise InspectError(f"cannot read {path}: {error.strerror}") from None
    if head == _SQLITE:
        yield from _database(path)
    elif QUARANTINE.search(path.name):
        yield from _quarantine(path)
    else:
        yield from _capture(path)


def _quarantine(path: Path) -> Iterator[Found | Forgotten | Reject]:
    """Like a capture, with the extra fields of each datagram."""
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            entry = json.loads(line)
            why = f"{entry['error']} at {entry['place']}"
            if "data" not in entry:
                yield Forgotten(float(entry["t"]), why, entry.get("state"))
                continue
        except (ValueError, KeyError, TypeError):
            yield Reject("line", f"{path}:{number} is not a quarantine entry")
            continue
        found = parse_line(line, f"{path}:{number}")
        if isinstance(found, Reject):
            yield found
        else:
            yield Found(f"entry {number}", found.t, found.remote, found.data, entry.get("id"), why)


def _directory(path: Path) -> Iterator[Found | Reject]:
    """A spool directory (spool.db in it) or a local bus (packets/*.db in it)."""
    files = [path / "spool.db"] if (path / "spool.db").exists() else sorted((path / "packets").glob("*.db"))
    if not files:
        raise InspectError(f"{path} is neither a spool (no spool.db) nor a local bus (no packets/*.db)")
    for file in files:
        yield from _database(file)


def _capture(path: Path | None) -> Iterator[Found | Reject]:
    try:
        source = FileSource(path)
    except SourceError as error:
        raise InspectError(str(error)) from None
    number = 0
    while not source.ended:
        taken = source.take(0.25)
        yield from taken.rejects
        for datagram in taken.datagrams:
            assert isinstance(datagram, Datagram)  # this file is ours alone
            number += 1
            identifier = f"{datagram.spool}:{datagram.seq}" if datagram.spool is not None else None
            yield Found(f"datagram {number}", datagram.t, datagram.remote, datagram.data, identifier)
    source.close()


def _database(path: Path) -> Iterator[Found | Reject]:
    try:
        with closing(open_read_only(path)) as db:
            tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if {"blocks", "spool"} <= tables:
                yield from _spool(db, path)
            elif "message" in tables:
                yield from _bus_file(db, path.name)
            elif {"state", "outbox"} <= tables:
                raise InspectError(f"{path} is a checkpoint and holds no datagrams")
            else:
                raise InspectError(f"{path} is a database, but neither a spool nor a file of a local bus")
    except sqlite3.Error as error:
        raise InspectError(f"cannot read {path}: {error}") from None


def open_read_only(path: Path) -> sqlite3.Connection:
    """Opens the database read-only; a program that writes it is not disturbed."""
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
    db.execute("PRAGMA query_only = 1")
    return db


def _spool(db: sqlite3.Connection, path: Path) -> Iterator[Found | Reject]:
    """The content of the database, then what is only in the tail."""
    generations = _generations(db)
    rows: list[tuple[int, int, float, bytes]] = []
    if db.execute("PRAGMA user_version").fetchone()[0] > 1:
        (epoch,) = db.execute("SELECT epoch FROM spool").fetchone()
        file = tail.file_of(path.parent)
        frames = tail.of_epoch(file.read_bytes(), epoch)[0] if file.exists() else []
        generations += [frame.generation for frame in frames if frame.generation is not None]
        rows = [
            (block[0], block[1], block[2], block[5])
            for block in (frame.block for frame in frames)
            if block is not None and block[0] > frames[-1].removed
        ]
    firsts = [first for first, _ in generations]
    stored = db.execute("SELECT last, count, arrived, body FROM blocks ORDER BY last")
    for last, count, arrived, body in chain(stored, rows):
        try:
            remotes, senders, bodies = blocks.decode_block(body)
        except blocks.BlockError as error:
            yield Reject("block", f"block {last}: {error}")
            continue
        word = generations[bisect_right(firsts, last) - 1][1]
        for seq, sender, data in zip(range(last - count + 1, last + 1), senders, bodies, strict=False):
            yield Found(f"SEQ {seq}", arrived, remotes[sender], data, f"{word}:{seq}")


def _generations(db: sqlite3.Connection) -> list[tuple[int, str]]:
    """(SEQ that it begins at, first half of its ids), ascending; in the first format that is always the spool's id."""
    if db.execute("PRAGMA user_version").fetchone()[0] == 1:
        return db.execute("SELECT 1, id FROM spool").fetchall()
    return db.execute("SELECT first, word FROM generations ORDER BY first").fetchall()


def _bus_file(db: sqlite3.Connection, name: str) -> Iterator[Found | Reject]:
    for seq, identifier, kind, body in db.execute("SELECT seq, id, content_type, body FROM message ORDER BY seq"):
        batch = kind.startswith(envelope.BATCH)
        for line in body.split(b"\n") if batch else [body]:
            try:
                found = envelope.decode_line(line, None if batch else identifier)
            except envelope.EnvelopeError as error:
                yield Reject(error.reason, f"{name} message {seq}: {error}")
                continue
            yield Found(f"{name} message {seq}", None, found.remote, found.data, found.id)


# ---------------------------------------------------------------- notes beside the decoded fields


_CLASS_M = frozenset("=diuUTtr")
_HALF = {256: 128, 1000: 500}


@dataclass
class Notes:
    """What the datagrams so far have told: names of servers, and the last number of every sequence."""

    servers: dict[tuple[str, int], str] = field(default_factory=dict)
    """(sender, server start) → name. Of one host several servers may have started in the same second."""
    sids: dict[tuple[str, int], int] = field(default_factory=dict)
    senders: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    """(IP, server start) → senders that have said who they are."""
    sequences: dict[tuple[str, int, str], int] = field(default_factory=dict)

    def note(self, remote: str, found: dict[str, Any], data: bytes) -> dict[str, Any]:
        """Keys to show with this datagram: ``server``, ``sid``, and ``sequence_note`` when its number is unexpected."""
        ip = remote.rpartition(":")[0]
        stod = _stod(found, data)
        sid = _sid(found)
        if sid is not None:
            self.sids[remote, stod] = sid
            self.senders.setdefault((ip, stod), set()).add(remote)
        name = _server_name(found)
        if name is not None:
            self.servers[remote, stod] = name
            self.senders.setdefault((ip, stod), set()).add(remote)
        known = self.senders.get((ip, stod), set())
        sender = next(iter(known)) if len(known) == 1 else remote  # a server may send from several ports
        notes: dict[str, Any] = {}
        if (sender, stod) in self.servers:
            notes["server"] = self.servers[sender, stod]
        if (sender, stod) in self.sids:
            notes["sid"] = self.sids[sender, stod]
        odd = self._sequence(remote, stod, found, data)
        if odd:
            notes["sequence_note"] = odd
        return notes

    def _sequence(self, remote: str, stod: int, found: dict[str, Any], data: bytes) -> str:
        header, name = found.get("header"), _class_of(found, data)
        if not name:
            return ""
        number, modulus = (header["sequence"], 256) if header is not None else (found["sequence"], 1000)
        key = (remote, stod, name)
        last = self.sequences.get(key)
        if last is None:
            self.sequences[key] = number
            return ""
        step = (number - last) % modulus
        if 0 < step < _HALF[modulus]:
            self.sequences[key] = number
            return f"{step - 1} of class {name} missing after {last}" if step > 1 else ""
        return f"{number} of class {name} again" if step == 0 else f"{number} of class {name} is late, after {last}"


def sequence_class(code: str, data: bytes) -> str:
    """Which counter a datagram with a binary header is numbered by (format reference, section 3)."""
    if code in _CLASS_M:
        return "M"
    if code == "g":
        return f"G {chr(data[16])}" if len(data) > 16 and 32 < data[16] < 127 else "G"
    return code.upper()


def _class_of(found: dict[str, Any], data: bytes) -> str:
    """The counter that its number belongs to; empty if it has none."""
    if "header" in found:
        return sequence_class(found["header"]["code"], data)
    return f"text {found['code']}" if "sequence" in found and found.get("code") else ""


def _stod(found: dict[str, Any], data: bytes) -> int:
    if "header" in found:
        return int.from_bytes(data[4:8], "big")
    stod = found.get("stod")
    return stod if isinstance(stod, int) else 0


def _sid(found: dict[str, Any]) -> int | None:
    for candidate in (found.get("sid"), (found.get("userid") or {}).get("sid")):
        if isinstance(candidate, int):
            return candidate
    for record in found.get("records", ()):
        if record.get("record") == "window" and isinstance(record.get("sid"), int):
            return int(record["sid"])
    return None


def _server_name(found: dict[str, Any]) -> str | None:
    if found.get("means") == "server identity":
        detail = found.get("detail") or {}
        host = (found.get("userid") or {}).get("host")
        instance = detail.get("instance") or detail.get("inst") or "anon"
        port = detail.get("port")
        return f"{instance}@{host}" + (f":{port}" if port else "")
    return None


# ---------------------------------------------------------------- which datagrams to show


@dataclass(frozen=True)
class Filter:
    """What to show. Empty means everything."""

    servers: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def wants(self, remote: str, found: dict[str, Any], notes: dict[str, Any], data: bytes) -> bool:
        """Whether to show a datagram."""
        return (
            (not self.servers or any(_is_server(wanted, remote, notes) for wanted in self.servers))
            and self.wants_stream(data)
            and (not self.files or any(_mentions(found, wanted) for wanted in self.files))
        )

    def wants_stream(self, data: bytes) -> bool:
        """Whether a datagram belongs to a selected stream."""
        return not self.streams or data[:1].decode("ascii", "replace") in self.streams


def _is_server(wanted: str, remote: str, notes: dict[str, Any]) -> bool:
    ip = remote.rpartition(":")[0]
    return wanted in (remote, ip, ip.strip("[]"), str(notes.get("sid"))) or wanted in notes.get("server", "")


def _mentions(found: dict[str, Any], wanted: str) -> bool:
    """A file by its number, or by a part of its path."""
    if wanted.isdigit():
        number = int(wanted)
        if found.get("means") == "path" and found.get("dictid") == number:
            return True
        return any(r.get("file_id") == number for key in ("records", "entries") for r in found.get(key, ()))
    texts = [found.get("text"), *(r.get("path") for key in ("records", "redirects") for r in found.get(key, ()))]
    return any(wanted in text for text in texts if isinstance(text, str))


class Holes:
    """Sequence notes of datagrams that are not shown: they appear with that server's next datagram that is shown.
    Otherwise a close that never came would leave no trace with ``--follow-file``, because only the next datagram
    reveals it.
    """

    def __init__(self) -> None:
        self._notes: dict[tuple[str, str], list[str]] = {}

    def keep(self, remote: str, notes: dict[str, Any]) -> None:
        """Its datagram is not shown."""
        if "sequence_note" in notes:
            self._notes.setdefault(self._key(remote, notes), []).append(notes["sequence_note"])

    def add_to(self, remote: str, notes: dict[str, Any]) -> dict[str, Any]:
        """The notes of a datagram that is shown, with what was kept before it."""
        kept = self._notes.pop(self._key(remote, notes), [])
        if not kept:
            return notes
        return notes | {"sequence_note": "; ".join([*kept, *filter(None, [notes.get("sequence_note")])])}

    def rest(self, shown: Iterable[tuple[str, str]]) -> list[str]:
        """What was kept after the last datagram shown, of these servers (as `server_of` names them)."""
        return [note for server in shown for note in self._notes.get(server, ())]

    @staticmethod
    def server_of(remote: str, notes: dict[str, Any]) -> tuple[str, str]:
        """Which server a datagram is of."""
        return remote.rpartition(":")[0], str(notes.get("sid"))

    _key = server_of


class Conversation:
    """Everything about one file: its open, progress and close, its path, its user's messages. The user is known only
    from the open (or the path), after the user's own messages: it is fed twice, `learn` first.
    """

    def __init__(self, file_id: int, servers: tuple[str, ...]) -> None:
        self._file_id = file_id
        self._servers = servers
        self._users: dict[tuple[str, int], set[int]] = {}
        self._userids: dict[tuple[str, int], set[str]] = {}
        self._named: dict[tuple[str, int], set[str]] = {}
        self._sessions: dict[tuple[tuple[str, int], str], set[int]] = {}

    def learn(self, remote: str, found: dict[str, Any], notes: dict[str, Any], data: bytes) -> None:
        """First pass."""
        if self._servers and not any(_is_server(wanted, remote, notes) for wanted in self._servers):
            return
        key = (remote.rpartition(":")[0], _stod(found, data))
        for record in found.get("records", ()):
            if record.get("record") == "open" and record.get("file_id") == self._file_id and record.get("user"):
                self._users.setdefault(key, set()).add(record["user"])
        userid = json.dumps(found.get("userid"), sort_keys=True)
        if found.get("means") == "path" and found.get("dictid") == self._file_id:
            self._named.setdefault(key, set()).add(userid)
        elif found.get("means") == "session":
            self._sessions.setdefault((key, userid), set()).add(found["dictid"])

    def learned(self) -> None:
        """The first pass is over. Without ``lfn`` an open does not name its user; the path does, by the user id."""
        for key, userids in self._named.items():
            for userid in userids:
                self._users.setdefault(key, set()).update(self._sessions.get((key, userid), ()))

    def part(self, remote: str, found: dict[str, Any], notes: dict[str, Any], data: bytes) -> dict[str, Any] | None:
        """Second pass: the part of this datagram that belongs to the file, or None."""
        if self._servers and not any(_is_server(wanted, remote, notes) for wanted in self._servers):
            return None
        key = (remote.rpartition(":")[0], _stod(found, data))
        users = self._users.get(key, set())
        if found.get("kind") == "map":
            return found if self._is_about(found, key, users) else None
        items: list[Any] = []
        window = None
        for record in found.get("records", ()):
            if record.get("record") == "window":
                window = record
            elif record.get("file_id") == self._file_id or (
                record.get("record") == "disconnect" and record.get("user") in users
            ):
                items += [window, record] if window is not None else [record]
                window = None
        items += [entry for entry in found.get("entries", ()) if entry.get("file_id") == self._file_id]
        if not items:
            return None
        rest = {k: v for k, v in found.items() if k not in ("records", "entries")}
        return {**rest, "records": items}

    def _is_about(self, found: dict[str, Any], key: tuple[str, int], users: set[int]) -> bool:
        means, dictid = found.get("means"), found.get("dictid")
        userid = json.dumps(found.get("userid"), sort_keys=True)
        if means == "session" and dictid in users:
            self._userids.setdefault(key, set()).add(userid)
            return True
        if means == "path" and dictid == self._file_id:
            return True
        if means == "application info":
            return userid in self._userids.get(key, set())
        return (found.get("detail") or {}).get("user") in users


# ---------------------------------------------------------------- showing


def show(
    found: Found, number: int, decoded: dict[str, Any], notes: dict[str, Any], *, hexadecimal: bool
) -> Iterator[str]:
    """A datagram as lines of text."""
    if "sequence_note" in notes:
        yield f"--- {notes['sequence_note']} ---"
    when = "" if found.t is None else f"  {datetime.datetime.fromtimestamp(found.t, datetime.UTC):%Y-%m-%d %H:%M:%S.%f}"
    server = f"  {notes['server']}" if "server" in notes else ""
    identifier = f"  id {found.id}" if found.id else ""
    if found.why is not None:
        yield f"--- set aside: {found.why} ---"
    yield f"#{number}{when}  {found.remote}{server}  {decoded['kind']}, {decoded['bytes']} bytes{identifier}"
    yield from _lines({k: v for k, v in decoded.items() if k not in ("kind", "bytes")}, "    ")
    if hexadecimal:
        yield from _dump(found.data)


def _lines(value: object, indent: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, list) and item and isinstance(item[0], dict):
                yield f"{indent}{key}:"
                for entry in item:
                    yield f"{indent}  - {_flat(entry)}"
            elif isinstance(item, dict) and any(isinstance(inner, dict | list) for inner in item.values()):
                yield f"{indent}{key}:"
                yield from _lines(item, indent + "  ")
            else:
                yield f"{indent}{key}: {_flat(item)}"
    else:
        yield f"{indent}{_flat(value)}"


def _flat(value: object) -> str:
    if isinstance(value, dict):
        words = [
            str(item)
            if key in ("record", "entry")
            else f"{key}=({_flat(item)})"
            if isinstance(item, dict)
            else f"{key}={_flat(item)}"
            for key, item in value.items()
        ]
        return "  ".join(words)
    if isinstance(value, list):
        return "[" + ", ".join(map(_flat, value)) + "]"
    text = str(value)
    # Text of a datagram is untrusted: escape control characters, so that they cannot act on the terminal.
    return text if text.isprintable() else text.encode("unicode_escape", "surrogatepass").decode("ascii")


def _dump(data: bytes) -> Iterator[str]:
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"    {at:06x}  {row.hex(' '):<47}  {text}"


def _forgotten(entry: Forgotten, *, as_json: bool) -> str:
    what = "a server was forgotten" if entry.state is not None else "a timed action failed"
    if as_json:
        return json.dumps({"t": entry.t, "set_aside": entry.why, "state": entry.state}, ensure_ascii=True)
    return "\n".join([f"--- {what}: {entry.why} ---", *_lines(entry.state or {}, "    ")])


def as_json(
    found: Found,
    number: int,
    decoded: dict[str, Any],
    notes: dict[str, Any],
    *,
    hexadecimal: bool,
    brief: bool = False,
    with_fields: bool = False,
) -> str:
    """A datagram as one line of JSON; `brief`: what is in it in a few words instead of all that is."""
    entry: dict[str, Any] = {"number": number, "place": found.place, "t": found.t, "remote": found.remote}
    if found.id is not None:
        entry["id"] = found.id
    if found.why is not None:
        entry["set_aside"] = found.why
    entry |= notes
    if brief:
        entry |= {"stod": _stod(decoded, found.data), "class": _class_of(decoded, found.data)}
        entry |= digest(decoded, found.data)
    else:
        entry["datagram"] = decoded
    if with_fields:
        entry["fields"] = fields_as_json(found.data)
    if hexadecimal:
        entry["data"] = base64.b64encode(found.data).decode()
    return json.dumps(entry, ensure_ascii=True)


# ---------------------------------------------------------------- the command


def parser() -> argparse.ArgumentParser:
    """The options of ``tally-collector inspect``."""
    made = argparse.ArgumentParser(
        "tally-collector inspect",
        description="Shows the content of a capture, spool, local bus, checkpoint or quarantine in readable form.",
    )
    made.add_argument("input", metavar="CAPTURE|SPOOL", help="a capture (JSON lines, - for standard input), the "
                        "directory or file of a spool or local bus, a checkpoint or quarantine")  # fmt: skip
    made.add_argument("--server", action="append", default=[], metavar="NAME",
                        help="only this server: IP, IP:PORT, sid, or part of INSTANCE@HOST")  # fmt: skip
    made.add_argument("--stream", action="append", default=[], metavar="LETTERS",
                        help="only datagrams that begin with one of these, such as fu=")  # fmt: skip
    made.add_argument("--file", action="append", default=[], metavar="ID|PATH",
                        help="only datagrams that mention this file, by number or part of its path")  # fmt: skip
    made.add_argument("--follow-file", type=int, metavar="ID",
                        help="everything about one file: user, path, open, progress, close")  # fmt: skip
    made.add_argument("--json", action="store_true", help="one JSON object per datagram")
    made.add_argument("--hex", action="store_true", help="also print the bytes")
    made.add_argument("--brief", action="store_true",
                        help="with --json: what is in it in a few words, not all of it")  # fmt: skip
    made.add_argument("--fields", action="store_true",
                        help="with --json: each field with the bytes that it is in: [name, value, first, end, "
                        "problem, [fields inside]]")  # fmt: skip
    return made


def main(argv: list[str]) -> int:
    """``tally-collector inspect``; the exit code: 0, or 1 when something could not be read, 2 for invalid usage."""
    arguments = parser()
    options = arguments.parse_args(argv)
    if (options.brief or options.fields) and not options.json:
        arguments.error("--brief and --fields are for --json")
    path = None if options.input == "-" else Path(options.input)
    try:
        if path is not None and is_checkpoint(path):
            print(json.dumps(checkpoint(path), indent=None if options.json else 2, ensure_ascii=True, default=str))
            return 0
        return _inspect(path, options)
    except InspectError as error:
        print(error, file=sys.stderr)
        return 1


def _inspect(path: Path | None, options: argparse.Namespace) -> int:
    wanted = Filter(tuple(options.server), tuple("".join(options.stream)), tuple(options.file))
    entries: Iterable[Found | Forgotten | Reject] = datagrams(path)
    story = None
    if options.follow_file is not None:
        entries = list(entries)  # it is read twice, and standard input can be read only once
        story = Conversation(options.follow_file, wanted.servers)
        notes = Notes()
        for entry in entries:
            if isinstance(entry, Found):
                decoded = tree(entry.data)
                story.learn(entry.remote, decoded, notes.note(entry.remote, decoded, entry.data), entry.data)
        story.learned()
    return _print(path, entries, wanted, story, options)


def _print(
    path: Path | None,
    entries: Iterable[Found | Forgotten | Reject],
    wanted: Filter,
    story: Conversation | None,
    options: argparse.Namespace,
) -> int:
    notes, holes = Notes(), Holes()
    servers: dict[tuple[str, str], None] = {}
    number = shown = bad = 0
    for entry in entries:
        if isinstance(entry, Reject):
            bad += 1
            if options.brief:
                print(json.dumps({"unreadable": entry.text, "reason": entry.reason}), flush=True)
            else:
                print(entry.text, file=sys.stderr)
            continue
        if isinstance(entry, Forgotten):
            print(_forgotten(entry, as_json=options.json))
            continue
        number += 1
        decoded: dict[str, Any] | None = tree(entry.data)
        assert decoded is not None
        noted = notes.note(entry.remote, decoded, entry.data)
        if not wanted.wants_stream(entry.data):
            continue
        if not wanted.wants(entry.remote, decoded, noted, entry.data):
            decoded = None
        elif story is not None:
            decoded = story.part(entry.remote, decoded, noted, entry.data)
        if decoded is None:
            holes.keep(entry.remote, noted)
            continue
        shown += 1
        servers[holes.server_of(entry.remote, noted)] = None
        noted = holes.add_to(entry.remote, noted)
        if options.json:
            line = as_json(entry, number, decoded, noted, hexadecimal=options.hex, brief=options.brief,
                           with_fields=options.fields)  # fmt: skip
            print(line, flush=path is None)  # what reads from a pipe answers at once
        else:
            print("\n".join(show(entry, number, decoded, noted, hexadecimal=options.hex)))
    if not options.json:
        for note in holes.rest(servers):
            print(f"--- {note} ---")
        datagrams = "1 datagram" if number == 1 else f"{number} datagrams"
        print(f"{datagrams}, {shown} shown" + (f", {bad} unreadable" if bad else ""), file=sys.stderr)
    return 1 if bad else 0


# ---------------------------------------------------------------- checkpoints


def is_checkpoint(path: Path) -> bool:
    """Whether this is a collector's state file."""
    try:
        with path.open("rb") as file:
            if file.read(len(_SQLITE)) != _SQLITE:
                return False
        with closing(open_read_only(path)) as db:
            tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except (OSError, sqlite3.Error):
        return False
    return {"state", "outbox", "seen"} <= tables


def checkpoint(path: Path) -> dict[str, Any]:
    """What a collector would know if it started with this file now."""
    try:
        with closing(open_read_only(path)) as db:
            correlator = Correlator()
            correlator.restore(db.execute("SELECT key, value FROM state"))
            chunks, size = db.execute("SELECT count(*), coalesce(sum(length(body)), 0) FROM outbox").fetchone()
            spools = {
                spool: {"runs": runs, "messages": messages, "newest": newest}
                for spool, runs, messages, newest in db.execute(
                    "SELECT spool, count(*), sum(hi - lo + 1), max(hi) FROM seen GROUP BY spool"
                )
            }
            meta = dict(db.execute("SELECT name, value FROM meta"))
    except (sqlite3.Error, ValueError) as error:
        raise InspectError(f"cannot read the checkpoint {path}: {error}") from None
    state = correlator.dump()
    return {"id": meta.get("id"), "outbox": {"chunks": chunks, "bytes": size}, "seen": spools, "state": state}


__all__ = ["Found", "InspectError", "checkpoint", "datagrams", "main"]
