"""HTTP requests: with a real XRootD server, and with one that does what a broken one does."""

from __future__ import annotations

import socket
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest

from agent.host import version
from agent.messages import Auth, Protocol, Request, Workload
from agent.workloads import http as http_module
from agent.workloads.answers import Answers
from agent.workloads.credentials import Kept
from agent.workloads.curl import Line, Trust, load_curl
from agent.workloads.http import HttpClient, _upload, offered_adler32, user_agent, wanted_ranges
from agent.workloads.outcome import FailedError, Outcome, StoppedError
from agent.workloads.plan import content
from tests.agent.workloads.webserver import reply, serving

MIB = 1024 * 1024


class Run:
    """A client with what it remarks and counts."""

    def __init__(self, auth: Auth | None = None, timeout: float = 20.0) -> None:
        self.remarks: list[str] = []
        self.bytes = 0
        self.stop = threading.Event()
        self.answers = Answers()
        kept = Kept(auth or Auth())
        self.client = HttpClient(timeout, kept.trust, self.answers, lambda key, text: self.remarks.append(text))

    def perform(self, workload: Workload, request: Request) -> Outcome:
        def add(size: int) -> None:
            self.bytes += size

        return self.client.perform(workload, request, self.stop, add)


def request(url: str, path: str = "/f", size: int = 1000, tag: str = "tagaaaaa", *, own: bool = False) -> Request:
    return Request(tag, 0, url, path, size, 7, 0, own)


def failed(url: str, workload: Workload | None = None, **changes: Any) -> tuple[str, int]:
    run = Run(timeout=changes.pop("timeout", 20.0))
    outcome = run.perform(workload or Workload(), request(url, **changes))
    assert not outcome.ok
    return outcome.error, outcome.status


# ---------------------------------------------------------------- a real server


@pytest.mark.xrootd
@pytest.mark.parametrize("protocol", ["http", "https"])
def test_each_kind_of_request_with_a_real_server(xrootd: Any, protocol: Protocol) -> None:
    run = Run(Auth(xrootd.ca))
    path = f"/store/http/{protocol}"
    xrootd.add(path, 3 * MIB + 1)
    one = request(xrootd.url, path, 3 * MIB + 1)
    whole = run.perform(Workload("full", protocol=protocol, verify=True), one)
    assert (whole.ok, whole.read_asked, whole.read_got, whole.read_ops) == (True, 3 * MIB + 1, 3 * MIB + 1, 1)
    assert (whole.server, run.bytes) == (xrootd.url.partition("://")[2], 3 * MIB + 1)
    assert 0 < whole.phases.connect < 20
    assert (whole.phases.tls > 0) is (protocol == "https")
    assert 0 < whole.phases.first <= whole.t_close - whole.t_open + 1
    part = run.perform(Workload("range", bytes=2 * MIB, protocol=protocol), one)
    assert (part.ok, part.read_asked, part.read_got, part.readv_asked) == (True, 2 * MIB, 2 * MIB, 0)
    assert (part.phases.connect, part.phases.tls) == (0.0, 0.0), "the connection is kept"
    several = run.perform(Workload("vector", chunks=100, bytes=1000, protocol=protocol), one)
    assert (several.ok, several.readv_asked, several.readv_got, several.read_asked) == (True, 100_000, 100_000, 0)
    assert several.readv_ops == 1


@pytest.mark.xrootd
def test_small_and_empty_files(xrootd: Any) -> None:
    run = Run()
    xrootd.add("/store/http/one", 1)
    xrootd.add("/store/http/none", 0)
    for kind in ("full", "range", "vector"):
        one = run.perform(Workload(kind, protocol="http"), request(xrootd.url, "/store/http/one", 1))
        assert (one.ok, one.read_asked, one.readv_asked) == (True, 1, 0), "a single range is a plain read"
        none = run.perform(Workload(kind, protocol="http"), request(xrootd.url, "/store/http/none", 0))
        assert (none.ok, none.read_asked, none.read_got) == (True, 0, 0)


