"""The life of a file: opened, in progress, closed or given up."""

from __future__ import annotations

from collector.correlate.incarnation import (
    CYCLE_AT,
    GIVEN_AT,
    NOT_OPENED,
    SEEN_AT,
    START_AT,
    Access,
    Incarnation,
    Left,
    Moved,
    OpenFile,
    opened_part,
)
from collector.correlate.keys import file_key
from collector.correlate.present import Present
from collector.correlate.senders import Totals
from collector.correlate.sequence import LATE
from collector.correlate.waiting import Waiting
from collector.wire.fstream import Close, Open, Placed, Progress, Window


class Accesses:
    """Handles the events of files on all servers. Accesses that have ended go to `Waiting`."""

    def __init__(self, present: Present, waiting: Waiting, totals: Totals) -> None:
        self.present = present
        self.waiting = waiting
        self.totals = totals

    def apply(self, inc: Incarnation, items: list[Placed], window: Window, verdict: int) -> None:
        """Records of an f-stream datagram in their order, the first of them in `window`.

        `verdict` is the sequence's verdict on the datagram.
        """
        for _, place, item in items:
            if isinstance(item, Window):
                window = item
                continue
            time = interpolate(window.begin, window.end, place, window.records)
            if isinstance(item, Open):
                self.open(inc, item, time, window, verdict)
            elif isinstance(item, Close):
                self.close(inc, item, time, window)
            elif isinstance(item, Progress):
                self.progress(inc, item, window)
            else:
                self.disconnect(inc, item.user, window)

    def open(self, inc: Incarnation, item: Open, start: int, window: Window, verdict: int) -> None:
        """A file was opened at `start`, in `window`; `verdict` is the sequence's verdict on its datagram."""
        inc.opens += 1
        file_id = item.file_id
        inc.file_ids.append(file_id)
        opened = OpenFile(
            item.user,
            item.size,
            item.path,
            item.writable,
            start,
            window.begin,
            self.present.number,
            self.present.now,
            False,
        )
        known = inc.files.get(file_id)
        if known is not None:
            old = OpenFile._make(known)
            if old.start is None:  # a stub: its open has come after all
                begin = old.begin if old.given else window.begin
                inc.files[file_id] = opened._replace(begin=begin, given=old.given, cycle=old.cycle)
                inc.dirty_files.add(file_id)
                return
            if verdict == LATE or old[:6] == opened[:6]:
                self.totals.stale += 1  # the same open by another path, or one that a newer open has replaced
                return
            self.give_up(inc, file_id, "reused_id", window.begin)
        waiting = inc.wait_file.get(file_id)
        if waiting is not None and waiting.start is None:
            if verdict == LATE:
                self.waiting.take_file(inc, waiting)
                waiting.user, waiting.size, waiting.path = item.user, item.size, item.path
                waiting.writable, waiting.start, waiting.begin = item.writable, start, window.begin
                waiting.reported = self.present.now
                self.waiting.settle(inc, waiting)
                return
            self.waiting.take_file(inc, waiting)  # a newer file has its id now: its own open will not come any more
            self.waiting.writer.finish(inc, waiting)
        elif verdict == LATE and file_id in inc.closed:
            self.totals.stale += 1  # its close was written without it
            return
        if inc.given_up.pop(file_id, None) is not None:
            inc.dirty_given.add(file_id)
        inc.files[file_id] = opened

    def progress(self, inc: Incarnation, item: Progress, window: Window) -> None:
        """Bytes moved since the open. Counters are cumulative: keep the larger values."""
        file_id = item.file_id
        if file_id not in inc.files:
            if file_id in inc.closed or file_id in inc.wait_file:
                self.totals.stale += 1
                return
            given = inc.given_up.pop(file_id, None)
            if given is not None:
                inc.dirty_given.add(file_id)
            stub = OpenFile(None, None, None, False, None, None, self.present.number, self.present.now, False)
            inc.files[file_id] = (
                given._replace(cycle=self.present.number, seen=self.present.now) if given is not None else stub
            )
        old = inc.moved.get(file_id)
        if old is None:
            inc.moved[file_id] = Moved(item.read, item.readv, item.write, window.begin, self.present.now)
        else:
            inc.moved[file_id] = Moved(
                max(old.read, item.read),
                max(old.readv, item.readv),
                max(old.write, item.write),
                old.begin,
                self.present.now,
            )
        inc.dirty_files.add(file_id)

    def close(self, inc: Incarnation, item: Close, end: int, window: Window) -> None:
        """A file was closed at `end`, in `window`."""
        inc.closes += 1
        file_id = item.file_id
        entry = inc.files.pop(file_id, None)
        if entry is not None:
            if entry[CYCLE_AT] != self.present.number:
                self.present.deleted.add(file_key(inc, file_id))
        else:
            entry = inc.given_up.pop(file_id, None)
            if entry is not None:
                inc.dirty_given.add(file_id)
            elif file_id in inc.closed or file_id in inc.wait_file:
                self.totals.stale += 1  # already reported, by another path
                return
        moved = inc.moved.pop(file_id, None)
        inc.dirty_files.discard(file_id)
        inc.closed.append(file_id)
        access = Access(
            file_id,
            *(opened_part(entry) if entry is not None else NOT_OPENED),
            given=entry is not None and entry[GIVEN_AT],
            closed=True,
            forced=item.forced,
            close_begin=window.begin,
            end=end,
            t_max=window.end,
            read=item.read,
            readv=item.readv,
            write=item.write,
            operations=item.operations,
            squares=item.squares,
            moved=moved is not None,
            reasons=[],
            since=self.present.now,
            heard=inc.heard,
            reported=entry[SEEN_AT] if entry is not None and entry[START_AT] is not None else None,
        )
        self.waiting.settle(inc, access)

    def disconnect(self, inc: Incarnation, user: int, window: Window) -> None:
        """A session ended. Its files that are still open are given up after the grace."""
        inc.disconnects += 1
        if user == 0:
            return
        session = inc.sessions.get(user)
        if session is not None:
            session.gone, session.gone_end = self.present.now, window.end
            inc.dirty_sessions.add(user)
        else:
            inc.ids.name(user, "u")
        inc.left.append(Left(self.present.now, user, window.end))

    def give_up(self, inc: Incarnation, file_id: int, reason: str | None, t_max: int | None) -> None:
        """No close is expected any more: write a provisional record, and remember the file in case one comes.

        `t_max`: the latest time at which the file can have been closed, if known. An access has at most one provisional
        record; when there is one already, this writes nothing.
        """
        entry = OpenFile._make(inc.files.pop(file_id))
        moved = inc.moved.pop(file_id, None)
        inc.dirty_files.discard(file_id)
        if entry[CYCLE_AT] != self.present.number:
            self.present.deleted.add(file_key(inc, file_id))
        begin = entry.begin
        if begin is None:  # a stub: identified by its last progress from now on
            begin = moved.begin if moved is not None else inc.clock
        inc.given_up[file_id] = entry._replace(begin=begin, given=True, tail=None)
        inc.dirty_given.add(file_id)
        if entry.given:
            return
        self.waiting.writer.finish(
            inc,
            Access(
                file_id,
                entry.user,
                entry.size,
                entry.path,
                entry.writable,
                entry.start,
                begin,
                given=False,
                closed=False,
                forced=False,
                close_begin=begin,
                end=0,
                t_max=t_max,
                read=moved.read if moved else None,
                readv=moved.readv if moved else None,
                write=moved.write if moved else None,
                operations=None,
                squares=None,
                moved=moved is not None,
                reasons=[reason] if reason else [],
                since=self.present.now,
                heard=inc.heard,
                reported=entry.seen if entry.start is not None else None,
            ),
        )


def interpolate(begin: int, end: int, place: int, records: int) -> int:
    """The time of record number `place` (from 0) of `records` in a window [begin, end]: spread evenly by order."""
    if place >= records:
        return end
    return begin + (end - begin) * place // records
