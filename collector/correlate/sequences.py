"""All sequence counters of all servers: which datagrams are duplicate, late or missing, and the consequences."""

from __future__ import annotations

import zlib
from functools import partial

from collector.correlate.incarnation import Incarnation
from collector.correlate.options import Options
from collector.correlate.present import Present
from collector.correlate.processes import Processes
from collector.correlate.senders import Senders, Totals
from collector.correlate.sequence import DUPLICATE, LATE, NEW, OF_RECORDS, REORDER, Hole, Tracker, latest

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
        now, checksum = self._present.now, zlib.crc32(data)
        tracker: Tracker | None
        if inc.one_counter and class_ == "M":
            tracker = self._files_tracker(inc, number)
            mark = inc.clock if end is None else end
            verdict = tracker.observe(number, checksum, begin or 0, mark, now, self._present.arrived)
            return self._judge(inc, tracker, verdict, remote)
        key = ("" if everywhere else remote, class_)
        tracker = inc.sequences.get(key)
        left = ""
        if tracker is not None and class_ == "M" and tracker.contradicts(number, checksum):
            # two counters were taken for one: what is missing of either is not known
            inc.sequences[key] = tracker = self._begun(inc, number, modulus, None)
            tracker.joined("")
            inc.twofold = True
        if tracker is None:
            tracker = self._elsewhere(inc, class_, remote, number, checksum)
        if tracker is None:
            tracker, left = self._first(inc, class_, remote, number, data, modulus)
            inc.sequences[key] = tracker
            if len(inc.sequences) > MAX_TRACKERS:
                kept = sorted(inc.sequences, key=lambda k: inc.sequences[k].came)[MAX_TRACKERS // 2 :]
                inc.sequences = {k: t for k, t in inc.sequences.items() if k in set(kept) or t is tracker}
        # what has no window of its own is sent at once: anything missing after it was sent after the last reported time
        mark = inc.clock if end is None else end
        awaited = len(tracker.holes)
        verdict = tracker.observe(number, checksum, begin or 0, mark, now, self._present.arrived)
        if len(tracker.holes) > awaited and class_ == "M" and (left or tracker.is_mixed):
            tracker.holes[-1].move = (left or tracker.past[-1], remote)
        return self._judge(inc, tracker, verdict, remote)

    @staticmethod
    def _elsewhere(inc: Incarnation, class_: str, remote: str, number: int, checksum: int) -> Tracker | None:
        """The counter that a datagram belongs to whose sender has none: the server's address has changed since it was
        sent (it comes late, or again), or the counter of another sender misses its number.
        """
        if not _is_movable(class_):
            return None
        others = [tracker for (_, known), tracker in inc.sequences.items() if known == class_]
        for tracker in others:
            if remote in tracker.past and (tracker.has(number, checksum) or tracker.awaits(number)):
                return tracker
        for tracker in others:
            if tracker.awaits(number):
                tracker.joined(remote)
                return tracker
        return None

    def _first(
        self, inc: Incarnation, class_: str, remote: str, number: int, data: bytes, modulus: int
    ) -> tuple[Tracker, str]:
        """The counter of a sender whose first datagram of a class is about to be observed; and the sender from which it
        seems to have moved, if it has.
        """
        if class_ == "M" and number == 0 and data[0] == IDENT and inc.heard <= REORDER:
            inc.hear_from_start()
        others = [known for known in inc.sequences if known[1] == class_]
        start = 0 if class_ == "M" else 1
        # a second destination's counter says the same under the same number
        checksum = zlib.crc32(data)
        told = any(inc.sequences[other].sums.get(number) == checksum for other in others)
        if _is_movable(class_) and others and number != start and not told:
            moved = self._moved(inc, others, number)
            if moved is not None:
                return moved
        # a socket that appears later may be an old one behind a new port or address: its counter is not at its start
        heard_all = inc.from_start and not others
        # it may only become known later that there is one counter for everything a stream sends
        heard_all = heard_all and not (class_ == "G text" and any(sender == remote for sender, _ in inc.sequences))
        tracker = self._begun(inc, number, modulus, start if heard_all else None)
        if class_ == "M" and others and (number != start or any(inc.sequences[other].past for other in others)):
            tracker.joined("")  # another may have been taken for it, and have what it misses
            inc.twofold = inc.twofold or not told
        return tracker, ""

    def _begun(self, inc: Incarnation, number: int, modulus: int, start: int | None) -> Tracker:
        tracker = Tracker(modulus)
        tracker.begin(number, self._present.now, inc.clock, start)
        return tracker

    @staticmethod
    def _moved(inc: Incarnation, others: list[tuple[str, str]], number: int) -> tuple[Tracker, str] | None:
        """The counter of another sender that a number goes on with: the server's address or port has changed (NAT, DNS,
        two stacks). It is that sender's no longer. Or it is another counter, of a second destination: `_is_sure`
        decides that later.
        """
        trackers = inc.sequences
        ahead, other = min(((number - trackers[other].reached) % trackers[other].modulus, other) for other in others)
        if not 0 < ahead < trackers[other].history:
            return None
        tracker = trackers.pop(other)
        tracker.joined(other[0])
        return tracker, other[0]

    def _is_sure(self, inc: Incarnation, class_: str, tracker: Tracker, hole: Hole) -> bool:
        """Whether what has not come by this counter is missing. (Only messages go to several destinations, with a
        counter for each.)
        """
        if class_ != "M":
            return True
        if tracker.past and inc.twofold:
            return False
        if hole.move is not None and not self._has_moved(inc, *hole.move, hole.since):
            return False
        others = [other for (_, known), other in inc.sequences.items() if known == class_ and other is not tracker]
        numbers = range(hole.first, hole.first + hole.count)
        return not any(other.past and any(map(other.saw, numbers)) for other in others)

    def _has_moved(self, inc: Incarnation, old: str, new: str, since: float) -> bool:
        """Whether a counter really went on at another sender then. All that goes to one destination comes by one
        socket: then the f-stream, whose counter is one for the whole process, has moved there as well.
        """
        gone = inc.files_left.get(old)
        if gone is None or old == inc.remote:
            return False
        return (new == inc.remote or new in inc.files_left) and gone <= since + self._options.grace / 2

    def observe_files(self, inc: Incarnation, number: int, data: bytes, begin: int, end: int, remote: str) -> int:
        """Follow the f-stream's counter, which is one for the whole process whatever the destinations.

        `begin` and `end` are the datagram's own window.
        """
        tracker, now = inc.fseq, self._present.now
        if tracker.newest is None:
            self._files_tracker(inc, number)
        verdict = tracker.observe(number, zlib.crc32(data), begin, end, now, self._present.arrived)
        if (verdict != NEW or tracker.holes) and self._judge(inc, tracker, verdict, remote) == DUPLICATE:
            inc.twofold = inc.twofold or remote != inc.remote
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
            for gap in tracker.settle(self._present.now, patience, sure=partial(self._is_sure, inc, class_, tracker)):
                self._processes.touch(inc)
                inc.gaps.append((class_, gap))
                del inc.gaps[:-MAX_GAPS]
                if not gap.sure:
                    continue
                self._totals.missing[class_[0]] += gap.missing
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