@pytest.mark.xrootd
def test_names_with_everything_that_a_url_has_a_meaning_for(xrootd: Any) -> None:
    run = Run()
    for name in ("a b", "a%20b", "a#b", "ä€", "a+b&c", "'\"<>"):
        content_there = xrootd.add(f"/store/http/{name}", 10)
        outcome = run.perform(Workload(protocol="http", verify=True), request(xrootd.url, f"/store/http/{name}", 10))
        assert (outcome.ok, outcome.error) == (True, ""), name
        assert len(content_there) == outcome.read_got


@pytest.mark.xrootd
def test_a_new_file_is_written_and_removed(xrootd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run()
    seen: list[bytes] = []
    path = "/store/http-write/tagaaaaa/new"
    delete = run.client._delete

    def look(line: Any, address: Any, gone: str, server: str) -> str:
        if gone == path:
            seen.append((xrootd.root / gone.lstrip("/")).read_bytes())
        return delete(line, address, gone, server)

    monkeypatch.setattr(run.client, "_delete", look)
    outcome = run.perform(Workload("write", bytes=2 * MIB + 5, protocol="http"), request(xrootd.url, path, 0))
    assert (outcome.ok, outcome.written, outcome.write_ops, run.bytes) == (True, 2 * MIB + 5, 1, 2 * MIB + 5)
    assert seen == [(content(7) * 3)[: 2 * MIB + 5]]
    assert not (xrootd.root / "store/http-write/tagaaaaa").exists()
    assert run.remarks == []


@pytest.mark.xrootd
def test_a_file_of_ones_own_is_there_before_the_request_and_gone_after_it(xrootd: Any) -> None:
    run = Run(Auth(xrootd.ca))
    one = request(xrootd.url, "/store/own/tagaaaaa/f", 12_345, own=True)
    workload = Workload("full", protocol="https", verify=True)
    run.client.prepare(workload, one, run.stop)
    there = xrootd.root / "store/own"
    assert [path.name for path in there.iterdir()] == ["tagaaaaa"], "no draft is left"
    outcome = run.perform(workload, one)
    assert (outcome.ok, outcome.read_got) == (True, 12_345)
    assert list(there.iterdir()) == []


@pytest.mark.xrootd
def test_a_file_of_ones_own_that_may_not_be_written(xrootd: Any) -> None:
    run = Run()
    (xrootd.root / "closed").mkdir(mode=0o555, exist_ok=True)
    with pytest.raises(FailedError, match="write its own file: 403 Forbidden"):
        run.client.prepare(Workload(protocol="http"), request(xrootd.url, "/closed/tagaaaaa/f", own=True), run.stop)


@pytest.mark.xrootd
def test_what_fails_at_a_real_server(xrootd: Any) -> None:
    xrootd.add("/store/http/short", 10)
    http = xrootd.over("http")
    error, status = failed(http, path="/store/http/nothing")
    assert (status, error[:24]) == (404, "GET: 404 Not Found: Unab")
    assert failed(http, path="/store/http/short", size=11) == ("GET: the file has 10 bytes, the catalogue says 11.", 0)
    xrootd.add("/store/there", 10)
    error, status = failed(http, Workload("write", bytes=5), path="/store/there/under")
    assert error.startswith("PUT: ")
    assert status >= 400


@pytest.mark.xrootd
def test_a_certificate_that_nobody_trusts(xrootd: Any) -> None:
    error, status = failed(xrootd.over("https"))
    assert error.startswith("GET: ")
    assert "certificate" in error
    assert status == 0


@pytest.mark.xrootd
def test_a_certificate_of_another_host(xrootd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(Auth(xrootd.ca))
    port = xrootd.url.rpartition(":")[2]
    outcome = run.perform(Workload(), request(f"https://127.0.0.2:{port}"))
    assert "127.0.0.2" in outcome.error
    assert not outcome.ok


# ---------------------------------------------------------------- a broken one


def test_the_tag_is_the_user_agent_and_has_one_connection() -> None:
    with serving(lambda c, first, headers: c.sendall(reply("200 OK", b"x" * 1000))) as server:
        run = Run()
        for tag in ("tagaaaaa", "tagbbbbb", "tagaaaaa"):
            assert run.perform(Workload(), request(server.url, tag=tag)).ok
    assert [agent for _, agent, _ in server.heard] == [
        f"tally/{version()} (tagaaaaa)", f"tally/{version()} (tagbbbbb)", f"tally/{version()} (tagaaaaa)",
    ]  # fmt: skip
    assert server.connections == 2
    assert user_agent("tagaaaaa") == f"tally/{version()} (tagaaaaa)"


def test_lines_that_are_not_used_for_longest_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "LINES", 2)
    with serving(lambda c, first, headers: c.sendall(reply("200 OK", b"x" * 1000))) as server:
        run = Run()
        for tag in ("tagaaaaa", "tagbbbbb", "tagccccc", "tagbbbbb", "tagaaaaa"):
            assert run.perform(Workload(), request(server.url, tag=tag)).ok
    assert server.connections == 4
    assert list(run.client._lines) == ["tagbbbbb", "tagaaaaa"]


def test_a_connection_that_was_closed_meanwhile_is_made_again() -> None:
    def once(connection: socket.socket, first: str, headers: dict[str, str]) -> None:
        connection.sendall(reply("200 OK", b"x" * 1000))
        connection.shutdown(socket.SHUT_RDWR)

    with serving(once) as server:
        run = Run()
        assert [run.perform(Workload(), request(server.url)).ok for _ in range(3)] == [True] * 3
    assert server.connections == 3


def test_a_transfer_that_is_cut() -> None:
    def cut(connection: socket.socket, first: str, headers: dict[str, str]) -> None:
        connection.sendall(reply("200 OK", b"x" * 400, content_length="1000"))
        connection.shutdown(socket.SHUT_RDWR)

    with serving(cut) as server:
        run = Run()
        outcome = run.perform(Workload(), request(server.url))
    assert not outcome.ok
    assert "broke the connection after 400 of 1000 bytes" in outcome.error
    assert (outcome.read_asked, outcome.read_got, run.bytes) == (1000, 400, 400)


@pytest.mark.parametrize("sent", [b"", b"x" * 10])
def test_a_server_that_sends_nothing_more(sent: bytes) -> None:
    def stall(connection: socket.socket, first: str, headers: dict[str, str]) -> None:
        if sent:
            connection.sendall(reply("200 OK", sent, content_length="1000"))
        connection.recv(1)  # until the other end gives up

    with serving(stall) as server:
        error, _ = failed(server.url, timeout=1.0)
    assert "sent nothing for 1 s" in error
    assert ("after 10 of 1000 bytes" in error) is bool(sent)


def test_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    error, status = failed(f"http://127.0.0.1:{port}")
    assert error.startswith("GET: ")
    assert status == 0


def test_a_stop_ends_a_transfer_within_a_second_or_two() -> None:
    run = Run()

    def never(connection: socket.socket, first: str, headers: dict[str, str]) -> None:
        connection.sendall(reply("200 OK", b"x", content_length="1000"))
        run.stop.set()
        connection.recv(1)

    with serving(never) as server:
        outcome = run.perform(Workload(), request(server.url))
    assert (outcome.ok, outcome.interrupted, outcome.error) == (False, True, "The job was stopped.")


def test_a_stop_before_ones_own_file_is_written() -> None:
    with serving(lambda c, first, headers: c.sendall(reply("201 Created"))) as server:
        run = Run()
        run.stop.set()
        with pytest.raises(StoppedError):
            run.client.prepare(Workload(), request(server.url, "/d/tagaaaaa/f", size=50 * MIB, own=True), run.stop)


def test_a_draft_that_cannot_be_moved_is_removed() -> None:
    def answer(connection: socket.socket, first: str, headers: dict[str, str]) -> None:
        connection.sendall(reply("409 Conflict", b"no") if first.startswith("MOVE") else reply("201 Created"))

    with serving(answer) as server:
        run = Run()
        with pytest.raises(FailedError, match="move its own file: 409 Conflict: no"):
            run.client.prepare(Workload(), request(server.url, "/d/tagaaaaa/f", own=True), run.stop)
    put, move, delete = server.lines()
    assert put.startswith("PUT /d/tally-")
    assert delete.split()[1] == move.split()[1] == put.split()[1]


@pytest.mark.parametrize(
    ("workload", "answer", "said"),
    [
        (Workload("range", bytes=10), reply("200 OK", b"x" * 1000), "the server sends the whole file"),
        (
            Workload("range", bytes=10),
            reply("206 Partial Content", b"x" * 10, content_range="bytes 0-9/1000"),
            "the server sends 10 bytes from 0 on",
        ),
        (Workload("vector", bytes=10), reply("200 OK", b"x" * 1000), "the server sends the whole file"),
        (
            Workload("vector", bytes=10),
            reply("206 Partial Content", b"x" * 10, content_range="bytes 0-9/1000"),
            "the answer cannot be read: its type is 'not given'",
        ),
        (
            Workload("vector", bytes=10),
            reply(
                "206 Partial Content",
                b"--b\r\nContent-Range: bytes 0-9/1000\r\n\r\n0123456789\r\n--b--\r\n",
                content_type="multipart/byteranges; boundary=b",
            ),
            "16 ranges with 160 bytes were requested, 1 with 10 came",
        ),
        (Workload(verify=True), reply("200 OK", b"x" * 1000, digest="adler32=00000001"), "wrong bytes: their adler32"),
        (Workload("long"), b"", "long does not exist over HTTP"),
        (Workload(), reply("302 Found"), "redirected the request to nowhere"),
        (Workload(), reply("302 Found", location="ftp://x/secret?authz=TOKEN"), "redirected the request to ftp://x/s"),
    ],
)  # fmt: skip
def test_answers_that_are_not_what_was_asked_for(workload: Workload, answer: bytes, said: str) -> None:
    with serving(lambda c, first, headers: c.sendall(answer)) as server:
        error, _ = failed(server.url, workload)
    assert said in error
    assert "TOKEN" not in error


def test_an_answer_that_ends_early_although_it_says_otherwise() -> None:
    def chunked(connection: socket.socket, first: str, headers: dict[str, str]) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n")

    with serving(chunked) as server:
        assert failed(server.url) == ("GET: the answer ends at byte 4, the catalogue says 1000.", 0)


def test_a_digest_that_was_not_asked_for_is_none() -> None:
    """5.5.3 repeats the one of an earlier answer, of another file even."""
    wrong = reply("200 OK", b"x" * 1000, digest="adler32=00000001")
    with serving(lambda c, first, headers: c.sendall(wrong)) as server:
        assert Run().perform(Workload(), request(server.url)).ok
    right = reply("200 OK", b"x" * 1000, digest=f"adler32={zlib.adler32(b'x' * 1000):x}")
    with serving(lambda c, first, headers: c.sendall(right)) as server:
        assert Run().perform(Workload(verify=True), request(server.url)).ok


def test_redirections_are_followed_and_name_the_server_that_was_reached() -> None:
    with serving(lambda c, first, headers: c.sendall(reply("200 OK", b"x" * 1000))) as data:

        def lead(connection: socket.socket, first: str, headers: dict[str, str]) -> None:
            connection.sendall(reply("307 Temporary", location=f"{data.url}/else"))

        with serving(lead) as manager:
            outcome = Run().perform(Workload(), request(manager.url))
    assert (outcome.ok, outcome.server) == (True, data.url.partition("://")[2])
    assert data.heard == [("GET /else HTTP/1.1", f"tally/{version()} (tagaaaaa)", "")]


def test_a_circle_of_redirections_ends() -> None:
    with serving(lambda c, first, headers: c.sendall(reply("307 T", location="/f"))) as server:
        error, _ = failed(server.url)
        assert len(server.heard) == 6
    assert "redirected more than 5 times" in error


def test_an_error_page_is_shown_in_one_line() -> None:
    with serving(lambda c, first, headers: c.sendall(reply("500 Oops", b"<p>\n  it\tbroke\n" + b"y" * 5000))) as server:
        error, status = failed(server.url)
    assert error.startswith("GET: 500 Oops: <p> it broke yyy")
    assert len(error) < 400
    assert status == 500


def test_what_could_not_be_removed_is_remarked() -> None:
    def answer(connection: socket.socket, first: str, headers: dict[str, str]) -> None:
        connection.sendall(reply("403 Forbidden") if first.startswith("DELETE") else reply("201 Created"))

    with serving(answer) as server:
        run = Run()
        assert run.perform(Workload("write", bytes=10), request(server.url)).ok
    assert len(run.remarks) == 1
    assert "could not be removed (403 Forbidden)" in run.remarks[0]


def test_waiting_for_more_of_an_answer_is_not_being_late(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run()
    told: list[float] = []
    heard = run.answers.heard

    def hear(thread: int, now: float) -> None:
        told.append(now)
        heard(thread, now)

    monkeypatch.setattr(run.answers, "heard", hear)
    with serving(lambda c, first, headers: c.sendall(reply("200 OK", b"x" * 1000))) as server:
        assert run.perform(Workload(), request(server.url)).ok
    assert told
    assert run.answers.calls == {}


# ---------------------------------------------------------------- arithmetic


def test_ranges_of_each_kind() -> None:
    def of(workload: Workload, size: int = 10 * MIB) -> list[tuple[int, int]] | None:
        return wanted_ranges(workload, request("http://s", size=size))

    assert of(Workload("full")) is None
    assert of(Workload("range"), 0) is None
    ((offset, size),) = of(Workload("range", bytes=3 * MIB + 1)) or []
    assert size == 3 * MIB + 1
    assert 0 <= offset <= 10 * MIB - size
    several = of(Workload("vector", chunks=3, bytes=5)) or []
    assert [size for _, size in several] == [5, 5, 5]
    assert len(set(several)) == 3


@pytest.mark.parametrize(
    ("header", "sum_"),
    [
        ("adler32=1a2b", "00001a2b"), ("md5=x, ADLER32=0000001A", "0000001a"), ("", ""), ("adler32=", ""),
        ("adler32=xyz", ""), ("adler32=123456789", ""), ("sha=abc", ""),
    ],
)  # fmt: skip
def test_the_digest_of_an_answer(header: str, sum_: str) -> None:
    assert offered_adler32(header) == sum_


def test_what_is_trusted(tmp_path: Path) -> None:
    assert Kept(Auth("PEM")).trust.directory == ""
    assert Path(Kept(Auth("PEM")).trust.file).read_text() == "PEM"
    assert Kept(Auth()).trust != Trust("", "")


def test_a_request_that_takes_too_long_as_a_whole() -> None:
    def drip(connection: socket.socket, first: str, headers: dict[str, str]) -> None:
        connection.sendall(reply("200 OK", b"x", content_length="1000000"))
        while not over.wait(0.05):
            connection.sendall(b"x" * 100)

    over = threading.Event()
    client = HttpClient(20.0, Kept(Auth()).trust, Answers(), lambda key, text: None, request_timeout=1.0)
    with serving(drip) as server:
        outcome = client.perform(Workload(), request(server.url, size=1_000_000), threading.Event(), lambda size: None)
        over.set()
    assert not outcome.ok
    assert "took longer than 1 s (request_timeout) and is given up after " in outcome.error


def test_what_was_sent_is_sent_again_when_a_kept_connection_turns_out_to_be_closed() -> None:
    def closes_the_second(connection: socket.socket, first: str, headers: dict[str, str]) -> None:
        if len(server.heard) == 2:
            connection.shutdown(socket.SHUT_RDWR)
            raise OSError
        connection.sendall(reply("201 Created"))

    with serving(closes_the_second) as server:
        line = Line(load_curl(), "tagaaaaa", Trust("", ""), 20.0, Answers())
        for _ in range(2):
            assert line.exchange(_upload("PUT", f"{server.url}/f", 7, 3000), "s").status == 201
        line.close()
    assert (len(server.heard), server.connections) == (3, 2)
