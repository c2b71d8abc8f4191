"""Role client: takes jobs from the hub, has workers make the requests, and reports what the journal says.

Everything that the hub learns about a request comes from the journal, after it is safe on disk. Reports are repeated in
the next session (see `agent.messages`), so that a cut at any moment loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

import msgspec
from websockets.exceptions import ConnectionClosed

from agent.connection import Session
from agent.host import Load, curl_version, describe, xrootd_client_version
from agent.job import Command, Complain, Give, Job, State
from agent.journal import Journal, JournalError, JournalFullError
from agent.messages import (
    Abort,
    Acknowledge,
    Ask,
    Done,
    EndRepeat,
    FromHub,
    Heartbeat,
    Message,
    Notice,
    Probe,
    Register,
    Renew,
    RepeatDone,
    RepeatReady,
    Round,
    Sample,
    StartRepeat,
    Welcome,
)
from agent.messages import Journal as JournalMessage
from agent.workloads.access import MISSING
from agent.workloads.plan import objection
from agent.workloads.pool import Pool
from agent.workloads.probe import probe
from shoveler.service.tasks import Tasks

_log = logging.getLogger(__name__)

COLLECT_SECONDS: Final = 0.02
"""How often new journal lines are synced and numbered while a job runs: well within the 50 ms that are promised."""
KEPT_SAMPLES: Final = 300
"""Samples (one per second) that are kept while the hub is away, and in case a broken session lost some."""
IN_FLIGHT: Final = 20_000
"""Maximum of journal lines sent and not yet acknowledged: a slow hub delays the sending, not the work."""
REMEMBERED: Final = 32
"""Ended jobs whose RepeatDone is repeated in a new session."""
NOTICES: Final = 100
"""Notices kept for a hub that is away."""
ROOM: Final = 32 * 1024 * 1024
"""Free bytes on the journal's disk needed to start a job: some 100,000 requests."""
FULL_RETRY: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Work:
    """A job and its workers."""

    job: Job
    pool: Pool
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the workers are ready, or could not be started."""
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while no request is pending."""


