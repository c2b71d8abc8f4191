"""The timeline of a repeat, read from the store: lanes, flags, what was lost; and what nobody stored."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from gui.models.timeline import (
    LANES,
    Lane,
    Miss,
    Part,
    Series,
    Timeline,
    csv_of,
    group_of,
    groups_of,
    read_timeline,
    slowest,
    sure_of,
)
from gui.store import MarkerRow, Store, TestSpec, VerdictKind
from shoveler.service import CollectorStatus, ServerProcess
from tests.gui.campaign_store import MIB, Campaign
from tests.gui.workspaces import postgres, postgres_server

__all__ = ["postgres", "postgres_server"]

SPEC = TestSpec(4, 50, 10, repeats=2, seed=42, name="4×50")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Run 1: losses, faults, drops. Run 2: without samples and status messages, as from an old bundle. Run 3: begun,
    and nothing more. Run 4: a server restarted."""
    with Store(tmp_path_factory.mktemp("timeline") / "w.db") as store:
        campaign = Campaign(store, (SPEC,))
        campaign.run(lost={(1, 2): 19}, drops=9, events=True)
        campaign.run(samples=False, daemons=False)
        empty = store.create_run(name="p", plan_text="", settle=60.0, tests=(SPEC,), now=1.0, environment={},
                                 versions={})  # fmt: skip
        store.start_repeat(empty, 1, 1, 1000.0)
        run = campaign.run(daemons=False)
        begun = store.repeats(run)[0].started or 0.0
        process = ServerProcess(sender="192.0.2.1:9", sid="7", stod=1, instance="s09", ended=begun + 7)
        store.add_status_step(
            run, CollectorStatus(id="c", started=1.0, t=begun + 8, host="h", version="1", processes=[process])
        )
        yield store


def lost(part: Part, number: int, at: float, **changes: Any) -> Miss:
    """A request that is missing, for which no reason was found unless `changes` say one."""
    plain: dict[str, Any] = {"lost_at": "", "cause": "", "certain": True, "datagram": None, "lost_with": ""}
    return Miss(at, dataclasses.replace(part.misses[0].request, id=number, **(plain | changes)))


@pytest.fixture(scope="module")
def part(store: Store) -> Part:
    (found,) = read_timeline(store, 1, 1, 2).parts
    return found


def test_it_opens_on_the_repeat_that_lost_most(store: Store) -> None:
    timeline = read_timeline(store, 1, 1, 0, True)
    assert (timeline.repeats, timeline.shown, [p.number for p in timeline.parts]) == ((1, 2), 2, [2])
    assert read_timeline(store, 2, 1, 0, True).shown == 1
    assert [p.number for p in read_timeline(store, 1, 1).parts] == [1, 2]


def test_rounds_are_where_their_requests_were(part: Part) -> None:
    *rounds, settle = part.lane("rounds").blocks
    assert [block.text for block in rounds] == ["1", "2", "3", "4", "5"]
    assert all(a.end <= b.begin for a, b in pairwise(rounds))
    assert settle.text == "settle, to the limit"
    assert settle.end == pytest.approx(part.span)


def test_throughput_is_what_came_in_each_second(part: Part) -> None:
    (series,) = part.lane("throughput").series
    assert float((series.values * np.diff(np.concatenate(([series.t[0] - 1], series.t)))).sum()) == pytest.approx(200)


def test_files_asked_follow_from_the_requests_and_recorded_from_the_samples(part: Part) -> None:
    lane = part.lane("files")
    asked, recorded = lane.series
    assert (asked.values[-1], asked.dashed, recorded.values[-1]) == (200, True, 181)
    assert lane.remark == "181 recorded, 19 lost"
    assert (lane.top, lane.top_text) == (200, "200")


