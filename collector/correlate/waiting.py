"""Patience: an access that has ended is written at once, unless something that belongs to it may still be in flight.

Then it waits in one of three places of its incarnation, until that comes or the patience for it is over:

``wait_file``     for its open, or its ``d`` map (by file id)
``wait_session``  for its ``u``, or the ``i`` that usually follows (by dictid, or by the bytes of the user id)
``wait_server``   for the ``=``, or for datagrams that the sequence numbers show to be missing
"""

from __future__ import annotations

from collector.correlate.delivered import may_lack, note_access
from collector.correlate.incarnation import Access, Event, Incarnation, Session, Waiter
from collector.correlate.keys import wait_key
from collector.correlate.options import Options
from collector.correlate.present import Present
from collector.correlate.sequence import REORDER
from collector.correlate.writer import Writer
from collector.records.text import clean_text
from collector.wire.header import text_of
from collector.wire.userid import UserId


class Waiting:
    """Decides what to write now and what waits, and when it has waited long enough."""

    def __init__(self, options: Options, present: Present, writer: Writer) -> None:
        self.options = options
        self.present = present
        self.writer = writer

    def settle(self, inc: Incarnation, waiter: Waiter) -> None:
        """Write its record, or wait for what may still come."""
        if isinstance(waiter, Access):
            place, key = self._lacks(inc, waiter)
        else:
            place, key = self._event_lacks(inc, waiter)
        if place:
            self._wait(inc, waiter, place, key)
        else:
            self.writer.finish(inc, waiter)

    def _lacks(self, inc: Incarnation, access: Access) -> tuple[str, int | bytes | None]:
        """Where an access must wait, "" if it need not; and the key of a session if it waits for one."""
        now, options = self.present.now, self.options
        patient = now - access.since < options.grace
        missing_datagrams = inc.unsettled and patient
        path = inc.paths.get(access.file_id)
        if inc.cache is not None and (access.path or path):
            note_access(inc, access, clean_text(text_of(access.path) if access.path else path.path if path else ""))
        if patient:
            if access.start is None and (inc.fseq.holes or inc.fseq.young(now, options.grace)):
                return "file", None
            if not (access.path or path) and (inc.paths_used or missing_datagrams or inc.heard < REORDER):
                return "file", None
        session, userid = self.writer.session_of(inc, access)
        if session is None:
            key = access.user or (userid_key(userid) if userid else None)
            if key and patient:
                return "session", key
        elif not self.session_settled(inc, session) or (patient and inc.may_lack_told(session, access.file_id)):
            return "session", session.dictid
        if missing_datagrams or not self.server_settled(inc):
            return "server", None
        if inc.cache is not None and now - access.since < options.settle and may_lack(access):
            return "server", None  # for the event that tells what the cache delivered
        return "", None

    def _event_lacks(self, inc: Incarnation, event: Event) -> tuple[str, int | bytes | None]:
        patient = self.present.now - event.since < self.options.grace
        session = inc.sessions.get(event.user)
        if event.user and session is None and patient:
            return "session", event.user
        if session is not None and not self.session_settled(inc, session):
            return "session", event.user
        if not self.server_settled(inc):
            return "server", None
        return "", None

    def session_settled(self, inc: Incarnation, session: Session) -> bool:
        """Whether what usually follows a ``u`` has come, or will not come any more."""
        now, settle = self.present.now, self.options.settle
        return (
            bool(session.infos)
            or inc.heard - session.heard >= REORDER
            or now - session.seen >= settle
            or (not inc.infos_seen and now - inc.first >= settle)
        )

    def server_settled(self, inc: Incarnation) -> bool:
        """Whether a server has sent its identity, or will not send it soon."""
        return inc.ident is not None or inc.heard >= REORDER or self.present.now - inc.first >= self.options.settle

    # -------------------------------------------------------------- in and out of the places

    def _wait(self, inc: Incarnation, waiter: Waiter, place: str, session_key: int | bytes | None) -> None:
        waiter.waiting, waiter.place, waiter.session_key = True, place, session_key
        if waiter.cycle < 0:
            self.present.numbered += 1
            waiter.number, waiter.cycle = self.present.numbered, self.present.number
        inc.new_waits[waiter.number] = waiter
        if isinstance(waiter, Access) and place == "file":
            before = inc.wait_file.get(waiter.file_id)
            if before is not None:  # its id has been used again: nothing will come for it
                self.take_file(inc, before)
                self.writer.finish(inc, before)
        self.put_back(inc, waiter)

    @staticmethod
    def put_back(inc: Incarnation, waiter: Waiter) -> None:
        """Put it into the place that it names."""
        if waiter.place == "file" and isinstance(waiter, Access):
            inc.wait_file[waiter.file_id] = waiter
        elif waiter.session_key is not None:
            inc.wait_session.setdefault(waiter.session_key, []).append(waiter)
        else:
            inc.wait_server.append(waiter)

    def take_file(self, inc: Incarnation, access: Access) -> None:
        """Take an access out of ``wait_file``."""
        inc.wait_file.pop(access.file_id, None)
        self._taken(inc, access)

    def take_orphans(self, inc: Incarnation) -> list[Access]:
        """Take everything out of ``wait_file``."""
        orphans = list(inc.wait_file.values())
        for access in orphans:
            self.take_file(inc, access)
        return orphans

    def _taken(self, inc: Incarnation, waiter: Waiter) -> None:
        waiter.waiting = False
        if waiter.cycle != self.present.number:
            self.present.deleted.add(wait_key(inc, waiter.number))

    # -------------------------------------------------------------- something has come

    def again_session(self, inc: Incarnation, key: int | bytes) -> None:
        """Something about a session has come: check what waits for it."""
        for waiter in inc.wait_session.pop(key, ()):
            self._taken(inc, waiter)
            self.settle(inc, waiter)

    def again_file(self, inc: Incarnation, file_id: int) -> None:
        """A path has come: check the access that waits for it."""
        access = inc.wait_file.get(file_id)
        if access is not None:
            self.take_file(inc, access)
            self.settle(inc, access)

    def again_server(self, inc: Incarnation) -> None:
        """The server has become known, or nothing is missing any more: check what waits for that."""
        waiting, inc.wait_server = inc.wait_server, []
        for waiter in waiting:
            self._taken(inc, waiter)
            self.settle(inc, waiter)

    def again_due(self, inc: Incarnation) -> None:
        """Time has passed: check what has waited long enough."""
        limit = self.present.now - self.options.grace
        for access in [a for a in inc.wait_file.values() if a.since <= limit or not inc.fseq.holes]:
            self.take_file(inc, access)
            self.settle(inc, access)
        for key, group in list(inc.wait_session.items()):
            session = inc.sessions.get(key) if isinstance(key, int) else None
            if (session is not None and self.session_settled(inc, session)) or group[0].since <= limit:
                self.again_session(inc, key)
        if inc.wait_server and (inc.wait_server[0].since <= limit or (not inc.unsettled and self.server_settled(inc))):
            self.again_server(inc)

    def finish_all(self, inc: Incarnation) -> None:
        """Write everything that waits, as it is."""
        waiting = inc.all_waiting()
        inc.wait_file.clear()
        inc.wait_session.clear()
        inc.wait_server = []
        for waiter in waiting:
            self._taken(inc, waiter)
            self.writer.finish(inc, waiter)


def userid_key(userid: UserId) -> bytes:
    """The text of a user id as a key: bytes, since it may hold anything."""
    return userid.text.encode("utf-8", "surrogateescape")
