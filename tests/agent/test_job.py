"""A job as a transcript: what happened, and what is to be done."""

from __future__ import annotations

import pytest

from agent import job as job_module
from agent.job import Complain, Give, Job, State
from agent.messages import Awaited, Done, Request, Round, Silence, Started, StartRepeat, Workload

NAME = "1.1.1"


def _job(slots: int = 2) -> Job:
    return Job(StartRepeat(NAME, Workload(), slots=slots, timeout=1.0))


def _standing() -> Job:
    job = _job()
    job.stand(100.0)
    return job


def _request(path: str, slot: int = 0, server: str = "a") -> Request:
    return Request("tagtagta", slot, server, path, 1, 1)


def _round(number: int, *requests: Request) -> Round:
    return Round(NAME, number, list(requests))


def _done(path: str, *, ok: bool = True, job: str = NAME) -> Done:
    return Done(2, job, "tagtagta", path, ok, 1.0, 2.0, 1, 1, 0, 0, 0, 1, 0, 0)


def _started(path: str, job: str = NAME) -> Started:
    return Started(1, job, 1, "tagtagta", "a", path, 1.0)


F, G = _request("/f"), _request("/g", slot=1)


def test_a_job_is_idle_when_all_that_it_was_given_is_done() -> None:
    job = _standing()
    assert job.receive(_round(1, F)) == [Give(1, [F])]
    assert job.receive(_round(1, G)) == [Give(1, [G])]
    assert not job.idle
    job.done(_done("/f"))
    job.done(_done("/never"))
    assert not job.idle
    job.done(_done("/g", ok=False))
    job.done(_done("/g", ok=False))  # a line that is read again
    assert job.idle


def test_what_was_handed_out_once_is_never_handed_out_again() -> None:
    job = _standing()
    job.receive(_round(1, F))
    assert job.receive(_round(1, F)) == [], "said again after a cut"
    assert job.receive(_round(2, F)) == []
    assert job.receive(_round(1, F, G)) == [Give(1, [G])], "and what was lost with it"
    job.done(_done("/f"))
    assert job.receive(_round(1, F, G)) == []
    assert not job.idle


def test_a_slot_that_is_not_there() -> None:
    assert _standing().receive(_round(1, _request("/f", slot=2))) == [
        Complain("Job 1.1.1: round 1 names a slot that is not among its 2.")
    ]


def test_from_start_to_end() -> None:
    job = _job()
    assert (job.state, job.ready, job.stopped) == (State.STARTING, False, False)
    job.stand(100.0)
    assert (job.state, job.ready) == (State.WORKING, True)
    assert (job.end(), job.end()) == (True, False)
    assert (job.state, job.ready, job.stopped) == (State.ENDING, True, False)
    assert (job.stop(), job.stop()) == (True, False), "one tells the workers to end, and no other"
    assert (job.state, job.stopped) == (State.STOPPING, True)
    job.over()
    assert (job.state, job.ready, job.stop()) == (State.OVER, False, False)


def test_an_end_that_comes_while_the_workers_are_started() -> None:
    job = _job()
    assert job.end()
    assert job.state is State.STARTING
    job.stand(100.0)
    assert job.state is State.ENDING


def test_what_a_worker_that_died_had_not_done_is_given_again() -> None:
    job = _standing()
    job.receive(_round(1, F, G))
    unfinished = [_started("/f"), _started("/g"), _started("/f", job="2.1.1"), _started("/never")]
    assert job.left_open(unfinished, {1}) == [_started("/g")]
    assert job.left_open(unfinished) == [_started("/f"), _started("/g"), _started("/never")]
    job.done(_done("/f"))
    assert job.give_again({0, 1}) == [Give(1, [G])]


def test_too_many_workers_that_die(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_module, "REPLACEMENTS", 2)
    job = _standing()
    assert [job.lose() for _ in range(3)] == [True, True, False]


def test_samples_are_of_whole_seconds_until_the_end() -> None:
    job = _job()
    job.stand(100.4)
    assert job.unsampled(100.9) == []
    assert job.unsampled(102.1) == [(100.4, 101.0, False), (101.0, 102.0, True)]
    assert job.unsampled(102.6, over=True) == [(102.0, 102.6, False)]
    assert job.unsampled(102.6, over=True) == []


def test_what_waits_for_servers_that_do_not_answer_is_counted_over_all_rounds() -> None:
    job = _standing()
    job.receive(_round(1, _request("/1"), _request("/2")))
    assert job.silence({}, {"a"}) is None
    assert job.silence({"b": 3.0}, {"a"}) is None, "nothing waits for it"
    job.receive(_round(2, *(_request(f"/{server}", server=server) for server in "bac")))
    assert job.silence({"a": 3.04}, {"a"}) == Silence({"a": Awaited(3, 3.0, reached=True)})
    assert job.silence({"a": 3.04}, ()) == Silence({"a": Awaited(3, 3.0, reached=False)})
