"""Every capture gives exactly what its truth file says the clients did; where server and client differ, by name."""

from __future__ import annotations

import collections
import math
from typing import Any

import pytest

FULL = [
    "burst-fbuff-1472", "burst-large-datagrams", "fstat-no-lfn", "full-reads", "http", "ipv6", "killed-client",
    "long-lived", "pfc-cache", "range-reads", "redirect-cms", "restart", "sigterm-loss", "ssq", "two-servers",
    "vector-reads", "writes", "xrdcp-pgread",
]  # fmt: skip

EVERYTHING = {*FULL, "tstream-io", "summary-report"}


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


def known_difference(scenario: str, operation: dict[str, Any], want: dict[str, Any]) -> str | None:
    """Changes what is expected where the server is known to tell otherwise; returns the name of the behaviour."""
    if scenario == "http":
        if operation["mode"] == "write":
            want |= {"write": 0, "write_bytes_at_close": 0, "access_type": "none"}
            return "http_put_zero"
        body, parts = operation.get("read_bytes", 0), operation.get("payload_bytes", 0)
        want |= {"read": body, "read_single_bytes": body, "readv": parts, "read_vector_bytes": parts}
        want |= {"read_bytes_at_close": body + parts}  # several ranges are one vector read
        return None
    if scenario == "xrdcp-pgread":
        if operation["close"] == "client_killed":
            want |= {"read": 0, "read_single_bytes": 0, "read_bytes_at_close": 0, "forced": 1}
            return "pgread_forced"
        if operation["mode"] == "write":
            stored = operation["write_bytes"]
            charged = stored + 4 * math.ceil(stored / 4096)
            want |= {"write": charged, "write_bytes_at_close": charged}
            return "page_checksums"
        body = operation["read_bytes"]
        want |= {"read": body, "read_single_bytes": body, "read_bytes_at_close": body}
    return None


@pytest.mark.parametrize("scenario", FULL)
def test_capture_gives_the_truth(scenario: str, kit: Any) -> None:
    truth = kit.truth(scenario)
    records = kit.bodies(kit.replay(kit.load(scenario)))
    origin = {"origin"} if scenario == "pfc-cache" else set()
    cache_fills = [r for r in records if r["instance"] in origin]
    records = [r for r in records if r["instance"] not in origin]

    # what the client did and no datagram ever told: the server dropped it when it was stopped
    done = [o for o in truth["operations"] if o["open_ok"]]
    if scenario == "sigterm-loss":
        done = [o for o in done if o["flushed_before_stop"]]
    for operation in done:
        if scenario == "redirect-cms":
            operation["server"] = "ds"  # the client asked the manager; the data server did it
    assert len(records) == len(done)

    appinfo = {(s["server"], s["tag"], s.get("client_pid")): s.get("appinfo") for s in truth["sessions"]}
    pending = collections.defaultdict(list)
    for record in records:
        pending[record["instance"], record.get("user", "unknown"), record["filename"]].append(record)
    for operation in done:
        candidates = pending[operation["server"], operation["tag"][:8], operation["lfn"]]
        assert candidates, f"no record for {operation['tag']} {operation['lfn']}"
        record = candidates.pop(0)
        pg = scenario in ("http", "xrdcp-pgread")
        want = expected(operation, ops=not pg) | {"user": None if scenario == "http" else operation["tag"][:8]}
        issue = known_difference(scenario, operation, want)
        if operation["close"] == "left_open_server_killed" or record["final"] is False:
            assert scenario == "restart"
            assert record["incomplete"] == ["no_close", "server_restarted"]
            for name in [n for n in want if n not in ("user", "filename", "filesize")]:
                del want[name]
        else:
            assert "incomplete" not in record
            assert record["HasFileCloseMsg"] == 1
            assert record["operation_time"] == record["end_time"] - record["start_time"]
            assert record["forced"] == int(operation["close"] not in ("clean",))
        where = next(s for s in truth["servers"] if (s["name"], s["program"]) == (operation["server"], "xrootd"))
        want |= {"server_hostname": where["host"], "port": where["port"], "site": where["site"], "version": "v5.5.3"}
        got = {name: record.get(name) for name in want}
        assert got == want
        assert record.get("known_issue", []) == ([issue] if issue else [])
        assert "sequence_gap" not in record
        assert record["time_min"] <= operation["t_open"] + 1
        assert record["time_min"] >= operation["t_open"] - 3
        if operation["t_close"] and record["final"]:
            assert record["time_max"] + 1.5 >= operation["t_close"]  # whole seconds there, and the way back
            assert record["time_min"] <= record["start_time"] <= record["end_time"] <= record["time_max"]
        expect_info = appinfo.get((operation["server"], operation["tag"], operation.get("client_pid")))
        if scenario != "redirect-cms":
            assert record.get("appinfo") == expect_info
    assert not any(pending.values())
    assert all(r["access_type"] == "cache_fill" for r in cache_fills)


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


def test_cache_events_match_what_clients_read(kit: Any) -> None:
    events = kit.bodies(kit.replay(kit.load("pfc-cache")), "cache")
    assert len(events) == 8
    for event in events:
        assert event["site"] == "SITE-A_CACHE"
        assert event["server_hostname"] == "cache01.example.org"
        assert "bytes_read_by_remote" not in event  # 5.5.3 does not send its parts
    delivered = [
        (e["file_path"], e["bytes_hit_cache"] + e["bytes_miss_cache"] + e["bytes_bypass_cache"]) for e in events
    ]
    wanted = [
        (o["lfn"], min(o["read_bytes"], o["size_at_open"]) + o["readv_bytes"])
        for o in kit.truth("pfc-cache")["operations"]
    ]
    assert sorted(delivered) == sorted(wanted)


def test_redirections_name_client_and_target(kit: Any) -> None:
    events = kit.bodies(kit.replay(kit.load("redirect-cms")), "redirect")
    asked = collections.Counter((o["tag"], o["lfn"]) for o in kit.truth("redirect-cms")["operations"])
    assert collections.Counter((e["user"], e["filename"]) for e in events) == asked
    assert {e["operation"] for e in events} == {"open_read"}
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


def test_all_captures_are_covered(kit: Any) -> None:
    assert set(kit.captures()) == EVERYTHING
