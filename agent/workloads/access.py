"""Carrying out a request with the XRootD client, counting what was requested and what came.

What the XRootD client does, and how this module deals with it (seen with 5.7 to 6.2):

- It retries for minutes when a server is away. So every call has a time limit, and `limit_patience` shortens what the
  calls cannot limit. Times are whole seconds; it checks them once every ``XRD_TIMEOUTRESOLUTION``.
- After a failed connection it refuses the same connection for half an hour (``XRD_STREAMERRORWINDOW``), which would
  fail all later requests of a tag. It is set to 0.
- It silently reopens a transfer that was cut; one request may then appear as several accesses.
- ``File.set_property`` drops a reference to None in each call and aborts Python 3.11 after some 150 of them: never
  call it. ``File.get_property`` does the same for a property that is not set: ask for ``DataServer`` after a
  successful open only.
- One connection per user name in the URL and server: this is how each tag has a connection of its own.
"""

from __future__ import annotations

import importlib
import math
import os
import threading
import time
from collections.abc import Callable, MutableMapping
from typing import Any, Final

from agent.messages import Phases, Request, Workload
from agent.workloads.address import Address, absolute, address_of
from agent.workloads.answers import Answers
from agent.workloads.known import expected
from agent.workloads.outcome import FailedError, Outcome, StoppedError
from agent.workloads.plan import Pause, Read, VectorRead, Write, content, steps

MISSING: Final = (
    'The XRootD client for Python is not installed; install it with: pip install "xrootd-tally[xrootd]" '
    "(or the package python3-xrootd), then start the agent again."
)


ERROR_RESPONSE: Final = 400
"""Status code of an error that the server itself returned (XrdCl's errErrorResponse)."""


class MissingClientError(Exception):
    """The xrootd package is missing; the text says what to install."""


def limit_patience(timeout: float, environ: MutableMapping[str, str] | None = None) -> None:
    """Set the XRootD client's environment variables. It reads them once, when it is imported."""
    seconds = str(max(1, round(timeout)))
    values = {
        "XRD_CONNECTIONWINDOW": seconds,
        "XRD_CONNECTIONRETRY": "1",
        "XRD_STREAMERRORWINDOW": "0",
        "XRD_REQUESTTIMEOUT": seconds,
        "XRD_STREAMTIMEOUT": seconds,
        "XRD_TIMEOUTRESOLUTION": "1",
    }
    (os.environ if environ is None else environ).update(values)


def load_client() -> tuple[Any, Any]:
    """The modules XRootD.client and XRootD.client.flags. Raises MissingClientError when they are not installed."""
    try:
        return importlib.import_module("XRootD.client"), importlib.import_module("XRootD.client.flags")
    except ImportError as error:
        raise MissingClientError(MISSING) from error


def _sentence(status: Any) -> str:
    return " ".join(str(status.message).split())


