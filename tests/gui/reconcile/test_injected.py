"""What the plan injected can be left out of figures, servers, causes and reports; both figures are said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gui import report
from gui.cli import main
from gui.models.runs import read_run
from gui.reconcile import break_down, by_server, injected_losses, places
from gui.store import Store
from tests.gui.reconcile.losses import run_with_losses
from tests.gui.store.world import World

UDP = "udp-loss for 6 s (2 % of all)"


@pytest.fixture
def run(any_world: World) -> tuple[Store, int]:
    """48 requests: three missing by the plan's udp-loss, one wrong, one duplicate, one that failed at its client."""
    return any_world.store, run_with_losses(any_world, fault=UDP)


def test_by_itself_everything_counts(run) -> None:
    store, number = run
    view = read_run(store, number)
    (row,) = view.tests
    assert (row.figures.missing, row.figures.injected, row.figures.left_out) == (3, 3, 0)
    assert view.success_both == ("89.36 %", "95.45 %")
    assert injected_losses(store, row.scorings) == {row.scorings[0].id: 3}


def test_left_out_it_is_in_no_figure_and_nothing_else_changes(run) -> None:
    store, number = run
    every, view = read_run(store, number), read_run(store, number, without_injected=True)
    before, now = every.tests[0].figures, view.tests[0].figures
    assert (now.missing, now.counted, now.left_out, now.good) == (0, before.counted - 3, 3, before.good)
    assert now.success == pytest.approx(100 * 42 / 44)
    assert now.worst == now.success
    assert (now.total, now.wrong_bytes, now.recorded_avg) == (before.total, before.wrong_bytes, before.recorded_avg)
    assert now.interval is not None
    assert before.interval is not None
    assert now.interval[0] > before.interval[0]
    assert view.success_both == every.success_both
    ids = [scoring.id for scoring in view.tests[0].scorings]
    one, two = by_server(store, ids, without_injected=True)
    assert (one.missing, one.left_out, one.counted, one.cause) == (0, 3, 20, "")
    assert two == by_server(store, ids)[1]
    assert break_down(store, ids, without_injected=True).causes == ()
    assert sum(places(store, view.tests[0].scorings, without_injected=True)[ids[0]].values()) == 2


def test_a_run_without_faults_of_its_plan_has_nothing_to_leave_out(any_world) -> None:
    number = run_with_losses(any_world)
    view = read_run(any_world.store, number, without_injected=True)
    assert (view.injected, view.tests[0].figures.missing) == (0, 3)


def test_reports_say_both_figures(run) -> None:
    store, number = run
    assert "Test 1: the plan injected all 3 missing; without them 95.45 %." in report.remarks_of(
        report.build(store, number)
    )
    made = report.build(store, number, without_injected=True)
    assert "Test 1: all 3 missing are left out, since the plan injected them; with them 89.36 %." in report.remarks_of(
        made
    )
    told = json.loads(report.json_report(made))
    assert (told["tests"][0]["figures"]["left_out"], told["servers"][0]["left_out"]) == (3, 3)


def test_as_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "w.db"
    with Store(path) as store:
        run_with_losses(World(store), fault=UDP)
    assert main(["results", "--without-injected", "--db", str(path)]) == 0
    assert "with them 89.36 %" in capsys.readouterr().out
    assert main(["results", "--requests", "--without-injected", "--db", str(path)]) == 2
