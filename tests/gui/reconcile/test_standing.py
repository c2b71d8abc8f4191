"""What a run came to, by its figures: they decide, whatever was written down when it ended."""

from __future__ import annotations

import pytest

from gui.reconcile import TestFigures, figures, standing, summary
from gui.store import RunEntry, ScoringEntry, TestSpec


def run(state: str, message: str = "") -> RunEntry:
    return RunEntry(1, "u", "a plan", "", 90.0, state, 0.0, 1.0, 2.0, message, {}, {}, False, "")


def row(good: int, total: int = 1000, *, failed: int = 0, late: int = 0) -> TestFigures:
    entry = ScoringEntry(
        repeat_id=1, kind="settle", t=0, record_mark=0, total=total, recorded=good, matched=good - late, late=late,
        wrong_bytes=0, missing=total - good - failed, duplicate=0, client_failed=failed, unreported=0, unrequested=0,
        recovered=0, bytes_asked=0, bytes_got=0, bytes_recorded=0,
    )  # fmt: skip
    return figures(TestSpec(1, total, total), [entry])


NEVER_BEGUN = figures(TestSpec(1, 1000, 1000), [])


@pytest.mark.parametrize(
    ("state", "tests", "now"),
    [
        ("failed", [row(1000, late=1)], ("passed", "pass")),
        ("passed", [row(999)], ("failed", "fail")),
        ("inconclusive", [row(999, failed=1)], ("passed", "pass")),
        ("passed", [row(900, failed=100)], ("inconclusive", "inconclusive")),
        ("passed", [row(1000), NEVER_BEGUN], ("error", "none")),
        ("stopped", [row(1000), NEVER_BEGUN], ("stopped", "none")),
        ("stopped", [row(999), NEVER_BEGUN], ("stopped", "fail")),
        ("aborted", [row(1000)], ("aborted", "none")),
        ("running", [row(1000)], ("running", "none")),
        ("error", [row(1000)], ("error", "none")),
    ],
)
def test_state_and_conclusion_never_contradict_each_other(state: str, tests: list[TestFigures], now: object) -> None:
    found = standing(run(state, "ended by its clients" if state == "error" else ""), tests)
    assert (found.run.state, found.conclusion) == now


@pytest.mark.parametrize(
    ("message", "now"),
    [
        (summary([row(999)]), "1,000 of 1,000 requests matched; the worst repeat has 100.00 %."),
        (
            f"{summary([row(999)])} Test 1, repeat 1 is not complete: s1 did not answer.",
            "1,000 of 1,000 requests matched; the worst repeat has 100.00 %. "
            "Test 1, repeat 1 is not complete: s1 did not answer.",
        ),
        (summary([row(500, failed=400)]), "1,000 of 1,000 requests matched; the worst repeat has 100.00 %."),
        (summary([]), "1,000 of 1,000 requests matched; the worst repeat has 100.00 %."),
        ("", "1,000 of 1,000 requests matched; the worst repeat has 100.00 %."),
        ("As a person wrote it.", "As a person wrote it."),
    ],
)
def test_the_sentence_on_the_figures_follows_them_and_the_rest_stays(message: str, now: str) -> None:
    assert standing(run("failed", message), [row(1000)]).run.message == now


def test_the_sentence_of_a_run_that_was_stopped_stays() -> None:
    message = "The run was stopped after 1 of 2 repeats."
    assert standing(run("stopped", message), [row(1000), NEVER_BEGUN]).run.message == message


def test_a_worst_repeat_that_lost_one_of_many_never_reads_100() -> None:
    assert summary([row(99_999, 100_000)]) == "99,999 of 100,000 requests matched; the worst repeat has 99.99 %."
