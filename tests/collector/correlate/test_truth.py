"""Every capture gives exactly what its truth file says the clients did; where server and client differ, by name."""

from __future__ import annotations

import collections
import math
from typing import Any

import pytest

from collector.wire import fstream, maps

FULL = {
    "5.5.3": [
        "burst-fbuff-1472", "burst-large-datagrams", "fstat-no-lfn", "full-reads", "http", "ipv6", "killed-client",
        "long-lived", "pfc-cache", "range-reads", "redirect-cms", "restart", "sigterm-loss", "ssq", "two-servers",
        "vector-reads", "writes", "xrdcp-pgread",
    ],
    "6.1.0": [
        "all-streams", "async-default", "async-force", "auth-sss", "fstat-no-lfn", "fstat-no-xfr", "full-reads",
        "gstream-forms", "http-binary", "http-broken", "http-json", "https-cert", "killed-client", "long-lived",
        "oss-stats", "pfc-binary", "pfc-json", "pss-async", "range-reads", "redirect-cms", "restart", "scitags",
        "sigterm-loss", "throttle-binary", "throttle-fslib", "throttle-json", "token-https", "token-mixed",
        "token-ztn", "two-servers", "vector-reads", "writes", "xrdcp-pgread",
    ],
}  # fmt: skip
"""Every open of these is a record. The others have no f-stream, or opens that no client of the driver made."""

OTHERS = {
    "5.5.3": {"tstream-io", "summary-report"},
    "6.1.0": {"tstream-io", "summary-json", "summary-xml", "tpc-binary", "tpc-json"},
}

RELEASE = {"5.5.3": "v5.5.3", "6.1.0": "v6.1.0-1-g4ec63a24e"}


def expected(operation: dict[str, Any], ops: bool) -> dict[str, Any]:
    """What the record of one open must say, from what the client did."""
    get = lambda name: operation.get(name) or 0  # noqa: E731 - absent and null mean 0 in truth files
    read, readv, write = get("read_requested_bytes"), get("readv_bytes"), get("write_bytes")
    want: dict[str, Any] = {
        "user": operation["tag"],
        "filename": operation["lfn"],
        "read": read,
        "readv": readv,
        "write": write,
        "read_single_bytes": read,
        "read_vector_bytes": readv,
        "read_bytes_at_close": read + readv,
        "write_bytes_at_close": write,
    }
    if "size_at_open" in operation:
        want["filesize"] = operation["size_at_open"]
    if not ops:
        return want
    reads, readvs, writes = get("read_ops"), get("readv_ops"), get("write_ops")
    want |= {
        "read_operations": reads + readvs,
        "read_single_operations": reads,
        "read_vector_operations": readvs,
        "write_operations": writes,
    }
    kinds = [
        ("read_single", "read_requested", reads, read),
        ("read_vector", "readv", readvs, readv),
        ("write", "write", writes, write),
    ]
    for field, source, count, total in kinds:
        for end in ("min", "max"):
            want[f"{field}_{end}"] = operation[f"{source}_{end}"] if count else None
        want[f"{field}_average"] = total / count if count else None
    want["read_average"] = (read + readv) / (reads + readvs) if reads + readvs else None
    want["read_vector_count_min"] = operation["seg_min"] if readvs else None
    want["read_vector_count_max"] = operation["seg_max"] if readvs else None
    want["read_vector_count_average"] = get("readv_segs") / readvs if readvs else None
    lows = [operation[f"{source}_min"] for _, source, count, _ in kinds[:2] if count]
    highs = [operation[f"{source}_max"] for _, source, count, _ in kinds[:2] if count]
    want["read_min"], want["read_max"] = (min(lows), max(highs)) if lows else (None, None)
    return want


def user_of(version: str, tag: str) -> str | None:
    """The user as the server tells it: none over HTTP, and of a name what its release leaves of it."""
    if tag == "unknown":
        return None
    return (tag if version == "5.5.3" else tag.partition(".")[0])[:8]


