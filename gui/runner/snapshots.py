"""What is shown of a run: its phase, the markers on its time axis, and a snapshot of everything on request. Nothing
here decides or waits."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gui.campaign.plan import Plan
from gui.campaign.preview import offered_rate
from gui.campaign.repeat import Repeat, State
from gui.hub import Roster
from gui.runner.current import CurrentRepeat
from gui.runner.handover import HandedBoard
from gui.runner.outlook import Outlook
from gui.runner.progress import MAX_MARKERS, RING_SECONDS, Marker, Outcome, Phase, RunProgress, SamplePoint


class Board:
    """`changed` is called when there is something new to show."""

    def __init__(self, plan: Plan, roster: Roster, changed: Callable[[], None]) -> None:
        self.plan = plan
        self.changed = changed
        self.run: int | None = None
        """Its number, once it has one."""
        self.phase: Phase = "preparing"
        self.message = ""
        self.outcome: Outcome = "running"
        self.paused = False
        self.started = time.time()
        self.outlook = Outlook([])
        self.current: CurrentRepeat | None = None
        """The repeat under way, or the last one."""
        self.counting: int | None = None
        """The repeat whose records are awaited; those of any other are late ones."""
        self.markers: deque[Marker] = deque(maxlen=MAX_MARKERS)
        self.unsaved: list[Marker] = []
        self.series: dict[str, str] = {}
        """Names of all servers so far, by URL, in their order in every `SamplePoint`."""
        self.past: tuple[SamplePoint, ...] = ()
        """The time axis of the repeats that are over."""
        self._roster = roster

    def kept(self) -> HandedBoard:
        """What is shown, for another program that goes on with the run."""
        return HandedBoard(
            self.phase,
            self.message,
            self.outcome,
            self.started,
            self.outlook,
            self.counting,
            tuple(self.markers),
            tuple(self.unsaved),
            dict(self.series),
            self.past,
            self.paused,
        )

    def resume(self, run: int, kept: HandedBoard, repeat: CurrentRepeat | None) -> None:
        """Go on with what another program has shown."""
        self.run, self.current = run, repeat
        self.phase, self.message, self.outcome = kept.phase, kept.message, kept.outcome
        self.started, self.outlook, self.counting = kept.started, kept.outlook, kept.counting
        self.markers.extend(kept.markers)
        self.unsaved, self.series, self.past = list(kept.unsaved), dict(kept.series), kept.past
        self.paused = kept.paused

    def begin(self, repeat: CurrentRepeat) -> None:
        """Another repeat is under way."""
        if self.current is not None:
            self.past = (*self.past, *self.current.live.samples)[-RING_SECONDS:]
        self.current = repeat
        self.outlook.begin(repeat.resolved.number, repeat.number)
        self.counting = repeat.id
        self.mark("phase", f"test {repeat.resolved.number}, repeat {repeat.number}")

    def mark(self, kind: Any, text: str, t: float = 0.0) -> None:
        """Put an event on the time axis. `t`: when it was (Unix seconds), if that is not now."""
        marker = Marker(t or time.time(), kind, text)
        self.markers.append(marker)
        self.unsaved.append(marker)

    def offered_to(self, client: str) -> float | None:
        """Requests per second that the repeat under way offers to a client: its share of them; None: no limit, or
        nothing was handed out."""
        repeat = self.current
        if repeat is None or (offered := _offered(repeat)) is None or (share := repeat.live.share(client)) is None:
            return None
        return offered * share

    def show(self, phase: Phase, message: str) -> None:
        """Show the phase of the run and what it waits for."""
        if (phase, message) != (self.phase, self.message):
            self.phase, self.message = phase, message
            self.changed()

    def show_state(self, repeat: CurrentRepeat) -> None:
        """Show what the state machine of the repeat waits for."""
        machine = repeat.machine
        match machine.state:
            case State.STARTING:
                self.show("starting", f"waiting for the workers of {_awaited(repeat)}")
            case State.ROUND if machine.stranded:
                self.show("round", "waiting for a client")
            case State.ROUND:
                pausing = "; paused when what was asked is done" if machine.paused else ""
                self.show("round", f"{_rounds(machine)}{_silent(repeat)}{pausing}")
            case State.PAUSE:
                self.show("pause", f"{_rounds(machine)} is done{_silent(repeat)}")
            case State.PAUSED:
                self.show("paused", f"{_rounds(machine)} is done; nothing is asked until the run is resumed")
            case State.HELD:
                self.show("round", f"all other servers are done{_silent(repeat)}")
            case State.ENDING:
                self.show("ending", f"waiting for the last reports of {_awaited(repeat)}")
            case _:
                pass

    def snapshot(self, now: float) -> RunProgress:
        """The current snapshot of the run."""
        base = RunProgress(
            t=now,
            run=self.run,
            plan=self.plan.name,
            phase=self.phase,
            outcome=self.outcome,
            message=self.message,
            paused=self.paused,
            tests=len(self.plan.tests),
            started=self.started,
            markers=tuple(self.markers),
            steps=self.outlook.steps,
            run_total=self.outlook.total,
            run_requested=self.outlook.handed,
            series=tuple(self.series.values()),
        )
        repeat = self.current
        if repeat is None:
            return base
        test, machine, totals = repeat.resolved.test, repeat.machine, repeat.live.totals
        total = len(repeat.resolved.servers) * test.files_per_server
        elapsed = (repeat.done or now) - repeat.began if repeat.began else 0.0
        views = {client: self._roster.find(client) for client in repeat.live.clients}
        base = replace(
            base,
            test=repeat.resolved.number,
            repeat=repeat.number,
            repeats=test.repeats,
            round=machine.span[1],
            rounds=machine.rounds,
            total=total,
            offered_rate=_offered(repeat),
            servers=repeat.live.server_rows(now, _silences(repeat, now)),
            clients=tuple(
                replace(
                    repeat.live.client_row(
                        client,
                        state=view.state if view else "missing",
                        cpu=view.cpu if view else 0.0,
                        busy=view is not None and view.busy,
                    ),
                    offered=self.offered_to(client),
                )
                for client, view in views.items()
            ),
            samples=(*self.past, *repeat.live.samples)[-RING_SECONDS:],
        )
        if totals is None:
            return base
        done = totals.read + totals.failed
        left = elapsed * (total - done) / done if done and repeat.done is None else None
        over = self.counting is None
        return replace(
            base,
            run_requested=self.outlook.handed + (0 if over else totals.requested),
            run_eta=self.outlook.left(
                elapsed=now - repeat.opened,
                work_left=left if repeat.done is None else 0.0,
                done=0 if over else done,
                worked=0.0 if over else elapsed,
            ),
            requested=totals.requested,
            read=totals.read,
            recorded=totals.recorded,
            failed=totals.failed,
            wrong=totals.wrong,
            duplicate=totals.duplicate,
            pending=totals.pending,
            gap=totals.gap,
            gap_oldest=max(0.0, now - totals.gap_oldest) if totals.gap_oldest is not None else 0.0,
            achieved_rate=done / elapsed if elapsed > 0 else None,
            eta=left,
        )


def _offered(repeat: CurrentRepeat) -> float | None:
    """Requests per second that a repeat offers to all clients."""
    test, servers = repeat.resolved.test, len(repeat.resolved.servers)
    return offered_rate(servers * test.files_per_server, test.per_round * servers, test.wait)


def _silences(repeat: CurrentRepeat, now: float) -> dict[str, float]:
    """Since when servers do not answer, by URL (Unix seconds); the state machine has the clock of the loop."""
    ago = time.monotonic() - now
    return {url: since - ago for url, since in repeat.machine.silences.items()}


def _awaited(repeat: CurrentRepeat) -> str:
    """The clients that are waited for."""
    return ", ".join(repeat.name_of(client) for client in repeat.machine.awaited[:5])


def _rounds(machine: Repeat) -> str:
    """Where the servers are, for people."""
    first, last = machine.span
    return f"round {last} of {machine.rounds}" if first == last else f"rounds {first} to {last} of {machine.rounds}"


def _silent(repeat: CurrentRepeat) -> str:
    """The servers that do not answer, as the end of a sentence."""
    names = [repeat.name_of(server) for server in repeat.machine.silent]
    if not names:
        return ""
    verb = "does" if len(names) == 1 else "do"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"; {', '.join(names[:3])}{more} {verb} not answer"
