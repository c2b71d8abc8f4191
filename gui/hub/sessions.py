"""All agents' sessions: which names they use, what they report, and what the roster shows.

`Sessions` owns each `AgentSession` (it is their `session.SessionOwner`). It keeps one session for each identity and
each name, and passes on to the hub's listener what concerns it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from agent.messages import MAX_SERVERS, Ask, Heartbeat, Line, Notice, PersonalKey, Register, ServerReport, Welcome
from gui.hub.admission import Holder, Registration, check_name
from gui.hub.audit import AuditLog
from gui.hub.commits import JournalWriter, Sightings
from gui.hub.gate import turn_away
from gui.hub.holds import why_kept_out
from gui.hub.keyring import Keyring
from gui.hub.listener import HubListener
from gui.hub.persistence import HoldKind, JournalBatch
from gui.hub.refusals import Refusals
from gui.hub.roster import (
    MISSED,
    AgentState,
    AgentView,
    ClockOffset,
    Pinged,
    Roster,
    newest_notices,
    public_id,
    servers_in,
    with_report,
)
from gui.hub.session import AgentSession
from gui.hub.tokens import AdmissionError, Bearer

log = logging.getLogger("tally.hub")

MAX_AGENTS = 10_000
PING_SECONDS = 5.0
FORGET_SECONDS = {"client": 3600.0, "server": 86_400.0}
"""How long an agent that is away stays in the list. Clients come and go with the batch system, and with new names."""


class Sessions:
    """See the module. `closing`, once set, means that sessions end because the hub does."""

    def __init__(
        self,
        keyring: Keyring,
        writer: JournalWriter,
        sightings: Sightings,
        audit: AuditLog,
        refusals: Refusals,
        roster: Roster,
        listener: HubListener,
        *,
        heartbeat: float,
        version: str,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.closing = False
        self.joined: Counter[str] = Counter()
        """Sessions that were opened, by role."""
        self._keyring = keyring
        self._writer = writer
        self._sightings = sightings
        self._audit = audit
        self._refusals = refusals
        self._roster = roster
        self._listener = listener
        self._heartbeat_seconds = heartbeat
        self._version = version
        self._clock = clock
        self._monotonic = monotonic
        self._live: dict[str, AgentSession] = {}
        """By public id; and by name, since no two agents of the same name are live."""
        self._by_name: dict[str, AgentSession] = {}
        self._offsets: dict[str, ClockOffset] = {}

    # ---- queries and actions

    def live(self) -> tuple[AgentSession, ...]:
        """All sessions now."""
        return tuple(self._live.values())

    def find(self, agent_id: str) -> AgentSession | None:
        """The session of the agent with this public id."""
        return self._live.get(agent_id)

    def holder(self, name: str) -> Holder | None:
        """Who uses this name now, for admission."""
        session = self._by_name.get(name)
        if session is None or session.ending:
            return None
        return Holder(session.kid, session.address, self._is_fresh(session))

    def end_revoked(self) -> None:
        """Send a Goodbye to agents whose key is no longer valid."""
        for session in self.live():
            if self._keyring.is_revoked(session.kid):
                session.goodbye("the agent's key was revoked", again=False)

    def obey_holds(self) -> None:
        """Tell agents to drain or to go on, and send a Goodbye to those that are kept out; show those as well that have
        no session."""
        for session in self.live():
            session.drain(on=session.details.role == "client" and self._held(session, "drain"))
            kept_out = self._keyring.held(session.identity, "disconnect")
            if kept_out is not None:
                session.goodbye(why_kept_out(kept_out), again=True)
        for hold in self._keyring.holds.values():
            kid, _, name = hold.identity.partition("/")
            view = self._roster.find(public_id(kid, name))
            if hold.what == "disconnect" and hold.good(self._clock()) and (view is None or not view.live):
                view = view or AgentView(public_id(kid, name), kid, name, hold.role, "disconnected", sessions=0)
                self._roster.put(replace(view, state="disconnected", reason=why_kept_out(hold)))
        self._release()

    def _held(self, session: AgentSession, what: HoldKind) -> bool:
        return self._keyring.held(session.identity, what) is not None

    def _release(self) -> None:
        """Those that may come back, and have not yet, are missing."""
        for view in self._roster.agents:
            if view.state == "disconnected" and self._keyring.held(view.identity, "disconnect") is None:
                self._roster.put(replace(view, state="missing", reason="it may come back, and has not yet"))

    async def ping(self, agent_id: str) -> Pinged:
        """Ask an agent whether it answers, and how late its clock is; no answer after `PING_SECONDS` is an answer."""
        began, session = self._clock(), self._live.get(agent_id)
        rtt = None
        if session is not None:
            try:
                async with asyncio.timeout(PING_SECONDS):
                    rtt = await session.ping()
            except (TimeoutError, ConnectionClosed) as error:
                log.info("! %s did not answer a ping: %r", agent_id, error)
        view = self._roster.find(agent_id)
        offset = view.clock_offset if view is not None and rtt is not None else None
        pinged = Pinged(began, rtt, offset)
        if view is not None:
            self._roster.put(replace(view, pinged=pinged))
        return pinged

    def goodbye(self, reason: str, *, code: int) -> None:
        """Send all agents a Goodbye; they may reconnect."""
        for session in self.live():
            session.goodbye(reason, again=True, code=code)

    def _is_fresh(self, session: AgentSession) -> bool:
        return session.blocked or self._monotonic() - session.heard <= MISSED * self._heartbeat_seconds

    # ---- the life of a session

    async def serve(self, websocket: ServerConnection, registration: Registration, details: Register) -> None:
        """Serve an agent's session."""
        bearer, name = registration.bearer, registration.name
        try:
            kid, personal = await self._let_in(bearer, name, registration.address, details)
        except AdmissionError as refusal:
            refusal.key = f"{bearer.kid}/{name}"
            self._refusals.note(registration.address, refusal)
            await turn_away(websocket, refusal.text, again=refusal.reason in ("name", "disconnected", "too_many"))
            return
        agent_id = public_id(kid, name)
        session = AgentSession(
            websocket,
            self,
            self._monotonic,
            agent_id=agent_id,
            kid=kid,
            name=name,
            details=details,
            address=registration.address,
        )
        try:
            acknowledged = await self._writer.position(session.identity, details.journal)
        except Exception as error:
            log.exception("! the database did not answer how far a journal is stored")
            self._listener.problem("hub", f"{name} cannot open its session, because the database fails: {error}")
            await turn_away(websocket, "The hub's database does not answer; try again.", again=True)
            return
        self._make_room(session)
        self._live[agent_id] = self._by_name[name] = session
        self._offsets[agent_id] = ClockOffset()
        self._enlist(session, acknowledged)
        self._sightings.see(session.identity, name, details.role, msgspec.to_builtins(details))
        self.joined[details.role] += 1
        came = f"{details.role} agent on {details.host} from {session.address}"
        invited = f", by the invitation {bearer.invitation.id}" if bearer.invitation is not None else ""
        self._audit.add("joined", session.identity, came + invited)
        welcome = Welcome(
            public_id=agent_id,
            hub_version=self._version,
            hub_time=self._clock(),
            heartbeat=self._heartbeat_seconds,
            journal=details.journal,
            acknowledged=acknowledged,
            personal_key=personal,
        )
        reason = "the session failed"
        try:
            reason = await session.run(welcome, drain=details.role == "client" and self._held(session, "drain"))
        finally:
            session.ending = session.ending or reason
            if self._by_name.get(name) is session:
                del self._by_name[name]
            if self._live.get(agent_id) is session:
                del self._live[agent_id]
                self._gone(agent_id, reason)

    async def _let_in(
        self, bearer: Bearer, name: str, address: str, details: Register
    ) -> tuple[str, PersonalKey | None]:
        """The key of the session, and that of an agent that was invited. Raises AdmissionError: since the registration,
        another agent may have joined, or somebody decided something."""
        check_name(bearer, name, address, self.holder)
        if len(self._live) >= MAX_AGENTS and name not in self._by_name:
            raise AdmissionError(429, "too_many", f"This hub has {MAX_AGENTS:,} agents, as many as it takes.")
        held = self._keyring.held(f"{bearer.kid}/{name}", "disconnect")
        if held is not None:
            raise AdmissionError(403, "disconnected", why_kept_out(held))
        if bearer.invitation is None:
            if not self._keyring.still_allows(bearer):
                raise AdmissionError(403, "revoked", "The key was revoked.")
            return bearer.kid, None
        key = await self._keyring.redeem(bearer.invitation, name, details.role)
        if key is None:
            raise AdmissionError(403, "invitation", "The invitation was used up, revoked or has expired.")
        return key.kid, PersonalKey(kid=key.kid, secret=key.secret)

    def _make_room(self, session: AgentSession) -> None:
        """Replace the old session of this identity, and a shared-key session that uses the name of a personal key."""
        other = self._by_name.get(session.name)
        if other is not None and other.agent_id == session.agent_id:
            other.goodbye("replaced by a new session of the same agent", again=False)
        elif other is not None:
            other.goodbye(f"the name {session.name} now belongs to another agent", again=True)

    def _enlist(self, session: AgentSession, acknowledged: int) -> None:
        details, now = session.details, self._clock()
        old = self._roster.find(session.agent_id)
        servers = servers_in((details.server, *details.servers))[:MAX_SERVERS]
        view = AgentView(
            id=session.agent_id,
            kid=session.kid,
            name=session.name,
            role=details.role,
            state="up",
            host=details.host,
            version=details.version,
            platform=details.platform,
            xrootd=details.xrootd,
            curl=details.curl,
            servers=servers,
            pid=details.pid,
            cpus=details.cpus,
            labels=tuple(details.labels),
            address=session.address,
            joined=now,
            last_seen=now,
            sessions=old.sessions + 1 if old else 1,
            journal=details.journal,
            journal_last=details.journal_last,
            journal_stored=acknowledged,
            reports={url: one for url, one in old.reports.items() if url in servers} if old else {},
            pinged=old.pinged if old else None,
            notices=old.notices if old else (),
        )
        self._roster.put(view)
        if len(self._roster.agents) > MAX_AGENTS:
            gone = [other for other in self._roster.agents if other.id not in self._live]
            if gone:
                self._roster.forget(min(gone, key=lambda other: other.last_seen).id)
        log.info("= %s (%s) is up from %s", view.id, view.name, view.address)

    def _gone(self, agent_id: str, reason: str) -> None:
        view = self._roster.find(agent_id)
        if view is None:
            return
        self._offsets.pop(agent_id, None)
        log.info("= %s (%s) is gone: %s", view.id, view.name, reason)
        held = self._keyring.held(view.identity, "disconnect")
        state: AgentState = "gone" if self.closing else "disconnected" if held is not None else "missing"
        closed = replace(view, state=state, reason=why_kept_out(held) if held else reason, jobs=())
        self._roster.put(closed)
        self._listener.agent_missing(closed)

    async def watch(self) -> None:
        """The task that finds agents with missed heartbeats; cancel it to stop."""
        while True:
            await asyncio.sleep(self._heartbeat_seconds / 2)
            self.check_heartbeats()

    def check_heartbeats(self) -> None:
        """Mark agents as missing that were not heard from for three heartbeats, or that may come back; forget those
        that did not."""
        self._release()
        self._forget(self._clock())
        for session in tuple(self._live.values()):
            view = self._roster.find(session.agent_id)
            if view is not None and view.live and not self._is_fresh(session):
                silent = replace(view, state="missing", reason=f"{MISSED} heartbeats missed")
                log.warning("! %s (%s) has missed %d heartbeats", view.id, view.name, MISSED)
                self._roster.put(silent)
                self._listener.agent_missing(silent)

    def _forget(self, now: float) -> None:
        for view in self._roster.agents:
            away = view.state in ("missing", "gone") and view.id not in self._live
            if away and now - view.last_seen > FORGET_SECONDS[view.role]:
                log.info("= %s (%s) is forgotten: %s", view.id, view.name, view.reason)
                self._roster.forget(view.id)

    # ---- called by sessions (SessionOwner)

    def heartbeat(self, session: AgentSession, message: Heartbeat) -> None:
        """An agent is alive; update its figures."""
        view = self._roster.find(session.agent_id)
        if view is None or self._live.get(session.agent_id) is not session:
            return
        now, rtt = self._clock(), session.round_trip()
        was_live = view.live
        view = replace(
            view,
            state="draining" if message.draining else "up",
            reason="",
            last_seen=now,
            rtt=rtt,
            clock_offset=self._offsets[session.agent_id].heartbeat(message.t, now, rtt),
            cpu=message.cpu,
            busiest=message.busiest,
            memory=message.memory,
            requests=message.requests,
            journal=message.journal or view.journal,
            journal_last=message.journal_last or view.journal_last,
            jobs=tuple(message.jobs),
        )
        self._roster.put(view)
        if session.heartbeats == 1 and message.draining and not self._held(session, "drain"):
            session.send(Ask(what="resume"))  # it was resumed while it was away
        if session.heartbeats == 1 or not was_live:
            self._listener.agent_up(view)

    def report(self, session: AgentSession, message: ServerReport) -> None:
        """The report of a server agent about its server."""
        view = self._roster.find(session.agent_id)
        if view is not None:
            self._roster.put(with_report(view, message))

    def notice(self, session: AgentSession, message: Notice) -> None:
        """A notice of an agent for the user."""
        view = self._roster.find(session.agent_id)
        if view is not None:
            self._roster.put(replace(view, notices=newest_notices((*view.notices, message))))
            if message.severity != "info":
                self._listener.problem(f"agent {view.name}", message.text)

    def agent_message(self, session: AgentSession, message: msgspec.Struct) -> None:
        """Pass everything else on to the owner."""
        view = self._roster.find(session.agent_id)
        if view is not None and self._live.get(session.agent_id) is session:
            self._listener.agent_message(view, message)

    async def journal_lines(self, batch: JournalBatch) -> None:
        """Store lines, together with the offset of the agent's clock."""
        view = self._roster.find(public_id(*batch.agent.split("/", 1)))
        ahead = view.clock_offset if view is not None else None
        await self._writer.put(replace(batch, ahead=ahead or 0.0))

    def journal_stored(self, batch: JournalBatch, last: int, lines: Sequence[Line]) -> None:
        """Acknowledge lines that are on disk."""
        agent_id = public_id(*batch.agent.split("/", 1))
        session = self._live.get(agent_id)
        if session is not None:
            session.acknowledge(batch.journal, last)
        view = self._roster.find(agent_id)
        if view is not None:
            self._roster.put(replace(view, journal_stored=last))
        self._listener.journal_stored(agent_id, batch.journal, last, lines)
