"""The clients of a worker process: XRootD's own, and HTTP; those that its job needs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from agent.messages import HTTP, Auth, Request, Workload
from agent.workloads.access import Client
from agent.workloads.address import address_of
from agent.workloads.answers import Answers
from agent.workloads.credentials import Kept
from agent.workloads.frames import Setup
from agent.workloads.http import HttpClient
from agent.workloads.outcome import FailedError, Outcome, StoppedError


class Clients:
    """Makes requests with the client of their protocol. `answers` knows the calls of both.

    Raises MissingClientError or MissingCurlError when one that is needed is not installed."""

    def __init__(self, setup: Setup, remark: Callable[[str, str], None]) -> None:
        self.answers = Answers()
        protocols = setup.protocols or ["root"]
        self._kept = Kept(setup.auth)
        self._kept.into_environment()

        def said(key: str, text: str) -> None:
            remark(key, self._kept.named(text, 0, self._kept.token))

        self._root = None
        if set(protocols).difference(HTTP):
            self._root = Client(
                setup.timeout, self.answers, said, request_timeout=setup.request_timeout, token=self._current
            )
        self._http = None
        if set(protocols).intersection(HTTP):
            self._http = HttpClient(
                setup.timeout,
                self._kept.trust,
                self.answers,
                said,
                request_timeout=setup.request_timeout,
                token=self._current,
            )

    @property
    def version(self) -> str:
        """Version of the XRootD client library; empty when it is not used."""
        return self._root.version if self._root is not None else ""

    def close(self) -> None:
        """Remove what the clients needed."""
        self._kept.close()

    def renew(self, auth: Auth) -> None:
        """With what the clients identify themselves from now on."""
        self._kept.renew(auth)

    def _current(self) -> str:
        return self._kept.token

    def perform(
        self, workload: Workload, request: Request, stop: threading.Event, add: Callable[[int], None]
    ) -> Outcome:
        """Carry out one request, after what it needs for that. `add` is called with every number of bytes transferred.

        Never raises for anything that the server or the network does: that is in the outcome."""
        token = self._kept.token
        outcome = self._perform(workload, request, stop, add)
        if outcome.error:
            outcome.error = self._kept.named(outcome.error, outcome.status, token)
        return outcome

    def _perform(
        self, workload: Workload, request: Request, stop: threading.Event, add: Callable[[int], None]
    ) -> Outcome:
        began = time.time()
        address = address_of(request.server, workload)
        if not address.over_http:
            if self._root is None:
                return _never(began, f"This job has no client for {address.scheme}.")
            return self._root.perform(workload, request, stop, add)
        if self._http is None:
            return _never(began, f"This job has no client for {address.scheme}.")
        try:
            self._http.prepare(workload, request, stop)
        except FailedError as error:
            return _never(began, str(error), error.code)
        except StoppedError as error:
            outcome = _never(began, str(error))
            outcome.interrupted = True
            return outcome
        return self._http.perform(workload, request, stop, add)


def _never(began: float, error: str, status: int = 0) -> Outcome:
    """The outcome of a request that was not made."""
    return Outcome(began, time.time(), status=status, error=error)
