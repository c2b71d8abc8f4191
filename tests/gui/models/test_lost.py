"""What the latest run lost, by stage of the pipeline: from real scorings, and as a filter that finds just these."""

from __future__ import annotations

import typing

from gui.models.filters import parse_filter
from gui.models.lost import AT_STAGE, LostRequests, read_lost
from gui.models.requests import REQUEST_COLUMNS, read_test
from gui.models.rows import Rows
from gui.models.runs import read_run
from gui.reconcile.facts import LostAt
from gui.reconcile.ladder import FAULTS
from gui.runner.drills import DRILLS
from tests.gui.reconcile.losses import run_with_losses
from tests.gui.workspaces import store, world  # noqa: F401 - fixtures


def test_without_a_run_nothing_is_known(world) -> None:  # noqa: F811
    assert read_lost(world.store) is None


def test_the_latest_run_with_verdicts_counts(world) -> None:  # noqa: F811
    run_with_losses(world)
    run = run_with_losses(world)
    world.begin(name="not scored yet")
    lost = read_lost(world.store)
    assert lost is not None
    assert lost.run == run
    there = lost.at(AT_STAGE["shovelers"])
    assert (there.test, there.here, there.count) == (1, 3, 3)
    assert lost.at(AT_STAGE["database"]).words == f"Run {run} lost no request here."


def test_the_filter_finds_just_the_requests_that_are_counted(world) -> None:  # noqa: F811
    run = run_with_losses(world)
    lost = read_lost(world.store)
    rows = Rows(REQUEST_COLUMNS, key=lambda row: row.id)
    rows.replace(read_test(world.store, read_run(world.store, run).tests[0]).requests)
    for places in (*AT_STAGE.values(), *(FAULTS[drill.do] for drill in DRILLS)):
        there = lost.at(places)
        rows.filter(there.filter)
        assert len(rows.visible) == there.count, there.filter
        assert parse_filter(there.filter, REQUEST_COLUMNS).tests


def test_every_answer_of_the_ladder_belongs_to_one_stage_at_most() -> None:
    """A record that was lost at the client, or nobody knows where, was lost at no stage of the pipeline."""
    listed = [place for places in AT_STAGE.values() for place in places]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(typing.get_args(LostAt)) - {"client", "unknown"}


def test_the_test_that_lost_most_is_shown_and_the_others_are_counted() -> None:
    there = LostRequests(7, {(1, "wire"): 2, (3, "wire"): 5, (3, "queue"): 9}).at(("wire",))
    assert (there.test, there.here, there.count) == (3, 5, 7)
    assert there.words == "Shows those of run 7, test 3; its other tests lost 2 more."
