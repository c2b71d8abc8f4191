"""The WLCG form of records, as its feed expects them: different names, zero for unknown numbers, times in
milliseconds."""

from __future__ import annotations

import ipaddress
from typing import Any

_STATISTICS = (
    "read_operations", "read_single_operations", "read_vector_operations", "write_operations",
    "read_min", "read_max", "read_single_min", "read_single_max", "read_vector_min", "read_vector_max",
    "write_min", "write_max", "read_average", "read_single_average", "read_vector_average", "write_average",
    "read_vector_count_min", "read_vector_count_max", "read_vector_count_average",
    "read_single_sigma", "read_vector_sigma", "read_vector_count_sigma", "write_sigma",
    "read_bytes_at_close", "write_bytes_at_close",
)  # fmt: skip

_TEXTS = {
    "site": "site_name",
    "user_dn": "user_dn",
    "host": "client_host",
    "user_domain": "client_domain",
    "server_hostname": "server_host",
    "server_ip": "server_ip",
    "filename": "file_lfn",
    "protocol": "user_protocol",
    "vo": "vo",
    "experiment": "experiment",
    "activity": "activity",
}


def wlcg_file(record: dict[str, Any], *, now: float, host: str) -> dict[str, Any]:
    """A file record (as a plain dict of its fields) in the WLCG form. `host` is the collector's own name."""
    read, readv, write = (record.get(name, 0) for name in ("read", "readv", "write"))
    form: dict[str, Any] = {name: record[field] for field, name in _TEXTS.items() if field in record}
    form |= {
        "fallback": True,
        "unique_id": record["record_id"],
        "file_size": record.get("filesize", 0),
        "read_bytes": read + readv,
        "read_single_bytes": read,
        "read_vector_bytes": readv,
        "write_bytes": write,
        "start_time": record.get("start_time", 0) * 1000,
        "end_time": record.get("end_time", 0) * 1000,
        "operation_time": record.get("operation_time", 0) * 1000,
        "operation": "read" if read + readv else "write" if write else "unknown",
    }
    if "ipv6" in record:
        form["ipv6"] = record["ipv6"]
    if "site" in record:
        form["server_site"] = record["site"]
    labels = record.get("server_hostname", "").rstrip(".").rsplit(".", 2)
    if len(labels) > 1 and not _is_address(record["server_hostname"]):
        form["server_domain"] = ".".join(labels[-2:])
    if "CN=" in record.get("user_dn", ""):
        form["user"] = record["user_dn"].rpartition("CN=")[2]
    form |= {name: record.get(name, 0) for name in _STATISTICS}
    crab = record.get("appinfo", "").split("_")
    if len(crab) == 3:
        form |= {"CRAB_Id": crab[0], "CRAB_Workflow": crab[1].rpartition("/")[2], "CRAB_Retry": crab[2]}
    form["metadata"] = _metadata("cms", "aaa-ng", record["record_id"], now, host)
    return form


def _is_address(host: str) -> bool:
    """Whether a server without a name uses its address as name, which has no domain."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def wlcg_event(record: dict[str, Any], *, copy: bool, now: float, host: str) -> dict[str, Any]:
    """A cache or (`copy`) third-party-copy record in the WLCG form: the event and its origin."""
    kind = "tpc" if copy else "metric"
    return {**record, "metadata": _metadata("cms-xrootd-cache", kind, record["record_id"], now, host)}


def _metadata(producer: str, kind: str, record_id: str, now: float, host: str) -> dict[str, Any]:
    return {
        "producer": producer,
        "type": kind,
        "timestamp": int(now * 1000),
        "type_prefix": "raw",
        "host": host,
        "_id": record_id,
    }
