"""Everything that becomes a record by itself, without joining: plug-in events, redirections, reports, purges."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from collector.correlate.incarnation import Event
from collector.records.file import SCHEMA
from collector.records.ids import event_id
from collector.records.text import clean_fields, clean_text, clean_value, put_text
from collector.wire.gstream import PROVIDERS, GStream, Source, decode_line
from collector.wire.header import RejectedError, text_of
from collector.wire.maps import Purged, Transferred, number_of, port_of
from collector.wire.redirect import Redirect
from collector.wire.summary import Summary
from collector.wire.userid import parse_host, split_remote

_KINDS = {"C": "cache", "T": "tcp", "P": "tpc", "R": "throttle", "O": "oss", "H": "http"}

_CACHE_NAMES = {
    "lfn": "file_path",
    "blk_size": "block_size",
    "n_blks": "numbers_blocks",
    "n_blks_done": "numbers_blocks_done",
    "access_cnt": "access_count",
    "attach_t": "attach_time",
    "detach_t": "detach_time",
    "remotes": "remotes_origin",
    "b_hit": "bytes_hit_cache",
    "b_miss": "bytes_miss_cache",
    "b_bypass": "bytes_bypass_cache",
    "b_todisk": "bytes_to_disk",
    "b_prefetch": "bytes_by_prefetch",
    "n_cks_errs": "numbers_checksum_errors",
}
_TPC_NAMES = {"TPC": "tpc_protocol", "Client": "client", "Src": "source", "Dst": "destination", "Size": "size"}
_CACHE_COUNTS = frozenset(_CACHE_NAMES.values()) - {"file_path", "remotes_origin"} | {
    "size",
    "bytes_read_by_remote",
    "bytes_explicit_remote_read",
}
_OURS = frozenset(
    {
        *(
            "kind",
            "schema",
            "record_id",
            "server_id",
            "stod",
            "serverID",
            "shoveler",
            "from",
            "hostname",
            "tbeg",
            "tend",
        ),
        *("server", "server_ip", "server_hostname", "port", "instance", "site", "version"),
        *("server_b64", "server_hostname_b64", "instance_b64", "site_b64", "version_b64"),
    }
)
"""Fields that say where a record comes from; an event's own fields with these names are left out."""
_HTTP_KEY = re.compile(r"HTTP_([A-Za-z][A-Za-z-]{0,19})_(\d{1,5})")
_STATISTICS = "oss_stats"
"""Names of storage statistics begin so."""
_XEQ_NAMES = {
    "Beg": "begin_transfer",
    "End": "end_transfer",
    "IPv": "ip_version",
    "RC": "return_code",
    "Strm": "used_streams",
    "Type": "flow_direction",
}


def event_kind(provider: str, event: dict[str, Any]) -> str:
    """Which kind of record an event is: by its provider, or by its form if that is not known. Events of unknown
    providers and new types have kind ``event`` and are passed on as sent. Raises RejectedError: event, when nothing
    shows that it is an event at all.
    """
    kind = _KINDS.get(provider)
    if kind is None and not provider:
        kind = _kind_by_looks(event)
        if kind is None:
            raise RejectedError("event", f"no provider, and event {str(event.get('event'))[:40]!r}")
    if kind is None or not _is_of_kind(kind, event):
        return "event"
    return kind


def _is_of_kind(kind: str, event: dict[str, Any]) -> bool:
    """Whether an event of a provider is of the type that its kind is made for: storage plug-ins share a letter, and
    later releases may send more.
    """
    if kind == "cache":
        return event.get("event") == "file_close"
    if kind == "oss":
        return str(event.get("event", "")).startswith(_STATISTICS)
    if kind == "http":
        return not event or any(_HTTP_KEY.fullmatch(key) for key in event)
    return True


def _kind_by_looks(event: dict[str, Any]) -> str | None:
    name = event.get("event")
    if name == "file_close":
        return "cache"
    if "TPC" in event:
        return "tpc"
    if name == "throttle_update":
        return "throttle"
    if isinstance(name, str) and name.startswith(_STATISTICS):
        return "oss"
    if event.get("type") == "tcpstats":
        return "tcp"
    if event and all(key.startswith("HTTP_") for key in event):
        return "http"
    return "event" if isinstance(name, str) and name else None


