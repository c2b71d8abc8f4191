# ruff: noqa: E501 - a table of cases, one for each line
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.reconcile.facts import Fault, Figures, Loss, Miss, Path, Process, SequenceGap, Session, Span, Trouble, Waiting
from gui.reconcile.ladder import FRAME, STAGES, Known, Ladder, Lost, climb, injected_first, weigh
from gui.reconcile.took import explain

T = 1_760_000_000.0
STOD = int(T) - 1000
SENDER = "127.0.0.1:5001"
SESSION = Session(Span(T - 20, T - 19), recorded=3)
MISS = Miss(opened=T, closed=T + 0.1, session=SESSION, delay=6.0, path="/store/f1")
CLOSE_GAP = SequenceGap("F", 41, 1, T - 2, T + 9, T - 2, T + 4)
OPEN_GAP = replace(CLOSE_GAP, begin=T - 4, end=T + 1)
LOGIN_GAP = SequenceGap("M", 7, 1, T - 25, T - 10, T - 25, T - 15)
PROCESS = Process("17", STOD, SENDER, "s01", 1094, last=T + 60, clock=T + 60)
PATH = Path("sp", Span(T - 100, T + 100))


def known(*gaps: SequenceGap, path: Path | None = PATH, **facts: Any) -> Known:
    """What is known of a process with these gaps; what took them is worked out."""
    process = replace(facts.pop("process", PROCESS), gaps=gaps)
    return Known(process=process, path=path, taken=explain(path, [process]), **{"collectors": True, **facts})


def losses(*kinds: str, at: float = 1.0) -> Path:
    return replace(PATH, losses=tuple(Loss(kind, Span(T + at, T + at + 1), 9) for kind in kinds))  # type: ignore[arg-type]


SILENT = replace(PROCESS, clock=T - 3)
"""A process whose newest f-stream datagram that came is from before the request."""
RESTARTED = replace(MISS, provisional=True, reasons=("no_close", "server_restarted"))
LONG = replace(MISS, closed=T + 40)
ALONE = replace(MISS, session=replace(SESSION, recorded=0))
FORGOTTEN = replace(MISS, session=replace(SESSION, recorded=0, others=((T + 30, T + 31), (T + 50, T + 51))))


