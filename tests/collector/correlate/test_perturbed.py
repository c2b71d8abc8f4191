"""What networks, relays and restarts do to a stream must change nothing, or exactly what it must change."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from collector.correlate import Correlator
from collector.correlate.writer import iso_time
from collector.records.ids import access_id
from collector.wire import fstream, maps, redirect

ALL = [
    "burst-fbuff-1472", "burst-large-datagrams", "fstat-no-lfn", "full-reads", "http", "ipv6", "killed-client",
    "long-lived", "pfc-cache", "range-reads", "redirect-cms", "restart", "sigterm-loss", "ssq", "summary-report",
    "tstream-io", "two-servers", "vector-reads", "writes", "xrdcp-pgread",
]  # fmt: skip
SMALL = [name for name in ALL if not name.startswith("burst")]


def everything(kit: Any, records: Any) -> list[Any]:
    return [kit.bodies(records, kind) for kind in sorted({record.kind for record in records})]


def shuffled(datagrams: list[Any], seed: int) -> list[Any]:
    """Each datagram moves by at most 16 places."""
    rng = random.Random(seed)
    keyed = [(place + rng.uniform(0, 16), place) for place in range(len(datagrams))]
    return [datagrams[place] for _, place in sorted(keyed)]


@pytest.mark.parametrize("name", ALL)
def test_every_datagram_twice_changes_nothing(name: str, kit: Any) -> None:
    datagrams = kit.load(name)
    doubled = [d for d in datagrams for _ in range(2)]
    assert everything(kit, kit.replay(doubled)) == everything(kit, kit.replay(datagrams))


@pytest.mark.parametrize("name", ALL)
def test_duplicates_that_come_later_change_nothing(name: str, kit: Any) -> None:
    datagrams = kit.load(name)
    late = [d for place, d in enumerate(datagrams) for d in ([d, datagrams[place - 5]] if place >= 5 else [d])]
    assert everything(kit, kit.replay(late)) == everything(kit, kit.replay(datagrams))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("times", ["of the datagrams", "in order of arrival"])
def test_reordering_within_16_changes_nothing(name: str, seed: int, times: str, kit: Any) -> None:
    datagrams = kit.load(name)
    moved = shuffled(datagrams, seed)
    if times == "in order of arrival":
        moved = [m._replace(t=d.t) for m, d in zip(moved, datagrams, strict=True)]
    assert everything(kit, kit.replay(moved)) == everything(kit, kit.replay(datagrams))


@pytest.mark.parametrize("seed", range(4))
def test_reordering_of_all_captures_at_once(seed: int, kit: Any) -> None:
    """Twenty servers in one stream: none disturbs another."""
    datagrams = sorted(d for name in SMALL for d in kit.load(name))
    rng = random.Random(seed)
    mixed = sorted(datagrams, key=lambda d: d.t + rng.uniform(0, 0.5))
    mixed = [m._replace(t=d.t) for m, d in zip(mixed, datagrams, strict=True)]
    assert everything(kit, kit.replay(mixed)) == everything(kit, kit.replay(datagrams))


@pytest.mark.parametrize("name", ALL)
def test_doubled_and_reordered(name: str, kit: Any) -> None:
    datagrams = kit.load(name)
    assert everything(kit, kit.replay(shuffled([d for d in datagrams for _ in range(2)], 1))) == everything(
        kit, kit.replay(datagrams)
    )


# ---------------------------------------------------------------- one datagram lost

SERVER = {"server_hostname", "port", "site", "instance", "version"}
SESSION = {"user", "session_tag", "protocol", "host", "ipv6", "appinfo"}
PATH = {"filename", "dirname1", "dirname2", "logical_dirname"}
OPEN = {"start_time", "time_min", "operation_time", "filesize"}
CLOSE = {
    "read", "readv", "write", "access_type", "forced", "end_time", "time_max", "operation_time", "known_issue",
    "read_single_bytes", "read_vector_bytes", "read_bytes_at_close", "write_bytes_at_close",
}  # fmt: skip
STATISTICS = ("_operations", "_min", "_max", "_average", "_sigma")
"""Fields that nothing but that kind of datagram tells (the last are ends of names, and come with a close)."""
REASON_ORDER = ["no_open", "no_close", "no_user", "no_path", "server_restarted"]


class Conversation:
    """What the datagrams of a capture tell, read with the plain decoders and joined by nothing but their ids."""

    def __init__(self, datagrams: list[Any]) -> None:
        self.windows: list[tuple[int, Any, int]] = []
        """Datagram, its process, and the end of its window: of the f-stream."""
        self.opened: dict[Any, tuple[int | None, int]] = {}
        """(process, file) → the user of its open, and the datagram that had it."""
        self.closed: dict[Any, tuple[int, int]] = {}
        """(process, file) → the datagram of its close, and when that one's window began."""
        self.progress: list[tuple[int, Any, Any]] = []
        """Datagram, (process, file), progress."""
        self.left: list[tuple[int, Any, int]] = []
        """Datagram, (process, session), and the end of its window: of disconnects."""
        self.maps: list[tuple[Any, maps.Map] | None] = []
        self.process: list[Any] = []
        for place, d in enumerate(datagrams):
            self._read(place, d)

    def _read(self, place: int, d: Any) -> None:
        code, stod = chr(d.data[0]), int.from_bytes(d.data[4:8])
        self.maps.append(None)
        if code in "=uid":
            found = maps.parse_map(d.data)
            self.process.append((str(found.userid.sid), stod))
            self.maps[-1] = (self.process[-1], found)
            return
        if code != "f":
            sid = {"r": d.data[8:16], "g": d.data[16:24], "t": d.data[8:16], "<": b""}[code][2:]
            self.process.append((str(int.from_bytes(sid)), stod) if sid else None)
            return
        items, problems = fstream.parse_fstream(d.data, len(d.data))
        assert not problems
        window = items[0].item
        process = (str(window.sid), stod)
        self.process.append(process)
        self.windows.append((place, process, window.end))
        for _, _, item in items[1:]:
            if isinstance(item, fstream.Open):
                self.opened[process, item.file_id] = (item.user, place)
            elif isinstance(item, fstream.Close):
                self.closed[process, item.file_id] = (place, window.begin)
            elif isinstance(item, fstream.Progress):
                self.progress.append((place, (process, item.file_id), item))
            elif isinstance(item, fstream.Disconnect):
                self.left.append((place, (process, item.user), window.end))

    def map_of(self, code: str, process: Any, dictid: int | None) -> Any:
        """The (only) map message with that id."""
        for row in self.maps:
            if row and row[0] == process and row[1].code == code and row[1].dictid == dictid:
                return row[1]
        return None