def events_of(stream: GStream, line: bytes, ordinal: int, address: str, now: float, arrived: float) -> list[Event]:
    """The records in one line of a g-stream, from a sender's IP address: one, or for HTTP one for each verb and status.

    Storage statistics (kind ``oss``) come with the cumulative counters of the server; see `correlate.statistics`.
    Raises RejectedError: json, event.
    """
    event = decode_line(line)
    kind = event_kind(stream.provider, event)
    # without a header it has no time: the arrival distinguishes equal events
    when = b"%d\0%d" % (stream.begin, stream.end or 0) if stream.begin is not None else b"%r" % arrived
    place = (stream.pseq or 0) << 16 | ordinal
    event = {key: value for key, value in event.items() if key not in _OURS}
    paths: list[str] = []
    rows: list[tuple[bytes, dict[str, Any]]]
    if kind == "http":
        rows = [(row["verb"].encode() + b"\0%d" % row["status"], row) for row in _http_rows(line)]
    else:
        if kind == "cache":
            event, paths = _cache(event)
        elif kind == "tpc":
            event, paths = _copy(event)
        elif kind == "event" and stream.provider:
            event["provider"] = PROVIDERS.get(stream.provider, stream.provider)
        rows = [(line, event)]
    common: dict[str, Any] = {}
    put_text(common, "from", address)
    _put_source(common, stream.source)
    if stream.begin is not None:
        common["tbeg"] = stream.begin
    if stream.end is not None:
        common["tend"] = stream.end
    paths = [clean_text(path) for path in paths]
    return [
        Event(
            kind,
            event_id(kind, stream.sid, stream.stod, place, when + b"\0" + content),
            clean_fields(fields) | common,
            paths,
            0,
            now,
        )
        for content, fields in rows
    ]


def _put_source(fields: dict[str, Any], source: Source) -> None:
    """What a text header says of its server. A ``=`` says the same, and more of it; but it comes once an hour."""
    put_text(fields, "site", source.site)
    put_text(fields, "instance", source.instance)
    put_text(fields, "version", source.version)
    if source.port is not None:
        fields["port"] = source.port


def _http_rows(line: bytes) -> list[dict[str, Any]]:
    """Verbs and statuses that occurred, a row each. If a server repeats one in a line, they are summed. All numbers
    count from the start of the server. Anything that is not ``HTTP_VERB_STATUS`` is left out.
    """
    pairs = json.loads(text_of(line), object_pairs_hook=list)
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for key, counts in pairs:
        match = _HTTP_KEY.fullmatch(key)
        if match is None or not isinstance(counts, list):
            continue
        place = (match[1], int(match[2]))
        row = rows.setdefault(place, {"verb": match[1], "status": int(match[2])})
        for name, value in counts:
            if isinstance(value, int | float) and not isinstance(value, bool) and -(1 << 63) < value < 1 << 63:
                total = row.get(name, 0) + value
                row[name] = total if isinstance(total, int) else round(total, 6)
    return [row for row in rows.values() if row.get("count")]


def head(kind: str, identity: str) -> dict[str, Any]:
    """The fields that every record begins with."""
    return {"kind": kind, "schema": SCHEMA, "record_id": identity}


