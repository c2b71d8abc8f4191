"""Handles map messages: names, sessions, tokens, paths (``= u i T U d``), and files moved by daemons (``p x``)."""

from __future__ import annotations

from typing import Any, TypeVar

from collector.correlate.events import purge_fields, transfer_fields
from collector.correlate.fields import user_fields
from collector.correlate.incarnation import Early, Event, Incarnation, Path, Session, Told
from collector.correlate.keys import path_key
from collector.correlate.options import Options
from collector.correlate.present import Present
from collector.correlate.processes import Processes
from collector.correlate.senders import Sender
from collector.correlate.waiting import Waiting, userid_key
from collector.records.ids import event_id
from collector.wire import maps
from collector.wire.userid import UserId

UNKNOWN = maps.Login()
MAX_EARLY = 1000
"""Maximum number of sessions whose infos, tokens or flows come before them, per incarnation and kind."""
MAX_EARLY_EACH = 16
"""…and how many for one."""

K = TypeVar("K")
T = TypeVar("T")


class Maps:
    """Applies map messages that are not duplicates."""

    def __init__(self, options: Options, present: Present, processes: Processes, waiting: Waiting) -> None:
        self._options = options
        self._present = present
        self._processes = processes
        self._waiting = waiting
        self._take = {
            "=": self._ident,
            "u": self._session,
            "d": self._path,
            "i": self._info,
            "U": self._flow,
            "T": self._token,
            "p": self._purged,
            "x": self._transferred,
        }

    def apply(self, inc: Incarnation, message: maps.Map, sender: Sender) -> None:
        """Apply one message. Raises RejectedError when its second line is invalid."""
        # an info of an origin with a counter for users alone has the id of its user
        if message.dictid and message.code in ("u" if inc.one_counter else "uidTU"):
            inc.ids.map(message.dictid)
        inc.number_seen(message.dictid)
        self._take[message.code](inc, message, sender)

    def _ident(self, inc: Incarnation, message: maps.Map, sender: Sender) -> None:
        ident = maps.parse_ident(message.detail)
        last, longest = inc.idents
        inc.idents = (self._present.now, max(longest, self._present.now - last) if last else 0.0)
        self._processes.named(sender.address, inc)
        if ident != inc.ident:
            inc.ident = ident
            inc.not_ready()
        if inc.wait_server and not inc.unsettled:
            self._waiting.again_server(inc)

    def _session(self, inc: Incarnation, message: maps.Map, sender: Sender) -> None:
        del sender
        if message.dictid == 0:
            return
        login = maps.parse_login(message.detail)
        known = inc.sessions.get(message.dictid)
        if known is not None and known.userid == message.userid and known.login in (login, UNKNOWN):
            if known.login != login:  # it was only assumed, or comes once more with more
                known.login = login
                self._session_changed(inc, known)
            return
        session = Session(message.dictid, message.userid, login, self._present.now, inc.heard)
        if known is not None:  # the id is used again: the newer one counts, and takes over the row
            inc.forget_session(known)
            session.saved = known.saved
        inc.sessions_seen += 1
        self._take_back(inc, session)
        inc.know_session(session)
        inc.take_early(session)
        self._session_changed(inc, session)

    def _take_back(self, inc: Incarnation, session: Session) -> None:
        """A ``u`` came late: what a session with the same user id was told after it began belongs to it."""
        before = inc.session_named(session.userid.text, session.dictid)
        if before is None:
            return
        begins = before.distance(session.dictid)
        later = [telling for telling in before.infos.tellings if telling.distance > begins]
        if later:
            session.infos = Told(telling._replace(distance=telling.distance - begins) for telling in later)
            before.infos = Told(before.infos.tellings[: -len(later)])
            self._session_changed(inc, before)

    def _session_changed(self, inc: Incarnation, session: Session | None) -> None:
        if session is None:
            return
        inc.ready.pop(session.dictid, None)
        inc.dirty_sessions.add(session.dictid)
        if inc.wait_session:
            self._waiting.again_session(inc, session.dictid)
            self._waiting.again_session(inc, userid_key(session.userid))

    def _info(self, inc: Incarnation, message: maps.Map, sender: Sender) -> None:
        del sender
        if message.detail is None:
            return
        inc.infos_seen += 1
        session = inc.session_named(message.userid.text, message.dictid)
        if session is None or (session.gone and session.infos):  # then it belongs to one yet to come
            self._early(inc.early_info, message.userid.text, message, message.detail)
        else:
            self._tell(inc, session, session.infos, message.dictid, message.detail)

    def _token(self, inc: Incarnation, message: maps.Map, sender: Sender) -> None:
        del sender
        token = maps.parse_token(message.detail)
        session = inc.sessions.get(token.session)
        if session is None and not self._early(inc.early_token, token.session, message, token, message.userid):
            self._session_changed(inc, inc.assume(token.session))
        elif session is not None:
            self._tell(inc, session, session.tokens, message.dictid, token)

    def _flow(self, inc: Incarnation, message: maps.Map, sender: Sender) -> None:
        del sender
        flow = maps.parse_flow(message.detail)
        session = inc.sessions.get(flow.session)
        if session is None and not self._early(inc.early_flow, flow.session, message, flow, message.userid):
            self._session_changed(inc, inc.assume(flow.session))
        elif session is not None:
            self._tell(inc, session, session.flows, message.dictid, flow)

    def _early(
        self, table: dict[K, Early[T]], key: K, message: maps.Map, value: T, userid: UserId | None = None
    ) -> bool:
        """Remember what came before its session, at most `MAX_EARLY`. Returns whether the session may still come."""
        now = self._present.now
        entry = table.pop(key, None) or Early(now, userid=userid)
        entry.seen = now
        entry.values[message.dictid] = value
        if len(entry.values) > MAX_EARLY_EACH:
            del entry.values[next(iter(entry.values))]
        table[key] = entry
        if len(table) > MAX_EARLY:
            del table[next(iter(table))]
        return now - entry.began <= self._options.grace

    def _tell(self, inc: Incarnation, session: Session, told: Told[T], number: int, value: T) -> None:
        """A session was told something, in the message with this number."""
        if told.put(inc.telling(session, number, self._present.now, value), inc.fstreams):
            told.keep(inc.files_of(session))
            inc.note_told(session)
        self._session_changed(inc, session)

    def _path(self, inc: Incarnation, message: maps.Map, sender: Sender) -> None:
        del sender
        if message.dictid == 0 or not message.detail:
            return
        inc.paths_used = True
        known = inc.paths.pop(message.dictid, None)  # to the end: only the last are checked for rows
        if known is not None and known.cycle != self._present.number:
            # if it were used up in the cycle in which it was repeated, this row would stay behind
            self._present.deleted.add(path_key(inc, message.dictid))
        inc.paths[message.dictid] = Path(message.detail, message.userid, self._present.now, self._present.number)
        self._waiting.again_file(inc, message.dictid)

    def _purged(self, inc: Incarnation, message: maps.Map, sender: Sender) -> None:
        self._event(inc, "purge", purge_fields(maps.parse_purged(message.detail)), message, sender)

    def _transferred(self, inc: Incarnation, message: maps.Map, sender: Sender) -> None:
        self._event(inc, "transfer", transfer_fields(maps.parse_transferred(message.detail)), message, sender)

    def _event(self, inc: Incarnation, kind: str, fields: dict[str, Any], message: maps.Map, sender: Sender) -> None:
        content = f"{message.userid.text}\n{message.detail}".encode("utf-8", "surrogateescape")
        number = inc.copy_number(sender.remote, kind.encode() + content)
        if not number:
            sender.duplicate += 1
            self._waiting.writer.totals.duplicate += 1
            return
        identity = event_id(kind, inc.sid, inc.stod, number, content)
        user = {} if message.userid.protocol == "=" else user_fields(message.userid, None, self._options.names)
        event = Event(kind, identity, user | fields, [fields.get("filename", "")], 0, self._present.now)
        self._waiting.settle(inc, event)
