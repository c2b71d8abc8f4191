"""Carrying out a request over HTTP (WebDAV): GET of a file, of one range or of several; PUT of a new file.

What XRootD's HTTP does, and how this module deals with it (seen with 5.5.3 and 5.8.1):

- There is no user. Since 5.6.3 the server reports the User-Agent as application info: the tag goes there, and each tag
  has a connection of its own, because the server notes it once per connection. Older servers report nothing of a
  client: the tag is then part of the path, and the file is the client's own (`Client.prepare`).
- Whole files and ranges are charged with their exact size; several ranges as one vector read, one range as a plain one.
- 5.5.3 repeats the ``Digest`` of an earlier answer on the same connection, for another file even. So a digest counts
  only in the answer to a request that asked for one.
- 5.5.3 loses the token of a request that asks for a digest, and answers 500. So with a token none is asked for.
- A file is created with the directories above it.
"""

from __future__ import annotations

import secrets
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from agent.host import version
from agent.messages import Request, Workload
from agent.workloads.address import Address, absolute, address_of
from agent.workloads.answers import Answers
from agent.workloads.curl import Errand, Line, Reply, Trust, load_curl
from agent.workloads.known import Expected, WrongBytesError, expected
from agent.workloads.multipart import Piece, content_range, pieces
from agent.workloads.outcome import FailedError, Outcome, StoppedError
from agent.workloads.plan import DEFAULT_BYTES, NOT_OVER_HTTP, Read, VectorRead, content, steps

LINES: Final = 1000
"""Tags of one process whose connections are kept open; those not used for longest are closed. A tag that is used again
connects again."""
HOUSEKEEPING: Final = "tally"
"""Stands in the User-Agent for what is not part of the test."""


def user_agent(tag: str) -> str:
    """How a client introduces itself; collectors find the tag in it."""
    return f"tally/{version()} ({tag})"