def without(record: dict[str, Any], fields: set[str], *reasons: str) -> dict[str, Any]:
    """A record that lacks these fields and says why."""
    left = {k: v for k, v in record.items() if k not in fields}
    found = {*record.get("incomplete", ()), *reasons}
    return left | ({"incomplete": sorted(found, key=REASON_ORDER.index)} if found else {})


def expected_after(record: dict[str, Any], place: int, lost: Any, told: Conversation) -> dict[str, Any] | None:
    """What a record of the complete capture must be when the datagram at `place` was lost (None: nobody can know of
    it), apart from ``sequence_gap``."""
    code, process = chr(lost.data[0]), told.process[place]
    mine = (record.get("server_id"), record.get("stod"))
    if record["kind"] == "summary":
        return None if code == "<" and f'tod="{record["tod"]}"'.encode() in lost.data else record
    if mine != process:
        return record
    if code == "=":
        if sum(bool(row) and row[0] == process and row[1].code == "=" for row in told.maps) > 1:  # type: ignore[index]
            return record  # it has said so before, or again
        return without(record, SERVER) | {"server": record["server_ip"]}
    if record["kind"] == "cache":
        return None if code == "g" else record
    if record["kind"] == "redirect":
        return redirect_after(record, place, lost, told)
    file = (process, record["file_id"])
    user, _ = told.opened[file]
    if code == "f":
        return file_after(record, place, file, told)
    path_map = told.map_of("d", *file)
    session = path_map if user is None else told.map_of("u", process, user)
    message = told.maps[place] and told.maps[place][1]  # type: ignore[index]
    if code == "u" and user == message.dictid:
        expected = without(record, SESSION, "no_user")
        if record.get("access_type") == "cache_fill":
            expected["access_type"] = "read"  # only the session tells that it is a cache
        if record.get("known_issue") == ["http_put_zero"]:
            del expected["known_issue"]  # nor that it is HTTP
        return expected
    if code in "ui" and session and session.userid == message.userid:
        return without(record, {"appinfo"})
    if code == "d" and message.dictid == record["file_id"]:
        return without(record, SESSION | PATH, "no_user", "no_path")
    return record


