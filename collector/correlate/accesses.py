"""The life of an access: opened, moved on, closed, perhaps held back, written.

An access that ends is *settled*: what is known of it is put together at once, unless something that belongs to it may
still be on its way. Then it waits in one of three places of its incarnation until that comes or the patience for it is
over:

``wait_file``     for its open, or its ``d`` map (by file id)
``wait_session``  for its ``u``, or the ``i`` that usually follows (by dictid, or by the text of the user id)
``wait_server``   for the ``=``, or datagrams that the sequence numbers show to be missing
"""

from __future__ import annotations

import datetime
from functools import lru_cache
from typing import Any

from collector.correlate.fields import is_cache, server_fields, session_fields, user_fields, vo_of
from collector.correlate.incarnation import Access, Incarnation, Left, Moved, OpenFile, Session
from collector.correlate.issues import known_issues
from collector.correlate.options import Options
from collector.correlate.outbox import Outbox
from collector.correlate.senders import Senders, Totals
from collector.correlate.sequence import LATE, REORDER
from collector.records.counters import access_type, byte_fields, operation_fields
from collector.records.file import SCHEMA
from collector.records.ids import access_id
from collector.records.paths import Directories, path_fields
from collector.wire.fstream import Close, Open, Progress, Window
from collector.wire.header import text_of
from collector.wire.userid import UserId


