"""Two runs figure by figure, and the sentence about them; facts of both with what they mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gui.reconcile import Loss, score
from gui.report import Comparison, build, compare
from gui.report.changes import Change, likely_reason
from gui.report.facts import NOT_RECORDED, Fact, FactPair, facts_of, pair_facts
from gui.store import TestSpec
from shoveler.service import ShovelerStatus

SERVERS = [f"root://s{number:02}.example.org:1094" for number in range(1, 9)]


@pytest.fixture
def make(world: Any) -> Callable[..., Any]:
    """A run of one test on eight servers; each of the first `lost` loses all that it was asked."""

    def made(lost: int = 0, *, each: int = 20, name: str = "plan", text: str = "", **environment: Any) -> Any:
        world.begin(TestSpec(8, each, each, name="t1"), name=name, **environment)
        asked = [world.ask(each, server=server) for server in SERVERS]
        for requests in asked:
            world.read(*requests)
        for requests in asked[lost:]:
            world.record(*requests)
        score(world.store, world.repeat, "settle", world.tick())
        world.store.set_run(world.run, ended=world.tick())
        report = build(world.store, world.run, timing=False, speed=True)
        return replace(report, facts=facts_of(world.store, replace(report.run, plan_text=text))) if text else report

    return made


def rows(comparison: Comparison) -> dict[str, Change]:
    return {change.name: change for change in comparison.changes}


def test_every_figure_of_both_runs_has_a_row(make: Callable[..., Any]) -> None:
    found = rows(compare(make(0), make(8)))
    assert list(found) == [
        "Success", "Missing", "Wrong bytes", "Duplicate", "Late", "Client failed", "Achieved", "p50", "p95",
        "p99.9",
    ]  # fmt: skip
    success, missing = found["Success"], found["Missing"]
    assert (success.shown_a, success.shown_b, success.change) == ("100.00 %", "0.00 %", "−100.000 points")
    assert (success.better, success.real, success.shown_chance) == (False, True, "< 0.001")
    assert (missing.shown_a, missing.shown_b, missing.change, missing.real) == ("0", "160", "+160", True)
    assert [name for name, row in found.items() if row.differs] == ["Success", "Missing"]
    assert success.ask == "8 × 20, 20 at a time"


def test_chance_agrees_with_what_the_comparison_means(make: Callable[..., Any]) -> None:
    for lost in (1, 2, 8):
        comparison = compare(make(0), make(lost))
        assert rows(comparison)["Success"].real is (comparison.tests[0].meaning == "worse")


def test_what_is_the_same_does_not_differ(make: Callable[..., Any]) -> None:
    comparison = compare(make(0), make(0))
    assert [change for change in comparison.changes if change.differs] == []
    assert comparison.finding.sentence == "No difference beyond noise."
    assert comparison.draws == "Same seed 1: both runs drew their files in the same order."


def test_the_sentence_names_what_was_lost(make: Callable[..., Any]) -> None:
    good, bad = make(0), make(8)
    assert compare(good, bad).finding.sentence.startswith("Run 2 is worse. T1 lost 160 of 160 records, run 1 none.")
    better = compare(bad, good).finding
    assert (better.tone, better.sentence) == ("better", "Run 1 is better. T1 lost no record, run 2 160 of 160.")


def test_a_loss_that_chance_explains_is_no_difference(make: Callable[..., Any]) -> None:
    found = compare(make(0), make(1)).finding
    assert (found.tone, found.sentence) == (
        "same",
        "No difference beyond noise. T1 lost 20 of 160 records, run 1 none, which chance explains.",
    )


def test_plans_without_a_common_test_are_refused(make: Callable[..., Any], world: Any) -> None:
    one = make(0)
    world.begin(TestSpec(2, 4, 4), name="another")
    found = compare(one, build(world.store, world.run)).finding
    assert (found.tone, found.head) == ("refused", "Runs 1 and 2 cannot be compared.")
    assert "asked for different things" in found.text


PLAN = (
    'name = "p"\nsettle = "60s"\n\n[[test]]\nservers = 8\nfiles_per_server = 20\nper_round = 20\npass_at = 100\n'
    "[test.who]\nslots = 16\n"
)


def test_settings_of_both_plans_are_told_apart_with_what_they_mean(make: Callable[..., Any]) -> None:
    other = PLAN.replace("60s", "90s").replace("16", "24").replace("pass_at = 100", "pass_at = 99.9")
    other += '[test.workload]\nkind = "range"\n'
    facts = compare(make(text=PLAN), make(text=other)).facts
    assert [(f.what, f.a, f.b, f.bearing) for f in facts if f.setting and f.differs] == [
        ("settle", "60 s", "90 s", "waits longer, loses nothing"),
        ("pass_at", "100", "99.9", "milder: the verdict, not the figures"),
        ("slots", "16", "24", "more requests at a time"),
        ("kind", "full", "range", "other kinds of access"),
    ]
    assert len([f for f in facts if f.setting]) > 15, "also those that are the same"


def test_a_plan_of_another_version_is_shown_as_it_stands(make: Callable[..., Any], world: Any) -> None:
    run = replace(make(0).run, plan_text='name = "p"\nfuture = true\n[deep]\nkey = [1, 2]\n')
    shown = [(f.what, f.value) for f in facts_of(world.store, run) if f.setting]
    assert shown == [("name", "p"), ("future", "yes"), ("deep.key", "1, 2")]
    assert [f for f in facts_of(world.store, replace(run, plan_text="name = ")) if f.setting] == []


@pytest.mark.parametrize(
    ("before", "now", "losses", "bearing", "weight"),
    [
        (Fact("Plan", "settle", "60 s", 60), Fact("Plan", "settle", "90 s", 90), {}, "waits longer, loses nothing", ""),
        (Fact("Plan", "test 8, pass_at", "99.9", 99.9), Fact("Plan", "test 8, pass_at", "100", 100), {},
         "stricter: the verdict, not the figures", ""),
        (Fact("Clients", "up", "c1, c2, c3, c4", 4), Fact("Clients", "up", "c1, c2, c3", 3), {}, "each asks 33 % more",
         ""),
        (Fact("Shoveler sh-b", "kernel drops in the run", "0", 0), Fact("Shoveler sh-b", "kernel drops in the run",
         "9", 9), {"kernel": 22, "server": 5}, "likely cause of 22 of the 27", "cause"),
        (Fact("Servers", "restarted in the run", "none", 0), Fact("Servers", "restarted in the run", "s09", 1),
         {"kernel": 22, "server": 5}, "likely cause of 5 of the 27", "cause"),
        (Fact("Servers", "restarted in the run", "none", 0), Fact("Servers", "restarted in the run", "s09", 1), {},
         "explains none of what was lost", ""),
        (Fact("Plan", "faults", "none"), Fact("Plan", "faults", "udp-loss"), {"kernel": 2},
         "the plan disturbs the pipeline", "cause"),
        (Fact("Hub", "host", "a"), Fact("Hub", "host", "b"), {}, "", ""),
    ],
)  # fmt: skip
def test_what_a_difference_means(before: Fact, now: Fact, losses: dict[str, int], bearing: str, weight: str) -> None:
    (pair,) = pair_facts([before], [now], losses)
    assert (pair.bearing, pair.weight) == (bearing, weight)


def test_a_run_without_environment_says_so_in_one_row() -> None:
    facts = [Fact("Hub", "tally", "0.9.0"), Fact("Hub", "python", "3.11"), Fact("Plan", "name", "p")]
    pairs = pair_facts([facts[2]], facts, {}, recorded=(False, True))
    assert [(f.where, f.a, f.b, f.bearing) for f in pairs if f.differs] == [
        ("Environment", NOT_RECORDED, "2 facts", "cannot be compared")
    ]
    assert {(f.what, f.a) for f in pairs if not f.differs} == {("name", "p"), ("tally", NOT_RECORDED),
                                                               ("python", NOT_RECORDED)}  # fmt: skip


def test_drops_of_the_kernel_are_facts_of_a_shoveler(make: Callable[..., Any], world: Any) -> None:
    one = make(0)
    world.begin(TestSpec(8, 20, 20, name="t1"))
    for t, drops in ((1.0, 311), (9.0, 312)):
        world.store.put_status(
            world.run, ShovelerStatus(id="sh-b", started=1.0, t=t, host="<b>h</b>", version="0.9", kernel_drops=drops)
        )
    facts = {(f.where, f.what): f.b for f in compare(one, build(world.store, world.run)).facts}
    assert facts["Shoveler sh-b", "kernel drops in the run"] == "1"
    assert facts["Shoveler sh-b", "host"] == "<b>h</b>"


def test_the_reason_is_what_most_additional_losses_have_in_common(make: Callable[..., Any]) -> None:
    one, two = make(0), make(8)
    causes = (
        Loss("kernel", "the kernel dropped datagrams: 1 of s17 after number 42 never came", True, 14),
        Loss("kernel", "the kernel dropped datagrams: 1 of s18 after number 9 never came", True, 8),
        Loss("server", "the server ended before it had sent the close", True, 5),
    )
    (test,) = two.tests
    two = replace(two, tests=(replace(test, odd=replace(test.odd, causes=causes)),))
    assert likely_reason(one, two, ()) == "the kernel dropped datagrams (22 of the 27)"
    fact = FactPair("Shoveler sh-b", "x", "0", "9", "likely cause of 22 of the 27", "cause")
    assert likely_reason(one, two, (fact,)) == "the kernel dropped datagrams at Shoveler sh-b (22 of the 27)"
    assert likely_reason(two, two, ()) == ""


def test_what_is_alike_at_several_servers_is_one_row() -> None:
    one = [Fact(f"Server s{n:02}", "xrootd", "5.7.3") for n in range(1, 51)]
    other = [Fact(f"Server s{n:02}", "xrootd", "5.6.9" if n <= 5 else "5.7.3") for n in range(1, 51)]
    apart = [pair for pair in pair_facts(one, other, {}) if pair.differs]
    assert [(f.where, f.what, f.a, f.b, f.bearing) for f in apart] == [
        ("Servers", "xrootd on s01, s02, s03 and 2 more", "5.7.3", "5.6.9", "another version can count differently")
    ]


def test_kernel_values_of_the_hub_are_numbers_that_grow_and_shrink(world: Any) -> None:
    world.begin(name="a", kernel={"release": "5.14.0-427", "net.core.rmem_max": "33554432"})
    one = build(world.store, world.run)
    world.begin(name="a", kernel={"release": "5.14.0-503", "net.core.rmem_max": "212992"}, preflight=[{"x": 1}])
    apart = [f for f in compare(one, build(world.store, world.run)).facts if f.differs]
    assert [(f.where, f.what, f.b, f.bearing) for f in apart] == [
        ("Hub", "kernel", "5.14.0-503", "another kernel: settings may not have been kept"),
        ("Hub", "net.core.rmem_max", "212992", "kernels keep fewer datagrams"),
    ]


def test_a_client_that_only_one_run_had_is_said_once() -> None:
    one = [Fact("Clients", "up", "c1, c2", 2), Fact("Client c1", "cpus", "8"), Fact("Client c2", "cpus", "8")]
    apart = [f for f in pair_facts(one, [one[0], one[1]], {}) if f.differs]
    assert apart == []


def test_members_with_new_names_are_paired_in_their_order() -> None:
    """Those of a lab have other names each time."""
    one = [Fact("Shoveler 08d0", "version", "1"), Fact("Shoveler 08d0", "host", "vm"), Fact("Client c1", "cpus", "8")]
    other = [Fact("Shoveler 6ad4", "version", "2"), Fact("Shoveler 6ad4", "host", "vm")]
    assert [(f.where, f.what, f.a, f.b) for f in pair_facts(one, other, {})] == [
        ("Shoveler", "version", "1", "2"),
        ("Shoveler", "host", "vm", "vm"),
    ]
