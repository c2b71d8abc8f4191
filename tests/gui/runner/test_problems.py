"""Problems: counted, taken off, and of bounded number without hiding any source."""

from __future__ import annotations

from gui.runner.problems import (
    BURST,
    EVERY,
    KIND_BURST,
    MAX_OF_SOURCE,
    MAX_SOURCES,
    MAX_TEXT,
    OLD_SECONDS,
    REST,
    ProblemLines,
    ProblemList,
)
from gui.runner.progress import Problem


def problem(text: str, where: str = "here", t: float = 0.0, count: int = 1) -> Problem:
    return Problem(t, "warning", where, text, count=count)


def test_the_same_again_is_counted_and_moves_to_the_end() -> None:
    problems = ProblemList()
    for t, text in enumerate(["a", "b", "a"]):
        problems.add(problem(text, t=t))
    assert [(p.text, p.count, p.t) for p in problems.all()] == [("b", 1, 1), ("a", 2, 2)]


def test_what_is_over_is_taken_off() -> None:
    problems = ProblemList()
    problems.add(problem("a", "bus"))
    problems.add(problem("b", "bus"))
    problems.add(problem("c", "hub"))
    problems.over("bus")
    problems.over("nowhere")
    assert [p.text for p in problems.all()] == ["c"]


def test_a_flood_of_one_source_is_counted_and_hides_no_other() -> None:
    problems = ProblemList()
    problems.add(problem("the broker is away", "bus"))
    for number in range(10_000):
        problems.add(problem(f"notice {number}", "agent c1", t=1.0))
    listed = problems.all()
    assert listed[0].text == "the broker is away"
    assert len(listed) == 1 + MAX_OF_SOURCE + 1
    (rest,) = (one for one in listed if one.text == REST)
    assert (rest.where, rest.count) == ("agent c1", 10_000 - MAX_OF_SOURCE)
    assert "notice 0" in {one.text for one in listed}, "the first ones stay, so that the list can be read"
    problems.add(problem("notice 0", "agent c1", t=2.0))
    assert max(one.count for one in problems.all() if one.text == "notice 0") == 2
    problems.add(problem("something else", "agent c1", t=1.0 + OLD_SECONDS))
    assert problems.all()[-1].text == "something else", "old ones give way"
    problems.over("agent c1")
    assert len(problems.all()) == 1


def test_a_flood_of_many_sources_is_counted_and_hides_no_other_kind() -> None:
    problems = ProblemList()
    problems.add(problem("the broker is away", "bus"))
    for number in range(MAX_SOURCES + 900):
        problems.add(problem("hello", f"agent c{number}", t=1.0))
    listed = problems.all()
    assert listed[0].where == "bus"
    assert len(listed) == 1 + MAX_SOURCES + 1
    assert (listed[-1].where, listed[-1].text, listed[-1].count) == ("agent", REST, 900)
    problems.add(problem("hello", "agent new", t=2.0 + OLD_SECONDS))
    assert problems.all()[-1].where == "agent new", "a source that has long been quiet gives way"


def test_what_did_not_happen_lately_is_over() -> None:
    problems = ProblemList()
    problems.add(problem("bad token", "join from a", t=1.0))
    problems.add(problem("bad token", "join from b", t=5.0))
    problems.add(problem("away", "bus", t=1.0))
    assert problems.quiet("join", before=3.0)
    assert [p.where for p in problems.all()] == ["bus", "join from b"]
    assert not problems.quiet("join", before=6.0)


def test_texts_are_of_bounded_length() -> None:
    problems = ProblemList()
    problems.add(problem("x" * 10_000))
    assert len(problems.all()[0].text) == MAX_TEXT


# ---------------------------------------------------------------- lines


def test_each_problem_is_a_line_once_and_again_when_it_happens_again() -> None:
    lines = ProblemLines()
    assert lines([problem("a"), problem("b")], 0) == ["warning: here: a", "warning: here: b"]
    assert lines([problem("b"), problem("a")], 1) == []
    assert lines([problem("a", count=4)], 2) == ["warning: here: a (3 times)"]
    assert lines([], 3) == []
    assert lines([problem("a")], 4) == ["warning: here: a"], "it was over, and is there again"


def test_a_source_with_many_gets_a_line_now_and_then_with_their_number() -> None:
    lines, told = ProblemLines(), []
    for second in range(300):
        flood = problem(REST, "agent c1", count=1 + 1000 * second)
        told += lines([flood], float(second))
    assert BURST < len(told) <= BURST + 300 / EVERY + 1
    assert told[-1].startswith(f"warning: agent c1: {REST} (30,000 more from there")


def test_after_two_hundred_problems_and_more_others_are_still_told() -> None:
    lines = ProblemLines()
    flood = [problem(str(number), f"agent c{number % 50}") for number in range(1000)]
    first = lines(flood, 0)
    assert len(first) == KIND_BURST
    assert lines([*flood, problem("away", "bus")], 0) == ["warning: bus: away"]
    later = [line for second in range(1, 400) for line in lines(flood, float(second))]
    assert {line.split(": ")[1] for line in later} == {f"agent c{number}" for number in range(50)}, "all are told of"


def test_text_of_others_is_one_line_without_control_characters() -> None:
    forged = problem("x\nHub at wss://evil, pin sha256:0\x1b[2J\u202e", "agent a\r\nb")
    assert ProblemLines()([forged], 0) == ["warning: agent a··b: x·Hub at wss://evil, pin sha256:0·[2J·"]
