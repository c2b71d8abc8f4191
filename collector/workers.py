"""Workers: processes that share the shards, started, watched and restarted by the parent.

A worker runs its engines like a separate collector, and sends `Snapshot`s to the parent over a pipe once a second, so
that one address shows the metrics of all. The pipe also ties them together: a worker whose parent is gone drains and
ends; a worker that dies is restarted, and continues from its checkpoints.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait

import msgspec

from collector.config import Plan
from collector.engine import Part, Snapshot, collect_garbage_seldom
from collector.serving import Ending, ThreadCrew
from shoveler.service import delays, setup_logging

_log = logging.getLogger(__name__)

_REPORT_EVERY = 1.0
_snapshots = msgspec.msgpack.Decoder(list[Snapshot])

_OURS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
"""Signals that a worker handles itself."""

_EXIT_CODES = {Ending.SAFE: 0, Ending.LEFT: 0, Ending.FAILED: 1, Ending.UNUSABLE: 2}


def worst(endings: Sequence[Ending]) -> int:
    """The exit code for these endings."""
    return max((_EXIT_CODES[ending] for ending in endings), default=0)


def deal(parts: Sequence[Part], workers: int) -> list[list[Part]]:
    """Assigns parts to workers in turn, so that their numbers differ by at most one."""
    return [list(parts[number::workers]) for number in range(workers)]


def work(
    plan: Plan, parts: Sequence[Part], pipe: Connection, level: str, form: str, inherited: Sequence[Connection] = ()
) -> None:
    """Main function of a worker process. Ends with the exit code of its engines. `inherited`: the parent's ends of
    pipes; while another process holds them, nobody notices that the parent is gone.
    """
    for end in inherited:
        end.close()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches all processes; the parent tells us
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS)
    setup_logging(form, level)
    collect_garbage_seldom()
    crew = ThreadCrew(plan, parts)
    told = False
    while crew.watch(0.1 if told else _REPORT_EVERY):
        try:
            pipe.send_bytes(msgspec.msgpack.encode(crew.snapshots()))
            while pipe.poll():
                setup_logging(*msgspec.msgpack.decode(pipe.recv_bytes(), type=tuple[str, str]))
        except (EOFError, OSError):
            stopping.set()  # the parent is gone
        if stopping.is_set() and not told:
            told = True
            crew.stop()
    raise SystemExit(worst(crew.endings()))


class _Worker:
    def __init__(self, number: int, parts: list[Part]) -> None:
        self.number = number
        self.parts = parts
        self.process: multiprocessing.process.BaseProcess | None = None
        self.pipe: Connection | None = None
        self.snapshots: list[Snapshot] = []
        self.next_start = 0.0
        self.delays: Iterator[float] = delays(first=1.0)
        self.started = 0.0
        self.code: int | None = None


class WorkerCrew:
    """A `Crew` of processes."""

    def __init__(self, plan: Plan, parts: Sequence[Part], *, level: str, form: str) -> None:
        """Starts at once. `level` and `form`: level and format of the workers' log."""
        self._plan = plan
        self._log = (level, form)
        self._stopping = False
        self._workers = [_Worker(number, mine) for number, mine in enumerate(deal(parts, plan.workers))]
        for worker in self._workers:
            self._start(worker)

    @property
    def pids(self) -> list[int]:
        """The workers that run."""
        return [w.process.pid for w in self._workers if w.process is not None and w.process.pid is not None]

    def snapshots(self) -> list[Snapshot]:
        """See `Crew`."""
        return [snapshot for worker in self._workers for snapshot in worker.snapshots]

    def reconfigure(self, level: str, form: str) -> None:
        """See `Crew`."""
        self._log = (level, form)
        for worker in self._workers:
            if worker.pipe is not None:
                try:
                    worker.pipe.send_bytes(msgspec.msgpack.encode(self._log))
                except OSError:
                    pass  # it is about to be restarted with these settings

    def watch(self, timeout: float) -> bool:
        """See `Crew`: receives what the workers send, restarts those that died."""
        pipes = {worker.pipe: worker for worker in self._workers if worker.pipe is not None}
        if not pipes:
            time.sleep(timeout)
        for ready in wait(list(pipes), timeout):
            self._hear(pipes[ready])  # type: ignore[index]  # typeshed: wait gives what it was given
        for worker in self._workers:
            if worker.process is None and worker.code is None and time.monotonic() >= worker.next_start:
                self._start(worker)
        return any(worker.code is None for worker in self._workers)

    def stop(self) -> None:
        """See `Crew`."""
        self._stopping = True
        for worker in self._workers:
            if worker.process is not None:
                worker.process.terminate()
            elif worker.code is None:
                worker.code = 0  # it was waiting for a restart; its state is in its checkpoints

    def endings(self) -> list[Ending]:
        """See `Crew`."""
        # A worker that got our SIGTERM before it could handle it had not started; its state is in its checkpoints.
        by_code = {0: Ending.SAFE, 2: Ending.UNUSABLE, -signal.SIGTERM: Ending.SAFE}
        return [by_code.get(worker.code, Ending.FAILED) for worker in self._workers if worker.code is not None]

    def _start(self, worker: _Worker) -> None:
        ours, theirs = multiprocessing.Pipe()
        # OPTIMISATION. A forked worker does not load the program again (0.35 s of processor time). Only
        # while nothing else runs in this process, and with signals kept for the worker until it can take them.
        forked = sys.platform == "linux" and threading.active_count() == 1
        inherited = [ours, *(other.pipe for other in self._workers if other.pipe is not None)] if forked else []
        make = multiprocessing.get_context("fork").Process if forked else multiprocessing.get_context("spawn").Process
        worker.process = make(
            target=work,
            args=(self._plan, worker.parts, theirs, *self._log, inherited),
            name=f"worker-{worker.number}",
        )
        kept = signal.pthread_sigmask(signal.SIG_BLOCK, _OURS) if forked else set()
        try:
            worker.process.start()
        finally:
            if forked:
                signal.pthread_sigmask(signal.SIG_SETMASK, kept)
        worker.started = time.monotonic()
        theirs.close()
        worker.pipe = ours
        worker.snapshots = [Snapshot(part=part.name, waiting=True, at=worker.started) for part in worker.parts]

    def _hear(self, worker: _Worker) -> None:
        assert worker.pipe is not None
        try:
            while worker.pipe.poll():
                worker.snapshots = _snapshots.decode(worker.pipe.recv_bytes())
        except (EOFError, OSError):
            self._ended(worker)

    def _ended(self, worker: _Worker) -> None:
        assert worker.process is not None
        assert worker.pipe is not None
        worker.pipe.close()
        worker.process.join()
        code = worker.process.exitcode
        worker.process.close()
        worker.process = worker.pipe = None
        if self._stopping or code in (0, 2):
            worker.code = code
            return
        now = time.monotonic()
        if now - worker.started > 60.0:
            worker.delays = delays(first=1.0)
        pause = next(worker.delays)
        worker.next_start = now + pause
        what = f"signal {-code}" if code is not None and code < 0 else f"code {code}"
        sentence = f"the worker ended with {what} and will be restarted"
        worker.snapshots = [Snapshot(part=part.name, trouble={"worker": sentence}, at=now) for part in worker.parts]
        _log.error("worker %d (%s): %s in %.1f s", worker.number, _listed(worker.parts), sentence, pause)


def _listed(parts: Sequence[Part]) -> str:
    return "shards " + ", ".join(str(part.shard) for part in parts)


__all__ = ["WorkerCrew", "deal", "work", "worst"]
