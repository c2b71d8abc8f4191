"""A repeat as a transcript: ``>`` what happened, and below it what is to be done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gui.campaign.holdups import HeldUp, Relieved, Waiting
from gui.campaign.repeat import (
    AbortJobs,
    BeginSettling,
    Command,
    End,
    HandOut,
    Limits,
    Note,
    Repeat,
    Start,
    State,
)


class Told:
    """A repeat with a clock; `said` collects the commands in a readable form. ``handed`` gives one request to each
    server of the handout to each of the named clients; ``done`` is then made for a whole handout, or for a server."""

    def __init__(
        self,
        *clients: str,
        rounds: int = 2,
        wait: float = 1.0,
        servers: tuple[str, ...] = ("s1", "s2"),
        barrier: bool = True,
    ) -> None:
        self.now = 0.0
        limits = Limits(start=60, end=60, patience=60, silence=90, leave_out=30, round=300)
        self.repeat = Repeat(clients, servers, rounds=rounds, wait=wait, barrier=barrier, limits=limits)
        self.parts: Mapping[str, int] = {}
        """Of the last handout."""
        self.left: dict[str, Counter[tuple[str, int]]] = {}
        """By client: what it has left, by (server, handout)."""

    def __call__(self, what: str) -> list[str]:
        verb, _, rest = what.partition(" ")
        words = rest.split()
        repeat, now = self.repeat, self.now
        match verb:
            case "begin":
                commands = repeat.begin(now)
            case "ready":
                commands = repeat.ready(words[0], now, " ".join(words[1:]))
            case "handed":  # CLIENT …
                commands = self._handed(words)
            case "done":  # CLIENT [HANDOUT] [SERVER …]
                commands = self._done(words[0], words[1:])
            case "ended":
                commands = repeat.repeat_done(words[0], int(words[1]), now)
            case "stored":
                commands = repeat.stored(words[0], int(words[1]), now)
            case "silent":  # CLIENT SERVER=REQUESTS,SECONDS …
                commands = repeat.silence(words[0], dict(_waiting(word) for word in words[1:]), now)
            case "missing":
                commands = repeat.missing(words[0], now)
            case "back":
                commands = repeat.back(words[0], now, has_job=words[1:] == ["with", "job"])
            case "again":
                commands = repeat.given_again(words[0], now)
            case "unread":
                repeat.reports_wait(words[0], now)
                commands = []
            case "pause" | "resume" | "stop" | "abort":
                commands = getattr(repeat, verb)(now)
            case "wait":
                self.now += float(words[0])
                commands = repeat.advance(self.now)
            case _:
                raise AssertionError(what)
        self.parts = next((c.parts for c in commands if isinstance(c, HandOut)), self.parts)
        return [self.shown(command) for command in commands]

    def _handed(self, clients: list[str]) -> list[Command]:
        number = self.repeat.handouts
        for client in clients:
            self.left.setdefault(client, Counter()).update((server, number) for server in self.parts)
        shares = {client: dict.fromkeys(self.parts, 1) for client in clients}
        return self.repeat.handed(number, self.parts, shares, self.now)

    def _done(self, client: str, what: list[str]) -> list[Command]:
        numbers, servers = {int(word) for word in what if word.isdecimal()}, {w for w in what if not w.isdecimal()}
        left = self.left.get(client, Counter())
        made = {
            (server, number): count
            for (server, number), count in left.items()
            if (not numbers or number in numbers) and (not servers or server in servers)
        }
        for key in made:
            del left[key]
        return self.repeat.made(client, made, self.now) if made else []

    def shown(self, command: object) -> str:
        """Of the servers of a handout only what is not the same for all."""
        text = shown(command)
        if isinstance(command, HandOut):
            numbers = set(command.parts.values())
            if len(numbers) > 1:
                return text + f" ({', '.join(f'{server} part {part}' for server, part in command.parts.items())})"
            text = text.replace("round", f"part {numbers.pop()}")
            if len(command.parts) < len(self.repeat._parts._servers):
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
        case HeldUp(server, client, requests, seconds, others, last):
            return f"{server} silent for {client}: {requests} wait {seconds:g} s, {others} others{', last' * last}"
        case Relieved(server, requests, seconds, _):
            return f"{server} was silent {seconds:g} s: {requests} waited"
        case HandOut(_, clients):
            return f"round to {' '.join(clients)}"
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
    assert told("ready c2") == ["part 1 to c1 c2"]
    assert told("handed c1 c2") == []
    assert told("done c2 1") == []
    assert told("done c1 1") == []
    assert told.repeat.state is State.PAUSE
    assert told("wait 0.9") == []
    assert told("wait 0.1") == ["part 2 to c1 c2"]
    assert told("handed c1 c2") == []
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
    assert through(told, "begin", "ready c1", "handed c1", "done c1 1") == ["part 2 to c1"]


def test_a_client_without_requests_in_a_round_is_not_awaited() -> None:
    told = Told("c1", "c2", wait=0)
    assert through(told, "begin", "ready c1", "ready c2", "handed c1", "done c1 1") == ["part 2 to c1 c2"]


def test_repetitions_and_late_words_change_nothing() -> None:
    told = Told("c1", "c2")
    through(told, "begin", "ready c1", "ready c2", "handed c1 c2", "done c1 1")
    assert through(told, "done c1 1", "done c1 1", "ready c1", "done nobody 1", "ready nobody", "missing nobody") == []
    assert told.repeat.state is State.ROUND
    assert through(told, "done c2 1", "wait 1", "handed c1 c2", "done c1 1") == []
    assert told.repeat.awaited == ("c1", "c2")


def test_a_missing_client_is_not_waited_for_and_takes_part_again() -> None:
    told = Told("c1", "c2", rounds=3)
    through(told, "begin", "ready c1", "ready c2", "handed c1 c2", "done c1 1")
    assert told("missing c2") == ["warning: c2 is missing; what it has not reported stays pending until it is back."]
    assert told.repeat.state is State.PAUSE
    assert told("wait 1") == ["part 2 to c1"]
    assert through(told, "handed c1", "back c2 with job") == ["info: c2 is back."]
    assert told.repeat.awaited == ("c1", "c2"), "it goes on with what it has left"
    assert through(told, "done c2 1", "done c1 2", "wait 1") == ["part 3 to c1 c2"]


def test_a_client_that_is_back_within_its_round_is_awaited_again() -> None:
    told = Told("c1", "c2")
    through(told, "begin", "ready c1", "ready c2", "handed c1 c2", "missing c2", "back c2 with job")
    assert told.repeat.awaited == ("c1", "c2")
    assert through(told, "done c1 1") == []
    assert told("done c2 1") == []
    assert told.repeat.state is State.PAUSE


RESTARTED = (
    "warning: c2 was restarted and lost its workers: what it had begun is interrupted, with the rest it goes on."
)


def test_a_restarted_client_starts_new_workers_and_goes_on() -> None:
    told = Told("c1", "c2")
    through(told, "begin", "ready c1", "ready c2", "handed c1 c2", "missing c2", "done c1 1")
    assert told("back c2") == [RESTARTED, "start c2"]
    assert told.repeat.restarted == ()
    assert told("ready c2") == []
    assert told.repeat.restarted == ("c2",)
    assert told("wait 1") == ["part 2 to c1 c2"]
    assert through(told, "handed c1 c2", "again c2") == []
    assert told.repeat.restarted == ()
    assert through(told, "done c1", "done c2 2") == []
    assert told.repeat.awaited == ("c2",), "what it had left of the first part"
    assert told("done c2") == ["end c1 c2"]


def test_the_end_waits_for_what_a_restarted_client_is_given_again() -> None:
    told = Told("c1", "c2", rounds=1)
    through(told, "begin", "ready c1", "ready c2", "handed c1 c2", "missing c2", "back c2")
    assert through(told, "done c1", "wait 5", "ready c2") == []
    assert told("again c2") == ["end c1 c2"], "clients finish what they have"


def test_the_end_does_not_wait_for_a_restarted_client_for_ever() -> None:
    told = Told("c1", "c2", rounds=1)
    through(told, "begin", "ready c1", "ready c2", "handed c1 c2", "missing c2", "back c2", "done c1")
    assert told("wait 59") == []
    assert told("wait 2")[-1].startswith("end c1")


def test_a_client_that_is_restarted_twice() -> None:
    told = Told("c1", "c2")
    through(told, "begin", "ready c1", "ready c2", "handed c1 c2", "missing c2", "back c2", "missing c2")
    assert told("back c2") == [RESTARTED, "start c2"], "also before its new workers were ready"
    through(told, "missing c2", "back c2 with job")
    assert told.repeat.awaited == ("c1",)
    assert through(told, "ready c2", "again c2", "done c1", "done c2") == []
    assert told("wait 1") == ["part 2 to c1 c2"]


def test_who_came_back_before_it_was_ready_is_told_again() -> None:
    told = Told("c1", "c2")
    through(told, "begin", "ready c1", "missing c2")
    assert told("back c2") == ["info: c2 is back.", "start c2"]
    assert told("ready c2") == ["part 1 to c1 c2"]


def test_who_is_back_while_all_end_is_told_to_end() -> None:
    told = Told("c1", "c2", rounds=1)
    through(told, "begin", "ready c1", "ready c2", "handed c1 c2", "done c1 1", "done c2 1", "missing c2")
    assert told("back c2 with job") == ["info: c2 is back.", "end c2"]
    assert through(told, "ended c1 4", "stored c1 4", "ended c2 4") == []
    assert told("stored c2 4") == ["settle"]
    assert told("back c2 with job") == ["end c2"]


def test_when_nobody_is_left_someone_may_come_back() -> None:
    told = Told("c1")
    through(told, "begin", "ready c1", "handed c1", "missing c1")
    assert told("wait 1") == []
    assert told.repeat.state is State.ROUND
    assert told("back c1 with job") == ["info: c1 is back.", "part 2 to c1"]
    through(told, "handed c1", "missing c1")
    assert told.repeat.state is State.SETTLING, "it was the last round: monitoring is waited for"


def test_when_nobody_comes_back_the_repeat_ends() -> None:
    told = Told("c1", rounds=3)
    through(told, "begin", "ready c1", "handed c1", "missing c1", "wait 1")
    said = told("wait 60")
    assert said == ["error: No client has come back for 60 s; the repeat ends early.", "settle"]
    assert told.repeat.outcome == "failed"


def test_who_does_not_start_in_time_is_left_out() -> None:
    told = Told("c1", "c2")
    through(told, "begin", "ready c2")
    assert told("wait 60") == [
        "error: c1 did not start its workers in 60 s and takes no part in this repeat.",
        "part 1 to c2",
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
    through(told, "begin", "ready c1", "handed c1")
    assert told("stop") == []
    assert told("done c1 1") == ["end c1"]
    assert told.repeat.outcome == "stopped"


@pytest.mark.parametrize("steps", [["begin"], ["begin", "ready c1", "handed c1", "done c1 1"]])
def test_stop_outside_a_round_ends_at_once(steps: list[str]) -> None:
    told = Told("c1", rounds=5)
    through(told, *steps)
    assert "end c1" in told("stop")


def test_stop_while_a_round_is_being_handed_out_lets_it_be_done() -> None:
    told = Told("c1", rounds=5)
    assert through(told, "begin", "ready c1") == ["part 1 to c1"]
    assert through(told, "stop") == []
    assert through(told, "handed c1") == []
    assert told("done c1 1") == ["end c1"]


def test_abort_ends_now() -> None:
    told = Told("c1", "c2", rounds=5)
    through(told, "begin", "ready c1", "ready c2", "handed c1 c2")
    assert told("abort") == ["abort c1 c2"]
    assert told("wait 10") == []
    assert told("wait 5") == ["warning: c1, c2 did not end in time; unreported requests stay pending.", "settle"]
    assert told.repeat.outcome == "aborted"


def test_who_does_not_end_in_time_is_not_waited_for() -> None:
    told = Told("c1", "c2", rounds=1)
    through(
        told, "begin", "ready c1", "ready c2", "handed c1 c2", "done c1 1", "done c2 1", "ended c1 2", "stored c1 2"
    )
    assert told("wait 60") == ["warning: c2 did not end in time; unreported requests stay pending.", "settle"]


clients = st.sampled_from(["c1", "c2", "c3"])
some_servers = st.lists(st.sampled_from(["s1", "s2"]), unique=True)
events = st.lists(
    st.one_of(
        st.tuples(st.just("ready"), clients),
        st.tuples(st.just("ready"), clients.map(lambda c: c + " it broke")),
        st.tuples(st.just("done"), st.tuples(clients, some_servers).map(lambda t: f"{t[0]} {' '.join(t[1])}")),
        st.tuples(st.just("ended"), clients.map(lambda c: c + " 5")),
        st.tuples(st.just("stored"), clients.map(lambda c: c + " 5")),
        st.tuples(st.just("missing"), clients),
        st.tuples(st.just("back"), clients.map(lambda c: c + " with job")),
        st.tuples(st.just("back"), clients),
        st.tuples(st.just("wait"), st.sampled_from(["0.5", "1", "30", "61", "301"])),
        st.tuples(
            st.just("silent"),
            st.tuples(clients, some_servers).map(lambda t: f"{t[0]} {' '.join(f'{server}=3,4' for server in t[1])}"),
        ),
        st.tuples(st.sampled_from(["stop", "abort", "pause", "resume"]), st.just("")),
    ),
    max_size=40,
)


@settings(max_examples=600, deadline=None)
@given(events, st.booleans())
def test_whatever_happens_it_comes_to_an_end(happened: list[tuple[str, str]], barrier: bool) -> None:
    """Any order of events: no crash, each part of a server handed out once and in order, and time leads to settling."""
    told = Told("c1", "c2", "c3", rounds=3, barrier=barrier)
    handed: dict[str, list[int]] = {"s1": [], "s2": []}
    settles = 0

    def step(what: str) -> None:
        nonlocal settles
        for said in told(what):
            if " to c" in said and said.startswith(("part", "round")):
                assert not told.repeat.paused
                for server, part in told.parts.items():
                    handed[server].append(part)
                step(f"handed {said.split(' to ')[1].split(' (')[0]}")
            settles += said == "settle"

    step("begin")
    for verb, rest in happened:
        step(f"{verb} {rest}")
    step("resume")
    for _ in range(60):
        if told.repeat.state is State.SETTLING:
            break
        for client in told.repeat.awaited:
            step(f"done {client}")
        step("wait 61")
    assert told.repeat.state is State.SETTLING
    assert settles == 1
    assert all(parts == list(range(1, len(parts) + 1)) for parts in handed.values()), handed


# ---- each server has rounds of its own


def test_a_server_that_does_not_answer_delays_only_itself() -> None:
    told = Told("c1", "c2", rounds=3, servers=("s1", "s2", "s3"), barrier=False)
    through(told, "begin", "ready c1", "ready c2", "handed c1 c2", "done c1 s1", "done c1 s3", "done c2 s1")
    assert through(told, "wait 0.5", "done c2 s3", "wait 0.5") == ["part 2 to c1 c2 (s1)"], "s3 was done later"
    assert told("handed c1 c2") == []
    assert told("wait 0.5") == ["part 2 to c1 c2 (s3)"]
    assert through(told, "handed c1 c2", "silent c1 s2=1,1.5", "silent c2 s2=1,1.5") == []
    told("wait 2")
    assert told("silent c2 s2=1,3") == ["s2 silent for c1: 2 wait 3.5 s, 2 others"]
    assert told.repeat.state is State.ROUND
    assert told.repeat.span == (1, 2)
    assert through(told, "done c1 2", "done c2 2", "wait 1") == ["part 3 to c1 c2 (s1)"]
    assert through(told, "handed c1 c2", "done c1 3", "done c2 3", "wait 1") == ["part 3 to c1 c2 (s3)"]
    assert through(told, "handed c1 c2", "done c1 4 5", "done c2 4 5") == []
    assert told.repeat.state is State.HELD
    # It answers again, and goes through its own rounds.
    told("wait 50")
    assert through(told, "silent c1", "silent c2")[-1:] == ["s2 was silent 55.5 s: 2 waited"]
    assert through(told, "done c1", "done c2", "wait 1") == ["part 2 to c1 c2 (s2)"]
    assert through(told, "handed c1 c2", "done c1", "done c2", "wait 1") == ["part 3 to c1 c2 (s2)"]
    assert through(told, "handed c1 c2", "done c1", "done c2") == ["end c1 c2"]
    assert told.repeat.outcome == "complete"


def test_servers_that_are_due_at_one_time_are_handed_out_together() -> None:
    told = Told("c1", rounds=2, barrier=False)
    assert through(told, "begin", "ready c1") == ["part 1 to c1"]
    assert through(told, "handed c1", "done c1 s1") == []
    assert told("done c1 s2") == []
    assert told("wait 1") == ["part 2 to c1"]


def test_a_slow_server_is_furthest_behind() -> None:
    told = Told("c1", rounds=4, wait=0, barrier=False)
    assert through(told, "begin", "ready c1", "handed c1", "done c1 s1") == ["part 2 to c1 (s1)"]
    assert through(told, "handed c1", "done c1 s1") == ["part 3 to c1 (s1)"]
    assert through(told, "handed c1", "done c1 1 s2") == ["part 2 to c1 (s2)"]
    told("handed c1")
    assert told.repeat.span == (2, 3)


def test_a_server_that_never_answers_again_is_given_up_when_nothing_else_is_left() -> None:
    told = Told("c1", rounds=3, barrier=False, wait=0)
    through(told, "begin", "ready c1", "handed c1", "silent c1 s2=1,1")
    assert through(told, "done c1 s1", "handed c1", "done c1 s1") == ["part 3 to c1 (s1)"]
    assert through(told, "handed c1", "done c1 s1", "silent c1 s2=1,5") == ["s2 silent for c1: 1 wait 5 s, 1 others"]
    assert told.repeat.state is State.HELD
    told("wait 60")
    assert told("silent c1") == ["s2 was silent 65 s: 1 waited"], "a sign of life: it has its time anew"
    assert through(told, "silent c1 s2=1,2", "wait 60", "silent c1 s2=1,62") == [
        "s2 silent for c1: 1 wait 62 s, 1 others"
    ]
    assert told("wait 30") == [
        "error: s2 did not answer in the end: what waits for it is cut short, and 2 of its 3 rounds are not asked for. "
        "Nothing else was left to do for 90 s.",
        "abort c1",
    ]
    assert through(told, "ended c1 9", "stored c1 9") == ["settle"]
    assert (told.repeat.outcome, told.repeat.given_up) == ("incomplete", ("s2",))


def test_a_stopped_run_cuts_what_waits_for_a_server_when_its_time_is_over() -> None:
    told = Told("c1", rounds=3, barrier=False)
    through(told, "begin", "ready c1", "handed c1", "silent c1 s2=4,3", "stop")
    assert told("done c1 s1") == ["end c1"]
    assert told("wait 60") == ["warning: c1 still waits for s2; the wait is ended.", "abort c1"]
    assert through(told, "ended c1 9", "stored c1 9") == ["settle"]


def test_a_client_that_goes_missing_holds_no_server() -> None:
    told = Told("c1", "c2", rounds=2, barrier=False)
    through(told, "begin", "ready c1", "ready c2", "handed c1 c2", "done c1", "silent c2 s2=1,3")
    assert told("missing c2") == [
        "warning: c2 is missing; what it has not reported stays pending until it is back.",
        "s2 was silent 3 s: 1 waited",
    ]
    assert told("wait 1") == ["part 2 to c1"]


# ---- a barrier


def test_a_barrier_waits_for_a_silent_server_for_a_time_and_then_leaves_it_out() -> None:
    told = Told("c1", "c2", rounds=3, servers=("s1", "s2", "s3"))
    through(told, "begin", "ready c1", "ready c2", "handed c1 c2", "done c1 s1 s3", "done c2 s1 s3")
    assert told("silent c1 s2=1,3") == ["s2 silent for c1: 1 wait 3 s, 2 others"]
    assert told("silent c2 s2=1,3") == []
    assert told("wait 26") == []
    assert told.repeat.state is State.ROUND
    assert told.repeat.deadline == pytest.approx(27.0), "30 s after it fell silent"
    assert told("wait 1") == [], "now it is left out, and the wait begins"
    assert told("wait 1") == ["part 2 to c1 c2 (s1, s3)"]
    assert through(told, "handed c1 c2", "done c1 2", "done c2 2", "wait 1") == ["part 3 to c1 c2 (s1, s3)"]
    assert told("handed c1 c2") == []
    # It answers again: what waited for it is done, first by one client, then by the other.
    assert told("silent c1") == []
    assert told("silent c2") == ["s2 was silent 32 s: 2 waited"]
    assert through(told, "done c1", "done c2 3") == []
    assert told.repeat.state is State.ROUND, "c2 has not done its part of round 1 at s2"
    assert through(told, "done c2 1", "wait 1") == ["part 2 to c1 c2 (s2)"]
    assert through(told, "handed c1 c2", "done c1", "done c2", "wait 1") == ["part 3 to c1 c2 (s2)"]
    assert through(told, "handed c1 c2", "done c1", "done c2") == ["end c1 c2"]
    assert told.repeat.outcome == "complete"


def test_a_server_that_answers_again_takes_part_again_at_once() -> None:
    told = Told("c1", rounds=3)
    through(told, "begin", "ready c1", "handed c1", "done c1 s1", "silent c1 s2=4,30")
    assert told("wait 1") == ["part 2 to c1 (s1)"]
    assert through(told, "handed c1", "done c1 1", "silent c1", "done c1 2") == []
    assert told("wait 1") == ["round to c1 (s2 part 2, s1 part 3)"]
    assert through(told, "handed c1", "done c1", "wait 1") == ["part 3 to c1 (s2)"]
    assert through(told, "handed c1", "done c1") == ["end c1"]


def test_the_only_server_is_waited_for_and_named() -> None:
    told = Told("c1", rounds=2, servers=("s1",))
    through(told, "begin", "ready c1", "handed c1")
    assert told("silent c1 s1=7,2") == []
    told("wait 1")
    assert told("silent c1 s1=7,3") == ["s1 silent for c1: 7 wait 3 s, 0 others"]
    assert through(told, "wait 20", "silent c1") == ["s1 was silent 23 s: 7 waited"]
    assert through(told, "done c1", "wait 1") == ["part 2 to c1"]


# ---- pause


@pytest.mark.parametrize("barrier", [False, True])
def test_a_pause_lets_what_was_handed_out_be_made_and_hands_out_nothing(barrier: bool) -> None:
    told = Told("c1", rounds=2, barrier=barrier)
    through(told, "begin", "ready c1", "handed c1", "pause")
    assert told.repeat.state is State.ROUND
    assert told("done c1") == []
    assert told.repeat.state is State.PAUSED
    assert through(told, "wait 1", "wait 1000") == []
    assert told("resume") == ["part 2 to c1"]
    assert through(told, "handed c1", "done c1") == ["end c1"]
    assert told.repeat.outcome == "complete"


def test_a_pause_before_the_first_round_and_a_stop_in_it() -> None:
    told = Told("c1", rounds=2)
    assert through(told, "begin", "pause", "ready c1") == []
    assert told.repeat.state is State.PAUSED
    assert told("stop") == ["end c1"]


def test_who_goes_missing_in_a_pause_is_waited_for_when_it_is_over() -> None:
    told = Told("c1", rounds=2)
    through(told, "begin", "ready c1", "handed c1", "pause", "done c1", "missing c1")
    assert told("wait 1000") == []
    assert through(told, "resume", "wait 59") == []
    assert told("wait 1") == ["error: No client has come back for 60 s; the repeat ends early.", "settle"]


# ---- a client that does nothing


def test_a_client_that_does_nothing_of_what_it_was_given_is_named_and_takes_no_further_part() -> None:
    told = Told("c1", "c2", rounds=3, barrier=False)
    through(told, "begin", "ready c1", "ready c2", "handed c1 c2", "done c2")
    for _ in range(59):
        assert told("wait 5") == []
    assert told("wait 5") == [
        "error: c1 has done nothing of what it was given for 300 s although it is connected: it is told to stop, and "
        "takes no further part in this repeat. What it has not reported stays pending.",
        "abort c1",
    ]
    assert told("wait 1") == ["part 2 to c2"]


def test_one_request_that_is_never_made_is_noticed_though_others_are() -> None:
    told = Told("c1", rounds=400, barrier=False)
    through(told, "begin", "ready c1", "handed c1")
    said: list[str] = []
    for _ in range(310):
        said = through(told, "done c1 s1", "wait 1")
        if not any(line.startswith("part") for line in said):
            break
        told("handed c1")
    assert said[0].startswith("error: c1 has done nothing of what it was given for 300 s")


def test_what_is_done_and_not_stored_is_not_blamed_on_the_client() -> None:
    told = Told("c1", rounds=3)
    through(told, "begin", "ready c1", "handed c1")
    for _ in range(200):
        assert through(told, "unread c1", "wait 5") == []
    assert told("done c1") == []
