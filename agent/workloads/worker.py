"""A worker process: one thread per slot, which makes its requests in the order given and writes their journal lines;
and another thread for each server that does not answer or is slow, so that the others do not wait (see `_Slot`).

Started by `agent.workloads.pool` with frames on standard input and output. It stops when it is told to, or when its
standard input ends because the agent is gone.

Nothing is opened before its started line is in the journal, and no request is over before its done line is.
When the disk is full, a slot waits with its line until the disk accepts it or the job is stopped.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
import traceback
from collections import defaultdict, deque
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from msgspec import Struct

from agent.journal import Appender, JournalError, JournalFullError
from agent.messages import Done, Line, Request, ServerSample, Started
from agent.workloads import knock
from agent.workloads.access import MissingClientError
from agent.workloads.answers import Answers, Call
from agent.workloads.clients import Clients
from agent.workloads.curl import MissingCurlError
from agent.workloads.frames import (
    HEAD,
    Drain,
    Figures,
    Finish,
    Ready,
    Remark,
    Renew,
    Setup,
    Stop,
    ToWorker,
    Unfit,
    Work,
    decode_to_worker,
    framed,
    length,
)
from agent.workloads.outcome import Outcome
from agent.workloads.starting import leave_signals_to_the_agent

JOIN_SECONDS: Final = 0.2
FULL_RETRY: Final = 0.5
"""Seconds between two attempts to write a line to a full disk."""
LATENESS: Final = 0.1
"""A second is reported this long after its end: a slot that read the clock just before it may still be adding to it."""
REMARK_KEYS: Final = 50
"""Maximum number of different remarks that one worker makes; each is made only once."""
WATCH_SECONDS: Final = 0.25
KNOCK_SECONDS: Final = 1.5
LANES: Final = 512
"""Maximum number of threads that wait for servers beside the slots' work; with more, the slots themselves wait, too."""
STUCK_SLOTS: Final = 8
"""After this many calls given up, the process ends and is replaced: its client library no longer works."""
FAULT: Final = 70
"""Exit code after an error in this program (EX_SOFTWARE)."""
MAX_ERROR: Final = 2000
MAX_SERVER: Final = 256


class _Tally:
    """Figures of one slot with one server. Written by one thread at a time; the reporter pops `arrivals` from the
    left."""

    __slots__ = ("arrivals", "bytes", "done", "failed", "started")

    def __init__(self) -> None:
        self.bytes = 0
        self.arrivals: deque[tuple[int, int]] = deque()
        """(second, bytes) in order of arrival."""
        self.done = 0
        self.failed = 0
        self.started = 0

    def add(self, size: int) -> None:
        self.bytes += size
        self.arrivals.append((int(time.time()), size))


