"""What is kept of the status messages in the middle of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from gui.reconcile import step_of
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

HEAD: dict[str, Any] = {"id": "d", "started": 1.0, "host": "h", "version": "1"}
DROP = Drop(listen="a", t_from=1.0, t_to=2.0, count=3)
REFUSAL = Refusal(sender="s", reason="spool_full", t_from=1.0, t_to=2.0, count=3)
GAP = Gap(cls="F", stod=1, after=3, missing=1, t_min=1.0, t_max=2.0)


@dataclass
class Told:
    """A shoveler's message, to be changed and told again."""

    t: float
    counts: ShovelerSender

    def message(self, **facts: Any) -> ShovelerStatus:
        return ShovelerStatus(**HEAD, t=self.t, senders={"s": self.counts}, **facts)


def test_of_a_shoveler_stay_positions_and_what_is_new() -> None:
    position = {"g": Position(first=1, received_upto=9, confirmed_upto=7)}
    before = Told(5.0, ShovelerSender(received=5)).message(drops=[DROP], refusals=[REFUSAL])
    more = Drop(listen="a", t_from=7.0, t_to=8.0, count=1)
    after = Told(10.0, ShovelerSender(received=9)).message(drops=[DROP, more], refusals=[REFUSAL], positions=position)
    assert step_of(before, after) == ShovelerStatus(**HEAD, t=10.0, drops=[more], positions=position)
    refused = Told(15.0, ShovelerSender(received=9, rejected={"x": 1})).message()
    assert step_of(after, refused) == refused, "a sender that was refused something is told of"


def test_of_a_collector_stay_those_who_lost_something() -> None:
    senders = {"a": CollectorSender(seen=5), "b": CollectorSender(seen=5)}
    processes = [ServerProcess(sender="a", sid="1", stod=1, last=5.0), ServerProcess(sender="b", sid="2", stod=1)]
    positions = {"g": Progress(seen_upto=9)}
    before = CollectorStatus(**HEAD, t=5.0, senders=senders, processes=processes)
    lost = ServerProcess(sender="b", sid="2", stod=1, gaps=[GAP])
    after = CollectorStatus(
        **HEAD, t=10.0, positions=positions,
        senders={"a": CollectorSender(seen=9), "b": CollectorSender(seen=9, incomplete={"no_user": 1})},
        processes=[msgspec.structs.replace(processes[0], last=9.0), lost],
    )  # fmt: skip
    assert step_of(before, after) == CollectorStatus(
        **HEAD, t=10.0, positions=positions, processes=[lost],
        senders={"b": CollectorSender(seen=9, incomplete={"no_user": 1})},
    )  # fmt: skip


def test_ids_that_never_came_are_no_reason_to_keep_a_process_again() -> None:
    process = ServerProcess(sender="b", sid="2", stod=1, gaps=[GAP])
    before, after = (
        CollectorStatus(**HEAD, t=t, processes=[msgspec.structs.replace(process, missing_ids=ids)])
        for t, ids in ((5.0, {}), (10.0, {"open": [(3, 4)]}))
    )
    assert step_of(before, after).processes == []


def test_the_first_of_an_incarnation_stays_whole() -> None:
    whole = Told(5.0, ShovelerSender(received=5)).message(drops=[DROP])
    assert step_of(None, whole) == whole
    earlier = msgspec.structs.replace(whole, started=0.0, t=1.0)
    assert step_of(earlier, whole) == whole
    collected = CollectorStatus(**HEAD, t=5.0, senders={"a": CollectorSender(seen=5)})
    assert step_of(whole, collected) == collected