def file_after(record: dict[str, Any], place: int, file: Any, told: Conversation) -> dict[str, Any] | None:
    """The same when the datagram was one of the f-stream."""
    process, _ = file
    opened_in = told.opened[file][1]
    closed_in, close_begin = told.closed.get(file, (None, 0))
    if opened_in == place:
        if closed_in in (place, None):
            return None
        identity = access_id(int(process[0]), process[1], record["file_id"], close_begin)
        expected = without(record, OPEN | PATH | SESSION, "no_open", "no_user", "no_path")
        return expected | {"access_id": identity, "record_id": f"{identity}.f"}
    if closed_in != place:
        return record
    counted = {k for k in record if k.startswith(("read_", "write_")) and k.endswith(STATISTICS)}
    expected = without(record, CLOSE | counted, "no_close")
    expected |= {"record_id": f"{record['access_id']}.p", "final": False, "HasFileCloseMsg": 0}
    expected["@timestamp"] = iso_time(max(end for n, whose, end in told.windows if whose == process and n != place))
    for end in [end for n, whose, end in told.left if whose == (process, told.opened[file][0]) and n != place]:
        expected |= {"time_max": end, "@timestamp": iso_time(end)}  # at its session's end it was closed
    for progress in [item for n, whose, item in told.progress if whose == file and n != place][-1:]:
        expected |= {"read": progress.read, "readv": progress.readv, "write": progress.write, "access_type": "read"}
        expected |= {"read_single_bytes": progress.read, "read_vector_bytes": progress.readv}
    return expected


def redirect_after(record: dict[str, Any], place: int, lost: Any, told: Conversation) -> dict[str, Any] | None:
    process, code = told.process[place], chr(lost.data[0])
    if code == "r":
        for redirected in redirect.parse_redirects(lost.data, len(lost.data)).redirects:
            session = told.map_of("u", process, redirected.user)
            if (session.userid.user, redirected.path) == (record["user"], record["filename"]):
                return None
    if code == "u" and told.maps[place][1].userid.user == record["user"]:  # type: ignore[index]
        return without(record, SESSION)
    return record


def neighbours(place: int, datagrams: list[Any], told: Conversation) -> tuple[bool, int | None]:
    """Whether a datagram has another of its sequence before it, and which is the next one after it."""
    code = datagrams[place].data[0]
    if code in b"<g":
        return False, None  # a sequence of one
    files = code == ord("f")
    same = [
        n for n, d in enumerate(datagrams)
        if told.process[n] == told.process[place] and (d.data[0] == ord("f")) == files and d.data[0] not in b"<g"
    ]  # fmt: skip
    return same[0] != place, next((n for n in same if n > place), None)


def canonical(body: bytes | dict[str, Any]) -> Any:
    """To compare records to the last byte, whatever the order of their fields."""
    if isinstance(body, bytes):
        return sorted(body[2:-1].split(b',"'))
    return json.dumps(body, sort_keys=True)


