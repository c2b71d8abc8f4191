import json
import os
import time
from types import SimpleNamespace

import jwt
import pytest
from prometheus_client import CollectorRegistry

from shoveler.cli import main
from shoveler.service import Address, Drop, Health, MonitorServer
from shoveler.spool.lock import SpoolLock
from shoveler.spool.values import Books, Draft
from shoveler.spool.writer import Spool


@pytest.fixture
def spool(tmp_path):
    lock = SpoolLock(tmp_path)
    with Spool(tmp_path, reserve=0, tail=False) as opened:
        draft = Draft(arrived=time.time() - 60)
        for n in range(10):
            draft.add("192.0.2.7:1", b"%d" % n, "f", False)
        opened.commit(draft, Books())
        yield opened
    lock.close()


@pytest.fixture
def monitor():
    health = Health()
    with MonitorServer(Address("127.0.0.1", 0), CollectorRegistry(), health) as server:
        yield server, health


def status(capsys, *argv):
    code = main(["status", *argv])
    return code, capsys.readouterr().out


def test_all_is_well(spool, monitor, tmp_path, capsys):
    server, _ = monitor
    code, out = status(capsys, "--spool", str(tmp_path), "--metrics", str(server.address))
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"ok    process: running as process {os.getpid()}"
    assert lines[1] == f"ok    health: ok, according to {server.address}"
    assert lines[2].startswith("ok    spool: 10 received = 0 confirmed + 10 in the spool (")
    assert lines[2].endswith("the oldest 60 s old")
    assert lines[3] == "ok    losses: in the last 5 minutes: none"
    assert lines[4].startswith("ok    disk: ")
    assert lines[5] == "all is well"


def test_for_programs(spool, tmp_path, capsys):
    code, out = status(capsys, "--spool", str(tmp_path), "--json")
    found = json.loads(out)
    assert (code, found["ok"]) == (0, True)
    assert found["checks"]["spool"]["facts"]["spooled"] == 10
    assert found["checks"]["process"]["facts"]["running"] is True


def test_nothing_there(tmp_path, capsys):
    code, out = status(capsys, "--spool", str(tmp_path / "none"), "--metrics", "127.0.0.1:1")
    assert code == 1
    assert [line.split()[0] for line in out.splitlines()] == ["FAIL", "FAIL", "FAIL", "failed:"]
    assert out.splitlines()[-1] == "failed: process, health, spool"
    assert not (tmp_path / "none").exists(), "looking changes nothing"


def test_a_shoveler_that_ended(tmp_path, capsys):
    SpoolLock(tmp_path).close()
    Spool(tmp_path, reserve=0).close()
    code, out = status(capsys, "--spool", str(tmp_path))
    assert code == 1
    assert f"FAIL  process: no shoveler is running on the spool {tmp_path}" in out
    SpoolLock(tmp_path).close()  # looking has not locked it


def test_what_the_daemon_says_of_itself_counts(spool, monitor, tmp_path, capsys):
    server, health = monitor
    health.problem("bus", "cannot reach the broker")
    code, out = status(capsys, "--spool", str(tmp_path), "--metrics", str(server.address))
    assert code == 1
    assert "FAIL  health: bus: cannot reach the broker" in out


@pytest.mark.parametrize(
    ("token", "ok", "text"),
    [
        (-100, False, " s ago"),
        (600, True, "which is soon"),
        (90_000, True, "expires in"),
        ("opaque", True, "does not say when it expires"),
        ("", False, "is empty"),
        (None, False, "cannot read"),
    ],
)
def test_a_failed_check_is_never_followed_by_success(spool, tmp_path, capsys, token, ok, text):
    """Peer weakness G30: a failed token check is followed by Success."""
    path = tmp_path / "token"
    if isinstance(token, int):
        token = jwt.encode({"exp": int(time.time()) + token}, "k" * 32)
    if token is not None:
        path.write_text(token)
    code, out = status(capsys, "--spool", str(tmp_path), "--bus-token-file", str(path))
    assert (code == 0) is ok
    assert text in out
    assert ("all is well" in out) is ok