@pytest.mark.parametrize(
    ("miss", "facts", "lost_at", "certain", "words"),
    [
        (replace(MISS, client_cause="[3011] no such file"), known(CLOSE_GAP), "client", True, "no such file"),
        # a gap holds it
        (MISS, known(CLOSE_GAP), "wire", True, "lost between server and shoveler"),
        (MISS, known(CLOSE_GAP, path=losses("kernel")), "kernel", True, "dropped by the kernel at the shoveler (9 drops"),
        (MISS, known(CLOSE_GAP, path=losses("refused")), "spool", True, "refused by the shoveler"),
        (MISS, known(CLOSE_GAP, path=losses("unseen")), "queue", True, "confirmed and never seen"),
        (MISS, known(CLOSE_GAP, path=losses("kernel", "unseen")), "kernel", False, "after number 41 never came"),
        (MISS, known(CLOSE_GAP, path=None), "unknown", False, "no shoveler told"),
        (LONG, known(OPEN_GAP), "wire", True, "with its open"),
        (LONG, known(replace(CLOSE_GAP, begin=T + 38, end=T + 44)), "wire", True, "with its close"),
        (RESTARTED, known(CLOSE_GAP), "wire", True, "with its close"),
        # a login
        (FORGOTTEN, known(LOGIN_GAP), "wire", True, "1 login or name datagram after number 7 never came, with its login"),
        (ALONE, known(LOGIN_GAP), "wire", False, "with its login"),
        (ALONE, known(LOGIN_GAP, CLOSE_GAP), "wire", False, "with its close"),
        (FORGOTTEN, known(LOGIN_GAP, CLOSE_GAP), "wire", True, "with its login"),
        (MISS, known(LOGIN_GAP, CLOSE_GAP), "wire", True, "with its close"),
        (MISS, known(LOGIN_GAP), "server", False, "the server sent nothing"),
        # gaps of another time, and of a class that records do not need
        (MISS, known(replace(CLOSE_GAP, begin=T - 60, end=T - 50)), "server", False, "the server sent nothing"),
        (MISS, known(replace(CLOSE_GAP, begin=T + 20, end=T + 30)), "server", False, "the server sent nothing"),
        (MISS, known(replace(CLOSE_GAP, kind="G C")), "server", False, "the server sent nothing"),
        # the process ended
        (RESTARTED, known(), "server", True, "the server ended with the file open"),
        (MISS, known(process=replace(SILENT, ended=T + 3)), "server", True, "a newer process took over"),
        (MISS, known(process=replace(SILENT, ended=T + 90)), "server", False, "a newer process took over"),
        (MISS, known(process=replace(PROCESS, ended=T + 90)), "server", False, "the server sent nothing"),
        (MISS, known(process=SILENT, successor=replace(PROCESS, stod=int(T) + 4)), "server", True, "ended before"),
        (MISS, known(process=replace(SILENT, ended=T + 3), path=losses("kernel")), "server", False, "ended before"),
        # on its way
        (MISS, known(path=replace(PATH, spooled=Waiting(7, T - 1))), "spool", True, "7 datagrams taken and not confirmed"),
        (MISS, known(path=replace(PATH, spooled=Waiting(7, T + 4))), "spool", False, "7 datagrams taken"),
        (MISS, known(path=replace(PATH, spooled=Waiting(7, T + 30))), "server", False, "the server sent nothing"),
        (MISS, known(path=replace(PATH, spooled=Waiting(7, T - 1), returned=3)), "spool", True, "had no queue for them"),
        (MISS, known(path=replace(PATH, queued=Waiting(1, T - 1))), "queue", True, "1 datagram confirmed and not seen"),
        (MISS, known(path=replace(PATH, queued=Waiting(1, T - 1, sure=False))), "queue", False, "confirmed and not seen"),
        # the shoveler fell silent
        (MISS, known(path=replace(PATH, told=Span(T - 100, T - 1))), "spool", False, "said nothing since before this"),
        (MISS, known(path=replace(PATH, told=Span(T - 100, T + 3))), "unknown", False, "may hold the close back for 6 s"),
        (MISS, known(path=replace(PATH, told=Span(T - 100, T + 3)), faults=(Fault("broker-down", Span(T, T + 9)),)), "spool", False, "said nothing"),
        (MISS, known(path=replace(PATH, told=Span(T - 100, T - 1), spooled=Waiting(17, T - 2, sure=False)), faults=(Fault("broker-down", Span(T + 7, T + 99)),)), "queue", False, "confirmed just before the broker went down"),
        (MISS, known(path=replace(PATH, told=Span(T - 100, T - 1), spooled=Waiting(17, T - 2, sure=False)), faults=(Fault("broker-down", Span(T + 4, T + 99)),)), "queue", False, "confirmed just before the broker went down"),
        (MISS, known(path=replace(PATH, told=Span(T - 100, T - 1), spooled=Waiting(17, T - 2, sure=False)), faults=(Fault("broker-down", Span(T + 1.2, T + 99)),)), "queue", False, "confirmed just before the broker went down"),
        (MISS, known(path=replace(PATH, told=Span(T - 100, T - 1), spooled=Waiting(17, T - 2, sure=False)), faults=(Fault("broker-down", Span(T + 0.5, T + 99)),)), "spool", False, "when the broker was down already"),
        (MISS, known(path=replace(PATH, told=Span(T - 100, T - 1), spooled=Waiting(17, T - 2, sure=False)), faults=(Fault("broker-down", Span(T - 1, T + 99)),)), "spool", False, "the plan kept the broker away"),
        (MISS, known(path=replace(PATH, told=Span(T - 100, T - 1), queued=Waiting(971, T - 2, sure=False)), faults=(Fault("broker-down", Span(T - 1, T + 99)),)), "spool", False, "the plan kept the broker away"),
        # a collector's state
        (FORGOTTEN, known(amnesia=(Span(T - 8, T - 3),)), "collector", True, "lost its state, and with it its login"),
        (LONG, known(amnesia=(Span(T + 8, T + 13),)), "collector", True, "lost its state"),
        (LONG, known(amnesia=(Span(T - 2, T + 3),)), "collector", True, "with it its open"),
        (replace(LONG, session=None), known(amnesia=(Span(T - 2, T + 3),)), "collector", False, "with it its open"),
        (MISS, known(amnesia=(Span(T - 90, T - 80),)), "server", False, "the server sent nothing"),
        # the last datagram of a process
        (MISS, known(process=SILENT, path=losses("kernel")), "kernel", False, "nothing of this server came after it"),
        (MISS, known(path=losses("kernel")), "server", False, "the server sent nothing"),
        (MISS, known(replace(CLOSE_GAP, begin=T - 40, end=T - 30), process=SILENT), "wire", False, "as others were"),
        (MISS, known(process=SILENT, faults=(Fault("wire-loss", Span(T - 5, T + 5)),)), "wire", False, "wire-loss was on"),
        (ALONE, known(LOGIN_GAP, process=SILENT, path=replace(PATH, told=Span(T - 999, T - 998))), "wire", False, "as others"),
        # it came, and was not enough
        (replace(MISS, provisional=True, reasons=("no_close",)), known(), "collector", False, "no_close"),
        (MISS, known(troubles=(Trouble(SENDER, Span(T, T + 5), {"no_user": 2}),)), "collector", False, "(no_user ×2)"),
        (MISS, known(troubles=(Trouble(SENDER, Span(T, T + 5), {}, {"length": 2}),)), "collector", False, "(length ×2)"),
        (MISS, known(troubles=(Trouble("127.0.0.1:9", Span(T, T + 5), {"no_user": 2}),)), "server", False, "nothing"),
        (MISS, known(troubles=(Trouble(SENDER, Span(T + 60, T + 65), {"no_user": 2}),)), "server", False, "nothing"),
        (MISS, known(figures=Figures(records=50, loaded=48)), "load", False, "2 records of this server were published"),
        # nobody told
        (MISS, Known(), "unknown", False, "neither shoveler nor collector sent a status"),
        (MISS, Known(collectors=True), "unknown", False, "no status speaks of the server process"),
        (MISS, known(path=None), "unknown", False, "no shoveler told of this server's datagrams"),
        (replace(MISS, behaviours=("fstat_no_xfr",)), known(), "server", False, "lacks xfr sends opens and never a close"),
    ],
)  # fmt: skip
def test_the_first_rule_that_applies(miss: Miss, facts: Known, lost_at: str, certain: bool, words: str) -> None:
    ladder = climb(miss, facts)
    assert (ladder.lost_at, ladder.certain) == (lost_at, certain), ladder.cause
    assert words in ladder.cause
    assert ladder.answer.startswith("probably ") is (not certain and lost_at != "unknown")