def test_open_requests_are_counted_exactly(store: Store, part: Part) -> None:
    (series,) = part.lane("clients").series
    repeat = store.repeats(1)[1].id
    spans = [((r.t_open or 0) - part.began, (r.t_close or 0) - part.began) for r in store.requests(repeat, limit=1000)]
    for second, value in zip((series.t - 0.5).tolist(), series.values.tolist(), strict=True):
        overlap = sum(max(0.0, min(close, second + 1) - max(opened, second)) for opened, close in spans)
        assert value == pytest.approx(overlap, abs=1e-4)


def test_shovelers_broker_and_collectors_follow_from_their_positions(store: Store) -> None:
    parts = read_timeline(store, 1, 1).parts
    lanes = {key: [p.lane(key).series[0] for p in parts] for key in ("shovelers", "broker", "collectors")}
    assert max(float(np.max(s.values)) for s in lanes["shovelers"]) >= 80, "while the broker was away"
    assert {float(np.max(s.values)) for s in lanes["broker"]} == {20.0}
    assert 2.4 < min(float(np.max(s.values)) for s in lanes["collectors"]) < 3


def test_the_database_lane_is_what_is_awaited(part: Part) -> None:
    (series,) = part.lane("database").series
    assert float(series.values[-1]) == 19


def test_flags_are_faults_servers_and_drops(store: Store, part: Part) -> None:
    assert [(round(event.at), event.text) for event in part.events][:2] == [
        (4, "broker down"),
        (9, "s03 did not answer for 4 s; 12 requests had to wait."),
    ]
    drops = [e for p in read_timeline(store, 1, 1).parts for e in p.events if e.icon == "miss"]
    assert [e.text for e in drops] == ["kernel drops +9, sh-a"]
    assert part.lane("broker").blocks[0].text == "broker away"
    assert [(b.text, round(b.end - b.begin)) for b in part.lane("servers").blocks] == [("s03 away 4 s", 4)]


def test_a_server_that_restarted_is_named(store: Store) -> None:
    blocks = read_timeline(store, 4, 1, 1).parts[0].lane("servers").blocks
    assert [block.text for block in blocks] == ["s09 ended; another process took over"]


def test_what_was_lost_with_one_datagram_is_a_group(part: Part) -> None:
    assert len(part.misses) == 19
    (group,) = part.groups
    assert (group.label, group.detail, group.sure) == ("19 at s02", "lost with datagram 43", "proven")
    facts = dict(group.facts)
    assert facts["Datagram"] == "number 43, between 42 and 44"
    assert facts["Lost at"] == "dropped by the kernel at the shoveler"
    assert {part.group_of[miss.request.id] for miss in part.misses} == {0}
    begin, end = group.begin, group.end
    assert len(part.between(begin, end)) == 19
    assert len(part.between(begin, begin)) == 1
    assert part.between(end + 1, end + 9) == ()


def test_misses_without_a_datagram_are_grouped_by_server_cause_and_time(part: Part) -> None:
    ended = {"server": "s1", "lost_at": "server"}
    groups = groups_of(
        [
            lost(part, 1, 1.0, **ended, cause="it ended: number 7"),
            lost(part, 2, 2.0, **ended, cause="it ended: number 9"),
            lost(part, 3, 2.5, server="s2"),
            lost(part, 4, 30.0, **ended, cause="it ended: number 8"),
        ],
        0.0,
    )
    assert [(g.label, g.detail, g.sure) for g in groups] == [
        ("2 at s1", "it ended", "certain"),
        ("1 at s2", "missing", "unknown"),
        ("1 at s1", "it ended", "certain"),
    ]
    both = group_of([m for g in groups for m in g.misses], 0.0)
    assert (both.label, both.sure) == ("4 at 2 servers", "unknown")


@pytest.mark.parametrize(
    ("changes", "sure"),
    [
        ({}, "unknown"),
        ({"lost_at": "unknown"}, "unknown"),
        ({"lost_at": "kernel", "certain": False}, "probably"),
        ({"lost_at": "server"}, "certain"),
    ],
)
def test_how_sure_a_cause_is(part: Part, changes: dict[str, Any], sure: str) -> None:
    request = lost(part, 1, 0.0, **changes).request
    assert sure_of(request) == sure
    assert sure_of(dataclasses.replace(request, verdict=VerdictKind.DUPLICATE)) == "certain"


