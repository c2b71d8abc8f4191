"""All sequence counters of all servers: which datagrams are duplicate, late or missing, and the consequences."""

from __future__ import annotations

import zlib

from collector.correlate.incarnation import Incarnation
from collector.correlate.options import Options
from collector.correlate.present import Present
from collector.correlate.processes import Processes
from collector.correlate.senders import Senders, Totals
from collector.correlate.sequence import DUPLICATE, LATE, NEW, OF_RECORDS, REORDER, Tracker, latest
from collector.wire.userid import split_remote

MAX_GAPS = 200
"""Gaps remembered per incarnation, for the status message, and to mark the records that they may affect."""
IDENT = ord("=")
_OF_EACH_STREAM = frozenset({"G text", "G= text", "Gd text"})
"""Classes of which a process has a counter for each stream that it sends as text."""
MAX_TRACKERS = 256
"""Counters followed per incarnation besides the f-stream's; beyond it those with the fewest datagrams are forgotten."""


class Sequences:
    """Follows the counters of every incarnation (format reference, section 3)."""

    def __init__(
        self, options: Options, present: Present, processes: Processes, senders: Senders, totals: Totals
    ) -> None:
        self._options = options
        self._present = present
        self._processes = processes
        self._senders = senders
        self._totals = totals

    def observe(
        self,
        inc: Incarnation,
        class_: str,
        remote: str,
        number: int,
        data: bytes,
        begin: int | None = None,
        end: int | None = None,
        *,
        modulus: int = 256,
        everywhere: bool = False,
    ) -> int:
        """Follow a counter other than the f-stream's: the verdict on a datagram of it.

        `begin` and `end` are the datagram's own window, if it has one. `everywhere`: there is one counter for all
        destinations, so a datagram that came by one path is a duplicate by another.
        """
        now = self._present.now
        if inc.one_counter and class_ == "M":
            tracker: Tracker | None = self._files_tracker(inc, number)
        else:
            tracker = inc.sequences.get(key := ("" if everywhere else remote, class_))
        if tracker is None:
            tracker = self._late(inc, class_, number)
        if tracker is None:
            tracker = self._first(inc, class_, remote, number, data, modulus)
            inc.sequences[key] = tracker
            if len(inc.sequences) > MAX_TRACKERS:
                kept = sorted(inc.sequences, key=lambda k: inc.sequences[k].came)[MAX_TRACKERS // 2 :]
                inc.sequences = {k: t for k, t in inc.sequences.items() if k in set(kept) or t is tracker}
        # what has no window of its own is sent at once: anything missing after it was sent after the last reported time
        mark = inc.clock if end is None else end
        verdict = tracker.observe(number, zlib.crc32(data), begin or 0, mark, now, self._present.arrived)
        return self._judge(inc, tracker, verdict, remote)

    @staticmethod
    def _late(inc: Incarnation, class_: str, number: int) -> Tracker | None:
        """The counter of another sender that misses a number which comes from a sender without a counter: the server's
        address has changed, and the datagram was overtaken.
        """
        if not _is_movable(class_):
            return None
        others = (tracker for (_, known), tracker in inc.sequences.items() if known == class_)
        return next((tracker for tracker in others if tracker.awaits(number)), None)

    def _first(self, inc: Incarnation, class_: str, remote: str, number: int, data: bytes, modulus: int) -> Tracker:
        """The counter of a sender whose first datagram of a class is about to be observed."""
        now = self._present.now
        if class_ == "M" and number == 0 and data[0] == IDENT and inc.heard <= REORDER:
            inc.hear_from_start()
        others = [known for known in inc.sequences if known[1] == class_]
        start = 0 if class_ == "M" else 1
        # a socket that appears later may be an old one behind a new port or address: its counter is not at its start
        heard_all = inc.from_start and (not others or now - inc.first < self._options.grace)
        # a second destination's counter says the same under the same number
        told = any(inc.sequences[other].sums.get(number) == zlib.crc32(data) for other in others)
        if others and number != start and not told:
            moved = self._moved(inc, others, number) if _is_movable(class_) else None
            if moved is not None:
                return moved
            address = split_remote(remote)[0]
            new = not any(split_remote(other)[0] == address for other, _ in others)
            heard_all = heard_all and not (new or _is_movable(class_))
        # it may only become known later that there is one counter for everything a stream sends
        heard_all = heard_all and not (class_ == "G text" and any(sender == remote for sender, _ in inc.sequences))
        tracker = Tracker(modulus)
        tracker.begin(number, now, inc.clock, start if heard_all else None)
        return tracker

    @staticmethod
    def _moved(inc: Incarnation, others: list[tuple[str, str]], number: int) -> Tracker | None:
        """The counter of another sender that a number goes on with: the server's address or port has changed (NAT, DNS,
        two stacks), and nothing is missing for it. It is that sender's no longer.
        """
        trackers = inc.sequences
        ahead, other = min(((number - trackers[other].reached) % trackers[other].modulus, other) for other in others)
        return trackers.pop(other) if 0 < ahead < trackers[other].history else None

    def observe_files(self, inc: Incarnation, number: int, data: bytes, begin: int, end: int, remote: str) -> int:
        """Follow the f-stream's counter, which is one for the whole process whatever the destinations.

        `begin` and `end` are the datagram's own window.
        """
        tracker, now = inc.fseq, self._present.now
        if tracker.newest is None:
            self._files_tracker(inc, number)
        verdict = tracker.observe(number, zlib.crc32(data), begin, end, now, self._present.arrived)
        if (verdict != NEW or tracker.holes) and self._judge(inc, tracker, verdict, remote) == DUPLICATE:
            return verdict
        if inc.endless and verdict == NEW:
            self._bound(inc, end)
        if inc.unsettled:
            self.settle(inc, self._options.grace)
        if end > inc.clock:
            inc.clock = end
        return verdict

    def _files_tracker(self, inc: Incarnation, number: int) -> Tracker:
        """The counter of the f-stream, about to observe a number."""
        if inc.fseq.newest is None:
            first = 1 if inc.one_counter else 0
            inc.fseq.begin(number, self._present.now, inc.stod, first if inc.from_start else None)
        return inc.fseq

    def _judge(self, inc: Incarnation, tracker: Tracker, verdict: int, remote: str) -> int:
        if tracker.holes:
            inc.unsettled = True
            inc.endless = inc.endless or not tracker.holes[-1].end
        if verdict == DUPLICATE:
            self._senders.get(remote).duplicate += 1
            self._totals.duplicate += 1
        elif verdict == LATE:
            self._senders.get(remote).late += 1
            self._totals.late += 1
            if inc.unsettled:
                self.settle(inc, self._options.grace)
        return verdict

    def settle(self, inc: Incarnation, patience: float) -> None:
        """Declare gaps where nothing will come any more."""
        holes = 0
        for _, class_, tracker in inc.trackers():
            for gap in tracker.settle(self._present.now, patience):
                self._processes.touch(inc)
                self._totals.missing[class_[0]] += gap.missing
                inc.gaps.append((class_, gap))
                del inc.gaps[:-MAX_GAPS]
                if class_ in OF_RECORDS:
                    inc.lost_files += gap.missing if "F" in class_ else 0
                    inc.lost_maps += gap.missing if "M" in class_ else 0
                    inc.gap_until = max(inc.gap_until, latest(class_, gap))
            if class_ in OF_RECORDS:
                holes += len(tracker.holes)
        inc.unsettled = holes > 0

    def look_at_ids(self, inc: Incarnation, patience: float) -> None:
        """Find the ids that were never reported, once no datagram is awaited any more."""
        if inc.unsettled:
            return
        seen = inc.seen_now(self._present.now)
        reorder = REORDER if patience else 0
        for ids in (inc.ids, inc.file_ids) if inc.one_counter else (inc.ids,):
            before = ids.begun, ids.before, ids.holes
            ids.look(seen, patience, reorder, opens_told=inc.one_counter or inc.paths_used)
            if before != (ids.begun, ids.before, ids.holes):
                self._processes.touch(inc)

    @staticmethod
    def _bound(inc: Incarnation, end: int) -> None:
        """A datagram that was sent at `end` has come: what was missing before it had been sent by then."""
        for _, _, tracker in inc.trackers():
            tracker.bound_holes(end)
        inc.gaps = [(c, gap if gap.end else gap._replace(end=max(end, gap.begin))) for c, gap in inc.gaps]
        inc.endless = False


def _is_movable(class_: str) -> bool:
    """Whether a process has only one counter of this class per destination: a new socket is an old one that moved."""
    return class_ not in _OF_EACH_STREAM
