"""The seen-set against a plain set of everything, over any order of arrival, with and without a restart in between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import collector.seen as seen_module
from collector.seen import KNOWN, MAX_BLOCKS_OF_A_SPOOL, NEW, REUSED, Run, SeenChanges, SeenSet
from shoveler.service import Progress

DAY = 86_400.0


class Table:
    """What a checkpoint keeps of a seen-set: the rows, after every `changes()` so far."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], int] = {}
        self.used: dict[str, float] = {}
        self.floors: dict[str, int] = {}
        self.sums: dict[tuple[str, int], bytes] = {}

    def write(self, changes: SeenChanges) -> None:
        for spool in changes.forgotten:
            self.rows = {key: hi for key, hi in self.rows.items() if key[0] != spool}
            self.used.pop(spool, None)
            self.sums = {key: block for key, block in self.sums.items() if key[0] != spool}
        for spool, lo in changes.deletes:
            self.rows.pop((spool, lo), None)
        for spool, floor in changes.below:
            self.rows = {key: hi for key, hi in self.rows.items() if key[0] != spool or key[1] >= floor}
        for run in changes.puts:
            self.rows[run.spool, run.lo] = run.hi
        self.used.update(changes.used)
        self.floors.update(changes.below)
        for key in changes.sums_gone:
            self.sums.pop(key, None)
        for spool, at, block in changes.sums:
            self.sums[spool, at] = block

    def reopened(self, **bounds: float) -> SeenSet:
        seen = SeenSet(**bounds)  # type: ignore[arg-type]
        seen.restore(
            [Run(spool, lo, self.rows[spool, lo]) for spool, lo in sorted(self.rows)],
            self.used.items(),
            self.floors.items(),
            [(spool, at, block) for (spool, at), block in self.sums.items()],
        )
        return seen


def test_a_whole_spool_is_one_run() -> None:
    seen, table = SeenSet(), Table()
    assert all(seen.add("a", seq, 0.0) for seq in range(1, 10_001))
    table.write(seen.changes(0.0))
    assert (seen.runs, table.rows) == (1, {("a", 1): 10_000})


def test_one_row_is_written_for_a_run_that_grows() -> None:
    seen = SeenSet()
    seen.add("a", 1, 0.0)
    seen.changes(0.0)
    seen.add("a", 2, 1.0)
    changes = seen.changes(1.0)
    assert changes == SeenChanges([Run("a", 1, 2)], [], [], [], [])
    assert not seen.changes(2.0)


def test_an_older_number_that_never_came_is_new_when_it_comes() -> None:
    seen = SeenSet()
    for seq in (1, 2, 5, 6):
        seen.add("a", seq, 0.0)
    assert [seen.add("a", seq, 0.0) for seq in (2, 6, 3, 4, 3)] == [False, False, True, True, False]
    assert seen.runs == 1


def test_spools_do_not_mix() -> None:
    seen = SeenSet()
    assert [seen.add(spool, 7, 0.0) for spool in ("a", "b", "a")] == [True, True, False]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40)), max_size=200),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_answers_as_a_set_of_everything_across_restarts(arrivals: list[tuple[str, int]], restarts: list[int]) -> None:
    seen, table, everything = SeenSet(), Table(), set()
    for position, (spool, seq) in enumerate(arrivals):
        if position in restarts:
            table.write(seen.changes(float(position)))
            seen = table.reopened()
        assert seen.add(spool, seq, float(position)) == ((spool, seq) not in everything)
        everything.add((spool, seq))
    table.write(seen.changes(300.0))
    covered = {(spool, seq) for (spool, lo), hi in table.rows.items() for seq in range(lo, hi + 1)}
    assert covered == everything
    assert len(table.rows) == seen.runs  # nothing stored that is not held, no run in two pieces


def test_sparse_numbers_are_bounded_and_the_youngest_stay_exact() -> None:
    seen, table = SeenSet(max_runs=1_000), Table()
    for seq in range(0, 80_000, 8):  # one shard's share of a spool
        assert seen.add("a", seq, 0.0)
        if seq % 800 == 0:
            table.write(seen.changes(0.0))
    table.write(seen.changes(0.0))
    assert seen.runs <= 1_000
    assert len(table.rows) == seen.runs
    assert seen.runs_forgotten == 10_000 - seen.runs
    again = table.reopened()
    assert not any(again.add("a", seq, 0.0) for seq in range(80_000 - 8 * 900, 80_000, 8))
    assert again.add("a", 0, 0.0)  # forgotten: taken again, the harmless direction


def test_a_spool_unused_for_a_month_is_forgotten() -> None:
    seen, table = SeenSet(max_age=30 * DAY), Table()
    seen.add("old", 1, 0.0)
    seen.add("live", 1, 0.0)
    table.write(seen.changes(0.0))
    seen.add("live", 2, 29 * DAY)
    table.write(seen.changes(29 * DAY))
    assert seen.spools == 2
    table.write(seen.changes(31 * DAY))
    assert (seen.spools, table.rows, table.used) == (1, {("live", 1): 2}, {"live": 29 * DAY})


def test_age_is_kept_over_a_restart() -> None:
    seen, table = SeenSet(), Table()
    seen.add("a", 1, 5 * DAY)
    table.write(seen.changes(5 * DAY))
    again = table.reopened()
    again.changes(34 * DAY)
    assert not again.add("a", 1, 34 * DAY)