@lru_cache(maxsize=4096)
def iso_time(seconds: int) -> str:
    """A Unix time as ISO-8601 in UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Accesses:
    """Everything that happens to files, on any server. Time is `now`, set by the correlator."""

    def __init__(self, options: Options, outbox: Outbox, senders: Senders, totals: Totals) -> None:
        self.options = options
        self.now = 0.0
        self.cycle = 0
        self.numbered = 0
        """Accesses that had to wait, ever."""
        self.directories = Directories(options.logical_directories)
        self.outbox = outbox
        self.totals = totals
        self.senders = senders
        self.copies: dict[tuple[int, str], float] = {}
        """Destinations of third-party copies reported lately, by (sid, path)."""
        self.deleted: set[bytes] = set()
        """Keys of rows that are no longer true."""

    # -------------------------------------------------------------- events of the f-stream

    def open(self, inc: Incarnation, item: Open, start: int, window: Window, verdict: int) -> None:
        """A file was opened at `start`, in `window`; `verdict` is that of the sequence on its datagram."""
        inc.opens += 1
        file_id = item.file_id
        opened = OpenFile(
            item.user, item.size, item.path, item.writable, start, window.begin, self.cycle, self.now, False
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
                self.totals.stale += 1  # the same open over another way, or one that a younger open has replaced
                return
            self.give_up(inc, file_id, "reused_id", window.begin)
        waiting = inc.wait_file.get(file_id)
        if waiting is not None and waiting.start is None:
            if verdict == LATE:
                self.release(inc, waiting)
                waiting.user, waiting.size, waiting.path = item.user, item.size, item.path
                waiting.writable, waiting.start, waiting.begin = item.writable, start, window.begin
                self.settle(inc, waiting)
                return
            self.release(inc, waiting)  # a younger file has its id now: its own open will not come any more
            self.finish(inc, waiting)
        elif verdict == LATE and file_id in inc.closed:
            self.totals.stale += 1  # its close has been written without it
            return
        if inc.given_up.pop(file_id, None) is not None:
            inc.dirty_given.add(file_id)
        inc.files[file_id] = opened

    def progress(self, inc: Incarnation, item: Progress, window: Window) -> None:
        """Bytes moved since the open. Counters are cumulative: the larger ones count."""
        file_id = item.file_id
        if file_id not in inc.files:
            if file_id in inc.closed or file_id in inc.wait_file:
                self.totals.stale += 1
                return
            given = inc.given_up.pop(file_id, None)
            if given is not None:
                inc.dirty_given.add(file_id)
            stub = OpenFile(None, None, None, False, None, None, self.cycle, self.now, False)
            inc.files[file_id] = given._replace(cycle=self.cycle, seen=self.now) if given is not None else stub
        old = inc.moved.get(file_id)
        if old is None:
            inc.moved[file_id] = Moved(item.read, item.readv, item.write, window.begin, self.now)
        else:
            inc.moved[file_id] = Moved(
                max(old.read, item.read), max(old.readv, item.readv), max(old.write, item.write), old.begin, self.now
            )
        inc.dirty_files.add(file_id)

    def close(self, inc: Incarnation, item: Close, end: int, window: Window) -> None:
        """A file was closed at `end`, in `window`."""
        inc.closes += 1
        file_id = item.file_id
        entry = inc.files.pop(file_id, None)
        if entry is not None:
            if entry[6] != self.cycle:
                self.deleted.add(file_key(inc, file_id))
        else:
            entry = inc.given_up.pop(file_id, None)
            if entry is not None:
                inc.dirty_given.add(file_id)
            elif file_id in inc.closed or file_id in inc.wait_file:
                self.totals.stale += 1  # told already, over another way
                return
        moved = inc.moved.pop(file_id, None)
        inc.dirty_files.discard(file_id)
        inc.closed.append(file_id)
        access = Access(
            file_id,
            *(entry[:6] if entry is not None else (None, None, None, False, None, None)),
            given=entry is not None and entry[8],
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
            since=self.now,
            heard=inc.heard,
        )
        self.settle(inc, access)

    def disconnect(self, inc: Incarnation, user: int, window: Window) -> None:
        """A session ended. What it still has open is given up after the grace."""
        inc.disconnects += 1
        if user == 0:
            return
        session = inc.sessions.get(user)
        if session is not None:
            session.gone, session.gone_end = self.now, window.end
            inc.dirty_sessions.add(user)
        inc.left.append(Left(self.now, user, window.end))

    # -------------------------------------------------------------- waiting

    def settle(self, inc: Incarnation, access: Access) -> None:
        """Write the access, or let it wait for what may still come."""
        options = self.options
        waited = self.now - access.since
        missing_datagrams = inc.unsettled and waited < options.grace
        path = inc.paths.get(access.file_id)
        if waited < options.grace:
            if access.start is None and (inc.fseq.holes or inc.fseq.young(self.now, options.grace)):
                self._wait(inc, access, "file")
                return
            if not (access.path or path) and (inc.paths_used or missing_datagrams or inc.heard < REORDER):
                self._wait(inc, access, "file")
                return
        session, userid = self.session_of(inc, access)
        if session is None:
            key = access.user or (userid_key(userid) if userid else None)
            if key and waited < options.grace:
                self._wait(inc, access, "session", key)
                return
        elif not self.session_settled(inc, session):
            self._wait(inc, access, "session", session.dictid)
            return
        if missing_datagrams or not self.server_settled(inc):
            self._wait(inc, access, "server")
            return
        self.finish(inc, access)

    def session_settled(self, inc: Incarnation, session: Session) -> bool:
        """Whether what usually follows a ``u`` has come, or will not come any more."""
        return (
            session.appinfo is not None
            or inc.heard - session.heard >= REORDER
            or self.now - session.seen >= self.options.settle
        )

    def server_settled(self, inc: Incarnation) -> bool:
        """Whether a server has said its name, or will not do so soon."""
        return inc.ident is not None or inc.heard >= REORDER or self.now - inc.first >= self.options.settle

    def _wait(self, inc: Incarnation, access: Access, place: str, session_key: int | bytes | None = None) -> None:
        access.waiting, access.place, access.session_key = True, place, session_key
        if access.cycle < 0:
            self.numbered += 1
            access.number, access.cycle = self.numbered, self.cycle
        inc.new_waits[access.number] = access
        if place == "file":
            before = inc.wait_file.get(access.file_id)
            if before is not None:  # its id has been used again: nothing will come for it
                self.release(inc, before)
                self.finish(inc, before)
        self.put_back(inc, access)

    @staticmethod
    def put_back(inc: Incarnation, access: Access) -> None:
        """Put an access where it says that it waits."""
        if access.place == "file":
            inc.wait_file[access.file_id] = access
        elif access.session_key is not None:
            inc.wait_session.setdefault(access.session_key, []).append(access)
        else:
            inc.wait_server.append(access)

    def release(self, inc: Incarnation, access: Access) -> None:
        """It waits no longer (in ``wait_file``)."""
        inc.wait_file.pop(access.file_id, None)
        self.released(inc, access)

    def released(self, inc: Incarnation, access: Access) -> None:
        """It was taken out of its place: its row goes with it."""
        access.waiting = False
        if access.cycle != self.cycle:
            self.deleted.add(wait_key(inc, access))

    def again_session(self, inc: Incarnation, key: int | bytes) -> None:
        """Something about a session has come: look again at what waits for it."""
        for access in inc.wait_session.pop(key, ()):
            self.released(inc, access)
            self.settle(inc, access)

    def again_file(self, inc: Incarnation, file_id: int) -> None:
        """A path has come: look again at the access that waits for it."""
        access = inc.wait_file.get(file_id)
        if access is not None:
            self.release(inc, access)
            self.settle(inc, access)

    def again_server(self, inc: Incarnation) -> None:
        """The server has become known, or nothing is missing any more: look again at what waits for that."""
        waiting, inc.wait_server = inc.wait_server, []
        for access in waiting:
            self.released(inc, access)
            self.settle(inc, access)

    def again_due(self, inc: Incarnation) -> None:
        """Time has passed: look again at what has waited long enough."""
        limit = self.now - self.options.grace
        for access in [a for a in inc.wait_file.values() if a.since <= limit or not inc.fseq.holes]:
            self.release(inc, access)
            self.settle(inc, access)
        for key, group in list(inc.wait_session.items()):
            session = inc.sessions.get(key) if isinstance(key, int) else None
            if (session is not None and self.session_settled(inc, session)) or group[0].since <= limit:
                self.again_session(inc, key)
        if not inc.wait_server:
            return
        if not inc.unsettled and self.server_settled(inc):
            self.again_server(inc)
        elif inc.wait_server[0].since <= limit:
            waiting, inc.wait_server = inc.wait_server, []
            for access in waiting:
                if access.since <= limit:
                    self.released(inc, access)
                    self.settle(inc, access)
                else:
                    inc.wait_server.append(access)

    def finish_all(self, inc: Incarnation) -> None:
        """Write everything that waits, as it is."""
        waiting = [*inc.wait_file.values(), *(a for group in inc.wait_session.values() for a in group)]
        waiting += inc.wait_server
        inc.wait_file.clear()
        inc.wait_session.clear()
        inc.wait_server = []
        for access in waiting:
            self.released(inc, access)
            self.finish(inc, access)

    # -------------------------------------------------------------- giving up

    def give_up(self, inc: Incarnation, file_id: int, reason: str, t_max: int | None) -> None:
        """No close is expected any more: write a provisional record, and remember the file in case one comes.

        `t_max`: when the file was closed at the latest, if that can be told. An access has at most one provisional
        record; when there is one already, this writes nothing.
        """
        entry = OpenFile._make(inc.files.pop(file_id))
        moved = inc.moved.pop(file_id, None)
        inc.dirty_files.discard(file_id)
        if entry.cycle != self.cycle:
            self.deleted.add(file_key(inc, file_id))
        begin = entry.begin
        if begin is None:  # a stub: known by its last progress from now on
            begin = moved.begin if moved is not None else inc.clock
        inc.given_up[file_id] = entry._replace(begin=begin, given=True)
        inc.dirty_given.add(file_id)
        if entry.given:
            return
        self.finish(
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
                reasons=[reason],
                since=self.now,
                heard=inc.heard,
            ),
        )

    # -------------------------------------------------------------- writing

    def session_of(self, inc: Incarnation, access: Access) -> tuple[Session | None, UserId | None]:
        """The session of an access, and its user id, which a ``d`` map may give without the session being known."""
        session = inc.sessions.get(access.user) if access.user else None
        if session is not None:
            return session, session.userid
        path = inc.paths.get(access.file_id)
        if path is None:
            return None, None
        session = inc.sessions.get(inc.by_userid.get(path.userid.text, 0))
        return session, path.userid

    def finish(self, inc: Incarnation, access: Access) -> None:
        """Write the record of an access. This is the plain way; `collector.correlate.fast` has the quick one."""
        fields, vo, path = self.fields(inc, access)
        if access.closed:
            known = inc.paths.pop(access.file_id, None)
            if known is not None and known.cycle != self.cycle:
                self.deleted.add(path_key(inc, access.file_id))
        if not self.outbox.put_file(fields, vo, path, self.now):
            return
        sender = self.senders.get(inc.remote)
        sender.records += 1
        for counts in (self.totals, sender):
            counts.incomplete.update(fields.get("incomplete", ()))
            counts.provisional += not access.closed

    def fields(self, inc: Incarnation, access: Access) -> tuple[dict[str, Any], str | None, str | None]:
        """All fields of the record of an access, the VO it is routed by, and its path."""
        known = inc.paths.get(access.file_id)
        session, userid = self.session_of(inc, access)
        path = text_of(access.path) if access.path else known.path if known else None
        begin = access.begin if access.begin is not None else access.close_begin
        identity = access_id(inc.sid, inc.stod, access.file_id, begin)
        fields: dict[str, Any] = {
            "kind": "file",
            "schema": SCHEMA,
            "record_id": f"{identity}.{'f' if access.closed else 'p'}",
            "access_id": identity,
            "final": access.closed,
            "file_id": access.file_id,
            **server_fields(inc, self.options.names),
        }
        self._times(fields, inc, access)
        if session is not None:
            session.used = self.now
            fields |= session_fields(session, self.options.names)
        elif userid is not None:
            fields |= user_fields(userid, None, self.options.names)
        fields |= path_fields(path, self.directories)
        if access.size is not None:
            fields["filesize"] = access.size
        self._counters(fields, access, userid, session)
        fields["HasFileCloseMsg"] = int(access.closed)
        if access.closed:
            fields["forced"] = int(access.forced)
        incomplete = self._incomplete(access, path, session or userid)
        if incomplete:
            fields["incomplete"] = incomplete
        if self._gap_over(inc, access):
            fields["sequence_gap"] = True
        copied = (inc.sid, path or "") in self.copies
        issues = known_issues(access, inc, userid, session.login if session else None, copied)
        if issues:
            fields["known_issue"] = issues
        return fields, vo_of(fields), path

    def _times(self, fields: dict[str, Any], inc: Incarnation, access: Access) -> None:
        if access.start is not None:
            fields["start_time"] = access.start
            fields["time_min"] = access.begin
        if access.t_max is not None:
            fields["time_max"] = access.t_max
        if access.closed:
            fields["end_time"] = access.end
            if access.start is not None:
                fields["operation_time"] = max(0, access.end - access.start)
        # consumers need a time on every record: without a close it is when the server was heard last
        fields["@timestamp"] = iso_time(access.end if access.closed else (access.t_max or inc.clock))

    def _counters(self, fields: dict[str, Any], access: Access, userid: UserId | None, session: Session | None) -> None:
        reads = writes = 0
        read, readv, write = access.read, access.readv, access.write
        if read is None or readv is None or write is None:
            return
        fields |= byte_fields(read, readv, write, closed=access.closed)
        if access.operations is not None:
            fields |= operation_fields(read, readv, write, access.operations, access.squares)
            reads, writes = access.operations[0] + access.operations[1], access.operations[2]
        cache = userid is not None and is_cache(userid, session.login.executable if session else None)
        fields["access_type"] = access_type(read + readv, write, reads, writes, cache=cache)

    @staticmethod
    def _incomplete(access: Access, path: str | None, user: object) -> list[str]:
        reasons: list[str] = []
        if access.start is None:
            reasons.append("no_open")
        if not access.closed:
            reasons.append("no_close")
        if user is None:
            reasons.append("no_user")
        if not path:
            reasons.append("no_path")
        return reasons + access.reasons

    @staticmethod
    def _gap_over(inc: Incarnation, access: Access) -> bool:
        begin = access.begin if access.start is not None and access.begin is not None else inc.stod
        if begin > inc.gap_until:
            return False
        end = access.t_max if access.t_max is not None else inc.clock
        return any(gap.t_min <= end and gap.t_max >= begin for _, gap in inc.gaps)


def file_key(inc: Incarnation, file_id: int) -> bytes:
    """Key of the row of an open file."""
    return b"f%b%b" % (inc.serial.to_bytes(4), file_id.to_bytes(4))


def userid_key(userid: UserId) -> bytes:
    """The text of a user id as a key: bytes, since it may hold anything."""
    return userid.text.encode("utf-8", "surrogateescape")


def path_key(inc: Incarnation, file_id: int) -> bytes:
    """Key of the row of a ``d`` map."""
    return b"d%b%b" % (inc.serial.to_bytes(4), file_id.to_bytes(4))


def wait_key(inc: Incarnation, access: Access) -> bytes:
    """Key of the row of an access that waits."""
    return b"w%b%b" % (inc.serial.to_bytes(4), access.number.to_bytes(8))