def test_the_delay_of_a_server_bounds_when_its_close_was_sent() -> None:
    waiting = known(path=replace(PATH, spooled=Waiting(7, T + 8.5)))
    assert climb(MISS, waiting).lost_at == "server", "sent 6 s after the close at the latest, and some for the clocks"
    assert climb(replace(MISS, delay=7.0), waiting).lost_at == "spool"
    ended = known(process=replace(SILENT, ended=T + 9))
    assert climb(MISS, ended).certain is False, "it had time to send it"
    assert climb(replace(MISS, delay=8.0), ended).certain is True


def test_the_datagram_is_named_with_its_window() -> None:
    next_one = replace(CLOSE_GAP, after=52, begin=T + 1, end=T + 7)
    first = replace(CLOSE_GAP, begin=T - 5, end=T - 1)
    mine = replace(CLOSE_GAP, after=47, begin=T - 1, end=T)
    ladder = climb(MISS, known(first, mine, next_one, replace(CLOSE_GAP, begin=T - 60, end=T - 50)))
    assert ladder.cause == (
        "lost between server and shoveler, and no drop was counted then: "
        "1 f-stream datagram after number 47 never came, with its close"
    )
    datagram = ladder.datagram
    assert datagram is not None
    assert (datagram.server, datagram.stod, datagram.cls, datagram.after, datagram.held) == (
        "17",
        STOD,
        "F",
        47,
        "close",
    )
    assert (datagram.begin, datagram.end) == (T - 1, T + 1)
    assert ladder.certain


def test_of_datagrams_that_time_does_not_tell_apart_none_is_named() -> None:
    ladder = climb(MISS, known(CLOSE_GAP, replace(CLOSE_GAP, after=52, begin=T - 1, end=T + 1)))
    assert (ladder.lost_at, ladder.certain, ladder.datagram) == ("wire", True, None)
    assert ladder.cause.endswith("one of the datagrams that never came then had its close")