def test_invented_spools_do_not_grow_the_set() -> None:
    seen, table = SeenSet(max_spools=100), Table()
    for number in range(5_000):
        seen.add(f"spool{number}", 1, float(number))
        table.write(seen.changes(float(number)))
    assert seen.spools <= 100
    assert len(table.rows) == len(table.used) == seen.spools
    assert not seen.add("spool4999", 1, 5_000.0)


def test_forgotten_and_back_in_one_interval() -> None:
    seen, table = SeenSet(max_age=DAY), Table()
    seen.add("a", 1, 0.0)
    seen.add("a", 3, 0.0)
    table.write(seen.changes(0.0))
    seen.changes(2 * DAY)  # forgets; a checkpoint that missed it would show in the next line
    table.write(SeenChanges([], [], [], ["a"], []))
    seen.add("a", 9, 2 * DAY)
    table.write(seen.changes(2 * DAY))
    assert table.rows == {("a", 9): 9}


def test_progress_names_what_never_came() -> None:
    seen = SeenSet()
    for seq in (3, 4, 5, 8, 11, 10):
        seen.add("a", seq, 1.0)
    seen.add("b", 1, 0.0)
    assert list(seen.progress().items()) == [
        ("b", Progress(seen_upto=1)),
        ("a", Progress(seen_upto=11, holes=[(1, 2), (6, 7), (9, 9)])),
    ]


def test_progress_says_from_where_on_it_names_all() -> None:
    seen = SeenSet()
    for seq in range(2, 100, 2):
        seen.add("a", seq, 0.0)
    assert seen.progress(3)["a"] == Progress(seen_upto=98, holes=[(95, 95), (97, 97)], since=94)


def test_progress_claims_nothing_of_what_was_forgotten() -> None:
    seen = SeenSet(max_runs=10)
    for seq in range(1, 41, 2):
        seen.add("a", seq, 0.0)
    seen.changes(0.0)
    table = Table()
    for seq in range(41, 61, 2):
        seen.add("a", seq, 9.0)
    table.write(seen.changes(9.0))
    for now in (seen, table.reopened()):
        told = now.progress()["a"]
        assert (told.seen_upto, told.since, told.holes[0], told.holes[-1]) == (59, 43, (44, 44), (58, 58))


@given(st.sets(st.integers(1, 60), min_size=1), st.integers(1, 20))
def test_progress_is_what_was_seen(numbers: set[int], limit: int) -> None:
    seen = SeenSet()
    for seq in sorted(numbers, key=lambda n: n * 37 % 61):
        seen.add("a", seq, 0.0)
    told = seen.progress(limit)["a"]
    missing = {seq for first, last in told.holes for seq in range(first, last + 1)}
    assert told.seen_upto == max(numbers)
    assert missing == {seq for seq in range(max(1, told.since), max(numbers)) if seq not in numbers}
    assert len(told.holes) <= limit + 1


def test_a_known_number_with_other_content_is_no_repeat() -> None:
    seen = SeenSet()
    assert [seen.add("a", 1, 0.0, content) for content in (7, 7, 8, 8, 7)] == [NEW, KNOWN, REUSED, KNOWN, REUSED]
    assert seen.add("a", 1, 0.0) == KNOWN, "nothing to compare"
    assert seen.add("b", 1, 0.0) == NEW
    assert seen.add("b", 1, 0.0, 7) == KNOWN, "nothing to compare with"


def test_content_is_known_over_a_restart_as_far_as_it_was_written() -> None:
    seen, table = SeenSet(), Table()
    seen.add("a", 1, 100.0, 7)
    table.write(seen.changes(100.0))
    seen.add("a", 2, 101.0, 7)
    table.write(seen.changes(101.0))
    assert [table.reopened().add("a", seq, 102.0, 8) for seq in (1, 2)] == [REUSED, KNOWN]
    table.write(seen.changes(101.5, last=True))
    assert [table.reopened().add("a", seq, 102.0, 8) for seq in (1, 2)] == [REUSED, REUSED]


def test_content_is_kept_of_the_newest_numbers_only() -> None:
    seen, table = SeenSet(), Table()
    span = MAX_BLOCKS_OF_A_SPOOL * 1024
    for seq in range(0, 3 * span, 512):
        seen.add("a", seq, 0.0, 7)
        table.write(seen.changes(float(seq)))
    table.write(seen.changes(3.0 * span, last=True))
    assert len(table.sums) == MAX_BLOCKS_OF_A_SPOOL
    again = table.reopened()
    assert [again.add("a", seq, 3.0 * span, 8) for seq in (0, 2 * span - 512, 2 * span, 3 * span - 512)] == [
        KNOWN, KNOWN, REUSED, REUSED,
    ]  # fmt: skip
    assert [again.add("a", 1, 3.0 * span, content) for content in (7, 8)] == [NEW, KNOWN], "late, and not compared"


def test_the_content_of_many_spools_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_module, "MAX_BLOCKS", 3)
    seen, table = SeenSet(), Table()
    for number in range(5):
        seen.add(f"spool{number}", 1, float(number), 7)
    table.write(seen.changes(9.0, last=True))
    assert sorted(spool for spool, _ in table.sums) == ["spool2", "spool3", "spool4"]
    assert [seen.add(f"spool{number}", 1, 9.0, 8) for number in (0, 1, 2)] == [KNOWN, KNOWN, REUSED]
