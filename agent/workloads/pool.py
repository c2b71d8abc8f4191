"""The agent's side of a job's worker processes.

A `Pool` starts them, distributes the slots among them, passes work on and collects their figures. It knows nothing of
rounds or of the journal: only the journal says which request is done. When a worker dies unexpectedly, the pool reports
the slots that have stopped and can start a new process in its place.

Processes are started with a new interpreter, never forked from a process that has threads.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec

from agent.messages import Auth, Request, ServerSample, StartRepeat
from agent.workloads.frames import (
    HEAD,
    Drain,
    Figures,
    Finish,
    FromWorker,
    Ready,
    Remark,
    Renew,
    Setup,
    Stop,
    Unfit,
    Work,
    decode_from_worker,
    framed,
    length,
)
from agent.workloads.starting import process_command
from shoveler.service.tasks import start_task

_log = logging.getLogger(__name__)

SLOTS_PER_PROCESS: Final = 32
"""Threads of one worker process. The XRootD client releases the interpreter lock while it waits, so one process can
make some 3,500 requests a second; below that, more processes only cost memory."""
START_SECONDS: Final = 30.0
STOP_GRACE: Final = 3.0
"""How long workers may take to stop before they are killed."""
FROZEN_SECONDS: Final = 15.0
"""A worker reports figures every second; one that is silent for this long is stopped or hung, and is killed."""
LOOK_SECONDS: Final = 1.0
END_GRACE: Final = 10.0
"""How long a worker that has finished may take to close its connections."""


class _Worker:
    """One process, and the task that reads its output."""

    def __init__(self, slots: list[int]) -> None:
        self.slots = slots
        self.process: asyncio.subprocess.Process | None = None
        self.ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Empty text: it is ready for work. Else the sentence saying why not."""
        self.figures: dict[str, ServerSample] = {}
        self.silent: dict[str, float] = {}
        self.reached: list[str] = []
        self.heard = 0.0
        """When it last reported (loop time)."""
        self.measured = 0.0
        """Everything that came before this time has been reported; 0 until it is ready for work."""
        self.ending = False
        self.listener: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def send(self, data: bytes) -> None:
        if self.process is not None and self.process.stdin is not None and not self.process.stdin.is_closing():
            self.process.stdin.write(data)


