"""How the XRootD client is used, with a double of it that fails when told to. Real servers: tests of the client."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from agent.messages import Request, Workload
from agent.workloads import access
from agent.workloads.access import Client, MissingClientError, limit_patience
from agent.workloads.answers import Answers
from agent.workloads.outcome import Outcome

MIB = 1024 * 1024
OK = SimpleNamespace(ok=True, code=0, errno=0, message="[SUCCESS] ")


def failed(message: str, *, code: int = 400, errno: int = 0) -> Any:
    return SimpleNamespace(ok=False, code=code, errno=errno, message=message + "\n")


class FakeXrootd:
    """Stands for XRootD.client. `faults` maps the name of a call to what it gives instead of success."""

    __version__ = "6.2.1"

    def __init__(self) -> None:
        self.faults: dict[str, Any] = {}
        self.calls: list[str] = []
        self.server = "tagaaaaa@ds7.example.org:1095"
        fake = self

        class File:
            def __init__(self) -> None:
                self.opened = False

            def open(self, url: str, flags: int, timeout: int) -> Any:
                result = fake.call("open", f"{url} {flags} {timeout}", None)
                self.opened = result[0].ok
                return result

            def read(self, offset: int, size: int, timeout: int) -> Any:
                return fake.call("read", f"{offset}+{size}", b"x" * size)

            def vector_read(self, chunks: list[tuple[int, int]], timeout: int) -> Any:
                got = [SimpleNamespace(buffer=b"x" * size) for _, size in chunks]
                return fake.call("vector_read", str(len(chunks)), SimpleNamespace(chunks=got))

            def write(self, data: bytes, offset: int, size: int, timeout: int) -> Any:
                assert len(data) == size
                return fake.call("write", f"{offset}+{size}", None)

            def close(self, timeout: int = 0) -> Any:
                return fake.call("close", "", None)

            def is_open(self) -> bool:
                return self.opened

            def get_property(self, name: str) -> str:
                assert self.opened, "a property that is not set costs the interpreter a reference to None"
                assert name == "DataServer"
                return fake.server

            def set_property(self, *_: object) -> None:
                raise AssertionError("File.set_property aborts Python 3.11 after some 150 calls")

        class FileSystem:
            def __init__(self, url: str) -> None:
                self.url = url

            def sendinfo(self, text: str, timeout: int) -> Any:
                return fake.call("sendinfo", f"{self.url} {text}", None)

            def rm(self, path: str, timeout: int) -> Any:
                return fake.call("rm", f"{self.url} {path}", None)

        self.File = File
        self.FileSystem = FileSystem

    def call(self, name: str, what: str, answer: Any) -> tuple[Any, Any]:
        self.calls.append(f"{name} {what}".strip())
        fault = self.faults.get(name)
        if isinstance(fault, Exception):
            raise fault
        if isinstance(fault, bytes):
            return OK, fault
        return (OK, answer) if fault is None else (fault, None)


@pytest.fixture
def xrootd(monkeypatch: pytest.MonkeyPatch) -> FakeXrootd:
    fake = FakeXrootd()
    flags = SimpleNamespace(OpenFlags=SimpleNamespace(READ=16, NEW=8, MAKEPATH=256))
    monkeypatch.setattr(access, "load_client", lambda: (fake, flags))
    monkeypatch.setattr(access, "limit_patience", lambda _: None)
    return fake


def request(path: str = "/f", size: int = 1000, server: str = "root://m.example.org:1094") -> Request:
    return Request("tagaaaaa", 0, server, path, size, 1)


class Run:
    """A client with what it remarks and counts."""

    def __init__(self) -> None:
        self.remarks: list[str] = []
        self.bytes = 0
        self.stop = threading.Event()
        self.client = Client(7.0, Answers(), lambda key, text: self.remarks.append(text))

    def perform(self, workload: Workload, one: Request) -> Outcome:
        def add(size: int) -> None:
            self.bytes += size

        return self.client.perform(workload, one, self.stop, add)


def test_one_request_call_by_call(xrootd: FakeXrootd) -> None:
    run = Run()
    outcome = run.perform(Workload("full"), request(size=MIB + 1))
    assert xrootd.calls == [
        "open root://tagaaaaa@m.example.org:1094//f 16 7",
        "sendinfo root://tagaaaaa@ds7.example.org:1095 tally:tagaaaaa",
        f"read 0+{MIB}",
        f"read {MIB}+1",
        "close",
    ]
    assert (outcome.ok, outcome.server, outcome.read_asked, outcome.read_got) == (
        True, "ds7.example.org:1095", MIB + 1, MIB + 1,
    )  # fmt: skip
    assert run.bytes == MIB + 1
    assert run.remarks == []


def test_the_tag_is_told_to_each_data_server_once(xrootd: FakeXrootd) -> None:
    run = Run()
    run.perform(Workload("full"), request("/a"))
    run.perform(Workload("full"), request("/b"))
    xrootd.server = "tagaaaaa@ds8.example.org:1095"
    run.perform(Workload("full"), request("/c"))
    told = [call for call in xrootd.calls if call.startswith("sendinfo")]
    assert told == [
        "sendinfo root://tagaaaaa@ds7.example.org:1095 tally:tagaaaaa",
        "sendinfo root://tagaaaaa@ds8.example.org:1095 tally:tagaaaaa",
    ]


def test_a_server_that_takes_no_application_info_fails_no_request(xrootd: FakeXrootd) -> None:
    xrootd.faults["sendinfo"] = failed("[ERROR] not supported", code=400)
    run = Run()
    assert run.perform(Workload("full"), request()).ok
    assert run.remarks == [
        "ds7.example.org:1095 did not accept the application info ([ERROR] not supported); its records will have the "
        "tag only as the user name."
    ]


@pytest.mark.parametrize(
    ("server", "path", "url"),
    [
        ("root://m:1094", "/a/b", "root://tagaaaaa@m:1094//a/b"),
        ("root://m:1094/", "a/b", "root://tagaaaaa@m:1094//a/b"),
        ("roots://somebody@m:1094", "/a", "roots://tagaaaaa@m:1094//a"),
        ("root://[2001:db8::1]:1094", "/a", "root://tagaaaaa@[2001:db8::1]:1094//a"),
        ("m:1094", "/a", "root://tagaaaaa@m:1094//a"),
    ],
)
def test_the_tag_is_the_user_in_the_url(xrootd: FakeXrootd, server: str, path: str, url: str) -> None:
    Run().perform(Workload("full"), request(path, server=server))
    assert xrootd.calls[0].split()[1] == url


def test_a_failed_open_is_over_at_once(xrootd: FakeXrootd) -> None:
    """V1: the status of the open was ignored."""
    xrootd.faults["open"] = failed("[ERROR] Server responded with an error: [3011] no such file", errno=3011)
    outcome = Run().perform(Workload("full"), request())
    assert len(xrootd.calls) == 1
    assert (outcome.ok, outcome.status, outcome.server) == (False, 3011, "")
    assert outcome.error == "open: [ERROR] Server responded with an error: [3011] no such file"


def test_a_failed_read_is_closed_all_the_same(xrootd: FakeXrootd) -> None:
    """V1: and a failed read ended the process."""
    xrootd.faults["read"] = failed("[ERROR] Operation expired", code=206)
    outcome = Run().perform(Workload("full"), request())
    assert xrootd.calls[-1] == "close"
    assert (outcome.ok, outcome.status, outcome.read_asked, outcome.read_got) == (False, 206, 1000, 0)
    assert outcome.error == "read: [ERROR] Operation expired"
    assert outcome.server == "ds7.example.org:1095"


def test_a_short_read_is_a_failure_with_what_came(xrootd: FakeXrootd) -> None:
    xrootd.faults["read"] = b"x" * 10
    outcome = Run().perform(Workload("full"), request())
    assert (outcome.ok, outcome.read_asked, outcome.read_got) == (False, 1000, 10)
    assert outcome.error == "read: the file ends at byte 10, the catalogue says 1000."


def test_past_the_end_a_server_has_exactly_the_rest_of_the_file(xrootd: FakeXrootd) -> None:
    class Ending:
        """A file of 1000 bytes."""

        def call(self, name: str, what: str, answer: Any) -> tuple[Any, Any]:
            if name == "read":
                offset = int(what.partition("+")[0])
                return OK, answer[: max(0, 1000 - offset)]
            return OK, answer

    xrootd.call = Ending().call  # type: ignore[method-assign]
    outcome = Run().perform(Workload("past_end", bytes=300), request())
    assert (outcome.ok, outcome.error, outcome.read_asked, outcome.read_ops) == (True, "", 600, 2)
    assert 0 <= outcome.read_got < 300


def test_more_than_the_file_has_is_a_failure(xrootd: FakeXrootd) -> None:
    outcome = Run().perform(Workload("past_end", bytes=300), request())
    assert not outcome.ok
    assert outcome.error.startswith("read: the file ends at byte 1")


@pytest.mark.parametrize("kind", ["full", "vector"])
def test_wrong_bytes_fail_the_request_under_that_name(xrootd: FakeXrootd, kind: Any) -> None:
    asked = msgspec.structs.replace(request(), check="content:7")
    outcome = Run().perform(Workload(kind, bytes=100, verify=True), asked)
    assert (outcome.ok, outcome.error[:22]) == (False, "wrong bytes: from byte")
    assert xrootd.calls[-1] == "close", "with the close the server reports what it has served"


def test_a_failed_close_is_a_failed_request(xrootd: FakeXrootd) -> None:
    xrootd.faults["close"] = failed("[FATAL] Socket error", code=102)
    outcome = Run().perform(Workload("full"), request())
    assert (outcome.ok, outcome.status, outcome.read_got) == (False, 102, 1000)


def test_a_file_that_the_client_gave_up_is_no_crash(xrootd: FakeXrootd) -> None:
    xrootd.faults["read"] = ValueError("I/O operation on closed file")
    outcome = Run().perform(Workload("full"), request())
    assert outcome.error == "read: the XRootD client cannot do it (I/O operation on closed file)."


def test_a_stop_between_two_reads(xrootd: FakeXrootd) -> None:
    run = Run()
    run.stop.set()
    outcome = run.perform(Workload("full"), request())
    assert [call.split()[0] for call in xrootd.calls] == ["open", "sendinfo", "close"]
    assert (outcome.ok, outcome.interrupted, outcome.read_asked) == (False, True, 0)


def test_a_stop_ends_a_pause(xrootd: FakeXrootd) -> None:
    run = Run()
    threading.Timer(0.05, run.stop.set).start()
    outcome = run.perform(Workload("long", bytes=10, reads=2, pause=600.0), request())
    assert (outcome.interrupted, outcome.read_got) == (True, 10)


def test_what_was_written_is_removed(xrootd: FakeXrootd) -> None:
    run = Run()
    outcome = run.perform(Workload("write", bytes=MIB + 1), request("/new"))
    assert xrootd.calls[0] == "open root://tagaaaaa@m.example.org:1094//new 264 7"
    assert xrootd.calls[-1] == "rm root://tagaaaaa@m.example.org:1094 /new"
    assert (outcome.ok, outcome.written, outcome.write_ops) == (True, MIB + 1, 2)

    xrootd.faults["rm"] = failed("[ERROR] permission denied")
    assert run.perform(Workload("write", bytes=1), request("/new2")).ok
    assert run.remarks == [
        "/new2 was written to m.example.org:1094 and could not be removed ([ERROR] permission denied)."
    ]


def test_a_file_that_could_not_be_made_is_not_removed(xrootd: FakeXrootd) -> None:
    """It may be somebody else's."""
    xrootd.faults["open"] = failed("[ERROR] file exists", errno=3006)
    Run().perform(Workload("write", bytes=1), request("/theirs"))
    assert [call.split()[0] for call in xrootd.calls] == ["open"]


@pytest.mark.parametrize(("timeout", "seconds"), [(0.2, "1"), (7.0, "7"), (30.4, "30")])
def test_patience_is_limited_where_calls_cannot(timeout: float, seconds: str) -> None:
    environ: dict[str, str] = {}
    limit_patience(timeout, environ)
    assert environ == {
        "XRD_CONNECTIONWINDOW": seconds,
        "XRD_CONNECTIONRETRY": "1",
        "XRD_STREAMERRORWINDOW": "0",
        "XRD_REQUESTTIMEOUT": seconds,
        "XRD_STREAMTIMEOUT": seconds,
        "XRD_TIMEOUTRESOLUTION": "1",
    }


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(access.importlib, "import_module", missing)  # type: ignore[attr-defined]
    with pytest.raises(MissingClientError, match="install it with: pip install"):
        access.load_client()
