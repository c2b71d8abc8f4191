"""Events of the hub go to the run under way, to the scoring of what is late, and to the probes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agent.messages import Abort, Probed, Started
from gui.runner.reception import Reception


class Session:
    """A run under way whose jobs begin with 7."""

    job, job_prefix = "7.1.1", "7."

    def __init__(self, told: list[object]) -> None:
        self.agent_up = lambda agent: told.append(("up", agent.id))
        self.agent_missing = lambda agent: told.append(("missing", agent.id))
        self.agent_message = lambda agent, message: told.append(("message", agent.id))
        self.journal_stored = lambda agent, journal, last, lines: told.append(("journal", last))


@pytest.fixture
def told() -> list[Any]:
    return []


@pytest.fixture
def workspace(told) -> Any:
    return SimpleNamespace(
        hub=SimpleNamespace(send=lambda agent, message: told.append((agent, message))),
        probes=SimpleNamespace(answered=lambda message: told.append(("answered", message.id))),
        runs=SimpleNamespace(session=Session(told)),
        late_scoring=SimpleNamespace(reports_came=lambda jobs: told.append(("late", sorted(jobs)))),
        problem=lambda *arguments: told.append(arguments),
        changed=lambda: None,
    )


def agent(*jobs: str) -> Any:
    return SimpleNamespace(id="a1", jobs=jobs)


def line(job: str) -> Started:
    return Started(1, job, 1, "tag", "root://s1", "/f", 1.0)


def test_an_agent_that_comes_keeps_the_jobs_of_the_run_and_no_others(told, workspace) -> None:
    Reception(workspace).agent_up(agent("7.1.1", "6.1.1", "77.1.1"))
    assert told == [("a1", Abort(job="6.1.1")), ("a1", Abort(job="77.1.1")), ("up", "a1")]


def test_without_a_run_all_its_jobs_are_aborted(told, workspace) -> None:
    workspace.runs.session = None
    Reception(workspace).agent_up(agent("7.1.1"))
    Reception(workspace).agent_missing(agent())
    assert told == [("a1", Abort(job="7.1.1"))]


def test_reports_of_the_job_under_way_are_the_runs_and_all_others_are_late(told, workspace) -> None:
    reception = Reception(workspace)
    reception.journal_stored("a1", "j", 4, [line("7.1.1")])
    reception.journal_stored("a1", "j", 6, [line("7.1.1"), line("6.1.1")])
    assert told == [("journal", 4), ("late", ["6.1.1"]), ("journal", 6)]
    workspace.runs.session = None
    reception.journal_stored("a1", "j", 7, [line("7.1.1")])
    assert told[3:] == [("late", ["7.1.1"])]


def test_answers_to_questions_are_not_the_runs(told, workspace) -> None:
    reception = Reception(workspace)
    reception.agent_message(agent(), Probed(3, "root://s1", True, "v5"))
    reception.agent_message(agent(), line("7.1.1"))
    reception.agent_missing(agent())
    reception.problem("keys", "A key expires soon.")
    assert told == [
        ("answered", 3),
        ("message", "a1"),
        ("missing", "a1"),
        ("warning", "keys", "A key expires soon."),
    ]
