"""What map messages tell: names, sessions, tokens, paths (``= u i T U d``), and files moved by daemons (``p x``)."""

from __future__ import annotations

from typing import Any

from collector.correlate.cycle import Cycle
from collector.correlate.events import purge_fields, transfer_fields
from collector.correlate.fields import user_fields
from collector.correlate.incarnation import Event, Incarnation, Path, Session
from collector.correlate.keys import path_key
from collector.correlate.options import Options
from collector.correlate.processes import Processes
from collector.correlate.senders import Sender
from collector.correlate.waiting import Waiting, userid_key
from collector.records.ids import event_id
from collector.wire import maps

MAX_EARLY = 1000
"""Infos, tokens and flows that may come before their session, per incarnation and kind."""


class Maps:
    """Takes in map messages that are no duplicates."""

    def __init__(self, options: Options, cycle: Cycle, processes: Processes, waiting: Waiting) -> None:
        self._options = options
        self._cycle = cycle
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

    def take(self, inc: Incarnation, message: maps.Map, sender: Sender) -> None:
        """Apply one message. Raises Rejected when its second line is not what it must be."""
        # an info of an origin with a counter for users alone has the id of its user
        if message.dictid and message.code in ("u" if inc.one_counter else "uidTU"):
            inc.ids.map(message.dictid)
        self._take[message.code](inc, message, sender)

    def _ident(self, inc: Incarnation, message: maps.Map, sender: Sender) -> None:
        ident = maps.parse_ident(message.detail)
        last, longest = inc.idents
        inc.idents = (self._cycle.now, max(longest, self._cycle.now - last) if last else 0.0)
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
        if known is not None and known.userid == message.userid and known.login == login:
            return
        session = Session(message.dictid, message.userid, login, self._cycle.now, inc.heard)
        if known is not None:  # the id is used again: the younger one counts, and takes over the row
            inc.forget_session(known)
            session.saved = known.saved
        inc.sessions_seen += 1
        inc.know_session(session)
        session.appinfo, _ = inc.early_info.pop(message.userid.text, (None, 0.0))
        session.token, _ = inc.early_token.pop(message.dictid, (None, 0.0))
        session.flow, _ = inc.early_flow.pop(message.dictid, (None, 0.0))
        self._session_changed(inc, session)

    def _session_changed(self, inc: Incarnation, session: Session) -> None:
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
        session = inc.session_named(message.userid.text)
        if session is None or (session.gone and session.appinfo is not None):  # then it is for one yet to come
            early(inc.early_info, message.userid.text, (message.detail, self._cycle.now))
        else:
            session.appinfo = message.detail
            self._session_changed(inc, session)

    def _token(self, inc: Incarnation, message: maps.Map, sender: Sender) -> None:
        del sender
        token = maps.parse_token(message.detail)
        session = inc.sessions.get(token.session)
        if session is None:
            early(inc.early_token, token.session, (token, self._cycle.now))
        else:
            session.token = token
            self._session_changed(inc, session)

    def _flow(self, inc: Incarnation, message: maps.Map, sender: Sender) -> None:
        del sender
        flow = maps.parse_flow(message.detail)
        session = inc.sessions.get(flow.session)
        if session is None:
            early(inc.early_flow, flow.session, (flow, self._cycle.now))
        else:
            session.flow = flow
            self._session_changed(inc, session)

    def _path(self, inc: Incarnation, message: maps.Map, sender: Sender) -> None:
        del sender
        if message.dictid == 0 or not message.detail:
            return
        inc.paths_used = True
        known = inc.paths.pop(message.dictid, None)  # to the end: only the last are looked at for rows
        if known is not None and known.cycle != self._cycle.number:
            # what is used up in the cycle in which it was told again would leave this row behind
            self._cycle.deleted.add(path_key(inc, message.dictid))
        inc.paths[message.dictid] = Path(message.detail, message.userid, self._cycle.now, self._cycle.number)
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
        event = Event(kind, identity, user | fields, [fields.get("filename", "")], 0, self._cycle.now)
        self._waiting.settle(inc, event)


def early(table: dict[Any, Any], key: object, value: object) -> None:
    """Remember what came before its session, but not more than `MAX_EARLY`."""
    table.pop(key, None)
    table[key] = value
    if len(table) > MAX_EARLY:
        del table[next(iter(table))]