def _cache(event: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    fields = {_CACHE_NAMES.get(key, key): value for key, value in event.items() if value is not None}
    for name, value in fields.items():
        if name in _CACHE_COUNTS and isinstance(value, float) and value.is_integer():
            value = fields[name] = int(value)
        if name in _CACHE_COUNTS:
            right = _count(value) is not None
        elif name == "remotes_origin":
            right = isinstance(value, list) and all(isinstance(remote, str) for remote in value)
        else:
            right = name not in ("file_path", "vo") or isinstance(value, str)
        if not right:
            raise RejectedError("event", f"{name} is {str(value)[:40]!r}")
    if not fields.get("vo", "x"):
        del fields["vo"]
    to_disk, bypass = _count(fields.get("bytes_to_disk")), _count(fields.get("bytes_bypass_cache"))
    prefetch = _count(fields.get("bytes_by_prefetch"))
    if to_disk is not None and bypass is not None:
        fields["bytes_read_by_remote"] = to_disk + bypass
        if prefetch is not None:
            fields["bytes_explicit_remote_read"] = to_disk + bypass - prefetch
    path = fields.get("file_path")
    return fields, [path] if isinstance(path, str) else []


def _copy(event: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    fields = {_TPC_NAMES.get(key, key): value for key, value in event.items() if key not in ("Xeq", "xeq")}
    xeq = event.get("Xeq")
    if isinstance(xeq, dict):
        renamed = {_XEQ_NAMES.get(key, key): value for key, value in xeq.items()}
        for name in ("begin_transfer", "end_transfer"):
            if name in renamed:
                if not isinstance(renamed[name], str) or not renamed[name]:
                    raise RejectedError("event", f"{name} is {str(renamed[name])[:40]!r}")
                renamed[name] = microseconds(renamed[name])
        fields["xeq"] = renamed
    urls = (fields.get("destination"), fields.get("source"))
    return fields, [url_path(url) for url in urls if isinstance(url, str)]


def microseconds(text: str) -> str:
    """An ISO time whose fraction is microseconds without leading zeros (section 9.2: ``.005Z`` is 5 µs), corrected."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{1,6})Z", text)
    return f"{match[1]}.{int(match[2]):06d}Z" if match else text


def url_path(url: str) -> str:
    """The path of a URL with repeated slashes merged; "" when it has none."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return re.sub("/+", "/", path)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def redirect_fields(redirect: Redirect) -> dict[str, Any]:
    """A redirection. The port is called ``target_port`` only when it is the target's (section 8)."""
    fields: dict[str, Any] = {
        "time_min": redirect.begin,
        "time_max": redirect.end,
        "decided_by": "server" if redirect.local else "cluster",
    }
    put_text(fields, "operation", redirect.operation)
    put_text(fields, "target_host", redirect.host.strip("[]"))
    if redirect.local and redirect.host:
        fields["target_port"] = redirect.port
    put_text(fields, "filename", redirect.path)
    return fields


def purge_fields(purged: Purged) -> dict[str, Any]:
    """A file removed by ``frm_purged``."""
    fields: dict[str, Any] = {}
    put_text(fields, "filename", purged.path)
    numbers = {
        "purge_time": purged.removed,
        "filesize": purged.size,
        "atime": purged.atime,
        "ctime": purged.ctime,
        "mtime": purged.mtime,
    }
    fields |= {name: number for name, number in numbers.items() if number is not None}
    name_is = {"l": "logical", "p": "physical"}.get(purged.name_is or "")
    if name_is:
        fields["name_type"] = name_is
    return fields


def transfer_fields(moved: Transferred) -> dict[str, Any]:
    """A file staged or migrated by ``frm_xfrd``."""
    fields: dict[str, Any] = {}
    put_text(fields, "filename", moved.path)
    numbers = {
        "end_time": moved.ended,
        "filesize": moved.size,
        "queue_time": moved.queued,
        "transfer_time": moved.took,
        "return_code": moved.code,
    }
    fields |= {name: number for name, number in numbers.items() if number is not None}
    put_text(fields, "operation", moved.operation)
    put_text(fields, "program_data", moved.program)
    return fields


def summary_fields(summary: Summary, identity: str, address: str) -> dict[str, Any]:
    """The record of a summary report, from a sender's IP address."""
    fields = head("summary", identity)
    sender = parse_host(address)
    if sender.version is not None:
        put_text(fields, "server_ip", sender.text)
    server, port = split_remote(summary.source or "")
    put_text(fields, "server", server)
    info = summary.stats.get("info")
    told = info.get("port") if isinstance(info, dict) else None
    number = port_of(number_of(port)) or port_of(told if isinstance(told, int) else None)
    if number is not None:
        fields["port"] = number
    put_text(fields, "source", summary.source)
    put_text(fields, "program", summary.program)
    put_text(fields, "instance", summary.instance)
    put_text(fields, "site", summary.site)
    put_text(fields, "version", summary.version)
    numbers = {"tod": summary.reported, "tos": summary.started, "pid": summary.pid}
    fields |= {name: number for name, number in numbers.items() if number is not None}
    return fields | {"stats": clean_value(summary.stats)}