def known_difference(version: str, scenario: str, operation: dict[str, Any], want: dict[str, Any]) -> str | None:
    """Changes what is expected where the server is known to tell otherwise; returns the name of the behaviour."""
    if over_http(scenario, operation):
        if scenario == "http-broken":  # whole writes of 1 MiB, and what was read ahead in pieces of 8 MiB
            want |= {"read": 16777216} if operation["mode"] == "read" else {"write": 2097152}
        elif operation["mode"] == "write":
            if version == "5.5.3":
                want |= {"write": 0, "write_bytes_at_close": 0, "access_type": "none"}
                return "http_put_zero"
        else:
            body, parts = operation.get("read_bytes", 0), operation.get("payload_bytes", 0)
            want |= {"read": body, "readv": parts}  # several ranges are one vector read
        want |= {"read_single_bytes": want["read"], "read_vector_bytes": want["readv"]}
        want |= {"read_bytes_at_close": want["read"] + want["readv"], "write_bytes_at_close": want["write"]}
        return None
    if scenario == "xrdcp-pgread":
        if operation["close"] == "client_killed":
            want |= {"read": 0, "read_single_bytes": 0, "read_bytes_at_close": 0, "forced": 1}
            return "pgread_forced"
        if operation["mode"] in ("write", "over"):
            stored = operation["write_bytes"]
            charged = stored + 4 * math.ceil(stored / 4096)
            want |= {"write": charged, "write_bytes_at_close": charged}
            return "page_checksums" if stored else "tpc_zero"  # as far as anybody can tell from an empty file
        body = operation["read_bytes"]
        want |= {"read": body, "read_single_bytes": body, "read_bytes_at_close": body}
    if scenario == "pss-async":
        least = operation["read_requested_min"]
        counted = least if least < 98304 else 0  # only the last request of the file is that small
        for name in [name for name in want if name.startswith("read_") and "vector" not in name]:
            del want[name]
        want |= {"read": counted, "read_single_bytes": counted, "read_bytes_at_close": counted}
        want |= {"read_operations": int(counted > 0), "read_single_operations": int(counted > 0)}
        return None  # async_reads; but what a proxy without a cache sends does not show it
    if scenario == "fstat-no-xfr":
        return "fstat_no_xfr"
    return None


def over_http(scenario: str, operation: dict[str, Any]) -> bool:
    return scenario == "http" or operation.get("via", "").startswith("http")