def test_books_that_do_not_balance(spool, tmp_path, capsys):
    spool._db.execute("UPDATE spool SET received = 11")
    code, out = status(capsys, "--spool", str(tmp_path))
    assert code == 1
    assert "the books do not balance: 11 received ≠ 0 confirmed + 10" in out


def test_datagrams_that_wait_for_long_are_not_well(spool, tmp_path, capsys):
    """Without a health page to ask, nothing else shows that the bus is away."""
    spool._db.execute("UPDATE blocks SET arrived = arrived - 300")
    code, out = status(capsys, "--spool", str(tmp_path))
    assert code == 1
    assert "FAIL  spool: the bus is behind, or accepts nothing: 10 received = 0 confirmed + 10 in the spool" in out


def test_a_spool_at_its_cap(spool, tmp_path, capsys):
    spool._db.execute("UPDATE spool SET size = ?", (2 << 20,))
    code, out = status(capsys, "--spool", str(tmp_path), "--spool-max-bytes", "1MiB")
    assert code == 1
    assert "full, new datagrams are dropped" in out


def lost(seconds_ago, **books):
    t = time.time() - seconds_ago
    return Books(drops=[Drop(listen="0.0.0.0:9993", t_from=t - 1, t_to=t, count=7)] if "drops" in books else [],
                 refused_from=t - 1, refused_to=t)  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "seconds_ago", "ok", "text"),
    [
        (
            "disk_full",
            4,
            False,
            "FAIL  losses: in the last 5 minutes: 3 refused (the disk was full), the newest 4 s ago",
        ),
        ("spool_full", 4, False, "3 refused (the spool was at its cap), the newest 4 s ago"),
        (
            "short",
            4,
            True,
            "ok    losses: in the last 5 minutes: 3 refused (too short for a header), the newest 4 s ago",
        ),
        ("disk_full", 400, True, "in the last 5 minutes: none"),
    ],
)
def test_what_is_refused_now_is_not_well(spool, tmp_path, capsys, reason, seconds_ago, ok, text):
    """It said "all is well" with a full disk and 18,287 refused datagrams."""
    books = lost(seconds_ago)
    for _ in range(3):
        books.reject("192.0.2.7:1", reason)
    spool.commit(None, books)
    code, out = status(capsys, "--spool", str(tmp_path))
    assert (code == 0) is ok
    assert text in out
    assert ("all is well" in out) is ok


@pytest.mark.parametrize(("seconds_ago", "ok"), [(4, False), (400, True)])
def test_what_the_kernel_drops_now_is_not_well(spool, tmp_path, capsys, seconds_ago, ok):
    spool.commit(None, lost(seconds_ago, drops=True))
    code, out = status(capsys, "--spool", str(tmp_path))
    assert (code == 0) is ok
    assert ("7 dropped by the kernel: the receive buffer was full" in out) is not ok


def test_a_full_disk_is_not_well(spool, tmp_path, capsys, monkeypatch):
    (tmp_path / "reserve").write_bytes(b"x")
    sizes = dict.fromkeys(
        ("f_bsize", "f_blocks", "f_bfree", "f_files", "f_ffree", "f_favail", "f_flag", "f_namemax"), 0
    )
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=10, f_frsize=4096, **sizes))
    code, out = status(capsys, "--spool", str(tmp_path))
    assert code == 1
    assert "FAIL  disk: full, or nearly: 40.0 KiB are free for" in out
    (tmp_path / "reserve").write_bytes(bytes(1 << 20))
    assert status(capsys, "--spool", str(tmp_path), "--spool-reserve", "1MiB")[0] == 0, "it still has its reserve"


def test_something_else_answers(spool, tmp_path, capsys):
    import http.server
    import threading

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        code, out = status(capsys, "--spool", str(tmp_path), "--metrics", f"127.0.0.1:{server.server_port}")
        thread.join()
    assert code == 1
    assert "is not a shoveler" in out