def test_a_busy_client_notes_a_close_late() -> None:
    """Seen: a close in one gap, which the client noted when the next one had begun."""
    before = replace(CLOSE_GAP, begin=T + 3, end=T + 6)
    after = replace(CLOSE_GAP, after=47, begin=T + 7, end=T + 9)
    slow = replace(MISS, closed=T + 7.5)
    told = climb(slow, known(before, after))
    assert (told.lost_at, told.certain, told.datagram) == ("wire", True, None)
    assert "one of the datagrams that never came then had its close" in told.cause
    quick = replace(slow, opened=T + 7.2)
    datagram = climb(quick, known(before, after)).datagram
    assert datagram is not None
    assert datagram.after == 47


def test_of_several_logins_the_arrival_of_the_neighbours_tells_which() -> None:
    before = replace(LOGIN_GAP, after=3, t_min=T - 40, t_max=T - 30)
    mine = replace(LOGIN_GAP, after=5, t_min=T - 20.5, t_max=T - 18.5)
    datagram = climb(FORGOTTEN, known(before, mine)).datagram
    assert datagram is not None
    assert (datagram.after, datagram.held) == (5, "login")
    assert climb(FORGOTTEN, known(LOGIN_GAP, mine)).datagram is None


def test_a_gap_that_may_be_none_is_never_certain() -> None:
    found = climb(MISS, known(replace(CLOSE_GAP, sure=False)))
    assert (found.lost_at, found.certain) == ("wire", False)
    many = (replace(CLOSE_GAP, sure=False), replace(CLOSE_GAP, after=52, begin=T - 1, end=T + 1))
    assert climb(MISS, known(*many)).certain is False
    doubtful = replace(CLOSE_GAP, after=60, missing=50, sure=False)
    found = climb(MISS, known(CLOSE_GAP, doubtful, path=losses("kernel")))
    assert found.lost_at == "kernel", "nine drops are enough for the one that is sure"


def test_gaps_that_disagree_leave_the_stage_open() -> None:
    dropped = replace(PATH, losses=(Loss("kernel", Span(T + 70, T + 71), 1),))
    wide = replace(CLOSE_GAP, after=60, begin=T - 1, end=T + 75)
    ladder = climb(MISS, known(CLOSE_GAP, wide, path=dropped))
    assert (ladder.lost_at, ladder.certain) == ("wire", False)


def test_the_plans_own_fault_is_named_where_it_can_be_the_reason() -> None:
    faults = (Fault("udp-loss", Span(T - 5, T + 5)), Fault("kill-server", Span(T - 5, T + 5)))
    assert climb(MISS, known(CLOSE_GAP, path=losses("kernel"), faults=faults)).cause.endswith(
        "; the plan's own udp-loss was on then"
    )
    assert climb(RESTARTED, known(faults=faults)).cause.endswith("; the plan's own kill-server was on then")
    both = (*faults, Fault("kill-shoveler", Span(T - 5, T + 5)))
    cause = climb(MISS, known(CLOSE_GAP, path=losses("kernel"), faults=both)).cause
    assert cause.endswith("; the plan's own udp-loss and kill-shoveler were on then")
    assert injected_first(cause).startswith("injected udp-loss and kill-shoveler: dropped by the kernel")
    assert injected_first("a cause; the plan's own") == "a cause; the plan's own"
    long_ago = (Fault("udp-loss", Span(T - 90, T - 80)),)
    assert "plan's own" not in climb(MISS, known(CLOSE_GAP, path=losses("kernel"), faults=long_ago)).cause