class ClientRole:
    """The client agent: an `agent.connection.Role`. Call `close` at the end."""

    def __init__(
        self, *, name: str, labels: list[str], journal: Journal, on_welcome: Callable[[Welcome], None] | None = None
    ) -> None:
        self._name = name
        self._on_welcome = on_welcome
        self._labels = labels
        self._journal = journal
        self._load = Load()
        self._requests = 0
        self._work: dict[str, _Work] = {}
        """By name of the job."""
        self._ended: deque[RepeatDone] = deque(maxlen=REMEMBERED)
        self._notices: deque[Notice] = deque(maxlen=NOTICES)
        self._samples: deque[Sample] = deque(maxlen=KEPT_SAMPLES)
        self._unsent = 0
        """How many of the newest samples are still to be sent in this session."""
        self._outbox: deque[tuple[int, Message]] = deque()
        """Messages for this session, each with the journal line that must be sent before it."""
        self._in_session = False
        self._session: Session | None = None
        self._news = asyncio.Event()
        """Set when there may be something to send."""
        self._progress = asyncio.Event()
        """Set when something was sent or acknowledged."""
        self._sent = 0
        self._collecting = asyncio.Lock()
        self._full = False
        self._draining = False
        self._tasks = Tasks(_log, self._failed)
        self.broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Set to one sentence when this agent cannot continue: the disk of its journal fails."""
        if journal.interrupted:
            self._notice(
                "warning",
                f"This agent died with {journal.interrupted} requests in progress; they are reported as interrupted.",
            )
        if not xrootd_client_version():
            only = "Only HTTP requests can be made: " if curl_version() else ""
            self._notice("warning" if only else "error", only + MISSING)

    # ------------------------------------------------------------ what the link needs from a role

    def details(self) -> Register:
        return describe(
            role="client",
            name=self._name,
            labels=self._labels,
            xrootd=xrootd_client_version(),
            curl=curl_version(),
            journal=self._journal.id,
            journal_last=self._journal.last,
        )

    def heartbeat(self) -> Heartbeat:
        used = self._load.measure([pid for work in self._work.values() for pid in work.pool.pids()])
        return Heartbeat(
            t=time.time(),
            cpu=used.cpu,
            busiest=used.busiest,
            memory=used.memory,
            requests=self._requests,
            journal=self._journal.id,
            journal_last=self._journal.last,
            jobs=sorted(self._work),
            draining=self._draining,
        )

    def figures(self) -> dict[str, float]:
        """The values of the metrics, by name."""
        return {
            "requests_total": self._requests,
            "jobs": len(self._work),
            "journal_last": self._journal.last,
            "journal_acknowledged": self._journal.acknowledged,
        }

    def welcomed(self, welcome: Welcome) -> None:
        if self._on_welcome is not None:
            self._on_welcome(welcome)
        known = welcome.acknowledged if welcome.journal == self._journal.id else 0
        journal = self._journal
        if known > journal.last or known < journal.first - 1 or (known == 0 and journal.acknowledged):
            self._disagree(known)
            known = 0
        journal.acknowledge(known)
        self._sent = known  # lower than before, if the hub's database lost its last moments
        self._outbox.clear()
        self._unsent = len(self._samples)
        self._in_session = True
        for work in self._work.values():
            if work.job.ready:
                self._say(RepeatReady(work.job.name))
        for done in self._ended:
            self._say(done, done.journal_last if done.journal == self._journal.id else 0)
        for notice in self._notices:
            self._say(notice)

    def _disagree(self, known: int) -> None:
        """The hub's journal of this agent is not ours (a restored copy, another hub, another database). If we kept our
        numbers, it would mistake new lines for old ones, or lines of another hub's jobs for its own."""
        journal = self._journal
        what = f"The hub has {known} lines of this agent's journal, the agent has {journal.first} to {journal.last}"
        if self._work:
            self._break(f"{what}: it is another hub, or its database is another one; the running jobs are cut short.")
            return
        self._notice("warning", f"{what}: one of them was replaced or restored. The agent starts a new journal.")
        try:
            journal.renew()
        except JournalError as error:
            self._break(str(error))

    async def attend(self, session: Session) -> None:
        self._session = session
        try:
            while True:
                self._news.clear()
                await self._send_due(session)
                while self._sent - self._journal.acknowledged < IN_FLIGHT and (lines := self._journal.read(self._sent)):
                    await session.send(JournalMessage(self._journal.id, lines))
                    self._sent = lines[-1].n
                    await self._send_due(session)
                await self._news.wait()
        finally:
            self._in_session = False
            self._session = None

    async def _send_due(self, session: Session) -> None:
        """A RepeatDone is never sent before the journal lines that it is about."""
        while self._outbox and self._outbox[0][0] <= self._sent:
            message = self._outbox[0][1]
            await session.send(message)
            self._outbox.popleft()
            self._progress.set()
            if isinstance(message, Notice) and message in self._notices:
                self._notices.remove(message)

    async def obey(self, message: FromHub, session: Session) -> None:
        match message:
            case Acknowledge(journal, n):
                if journal == self._journal.id:
                    self._journal.acknowledge(n)
                    self._news.set()
                    self._progress.set()
            case StartRepeat():
                self._start(message)
            case Round():
                self._receive(message)
            case Renew(name, auth):
                if name in self._work:
                    self._work[name].pool.renew(auth)
            case EndRepeat(name):
                if name in self._work:
                    self._tasks.start(self._end(self._work[name]), f"end {name}")
                else:
                    self._say_ended(name)
            case Abort(name):
                if name in self._work:
                    self._tasks.start(self._cut(self._work[name], "the hub stopped the job"), f"cut {name}")
                else:
                    self._say_ended(name)
            case Probe():
                self._tasks.start(self._probe(message, session), f"probe {message.id}")
            case Ask(what):
                if what in ("drain", "resume"):
                    self._draining = what == "drain"
                await session.send(self.heartbeat())
            case _:
                _log.debug("! %s does not belong in a session", type(message).__name__)

    def _say(self, message: Message, after: int = 0) -> None:
        """Send in this session, after the journal lines up to `after`. Without a session, `welcomed` repeats what still
        matters in the next one."""
        if self._in_session:
            self._outbox.append((after, message))
            self._news.set()

    def _notice(self, severity: str, text: str) -> None:
        level = {"info": logging.INFO, "warning": logging.WARNING}.get(severity, logging.ERROR)
        _log.log(level, "%s", text)
        kind = severity if severity in ("info", "warning") else "error"
        notice = Notice(kind, text[:2000], time.time())  # type: ignore[arg-type]
        self._notices.append(notice)
        self._say(notice)

    def _failed(self, name: str, error: Exception) -> None:
        self._break(str(error) if isinstance(error, JournalError) else f"{name}: {error!r}")

    def _break(self, sentence: str) -> None:
        if not self.broken.done():
            self.broken.set_result(sentence)

    # ------------------------------------------------------------ jobs

    def _start(self, order: StartRepeat) -> None:
        known = self._work.get(order.job)
        if known is not None:  # repeated after a cut
            if known.job.ready:
                self._say(RepeatReady(order.job))
            return
        problem = (
            ("This agent is draining and accepts no new jobs." if self._draining else "")
            or next(filter(None, map(objection, order.workloads)), "")
            or self._no_room()
            or self._no_segment()
        )
        if problem:
            self._say(RepeatReady(order.job, error=problem))
            return
        work = _Work(
            Job(order),
            Pool(
                order,
                segment=self._journal.segment,
                died=lambda slots, how: self._tasks.start(self._mend(order.job, slots, how), f"mend {order.job}"),
                remark=lambda severity, text: self._notice(severity, f"Job {order.job}: {text}"),
            ),
        )
        work.idle.set()
        self._work[order.job] = work
        self._tasks.start(self._begin(work), f"begin {order.job}")

    def _no_room(self) -> str:
        room = self._journal.room()
        if room >= ROOM:
            return ""
        return (
            f"The disk of this agent's journal ({self._journal.directory}) has only {room // 2**20} MiB left; "
            f"free some space ({ROOM // 2**20} MiB are needed) and start again."
        )

    def _no_segment(self) -> str:
        if not self._work:
            try:
                self._journal.rotate()
            except JournalError as error:
                return str(error)
        return ""

    async def _begin(self, work: _Work) -> None:
        job = work.job
        problem = await work.pool.start()
        work.begun.set()
        if problem:
            job.over()
            del self._work[job.name]
            self._say(RepeatReady(job.name, error=problem[:2000]))
            return
        job.stand(time.time())
        self._say(RepeatReady(job.name))
        self._tasks.start(self._collect_while(job), f"collect {job.name}")
        self._tasks.start(self._sample_while(work), f"sample {job.name}")

    def _receive(self, message: Round) -> None:
        work = self._work.get(message.job)
        if work is None or not work.job.ready:
            error = f"This agent has no workers for job {message.job} (it was restarted, perhaps)."
            self._say(RepeatReady(message.job, error=error))
            return
        self._obey_job(work, work.job.receive(message))

    def _obey_job(self, work: _Work, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case Give(number, requests):
                    work.pool.give(number, requests)
                case Complain(text):
                    self._notice("error", text)
        self._show_idle(work)

    @staticmethod
    def _show_idle(work: _Work) -> None:
        if work.job.idle:
            work.idle.set()
        else:
            work.idle.clear()

    async def _mend(self, name: str, slots: list[int], how: str) -> None:
        """A worker died. Its requests in progress are interrupted; a new one takes over those it had not started."""
        work = self._work.get(name)
        if work is None or work.job.stopped:
            return
        job = work.job
        may_be_replaced = job.lose()
        self._notice("warning", f"Job {name}: a worker process died ({how}); its requests in progress are interrupted.")
        await self._interrupt(job, f"The worker process died: {how}.", set(slots))
        problem = await work.pool.replace(slots) if may_be_replaced else "too many have died"
        if job.stopped:
            return
        if problem:
            self._notice("error", f"Job {name} is ended because its workers keep dying: {problem}")
            await self._cut(work, "its workers keep dying")
            return
        self._obey_job(work, job.give_again(slots))

    async def _end(self, work: _Work) -> None:
        if work.job.end():
            await work.begun.wait()
            await work.idle.wait()
            if work.job.stop():
                await work.pool.finish()
                await self._over(work, "the worker process ended")

    async def _cut(self, work: _Work, reason: str) -> None:
        await work.begun.wait()
        if work.job.stop():
            await work.pool.stop(reason)
            await self._over(work, reason)

    async def _over(self, work: _Work, reason: str) -> None:
        """The workers have ended: the requests they left open are interrupted, and the job is reported as done."""
        job = work.job
        await self._interrupt(job, f"The request was cut short: {reason}.")
        self._measure(work, over=True)
        await self._send_samples()
        job.over()
        del self._work[job.name]
        work.idle.set()
        self._ended.append(RepeatDone(job.name, self._journal.id, self._journal.last))
        self._say_ended(job.name)

    def _say_ended(self, name: str) -> None:
        for done in self._ended:
            if done.job == name:
                self._say(done, done.journal_last if done.journal == self._journal.id else 0)
                return
        self._say(RepeatReady(name, error=f"This agent has no job {name} (it was restarted, perhaps)."))

    # ------------------------------------------------------------ the journal

    async def _collect_while(self, job: Job) -> None:
        while job.state is not State.OVER:
            if self._journal.grown():
                await self._collect()
            await asyncio.sleep(COLLECT_SECONDS)

    async def _collect(self) -> bool:
        """Sync and number the journal's new lines, and act on them. False while the disk is full."""
        async with self._collecting:
            try:
                lines = self._journal.collect(await asyncio.to_thread(self._journal.sync))
            except JournalFullError as error:
                if not self._full:
                    self._notice("error", f"{error} The agent waits for room; nothing is lost.")
                self._full = True
                return False
            self._full = False
        touched: dict[str, _Work] = {}
        for line in lines:
            if isinstance(line, Done):
                self._requests += 1
                if work := self._work.get(line.job):
                    work.job.done(line)
                    touched[line.job] = work
        for work in touched.values():
            self._show_idle(work)
        if lines:
            self._news.set()
        return True

    async def _interrupt(self, job: Job, reason: str, slots: set[int] | None = None) -> None:
        """Write a done line for every started request of the job (of these slots) whose worker no longer can."""
        said = False
        while True:
            if not await self._collect():  # the written lines cannot be numbered yet and must not be written again
                await asyncio.sleep(FULL_RETRY)
                continue
            left = job.left_open(self._journal.unfinished.values(), slots)
            if not left:
                return
            try:
                self._journal.interrupt(left, reason)
            except JournalFullError as error:
                if not said:
                    self._notice("error", f"{error} The agent waits for room; nothing is lost.")
                said = True
                await asyncio.sleep(FULL_RETRY)

    # ------------------------------------------------------------ samples, probes

    async def _sample_while(self, work: _Work) -> None:
        while work.job.state is not State.OVER:
            await work.pool.heard.wait()
            work.pool.heard.clear()
            self._measure(work)
            await self._send_samples()

    def _measure(self, work: _Work, *, over: bool = False) -> None:
        """Make a sample of each second that all workers have reported; when the job is `over`, also of the rest."""
        pool, job = work.pool, work.job
        figures = pool.figures()
        for since, end, newest in job.unsampled(pool.measured(), over=over):
            within = pool.take(end)
            servers = {url: msgspec.structs.replace(own, within=within.get(url, 0)) for url, own in figures.items()}
            # Its state is only true now, so it goes with the newest second.
            silence = job.silence(pool.silent(), pool.reached()) if newest else None
            self._samples.append(Sample(job.name, end, servers, since=since, silence=silence))
            self._unsent += 1

    async def _send_samples(self) -> None:
        """Send what has not been sent in this session yet. A hub that is away gets it when it is back."""
        try:
            while (session := self._session) is not None and self._unsent:
                sample = self._samples[-min(self._unsent, len(self._samples))]
                self._unsent -= 1
                await session.send(sample)
        except ConnectionClosed:
            pass  # everything that is kept is sent in the next session

    async def _probe(self, question: Probe, session: Session) -> None:
        try:
            async with aclosing(probe(question)) as parts:
                async for part in parts:
                    await session.send(part)
        except ConnectionClosed:
            pass  # the asker is gone, and will ask again

    # ------------------------------------------------------------ the end

    async def drain(self, seconds: float) -> None:
        """Start nothing more, finish what is in progress within `seconds`, cut the rest short, and close the jobs."""
        self._draining = True
        await asyncio.gather(*(self._drain_job(work, seconds) for work in list(self._work.values())))

    async def _drain_job(self, work: _Work, seconds: float) -> None:
        await work.begun.wait()
        if work.job.stop():
            await work.pool.drain(seconds)
            await self._over(work, "the agent was stopped")

    async def delivered(self) -> None:
        """Wait until the hub has acknowledged the whole journal and everything has been reported."""
        while self._journal.acknowledged < self._journal.last or self._outbox:
            self._progress.clear()
            await self._progress.wait()

    async def close(self) -> None:
        """End all tasks and workers; the caller still owns the journal."""
        await self._tasks.close()
        for work in self._work.values():
            work.job.stop()
            await work.pool.stop("the agent ends", grace=0.5)