class HttpClient:
    """HTTP for all threads of a worker process. `timeout` (seconds) limits the connect and each wait for an answer,
    `request_timeout` a whole request (0: nothing does).

    Raises MissingCurlError when the package pycurl is not installed."""

    def __init__(
        self,
        timeout: float,
        trust: Trust,
        answers: Answers,
        remark: Callable[[str, str], None],
        *,
        request_timeout: float = 0.0,
        token: Callable[[], str] = str,
    ) -> None:
        self._curl = load_curl()
        self._token = token
        self._timeout = timeout
        self._request_timeout = request_timeout
        self._trust = trust
        self._answers = answers
        self._remark = remark
        self._lines: OrderedDict[str, Line] = OrderedDict()
        """By owner (a tag, or a thread for its housekeeping), for those that no thread uses at the moment."""
        self._lock = threading.Lock()

    @property
    def version(self) -> str:
        """Version of libcurl."""
        return str(self._curl.version_info()[1])

    # ------------------------------------------------------------ requests

    def prepare(self, workload: Workload, request: Request, stop: threading.Event) -> None:
        """Write the client's own file that the request will read, if it needs one.

        It is written under another name and then moved, so that its upload has no record with the path of the request.
        Raises FailedError, or StoppedError."""
        if not request.own:
            return
        address = address_of(request.server, workload)
        path = absolute(request.path)
        parent = path.rpartition("/")[0].rpartition("/")[0]
        draft = f"{parent}/tally-{secrets.token_hex(8)}"
        with self._line() as line:
            put = _upload("write its own file", address.url(draft), request.seed, request.size)
            _insist(line.exchange(put, request.server, stop), put.doing)
            move = Errand("move its own file", "MOVE", address.url(draft), {"Destination": address.url(path)})
            try:
                _insist(line.exchange(move, request.server, stop), move.doing)
            except (FailedError, StoppedError):
                self._delete(line, address, draft, request.server)
                raise

    def perform(
        self, workload: Workload, request: Request, stop: threading.Event, add: Callable[[int], None]
    ) -> Outcome:
        """Carry out one request. `add` is called with every number of bytes transferred.

        Never raises for anything that the server or the network does: that is in the outcome."""
        outcome = Outcome(t_open=time.time())
        address = address_of(request.server, workload)
        with self._line(request.tag) as line:
            try:
                self._work(line, address, workload, request, outcome, stop, add)
                outcome.ok = True
            except FailedError as error:
                outcome.status = error.code
                outcome.error = str(error)
            except StoppedError as error:
                outcome.interrupted = True
                outcome.error = str(error)
            outcome.t_close = time.time()
        if request.own or (workload.kind == "write" and outcome.write_ops):
            with self._line() as line:
                self._remove(line, address, request)
        return outcome

    def _work(
        self,
        line: Line,
        address: Address,
        workload: Workload,
        request: Request,
        outcome: Outcome,
        stop: threading.Event,
        add: Callable[[int], None],
    ) -> None:
        url = address.url(request.path)

        def go(errand: Errand) -> None:
            begun = errand.begun

            def reached(reply: Reply) -> None:
                outcome.server = reply.place
                begun(reply)

            errand.begun = reached
            reply = line.exchange(errand, request.server, stop)
            outcome.server, outcome.phases = reply.place, reply.phases
            _insist(reply, errand.doing)

        if workload.kind == "write":
            size = workload.bytes or DEFAULT_BYTES
            outcome.write_ops += 1
            go(_upload("PUT", url, request.seed, size, add))
            outcome.written += size
            return
        if workload.kind in NOT_OVER_HTTP:
            raise FailedError(NOT_OVER_HTTP[workload.kind])
        right = expected(workload, request)
        wanted = wanted_ranges(workload, request)
        if wanted is None:
            whole = _Whole(request, right, outcome, add, digest=workload.verify and not self._token())
            go(whole.errand(url))
            whole.check()
        elif len(wanted) == 1:
            single = _Single(wanted[0], right, outcome, add)
            go(single.errand(url))
            single.check()
        else:
            several = _Several(wanted, right, outcome, add)
            go(several.errand(url))
            several.check()

    # ------------------------------------------------------------ lines

    @contextmanager
    def _line(self, tag: str = "") -> Iterator[Line]:
        """The connections of this tag, which one thread uses at a time; or of this thread's housekeeping."""
        owner = tag or f"thread {threading.get_ident()}"
        with self._lock:
            line = self._lines.pop(owner, None)
        if line is None:
            line = Line(
                self._curl,
                user_agent(tag or HOUSEKEEPING),
                self._trust,
                self._timeout,
                self._answers,
                whole=self._request_timeout,
                token=self._token,
            )
        try:
            yield line
        finally:
            with self._lock:
                self._lines[owner] = line
                spare = self._lines.popitem(last=False)[1] if len(self._lines) > LINES else None
            if spare is not None:
                spare.close()

    # ------------------------------------------------------------ cleaning up

    def _remove(self, line: Line, address: Address, request: Request) -> None:
        """A test leaves nothing on other people's disks. Removing a file makes no monitoring record."""
        path = absolute(request.path)
        why = self._delete(line, address, path, request.server)
        if why:
            self._remark(
                f"rm {address.place}", f"{path} was written to {address.place} and could not be removed ({why})."
            )
        elif request.tag in path.split("/"):
            # The tag's directory; another file of the tag may still be in it, which then removes it.
            self._delete(line, address, path.rpartition("/")[0], request.server)

    def _delete(self, line: Line, address: Address, path: str, server: str) -> str:
        """Why a file or directory could not be removed; empty if it was."""
        try:
            reply = line.exchange(Errand("remove", "DELETE", address.url(path)), server)
        except FailedError as error:
            return str(error)
        return "" if reply.ok else reply.sentence()


def wanted_ranges(workload: Workload, request: Request) -> list[tuple[int, int]] | None:
    """The (offset, size) that a request asks for; None: the whole file. Pure.

    An empty file has no range; it is asked for as a whole."""
    if workload.kind == "full" or not request.size:
        return None
    found: list[tuple[int, int]] = []
    for step in steps(workload, request):
        match step:
            case Read(offset, size):
                if found and sum(found[-1]) == offset:  # one range, however large: its reads are the server's business
                    found[-1] = (found[-1][0], found[-1][1] + size)
                else:
                    found.append((offset, size))
            case VectorRead(chunks):
                found += chunks
    return found


def _insist(reply: Reply, doing: str) -> None:
    """Raises FailedError for an answer that is not a success."""
    if not reply.ok:
        raise FailedError(f"{doing}: {reply.sentence()}", reply.status)


# ---------------------------------------------------------------- what is expected of each answer


class _Whole:
    """A whole file."""

    def __init__(
        self, request: Request, right: Expected, outcome: Outcome, add: Callable[[int], None], *, digest: bool
    ) -> None:
        """`digest`: ask the server for its checksum."""
        self._request = request
        self._right = right
        self._outcome = outcome
        self._add = add
        self._digest = digest
        self._sum = zlib.adler32(b"")
        self._offered = ""

    def errand(self, url: str) -> Errand:
        headers = {"Want-Digest": "adler32"} if self._digest else {}
        return Errand("GET", "GET", url, headers, self._begun, self._take)

    def _begun(self, reply: Reply) -> None:
        size = self._request.size if reply.length is None else reply.length
        self._outcome.read_asked += size
        self._outcome.read_ops += 1
        if self._digest:
            self._offered = offered_adler32(reply.headers.get("digest", ""))
        if size != self._request.size:
            raise FailedError(f"GET: the file has {size} bytes, the catalogue says {self._request.size}.")

    def _take(self, data: bytes) -> None:
        offset = self._outcome.read_got
        self._outcome.read_got += len(data)
        if self._digest:
            self._sum = zlib.adler32(data, self._sum)
        self._add(len(data))
        self._right.take(offset, data)

    def check(self) -> None:
        if self._outcome.read_got != self._request.size:
            got, size = self._outcome.read_got, self._request.size
            raise FailedError(f"GET: the answer ends at byte {got}, the catalogue says {size}.")
        self._right.end()
        if self._offered and int(self._offered, 16) != self._sum:
            raise WrongBytesError(f"their adler32 is {self._sum:08x}, that of the server {self._offered}.")


