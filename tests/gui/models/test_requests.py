"""The requests of a test, read for a table: what is not matched comes first where there are more than it lists."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

import gui.models.requests as module
from gui.models.requests import REQUEST_COLUMNS, read_test, row_state
from gui.models.rows import Rows
from gui.models.runs import read_run
from gui.reconcile import score
from gui.store import TestSpec, VerdictKind
from tests.gui.pages.made import request
from tests.gui.workspaces import store, world  # noqa: F401 - fixtures

SECONDS = 0.1
"""What filtering or sorting 100,000 rows may take."""


@pytest.fixture
def test_of(world):  # noqa: F811
    """A test of six requests: the second has no record, the third other bytes than were asked."""
    world.begin(TestSpec(1, 6, 6))
    asked = world.ask(6)
    for number, one in enumerate(asked):
        world.read(one)
        if number == 2:
            world.record(one, read=one.size - 1)
        elif number != 1:
            world.record(one)
    score(world.store, world.repeat, "settle", world.tick())
    return lambda: read_run(world.store, world.run).tests[0]


def test_each_request_has_its_verdict_and_figures(world, test_of) -> None:  # noqa: F811
    detail = read_test(world.store, test_of())
    assert detail.total_requests == 6
    assert [row.verdict for row in detail.requests] == [
        VerdictKind.MATCHED, VerdictKind.MISSING, VerdictKind.WRONG_BYTES, *[VerdictKind.MATCHED] * 3
    ]  # fmt: skip
    first, missing, wrong = detail.requests[:3]
    assert (first.rec, first.accesses) == (first.asked, 1)
    assert (missing.rec, missing.accesses) == (None, 0)
    assert missing.cause
    assert wrong.asked is not None
    assert wrong.rec == wrong.asked - 1


def test_of_more_than_it_lists_those_that_are_not_matched_are_there(world, test_of, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setattr(module, "MOST", 3)
    detail = read_test(world.store, test_of())
    assert detail.total_requests == 6
    assert [row.verdict for row in detail.requests] == [
        VerdictKind.MATCHED, VerdictKind.MISSING, VerdictKind.WRONG_BYTES
    ]  # fmt: skip


def test_records_that_nobody_requested_follow_the_requests(world) -> None:  # noqa: F811
    world.begin(TestSpec(1, 2, 2))
    first, second = world.ask(2)
    world.read(first, second)
    world.record(first)
    world.record(second)
    world.record(replace(second, path="/never/asked"), read=70)
    score(world.store, world.repeat, "settle", world.tick())
    detail = read_test(world.store, read_run(world.store, world.run).tests[0])
    assert (detail.total_requests, detail.unrequested, detail.total_unrequested) == (2, 1, 1)
    row = detail.requests[-1]
    assert (row.path, row.tag, row.rec, row.asked, row_state(row)[1]) == (
        "/never/asked", second.tag, 70, None, "unrequested"
    )  # fmt: skip
    found = world.store.record(row.record)
    assert (found.path, row.id) == ("/never/asked", -found.id)
    assert world.store.record(99) is None


def test_before_the_first_scoring_no_request_has_a_verdict(world) -> None:  # noqa: F811
    world.begin(TestSpec(1, 2, 2))
    world.ask(2)
    cells = world.store.request_cells(world.repeat, odd=False, limit=10)
    assert [cell[6] for cell in cells] == [None, None]
    assert world.store.request_cells(world.repeat, odd=True, limit=10) == []


@pytest.mark.parametrize("text", ["missing", "verdict:missing server:s00", "asked_b:>2000", "f0001"])
def test_a_hundred_thousand_are_filtered_and_sorted_at_once(text: str) -> None:
    rows = Rows(REQUEST_COLUMNS, lambda r: r.id)
    kinds = [VerdictKind.MISSING, *[VerdictKind.MATCHED] * 99]
    rows.replace(
        request(n, kinds[n % 100], server=f"s{n % 50:02}", asked=(100, 2048, 1 << 20)[n % 3]) for n in range(100_000)
    )
    rows.prepare(100_000)

    def best(call) -> float:
        times = []
        for _ in range(3):
            begun = time.thread_time()
            call()
            times.append(time.thread_time() - begun)
        return min(times)

    assert best(lambda: rows.filter(text)) < SECONDS
    assert rows.visible
    rows.filter("")
    for place in (2, 8, 0):
        assert best(lambda place=place: rows.sort(place, descending=True)) < SECONDS
