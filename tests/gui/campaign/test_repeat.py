"""A repeat as a transcript: ``>`` what happened, and below it what is to be done."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gui.campaign.holdups import HeldUp, Relieved, Waiting
from gui.campaign.repeat import AbortJobs, BeginSettling, End, HandOut, Note, Repeat, Start, State


class Told:
    """A repeat with a clock; `said` collects the commands in a readable form."""

    def __init__(
        self, *clients: str, rounds: int = 2, wait: float = 1.0, servers: tuple[str, ...] = ("s1", "s2")
    ) -> None:
        self.now = 0.0
        self.repeat = Repeat(
            clients, servers, rounds=rounds, wait=wait, start_limit=60, end_limit=60, patience=60, silence_limit=90
        )
        self.parts: Mapping[str, int] = {}
        """Of the last round."""

    def __call__(self, what: str) -> list[str]:
        verb, _, rest = what.partition(" ")
        words = rest.split()
        repeat, now = self.repeat, self.now
        match verb:
            case "begin":
                commands = repeat.begin(now)
            case "ready":
                commands = repeat.ready(words[0], now, " ".join(words[1:]))
            case "handed":
                commands = repeat.handed(int(words[0]), words[1:], self.parts, now)
            case "done":
                commands = repeat.round_done(words[0], int(words[1]), now)
            case "ended":
                commands = repeat.repeat_done(words[0], int(words[1]), now)
            case "stored":
                commands = repeat.stored(words[0], int(words[1]), now)
            case "silent":  # CLIENT ROUND OTHERS SERVER=REQUESTS,SECONDS …
                waiting = dict(_waiting(word) for word in words[3:])
                commands = repeat.silence(words[0], int(words[1]), waiting, int(words[2]), now)
            case "missing":
                commands = repeat.missing(words[0], now)
            case "back":
                commands = repeat.back(words[0], now, has_job=words[1:] == ["with", "job"])
            case "stop":
                commands = repeat.stop(now)
            case "abort":
                commands = repeat.abort(now)
            case "wait":
                self.now += float(words[0])
                commands = repeat.advance(self.now)
            case _:
                raise AssertionError(what)
        self.parts = next((c.parts for c in commands if isinstance(c, HandOut)), self.parts)
        return [self.shown(command) for command in commands]

    def shown(self, command: object) -> str:
        text = shown(command)
        if isinstance(command, HandOut) and set(command.parts.values()) != {command.number}:
            text += f" ({', '.join(f'{server} part {part}' for server, part in command.parts.items())})"
        elif isinstance(command, HandOut) and len(command.parts) < len(self.repeat._next):
            text += f" ({', '.join(command.parts)})"
        return text


def _waiting(word: str) -> tuple[str, Waiting]:
    server, _, rest = word.partition("=")
    requests, _, seconds = rest.partition(",")
    return server, Waiting(int(requests), float(seconds))


def shown(command: object) -> str:
    match command:
        case Start(clients):
            return f"start {' '.join(clients)}"
        case HeldUp(server, client, requests, seconds, others, last, _):
            return f"{server} silent for {client}: {requests} wait {seconds:g} s, {others} others{', last' * last}"
        case Relieved(server, requests, seconds, _):
            return f"{server} was silent {seconds:g} s: {requests} waited"
        case HandOut(number, clients):
            return f"round {number} to {' '.join(clients)}"
        case End(clients):
            return f"end {' '.join(clients)}"
        case AbortJobs(clients):
            return f"abort {' '.join(clients)}"
        case BeginSettling():
            return "settle"
        case Note(severity) as note:
            return f"{severity}: {note.sentence(str)}"
    raise AssertionError(command)


def test_two_clients_two_rounds() -> None:
    told = Told("c1", "c2")
    assert told("begin") == ["start c1 c2"]
    assert told("ready c1") == []
    assert told("ready c2") == ["round 1 to c1 c2"]
    assert told("handed 1 c1 c2") == []
    assert told("done c2 1") == []
    assert told("done c1 1") == []
    assert told.repeat.state is State.PAUSE
    assert told("wait 0.9") == []
    assert told("wait 0.1") == ["round 2 to c1 c2"]
    assert told("handed 2 c1 c2") == []
    assert told("done c1 2") == []
    assert told("done c2 2") == ["end c1 c2"]
    assert told("ended c1 10") == []
    assert told("stored c1 10") == []
    assert told("ended c2 12") == []
    assert told("stored c2 11") == [], "its last line is not stored yet"
    assert told("stored c2 12") == ["settle"]
    assert told.repeat.state is State.SETTLING
    told.repeat.settled()
    assert (told.repeat.state, told.repeat.outcome) == (State.OVER, "complete")


def through(told: Told, *steps: str) -> list[str]:
    """Several steps; what the last one caused."""
    said: list[str] = []
    for step in steps:
        said = told(step)
    return said


def test_without_a_wait_rounds_follow_at_once() -> None:
    told = Told("c1", wait=0)
    assert through(told, "begin", "ready c1", "handed 1 c1", "done c1 1") == ["round 2 to c1"]


def test_a_client_without_requests_in_a_round_is_not_awaited() -> None:
    told = Told("c1", "c2", wait=0)
    assert through(told, "begin", "ready c1", "ready c2", "handed 1 c1", "done c1 1") == ["round 2 to c1 c2"]


def test_repetitions_and_late_words_change_nothing() -> None:
    told = Told("c1", "c2")
    through(told, "begin", "ready c1", "ready c2", "handed 1 c1 c2", "done c1 1")
    assert through(told, "done c1 1", "done c1 1", "ready c1", "done nobody 1", "ready nobody", "missing nobody") == []
    assert told.repeat.state is State.ROUND
    assert through(told, "done c2 1", "wait 1", "handed 2 c1 c2", "done c1 1") == []
    assert told.repeat.awaited == ("c1", "c2")


def test_a_missing_client_is_not_waited_for_and_takes_part_again() -> None:
    told = Told("c1", "c2", rounds=3)
    through(told, "begin", "ready c1", "ready c2", "handed 1 c1 c2", "done c1 1")
    assert told("missing c2") == ["warning: c2 is missing; what it has not reported stays pending until it is back."]
    assert told.repeat.state is State.PAUSE
    assert told("wait 1") == ["round 2 to c1"]
    assert through(told, "handed 2 c1", "back c2 with job") == ["info: c2 is back."]
    assert told.repeat.awaited == ("c1",), "it has nothing to do in this round"
    assert through(told, "done c2 1", "done c1 2", "wait 1") == ["round 3 to c1 c2"]


def test_a_client_that_is_back_within_its_round_is_awaited_again() -> None:
    told = Told("c1", "c2")
    through(told, "begin", "ready c1", "ready c2", "handed 1 c1 c2", "missing c2", "back c2 with job")
    assert told.repeat.awaited == ("c1", "c2")
    assert through(told, "done c1 1") == []
    assert told("done c2 1") == []
    assert told.repeat.state is State.PAUSE


def test_a_restarted_client_takes_no_part_any_more() -> None:
    told = Told("c1", "c2")
    through(told, "begin", "ready c1", "ready c2", "handed 1 c1 c2", "missing c2", "done c1 1")
    (note,) = told("back c2")
    assert note.startswith("error: c2 no longer takes part in this repeat: it was restarted")
    assert told("wait 1") == ["round 2 to c1"]


def test_who_came_back_before_it_was_ready_is_told_again() -> None:
    told = Told("c1", "c2")
    through(told, "begin", "ready c1", "missing c2")
    assert told("back c2") == ["info: c2 is back.", "start c2"]
    assert told("ready c2") == ["round 1 to c1 c2"]


def test_who_is_back_while_all_end_is_told_to_end() -> None:
    told = Told("c1", "c2", rounds=1)
    through(told, "begin", "ready c1", "ready c2", "handed 1 c1 c2", "done c1 1", "done c2 1", "missing c2")
    assert told("back c2 with job") == ["info: c2 is back.", "end c2"]
    assert through(told, "ended c1 4", "stored c1 4", "ended c2 4") == []
    assert told("stored c2 4") == ["settle"]
    assert told("back c2 with job") == ["end c2"]


def test_when_nobody_is_left_someone_may_come_back() -> None:
    told = Told("c1")
    through(told, "begin", "ready c1", "handed 1 c1", "missing c1")
    assert told("wait 1") == []
    assert told.repeat.state is State.ROUND
    assert told("back c1 with job") == ["info: c1 is back.", "round 2 to c1"]
    through(told, "handed 2 c1", "missing c1")
    assert told.repeat.state is State.SETTLING, "it was the last round: monitoring is waited for"


def test_when_nobody_comes_back_the_repeat_ends() -> None:
    told = Told("c1", rounds=3)
    through(told, "begin", "ready c1", "handed 1 c1", "missing c1", "wait 1")
    said = told("wait 60")
    assert said == ["error: No client has come back for 60 s; the repeat ends early.", "settle"]
    assert told.repeat.outcome == "failed"


def test_who_does_not_start_in_time_is_left_out() -> None:
    told = Told("c1", "c2")
    through(told, "begin", "ready c2")
    assert told("wait 60") == [
        "error: c1 did not start its workers in 60 s and takes no part in this repeat.",
        "round 1 to c2",
    ]


def test_when_nobody_can_start_the_repeat_fails() -> None:
    told = Told("c1", "c2")
    through(told, "begin", "ready c1 no XRootD client")
    said = told("ready c2 no room")
    assert said[0] == "error: c2 no longer takes part in this repeat: no room"
    assert said[1] == "error: No client could start its workers."
    assert said[-1] == "settle"
    assert told.repeat.outcome == "failed"


def test_without_clients_the_repeat_fails() -> None:
    assert Told()("begin")[-1] == "settle"


def test_stop_finishes_the_round() -> None:
    told = Told("c1", rounds=5)
    through(told, "begin", "ready c1", "handed 1 c1")
    assert told("stop") == []
    assert told("done c1 1") == ["end c1"]
    assert told.repeat.outcome == "stopped"


@pytest.mark.parametrize("steps", [["begin"], ["begin", "ready c1", "handed 1 c1", "done c1 1"]])
def test_stop_outside_a_round_ends_at_once(steps: list[str]) -> None:
    told = Told("c1", rounds=5)
    through(told, *steps)
    assert "end c1" in told("stop")


def test_stop_while_a_round_is_being_handed_out_lets_it_be_done() -> None:
    told = Told("c1", rounds=5)
    assert through(told, "begin", "ready c1") == ["round 1 to c1"]
    assert through(told, "stop") == []
    assert through(told, "handed 1 c1") == []
    assert told("done c1 1") == ["end c1"]


def test_abort_ends_now() -> None:
    told = Told("c1", "c2", rounds=5)
    through(told, "begin", "ready c1", "ready c2", "handed 1 c1 c2")
    assert told("abort") == ["abort c1 c2"]
    assert told("wait 10") == []
    assert told("wait 5") == ["warning: c1, c2 did not end in time; unreported requests stay pending.", "settle"]
    assert told.repeat.outcome == "aborted"


def test_who_does_not_end_in_time_is_not_waited_for() -> None:
    told = Told("c1", "c2", rounds=1)
    through(
        told, "begin", "ready c1", "ready c2", "handed 1 c1 c2", "done c1 1", "done c2 1", "ended c1 2", "stored c1 2"
    )
    assert told("wait 60") == ["warning: c2 did not end in time; unreported requests stay pending.", "settle"]


clients = st.sampled_from(["c1", "c2", "c3"])
events = st.lists(
    st.one_of(
        st.tuples(st.just("ready"), clients),
        st.tuples(st.just("ready"), clients.map(lambda c: c + " it broke")),
        st.tuples(st.just("done"), st.tuples(clients, st.integers(1, 4)).map(lambda t: f"{t[0]} {t[1]}")),
        st.tuples(st.just("ended"), clients.map(lambda c: c + " 5")),
        st.tuples(st.just("stored"), clients.map(lambda c: c + " 5")),
        st.tuples(st.just("missing"), clients),
        st.tuples(st.just("back"), clients.map(lambda c: c + " with job")),
        st.tuples(st.just("back"), clients),
        st.tuples(st.just("wait"), st.sampled_from(["0.5", "1", "30", "61"])),
        st.tuples(
            st.just("silent"),
            st.tuples(
                clients, st.integers(0, 4), st.integers(0, 1), st.lists(st.sampled_from(["s1", "s2"]), unique=True)
            ).map(lambda t: f"{t[0]} {t[1]} {t[2]} {' '.join(f'{server}=3,4' for server in t[3])}"),
        ),
        st.tuples(st.just("stop"), st.just("")),
        st.tuples(st.just("abort"), st.just("")),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(events)
def test_whatever_happens_it_comes_to_an_end(happened: list[tuple[str, str]]) -> None:
    """Any order of events: no crash, rounds in order and each handed out once, and time alone leads to settling."""
    told = Told("c1", "c2", "c3", rounds=3)
    handed: list[int] = []
    settles = 0

    def step(what: str) -> None:
        nonlocal settles
        for said in told(what):
            if said.startswith("round "):
                _, number, _, *who = said.split()
                handed.append(int(number))
                assert who
                step(f"handed {number} {' '.join(who)}")
            settles += said == "settle"

    step("begin")
    for verb, rest in happened:
        step(f"{verb} {rest}")
    for _ in range(60):
        if told.repeat.state is State.SETTLING:
            break
        for client in told.repeat.awaited:
            if told.repeat.state is State.ROUND:
                step(f"done {client} {told.repeat.round}")
        step("wait 61")
    assert told.repeat.state is State.SETTLING
    assert settles == 1
    assert handed == list(range(1, len(handed) + 1))


def test_rounds_go_on_without_a_server_that_does_not_answer() -> None:
    told = Told("c1", "c2", rounds=3, servers=("s1", "s2", "s3"))
    through(told, "begin", "ready c1", "ready c2", "handed 1 c1 c2")
    assert told("silent c1 1 0 s2=4,1") == [], "c2 has not done its part yet"
    assert told("silent c2 1 5 s2=4,1") == [], "and still has something to do with others"
    assert told("silent c2 1 0 s2=4,1.5") == []
    assert told.repeat.state is State.PAUSE
    assert told("wait 1") == ["round 2 to c1 c2 (s1, s3)"]
    assert through(told, "handed 2 c1 c2", "done c1 2") == []
    assert told("silent c1 2 0 s2=4,3") == ["s2 silent for c1: 8 wait 3 s, 2 others"]
    assert through(told, "done c2 2", "wait 1") == ["round 3 to c1 c2 (s1, s3)"]
    assert told("handed 3 c1 c2") == []
    assert told.repeat.rounds == 5, "s2 has two parts to come"
    # It answers again: what waited for it is done, first by one client, then by the other.
    told("wait 57")
    assert told("silent c1 3 4") == []
    assert told("silent c2 3 4") == ["s2 was silent 61 s: 8 waited"]
    assert through(told, "done c1 1", "done c1 3", "done c2 3") == []
    assert told.repeat.state is State.HELD, "c2 has not done its part of round 1 at s2"
    assert told("done c2 1") == []
    assert told("wait 1") == ["round 4 to c1 c2 (s2 part 2)"]
    assert through(told, "handed 4 c1 c2", "done c1 4", "done c2 4", "wait 1") == ["round 5 to c1 c2 (s2 part 3)"]
    assert through(told, "handed 5 c1 c2", "done c1 5", "done c2 5") == ["end c1 c2"]
    assert told.repeat.outcome == "complete"


def test_a_server_that_answers_again_takes_part_again_at_once() -> None:
    told = Told("c1", rounds=3)
    through(told, "begin", "ready c1", "handed 1 c1")
    assert through(told, "silent c1 1 0 s2=4,1", "wait 1") == ["round 2 to c1 (s1)"]
    assert through(told, "handed 2 c1", "done c1 1", "silent c1 2 3", "done c1 2") == []
    assert told("wait 1") == ["round 3 to c1 (s1 part 3, s2 part 2)"]
    assert through(told, "handed 3 c1", "done c1 3", "wait 1") == ["round 4 to c1 (s2 part 3)"]
    assert through(told, "handed 4 c1", "done c1 4") == ["end c1"]


def test_one_of_two_silent_servers_is_free_before_its_round_is_done() -> None:
    told = Told("c1", rounds=2, servers=("s1", "s2", "s3"))
    through(told, "begin", "ready c1", "handed 1 c1")
    assert through(told, "silent c1 1 0 s2=1,1 s3=1,1", "wait 1") == ["round 2 to c1 (s1)"]
    assert through(told, "handed 2 c1", "done c1 2") == []
    assert told.repeat.state is State.HELD
    assert told("silent c1 2 0 s3=1,2") == [], "only s3 has something that waits"
    assert told("wait 1") == ["round 3 to c1 (s2 part 2)"]


def test_the_only_server_is_waited_for_and_named() -> None:
    told = Told("c1", rounds=2, servers=("s1",))
    through(told, "begin", "ready c1", "handed 1 c1")
    assert told("silent c1 1 0 s1=7,2") == []
    told("wait 1")
    assert told("silent c1 1 0 s1=7,3") == ["s1 silent for c1: 7 wait 3 s, 0 others"]
    assert through(told, "wait 20", "silent c1 1 7") == ["s1 was silent 23 s: 7 waited"]
    assert through(told, "done c1 1", "wait 1") == ["round 2 to c1"]


def test_a_server_that_never_answers_again_is_given_up_when_nothing_else_is_left() -> None:
    told = Told("c1", rounds=3, servers=("s1", "s2"))
    through(told, "begin", "ready c1", "handed 1 c1", "silent c1 1 0 s2=4,1", "wait 1", "handed 2 c1", "done c1 2")
    through(told, "wait 1", "handed 3 c1", "done c1 3", "silent c1 3 0 s2=4,5")
    assert told.repeat.state is State.HELD
    told("wait 60")
    assert told("silent c1 3 4") == ["s2 was silent 65 s: 4 waited"], "a sign of life: it has its time anew"
    assert through(told, "silent c1 3 0 s2=3,2", "wait 60", "silent c1 3 0 s2=3,62") == [
        "s2 silent for c1: 3 wait 62 s, 1 others"
    ]
    assert told("wait 30") == [
        "error: s2 did not answer in the end: what waits for it is cut short, and 2 of its 3 parts are not asked for. "
        "Nothing else was left to do for 90 s.",
        "abort c1",
    ]
    assert through(told, "ended c1 9", "stored c1 9") == ["settle"]
    assert (told.repeat.outcome, told.repeat.given_up) == ("incomplete", ("s2",))


def test_a_stopped_run_cuts_what_waits_for_a_server_when_its_time_is_over() -> None:
    told = Told("c1", rounds=3)
    through(told, "begin", "ready c1", "handed 1 c1", "silent c1 1 0 s2=4,3", "wait 1", "handed 2 c1", "stop")
    assert told("done c1 2") == ["end c1"]
    assert told("wait 60") == ["warning: c1 still waits for s2; the wait is ended.", "abort c1"]
    assert through(told, "ended c1 9", "stored c1 9") == ["settle"]


def test_a_client_that_goes_missing_holds_no_server() -> None:
    told = Told("c1", "c2", rounds=2)
    through(told, "begin", "ready c1", "ready c2", "handed 1 c1 c2", "done c1 1")
    assert through(told, "silent c2 1 0 s2=4,3", "wait 1") == ["round 2 to c1 c2 (s1)"]
    told("handed 2 c1 c2")
    assert told("missing c2") == [
        "warning: c2 is missing; what it has not reported stays pending until it is back.",
        "s2 was silent 4 s: 4 waited",
    ]
    assert through(told, "done c1 2", "wait 1") == ["round 3 to c1 (s2 part 2)"]
