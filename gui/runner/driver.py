"""Carries out one repeat: feeds events to its state machine, executes its commands, and waits for monitoring."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence

from agent.messages import Abort, EndRepeat, Renew, Round, StartRepeat
from gui.campaign.doors import protocols_of
from gui.campaign.generators import AtLimit, Generators, WasAtLimit, use_words
from gui.campaign.holdups import HeldUp, Relieved
from gui.campaign.limits import request_limit
from gui.campaign.repeat import WATCH_SECONDS, AbortJobs, BeginSettling, Command, End, HandOut, Note, Start, State
from gui.campaign.settle import ALIVE, Settle, Settled, SettleView
from gui.runner.consume import Drain
from gui.runner.credentials import Credentials
from gui.runner.current import CurrentRepeat, Handed
from gui.runner.events import Event, Events, HandOver, apply, give_again
from gui.runner.host import Host
from gui.runner.refusal import RunRefusedError
from gui.runner.rounds import Rounds
from gui.runner.snapshots import Board

LOOK_LIMIT = 60.0
SETTLE_LOOK = 0.25
ABORTED_SETTLE = 2.0
RENEW_SECONDS = 2.0
"""How often it is looked whether the files of tokens and certificates have changed."""
STATUS_SECONDS = 3.0
"""How long a run waits for the status of the daemons before its first request and after its last."""


class HandedOverError(Exception):
    """Not an error: the run is left as it is, since another program goes on with it."""


class Driver:
    """Drives one run: `drive` each repeat, then `settle` it. `hurry` ends a settling; `limit` is the plan's."""

    def __init__(self, host: Host, board: Board, events: Events, credentials: Credentials, *, limit: float) -> None:
        self.hurry = False
        self._credentials = credentials
        self._host = host
        self._hub = host.hub
        self._board = board
        self._events = events
        self._rounds = Rounds(host.store, host.hub.roster)
        self._limit = limit
        self._heard = 0.0
        """When it was looked last whether clients have reports that are not stored."""
        self._looked = 0.0
        """When it was looked last whether the files of credentials have changed."""

    async def drive(self, repeat: CurrentRepeat) -> None:
        """Run the state machine until it is time to settle; it may have been begun by another program. Raises
        HandedOverError when another program is to go on."""
        loop = asyncio.get_running_loop()
        machine = repeat.machine
        if repeat.done is not None:
            return
        if machine.state is State.NEW and machine.recalled:
            await self._carry_out(repeat, machine.go_on(self._present(repeat), loop.time()))
        elif machine.state is State.NEW:
            await self._carry_out(repeat, machine.begin(loop.time()))
            for client in machine.clients:
                view = self._hub.roster.find(client)
                if view is None or not view.live:
                    await self._carry_out(repeat, machine.missing(client, loop.time()))
        generators = Generators()
        while machine.state is not State.SETTLING:
            self._board.show_state(repeat)
            event = await self._events.next(machine.deadline)
            if isinstance(event, HandOver):
                raise HandedOverError
            now = loop.time()
            self._hear_of_clients(repeat, generators, now)
            await self._renew(repeat, now)
            if repeat.machine.restarted:
                await self._carry_out(repeat, give_again(repeat, self._hub, now))
            await self._carry_out(repeat, apply(event, repeat, self._hub, now) if event else machine.advance(now))
        repeat.done = time.time()
        for limit in generators.over(loop.time()):
            self._tell_of_generator(repeat, limit)
        repeat.live.over(repeat.done)
        if text := not_complete(repeat):
            self._board.mark("held", text)

    def _present(self, repeat: CurrentRepeat) -> dict[str, bool]:
        """The clients that have a session, and whether they have workers for this job."""
        views = {client: self._hub.roster.find(client) for client in repeat.machine.clients}
        return {client: repeat.job in view.jobs for client, view in views.items() if view is not None and view.live}

    def _hear_of_clients(self, repeat: CurrentRepeat, generators: Generators, now: float) -> None:
        """What clients have done may wait to be stored; then they are not to blame. They may be at their limit."""
        if now < self._heard + WATCH_SECONDS / 2:
            return
        self._heard = now
        for client in repeat.machine.clients:
            view = self._hub.roster.find(client)
            if view is not None and view.journal_last > view.journal_stored:
                repeat.machine.reports_wait(client, now)
            if view is not None and view.live and repeat.began:
                said = generators.look(client, busy=view.busy, cpu=view.cpu, busiest=view.busiest, now=now)
                if said is not None:
                    self._tell_of_generator(repeat, said)

    async def _renew(self, repeat: CurrentRepeat, now: float) -> None:
        """Give clients the credentials of files that have changed. One that cannot be used is a problem and no end:
        whoever writes it may be in the middle."""
        means = repeat.resolved.test.auth
        if now < self._looked + RENEW_SECONDS or not means:
            return
        self._looked = now
        where = f"run {self._board.run}, token"
        if not await self._credentials.changed(means):
            return
        try:
            auth = await self._credentials.read(repeat.resolved.servers, means)
        except RunRefusedError as error:
            self._host.problem("warning", where, f"{error} Clients go on with what they have.")
            return
        self._host.problem("warning", where, "")
        for client in repeat.machine.clients:
            self._hub.send(client, Renew(job=repeat.job, auth=auth))

    async def _carry_out(self, repeat: CurrentRepeat, commands: list[Command]) -> None:
        waiting = deque(commands)
        while waiting:
            match waiting.popleft():
                case Start(clients):
                    order = await self._order(repeat)
                    for client in clients:
                        self._hub.send(client, order)
                case HandOut(number, clients, parts):
                    waiting.extend(await self._hand_out(repeat, number, clients, parts))
                case End(clients):
                    for client in clients:
                        self._hub.send(client, EndRepeat(job=repeat.job))
                case AbortJobs(clients):
                    for client in clients:
                        self._hub.send(client, Abort(job=repeat.job))
                case Note(severity) as note:
                    shown = note.sentence(repeat.name_of)
                    self._board.mark("agent", shown)
                    if severity != "info":
                        self._host.problem(severity, f"run {self._board.run}", shown)
                case HeldUp() | Relieved() as command:
                    self._tell_of_server(repeat, command)
                case BeginSettling():
                    pass  # `drive` sees it in the state

    async def _order(self, repeat: CurrentRepeat) -> StartRepeat:
        """What clients are told of a repeat. Raises RunRefusedError."""
        test, servers = repeat.resolved.test, repeat.resolved.servers
        return StartRepeat(
            job=repeat.job,
            workload=test.workloads[0],
            slots=test.who.slots,
            timeout=test.timeout,
            request_timeout=request_limit(test, repeat.resolved.files),
            mix=list(test.workloads) if test.mix else [],
            protocols=protocols_of(test, servers),
            auth=await self._credentials.read(servers, test.auth),
        )

    def _tell_of_generator(self, repeat: CurrentRepeat, said: AtLimit | WasAtLimit) -> None:
        """Show a client at its limit as a problem while it lasts; the run stores for how long, and what it made."""
        view = self._hub.roster.find(said.client)
        name, where = repeat.name_of(said.client), f"client {repeat.name_of(said.client)}"
        used = use_words(said.cpu, said.busiest, view.cpus if view is not None else 0)
        made, offered = repeat.live.made(said.client), self._board.offered_to(said.client)
        rates = ""
        if made is not None:
            rates = f"; it made {made:,.1f} requests/s" + (f" of {offered:,.1f}/s offered" if offered else "")
        match said:
            case AtLimit():
                text = f"{name} is at its limit ({used}){rates}: it may be what is measured, not the servers."
                self._board.mark("busy", text)
                self._host.problem("warning", where, text)
            case WasAtLimit(seconds=seconds):
                self._board.mark(
                    "limited",
                    f"{name} was at its limit for {seconds:.0f} s (up to {used}){rates}: the generator, not the "
                    "servers, may be what was measured.",
                )
                self._host.problem("warning", where, "")

    def _tell_of_server(self, repeat: CurrentRepeat, command: HeldUp | Relieved) -> None:
        """Show a server that does not answer as a problem while it lasts; the run stores when and for how long."""
        name = repeat.name_of(command.server)
        where = f"server {name}"
        match command:
            case HeldUp(client=client, requests=requests, seconds=seconds, others=others, last=last, reached=reached):
                who = repeat.name_of(client)
                text = (
                    f"calls of {who} to {name} have not come back for {seconds:.0f} s, although the server answers: "
                    if reached
                    else f"{name} has not answered {who} for {seconds:.0f} s: "
                ) + f"{requests:,} request{'s wait' if requests != 1 else ' waits'}"
                rest = f"the other {f'{others} servers' if others > 1 else 'server'}"
                if others and command.waits:
                    limit = repeat.resolved.test.timeout
                    text += f", and so {'do' if others > 1 else 'does'} {rest}, at most {limit:g} s (barrier)."
                elif others:
                    text += f"; the run goes on with {rest}."
                else:
                    text += ", and there is no other server to go on with."
                if last:
                    text += " This is not said of it again in this repeat."
                self._board.mark("hold", text)
                self._host.problem("warning", where, text)
            case Relieved(requests=requests, seconds=seconds, reached=reached):
                text = (
                    f"calls to {name} did not come back for {seconds:.0f} s, although the server answered; "
                    if reached
                    else f"{name} did not answer for {seconds:.0f} s; "
                ) + f"{requests:,} request{'s' if requests != 1 else ''} had to wait."
                self._board.mark("held", text)
                self._host.problem("warning", where, "")

    async def _hand_out(
        self, repeat: CurrentRepeat, number: int, clients: Sequence[str], parts: Mapping[str, int]
    ) -> list[Command]:
        """Draw, assign, store, send. In a thread, since a round may have many thousands of requests."""
        handed: dict[str, list[Round]] = await self._host.blocking(self._rounds.prepare, repeat, number, clients, parts)
        if not repeat.began:
            repeat.began = time.time()
            repeat.first_round.set()
        if (newest := max(parts.values())) > repeat.marked:
            repeat.marked = newest
            self._board.mark("round", f"round {newest}")
        shares: dict[str, Counter[str]] = {}
        for client, rounds in handed.items():
            share = shares[client] = Counter(request.server for part in rounds for request in part.requests)
            repeat.live.handed(client, share.total(), repeat.began)
            undone = repeat.undone.setdefault(client, {})
            for part in rounds:
                undone.update(((request.tag, request.path), Handed(number, request)) for request in part.requests)
                self._hub.send(client, part)
        return repeat.machine.handed(number, parts, shares, asyncio.get_running_loop().time())

    # ---- settling

    async def settle(self, repeat: CurrentRepeat) -> Settled:
        """Wait for monitoring. Late messages of agents are still handled. Raises HandedOverError when another program
        is to go on."""
        began = repeat.done or time.time()
        loop = asyncio.get_running_loop()
        limit = self._limit
        if repeat.machine.outcome == "aborted":
            limit = min(limit, ABORTED_SETTLE)
        self._board.show("settling", "counting what was recorded")
        repeat.looked.clear()  # counts from before the last request are of no use
        try:
            async with asyncio.timeout(LOOK_LIMIT):
                await repeat.looked.wait()
        except TimeoutError:
            repeat.machine.settled()
            return Settled(False, time.time() - began, "the database could not be read")
        settling = Settle(
            began=began,
            limit=limit,
            hold=self._host.hold_seconds(),
            quiet=self._host.quiet_seconds(),
            base=repeat.base,
        )
        drain: Drain | None = None
        event: Event | None = None
        async with asyncio.TaskGroup() as questions:
            while True:
                if self.hurry:
                    settling.hurry()
                step = settling.look(self._settle_view(repeat, drain))
                if isinstance(step, Settled):
                    break
                if step.want == "ask":
                    questions.create_task(self._host.ask_for_status(0.0), name=f"ask {repeat.job}")
                elif step.want == "drain":
                    drain = self._host.drain_records()
                self._board.show("settling", step.reason)
                again = loop.time() + max(0.02, min(SETTLE_LOOK, step.again - time.time()))
                event = await self._events.next(again)
                if isinstance(event, HandOver):
                    break
                if event is not None:
                    await self._carry_out(repeat, apply(event, repeat, self._hub, loop.time()))
        if isinstance(event, HandOver):
            raise HandedOverError
        assert isinstance(step, Settled)
        repeat.machine.settled()
        await self._host.ask_for_status(
            STATUS_SECONDS if not self.hurry else 0.5
        )  # the evidence is from after the last request
        return step

    def _settle_view(self, repeat: CurrentRepeat, drain: Drain | None) -> SettleView:
        now = time.time()
        totals = repeat.live.totals
        assert totals is not None
        depths = self._host.records_state.depths
        since = self._board.started - ALIVE
        return SettleView(
            now=now,
            looked=totals.t,
            unrecorded=max(0, totals.unrecorded - self._never(repeat)),
            unequal=totals.wrong,
            last_record=totals.last_record,
            takers=self._host.statuses.takers(since),
            readers=self._host.statuses.readers(since),
            strangers=totals.unrecorded > 0 and self._host.statuses.strangers(since),
            queued=depths[1] if len(depths) > 1 else None,
            drained=drain is not None and drain.done.is_set(),
        )

    def _never(self, repeat: CurrentRepeat) -> int:
        """Requests that will never be made: handed to clients that lost their workers, and not begun by then.
        Such a client has reported everything that it had begun once its whole journal is here."""
        count = 0
        for client in repeat.machine.lost:
            view = self._hub.roster.find(client)
            if view is not None and view.live and view.journal_stored >= view.journal_last:
                count += repeat.live.unreported(client)
        return count


def not_complete(repeat: CurrentRepeat) -> str:
    """The sentence about servers that did not get all planned requests; empty if all did."""
    if not repeat.machine.given_up:
        return ""
    names = ", ".join(repeat.name_of(server) for server in repeat.machine.given_up)
    return f"Test {repeat.resolved.number}, repeat {repeat.number} is not complete: {names} did not answer."
