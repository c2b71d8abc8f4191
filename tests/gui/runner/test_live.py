"""Rates, rows and the time axis: each byte in the second in which it went, and nothing that nobody measured."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.messages import Sample, ServerSample
from gui.reconcile import LiveServer, LiveTotals
from gui.runner.live import FRESH_SECONDS, Live, Measured
from gui.runner.progress import RING_SECONDS

S1, S2 = "root://s1:1094", "root://s2:1094"


def live(*clients: str) -> Live:
    made = Live([("s1", S1), ("s2", S2)])
    for client in clients or ("i1", "i2"):
        made.client(client, client.replace("i", "c"))
        made.handed(client, 0, 0.0)
    return made


class Agent:
    """A client's side: says what it measured from one moment of its own clock to the next."""

    def __init__(self, t: float) -> None:
        self.t = t
        self.total = {S1: 0, S2: 0}

    def sample(self, s1: int, s2: int = 0, until: float | None = None) -> Sample:
        since, self.t = self.t, self.t + 1 if until is None else until
        self.total = {S1: self.total[S1] + s1, S2: self.total[S2] + s2}
        within = {S1: s1, S2: s2}
        servers = {
            url: ServerSample(self.total[url], total // 100, 1, 0, within[url]) for url, total in self.total.items()
        }
        return Sample("1.1.1", self.t, servers, since=since)


def totals(t: float, bytes_recorded: int, recorded: int = 1) -> LiveTotals:
    server = LiveServer(1, "s1", S1, 3, 2, recorded, 0, 1, 0, 0, 1, t - 5, 200, bytes_recorded, t)
    return LiveTotals(t, (server,), 3, 2, recorded, 0, 1, 0, 0, 0, 1, 1, t - 5, t)


def curve(one: Live) -> list[tuple[float, tuple[float | None, ...]]]:
    return [(point.t, point.rates) for point in one.samples]


def area(one: Live) -> float:
    """The integral of what is drawn."""
    return sum(rate for point in one.samples for rate in point.rates if rate is not None)


def test_rates_are_sums_over_clients_in_their_own_second() -> None:
    one, a, b = live(), Agent(100), Agent(100)
    one.sample("i1", a.sample(1000), 101.1, 0)
    one.sample("i2", b.sample(3000, 500), 101.2, 0)
    one.tick(101.3)
    assert curve(one) == [(100, (4000, 500))]
    assert [row.rate for row in one.server_rows(101.3)] == [4000, 500]
    assert [one.client_row(client, state="up", cpu=0).rate for client in one.clients] == [1000, 3500]


def test_a_second_waits_for_the_word_of_all_and_no_longer_than_it_must() -> None:
    one, a, b = live(), Agent(100), Agent(100)
    one.sample("i1", a.sample(1000), 101.1, 0)
    one.sample("i2", b.sample(2000), 101.1, 0)
    one.sample("i1", a.sample(1000), 102.1, 0)
    one.tick(102.3)
    assert curve(one) == [(100, (3000, 0))], "half of a second is no value"
    one.tick(102 + FRESH_SECONDS)
    assert curve(one)[1] == (101, (None, None))
    assert one.samples[1].missing == (0, 1)


def test_a_late_sample_is_filed_in_its_second() -> None:
    one, a = live("i1"), Agent(100)
    samples = [a.sample(size) for size in (10, 20, 30, 40)]
    one.sample("i1", samples[0], 101.1, 0)
    one.sample("i1", samples[3], 104.1, 0)
    one.tick(105)
    assert curve(one)[0] == (100, (10, 0))
    one.tick(110)
    assert [rates[0] for _, rates in curve(one)[:4]] == [10, None, None, 40]
    assert [point.missing for point in one.samples[:4]] == [(), (0, 1), (0, 1), ()]
    for late in (samples[2], samples[1]):  # in no order
        one.sample("i1", late, 109, 0)
    one.tick(111)
    assert [rates[0] for _, rates in curve(one)[:4]] == [10, 20, 30, 40]


def test_the_same_sample_again_changes_nothing() -> None:
    one, a = live("i1"), Agent(100)
    first = a.sample(1000)
    for _ in range(3):
        one.sample("i1", first, 101.1, 0)
    one.sample("stranger", first, 101.1, 0)
    one.tick(101.3)
    assert curve(one) == [(100, (1000, 0))]


def test_an_agent_that_does_not_say_from_when_gives_figures_and_no_rate() -> None:
    one = live("i1")
    one.sample("i1", Sample("1.1.1", 101, {S1: ServerSample(500, 5, 0, 5, 0)}), 101, 0)
    one.tick(106)
    assert one.client_row("i1", state="up", cpu=0).done == 5
    assert all(rates == (None, None) for _, rates in curve(one))


@pytest.mark.parametrize("ahead", [-90.0, -4.0, -0.25, 0.0, 0.4, 20.0])
def test_a_clock_that_is_wrong_gives_the_same_curve(ahead: float) -> None:
    one, a = live("i1"), Agent(1000 + ahead)
    for second in range(5):
        one.sample("i1", a.sample(100), 1001.05 + second, ahead)
    one.ended("i1", 1005.1)
    one.tick(1010)
    assert [t for t, _ in curve(one)[:5]] == [1000, 1001, 1002, 1003, 1004]
    assert [rates[0] for _, rates in curve(one)[:5]] == pytest.approx([100] * 5)
    assert [(rates, point.missing) for (_, rates), point in zip(curve(one)[5:], one.samples[5:], strict=True)] == [
        ((None, None), ())
    ] * len(curve(one)[5:]), "and nothing after it ended"


def test_before_its_clock_is_known_a_sample_ends_when_it_arrives() -> None:
    one, a = live("i1"), Agent(5000)
    one.sample("i1", a.sample(100), 101.0)
    one.ended("i1", 101.2)
    one.tick(102)
    assert curve(one)[0] == (100, (100, 0))


def test_nothing_was_measured_after_it_arrived() -> None:
    one, a = live("i1"), Agent(120)
    one.sample("i1", a.sample(100), 101.0, 0)  # 20 s ahead, which nobody knows yet
    one.ended("i1", 101.1)
    one.tick(103)
    assert area(one) == 100
    assert max(second for second, rates in curve(one) if rates[0]) == 100


def test_seconds_of_two_clocks_are_split_where_they_meet() -> None:
    one, a = live("i1"), Agent(100.25)
    one.sample("i1", a.sample(1000), 101.3, 0)
    one.sample("i1", a.sample(2000), 102.3, 0)
    one.ended("i1", 102.4)
    one.tick(103.3)
    assert [rates[0] for _, rates in curve(one)] == pytest.approx([750, 250 + 1500, 500])


def test_an_offset_that_is_learnt_better_leaves_no_hole() -> None:
    one, a = live("i1"), Agent(100)
    for second, ahead in enumerate((0.0, 0.012, -0.02, 0.007)):
        one.sample("i1", a.sample(100), 101.1 + second, ahead)
    one.tick(104.3)
    assert len([rates for _, rates in curve(one) if rates[0] is not None]) >= 3
    assert all(rates[0] is not None for _, rates in curve(one))


def test_a_client_that_is_lost_hatches_until_that_is_known_and_the_others_go_on() -> None:
    one, a, b = live(), Agent(100), Agent(100)
    for second in range(10):
        one.sample("i1", a.sample(100), 101.1 + second, 0)
        if second < 2:
            one.sample("i2", b.sample(50), 101.1 + second, 0)
        if second == 5:
            one.missing("i2", 106.0)
            one.missing("i2", 106.5)
    one.tick(120)
    assert [rates[0] for _, rates in curve(one)[:10]] == [150, 150, None, None, None, None, 100, 100, 100, 100]
    late = [b.sample(50) for _ in range(8)]
    one.back("i2", 112.0)
    for sample in late:
        one.sample("i2", sample, 112.1, 0)
    one.tick(121)
    assert [rates[0] for _, rates in curve(one)[:10]] == [150] * 10, "what it had measured meanwhile is not lost"


def test_a_repeat_whose_only_client_is_lost_is_hatched_to_its_end_and_no_further() -> None:
    one, a = live("i1"), Agent(100)
    one.sample("i1", a.sample(100), 101.1, 0)
    one.missing("i1", 103.0)
    one.over(106.0)
    one.tick(112)
    assert [(rates[0], bool(point.missing)) for (_, rates), point in zip(curve(one), one.samples, strict=True)] == [
        (100, False), *[(None, True)] * 5, *[(None, False)] * 6,
    ]  # fmt: skip


def test_before_the_first_sample_nothing_is_known_and_nothing_missing() -> None:
    one = live()
    one.tick(100.3)
    one.tick(103.3)
    assert [(point.t, point.rates, point.missing) for point in one.samples] == [
        (100 + n, (None, None), ()) for n in range(3)
    ]


def test_a_server_of_which_nobody_has_asked_anything_has_no_throughput_and_owes_none() -> None:
    one, a = Live([("s1", S1), ("s2", S2)]), Agent(100)
    one.client("i1", "c1")
    one.client("i2", "c2")
    one.ready("i1", 100.0)
    for second in range(3):  # its workers stand ready and read nothing; those of c2 are still being started
        one.sample("i1", a.sample(0), 101.1 + second, 0)
        one.tick(101.3 + second)
    one.ready("i2", 102.9)
    one.tick(107.3)
    assert all(rates == (None, None) for _, rates in curve(one))
    assert not any(point.missing for point in one.samples)
    assert [row.rate for row in one.server_rows(107.3)] == [None, None]
    one.handed("i1", 4, 107.5)
    one.sample("i1", a.sample(0, until=107.0), 107.1, 0)
    one.sample("i1", a.sample(500), 108.1, 0)
    one.ended("i2", 107.0)
    one.tick(112)
    assert (107, (500, 0)) in curve(one), "the other server takes part in the repeat: its 0 is measured"


def test_counts_stand_in_the_second_in_which_the_database_was_looked_at() -> None:
    one = live()
    one.tick(100.3)
    one.counted(totals(100.9, 1000, recorded=1))
    one.tick(101.3)
    one.tick(103.3)
    one.counted(totals(102.2, 1000, recorded=2))  # the answer took a second
    one.tick(104.3)
    assert [(point.t, point.recorded) for point in one.samples] == [(100, 1), (101, None), (102, 2), (103, None)]


def test_what_is_stored_is_cumulative_and_mended_by_what_comes_late() -> None:
    one, a = live("i1"), Agent(100)
    first, second, third = a.sample(10), a.sample(20, 5), a.sample(30)
    one.sample("i1", first, 101.1, 0)
    assert one.tick(101.3) == (Measured(100, S1, 10, None), Measured(100, S2, 0, None))
    one.sample("i1", third, 103.1, 0)
    one.counted(totals(103.2, 7))
    assert one.tick(107)[:1] == (Measured(102, S1, 40, None),)
    one.sample("i1", second, 106.9, 0)
    rows = {(row.second, row.url): row.bytes_read for row in one.tick(107.1)}
    assert {key: rows[key] for key in [(101, S1), (101, S2), (102, S1), (102, S2)]} == {
        (101, S1): 30, (101, S2): 5, (102, S1): 60, (102, S2): 5,
    }  # fmt: skip


def test_what_the_records_say_over_ten_seconds() -> None:
    one = live()
    assert one.server_rows(99)[0].recorded_rate is None
    for second in range(20):
        one.counted(totals(100 + second, 1000 * second))
    row, other = one.server_rows(119)
    assert row.recorded_rate == pytest.approx(1000)
    assert (row.requested, row.read, row.recorded, row.gap, row.bytes_recorded, row.last_record) == (
        3,
        2,
        1,
        1,
        19000,
        119,
    )
    assert (other.name, other.requested) == ("s2", 0)
    assert one.server_rows(119 + 2 * FRESH_SECONDS)[0].recorded_rate is None, "the database is not looked at any more"


def test_client_rows() -> None:
    one = live()
    one.handed("i1", 7, 99.0)
    agent = Agent(99)
    one.sample("i1", agent.sample(400), 100.1, 0)
    row = one.client_row("i1", state="up", cpu=50)
    assert (row.name, row.public_id, row.requested, row.done, row.failed, row.cpu) == ("c1", "i1", 7, 4, 2, 50)
    assert one.client_row("i2", state="missing", cpu=0).done == 0
    assert one.clients == ("i1", "i2")
    assert one.share("i1") == 1
    assert one.made("i1") is None, "one sample is no rate"
    one.sample("i1", agent.sample(1000), 101.1, 0)
    assert one.made("i1") == pytest.approx(10)
    assert one.client_row("i1", state="up", cpu=95, busy=True).achieved == pytest.approx(10)
    one.reported("i1", 5)
    one.reported("nobody", 5)
    assert one.unreported("i1") == 2
    assert one.requested == 7


def test_the_places_of_a_run_with_more_servers() -> None:
    one = Live([("s2", S2)], places=(S1, S2))
    one.client("i1", "c1")
    one.handed("i1", 2, 100.0)
    one.sample("i1", Agent(100).sample(10, 20), 101.1, 0)
    one.tick(101.3)
    assert curve(one) == [(100, (None, 20))], "s1 has no part in this repeat"


def test_the_ring_holds_an_hour_and_what_it_was_made_of_less() -> None:
    one, a = live("i1"), Agent(0)
    for second in range(RING_SECONDS + 50):
        one.sample("i1", a.sample(1), second + 1.1, 0)
        one.tick(second + 1.3)
    assert len(one.samples) == RING_SECONDS
    assert one.samples[0].t == 50
    assert len(one._bytes) < 500
    one.sample("i1", Sample("1.1.1", 100, {S1: ServerSample(1, 1, 1, 1, 10**9)}, since=99.5), RING_SECONDS, 0)
    one.tick(RING_SECONDS + 51.3)
    assert area(one) == RING_SECONDS, "what comes after so long is not half told"


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 4),
    st.floats(-200, 200),
    st.floats(0, 0.999),
    st.integers(1, 30),
    st.integers(0, 2**32),
    st.booleans(),
)
def test_the_area_is_what_was_read(
    clients: int, ahead: float, phase: float, seconds: int, seed: int, shuffled: bool
) -> None:
    """Clients with clocks of their own begin and end within seconds; samples come late, twice, and in no order."""
    chance = random.Random(seed)
    names = [f"i{number}" for number in range(clients)]
    one = live(*names)
    arrivals = []
    total = 0
    for number, name in enumerate(names):
        own = ahead * (number + 1)
        agent = Agent(1000 + phase + chance.random() + own)
        for _ in range(seconds):
            size = chance.randrange(0, 10**6)
            length = chance.uniform(0.2, 2.5)
            sample = agent.sample(size, size // 3, until=agent.t + length)
            total += size + size // 3
            at = sample.t - own + chance.choice([0.05, 0.05, 0.5, 4.0, 20.0])
            arrivals += [(at, name, sample, own)] * chance.choice([1, 1, 2])
    arrivals.sort(key=lambda arrival: arrival[0])
    if shuffled:
        late = max(at for at, *_ in arrivals)
        arrivals = [(late, *rest) for _, *rest in arrivals]  # type: ignore[misc]
        chance.shuffle(arrivals)
    for at, name, sample, own in arrivals:
        one.sample(name, sample, at, own)
        if not shuffled:
            one.tick(at)
    end = arrivals[-1][0] + 1
    for name in names:
        one.ended(name, end)
    one.tick(end + 10)
    assert area(one) == pytest.approx(total)
    stored = one._measured(0)
    last = {row.url: row.bytes_read for row in stored if row.bytes_read is not None}
    assert sum(last.values()) == pytest.approx(total, abs=len(last))


def test_a_client_that_stands_ready_is_waited_for_from_its_first_second_on() -> None:
    one, a, b = live(), Agent(100.5), Agent(100.6)
    one.ready("i1", 100.5)
    one.ready("i2", 100.7)
    one.sample("i1", a.sample(1000, until=101), 101.1, 0)
    one.tick(101.3)
    assert curve(one) == [], "half of the clients is no value"
    one.sample("i2", b.sample(500, until=101), 101.4, 0)
    one.tick(102.3)
    assert curve(one) == [(100, (1500, 0))]


@pytest.mark.parametrize(
    ("since", "t"), [(0.5, 1.0), (1.0, 1e11), (1e11 - 1, 1e11), (100.0, 100.0), (200.0, 100.0), (0.0, 100.0)]
)
def test_odd_times_of_an_agent_make_neither_work_nor_room(since: float, t: float) -> None:
    one = live("i1")
    one.tick(1_000_000_000.3)
    one.sample("i1", Sample("1.1.1", t, {S1: ServerSample(1, 1, 1, 1, 1)}, since=since), 1_000_000_001, 0)
    one.ended("i1", 1_000_000_002)
    one.tick(1_000_000_005)
    assert len(one.samples) <= 6


def test_an_agent_that_floods_is_not_remembered_for_ever() -> None:
    one = live("i1")
    for number in range(5000):
        one.sample("i1", Sample("1.1.1", 1000 + number / 10**6, {}), 1001, 0)
    assert len(one._clients["i1"].told) < 1000


def test_at_the_end_the_second_under_way_has_its_point_whoever_owes_something() -> None:
    one = live("i1")
    one.ready("i1", 100.2)
    one.counted(totals(100.4, 7))
    assert one.finish(100.6) == (Measured(100, S1, None, totals(100.4, 7).servers[0]),)
