"""A worker process: one thread per slot, each doing its requests in the order given, journal line by journal line.

Started by `agent.workloads.pool` with frames on standard input and output. It ends when it is told to, and when its
standard input ends because the agent is gone: it then stops as if it had been told to.

Nothing is opened before its started line is in the journal, and no request is over before its done line is.
When the disk is full a slot waits, holding its line, until the disk takes it or the job is stopped.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
import traceback
from collections import defaultdict
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct

from agent.journal import Appender, JournalError, JournalFullError
from agent.messages import Done, Line, Request, ServerSample, Started
from agent.workloads.access import Client, MissingClientError, Outcome
from agent.workloads.frames import (
    HEAD,
    Drain,
    Figures,
    Finish,
    Ready,
    Remark,
    Setup,
    Stop,
    ToWorker,
    Unfit,
    Work,
    decode_to_worker,
    framed,
    length,
)
from agent.workloads.processes import leave_signals_to_the_agent

FULL_RETRY: Final = 0.5
"""Seconds between two tries to write a line to a full disk."""
REMARK_KEYS: Final = 50
"""Different remarks that one worker makes at most; each only once."""
FAULT: Final = 70
"""Exit code after an error in this program (EX_SOFTWARE)."""
MAX_ERROR: Final = 2000
MAX_SERVER: Final = 256


class _Tally:
    """Cumulative figures of one slot with one server. Written by its slot only."""

    __slots__ = ("bytes", "done", "failed", "started")

    def __init__(self) -> None:
        self.bytes = 0
        self.done = 0
        self.failed = 0
        self.started = 0

    def add(self, size: int) -> None:
        self.bytes += size


class _Output:
    """Frames to the agent, from any thread. The agent being gone is noticed on the input; here it is no matter."""

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
                pass  # the agent is gone; the input says so, too

    def remark(self, severity: str, key: str, text: str) -> None:
        if key not in self._keys and len(self._keys) < REMARK_KEYS:
            self._keys.add(key)
            self.send(Remark("error" if severity == "error" else "warning", key, text[:MAX_ERROR]))


class _Slot:
    """One slot: a thread, its queue and its figures."""

    def __init__(self, setup: Setup, client: Client, journal: Appender, output: _Output, stop: threading.Event) -> None:
        self.queue: queue.SimpleQueue[tuple[int, Request] | None] = queue.SimpleQueue()
        self.tallies: defaultdict[str, _Tally] = defaultdict(_Tally)
        self.draining = False
        """True: finish the request under way, begin no other."""
        self._setup = setup
        self._client = client
        self._journal = journal
        self._output = output
        self._stop = stop

    def run(self) -> None:
        try:
            while (item := self.queue.get()) is not None:
                if self._stop.is_set() or self.draining:
                    return
                self._request(*item)
        except BaseException:  # noqa: BLE001 - the last frame of a thread
            # A fault of ours, or of a binding. A slot that silently stood still would hold up the whole job: rather end
            # this process, which the agent notices, reports and makes good.
            traceback.print_exc()
            os._exit(FAULT)

    def _request(self, number: int, request: Request) -> None:
        job = self._setup.job
        started = Started(0, job, number, request.tag, request.server, request.path, time.time())
        if not self._write(started):
            return
        tally = self.tallies[request.server]
        tally.started += 1
        outcome = self._client.perform(self._setup.workload, request, self._stop, tally.add)
        if outcome.ok:
            tally.done += 1
        else:
            tally.failed += 1
        self._write(_done(job, request, outcome))

    def _write(self, line: Line) -> bool:
        """False when the job was stopped before the journal took the line."""
        while True:
            try:
                self._journal.write(line)
                return True
            except JournalFullError as error:
                self._output.remark(
                    "error", "journal", f"{error} No more requests are begun until there is room; nothing is lost."
                )
            except JournalError as error:
                self._output.remark("error", "journal", f"{error} No more requests are begun.")
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
    )


def main() -> int:
    """Run a worker on this process's standard input and output; returns the exit code."""
    leave_signals_to_the_agent()
    # Frames get a descriptor of their own: whatever a library prints to standard output goes to standard error.
    output = _Output(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    setup = _read()
    if not isinstance(setup, Setup):
        return 1
    try:
        client = Client(setup.timeout, lambda key, text: output.remark("warning", key, text))
        journal = Appender(Path(setup.segment))
    except (MissingClientError, OSError) as error:
        output.send(Unfit(str(error)))
        return 1

    stop = threading.Event()
    slots = {number: _Slot(setup, client, journal, output, stop) for number in setup.slots}
    threads = [threading.Thread(target=slot.run, name=f"slot-{number}", daemon=True) for number, slot in slots.items()]
    over = threading.Event()
    reporter = threading.Thread(target=_report, args=(slots, output, over), name="figures", daemon=True)
    for thread in (*threads, reporter):
        thread.start()
    output.send(Ready(client.version))
    _obey(slots, stop)
    for slot in slots.values():
        slot.queue.put(None)
    for thread in threads:
        thread.join()
    over.set()
    reporter.join()
    journal.close()
    return 0


def _obey(slots: dict[int, _Slot], stop: threading.Event) -> None:
    """Hand out work until the agent says that there is no more. Sets `stop` when what is under way is to be cut."""
    while True:
        match _read():
            case Work(number, requests):
                for request in requests:
                    slots[request.slot].queue.put((number, request))
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

    Reads the descriptor itself: a thread that waits in a buffered file holds its lock, over which the interpreter
    stumbles at its end."""
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


def _report(slots: dict[int, _Slot], output: _Output, over: threading.Event) -> None:
    while True:
        ended = over.wait(1.0)
        sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for slot in slots.values():
            for server, tally in slot.tallies.copy().items():
                total = sums[server]
                total[0] += tally.bytes
                total[1] += tally.done
                total[2] += tally.failed
                total[3] += tally.started
        output.send(Figures({server: ServerSample(*total) for server, total in sums.items()}))
        if ended:
            return


if __name__ == "__main__":
    sys.exit(main())
