"""HTTP to a provider: a server on loopback that misbehaves in the ways that are known."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gui.hub.signin import fetch
from gui.hub.signin.fetch import HttpClient, ProviderAwayError, Threads, check_address


@contextmanager
def answering(*parts: bytes, pause: float = 0.0) -> Iterator[tuple[str, list[bytes]]]:
    """A server that reads a request and sends these parts; its address, and what it was asked."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked.append(_request(connection))
                for part in parts:
                    try:
                        connection.sendall(part)
                    except OSError:
                        break
                    time.sleep(pause)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        listener.close()


def _request(connection: socket.socket) -> bytes:
    """A whole request: its body may come after its head."""
    whole = connection.recv(65536)
    while b"\r\n\r\n" not in whole or (b"POST" in whole and not whole.rpartition(b"\r\n\r\n")[2]):
        whole += connection.recv(65536)
    return whole


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def test_a_form_goes_and_json_comes() -> None:
    with answering(response(b'{"a": 1}')) as (url, asked):
        answer = HttpClient().post(url, {"code": "a b&c"}, headers={"Authorization": "Basic x"})
    assert (answer.status, answer.fields) == (200, {"a": 1})
    assert b"code=a+b%26c" in asked[0]
    assert b"Accept: application/json" in asked[0]


def test_a_redirect_is_not_followed() -> None:
    with (
        answering(response(b"{}")) as (elsewhere, asked),
        answering(response(b"", "302 Found", f"Location: {elsewhere}/steal")) as (url, _),
    ):
        answer = HttpClient().get(url, bearer="secret")
    assert (answer.status, answer.fields) == (302, {})
    assert asked == []


@pytest.mark.parametrize("body", [b"", b"not json", b"[" * 100_000, b"\xff\xfe", b'"text"', b"[1]"])
def test_what_is_no_object_has_no_fields(body: bytes) -> None:
    with answering(response(body)) as (url, _):
        assert HttpClient().get(url).fields == {}


def test_an_endless_answer() -> None:
    endless = answering(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 65536] * 64)
    with endless as (url, _), pytest.raises(ProviderAwayError, match="more than 1,048,576 bytes"):
        HttpClient().get(url)


def test_a_byte_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "ANSWER_SECONDS", 0.3)
    slow = answering(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x"] * 100, pause=0.05)
    with slow as (url, _), pytest.raises(ProviderAwayError, match=r"takes more than 0\.3 s"):
        HttpClient().get(url)


def test_one_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "STEP_SECONDS", 0.2)
    with answering(pause=5) as (url, _), socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(ProviderAwayError, match="timed out"):
            HttpClient().get(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ProviderAwayError):
            HttpClient().get(url)  # it closes without a word


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(ProviderAwayError, match=f"127.0.0.1:{port} cannot be reached"):
        HttpClient().get(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize(
    "url",
    ["http://idp.example/", "ftp://127.0.0.1/", "file:///etc/passwd", "https://", "https://a:b@idp.example", "x",
     "https://idp.example/#f", "https://idp.example:0/", "https://idp example/"],
)  # fmt: skip
def test_addresses_that_get_no_secrets(url: str) -> None:
    with pytest.raises(ValueError, match="expected https://HOST"):
        check_address(url, "The issuer")
    with pytest.raises(ProviderAwayError):
        HttpClient().get(url)


async def test_threads_hand_over_results_and_errors() -> None:
    threads = Threads()
    assert await threads.run(lambda a, b: a + b, 1, 2) == 3
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 / 0)
