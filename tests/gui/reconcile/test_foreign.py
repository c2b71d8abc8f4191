"""A fault of another run that was still on: kept with the run, named in its causes, and beside every comparison."""

from __future__ import annotations

import time

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import update

from gui import report
from gui.models.course import view_of
from gui.models.runs import read_run
from gui.reconcile import Courses, ForeignFault, foreign_faults, score, still_on
from gui.reconcile.foreign import KEY, MOST, kept
from gui.report.compared import verdict
from gui.store import TestSpec, VerdictKind, schema
from tests.gui.reconcile.losses import run_with_losses

UDP = ForeignFault("udp-loss", 5.0, 65.0, percent=2.0, text="2 % of all datagrams are lost for 60 s", run=4)


def test_a_run_keeps_them_and_reads_what_it_kept() -> None:
    other = ForeignFault("broker-down", 6.0)
    environment = {KEY: kept([UDP, other])}
    assert foreign_faults(environment) == (UDP, other)
    assert still_on({KEY: kept([UDP])}) == "a fault of run 4 was still on (udp-loss)"
    assert still_on(environment) == (
        "faults of run 4 and others that no run here began were still on (udp-loss, broker-down)"
    )
    assert still_on({KEY: kept([other])}) == "a fault that no run here began was still on (broker-down)"
    assert still_on({KEY: kept([other, other])}) == "faults that no run here began were still on (broker-down)"
    assert still_on({}) == ""
    assert UDP.ends == f"until {time.strftime('%H:%M:%S', time.localtime(65.0))}"
    assert other.ends == "until somebody ends it"


@pytest.mark.parametrize("told", [None, 5, "udp-loss", [1, "x", {"do": 3}, {"do": "udp-loss"}], [{}] * 1000])
def test_what_a_bundle_says_instead_is_nothing(told: object) -> None:
    assert foreign_faults({KEY: told}) == ()
    assert len(foreign_faults({KEY: kept([UDP]) * 1000})) == MOST


def with_foreign(world, run: int, *faults: ForeignFault) -> None:
    """As if these had been on when the run began."""
    environment = world.store.run(run).environment | {"lab": True, KEY: kept(faults)}
    with world.store.database.write() as connection:
        values = {"environment": msgspec.json.encode(environment).decode()}
        connection.execute(update(schema.run).where(schema.run.c.id == run).values(**values))
    score(world.store, world.repeat, "recheck", world.tick())


def test_a_miss_names_the_fault_of_the_other_run_and_never_the_plans_own(world) -> None:
    run = run_with_losses(world)
    began = world.store.repeats(run)[0].started or 0.0
    with_foreign(world, run, replace(UDP, t=began - 30, until=began + 600))
    (missing, *_) = world.store.requests(world.repeat, verdict=VerdictKind.MISSING)
    assert missing.cause.endswith("; udp-loss of run 4 was still on then")
    view = read_run(world.store, run)
    assert view.still_on == "a fault of run 4 was still on (udp-loss)"
    assert view.injected == 0, "this run's plan has injected nothing"
    course = view_of(Courses(world.store, run).of(missing.id))
    assert course.met == ()
    assert course.injected == ""
    assert course.axis is not None
    assert "run 4" in [span.row for span in course.axis.spans]
    words = "A fault of run 4 was still on (udp-loss) when the run began; what it lost is not this run's own."
    assert words in report.remarks_of(report.build(world.store, run))


def test_over_before_the_run_it_is_no_cause(world) -> None:
    run = run_with_losses(world)
    began = world.store.repeats(run)[0].started or 0.0
    with_foreign(world, run, replace(UDP, t=began - 300, until=began - 200))
    assert "still on" not in world.store.requests(world.repeat, verdict=VerdictKind.MISSING)[0].cause


def test_no_comparison_calls_a_disturbed_run_better_or_worse_without_that_word(world) -> None:
    spec = TestSpec(1, 400, 400, name="t")
    runs = []
    for lost in (0, 60):
        world.begin(spec, lab=True)
        asked = world.ask(400)
        world.read(*asked)
        world.record(*asked[lost:])
        world.store.set_repeat(world.repeat, state="settled", ended=world.tick(), settled=world.tick(), complete=True)
        score(world.store, world.repeat, "settle", world.tick())
        runs.append(world.run)
    a, b = (report.build(world.store, run, speed=True) for run in runs)
    alone = report.compare(a, b)
    assert alone.finding.head == f"Run {runs[1]} is worse."
    with_foreign(world, runs[1], UDP)
    disturbed = report.build(world.store, runs[1], speed=True)
    but = f", but a fault of run 4 was still on (udp-loss) in run {runs[1]}."
    for one, other, word in ((a, disturbed, "worse"), (disturbed, a, "better")):
        compared = report.compare(one, other)
        assert compared.finding.head == f"Run {other.run.id} is {word}{but}"
        assert verdict(compared).endswith(but)
        text = report.compare_text(compared)
        assert ", fault on" in text
    assert report.compare(a, disturbed).finding.reason == "a fault that was still on: udp-loss of run 4"