class _Output:
    """Frames to the agent, from any thread. An agent that is gone is noticed on the input and ignored here."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._keys: set[str] = set()

    def send(self, message: Struct) -> None:
        with self._lock:
            try:
                self._file.write(framed(message))
                self._file.flush()
            except (OSError, ValueError):
                pass  # the agent is gone; the input shows it, too

    def remark(self, severity: str, key: str, text: str) -> None:
        if key not in self._keys and len(self._keys) < REMARK_KEYS:
            self._keys.add(key)
            self.send(Remark("error" if severity == "error" else "warning", key, text[:MAX_ERROR]))


class _Hand:
    """A thread of a slot, which makes one request after the other."""

    def __init__(self, slot: _Slot, server: str = "", owed: Done | None = None) -> None:
        """`owed`: the line not yet written by the thread that was given up and that this one replaces."""
        self._owed = owed
        self.server = server
        """Empty: it works on the slot's queue. Else it works only on the slot's lane for this server."""
        self.under_way: tuple[Request, float] | None = None
        """The request without a done line, and when it began."""
        self.given_up = False
        self._slot = slot
        self.thread = threading.Thread(target=self._run, name=f"slot-{slot.number} {server}", daemon=True)

    def call(self) -> Call | None:
        """The call of a client library that it waits in."""
        return self._slot.answers.calls.get(self.thread.ident) if self.thread.ident is not None else None

    def _run(self) -> None:
        try:
            if self._owed is not None:
                self._slot.write(self._owed)
            while (item := self._slot.next(self)) is not None:
                self._slot.carry_out(self, *item)
        except BaseException:  # noqa: BLE001 - the last frame of a thread
            # A bug here or in a binding. A slot that stopped silently would hold up the whole job: end this process
            # instead, which the agent notices, reports and replaces.
            traceback.print_exc()
            os._exit(FAULT)


class _Slot:
    """One slot: its queue, its figures, and the thread that works on the queue.

    A server that does not answer, or is much slower than the others, must not keep a slot from them. It is kept apart
    (see `answers`): the thread that works for it becomes a *lane*, which continues with the slot's requests for this
    server, still one after the other, and another thread takes the rest of the queue. A lane ends when it has nothing
    left to do. So requests of one slot to one server keep their order and never overlap, and there are more threads
    than slots only while servers hang or lag."""

    def __init__(
        self,
        number: int,
        setup: Setup,
        client: Clients,
        journal: Appender,
        output: _Output,
        stop: threading.Event,
        lanes: threading.Semaphore,
    ) -> None:
        """`lanes`: how many lanes all slots together may still begin."""
        self.number = number
        self.queue: queue.SimpleQueue[tuple[int, Request] | None] = queue.SimpleQueue()
        self.tallies: defaultdict[str, _Tally] = defaultdict(_Tally)
        self.draining = False
        """True: finish the current request, start no other."""
        self.apart: frozenset[str] = frozenset()
        """Servers that are kept apart: new requests for them go to a lane at once."""
        self.answers = client.answers
        self._setup = setup
        self._client = client
        self._journal = journal
        self._output = output
        self._stop = stop
        self._room = lanes
        self._lock = threading.Lock()
        """Guards which threads are lanes, what is in the lanes, and which requests are in progress."""
        self._lanes: dict[str, deque[tuple[int, Request]]] = {}
        self._hands: list[_Hand] = []

    def start(self) -> None:
        """Start working."""
        with self._lock:
            self._begin(_Hand(self))

    def _begin(self, hand: _Hand) -> None:
        hand.thread.start()
        self._hands.append(hand)

    def wait(self, seconds: float) -> bool:
        """Wait for a thread that has work; False when there is none. Threads given up are not waited for."""
        with self._lock:
            self._hands = [hand for hand in self._hands if hand.thread.is_alive() and not hand.given_up]
            if not self._hands:
                return False
            thread = self._hands[-1].thread
        thread.join(seconds)
        return True

    # ---- what its threads do

    def next(self, hand: _Hand) -> tuple[int, Request] | None:
        """A thread's next request; None when it is to end."""
        while True:
            if hand.given_up or self._stop.is_set() or self.draining:
                return None
            if hand.server:
                with self._lock:
                    if lane := self._lanes[hand.server]:
                        return lane.popleft()
                    del self._lanes[hand.server]
                    self._room.release()
                    return None
            item = self.queue.get()
            if item is None or self._stop.is_set() or self.draining:
                return None
            if not self._for_lane(item):
                return item

    def _for_lane(self, item: tuple[int, Request]) -> bool:
        server = item[1].server
        with self._lock:
            lane = self._lanes.get(server)
            if lane is not None:
                lane.append(item)
                return True
            if server not in self.apart or not self._room.acquire(blocking=False):
                return False
            self._lanes[server] = deque([item])
            self._begin(_Hand(self, server))
            return True

    def carry_out(self, hand: _Hand, number: int, request: Request) -> None:
        """Make a request, from its started to its done line."""
        job = self._setup.job
        began = time.time()
        if not self.write(Started(0, job, number, request.tag, request.server, request.path, began)):
            return
        tally = self.tallies[request.server]
        tally.started += 1
        hand.under_way = (request, began)
        workload = self._setup.workloads[request.share]
        outcome = self._client.perform(workload, request, self._stop, tally.add)
        with self._lock:
            if hand.given_up:
                return  # it already has its done line
            hand.under_way = None
        if outcome.ok:
            tally.done += 1
        else:
            tally.failed += 1
        self.write(_done(job, request, outcome))

    # ---- what the watcher does

    def look(self, now: float) -> int:
        """Turn threads that work for servers kept apart into lanes, and give up those whose call does not return at
        all. Returns how many were given up."""
        given_up = 0
        with self._lock:
            self._hands = [hand for hand in self._hands if hand.thread.is_alive()]
        for hand in list(self._hands):
            call = hand.call()
            if hand.given_up:
                continue
            if call is not None and now - call.since > 2 * self._setup.timeout + self._setup.patience:
                given_up += self._give_up(hand, call.doing)
            elif (call is not None and self.answers.late(call, now)) or self._is_apart(hand):
                self._detach(hand)
        return given_up

    def _is_apart(self, hand: _Hand) -> bool:
        under_way = hand.under_way
        return under_way is not None and under_way[0].server in self.apart

    def _detach(self, hand: _Hand) -> None:
        with self._lock:
            if hand.server or hand.under_way is None or not self._room.acquire(blocking=False):
                return
            hand.server = hand.under_way[0].server
            self._lanes[hand.server] = deque()
            self._begin(_Hand(self))

    def _give_up(self, hand: _Hand, doing: str) -> bool:
        """Give up the thread, whose call does not return, and its request. Another thread replaces it and first writes
        the done line: that waits while the disk is full, and the thread that watches all slots must not wait. False
        when the call has just returned after all."""
        error = f"The client did not come back from {doing!r}, whose limit of {self._setup.timeout:g} s is over."
        with self._lock:
            if hand.under_way is None:
                return False
            hand.given_up = True
            request, began = hand.under_way
            self.tallies[request.server].failed += 1
            outcome = Outcome(began, time.time(), interrupted=True, error=error)
            self._begin(_Hand(self, hand.server, _done(self._setup.job, request, outcome)))
        self._output.remark("warning", f"stuck {doing}", f"{request.server}: {error} The slot continues without it.")
        return True

    def write(self, line: Line) -> bool:
        """False when the job was stopped before the journal took the line."""
        while True:
            try:
                self._journal.write(line)
                return True
            except JournalFullError as error:
                self._output.remark(
                    "error", "journal", f"{error} No more requests are started until there is room; nothing is lost."
                )
            except JournalError as error:
                self._output.remark("error", "journal", f"{error} No more requests are started.")
            if self._stop.wait(FULL_RETRY):
                return False


