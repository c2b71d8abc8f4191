"""When waiting for monitoring is over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gui.campaign.settle import (
    HELD_LIMIT,
    HOLES_STAY,
    Reader,
    Settle,
    Settled,
    SettleView,
    Settling,
    Taker,
    quiet_time,
    unseen,
)

BEGAN = 100.0
ASK = "asking the shovelers how far they are"
LOAD = "loading what the collectors have published"


def settle(limit: float = 90.0, **base: int) -> Settle:
    return Settle(began=BEGAN, limit=limit, hold=2.0, quiet=4.0, base=base or {"s": 50})


def view(now: float, unrecorded: int = 0, **facts: Any) -> SettleView:
    return SettleView(now=now, looked=facts.pop("looked", now), unrecorded=unrecorded, **facts)


def taker(heard: float, upto: int, first: int = 1, id_: str = "s") -> Taker:
    return Taker(id_, heard, {"g": (first, upto)})


def reader(heard: float, upto: int, *holes: tuple[int, int], held: int = 0) -> Reader:
    return Reader("c", heard, {"g": (upto, holes)}, held)


def steps(one: Settle, *views: SettleView) -> list[tuple[str, str]]:
    """What is said and wanted at each look."""
    found = []
    for each in views:
        step = one.look(each)
        found.append((step.reason, step.want if isinstance(step, Settling) else f"settled {step.complete}"))
    return found


def test_the_mark_is_taken_when_servers_hold_nothing_back_and_all_up_to_it_is_seen_and_loaded() -> None:
    steady = {"takers": [taker(102.1, 70)]}
    assert steps(
        settle(),
        view(101.0, 3, takers=[taker(101.0, 60)], readers=[reader(100.0, 55)]),
        view(102.0, 3, takers=[taker(101.0, 60)], readers=[reader(100.0, 55)]),
        view(102.1, 3, **steady, readers=[reader(102.1, 65)]),
        view(102.3, 1, takers=[taker(102.3, 900)], readers=[reader(102.3, 70)]),
        view(102.4, 1, takers=[taker(102.3, 950)], readers=[reader(102.3, 800)]),
        view(102.5, 1, takers=[taker(102.3, 950)], readers=[reader(102.3, 800)], drained=True, looked=102.0),
        view(102.6, 0, takers=[taker(102.3, 950)], readers=[reader(102.3, 800)], drained=True),
    ) == [
        ("3 requests without a record", ""),
        (ASK, "ask"),
        ("5 datagrams not seen by a collector yet", ""),
        (LOAD, "drain"),
        (LOAD, ""),
        ("counting what was loaded", ""),
        ("all that the servers sent is loaded", "settled True"),
    ]  # fmt: skip


def test_before_a_record_is_given_up_what_a_busy_server_sends_late_is_waited_for() -> None:
    """Seen: a datagram 3 s after its close, with fstat and flush of 1 s each."""
    one = settle()
    both = {"takers": [taker(102.1, 60)], "readers": [reader(102.1, 60)]}
    first = steps(one, view(102.1, 8, **both), view(102.2, 8, **both), view(102.3, 8, drained=True, **both))
    assert first == [(ASK, "ask"), (LOAD, "drain"), ("8 requests without a record", "")]
    late = {"takers": [taker(107.2, 61)], "readers": [reader(107.2, 61)]}
    assert steps(
        one,
        view(106.9, 8, **both),
        view(107.1, 8, **both),
        view(107.3, 8, takers=[taker(107.2, 61)], readers=[reader(107.2, 60)]),
        view(107.4, 8, **late),
        view(107.5, 8, drained=True, looked=107.4, **late),
        view(107.6, 1, drained=True, **late),
    ) == [
        ("8 requests without a record", ""),
        (ASK, "ask"),
        ("1 datagram not seen by a collector yet", ""),
        (LOAD, "drain"),
        ("counting what was loaded", ""),
        ("1 request without a record", ""),
    ]
    # That brought records, so once more; the next mark brings none.
    nothing = {"takers": [taker(112.2, 61)], "readers": [reader(112.2, 61)]}
    assert steps(
        one,
        view(112.1, 1, **late),
        view(112.3, 1, **nothing),
        view(112.4, 1, drained=True, **nothing),
        view(112.7, 1, drained=True, **nothing),
        view(115.5, 1, drained=True, takers=[taker(115.4, 61)], readers=[reader(115.4, 61)]),
    ) == [
        (ASK, "ask"),
        (LOAD, "drain"),
        ("1 request without a record; waiting to hear which datagrams never came", ""),
        ("1 request without a record; waiting to hear which datagrams never came", "ask"),
        ("1 request without a record, and all that the servers sent is loaded: nothing more can come", "settled True"),
    ]


def test_where_every_request_has_its_bytes_nothing_is_held_back_any_more() -> None:
    recorded: dict[str, Any] = {"takers": [taker(100.0, 60)], "readers": [reader(100.0, 60)]}
    assert steps(settle(), view(100.1, **recorded)) == [(ASK, "ask")]
    assert steps(settle(), view(100.1, unequal=1, **recorded)) == [
        ("1 request with fewer or more bytes than asked", "")
    ]


def test_what_is_older_than_the_run_is_not_waited_for() -> None:
    waiting = view(103.0, takers=[taker(104.0, 60)], readers=[reader(104.0, 60, (7, 50))])
    assert steps(settle(s=50), waiting, waiting) == [(ASK, "ask"), (LOAD, "drain")]
    assert steps(settle(s=49), waiting, waiting)[1] == ("1 datagram not seen by a collector yet", "")


def test_a_shoveler_that_does_not_answer_is_waited_for_while_a_record_is_missing() -> None:
    silent = {"takers": [taker(104.0, 60), taker(70.0, 9, id_="gone")], "readers": [reader(104.0, 60)]}
    assert steps(settle(s=50, gone=9), view(103.0, 1, **silent), view(104.0, 1, **silent)) == [
        (ASK, "ask"),
        ("waiting for shoveler gone to say how far it is", "ask"),
    ]
    assert steps(settle(s=50, gone=9), view(103.0, **silent), view(104.0, **silent)) == [(ASK, "ask"), (LOAD, "drain")]  # type: ignore[arg-type]


def passed_over(now: float, heard: float, **facts: Any) -> SettleView:
    return view(now, 1, takers=[taker(102.0, 60)], readers=[reader(heard, 60, (55, 56))], **facts)


def test_a_datagram_that_all_collectors_have_passed_over_is_lost_after_a_while() -> None:
    said = steps(
        settle(),
        passed_over(102.0, 102.0),
        passed_over(102.1, 102.1),
        passed_over(102.1 + HOLES_STAY, 102.2),
        passed_over(102.3 + HOLES_STAY, 102.2 + HOLES_STAY),
    )
    waiting = "2 datagrams not seen by a collector yet"
    assert said == [(ASK, "ask"), (waiting, ""), (waiting, "ask"), (LOAD, "drain")]


def test_datagrams_that_left_an_empty_queue_unseen_are_lost() -> None:
    def purged(now: float, queued: int | None) -> SettleView:
        return view(now, 1, takers=[taker(102.0, 60)], readers=[reader(now, 57)], queued=queued)

    waiting = "3 datagrams not seen by a collector yet"
    for queued, after in ((0, (LOAD, "drain")), (5, (waiting, "ask")), (None, (waiting, "ask"))):
        said = steps(settle(), purged(102.0, queued), purged(102.1, queued), purged(102.2 + HOLES_STAY, queued))
        assert said == [(ASK, "ask"), (waiting, ""), after], queued


def test_what_a_collector_holds_back_is_waited_for_while_a_record_is_missing() -> None:
    def holding(now: float, unrecorded: int, held: int = 2) -> SettleView:
        return view(now, unrecorded, takers=[taker(now, 60)], readers=[reader(now, 60, held=held)])

    waiting = "2 accesses wait in a collector for what may be late"
    end = 102.1 + HELD_LIMIT
    assert [text for text, _ in steps(settle(), *(holding(now, 1) for now in (102.0, 102.1, 110.0, end)))] == [
        ASK, waiting, waiting, LOAD,
    ]  # fmt: skip
    assert steps(settle(), holding(102.0, 1), holding(102.1, 1, held=0))[1] == (LOAD, "drain")
    assert steps(settle(), holding(102.0, 0), holding(102.1, 0))[1] == (LOAD, "drain")


def test_the_limit_ends_it_and_says_what_was_waited_for() -> None:
    step = settle(10).look(view(110.0, 2, takers=[taker(70.0, 60)], readers=[reader(70.0, 60)]))
    assert step == Settled(False, 10.0, f"the limit of 10 s was reached: {ASK}")
    one = settle()
    one.hurry()
    assert one.look(view(100.5, 2)) == Settled(False, 0.5, "the limit of 0 s was reached: 2 requests without a record")


def test_without_positions_every_record_or_quiet_ends_it() -> None:
    assert settle().look(view(100.2)) == Settled(True, pytest.approx(0.2), "every request has its record")  # type: ignore[arg-type]
    assert settle().look(view(101.0, 1)) == Settling("1 request without a record", 104.0)
    assert settle().look(view(106.0, 1, last_record=103.0)) == Settling("1 request without a record", 107.0)
    assert settle().look(view(107.0, 1200, last_record=103.0)) == Settled(
        True, 7.0, "1,200 requests without a record, and none came for 4 s"
    )
    only_one_side = view(101.0, 1, takers=[taker(101.0, 60)])
    assert settle().look(only_one_side) == settle().look(replace(only_one_side, takers=()))


def test_collectors_see_a_generation_together() -> None:
    wanted = {"g": [(51, 60)], "h": [(61, 62)]}
    one, other = reader(1.0, 58, (50, 55)), Reader("d", 1.0, {"g": (54, ()), "h": (61, ())})
    assert unseen(wanted, [one, other]) == {"g": [(55, 55), (59, 60)], "h": [(62, 62)]}
    assert unseen(wanted, []) == wanted


def test_quiet_time() -> None:
    assert (quiet_time(1, 1), quiet_time(0.5, 0.5), quiet_time(60, 60)) == (4, 3, 240)
