"""Writing records: what is known about an access, or an event, as fields."""

from __future__ import annotations

import datetime
from functools import lru_cache
from typing import Any

from collector.correlate.delivered import lacks_reads
from collector.correlate.events import head
from collector.correlate.fields import is_cache, server_fields, session_fields, user_fields, vo_of
from collector.correlate.ids import OPEN
from collector.correlate.incarnation import Access, Event, Incarnation, Session, Waiter
from collector.correlate.issues import known_issues
from collector.correlate.keys import path_key
from collector.correlate.options import Options
from collector.correlate.outbox import Outbox
from collector.correlate.present import Present
from collector.correlate.senders import Senders, Totals
from collector.correlate.sequence import OF_RECORDS, latest
from collector.records.counters import access_type, byte_fields, operation_fields
from collector.records.file import SCHEMA
from collector.records.ids import access_id
from collector.records.paths import Directories, path_fields
from collector.records.text import clean_text
from collector.wire.header import RejectedError, text_of
from collector.wire.userid import UserId


@lru_cache(maxsize=4096)
def iso_time(seconds: int) -> str:
    """A Unix time as ISO-8601 in UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Writer:
    """Makes records of what has ended. This is the plain path; `collector.correlate.fast` has the fast one."""

    def __init__(self, options: Options, present: Present, senders: Senders, totals: Totals) -> None:
        self.options = options
        self.present = present
        self.senders = senders
        self.totals = totals
        self.outbox = Outbox(options, totals)
        self.directories = Directories(options.logical_directories)
        self.copies: dict[tuple[int, str], float] = {}
        """Destinations of third-party copies reported recently, by (sid, path), and when."""

    def finish(self, inc: Incarnation, waiter: Waiter) -> None:
        """Write its record, whatever its kind, with what is known now."""
        if isinstance(waiter, Access):
            self._finish_access(inc, waiter)
        else:
            self._finish_event(inc, waiter)

    def _finish_event(self, inc: Incarnation, event: Event) -> None:
        names = self.options.names
        session = inc.sessions.get(event.user)
        user = session_fields(session, names) if session is not None else {}
        first = head(event.kind, event.record_id)
        record = first | event.fields | user | server_fields(inc, names)
        record |= like_peers(event.kind, record) | first  # whatever the event says
        try:
            self.outbox.put_event(event.kind, record, event.paths, self.present.now, vo_of(user))
        except RejectedError as rejected:
            self.senders.get(inc.remote).rejected[rejected.reason] += 1
            self.totals.rejected[rejected.reason] += 1

    def _finish_access(self, inc: Incarnation, access: Access) -> None:
        fields, vo, path = self.fields(inc, access)
        if access.start is None:
            inc.file_ids.name(access.file_id, OPEN)
        if access.user and access.user not in inc.sessions:
            inc.ids.name(access.user, "u")
        if access.closed:
            known = inc.paths.pop(access.file_id, None)
            if known is not None and known.cycle != self.present.number:
                self.present.deleted.add(path_key(inc, access.file_id))
        if not self.outbox.put_file(fields, vo, path, self.present.now):
            return
        sender = self.senders.get(inc.remote)
        sender.records += 1
        for counts in (self.totals, sender):
            counts.incomplete.update(fields.get("incomplete", ()))
            counts.provisional += not access.closed

    @staticmethod
    def session_of(inc: Incarnation, access: Access) -> tuple[Session | None, UserId | None]:
        """The session of an access, and its user id, which a ``d`` map may give without the session being known."""
        session = inc.sessions.get(access.user) if access.user else None
        if session is not None:
            return session, session.userid
        path = inc.paths.get(access.file_id)
        if path is None:
            return None, None
        return inc.session_named(path.userid.text, access.file_id), path.userid

    def fields(self, inc: Incarnation, access: Access) -> tuple[dict[str, Any], str | None, str | None]:
        """All fields of the record of an access, the VO it is routed by, and its path."""
        known = inc.paths.get(access.file_id)
        session, userid = self.session_of(inc, access)
        if session is None and access.user:
            session = inc.assume(access.user)
            userid = session.userid if session is not None else userid
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
            session.use(self.present.now)
            fields |= session_fields(session, self.options.names, inc, access)
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
        if self._gap_over(inc, access) or (session is not None and inc.may_lack_told(session, access.file_id)):
            fields["sequence_gap"] = True
        copied = (inc.sid, path or "") in self.copies
        issues = known_issues(access, inc, userid, session.login if session else None, copied)
        if inc.cache is not None and path and lacks_reads(inc, access, clean_text(path)):
            issues.append("async_reads")
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
        # consumers need a time on every record: without a close it is when the server was last heard
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
        return any(c in OF_RECORDS and gap.begin <= end and latest(c, gap) >= begin for c, gap in inc.gaps)


def like_peers(kind: str, record: dict[str, Any]) -> dict[str, Any]:
    """The fields by which consumers of the peers' records identify server and sender."""
    if kind == "cache":
        return {"sid": record["server_id"]} if "server_id" in record else {}
    if kind in ("tcp", "throttle", "oss", "http", "event", "tpc") and "server_hostname" in record:
        return {"hostname": record["server_hostname"]}
    return {}