def test_what_the_plan_lost_itself_is_known_too() -> None:
    few = replace(PATH, losses=(Loss("kernel", Span(T, T + 1), 1),))
    gap = replace(CLOSE_GAP, missing=9)
    wire, drops = Fault("wire-loss", Span(T, T + 9), "s01"), Fault("udp-loss", Span(T, T + 9), "s02")

    def told(*gaps: SequenceGap, name: str, faults: tuple[Fault, ...], process: Process = PROCESS) -> tuple[str, bool]:
        ladder = climb(MISS, known(*gaps, path=few, faults=faults, name=name, process=process))
        return ladder.lost_at, ladder.certain

    assert told(gap, name="s02", faults=()) == ("wire", False)
    assert told(gap, name="s02", faults=(drops,)) == ("kernel", False), "the only way in which the plan lost its own"
    assert told(CLOSE_GAP, name="s02", faults=(drops,)) == ("kernel", True)
    assert told(CLOSE_GAP, name="s01", faults=(drops, wire)) == ("wire", False), "the drop was another server's"
    assert told(CLOSE_GAP, name="s02", faults=(drops, wire)) == ("kernel", False), (
        "two ways at once: nothing is certain"
    )
    assert told(CLOSE_GAP, name="s03", faults=(drops, wire)) == ("kernel", False)
    assert told(name="s01", faults=(drops, wire), process=SILENT) == ("wire", False), "the last datagram"


def test_the_last_requests_of_a_session_do_not_speak_for_its_login() -> None:
    session = replace(SESSION, recorded=0, others=((T + 1, T + 2), (T + 2, T + 3)))
    last = replace(MISS, session=session)
    dropped = climb(last, known(LOGIN_GAP, process=SILENT, path=losses("kernel")))
    assert (dropped.lost_at, dropped.datagram) == ("kernel", None), "their datagram was dropped after all others"
    login = climb(last, known(LOGIN_GAP, process=SILENT, path=losses("kernel", at=-60)))
    assert login.datagram is None or login.datagram.held == "login"
    assert not login.certain


def lost(facts: Known, count: int, **change: Any) -> dict[int, Ladder]:
    miss = replace(MISS, **change)
    return weigh({number: Lost(miss, facts, climb(miss, facts)) for number in range(count)})


def test_what_cannot_all_have_been_in_one_datagram_is_not_certain() -> None:
    fits = FRAME // (28 + len(MISS.path) + 32)
    assert all(ladder.certain for ladder in lost(known(CLOSE_GAP), fits).values())
    assert not any(ladder.certain for ladder in lost(known(CLOSE_GAP), fits + 1).values())


def test_what_takes_more_than_a_frame_was_fragmented() -> None:
    facts = known(CLOSE_GAP, path=replace(PATH, oversize={SENDER: 0.2}))
    assert {(ladder.lost_at, ladder.certain) for ladder in lost(facts, 3).values()} == {("wire", False)}
    (ladder, *_) = lost(facts, 30).values()
    assert (ladder.lost_at, ladder.certain) == ("fragmentation", True)
    assert ladder.cause == (
        "a fragment was lost: what it held takes 2,070 bytes, more than the path MTU: "
        "1 f-stream datagram after number 41 never came, with its close"
    )


def test_the_rungs_below_are_passed_and_those_above_not_reached() -> None:
    figures = Figures(received=100, confirmed=100, seen=90, records=50, loaded=50)
    ladder = climb(MISS, known(path=replace(PATH, queued=Waiting(10, T - 1)), figures=figures))
    assert [rung.stage for rung in ladder.rungs] == list(STAGES)
    assert [rung.state for rung in ladder.rungs] == [
        "passed", "passed", "passed", "passed", "lost", "not reached", "not reached",
    ]  # fmt: skip
    assert ladder.rungs[2].evidence == "100 datagrams taken"
    assert ladder.rungs[4].evidence == ladder.cause


moments = st.floats(T - 100, T + 100)
spans = st.builds(Span, moments, moments)
gaps = st.builds(
    SequenceGap, st.sampled_from(["F", "M", "G C"]), st.integers(-1, 255), st.integers(1, 200), moments, moments,
    st.just(0.0) | moments, st.just(0.0) | moments,
)  # fmt: skip
waits = st.none() | st.builds(Waiting, st.integers(1, 9), moments, st.booleans())
kinds = st.sampled_from(["refused", "kernel", "unseen", "rejected", "restart"])
paths = st.none() | st.builds(
    Path, st.just("sp"), spans, st.lists(st.builds(Loss, kinds, spans, st.none() | st.integers(1, 9)), max_size=3).map(tuple),
    waits, waits, st.integers(0, 3), st.just({}) | st.just({SENDER: 0.7}),
)  # fmt: skip
reasons = st.dictionaries(st.sampled_from(["a", "b"]), st.integers(1, 5), max_size=2)


