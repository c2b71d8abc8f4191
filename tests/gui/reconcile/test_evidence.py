"""What daemons said, put together: which process a request had, what was lost of its path, and when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from gui.reconcile.evidence import Evidence, Place
from gui.reconcile.facts import Fault, Figures, Loss, Span, Trouble, Waiting
from gui.store import LoadedRow
from shoveler.service import (
    CollectorSender,
    CollectorStatus,
    Drop,
    Gap,
    Position,
    Progress,
    Refusal,
    ServerProcess,
    ShovelerSender,
    ShovelerStatus,
)

T = 1_760_000_000.0
S1, S2 = "127.0.0.1:5001", "127.0.0.1:5002"


def shoveler(t: float, upto: int = 100, confirmed: int | None = None, *, generation: str = "g", **facts: Any) -> Any:
    position = Position(first=1, received_upto=upto, confirmed_upto=upto if confirmed is None else confirmed)
    senders = facts.pop("senders", {S1: ShovelerSender(received=upto)})
    return ShovelerStatus(
        id=facts.pop("id", "sp"), started=0.0, t=T + t, host="h", version="1", senders=senders,
        positions={generation: position}, **facts,
    )  # fmt: skip


def collector(t: float, upto: int = 100, *holes: tuple[int, int], **facts: Any) -> CollectorStatus:
    progress = Progress(seen_upto=upto, holes=list(holes), since=facts.pop("since", 0))
    return CollectorStatus(
        id=facts.pop("id", "c"), started=facts.pop("started", 0.0), t=T + t, host="h", version="1",
        positions=facts.pop("positions", {"g": progress}), **facts,
    )  # fmt: skip


def process(sid: str = "11", stod: int = 10, sender: str = S1, **facts: Any) -> ServerProcess:
    return ServerProcess(
        sender=sender, sid=sid, stod=int(T) + stod, **{"host": "se.example.org", "port": 1094, **facts}
    )


def gap(after: int, begin: int, missing: int = 1) -> Gap:
    return Gap(cls="F", stod=1, after=after, missing=missing, t_min=T + begin, t_max=T + begin + 9,
               begin=int(T) + begin, end=int(T) + begin + 5)  # fmt: skip


def evidence(*statuses: Any, **facts: Any) -> Evidence:
    return Evidence(statuses, **{"since": T, **facts})


def path(*statuses: Any) -> Any:
    found = evidence(*statuses, collector(0, id="names", positions={}, processes=[process()]))
    return found.known(found.processes[0]).path


# ---- which process


def test_of_the_processes_of_a_server_it_is_the_one_that_ran_then() -> None:
    old, new = process(stod=-500, ended=T + 100), process(stod=99)
    found = evidence(collector(0, processes=[old, new, process("12", stod=20)]))

    def at(moment: float | None) -> tuple[Any, Any]:
        one, later = found.process_at(["11"], moment)
        return (one.stod - int(T) if one else None, later.stod - int(T) if later else None)

    assert at(T + 50) == (-500, 99)
    assert at(T + 98.5) == (99, None)
    assert at(T + 500) == (99, None)
    assert at(T - 900) == (-500, 99), "clocks differ"
    assert found.process_at(["13"], T) == (None, None)


def test_servers_of_one_address_are_told_apart_by_their_port() -> None:
    found = evidence(collector(0, processes=[process("11"), process("12", sender=S2, port=1095)]))
    assert found.servers_at(Place("se.example.org", 1095)) == {"12"}
    assert found.servers_at(Place("se", 1094)) == {"11"}
    assert found.servers_at(Place("localhost", 1094)) == {"11"}
    assert found.servers_at(Place("other.example.org", 1094)) == {"11"}, "known by another name; only one has this port"
    assert found.servers_at(Place("se.example.org", 1096)) == set()


def test_of_two_hosts_with_one_port_the_name_decides_or_nothing_does() -> None:
    found = evidence(
        collector(0, processes=[process("11"), process("12", sender="192.0.2.9:5", host="so.example.org")])
    )
    assert found.servers_at(Place("so.example.org", 1094)) == {"12"}
    assert found.servers_at(Place("192.0.2.9", 1094)) == {"12"}
    assert found.servers_at(Place("alias.example.org", 1094)) == set()


def gaps_of(*told: tuple[str, list[Gap]]) -> list[int]:
    """The numbers after which gaps of a process are, when these collectors have told these lists."""
    statuses = [
        collector(number, id=name, processes=[process(gaps=gaps, last=T + number)])
        for number, (name, gaps) in enumerate(told)
    ]
    (found,) = evidence(*statuses).processes
    return [each.after for each in found.gaps]


def test_gaps_that_a_long_list_has_no_room_for_are_kept() -> None:
    every = [gap(number, 10 * number) for number in range(1, 8)]
    assert gaps_of(("c", every[:5]), ("c", every[2:])) == [1, 2, 3, 4, 5, 6, 7]


def test_a_gap_is_gone_when_what_was_missing_has_come() -> None:
    assert gaps_of(("c", [gap(1, 10), gap(2, 20)]), ("c", [gap(2, 20)])) == [2]
    assert gaps_of(("c", [gap(1, 10)]), ("c", [])) == []


def test_a_gap_that_may_be_none_is_known_as_such() -> None:
    doubtful = msgspec.structs.replace(gap(1, 10), sure=False)
    (found,) = evidence(collector(0, processes=[process(gaps=[doubtful, gap(2, 20)])])).processes
    assert [each.sure for each in found.gaps] == [False, True]


def test_gaps_that_several_collectors_tell_are_there_once() -> None:
    assert gaps_of(("c", [gap(1, 10), gap(2, 20)]), ("d", [gap(2, 20), gap(3, 30)])) == [1, 2, 3]


# ---- one shoveler


def test_each_drop_of_a_socket_counts_once_whoever_uses_it() -> None:
    drops = [Drop(listen="0.0.0.0:9930", t_from=T + n, t_to=T + n + 1, count=2) for n in range(3)]
    told = path(shoveler(5, drops=drops[:2]), shoveler(10, drops=drops[1:]))
    assert told.losses == tuple(
        Loss("kernel", Span(T + n, T + n + 1), 2, words="0.0.0.0:9930") for n in range(3)
    )  # fmt: skip


def test_a_path_says_how_busy_it_was() -> None:
    told = path(shoveler(0, 100), shoveler(10, 150), shoveler(20, 400))
    assert (told.taken, told.rate) == (300, 15.0)
    assert path(shoveler(5, 100)).taken == 0


def test_refusals_are_those_of_their_sender() -> None:
    refusals = [Refusal(sender=S2, reason="spool_full", t_from=T, t_to=T + 3, count=9)]
    longer = [Refusal(sender=S2, reason="spool_full", t_from=T, t_to=T + 8, count=20)]
    told = path(shoveler(5, refusals=refusals), shoveler(10, refusals=longer))
    assert told.losses == (Loss("refused", Span(T, T + 8), 20, S2, "spool_full"),)


def test_a_new_generation_is_a_start_of_the_receiver() -> None:
    told = path(shoveler(5), shoveler(10), shoveler(15, generation="h"))
    assert told.losses == (Loss("restart", Span(T + 10, T + 15), None),)


def test_what_is_in_the_spool_is_there_since_its_oldest_came() -> None:
    assert path(shoveler(5, 90), shoveler(10, 100, 93)).spooled == Waiting(7, T + 5)
    assert path(shoveler(5, 90), shoveler(10, 100, 93, oldest=T + 7)).spooled == Waiting(7, T + 7, sure=False), (
        "it may have been confirmed a moment after this was said"
    )
    assert path(shoveler(5, 100)).spooled is None


def test_confirmed_and_not_seen_is_a_set_of_numbers_with_a_time() -> None:
    told = evidence(
        shoveler(-1, 40), shoveler(5, 60), shoveler(10, 80), shoveler(15, 100),
        collector(-1, 40), collector(14, 95, (7, 9), (62, 65), processes=[process()]),
    )  # fmt: skip
    found = told.known(told.processes[0]).path
    assert found is not None
    assert found.losses == (Loss("unseen", Span(T + 5, T + 10), 4),), "7 to 9 is older than the run"
    assert found.queued == Waiting(5, T + 10)


def test_collectors_see_together_and_what_they_do_not_tell_is_not_lost() -> None:
    told = evidence(
        shoveler(-1, 40), shoveler(5, 60),
        collector(4, 60, (41, 50), processes=[process()]), collector(4, 55, (51, 52), id="d"),
    )  # fmt: skip
    assert told.known(told.processes[0]).path == replace(path(shoveler(-1, 40), shoveler(5, 60), collector(4, 60)))
    floor = path(shoveler(-1, 40), shoveler(5, 60), collector(4, 60, (41, 44), (50, 51), since=48))
    assert floor.losses == (Loss("unseen", Span(T - 1, T + 5), 2),)


def test_a_collector_that_fell_silent_may_be_further_than_it_has_said() -> None:
    assert path(shoveler(-1, 40), shoveler(60, 60), collector(50, 55)).queued == Waiting(5, T - 1)
    assert path(shoveler(-1, 40), shoveler(60, 60), collector(30, 55)).queued == Waiting(5, T - 1, sure=False)


def test_a_server_whose_datagrams_no_shoveler_took_has_no_path() -> None:
    found = evidence(shoveler(5), collector(5, processes=[process(sender=S2, gaps=[gap(3, 1)])]))
    known = found.known(found.processes[0])
    assert known.path is None
    assert {taken.lost_at for taken in known.taken.values()} == {"unknown"}


def test_a_server_has_the_path_of_the_shoveler_that_takes_its_datagrams() -> None:
    drop = Drop(listen="a", t_from=T, t_to=T + 1, count=1)
    found = evidence(
        shoveler(5, id="a", drops=[drop]),
        shoveler(5, id="b", senders={S2: ShovelerSender(received=5, oversize=4, by_code={"f": 5})}),
        collector(5, processes=[process(gaps=[gap(3, -1)]), process("12", sender=S2, gaps=[gap(3, -1)])]),
    )
    one, other = (found.known(each) for each in found.processes)
    assert (one.path.shoveler, other.path.shoveler) == ("a", "b")
    assert other.path.oversize == {S2: 0.8}
    assert [[taken.lost_at for key, taken in known.taken.items() if key[0] == known.process.key]
            for known in (one, other) if known.process] == [["kernel"], ["fragmentation"]]  # fmt: skip


# ---- collectors


def test_a_collector_that_lists_as_unseen_what_another_had_seen_has_lost_the_state() -> None:
    before = collector(5, 60, started=1.0)
    after = collector(12, 80, (1, 70), id="new", started=T + 11)
    found = evidence(shoveler(-1, 40), shoveler(15, 80), before, after)
    known = found.known(None)
    assert known.amnesia == (Span(T + 5, T + 12),)
    assert known.path is not None
    assert [(loss.kind, loss.count, loss.sure) for loss in known.path.losses] == [("unseen", 10, False)]
    kept = evidence(before, collector(12, 80, id="c", started=T + 11))
    assert kept.known(None).amnesia == ()
    together = evidence(collector(5, 60), collector(15, 90), after)
    assert together.known(None).amnesia == (), "two that run beside each other share the datagrams"


def test_troubles_of_a_sender_are_what_was_added_between_two_messages() -> None:
    def counted(t: float, started: float = 0.0, **incomplete: int) -> CollectorStatus:
        return collector(t, senders={S1: CollectorSender(incomplete=incomplete)}, started=started)

    found = evidence(counted(-2, no_user=5), counted(5, no_user=5), counted(10, no_user=7, no_open=1))
    assert found.known(None).troubles == (Trouble(S1, Span(T + 5, T + 10), {"no_user": 2, "no_open": 1}),)
    fresh = evidence(counted(9, T + 4, no_user=3))
    assert fresh.known(None).troubles == (Trouble(S1, Span(T + 4, T + 9), {"no_user": 3}),)


def test_rejected_datagrams_are_losses_of_their_sender() -> None:
    found = evidence(
        shoveler(0), shoveler(9), collector(-1, processes=[process()]),
        collector(9, senders={S1: CollectorSender(seen=9, decoded=7, rejected={"length": 2})}),
    )  # fmt: skip
    path = found.known(found.processes[0]).path
    assert path is not None
    assert path.losses == (Loss("rejected", Span(T - 1, T + 9), 2, S1, "length"),)


def test_what_was_wrong_with_datagrams_that_were_used_has_taken_none() -> None:
    def told(decoded: int, **rejected: int) -> Any:
        senders = {S1: CollectorSender(seen=9, decoded=decoded, rejected=rejected)}
        return evidence(shoveler(0), shoveler(9), collector(-1, processes=[process()]), collector(9, senders=senders))

    def losses(found: Any) -> list[tuple[int | None, str]]:
        path = found.known(found.processes[0]).path
        assert path is not None
        return [(loss.count, loss.words) for loss in path.losses]

    padded = told(9, excess=5)
    assert losses(padded) == []
    assert padded.known(None).troubles == ()
    cut = told(9, truncated=2)
    assert losses(cut) == []
    assert [trouble.rejected for trouble in cut.known(None).troubles] == [{"truncated": 2}], "records of it are lost"
    assert losses(told(8, truncated=2, length=1)) == [(1, "length, truncated")]


def test_figures_begin_with_the_run() -> None:
    rows = [
        LoadedRow("se", "11", int(T) + 10, 44, {}),
        LoadedRow("se", "11", int(T) + 99, 5, {}),
    ]
    counts = {S1: CollectorSender(seen=500, records=50, provisional=1)}
    later = {S1: CollectorSender(seen=600, records=90, provisional=4)}
    faults = [Fault("udp-loss", Span(T, T + 1))]
    found = evidence(
        shoveler(0, 500), shoveler(9, 610, 600, senders={S1: ShovelerSender(received=610, confirmed=600)}),
        collector(0, senders=counts, processes=[process()]), collector(9, senders=later),
        loaded=rows, faults=faults,
    )  # fmt: skip
    known = found.known(found.processes[0])
    assert known.figures == Figures(received=110, confirmed=600, seen=100, records=43, loaded=44)
    assert known.faults == tuple(faults)
    fresh = evidence(collector(9, senders=later, processes=[process()], started=T + 5), loaded=rows)
    assert fresh.known(fresh.processes[0]).figures == Figures(seen=600, records=94, loaded=44)


@pytest.mark.parametrize("statuses", [[], [shoveler(0)], [collector(0)]])
def test_what_nobody_told_is_not_known(statuses: list[Any]) -> None:
    known = evidence(*statuses).known(None)
    assert (known.process, known.amnesia, known.troubles, known.figures) == (None, (), (), Figures())
