"""What is said of datagrams that never came, against captures of real servers of which some are left out at random:
everything that shows is said, once, with the right time, and nothing is said of what has come.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from collector.correlate import Correlator
from collector.wire import fstream, maps
from collector.wire.header import Kind, classify, parse_header

WITHOUT = {"summary-report", "summary-json", "summary-xml"}
"""No map or f-stream datagrams, and so nothing to lose."""


def captures() -> list[tuple[str, str]]:
    folder = Path(__file__).resolve().parents[2] / "captures"
    return sorted((path.parent.name, path.stem) for path in folder.glob("*/*.jsonl") if path.stem not in WITHOUT)


Process = tuple[int, int]
"""sid and stod."""


class Sent(NamedTuple):
    """What a datagram carries, as the wire tells it."""

    place: int
    process: Process
    class_: str
    way: str
    """Sequence numbers of maps are counted by way, those of the f-stream by process."""
    number: int
    begin: int
    end: int
    ids: dict[int, str]
    """Ids that it tells, and of what."""


def sent(datagrams: list[Any]) -> list[Sent]:
    """The datagrams of classes F and M."""
    found = []
    sids: dict[tuple[str, int], int] = {}
    for place, (_, remote, data) in enumerate(datagrams):
        kind = classify(data)
        if kind not in (Kind.MAP, Kind.FSTREAM, Kind.TRACE, Kind.REDIRECT):
            continue
        header = parse_header(data)
        begin = end = 0
        ids: dict[int, str] = {}
        class_ = "M"
        if kind == Kind.MAP:
            message = maps.parse_map(data)
            sids[remote, header.stod] = message.userid.sid
            if message.dictid:
                ids = {message.dictid: message.code}
        elif kind == Kind.FSTREAM:
            items, _ = fstream.parse_fstream(data, len(data))
            window = items[0].item
            sids[remote, header.stod] = window.sid  # type: ignore[assignment]
            begin, end, class_ = window.begin, window.end, "F"
            ids = {item.file_id: "open" for _, _, item in items if isinstance(item, fstream.Open)}
        process = sids[remote, header.stod], header.stod
        way = remote if class_ == "M" else ""
        found.append(Sent(place, process, class_, way, header.pseq, begin, end, ids))
    return found


def runs(numbers: Iterable[int]) -> list[list[int]]:
    """Runs of consecutive numbers."""
    grouped = groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0])
    return [[number for _, number in group] for _, group in grouped]


def evidence(correlator: Correlator) -> dict[Process, dict[str, Any]]:
    return {(int(process["sid"]), process["stod"]): process for process in correlator.processes()}


def closes(data: bytes) -> list[fstream.Close]:
    return [item for _, _, item in fstream.parse_fstream(data, len(data))[0] if isinstance(item, fstream.Close)]


def listed(ranges: list[tuple[int, int]]) -> set[int]:
    return {number for low, high in ranges for number in range(low, high + 1)}


def expected_gaps(everything: list[Sent], lost: set[int]) -> dict[Process, list[tuple[str, int, int, list[Sent]]]]:
    """(class, number before, how many, which) of each process: runs of lost ones that are followed by others."""
    found: dict[Process, list[tuple[str, int, int, list[Sent]]]] = defaultdict(list)
    counters: dict[Any, list[Sent]] = defaultdict(list)
    for one in everything:
        counters[one.process, one.class_, one.way].append(one)
    for (process, class_, _), counter in counters.items():
        last = max((place for place, one in enumerate(counter) if one.place not in lost), default=-1)
        for run in runs(place for place, one in enumerate(counter[: last + 1]) if one.place in lost):
            before = counter[run[0] - 1].number if run[0] else -1
            found[process].append((class_, before, len(run), [counter[place] for place in run]))
    return found


def check(datagrams: list[Any], correlator: Correlator, lost: set[int]) -> tuple[int, int]:
    """Compare what is said with what is true; how many gaps and ids that was."""
    everything = sent(datagrams)
    said = evidence(correlator)
    gaps = expected_gaps(everything, lost)
    counted = 0
    for process in {one.process for one in everything}:
        if process not in said:
            assert all(one.place in lost for one in everything if one.process == process)
            continue
        told = [gap for gap in said[process]["gaps"] if gap["class"] in ("F", "M")]
        right = gaps.get(process, [])
        assert sorted((gap["class"], gap["after"], gap["missing"]) for gap in told) == sorted(g[:3] for g in right)
        for gap in told:
            if gap["class"] == "F":
                (which,) = [g[3] for g in right if g[:3] == ("F", gap["after"], gap["missing"])]
                assert all(gap["begin"] <= one.begin <= one.end <= gap["end"] for one in which)
        counted += check_ids([one for one in everything if one.process == process], said[process], lost)
    return sum(map(len, gaps.values())), counted


def check_ids(process: list[Sent], said: dict[str, Any], lost: set[int]) -> int:
    came = {i: k for one in process if one.place not in lost for i, k in one.ids.items()}
    gone = {i: k for one in process if one.place in lost for i, k in one.ids.items() if i not in came}
    missing = {kind: listed(ranges) for kind, ranges in said["missing_ids"].items()}
    assert set().union(*missing.values()) <= gone.keys()
    assert {gone[i] for i in missing.get("u", ())} <= {"u"}
    assert {gone[i] for i in missing.get("open", ())} <= {"open"}
    # what a later open, and a later one of the same counter, have shown to be missing
    opens = max((i for i, kind in came.items() if kind == "open"), default=0)
    shown: set[int] = set()
    for counter in {(one.class_, one.way) for one in process}:
        members = [one for one in process if (one.class_, one.way) == counter]
        last = max((one.place for one in members if one.place not in lost), default=-1)
        shown |= {i for one in members if one.place in lost and one.place < last for i in one.ids}
    assert {i for i in shown & gone.keys() if i < opens} <= set().union(*missing.values())
    return sum(map(len, missing.values()))


@pytest.fixture(scope="module", params=captures(), ids="-".join)
def datagrams(request: pytest.FixtureRequest, kit: Any) -> list[Any]:
    version, name = request.param
    found: list[Any] = kit.load(name, version)
    return found


def some(datagrams: list[Any], rng: random.Random) -> set[int]:
    """Places of datagrams to lose, at random; not the first of a server, by which we know that it is the first."""
    share = rng.choice([0.05, 0.2, 0.5])
    places = [one.place for one in sent(datagrams) if datagrams[one.place].data[:1] != b"="]
    return {place for place in places if rng.random() < share}


def test_every_loss_that_shows_is_said_once_and_nothing_else(datagrams: list[Any]) -> None:
    for seed in range(20):
        lost = some(datagrams, random.Random(seed))
        correlator = Correlator()
        for place, d in enumerate(datagrams):
            if place not in lost:
                correlator.feed(d.data, d.remote, d.t)
        correlator.drain(datagrams[-1].t)
        check(datagrams, correlator, lost)


def test_of_one_loss_each_id_is_said(kit: Any) -> None:
    """That the comparison above compares something."""
    datagrams = kit.load("burst-fbuff-1472")
    for place in range(20, len(datagrams) - 3, 7):
        correlator = Correlator()
        for d in datagrams[:place] + datagrams[place + 1 :]:
            correlator.feed(d.data, d.remote, d.t)
        correlator.drain(datagrams[-1].t)
        (lost,) = [one for one in sent(datagrams) if one.place == place]
        assert lost.ids
        assert check(datagrams, correlator, {place}) == (1, len(lost.ids))
        (process,) = correlator.processes()
        named = {item.file_id for item in closes(datagrams[place + 1].data)} & lost.ids.keys()
        assert listed(process["missing_ids"].get("open", [])) == named


def test_what_comes_in_another_order_or_twice_is_not_missing(datagrams: list[Any]) -> None:
    for seed in range(10):
        rng = random.Random(seed)
        lost = some(datagrams, rng) if seed else set()
        arriving = [(place + rng.uniform(0, 6), place) for place in range(len(datagrams)) if place not in lost]
        arriving += [(at + rng.uniform(0, 8), place) for at, place in arriving if rng.random() < 0.2]
        if not seed:
            first = min(place for place, d in enumerate(datagrams) if d.data[:1] != b"<")
            arriving = [(0.0 if place == first else at, place) for at, place in arriving]
        correlator = Correlator()
        for _, place in sorted(arriving):
            correlator.feed(datagrams[place].data, datagrams[place].remote, datagrams[place].t)
        correlator.drain(datagrams[-1].t)
        everything = sent(datagrams)
        numbers = {(one.process, one.class_, one.number) for one in everything if one.place in lost}
        for process, said in evidence(correlator).items():
            gone = {i for one in everything if one.place in lost and one.process == process for i in one.ids}
            for gap in said["gaps"]:
                if gap["class"] in ("F", "M"):
                    missed = {(gap["after"] + n) % 256 for n in range(1, gap["missing"] + 1)}
                    assert {(process, gap["class"], number) for number in missed} <= numbers
            assert set().union(*map(listed, said["missing_ids"].values()), ()) <= gone


def test_who_comes_late_claims_nothing_of_before(datagrams: list[Any]) -> None:
    for cut in range(1, len(datagrams), max(1, len(datagrams) // 25)):
        correlator = Correlator()
        for (
            _,
            remote,
            data,
        ) in datagrams[cut:]:
            correlator.feed(data, remote, datagrams[-1].t)
        correlator.drain(datagrams[-1].t + 60)
        assert [g for process in correlator.processes() for g in process["gaps"] if g["class"] in ("F", "M")] == []
        assert [process["missing_ids"] for process in correlator.processes() if process["missing_ids"]] == []


def test_evidence_outlives_the_collector(datagrams: list[Any]) -> None:
    """Its state is put away and taken up again between any two datagrams: the evidence is that of one that went on."""
    lost = some(datagrams, random.Random(7))
    rows: dict[bytes, bytes] = {}
    whole, part = Correlator(), Correlator()
    for place, d in enumerate(datagrams):
        if place in lost:
            continue
        for one in (whole, part):
            one.feed(d.data, d.remote, d.t)
            one.advance(d.t)
        put, deleted = part.changes()
        rows |= dict(put)
        for key in deleted:
            del rows[key]
        if place % 5 == 0:
            part = Correlator()
            part.restore(rows.items())
            assert part.processes() == whole.processes()
    for one in (whole, part):
        one.drain(datagrams[-1].t)
    assert part.processes() == whole.processes()