@given(
    st.builds(
        known, path=paths, process=st.builds(replace, st.just(PROCESS), clock=st.just(0.0) | moments, ended=st.just(0.0) | moments),
        amnesia=st.lists(spans, max_size=1).map(tuple),
        troubles=st.lists(st.builds(Trouble, st.just(SENDER), spans, reasons, reasons), max_size=2).map(tuple),
    ),
    st.lists(gaps, max_size=3),
    st.builds(
        Miss, opened=st.none() | moments, closed=st.none() | moments, provisional=st.booleans(),
        session=st.none() | st.builds(Session, spans, st.integers(0, 1)),
    ),
)  # fmt: skip
def test_any_evidence_gives_one_answer_with_all_rungs(facts: Known, more: list[SequenceGap], miss: Miss) -> None:
    assert facts.process is not None
    process = replace(facts.process, gaps=tuple(more))
    facts = replace(facts, process=process, taken=explain(facts.path, [process]))
    ladder = weigh({1: Lost(miss, facts, climb(miss, facts))})[1]
    assert ladder.cause
    assert [rung.stage for rung in ladder.rungs] == list(STAGES)
    assert sum(rung.state == "lost" for rung in ladder.rungs) == (ladder.lost_at != "unknown")
    if ladder.certain and ladder.lost_at in ("kernel", "wire"):
        assert any(gap.window.end >= (miss.opened or 0) - 200 for gap in more), "nothing is certain without a gap"


def test_what_may_be_on_its_way_is_guessed_after_what_was_lost_then() -> None:
    """Seen with a purged queue: two idents of other servers waited in the spool, and took the blame for 524 requests."""
    purged = replace(
        PATH, spooled=Waiting(2, T + 4), losses=(Loss("unseen", Span(T, T + 3), 400),), told=Span(T - 100, T + 100)
    )
    found = climb(MISS, known(path=purged, process=SILENT))
    assert (found.lost_at, found.certain) == ("queue", False)
    sure = climb(MISS, known(path=replace(purged, spooled=Waiting(2, T - 1)), process=SILENT))
    assert (sure.lost_at, sure.certain) == ("spool", True), "all that came since is in the spool, in order"


# ---- of several ways in which the last datagram may have gone

BUSY = replace(PATH, told=Span(T - 100, T + 60), taken=16_000)
"""A path of 100 datagrams a second."""
STALLED = replace(BUSY, queued=Waiting(6_100, T - 1, sure=False))
"""The collector was killed a second before the request, and nothing that came since was seen."""


def plan(do: str, percent: float, server: str = "", since: float = -50, until: float = 60) -> Fault:
    return Fault(do, Span(T + since, T + until), server, percent=percent)


