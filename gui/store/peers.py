"""Records of other collectors, converted to our form: the OSG's two (in Go and in Python) and the WLCG's form.

They have no ``kind`` and no ``record_id``. `adapt` converts what it can and leaves out what it cannot know; `UNKNOWN`
describes that to people. The id is a hash of everything in the record, so loading it again changes nothing; two
accesses that agree in everything count as one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple, get_args

import msgspec

from collector.records import FileRecord


class Producer(NamedTuple):
    """Who writes such records, and what they lack, both as text for people."""

    name: str
    unknown: str


_NO_ID = "a record_id (two that agree in everything count as one)"
PRODUCERS = {
    "osg-go": Producer(
        "the OSG's collector in Go",
        f"{_NO_ID}, the server's sid and port, the number of the file, when it was opened (they say when the server "
        "started), when it was closed (they say when the collector saw it), whether a close was seen, and reads of "
        "both kinds together",
    ),
    "osg-python": Producer(
        "the OSG's collector in Python",
        f"{_NO_ID}, the server's sid and port, the number of the file, and whether a close was seen or an hour waited",
    ),
    "wlcg": Producer(
        "a collector in the WLCG form",
        "the session (so that none is taken for a request of a test), the server's process and port, the number of the "
        "file, and whether a close was seen",
    ),
    "osg-events": Producer("the OSG's collectors on caches, copies and connections", _NO_ID),
}

_MAX_INT = 2**63 - 1
_MILLISECONDS = 10**11
"""A time larger than this is in milliseconds: in seconds it would be after the year 5000."""
_NOTHING = frozenset({"", "unknown", "UNKNOWN", "-1", "unknown directory", "missing directory", "noVO"})
"""What these collectors write for unknown values."""
_FILE = frozenset({"filename", "read", "readv", "write", "end_time"})
_WLCG = frozenset({"file_lfn", "unique_id", "read_bytes", "end_time"})
_CACHE = frozenset({"file_path", "bytes_hit_cache"})
_COPY = frozenset({"tpc_protocol", "source", "destination"})
_SENT = frozenset({"sid", "server_ip", "from"})
"""What the collector in Go adds to events of other kinds, which it passes on as they were sent."""
_NAMES_OF_EVENTS = {
    "lfn": "file_path", "attach_t": "attach_time", "detach_t": "detach_time", "b_hit": "bytes_hit_cache",
    "b_miss": "bytes_miss_cache", "b_bypass": "bytes_bypass_cache", "TPC": "tpc_protocol", "Client": "client",
    "Src": "source", "Dst": "destination", "Size": "size", "Xeq": "xeq", "addr": "server_ip",
}  # fmt: skip
"""Names in events as servers send them, which earlier versions of both collectors kept."""
_UNRESOLVED = "unresolvable"
"""What the collector in Python calls a host without a name."""
_OTHERWISE_IN_GO = frozenset({"read_operations", "read_average", "read_min", "read_max", "read_bytes_at_close"})
"""Fields for both kinds of reads together, in which the collector in Go counts only plain reads."""
_NAMES_IN_WLCG = {
    "site": "site_name",
    "host": "client_host",
    "user_domain": "client_domain",
    "server_hostname": "server_host",
    "filename": "file_lfn",
    "filesize": "file_size",
    "protocol": "user_protocol",
    "read": "read_single_bytes",
    "readv": "read_vector_bytes",
    "write": "write_bytes",
}

_canonical = msgspec.json.Encoder(order="sorted").encode
_encode = msgspec.json.Encoder().encode


def _kinds_of_fields() -> dict[str, type]:
    """The type of each field of a file record."""
    kinds: dict[str, type] = {}
    for field in msgspec.structs.fields(FileRecord):
        kind = next((kind for kind in (str, int, float) if kind in get_args(field.type)), None)
        if kind and not field.encode_name.endswith("_b64") and field.encode_name != "@timestamp":
            kinds[field.encode_name] = kind
    return kinds


_KINDS = _kinds_of_fields()


class Adapted(NamedTuple):
    """A record converted to our form. `producer`: a key of `PRODUCERS`."""

    producer: str
    record: dict[str, Any]


def adapt(given: Mapping[str, Any]) -> Adapted | None:
    """Convert a JSON object without ``kind`` to our form; None when its form is not known.

    Raises ValueError, whose text continues "a record of another collector …", when its byte counts are impossible."""
    names = given.keys()
    if names >= _FILE:
        return _osg_file(given)
    if names >= _WLCG:
        return _wlcg_file(given)
    return _osg_event(given)


def _osg_event(given: Mapping[str, Any]) -> Adapted | None:
    event = {_NAMES_OF_EVENTS.get(name, name): value for name, value in given.items()}
    names = event.keys()
    if names >= _CACHE:
        kind = "cache"
    elif names >= _COPY:
        kind = "tpc"
        event["xeq"] = _copied(event.get("xeq"))
    elif names >= {"from", "hostname"} or event.get("type") == "tcpstats":
        kind = "tcp"
    elif names >= _SENT:
        kind = "event"
    else:
        return None
    if event.get("hostname") == _UNRESOLVED:
        del event["hostname"]
    told = given.get("metadata")
    identity = told.get("_id") if isinstance(told, dict) else None
    return Adapted("osg-events", {**event, "kind": kind, "schema": 1, "record_id": str(identity or identity_of(given))})


def _copied(told: object) -> object:
    """How a copy went; its end by the name that it has in records."""
    if isinstance(told, dict) and "End" in told:
        return {"end_transfer" if name == "End" else name: value for name, value in told.items()}
    return told


def _osg_file(given: Mapping[str, Any]) -> Adapted:
    go = "@timestamp" in given
    record = _file(given, identity_of(given))
    known = [name for name in ("start_time", "operation_time") if name in record]
    lacking = []
    if go:
        for name in _OTHERWISE_IN_GO:
            record.pop(name, None)
        opened = record.get("start_time") != record["stod"]
        if given.get("filename") == "unknown":
            lacking.append("no_open")
        if given.get("host") == "unknown" and given.get("protocol") == "unknown":
            record.pop("user", None)  # the number of the session, in hexadecimal
    else:
        opened = given.get("HasFileCloseMsg") != 0  # despite its name it means: an open was seen
        if not opened:
            lacking.append("no_open")
    if not opened:
        for name in known:
            del record[name]
    record.pop("HasFileCloseMsg", None)
    if "user" in record:
        record["session_tag"] = record["user"]
    else:
        lacking.append("no_user")
    if "filename" not in record:
        lacking.append("no_path")
    if lacking:
        record["incomplete"] = lacking
    return Adapted("osg-go" if go else "osg-python", record)


def _wlcg_file(given: Mapping[str, Any]) -> Adapted:
    unique = given["unique_id"]
    ours = isinstance(unique, str) and len(unique) == 34 and unique[32:] in (".f", ".p")
    plain = {**given, **{ours: given[theirs] for ours, theirs in _NAMES_IN_WLCG.items() if theirs in given}}
    record = _file(plain, unique[:32] if ours else identity_of({"unique_id": unique}))
    if ours:
        record |= {"record_id": unique, "final": unique.endswith(".f")}
    return Adapted("wlcg", record)


def _file(given: Mapping[str, Any], identity: str) -> dict[str, Any]:
    """The fields of a file record that `given` has with the right type, and those that every record must have."""
    record: dict[str, Any] = {"kind": "file", "schema": 1, "record_id": f"{identity}.f", "access_id": identity,
                              "final": True}  # fmt: skip
    for name, value in given.items():
        kind = _KINDS.get(name)
        if kind is None or isinstance(value, bool):
            continue
        if kind is str:
            fits = isinstance(value, str) and value not in _NOTHING
        elif kind is int:
            fits = isinstance(value, int) and 0 <= value <= _MAX_INT
        else:
            fits = isinstance(value, int | float)
        if fits:
            record[name] = value
    for name in ("read", "readv", "write"):
        if name not in record and given.get(name) is not None:
            raise ValueError(f"has no number of bytes from 0 to 2^63 − 1 as {name!r}")
    for name in ("start_time", "end_time"):
        t = time_of(record.pop(name, None))
        if t:
            record[name] = t
    record.pop("operation_time", None)
    if "start_time" in record and "end_time" in record:
        record["operation_time"] = max(0, record["end_time"] - record["start_time"])
    if isinstance(given.get("ipv6"), bool):
        record["ipv6"] = given["ipv6"]
    called = record.get("server_hostname") or record.get("server") or record.get("server_ip")
    if called:
        record["server"] = called
    stod = str(record.get("serverID", "")).partition("#")[0]
    record["stod"] = int(stod) if stod.isascii() and stod.isdecimal() and len(stod) < 12 else 0
    # Not the server's number, but a different one for each, so that two records of a request are two accesses.
    record["file_id"] = int(identity[:16], 16) >> 1
    return record


def identity_of(given: Mapping[str, Any]) -> str:
    """An id for an access whose collector gave it none: a hash of everything that the record says."""
    return blake2b(_canonical(given), digest_size=16).hexdigest()


def time_of(value: object) -> int | None:
    """Unix seconds of a time in seconds or milliseconds, or in ISO 8601; None when it is none of these."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) < _MAX_INT:  # false for NaN, too
            return None
        return int(value / 1000 if abs(value) > _MILLISECONDS else value)
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            return None
        return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())
    return None


def body_of(adapted: Adapted) -> bytes:
    """The record as JSON, with the name of its producer."""
    return _encode({**adapted.record, "producer": adapted.producer})