class Client:
    """The XRootD client of one worker process, for all its threads. `timeout` (seconds) limits every single call,
    `request_timeout` a whole request (0: nothing does).

    Raises MissingClientError when the xrootd package is not installed."""

    def __init__(
        self,
        timeout: float,
        answers: Answers,
        remark: Callable[[str, str], None],
        *,
        request_timeout: float = 0.0,
        token: Callable[[], str] = str,
    ) -> None:
        """`token` gives the bearer token to use, which is sent over roots only."""
        limit_patience(timeout)
        self._xrootd, flags = load_client()
        self._flags = flags.OpenFlags
        self._timeout = max(1, round(timeout))
        self._request_timeout = request_timeout or math.inf
        self._remark = remark
        self._token = token
        self._announced: set[str] = set()
        self._own = threading.local()
        """`server`: the server of this thread's request."""
        self._answers = answers

    @property
    def version(self) -> str:
        """Version of the XRootD client library."""
        return str(self._xrootd.__version__)

    def perform(
        self, workload: Workload, request: Request, stop: threading.Event, add: Callable[[int], None]
    ) -> Outcome:
        """Carry out one request from its open to its close. `add` is called with every number of bytes transferred.

        Never raises for anything that the server or the network does: that is in the outcome."""
        outcome = Outcome(t_open=time.time())
        self._own.server = request.server
        address = address_of(request.server, workload)
        file, began = self._xrootd.File(), time.monotonic()
        try:
            flags = self._flags.NEW | self._flags.MAKEPATH if workload.kind == "write" else self._flags.READ
            self._call("open", file.open, f"{_login(address, request)}/{self._asked(address, request)}", flags)
            outcome.phases = Phases(open=time.monotonic() - began)
            try:
                outcome.server = self._reached(file, address, request)
                self._work(file, workload, request, outcome, stop, add, began)
            except (FailedError, StoppedError):
                # Close nevertheless: with the close the server reports what it has served.
                if file.is_open():
                    self._bounded("close", file.close)
                raise
            self._call("close", file.close)
            outcome.ok = True
        except FailedError as error:
            outcome.status = error.code
            outcome.error = str(error)
        except StoppedError as error:
            outcome.interrupted = True
            outcome.error = str(error)
        outcome.t_close = time.time()
        if workload.kind == "write" and outcome.write_ops:
            self._remove(address, request)
        return outcome

    # ------------------------------------------------------------ the steps

    def _work(
        self,
        file: Any,
        workload: Workload,
        request: Request,
        outcome: Outcome,
        stop: threading.Event,
        add: Callable[[int], None],
        began: float,
    ) -> None:
        def heard() -> None:
            if not outcome.phases.first:
                outcome.phases = Phases(open=outcome.phases.open, first=time.monotonic() - began)

        data = content(request.seed) if workload.kind == "write" else b""
        right = expected(workload, request)
        ends = time.monotonic() + self._request_timeout
        for step in steps(workload, request):
            if stop.is_set():
                raise StoppedError
            if time.monotonic() >= ends:
                raise FailedError(
                    f"The request took longer than {self._request_timeout:g} s (request_timeout) and is given up."
                )
            match step:
                case Read(offset, size):
                    outcome.read_asked += size
                    outcome.read_ops += 1
                    came = self._call("read", file.read, offset, size)
                    got = len(came)
                    heard()
                    outcome.read_got += got
                    add(got)
                    right.take(offset, came)
                    if got != min(size, max(0, request.size - offset)):
                        raise FailedError(
                            f"read: the file ends at byte {offset + got}, the catalogue says {request.size}."
                        )
                case VectorRead(chunks):
                    asked = sum(size for _, size in chunks)
                    outcome.readv_asked += asked
                    outcome.readv_ops += 1
                    answer = self._call("vector read", file.vector_read, chunks)
                    heard()
                    got = sum(len(chunk.buffer) for chunk in answer.chunks)
                    outcome.readv_got += got
                    add(got)
                    if got != asked:
                        raise FailedError(f"vector read: {asked} bytes were requested, {got} came.")
                    for (offset, _), chunk in zip(chunks, answer.chunks, strict=True):
                        right.take(offset, chunk.buffer)
                case Write(offset, size):
                    outcome.write_ops += 1
                    self._call("write", file.write, data[:size], offset, size)
                    outcome.written += size
                    add(size)
                case Pause(seconds):
                    if stop.wait(min(seconds, ends - time.monotonic())):
                        raise StoppedError
        right.end()

    def _call(self, doing: str, method: Callable[..., tuple[Any, Any]], *arguments: object) -> Any:
        """The answer of one XRootD call. Raises FailedError."""
        try:
            status, answer = self._bounded(doing, method, *arguments)
        except ValueError as error:
            # A file that it has given up silently, text that is not UTF-8, a name with a NUL.
            raise FailedError(f"{doing}: the XRootD client cannot do it ({error}).") from error
        if not status.ok:
            raise FailedError(f"{doing}: {_sentence(status)}", int(status.errno or status.code))
        return answer

    def _bounded(self, doing: str, method: Callable[..., tuple[Any, Any]], *arguments: object) -> tuple[Any, Any]:
        """One call of the XRootD client with its time limit, listed in `Answers` while it lasts."""
        thread, answered = threading.get_ident(), False
        self._answers.begin(thread, self._own.server, doing, time.monotonic())
        try:
            status, answer = method(*arguments, timeout=self._timeout)
            answered = bool(status.ok) or status.code == ERROR_RESPONSE
            return status, answer
        finally:
            self._answers.end(thread, time.monotonic(), answered=answered)

    # ------------------------------------------------------------ names

    def _reached(self, file: Any, address: Address, request: Request) -> str:
        """HOST:PORT of the data server; sends it the tag as application info, once."""
        server = str(file.get_property("DataServer") or "").rpartition("@")[2]
        if server:
            login = f"{address.scheme}://{request.tag}@{server}"
            if login not in self._announced:
                self._announced.add(login)
                system = self._xrootd.FileSystem(login)
                status, _ = self._bounded("send the application info", system.sendinfo, f"tally:{request.tag}")
                if not status.ok:
                    self._remark(
                        f"sendinfo {server}",
                        f"{server} did not accept the application info ({_sentence(status)}); "
                        "its records will have the tag only as the user name.",
                    )
        return server

    def _asked(self, address: Address, request: Request) -> str:
        """The path, with the token if it may be sent."""
        return absolute(request.path) + authorization(address, self._token())

    def _remove(self, address: Address, request: Request) -> None:
        """A test leaves nothing on other people's disks. Removing a file makes no monitoring record."""
        system = self._xrootd.FileSystem(_login(address, request))
        status, _ = self._bounded("remove", system.rm, self._asked(address, request))
        if not status.ok:
            self._remark(
                f"rm {address.place}",
                f"{request.path} was written to {address.place} and could not be removed ({_sentence(status)}).",
            )


def authorization(address: Address, token: str) -> str:
    """What follows a path to show a bearer token to the server; nothing where others could read it, too."""
    return f"?authz=Bearer%20{token}" if token and address.scheme == "roots" else ""


def _login(address: Address, request: Request) -> str:
    """The server's URL, under the request's tag."""
    return f"{address.scheme}://{request.tag}@{address.place}"