@pytest.mark.parametrize(
    ("path", "faults", "lost_at", "words"),
    [
        # killed collector, an earlier loss still on: what waits is more than what the loss takes, or it is open
        (STALLED, [plan("wire-loss", 10)], "queue", "6,100 datagrams confirmed and not seen"),
        (STALLED, [plan("udp-loss", 10)], "queue", "confirmed and not seen"),
        (STALLED, [plan("fragment-loss", 10)], "queue", "confirmed and not seen"),
        (STALLED, [plan("wire-loss", 50)], "unknown", "unknown: lost between server and shoveler or between broker and collector"),
        (STALLED, [plan("wire-loss", 95)], "wire", "lost between server and shoveler"),
        (STALLED, [plan("wire-loss", 100)], "wire", "lost between server and shoveler"),
        (STALLED, [plan("wire-loss", 95, "s02")], "queue", "confirmed and not seen"),
        (STALLED, [plan("wire-loss", 95, until=-20)], "queue", "confirmed and not seen"),
        (STALLED, [plan("wire-loss", 0)], "unknown", "about as many datagrams of then"),
        # it stopped some time after the request: then the loss weighs more
        (replace(BUSY, queued=Waiting(5_500, T + 5, sure=False)), [plan("wire-loss", 10)], "queue", "5,500"),
        (replace(BUSY, queued=Waiting(5_200, T + 8, sure=False)), [plan("wire-loss", 30)], "wire", "nothing of this server"),
        # the same in the spool
        (replace(BUSY, spooled=Waiting(6_100, T - 1, sure=False)), [plan("wire-loss", 10)], "spool", "6,100 datagrams taken"),
        (replace(BUSY, spooled=Waiting(6_100, T - 1)), [plan("wire-loss", 10)], "spool", "6,100 datagrams taken"),
        # counted drops beside it
        (replace(STALLED, losses=(Loss("kernel", Span(T, T + 2), 20),)), [], "queue", "6,100"),
        (replace(STALLED, losses=(Loss("kernel", Span(T - 1, T + 8), 9_000),)), [], "kernel", "dropped by the kernel"),
        (replace(STALLED, losses=(Loss("restart", Span(T - 1, T + 8), None),)), [], "queue", "6,100"),
        # several losses: the largest, not the first
        (replace(BUSY, losses=(Loss("kernel", Span(T, T + 1), 1), Loss("unseen", Span(T - 1, T + 8), 700))), [], "queue", "never seen"),
        (replace(BUSY, losses=(Loss("kernel", Span(T, T + 1), 500), Loss("unseen", Span(T - 1, T + 8), 700))), [], "unknown", "dropped at the shoveler's socket"),
        # those that the plan inflicted on others do not count
        (replace(STALLED, losses=(Loss("kernel", Span(T, T + 5), 9_000),)), [plan("udp-loss", 90, "s02")], "queue", "6,100"),
        # the broker goes away, and an earlier loss is still on
        (replace(BUSY, told=Span(T - 100, T - 1)), [plan("wire-loss", 10), plan("broker-down", 0, since=-2)], "spool", "kept the broker away"),
        (replace(BUSY, told=Span(T - 100, T - 1)), [plan("wire-loss", 95), plan("broker-down", 0, since=-2)], "wire", "nothing of this server"),
    ],
)  # fmt: skip
def test_what_took_most_of_that_time_took_it(path: Path, faults: list[Fault], lost_at: str, words: str) -> None:
    found = climb(MISS, known(process=SILENT, path=path, faults=tuple(faults), name="s01"))
    assert (found.lost_at, found.certain) == (lost_at, False), found.cause
    assert words in found.cause


def test_nothing_that_waits_is_certain_while_datagrams_are_lost_before_the_shoveler() -> None:
    sure = replace(BUSY, queued=Waiting(6_100, T - 1))
    assert climb(MISS, known(process=SILENT, path=sure)).certain
    for path, faults in (
        (sure, (plan("wire-loss", 2),)),
        (sure, (plan("udp-loss", 2),)),
        (replace(sure, losses=(Loss("kernel", Span(T, T + 1), 1),)), ()),
        (replace(sure, losses=(Loss("restart", Span(T, T + 1), None),)), ()),
    ):
        found = climb(MISS, known(process=SILENT, path=path, faults=faults, name="s01"))
        assert (found.lost_at, found.certain) == ("queue", False)
    others = (plan("wire-loss", 90, "s02"), plan("wire-loss", 90, until=-20))
    assert climb(MISS, known(process=SILENT, path=sure, faults=others, name="s01")).certain
    elsewhere = known(replace(CLOSE_GAP, begin=T - 40, end=T - 30), process=SILENT, path=sure)
    assert not climb(MISS, elsewhere).certain, "others of this path were lost on the wire within a minute"


def test_a_server_that_was_killed_while_datagrams_were_lost_may_have_sent_it() -> None:
    ended = replace(SILENT, ended=T + 3)
    assert climb(MISS, known(process=ended)).certain
    assert not climb(MISS, known(process=ended, faults=(plan("wire-loss", 5),))).certain


def test_a_fragmented_datagram_is_not_certain_while_whole_ones_are_lost() -> None:
    facts = known(CLOSE_GAP, path=replace(PATH, oversize={SENDER: 0.2}))
    for do, certain in (("fragment-loss", True), ("wire-loss", False)):
        (ladder, *_) = lost(replace(facts, faults=(plan(do, 5),)), 30).values()
        assert (ladder.lost_at, ladder.certain) == ("fragmentation", certain)


def test_a_state_that_was_lost_is_not_certain_where_the_close_may_have_been_lost_as_well() -> None:
    for process, certain in ((PROCESS, True), (SILENT, False)):
        facts = known(process=process, faults=(plan("wire-loss", 5, since=-2),), amnesia=(Span(T - 8, T - 3),))
        found = climb(FORGOTTEN, facts)
        assert (found.lost_at, found.certain) == ("collector", certain)
