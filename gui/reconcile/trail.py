"""What to keep from the status messages between the first and the last of a run. Pure.

Lists in a status message are bounded, and the time of an event is known only to the interval between two messages. So
each message is kept, but only with what it adds: positions, drops, refusals, and the senders and processes for which
anything has changed that the ladder reads. (It does not read `missing_ids`: a collector names an id only beside a gap
that explains it, or where a record is reported as incomplete for it, and both have a time.) A long run stores a few
hundred bytes every five seconds.
"""

from __future__ import annotations

import msgspec

from shoveler.service import CollectorStatus, ShovelerStatus, StatusMessage


def step_of(before: StatusMessage | None, now: StatusMessage) -> StatusMessage:
    """`now` without what `before` (the previous message of the same daemon) has already reported."""
    if isinstance(now, ShovelerStatus):
        old = before if isinstance(before, ShovelerStatus) and before.started == now.started else None
        senders = {
            name: counts
            for name, counts in now.senders.items()
            if old is None
            or (taken := old.senders.get(name)) is None
            or (taken.oversize, taken.rejected, taken.returned) != (counts.oversize, counts.rejected, counts.returned)
        }
        drops = [drop for drop in now.drops if old is None or drop not in old.drops]
        refusals = [refusal for refusal in now.refusals if old is None or refusal not in old.refusals]
        return msgspec.structs.replace(now, senders=senders, drops=drops, refusals=refusals)
    earlier = before if isinstance(before, CollectorStatus) and before.started == now.started else None
    counted = {
        name: counts
        for name, counts in now.senders.items()
        if earlier is None
        or (seen := earlier.senders.get(name)) is None
        or (seen.incomplete, seen.rejected) != (counts.incomplete, counts.rejected)
    }
    said = {} if earlier is None else {(p.sid, p.stod, p.sender): p for p in earlier.processes}
    processes = [
        process
        for process in now.processes
        if (known := said.get((process.sid, process.stod, process.sender))) is None
        or (known.gaps, known.ended) != (process.gaps, process.ended)
    ]
    return msgspec.structs.replace(now, senders=counted, processes=processes)