class _Single:
    """One range."""

    def __init__(self, wanted: tuple[int, int], right: Expected, outcome: Outcome, add: Callable[[int], None]) -> None:
        self._offset, self._size = wanted
        self._right = right
        self._outcome = outcome
        self._add = add

    def errand(self, url: str) -> Errand:
        headers = {"Range": f"bytes={self._offset}-{self._offset + self._size - 1}"}
        return Errand("GET of a range", "GET", url, headers, self._begun, self._take)

    def _begun(self, reply: Reply) -> None:
        self._outcome.read_asked += self._size
        self._outcome.read_ops += 1
        sent = content_range(reply.headers.get("content-range", ""))
        if reply.status != 206 or sent != (self._offset, self._size):
            what = "the whole file" if sent is None else f"{sent[1]} bytes from {sent[0]} on"
            raise FailedError(
                f"GET of a range: {self._size} bytes from {self._offset} on were requested, the server sends {what}."
            )

    def _take(self, data: bytes) -> None:
        offset = self._offset + self._outcome.read_got
        self._outcome.read_got += len(data)
        self._add(len(data))
        self._right.take(offset, data)

    def check(self) -> None:
        if self._outcome.read_got != self._size:
            raise FailedError(f"GET of a range: {self._size} bytes were requested, {self._outcome.read_got} came.")


class _Several:
    """Several ranges in one answer, which is held in memory until it is whole."""

    def __init__(
        self, wanted: Iterable[tuple[int, int]], right: Expected, outcome: Outcome, add: Callable[[int], None]
    ) -> None:
        self._wanted = list(wanted)
        self._right = right
        self._outcome = outcome
        self._add = add
        self._type = ""
        self._body = bytearray()

    def errand(self, url: str) -> Errand:
        ranges = ",".join(f"{offset}-{offset + size - 1}" for offset, size in self._wanted)
        return Errand("GET of ranges", "GET", url, {"Range": f"bytes={ranges}"}, self._begun, self._body.extend)

    def _begun(self, reply: Reply) -> None:
        self._outcome.readv_asked += sum(size for _, size in self._wanted)
        self._outcome.readv_ops += 1
        self._type = reply.headers.get("content-type", "")
        if reply.status != 206:
            raise FailedError(
                f"GET of ranges: {len(self._wanted)} ranges were requested, the server sends the whole file."
            )

    def check(self) -> None:
        try:
            found = pieces(self._type, bytes(self._body))
        except ValueError as error:
            raise FailedError(f"GET of ranges: the answer cannot be read: {error}.") from None
        got = sum(len(piece.data) for piece in found)
        self._outcome.readv_got += got
        self._add(got)
        if sorted(map(_extent, found)) != sorted(self._wanted):
            raise FailedError(
                f"GET of ranges: {len(self._wanted)} ranges with {self._outcome.readv_asked} bytes were requested, "
                f"{len(found)} with {got} came."
            )
        for piece in found:
            self._right.take(piece.offset, piece.data)


def _extent(piece: Piece) -> tuple[int, int]:
    return piece.offset, len(piece.data)


def _upload(doing: str, url: str, seed: int, size: int, sent: Callable[[int], None] = lambda _: None) -> Errand:
    """An errand that sends `size` bytes of the content of `seed`. `sent` is called with every number of bytes."""
    data = content(seed)
    at = 0

    def give(most: int) -> bytes:
        nonlocal at
        if not most:
            at = 0
            return b""
        begin = at % len(data)
        part = data[begin : begin + min(most, size - at)]
        at += len(part)
        sent(len(part))
        return part

    return Errand(doing, "PUT", url, give=give, size=size)


def offered_adler32(digest: str) -> str:
    """The adler32 in a ``Digest`` header, as eight hexadecimal digits; empty if it has none. Pure."""
    for part in digest.split(","):
        name, _, value = part.strip().partition("=")
        if name.lower() == "adler32" and 0 < len(value) <= 8 and not set(value.lower()) - set("0123456789abcdef"):
            return value.lower().rjust(8, "0")
    return ""
