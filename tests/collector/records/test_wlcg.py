from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from collector.records import schema
from collector.records.wlcg import wlcg_event, wlcg_file

RECORD: dict[str, Any] = {
    "record_id": "00112233445566778899aabbccddeeff.f", "site": "SITE-A", "user_dn": "/DC=ch/CN=Users/CN=alice 1",
    "host": "c1.example.org", "user_domain": "example.org", "server_hostname": "se01.tier2.example.net",
    "server_ip": "192.0.2.1", "filename": "/store/f", "filesize": 10, "read": 4, "readv": 5, "write": 0, "ipv6": True,
    "start_time": 100, "end_time": 107, "operation_time": 7, "protocol": "xroot", "vo": "cms", "read_operations": 2,
    "read_average": 4.5, "appinfo": "162_https://x.example/162/190501:me:crab:Set-v2_3", "experiment": "3",
}  # fmt: skip


def test_names_and_milliseconds() -> None:
    form = wlcg_file(RECORD, now=1.7e9, host="collector.example.org")
    jsonschema.validate(form, schema("wlcg"))
    assert form["site_name"] == form["server_site"] == "SITE-A"
    assert form["fallback"] is True
    assert form["user"] == "alice 1"
    assert form["server_host"] == "se01.tier2.example.net"
    assert form["server_domain"] == "example.net"
    assert (form["client_host"], form["client_domain"]) == ("c1.example.org", "example.org")
    assert form["unique_id"] == RECORD["record_id"]
    assert (form["read_bytes"], form["read_single_bytes"], form["read_vector_bytes"], form["write_bytes"]) == (
        9,
        4,
        5,
        0,
    )
    assert (form["start_time"], form["end_time"], form["operation_time"]) == (100_000, 107_000, 7_000)
    assert form["operation"] == "read"
    assert form["write_max"] == 0
    assert form["read_average"] == 4.5
    assert (form["CRAB_Id"], form["CRAB_Workflow"], form["CRAB_Retry"]) == ("162", "190501:me:crab:Set-v2", "3")
    assert form["metadata"] == {
        "producer": "cms", "type": "aaa-ng", "timestamp": 1_700_000_000_000, "type_prefix": "raw",
        "host": "collector.example.org", "_id": RECORD["record_id"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("bytes_", "operation"),
    [
        ({"read": 1}, "read"),
        ({"readv": 1}, "read"),
        ({"write": 1}, "write"),
        ({}, "unknown"),
        ({"read": 1, "write": 1}, "read"),
    ],
)
def test_operation(bytes_: dict[str, int], operation: str) -> None:
    assert wlcg_file({"record_id": "x", **bytes_}, now=0, host="")["operation"] == operation


def test_what_is_unknown_is_zero_or_absent() -> None:
    form = wlcg_file({"record_id": "x"}, now=0, host="")
    jsonschema.validate(form, schema("wlcg"))
    assert (
        form["file_size"]
        == form["start_time"]
        == form["read_sigma" if "read_sigma" in form else "read_single_sigma"]
        == 0
    )
    assert not {"user", "vo", "site_name", "ipv6", "CRAB_Id"} & form.keys()


@pytest.mark.parametrize("appinfo", ["a_b", "a_b_c_d", "tally:x"])
def test_only_three_parts_are_crab(appinfo: str) -> None:
    assert "CRAB_Id" not in wlcg_file({"record_id": "x", "appinfo": appinfo}, now=0, host="")


def test_events_keep_their_names() -> None:
    form = wlcg_event({"record_id": "x", "file_path": "/store/f"}, copy=False, now=2.0, host="h")
    assert form["file_path"] == "/store/f"
    assert form["metadata"]["producer"] == "cms-xrootd-cache"
    assert form["metadata"]["type"] == "metric"
    assert wlcg_event({"record_id": "x"}, copy=True, now=2.0, host="h")["metadata"]["type"] == "tpc"


@pytest.mark.parametrize("host", ["192.0.2.17", "2001:db8::1.2.3.4", "[::ffff:192.0.2.17]", "se01"])
def test_a_server_without_a_name_has_no_domain(host: str) -> None:
    form = wlcg_file({**RECORD, "server_hostname": host}, now=0, host="")
    assert form["server_host"] == host
    assert "server_domain" not in form