@pytest.mark.parametrize("name", ALL)
def test_each_single_datagram_lost(name: str, kit: Any) -> None:
    """The record says what is missing; nothing else changes, in no record of any kind."""
    datagrams = kit.load(name)
    whole = {r.record_id: r.body for r in kit.replay(datagrams)}
    records = {record_id: json.loads(body) for record_id, body in whole.items()}
    told = Conversation(datagrams)
    marked = 0
    for place, lost in enumerate(datagrams):
        left = datagrams[:place] + datagrams[place + 1 :]
        preceded, following = neighbours(place, datagrams, told)
        written = kit.replay(left)
        got = {r.record_id: r.body for r in written}
        assert len(got) == len(written)
        for record_id, record in records.items():
            expected = expected_after(record, place, lost, told)
            if expected is None:
                continue  # and if it is there all the same, it is left over below
            body = got.pop(expected["record_id"])
            same_process = told.process[place] == (record.get("server_id"), record.get("stod"))
            if expected is record and not same_process:
                assert body == whole[record_id], "a record of another server has changed"
                continue
            unmarked = body.replace(b',"sequence_gap":true', b"")
            if len(unmarked) < len(body):
                assert following is not None, "nothing after it can have told"
                assert record["kind"] == "file"
                marked += 1
            elif preceded and following is not None and record["kind"] == "file":
                written_at = told.closed.get((told.process[place], record["file_id"]), (0, 0))[0]
                within = expected.get("time_min", record["stod"]) < lost.t - 3 < lost.t < expected.get("time_max", 0)
                assert not (same_process and within and following < written_at), "lost within its time"
            if expected is not record:
                assert canonical(json.loads(unmarked)) == canonical(expected), f"after the loss of datagram {place}"
            elif unmarked != whole[record_id]:
                assert canonical(unmarked) == canonical(whole[record_id]), f"after the loss of datagram {place}"
        assert not got, f"records that nobody expected after the loss of datagram {place}"
    assert marked or name in ("summary-report", "tstream-io", "sigterm-loss")


@pytest.mark.parametrize("name", SMALL)
def test_a_lost_datagram_in_the_middle_is_reported_as_a_gap(name: str, kit: Any) -> None:
    datagrams = kit.load(name)
    for place, lost in enumerate(datagrams):
        code, number = lost.data[0], lost.data[1]
        class_ = "F" if code == ord("f") else "M"
        if code in b"<g":
            continue
        same = [
            d for d in datagrams if d.remote == lost.remote and d.data[4:8] == lost.data[4:8]
            and (d.data[0] == ord("f")) == (class_ == "F") and d.data[0] not in b"<g"
        ]  # fmt: skip
        first, last = same[0].data == lost.data, same[-1].data == lost.data
        correlator = Correlator()
        for d in datagrams[:place] + datagrams[place + 1 :]:
            correlator.feed(d.data, d.remote, d.t)
        correlator.drain(datagrams[-1].t)
        gaps = kit.gaps(correlator)
        if first or last:
            continue  # nothing after it, or we may have begun to listen later
        assert [(g["class"], g["after"], g["missing"]) for g in gaps] == [(class_, number - 1, 1)]
        assert gaps[0]["t_min"] <= lost.t
        assert gaps[0]["t_max"] >= lost.t - 3


def closes_in(datagrams: list[Any]) -> list[list[tuple[int, tuple[str, int, int]]]]:
    """For each datagram its closes: where each ends, and whose it is."""
    found: list[list[tuple[int, tuple[str, int, int]]]] = []
    for d in datagrams:
        found.append([])
        if d.data[0] == ord("f"):
            items, _ = fstream.parse_fstream(d.data, len(d.data))
            process = str(items[0].item.sid), int.from_bytes(d.data[4:8])
            for offset, _, item in items[1:]:
                if isinstance(item, fstream.Close):
                    size = int.from_bytes(d.data[offset + 2 : offset + 4])
                    found[-1].append((offset + size, (*process, item.file_id)))
    return found