class Pool:
    """The workers of one job.

    `died` is called with the slots of a worker that ended unasked and how it ended; `remark` with (severity, text).
    `heard` is set whenever a worker has sent figures."""

    def __init__(
        self,
        order: StartRepeat,
        *,
        segment: Path,
        died: Callable[[list[int], str], object],
        remark: Callable[[str, str], None],
    ) -> None:
        self._order = order
        self._segment = str(segment)
        self._died = died
        self._remark = remark
        self._past: dict[str, ServerSample] = {}
        """Figures of workers that have ended and were replaced."""
        self._seconds: dict[int, dict[str, int]] = {}
        """Bytes by second and server that `take` has not returned yet."""
        self.heard = asyncio.Event()
        self.xrootd = ""
        count = math.ceil(order.slots / SLOTS_PER_PROCESS)
        self._workers = [_Worker(list(range(first, order.slots, count))) for first in range(count)]
        self._watcher: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Start all workers. Returns an empty text when all are ready; else one sentence, and none of them is left."""
        problems = await asyncio.gather(*(self._launch(worker) for worker in self._workers))
        problem = next(filter(None, problems), "")
        if problem:
            await self.stop("not all workers could be started")
        else:
            self._watcher = start_task(self._watch(), f"watch {self._order.job}")
        return problem

    async def _watch(self) -> None:
        """Kill workers that have fallen silent; their readers notice, and the job continues with others."""
        loop = asyncio.get_running_loop()
        looked = loop.time()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = loop.time()
            if now - looked > 2 * LOOK_SECONDS + 1:  # this process stood still: their output is not read yet
                for worker in self._workers:
                    worker.heard = now
            looked = now
            for worker in self._workers:
                silent = worker.alive and worker.ready.done() and not worker.ending
                if silent and now - worker.heard > FROZEN_SECONDS and worker.process is not None:
                    text = (
                        f"Worker process {worker.process.pid} has been silent for {FROZEN_SECONDS:.0f} s and is killed."
                    )
                    self._remark("warning", text)
                    worker.heard = now
                    worker.process.kill()

    async def _launch(self, worker: _Worker) -> str:
        order = self._order
        try:
            worker.process = await asyncio.create_subprocess_exec(
                *process_command("worker"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            return f"A worker process cannot be started: {error.strerror}."
        setup = Setup(
            order.job,
            order.workloads,
            order.timeout,
            worker.slots,
            self._segment,
            order.protocols,
            order.auth,
            request_timeout=order.request_timeout,
        )
        worker.send(framed(setup))
        worker.listener = start_task(self._listen(worker), f"worker {order.job}")
        try:
            return await asyncio.wait_for(asyncio.shield(worker.ready), START_SECONDS)
        except TimeoutError:
            return f"A worker process did not start within {START_SECONDS:.0f} s; is this machine overloaded?"

    async def _listen(self, worker: _Worker) -> None:
        assert worker.process is not None
        assert worker.process.stdout is not None
        try:
            while True:
                head = await worker.process.stdout.readexactly(HEAD)
                self._heard(worker, decode_from_worker(await worker.process.stdout.readexactly(length(head))))
        except asyncio.IncompleteReadError:
            pass  # it has ended; the exit code says how
        code = await worker.process.wait()
        how = f"it was killed by signal {-code}" if code < 0 else f"it ended with code {code}"
        if not worker.ready.done():
            worker.ready.set_result(
                f"A worker process ended before it was ready ({how}); its last messages are in the log."
            )
        elif not worker.ending and not worker.ready.result():
            self._died(worker.slots, how)

    def _heard(self, worker: _Worker, message: FromWorker) -> None:
        worker.heard = asyncio.get_running_loop().time()
        match message:
            case Ready(version):
                self.xrootd = version
                worker.measured = worker.measured or time.time()
                if not worker.ready.done():
                    worker.ready.set_result("")
            case Unfit(sentence):
                if not worker.ready.done():
                    worker.ready.set_result(sentence)
            case Figures(servers, seconds, measured, silent, reached):
                worker.figures = servers
                worker.silent, worker.reached = silent, reached
                worker.measured = max(worker.measured, measured)
                for second, sizes in seconds.items():
                    mine = self._seconds.setdefault(second, {})
                    for server, size in sizes.items():
                        mine[server] = mine.get(server, 0) + size
                self.heard.set()
            case Remark(severity, _, text):
                self._remark(severity, text)

    # ------------------------------------------------------------ work

    def give(self, number: int, requests: Iterable[Request]) -> None:
        """Pass requests of round `number` to the workers of their slots, in this order. KeyError: no such slot."""
        owner = {slot: worker for worker in self._workers for slot in worker.slots}
        shares: dict[int, list[Request]] = {}
        for request in requests:
            shares.setdefault(id(owner[request.slot]), []).append(request)
        for worker in self._workers:
            share = shares.get(id(worker))
            if share:
                worker.send(framed(Work(number, share)))

    def renew(self, auth: Auth) -> None:
        """With what all workers identify themselves from now on, also those that are started later."""
        self._order = msgspec.structs.replace(self._order, auth=auth)
        for worker in self._workers:
            worker.send(framed(Renew(auth)))

    async def replace(self, slots: list[int]) -> str:
        """Start a new worker for the slots of one that died. Returns an empty text, or one sentence saying why it
        failed."""
        for index, worker in enumerate(self._workers):
            if worker.slots == slots and not worker.alive:
                self._past = _sum([self._past, worker.figures])
                self._workers[index] = fresh = _Worker(slots)
                return await self._launch(fresh)
        return ""

    def figures(self) -> dict[str, ServerSample]:
        """Cumulative figures by server URL, for all workers that this job had."""
        return _sum([self._past, *(worker.figures for worker in self._workers)])

    def silent(self) -> dict[str, float]:
        """Servers that do not answer a worker that waits for them, and for how many seconds."""
        longest: dict[str, float] = {}
        for worker in self._workers:
            for server, seconds in worker.silent.items() if worker.alive else ():
                longest[server] = max(seconds, longest.get(server, 0.0))
        return longest

    def reached(self) -> set[str]:
        """Those of them that answer a check without the XRootD client."""
        return {server for worker in self._workers if worker.alive for server in worker.reached}

    def measured(self) -> float:
        """The time (Unix seconds) up to which all living workers have reported; 0 when none has started."""
        times = [worker.measured for worker in self._workers if worker.alive]
        return min(times or [worker.measured for worker in self._workers], default=0.0)

    def take(self, until: float) -> dict[str, int]:
        """Bytes by server of all seconds that began before `until` and were not returned yet."""
        taken: dict[str, int] = {}
        for second in [second for second in self._seconds if second < until]:
            for server, size in self._seconds.pop(second).items():
                taken[server] = taken.get(server, 0) + size
        return taken

    def pids(self) -> list[int]:
        """Process ids of the workers that are alive."""
        return [worker.process.pid for worker in self._workers if worker.process and worker.alive]

    # ------------------------------------------------------------ the end

    async def finish(self, grace: float = END_GRACE) -> None:
        """Let the workers, which are idle, close their connections and end; kill those that do not."""
        await self._end(framed(Finish()), grace)

    async def drain(self, grace: float) -> None:
        """Let each slot finish its current request, for up to `grace` seconds; then like `stop`."""
        await self._end(framed(Drain()), grace, kill=False)
        await self.stop("the agent is stopping")

    async def stop(self, reason: str, grace: float | None = None) -> None:
        """Cut short what is in progress; kill what has not ended after `grace` seconds (None: STOP_GRACE)."""
        await self._end(framed(Stop(reason)), STOP_GRACE if grace is None else grace)

    async def _end(self, order: bytes, grace: float, *, kill: bool = True) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        for worker in self._workers:
            worker.ending = True
            if worker.alive:
                worker.send(order)
        waiting = [worker.listener for worker in self._workers if worker.listener is not None]
        if not waiting:
            return
        _, late = await asyncio.wait(waiting, timeout=grace)
        if late and kill:
            for worker in self._workers:
                if worker.alive and worker.process is not None:
                    _log.warning("! killing worker %s, which did not end within %.0f s", worker.process.pid, grace)
                    worker.process.kill()
            await asyncio.wait(waiting)


def _sum(parts: Iterable[dict[str, ServerSample]]) -> dict[str, ServerSample]:
    total: dict[str, ServerSample] = {}
    for part in parts:
        for server, one in part.items():
            so_far = total.get(server)
            total[server] = (
                one
                if so_far is None
                else ServerSample(
                    so_far.bytes + one.bytes,
                    so_far.done + one.done,
                    so_far.failed + one.failed,
                    so_far.started + one.started,
                    so_far.within + one.within,
                )
            )
    return total
