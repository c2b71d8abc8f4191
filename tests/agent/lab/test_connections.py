"""Connections of another process are cut; the process goes on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from agent.lab import connections
from agent.lab.errors import LabError

SERVER = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    connection.sendall(b"hello")
    print(len(connection.recv(1)), flush=True)
"""


@pytest.fixture
def server() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_both_ends_notice_and_the_server_goes_on(server: subprocess.Popen[str]) -> None:
    assert server.stdout is not None
    port = int(server.stdout.readline())
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            assert client.recv(5) == b"hello"
            assert connections.cut(server.pid, port) == 1
            assert client.recv(5) == b""
            assert server.stdout.readline() == "0\n"
    assert connections.cut(server.pid, port + 1 if port < 65535 else 1) == 0
    assert server.poll() is None


def test_a_process_that_is_gone_has_none() -> None:
    with subprocess.Popen(["true"]) as process:
        pass
    assert connections.cut(process.pid, 1) == 0


def test_what_the_kernel_forbids_is_said(server: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> int:
        import ctypes

        ctypes.set_errno(1)
        return -1

    assert server.stdout is not None
    port = int(server.stdout.readline())
    monkeypatch.setattr(connections, "_libc", type("Libc", (), {"syscall": staticmethod(refuse)}))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        assert client.recv(5) == b"hello"
        with pytest.raises(LabError, match=f"does not allow the lab to cut a connection \\({os.strerror(1)}\\)"):
            connections.cut(server.pid, port)