def never_told(version: str, scenario: str, operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the client did and no datagram ever told: the server dropped it when it was stopped."""
    if scenario != "sigterm-loss":
        return []
    return [o for o in operations if not o["flushed_before_stop"]] if version == "5.5.3" else operations[-2:]


def application_info(scenario: str, truth: dict[str, Any], operation: dict[str, Any]) -> Any:
    """What the client said of itself when it opened this; `...` where the truth does not tell."""
    if scenario == "redirect-cms":
        return ...
    if over_http(scenario, operation):
        if scenario == "http":
            return None  # not before 5.6.3
        # microseconds lie between the two notes of the same moment
        asked = [r for r in truth.get("http_requests", []) if abs(r["t_begin"] - operation["t_open"]) < 0.0002]
        return asked[0]["headers"].get("User-Agent") if asked and "headers" in asked[0] else ...
    told = {(s["server"], s["tag"], s.get("client_pid")): s.get("appinfo") for s in truth["sessions"]}
    return told.get((operation["server"], operation["tag"], operation.get("client_pid")))


@pytest.mark.parametrize(("version", "scenario"), [(v, name) for v, names in FULL.items() for name in names])
def test_capture_gives_the_truth(version: str, scenario: str, kit: Any) -> None:
    truth = kit.truth(scenario, version)
    records = kit.bodies(kit.replay(kit.load(scenario, version)))
    behind = {"origin"} if scenario.startswith(("pfc", "pss")) else set()
    proxy_reads = [r for r in records if r["instance"] in behind]
    records = [r for r in records if r["instance"] not in behind]

    done = [o for o in truth["operations"] if o["open_ok"]]
    dropped = never_told(version, scenario, done)
    done = [o for o in done if o not in dropped]
    if scenario == "redirect-cms":
        for operation in done:
            operation["server"] = "ds"  # the client asked the manager; the data server did it
    assert len(records) == len(done)

    pending = collections.defaultdict(list)
    for record in records:
        pending[record["instance"], record.get("user"), record["filename"]].append(record)
    for operation in done:
        user = None if scenario == "http" else user_of(version, operation["tag"])
        candidates = pending[operation["server"], user, operation["lfn"]]
        assert candidates, f"no record for {operation['tag']} {operation['lfn']}"
        record = candidates.pop(0)
        coarse = scenario == "xrdcp-pgread" or over_http(scenario, operation)
        want = expected(operation, ops=not coarse) | {"user": user}
        issue = known_difference(version, scenario, operation, want)
        if operation["close"].endswith("server_killed") or record["final"] is False:
            assert (scenario, record["incomplete"]) in [
                ("restart", ["no_close", "server_restarted"]),
                ("fstat-no-xfr", ["no_close"]),
            ]
            for name in [n for n in want if n not in ("user", "filename", "filesize")]:
                del want[name]
        else:
            assert "incomplete" not in record
            assert record["HasFileCloseMsg"] == 1
            assert record["operation_time"] == record["end_time"] - record["start_time"]
            assert record["forced"] == int(operation["close"] != "clean")
        where = next(s for s in truth["servers"] if (s["name"], s["program"]) == (operation["server"], "xrootd"))
        want |= {"server_hostname": where["host"], "port": where["port"], "site": where["site"]}
        want |= {"version": RELEASE[version]}
        info = application_info(scenario, truth, operation)
        if info is not ...:
            want["appinfo"] = info
        if "token_subject" in operation:
            want["token_subject"] = operation["token_subject"]
        if "flows" in truth:
            flow = truth["flows"].get(operation["tag"])
            want |= {"experiment": flow and str(flow >> 6), "activity": flow and str(flow & 63)}
        got = {name: record.get(name) for name in want}
        assert got == want
        assert record.get("known_issue", []) == ([issue] if issue else [])
        assert "sequence_gap" not in record
        # a manager lets who makes a new file wait 5 s before it names a server
        asked = operation["t_open"] + 5 * (scenario == "redirect-cms" and operation["mode"] != "read")
        assert asked - 3 <= record["time_min"] <= asked + 1
        if operation["t_close"] and record["final"]:
            assert record["time_max"] + 1.5 >= operation["t_close"]  # whole seconds there, and the way back
            assert record["time_min"] <= record["start_time"] <= record["end_time"] <= record["time_max"]
    assert not any(pending.values())
    assert all(r["access_type"] == "cache_fill" for r in proxy_reads)


def test_sums_of_squares_match_the_truth(kit: Any) -> None:
    records = kit.bodies(kit.replay(kit.load("ssq")))
    by_name = collections.defaultdict(list)
    for record in records:
        by_name[record["user"], record["filename"]].append(record)
    for operation in kit.truth("ssq")["operations"]:
        record = by_name[operation["tag"], operation["lfn"]].pop(0)
        for field, total, squares, count in [
            ("read_single_sigma", "read_requested_bytes", "read_requested_ssq", "read_ops"),
            ("read_vector_sigma", "readv_bytes", "readv_ssq", "readv_ops"),
            ("read_vector_count_sigma", "readv_segs", "seg_ssq", "readv_ops"),
            ("write_sigma", "write_bytes", "write_ssq", "write_ops"),
        ]:
            n = operation[count]
            if not n:
                assert field not in record
                continue
            variance = operation[squares] / n - (operation[total] / n) ** 2
            assert record[field] == pytest.approx(math.sqrt(max(variance, 0.0)), rel=1e-9, abs=1e-3)


@pytest.mark.parametrize(
    ("version", "scenario"), [("5.5.3", "pfc-cache"), ("6.1.0", "pfc-binary"), ("6.1.0", "pfc-json")]
)
def test_cache_events_match_what_clients_read(version: str, scenario: str, kit: Any) -> None:
    truth = kit.truth(scenario, version)
    (cache,) = (server for server in truth["servers"] if server["name"] == "cache")
    events = kit.bodies(kit.replay(kit.load(scenario, version)), "cache")
    assert len(events) == 8
    for event in events:
        assert event["site"] == "SITE-A_CACHE"
        assert event["server_hostname"] == cache["host"]
        assert ("bytes_read_by_remote" in event) == (version == "6.1.0")  # 5.5.3 does not send its parts
    delivered = [
        (e["file_path"], e["bytes_hit_cache"] + e["bytes_miss_cache"] + e["bytes_bypass_cache"]) for e in events
    ]
    wanted = [(o["lfn"], min(o["read_bytes"], o["size_at_open"]) + o["readv_bytes"]) for o in truth["operations"]]
    assert sorted(delivered) == sorted(wanted)


@pytest.mark.parametrize("version", FULL)
def test_redirections_name_client_and_target(version: str, kit: Any) -> None:
    truth = kit.truth("redirect-cms", version)
    events = kit.bodies(kit.replay(kit.load("redirect-cms", version)), "redirect")
    asked = collections.Counter(
        ("open_read" if o["mode"] == "read" else "open_write", o["tag"], o["lfn"]) for o in truth["operations"]
    )
    asked.update((o["action"][0], o["tag"], o["action"][1]) for o in truth.get("other", []) if o["server"] == "mgr")
    assert collections.Counter((e["operation"], e["user"], e["filename"]) for e in events) == asked
    assert {e["decided_by"] for e in events} == {"cluster"}
    assert all("target_port" not in e for e in events)  # it is the redirector's own port there
    assert {e["instance"] for e in events} == {"mgr"}


def test_summary_reports_count_up(kit: Any) -> None:
    reports = sorted(kit.bodies(kit.replay(kit.load("summary-report")), "summary"), key=lambda r: r["tod"])
    assert len(reports) == 3
    assert [r["site"] for r in reports] == ["SITE-A"] * 3
    outs = [r["stats"]["link"]["out"] for r in reports]
    assert outs == sorted(outs)
    totals = kit.truth("summary-report")["totals"]
    assert reports[-1]["stats"]["link"]["out"] >= totals["read_bytes"]
    assert reports[-1]["stats"]["xrootd"]["ops"]["open"] == totals["opens_ok"]


def test_trace_makes_no_file_records(kit: Any) -> None:
    """No f-stream was configured there: the trace tells single operations, and never becomes a file record (G18)."""
    assert kit.replay(kit.load("tstream-io")) == []


def test_copies_of_6_1_are_told_by_who_made_them(kit: Any) -> None:
    """The active side of an HTTP copy has an event and no file record, the passive side a record and no event."""
    for scenario in ("tpc-binary", "tpc-json"):
        copies = kit.truth(scenario, "6.1.0")["copies"]
        records = kit.replay(kit.load(scenario, "6.1.0"))
        events = kit.bodies(records, "tpc")
        made = {e["destination"].rpartition("/")[2]: e for e in events}
        assert len(events) == len(copies) == len(made)
        for copy in copies:
            http = copy["protocol"] == "http"
            target = copy["headers"][0].partition("Destination: ")[2] or copy["url"] if http else copy["dst"]
            event = made[target.rpartition("/")[2]]
            assert event["tpc_protocol"] == copy["protocol"]
            assert event["size"] == ((copy["size"] or 0) if http else 0)  # an xroot copy does not tell its size
            assert event["xeq"]["return_code"] == (404 if copy["kind"] == "pull-404" else 0)
            assert event["xeq"]["flow_direction"] == copy["kind"].partition("-")[0]
            assert event["instance"] == ("src" if copy["kind"] == "push" else "dst")
            assert event["xeq"]["used_streams"] == (4 if copy["kind"] == "pull-4-streams" else 1)
        passive = [b for b in kit.bodies(records) if b["protocol"] == "http"]
        size = copies[0]["size"]
        assert sorted((b["instance"], b["filename"], b["read"], b["write"]) for b in passive) == [
            ("dst", "/store/data/tpc/push.dat", 0, size),
            ("src", "/store/data/tpc/a.dat", size, 0),
            ("src", "/store/data/tpc/a.dat", size, 0),
        ]
        assert {b["appinfo"].partition("/")[0] for b in passive} == {"xrootd-tpc"}


@pytest.mark.parametrize("scenario", ["http-binary", "http-json", "gstream-forms"])
def test_http_statistics_of_6_1_count_the_requests(scenario: str, kit: Any) -> None:
    """They are cumulative: the last row of each verb and status says how many there were."""
    requests = kit.truth(scenario, "6.1.0")["http_requests"]
    rows = sorted(kit.bodies(kit.replay(kit.load(scenario, "6.1.0")), "http"), key=lambda row: row.get("tend", 0))
    last = {(row["verb"], row["status"]): row["count"] for row in rows}
    assert last == collections.Counter((r["method"], r["status"]) for r in requests)


@pytest.mark.parametrize("scenario", ["summary-json", "http-json"])
def test_summaries_of_6_1_count_the_requests(scenario: str, kit: Any) -> None:
    requests = kit.truth(scenario, "6.1.0")["http_requests"]
    reports = kit.bodies(kit.replay(kit.load(scenario, "6.1.0")), "summary")
    assert len(reports) == 2
    for report in reports:
        http = report["stats"]["http_plugin"]
        assert {k: n for k, n in http["request"].items() if n} == collections.Counter(r["method"] for r in requests)
        assert {k: n for k, n in http["response"].items() if n} == collections.Counter(
            str(r["status"]) for r in requests
        )


@pytest.mark.parametrize("version", FULL)
def test_all_captures_are_covered(version: str, kit: Any) -> None:
    assert set(kit.captures(version)) == {*FULL[version], *OTHERS[version]}


@pytest.mark.parametrize("version", FULL)
def test_ids_of_real_servers_are_dense(version: str, kit: Any) -> None:
    """All kinds together are numbered 1…max in each process: what positions and gaps by id rest on (docs/
    monitoring-format.md, section 15)."""
    seen: dict[Any, set[int]] = collections.defaultdict(set)
    for name in kit.captures(version):
        for _, _, data in kit.load(name, version):
            code, stod = chr(data[0]), int.from_bytes(data[4:8])
            if code in "uidTU":
                found = maps.parse_map(data)
                seen[name, found.userid.sid, stod].add(found.dictid)
            elif code == "f":
                items, _ = fstream.parse_fstream(data, len(data))
                opens = {item.file_id for _, _, item in items[1:] if isinstance(item, fstream.Open)}
                seen[name, items[0].item.sid, stod] |= opens
    assert len(seen) > 20
    assert {key: sorted(ids) for key, ids in seen.items() if ids != set(range(1, len(ids) + 1))} == {}