@pytest.mark.parametrize("name", SMALL)
def test_cut_at_every_length(name: str, kit: Any) -> None:
    """A receiver with too small a buffer: whole records are used, nothing crashes, and every cut is counted."""
    datagrams = kit.load(name)
    ids = {(r["server_id"], r["stod"], r["file_id"]): r["record_id"] for r in kit.bodies(kit.replay(datagrams))}
    closes = closes_in(datagrams)
    before: set[str] = set()
    for place, datagram in enumerate(datagrams):
        for length in range(len(datagram.data)):
            correlator = Correlator()
            for d in datagrams[:place]:
                correlator.feed(d.data, d.remote, d.t)
            correlator.feed(datagram.data[:length], datagram.remote, datagram.t)
            correlator.drain(datagram.t)
            finals = {r.record_id for r in correlator.take() if r.kind == "file" and r.record_id.endswith(".f")}
            assert finals == before | {ids[file] for end, file in closes[place] if end <= length}
            assert sum(v for k, v in correlator.counters.items() if k.startswith("rejected")) >= 1
        before |= {ids[file] for _, file in closes[place]}


@pytest.mark.parametrize(("name", "every"), [("burst-fbuff-1472", 50), ("burst-large-datagrams", 6)])
def test_large_datagrams_cut(name: str, every: int, kit: Any) -> None:
    """The same for datagrams that hold hundreds of records of one shape: every length within a few of those."""
    datagrams = kit.load(name)
    files = [d for d in datagrams if d.data[0] == ord("f")]
    maps_ = [d for d in datagrams if d.data[0] != ord("f")]
    closes = closes_in(files)
    for place in range(0, len(files), every):
        datagram = files[place]
        ends = [end for end, _ in closes[place]]
        lengths = {*range(200), *range(len(datagram.data) - 100, len(datagram.data))}
        lengths |= {length for end in ends[:: max(1, len(ends) // 3)] for length in range(end - 90, end + 2)}
        for length in sorted(lengths - {len(datagram.data), len(datagram.data) + 1}):
            correlator = Correlator()
            for d in maps_:
                correlator.feed(d.data, d.remote, d.t)
            correlator.feed(datagram.data[:length], datagram.remote, datagram.t)
            correlator.drain(datagram.t + 60)
            finals = [r for r in correlator.take() if r.record_id.endswith(".f")]
            assert len(finals) == sum(end <= length for end in ends)
            assert sum(v for k, v in correlator.counters.items() if k.startswith("rejected")) >= 1


@pytest.mark.parametrize("name", SMALL)
def test_restored_at_any_datagram_goes_on_the_same(name: str, kit: Any) -> None:
    """Cut a capture anywhere, write the state, read it into a new correlator: the same records come out."""
    datagrams = shuffled([d for d in kit.load(name) for _ in range(2)], 3)
    whole = everything(kit, kit.replay(datagrams))
    for cut in range(len(datagrams) + 1):
        rows: dict[bytes, bytes] = {}
        first = Correlator()
        for d in datagrams[:cut]:
            first.feed(d.data, d.remote, d.t)
        records = first.take()
        put, delete = first.changes()
        rows.update(put)
        assert not delete or cut
        second = Correlator()
        second.restore(rows.items())
        for d in datagrams[cut:]:
            second.feed(d.data, d.remote, d.t)
        second.drain(datagrams[-1].t)
        assert everything(kit, [*records, *second.take()]) == whole


@pytest.mark.parametrize("name", SMALL)
def test_restored_after_every_datagram_goes_on_the_same(name: str, kit: Any) -> None:
    """The rows of all cycles together are the state: nothing is forgotten to be put, nothing to be deleted."""
    datagrams = shuffled([d for d in kit.load(name) for _ in range(2)], 5)
    whole = everything(kit, kit.replay(datagrams))
    rows: dict[bytes, bytes] = {}
    records = []
    for d in datagrams:
        correlator = Correlator()
        correlator.restore(rows.items())
        correlator.feed(d.data, d.remote, d.t)
        records += correlator.take()
        put, delete = correlator.changes()
        assert not {k for k, _ in put} & set(delete)
        rows.update(put)
        for key in delete:
            rows.pop(key, None)
    correlator = Correlator()
    correlator.restore(rows.items())
    correlator.drain(datagrams[-1].t)
    assert everything(kit, [*records, *correlator.take()]) == whole
