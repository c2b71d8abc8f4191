"""What networks, relays and restarts do to a stream must change nothing, or exactly what it must change."""

from __future__ import annotations

import random
from typing import Any

import pytest

from collector.correlate import Correlator

pytestmark = pytest.mark.usefixtures("captures")

ALL = [
    "burst-fbuff-1472", "burst-large-datagrams", "fstat-no-lfn", "full-reads", "http", "ipv6", "killed-client",
    "long-lived", "pfc-cache", "range-reads", "redirect-cms", "restart", "sigterm-loss", "ssq", "summary-report",
    "tstream-io", "two-servers", "vector-reads", "writes", "xrdcp-pgread",
]  # fmt: skip
SMALL = [name for name in ALL if not name.startswith("burst")]
KINDS = ("file", "cache", "redirect", "summary")


def everything(kit: Any, records: Any) -> list[Any]:
    return [kit.bodies(records, kind) for kind in KINDS]


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


MAY_CHANGE = {"incomplete", "sequence_gap", "known_issue"}
"""What a record may say of a loss besides the fields that the lost datagram carried."""


@pytest.mark.parametrize("name", SMALL)
def test_each_single_datagram_lost(name: str, kit: Any) -> None:
    """The record says what is missing; nothing else changes."""
    datagrams = kit.load(name)
    complete = {(r["server_id"], r["stod"], r["file_id"]): r for r in kit.bodies(kit.replay(datagrams))}
    for place, lost in enumerate(datagrams):
        records = kit.bodies(kit.replay(datagrams[:place] + datagrams[place + 1 :]))
        code = chr(lost.data[0])
        keys = [(r["server_id"], r["stod"], r["file_id"]) for r in records]
        assert len(set(keys)) == len(keys)
        assert set(keys) <= complete.keys()
        if code != "f":
            assert set(keys) == complete.keys()
        for key, record in zip(keys, records, strict=True):
            was = complete[key]
            differs = {k for k in record.keys() | was.keys() if record.get(k) != was.get(k)}
            if not differs - MAY_CHANGE:
                continue
            gone = {k for k in differs if k not in record} - MAY_CHANGE
            changed = differs - gone - MAY_CHANGE
            if code == "=":
                assert gone | changed <= {"server_hostname", "port", "site", "instance", "version", "server"}
                assert record["server"] == record["server_ip"]
            elif code == "u":
                allowed = {"user", "session_tag", "protocol", "host", "ipv6", "appinfo"}
                assert gone <= allowed
                assert changed <= {"access_type"}
                assert "no_user" in record.get("incomplete", []) or gone <= {"ipv6", "appinfo"}
            elif code == "i":
                assert gone == {"appinfo"}
                assert not changed
            elif code == "d":
                assert {"no_path", "no_user"} == set(record["incomplete"])
                assert gone >= {"filename"}
            elif code == "f":
                assert record["incomplete"]
            else:
                pytest.fail(f"the loss of a {code!r} datagram changed {differs}")


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
        gaps = [g for state in correlator.status().values() for g in state["gaps"]]
        if first or last:
            continue  # nothing after it, or we may have begun to listen later
        assert [(g["class"], g["after"], g["missing"]) for g in gaps] == [(class_, number - 1, 1)]
        assert gaps[0]["t_min"] <= lost.t
        assert gaps[0]["t_max"] >= lost.t - 3


@pytest.mark.parametrize("name", SMALL)
def test_cut_at_every_length(name: str, kit: Any) -> None:
    """A receiver with too small a buffer: whole records are used, nothing crashes, and every cut is counted."""
    datagrams = kit.load(name)
    complete = {r["record_id"] for r in kit.bodies(kit.replay(datagrams))}
    for place, datagram in enumerate(datagrams):
        for length in range(0, len(datagram.data), 1 if len(datagram.data) < 200 else 7):
            correlator = Correlator()
            for d in datagrams[:place]:
                correlator.feed(d.data, d.remote, d.t)
            correlator.feed(datagram.data[:length], datagram.remote, datagram.t)
            correlator.drain(datagram.t)
            finals = {r["record_id"] for r in kit.bodies(correlator.take()) if r["record_id"].endswith(".f")}
            assert finals <= complete
            if datagram.data[0] != ord("<"):
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