def _done(job: str, request: Request, outcome: Outcome) -> Done:
    return Done(
        n=0,
        job=job,
        tag=request.tag,
        path=request.path,
        ok=outcome.ok,
        t_open=outcome.t_open,
        t_close=outcome.t_close,
        read_asked=outcome.read_asked,
        read_got=outcome.read_got,
        readv_asked=outcome.readv_asked,
        readv_got=outcome.readv_got,
        written=outcome.written,
        read_ops=outcome.read_ops,
        readv_ops=outcome.readv_ops,
        write_ops=outcome.write_ops,
        server=outcome.server[:MAX_SERVER],
        status=max(0, outcome.status),
        error=outcome.error[:MAX_ERROR],
        interrupted=outcome.interrupted,
        phases=outcome.phases,
    )


def main() -> int:
    """Run a worker on this process's standard input and output; returns the exit code."""
    leave_signals_to_the_agent()
    # Frames get a descriptor of their own: what a library prints to standard output goes to standard error.
    output = _Output(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    setup = _read()
    if not isinstance(setup, Setup):
        return 1
    try:
        client = Clients(setup, lambda key, text: output.remark("warning", key, text))
        journal = Appender(Path(setup.segment))
    except (MissingClientError, MissingCurlError, OSError) as error:
        output.send(Unfit(str(error)))
        return 1

    stop = threading.Event()
    lanes = threading.Semaphore(LANES)
    slots = {number: _Slot(number, setup, client, journal, output, stop, lanes) for number in setup.slots}
    watch = _Watch(slots, client.answers)
    over = threading.Event()
    reporter = threading.Thread(target=_report, args=(slots, watch, output, over), name="figures", daemon=True)
    watcher = threading.Thread(target=watch.run, args=(over,), name="watch", daemon=True)
    for slot in slots.values():
        slot.start()
    reporter.start()
    watcher.start()
    output.send(Ready(client.version))
    _obey(slots, client, stop)
    for slot in slots.values():
        slot.queue.put(None)
    for slot in slots.values():
        while slot.wait(JOIN_SECONDS):
            pass
    over.set()
    reporter.join()
    watcher.join()
    journal.close()
    client.close()
    if watch.given_up:  # the interpreter's exit would wait for what the library holds in those threads
        os._exit(0)
    return 0


def _obey(slots: dict[int, _Slot], client: Clients, stop: threading.Event) -> None:
    """Hand out work until the agent says that there is no more. Sets `stop` when the current work is to be cut
    short."""
    while True:
        match _read():
            case Work(number, requests):
                for request in requests:
                    slots[request.slot].queue.put((number, request))
            case Renew(auth):
                client.renew(auth)
            case Finish():
                break
            case Drain():
                for slot in slots.values():
                    slot.draining = True
                break
            case Stop():
                stop.set()
                break
    # Keep listening meanwhile: the agent may still stop us, or die.
    threading.Thread(target=_listen, args=(stop,), name="listen", daemon=True).start()


def _listen(stop: threading.Event) -> None:
    while not isinstance(_read(), Stop):
        pass
    stop.set()


def _read() -> ToWorker:
    """The next frame from the agent; Stop when there will be none.

    Reads the descriptor itself: a thread that waits in a buffered file holds its lock, on which the interpreter fails
    at exit."""
    head = _exactly(HEAD)
    if head is None or (body := _exactly(length(head))) is None:
        return Stop("the agent is gone")
    return decode_to_worker(body)


def _exactly(size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        part = os.read(0, size - len(data))
        if not part:
            return None
        data += part
    return data


class _Watch:
    """Watches calls that are late or do not return, and servers that do not answer."""

    def __init__(self, slots: dict[int, _Slot], answers: Answers) -> None:
        self._slots = slots
        self._answers = answers
        self.silent: dict[str, float] = {}
        """Servers that do not answer, and for how many seconds."""
        self._reached: dict[str, bool] = {}
        """Servers that were checked without the client library, and whether they answered."""
        self._knocking: set[str] = set()
        self.given_up = 0

    @property
    def reached(self) -> list[str]:
        """The silent servers that answered that check."""
        return sorted(server for server in self.silent if self._reached.get(server))

    def run(self, over: threading.Event) -> None:
        """Watch until it is `over`."""
        while not over.wait(WATCH_SECONDS):
            now = time.monotonic()
            self.silent = self._answers.silent(now)
            names = frozenset(self.silent)
            self._reached = {server: known for server, known in self._reached.copy().items() if server in names}
            for server in names.difference(self._reached, self._knocking):
                self._knocking.add(server)
                threading.Thread(target=self._knock, args=(server,), name=f"knock {server}", daemon=True).start()
            apart = self._answers.apart(now)
            for slot in self._slots.values():
                slot.apart = apart
                self.given_up += slot.look(now)
            if self.given_up >= STUCK_SLOTS:
                os._exit(FAULT)

    def _knock(self, server: str) -> None:
        self._reached[server] = knock.answers(server, KNOCK_SECONDS)
        self._knocking.discard(server)


def _report(slots: dict[int, _Slot], watch: _Watch, output: _Output, over: threading.Event) -> None:
    """Send figures shortly after each whole second, so that only complete seconds are reported, and at the end."""
    while True:
        ended = over.wait(1.0 - time.time() % 1.0 + LATENESS)
        figures = _figures(slots, time.time(), ended=ended)
        output.send(msgspec.structs.replace(figures, silent=watch.silent, reached=watch.reached))
        if ended:
            return


def _figures(slots: dict[int, _Slot], now: float, *, ended: bool) -> Figures:
    """What to report at `now`: whole seconds only, except at the end."""
    sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    seconds: defaultdict[int, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    whole = int(now - LATENESS)
    for slot in slots.values():
        for server, tally in slot.tallies.copy().items():
            total = sums[server]
            total[0] += tally.bytes
            total[1] += tally.done
            total[2] += tally.failed
            total[3] += tally.started
            arrivals = tally.arrivals
            # Anything later than the current second was noted before the clock was set back.
            while arrivals and (ended or not whole <= arrivals[0][0] <= whole + 1):
                second, size = arrivals.popleft()
                seconds[second][server] += size
    return Figures(
        {server: ServerSample(*total) for server, total in sums.items()},
        {second: dict(sizes) for second, sizes in seconds.items()},
        now if ended else float(whole),
    )


if __name__ == "__main__":
    sys.exit(main())
