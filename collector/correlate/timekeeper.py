"""Timed actions: graces end, patience ends, things expire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from collector.correlate.accesses import Accesses
from collector.correlate.eviction import Eviction
from collector.correlate.evidence import dump_incarnation
from collector.correlate.incarnation import BEGIN_AT, USER_AT, Incarnation
from collector.correlate.keys import session_key
from collector.correlate.options import Options
from collector.correlate.present import Present
from collector.correlate.processes import Processes
from collector.correlate.senders import Totals
from collector.correlate.sequences import Sequences
from collector.correlate.statistics import remaining
from collector.correlate.waiting import Waiting

TICK = 1.0
"""Seconds between two checks for what is due…"""
TICK_FEEDS = 2048
"""…or datagrams, whichever comes first."""
DEFAULT_IDENT = 3600.0
"""Seconds between two identity records of a server, unless it is configured otherwise."""
SWEEP = 60.0
"""Seconds between two checks for what has expired."""


class Broken(NamedTuple):
    """A server that was forgotten because a timed action on it failed; or, without a server, a failed timed action on
    the whole state.
    """

    serial: int | None
    state: dict[str, Any] | None
    """What was known about it, for people to read."""
    now: float
    error: Exception


class Timekeeper:
    """Checks every incarnation regularly. `next_tick`, `next_sweep` and `feeds` are state."""

    def __init__(
        self,
        options: Options,
        present: Present,
        processes: Processes,
        sequences: Sequences,
        accesses: Accesses,
        waiting: Waiting,
        totals: Totals,
    ) -> None:
        self._options = options
        self._present = present
        self._processes = processes
        self._sequences = sequences
        self._accesses = accesses
        self._waiting = waiting
        self._totals = totals
        self.eviction = Eviction(options, present, processes, accesses, waiting, totals)
        self.next_tick = 0.0
        self.next_sweep = 0.0
        self.feeds = 0
        self.broken: list[Broken] = []
        """What failed, for `Correlator.broken`."""

    def tick(self) -> None:
        """Everything that is due now."""
        now = self._present.now
        self.feeds = 0
        self.next_tick = now + TICK
        self.each(self._look)
        if now >= self.next_sweep:
            self.next_sweep = now + SWEEP
            self._sweep()
        try:
            self.eviction.relieve()
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - as in `each`; of no server in particular
            self.broken.append(Broken(None, None, now, error))

    def each(self, look: Callable[[Incarnation], None]) -> None:
        """Run `look` on every server. A server for which it fails is forgotten, and reported in `broken`: it would fail
        again every second, and the datagram that happens to come at that moment is unrelated.
        """
        for inc in list(self._processes.all.values()):
            try:
                look(inc)
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is; the others go on
                self.broken.append(Broken(inc.serial, dump_incarnation(inc), self._present.now, error))
                self._processes.forget(inc)

    def _look(self, inc: Incarnation) -> None:
        options, now = self._options, self._present.now
        if any(tracker.holes for _, _, tracker in inc.trackers()):
            self._sequences.settle(inc, options.grace)
        if inc.touched == self._present.number or inc.ids.begun or inc.file_ids.begun:
            self._sequences.look_at_ids(inc, options.grace)
        if inc.wait_file or inc.wait_session or inc.wait_server:
            self._processes.touch(inc)
            self._waiting.again_due(inc)
        if inc.left and now - inc.left[0].seen >= options.grace:
            self._processes.touch(inc)
            self.end_sessions(inc, options.grace)
        while inc.leaving and now - inc.leaving[0][0] >= 3 * options.grace:
            self._processes.touch(inc)
            self._forget_session(inc, inc.leaving.popleft()[1])
        if inc.dead_since is not None:
            patience = options.grace if inc.ended else max(options.grace, 2.5 * (inc.idents[1] or DEFAULT_IDENT))
            if (inc.files or inc.waits) and now - max(inc.alive, inc.dead_since) >= patience:
                self._processes.touch(inc)
                self._waiting.finish_all(inc)
                self.give_up_all(inc, "server_restarted", inc.dead_by)
        elif inc.files and now - inc.alive >= options.ttl:
            self._processes.touch(inc)
            self._totals.expired += len(inc.files)
            self.give_up_all(inc, "expired", None)

    def end_statistics(self, inc: Incarnation) -> None:
        """No more storage statistics will come: write what was reported and not yet written."""
        for event in remaining(inc, self._present.now):
            self._processes.touch(inc)
            self._waiting.writer.finish(inc, event)

    def give_up_all(self, inc: Incarnation, reason: str | None, t_max: int | None) -> None:
        """No close will come for anything that this process has open."""
        for file_id in list(inc.files):
            self._accesses.give_up(inc, file_id, reason, t_max)

    def end_sessions(self, inc: Incarnation, grace: float) -> None:
        """Sessions whose disconnect is a grace ago: their files that are still open were closed, and the close is
        lost."""
        ended: dict[int, int] = {}
        while inc.left and self._present.now - inc.left[0].seen >= grace:
            left = inc.left.popleft()
            inc.leaving.append((left.seen, left.user))
            ended[left.user] = left.t_end
        unclosed: list[tuple[int, int]] = []
        for file_id, entry in inc.files.items():
            user = self._owner(inc, file_id, entry[USER_AT])
            # opened in a later window than the disconnect: a newer session has the id now
            if user in ended and (entry[BEGIN_AT] is None or entry[BEGIN_AT] <= ended[user]):
                unclosed.append((file_id, ended[user]))
        inc.unclosed += len(unclosed)
        for file_id, t_end in unclosed:
            self._accesses.give_up(inc, file_id, None, t_end)

    @staticmethod
    def _owner(inc: Incarnation, file_id: int, user: int | None) -> int | None:
        if user is not None:
            return user
        path = inc.paths.get(file_id)
        session = inc.session_named(path.userid.text, file_id) if path is not None else None
        return session.dictid if session is not None else None

    def _forget_session(self, inc: Incarnation, dictid: int) -> None:
        session = inc.sessions.get(dictid)
        if session is None or not session.gone or self._present.now - session.gone < 3 * self._options.grace:
            return
        inc.forget_session(session)
        if session.saved:
            self._present.deleted.add(session_key(inc, dictid))

    def _sweep(self) -> None:
        """What has expired."""
        now = self._present.now
        copies = self._waiting.writer.copies
        for key in [k for k, seen in copies.items() if now - seen > 10 * self._options.grace]:
            del copies[key]
        self.each(self._sweep_server)

    def _sweep_server(self, inc: Incarnation) -> None:
        if inc.statistics and self._present.now - inc.alive >= self._options.oss_interval:
            self.end_statistics(inc)
        self.eviction.sweep(inc)
        if self.eviction.is_over(inc):
            self._processes.forget(inc)
