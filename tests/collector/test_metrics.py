"""The names that dashboards know, and what is in them."""

from __future__ import annotations

from typing import Any

from collector.engine import Snapshot
from collector.metrics import Metrics
from shoveler.service import exposition, new_registry


def shown(*snapshots: Snapshot, peer_names: bool = False) -> dict[str, float]:
    registry = new_registry()
    metrics = Metrics(registry, peer_names=peer_names)
    metrics.show(snapshots)
    lines = exposition(registry).decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def snapshot(part: str = "one", **more: Any) -> Snapshot:
    return Snapshot(
        part=part,
        values={
            "datagrams": 10,
            "duplicates": 2,
            "commits": 4,
            "commit_seconds": 0.5,
            "last_commit_seconds": 0.00125,
            "lag_seconds": 0.25,
            "outbox": 3,
            "seen_runs": 7,
            "seen_forgotten": 1,
            "source_drops": 9,
        },
        labelled={
            "rejected": {"envelope": 1},
            "records": {"file": 20, "cache": 2},
            "dropped": {"unroutable": 2},
            "core": {
                "decoded": 8,
                "duplicates": 1,
                "expired": 5,
                "rejected{short}": 2,
                "incomplete{no_open}": 3,
                "missing{F}": 6,
                "dropped{vo}": 4,
                "state_servers": 1,
                "state_sessions": 2,
                "state_files": 3,
                "state_bytes": 999,
            },
        },
        **more,
    )


def test_the_names_of_the_reference() -> None:
    found = shown(snapshot())
    assert found["collector_packets_parsed_ok"] == 8
    assert found["collector_parse_errors"] == 3
    assert found["collector_state_size"] == 6
    assert found["collector_ttl_evictions"] == 5
    assert found["collector_records_emitted"] == 22
    assert found['collector_records_dropped{reason="unroutable"}'] == 2
    assert found['collector_records_dropped{reason="vo"}'] == 4
    assert found['collector_gaps_total{class="F"}'] == 6
    assert found["collector_duplicates_total"] == 3
    assert found['collector_incomplete_total{reason="no_open"}'] == 3
    assert found["collector_outbox_size"] == 3
    assert found["collector_checkpoint_seconds"] == 0.00125  # G29: not whole milliseconds
    assert found["collector_lag_seconds"] == 0.25
    assert found["collector_source_drops_total"] == 9


def test_the_peers_names_on_request_and_with_the_same_values() -> None:
    assert not any(name.startswith("shoveler_") for name in shown(snapshot()))
    found = shown(snapshot(), peer_names=True)
    peers = {name: value for name, value in found.items() if name.startswith("shoveler_")}
    assert peers == {
        "shoveler_packets_parsed_ok": 8,
        "shoveler_parse_errors": 3,
        "shoveler_state_size": 6,
        "shoveler_ttl_evictions": 5,
        "shoveler_records_emitted": 22,
        'shoveler_records_dropped{reason="unroutable"}': 2,
        'shoveler_records_dropped{reason="vo"}': 4,
    }


def test_shards_are_added_up_and_the_slowest_is_shown() -> None:
    slow = snapshot("two")
    slow.values["lag_seconds"] = 4.0
    found = shown(snapshot(), slow, Snapshot(part="three", waiting=True))
    assert found["collector_datagrams_total"] == 20
    assert found['collector_records_total{kind="file"}'] == 40
    assert found["collector_lag_seconds"] == 4.0
    assert found["collector_standby"] == 1
