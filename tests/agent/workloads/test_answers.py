"""What is late and who is silent: calls begin and end at given times."""

from __future__ import annotations

from agent.workloads.answers import LATE, UNKNOWN_LATE, Answers

A, B = "root://a", "root://b"


def call(
    answers: Answers, server: str, begin: float, end: float, *, doing: str = "open", answered: bool = True
) -> None:
    answers.begin(1, server, doing, begin)
    answers.end(1, end, answered=answered)


def late(answers: Answers, now: float, thread: int = 1) -> bool:
    return answers.late(answers.calls[thread], now)


def test_late_is_measured_by_what_the_same_server_took_for_the_same_kind_of_call() -> None:
    answers = Answers()
    call(answers, A, 0.0, 2.0, doing="read")
    call(answers, A, 2.0, 2.01)
    answers.begin(1, A, "read", 10.0)
    assert not late(answers, 10.0 + 3 * 2.0)
    assert late(answers, 10.0 + 3 * 2.0 + 0.1)
    answers.begin(2, A, "open", 10.0)
    assert not late(answers, 10.0 + LATE, 2)
    assert late(answers, 10.1 + LATE, 2)
    answers.begin(3, B, "open", 10.0)
    assert not late(answers, 10.0 + UNKNOWN_LATE, 3), "nothing is known of this server"
    assert late(answers, 10.1 + UNKNOWN_LATE, 3)


def test_a_server_is_silent_when_it_answers_nobody() -> None:
    answers = Answers()
    call(answers, A, 0.0, 0.1)
    answers.begin(1, A, "open", 10.0)
    answers.begin(2, A, "open", 10.5)
    assert answers.silent(10.9) == {}
    assert answers.silent(12.0) == {A: 2.0}
    answers.end(2, 12.5, answered=True)
    assert late(answers, 20.0)
    assert answers.silent(20.0) == {}, "it has answered another call: that one hangs, not the server"


def test_a_call_whose_time_is_over_is_no_answer_and_a_refusal_is_one() -> None:
    answers = Answers()
    call(answers, A, 0.0, 30.0, answered=False)
    assert answers.silent(31.0) == {A: 31.0}
    answers.begin(1, A, "open", 31.0)
    assert answers.silent(31.5) == {A: 31.5}, "silent all along, though its newest call is young"
    answers.end(1, 31.6, answered=True)
    assert answers.silent(60.0) == {}
    call(answers, A, 60.0, 60.1, answered=False)
    assert answers.silent(61.0) == {}, "a connection that is refused at once does not keep anybody waiting"


def test_a_server_that_sends_part_of_an_answer_is_not_silent() -> None:
    answers = Answers()
    answers.begin(1, "s", "GET", 0.0)
    assert answers.silent(6.0) == {"s": 6.0}
    answers.heard(1, 6.0)
    assert answers.silent(10.0) == {}
    assert answers.silent(12.0) == {"s": 6.0}
    answers.end(1, 13.0, answered=True)
    assert answers.silent(13.0) == {}


C, D = "root://c", "root://d"


def test_a_server_that_is_slower_than_the_others_is_kept_apart() -> None:
    answers = Answers()
    for server, took in ((A, 0.01), (B, 0.02), (C, 0.3)):
        call(answers, server, 1.0, 1.0 + took)
        call(answers, server, 1.0, 1.0 + took, doing="read")
    assert answers.apart(60.0) == {C}
    for number in range(20):
        call(answers, C, 2.0 + number, 2.01 + number)
        call(answers, C, 2.0 + number, 2.01 + number, doing="read")
    assert answers.apart(60.0) == frozenset(), "it is as fast as the others now"


def test_of_two_servers_the_slow_one_is_kept_apart_and_one_alone_never() -> None:
    answers = Answers()
    call(answers, A, 1.0, 9.0)
    assert answers.apart(60.0) == frozenset()
    call(answers, B, 1.0, 1.01)
    assert answers.apart(60.0) == {A}


def test_servers_that_are_all_slow_are_not_kept_apart() -> None:
    answers = Answers()
    for server, took in ((A, 0.9), (B, 1.0), (C, 1.1), (D, 0.8)):
        call(answers, server, 1.0, 1.0 + took)
    assert answers.apart(60.0) == frozenset()


def test_a_call_that_waits_while_others_answer_keeps_its_server_apart_soon() -> None:
    answers = Answers()
    for server in (A, B, C, D):
        call(answers, server, 9.9, 10.0)
    answers.begin(9, A, "open", 10.0)
    assert answers.apart(10.2) == frozenset()
    for server in (B, C, D):
        call(answers, server, 10.2, 10.3)
    assert answers.apart(10.4) == {A}
    assert answers.silent(10.4) == {}, "it is too soon to say that of it"
    for thread, server in enumerate((B, C, D), 2):
        answers.begin(thread, server, "open", 10.4)
    assert answers.apart(10.9) == frozenset(), "all of them wait: this machine may be at fault"
