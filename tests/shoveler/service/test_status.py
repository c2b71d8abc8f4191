import json
from typing import Any

import pytest

from shoveler.service import (
    CollectorSender,
    CollectorStatus,
    Drop,
    Gap,
    Position,
    ServerProcess,
    ShovelerSender,
    ShovelerStatus,
    StatusError,
    decode_status,
    encode_status,
    routing_key,
)

COMMON: dict[str, Any] = {"started": 1.5, "t": 2.5, "host": "h", "version": "0.1"}


def test_a_shoveler_there_and_back():
    sender = ShovelerSender(
        received=3, bytes=900, by_code={"f": 2, "=": 1}, rejected={"short": 1}, spooled=1, confirmed=2
    )
    positions = {"gen1": Position(first=5, received_upto=9, confirmed_upto=7)}
    drops = [Drop(listen="127.0.0.1:9993", t_from=1.0, t_to=2.0, count=4)]
    status = ShovelerStatus(
        id="ab12", senders={"[::1]:1094": sender}, kernel_drops=4, positions=positions, drops=drops, **COMMON
    )
    assert routing_key(status) == "shoveler.ab12"
    body = encode_status(status)
    assert json.loads(body) == {
        "schema": 2, "id": "ab12", "started": 1.5, "t": 2.5, "host": "h", "version": "0.1",
        "kernel_drops": 4, "spool_bytes": 0, "oldest": None, "spool_free": None, "refusals": [], "fragments": [],
        "positions": {"gen1": {"first": 5, "received_upto": 9, "confirmed_upto": 7}},
        "drops": [{"listen": "127.0.0.1:9993", "t_from": 1.0, "t_to": 2.0, "count": 4}],
        "senders": {"[::1]:1094": {
            "received": 3, "bytes": 900, "by_code": {"f": 2, "=": 1}, "rejected": {"short": 1}, "spooled": 1,
            "confirmed": 2,
        }},
    }  # fmt: skip
    assert decode_status("shoveler.ab12", body) == status


def test_a_collector_there_and_back():
    gap = Gap(cls="F", stod=1700000000, after=7, missing=2, t_min=1.0, t_max=2.0)
    sender = CollectorSender(seen=9, rejected={"plen": 1}, records=3, incomplete={"no_open": 1})
    process = ServerProcess(sender="1.2.3.4:5", sid="7", stod=1700000000, gaps=[gap], missing_ids={"u": [(3, 4)]})
    status = CollectorStatus(id="c0", senders={"1.2.3.4:5": sender}, processes=[process], **COMMON)
    body = encode_status(status)
    assert json.loads(body)["processes"][0]["gaps"] == [
        {"class": "F", "stod": 1700000000, "after": 7, "missing": 2, "t_min": 1.0, "t_max": 2.0}
    ]
    assert decode_status(routing_key(status), body) == status


def test_fields_of_a_later_minor_version_are_ignored():
    body = json.dumps({"schema": 1, "id": "x", "new": [1], **COMMON}).encode()
    assert decode_status("collector.x", body).id == "x"


@pytest.mark.parametrize(
    ("key", "body", "text"),
    [
        ("other.x", b"{}", "neither shoveler.SPOOL nor collector.ID"),
        ("shoveler.x", b"nonsense", "not a shoveler status"),
        ("shoveler.x", b"\xff\xfe", "not a shoveler status"),
        ("collector.x", b'{"id": 5}', "not a collector status"),
        ("shoveler.x", json.dumps({"schema": 3, "id": "x", **COMMON}).encode(), "schema 3 is newer than 2"),
        ("shoveler.x", b" " * (16 * 2**20 + 1), "larger than"),
    ],
)
def test_what_is_no_status(key, body, text):
    with pytest.raises(StatusError, match=text):
        decode_status(key, body)


def test_json_nested_without_end_is_no_status_and_no_crash() -> None:
    with pytest.raises(StatusError):
        decode_status("collector.x", b'{"later":' + b"[" * 200_000 + b"]" * 200_000 + b"}")