def test_what_nobody_stored_has_a_reason_and_no_curve(store: Store) -> None:
    part = read_timeline(store, 2, 1, 1).parts[0]
    bare = {lane.key: (lane.reason, len(lane.series)) for lane in part.lanes}
    assert bare["throughput"] == ("no samples were stored with this run", 0)
    assert bare["shovelers"] == ("no status of shovelers was stored with this run", 0)
    assert bare["collectors"] == ("no status of collectors was stored with this run", 0)
    assert bare["broker"][1] == bare["database"][1] == 0
    assert bare["servers"][0] == "no samples and no status of collectors were stored with this run"
    assert bare["files"] == ("", 1), "what was asked follows from the requests"
    assert part.lane("files").unit == "asked; recorded: not stored"
    assert bare["clients"] == ("", 1)
    assert bare["misses"] == ("nothing missing", 0)


def test_a_repeat_in_which_nothing_has_happened_yet(store: Store) -> None:
    timeline = read_timeline(store, 3, 1)
    (part,) = timeline.parts
    assert (part.requests, part.took, part.span, part.misses) == (0, None, 1.0, ())
    assert [lane.key for lane in part.lanes] == list(LANES)
    assert part.lane("rounds").reason == part.lane("files").reason == "no request has ended"
    assert csv_of(part) == "seconds\n\n" or csv_of(part).startswith("seconds")
    assert read_timeline(store, 3, 9) == Timeline(3, 9, (), 0, ())


def test_figures_as_csv_have_a_row_for_each_moment(part: Part) -> None:
    lines = csv_of(part).splitlines()
    assert lines[0].startswith("seconds,throughput throughput,files asked,files recorded,clients open,shovelers spool")
    assert len(lines) > 20
    assert {line.count(",") for line in lines} == {lines[0].count(",")}


def test_the_slowest_server_is_named_only_where_it_is_much_slower(store: Store, part: Part) -> None:
    samples = store.samples(store.repeats(1)[0].id)
    names = {server.id: server.name for server in store.servers()}
    assert slowest(samples, names, part.began) is None
    last = max(sample.server_id for sample in samples)
    slow = [dataclasses.replace(s, bytes_read=(s.bytes_read or 0) // 4) if s.server_id == last else s for s in samples]
    block = slowest(slow, names, part.began)
    assert block is not None
    assert block.text.startswith("s04 slowest of 4, ")


def test_a_value_of_a_curve_is_the_last_one_until_then() -> None:
    series = Series("s", np.array([1.0, 2.0]), np.array([5.0, MIB]))
    assert [series.at(t) for t in (0.5, 1.0, 1.9, 9.0)] == [None, 5.0, 5.0, MIB]
    assert Lane("files", "Files", "").series == ()


def test_a_marker_before_the_repeat_reaches_into_it(store: Store) -> None:
    part = read_timeline(store, 2, 1, 2).parts[0]
    store.add_marker(2, MarkerRow(part.began - 20, "fault", "broker-down for 30 s"))
    (event,) = read_timeline(store, 2, 1, 2).parts[0].events
    assert (event.at, event.until) == (0.0, pytest.approx(10.0))


def test_both_kinds_of_database_count_the_same(postgres: str, store: Store) -> None:
    lanes = []
    with Store(postgres) as other:
        Campaign(other, (SPEC,)).run(lost={(1, 2): 19}, drops=9, events=True)
        for each in (store, other):
            (found,) = read_timeline(each, 1, 1, 2).parts
            lanes.append({(lane.key, one.name): one.values for lane in found.lanes for one in lane.series})
            assert len(found.misses) == 19
    assert lanes[0].keys() == lanes[1].keys()
    for key, values in lanes[0].items():
        assert np.allclose(values, lanes[1][key]), key
