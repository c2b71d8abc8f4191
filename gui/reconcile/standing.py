"""The outcome of a run: one state, one conclusion and one sentence, from its current figures. Pure.

Late records change figures after a run has ended. So the stored state and sentence are never used without the figures:
every report and listing asks here, and they all say the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gui.reconcile.figures import Conclusion, TestFigures, conclusion_of_run, hundredths
from gui.store import RunEntry

STATES: dict[Conclusion, Literal["passed", "failed", "inconclusive", "error"]] = {
    "pass": "passed",
    "fail": "failed",
    "inconclusive": "inconclusive",
    "none": "error",
}
"""The state of a completed run, by its conclusion."""
_JUDGED = ("passed", "failed", "inconclusive")
_SENTENCE = re.compile(
    r"(?:Nothing was counted\.|[\d,]+ of [\d,]+ requests matched; the worst repeat has [\d.]+ %\."
    r"(?: [\d,]+ requests? failed at the clients: too many to conclude anything\.)?)"
)
"""Matches every text that `summary` can return."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A run with the state and message that its figures give it, and its conclusion, which never contradicts them."""

    run: RunEntry
    conclusion: Conclusion


def summary(tests: Sequence[TestFigures]) -> str:
    """The figures of a run in one sentence."""
    worst = min((test.worst for test in tests if test.worst is not None), default=None)
    if worst is None:
        return "Nothing was counted."
    counted, good = sum(test.counted for test in tests), sum(test.good for test in tests)
    text = f"{good:,} of {counted:,} requests matched; the worst repeat has {hundredths(worst):.2f} %."
    if conclusion_of_run([test.conclusion for test in tests]) == "inconclusive":
        failed = sum(test.client_failed for test in tests)
        text += f" {failed:,} request{'s' * (failed != 1)} failed at the clients: too many to conclude anything."
    return text


def standing(run: RunEntry, tests: Sequence[TestFigures]) -> Standing:
    """The run by the newest figures of its tests. `tests`: all tests of the run, including those that never started.

    A run that is in progress, was stopped or broke keeps its state and message, and cannot have passed."""
    conclusion = conclusion_of_run([test.conclusion for test in tests])
    said = _SENTENCE.match(run.message)
    if run.state not in _JUDGED and not (run.state == "error" and said):
        return Standing(run, conclusion if conclusion == "fail" else "none")
    message = run.message
    if said or not message:
        message = summary(tests) + message[said.end() if said else 0 :]
    return Standing(replace(run, state=STATES[conclusion], message=message), conclusion)
