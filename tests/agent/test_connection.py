"""Joining, what refusals mean, trust, and coming back. Against a real websocket server (see conftest)."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from agent import connection, keys
from agent.connection import AwayError, RefusedError, Session, Trust, join, parse_hub, stay
from agent.messages import (
    Ask,
    CredentialError,
    FromHub,
    Goodbye,
    Heartbeat,
    Notice,
    Register,
    Welcome,
)

KEY = "the shared key of the tests, long enough"
DETAILS = Register(role="client", version="1", host="h", name="c1", journal="j1")


class Idle:
    """A role that does nothing but note what it is told."""

    def __init__(self) -> None:
        self.welcomes: list[Welcome] = []
        self.obeyed: list[FromHub] = []
        self.attending = 0

    def details(self) -> Register:
        return DETAILS

    def heartbeat(self) -> Heartbeat:
        return Heartbeat(time.time())

    def welcomed(self, welcome: Welcome) -> None:
        self.welcomes.append(welcome)

    async def attend(self, session: Session) -> None:
        self.attending += 1
        await session.send(Notice("info", "here", 1.0))
        await asyncio.get_running_loop().create_future()

    async def obey(self, message: FromHub, session: Session) -> None:
        self.obeyed.append(message)


def token(key: str = KEY) -> str:
    return keys.Credentials("c1", "client", key=key).token()


async def joined(hub: Any, *, pin: str = "", ca_file: Path | None = None, key: str = KEY) -> Session:
    address = parse_hub(hub.url, insecure=True)
    return await join(address, Trust(address, pin=pin, ca_file=ca_file), token(key), DETAILS)


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("text", "insecure", "url"),
    [
        ("wss://hub.example.org:8765", False, "wss://hub.example.org:8765"),
        ("https://hub.example.org/", False, "wss://hub.example.org:8765"),
        (" hub.example.org:443 ", False, "wss://hub.example.org:443"),
        ("hub.example.org", True, "wss://hub.example.org:8765"),
        ("[2001:db8::1]:8765", False, "wss://[2001:db8::1]:8765"),
        ("ws://127.0.0.1:80", True, "ws://127.0.0.1:80"),
        ("ws://[::1]:80", True, "ws://[::1]:80"),
        ("localhost:80", True, "ws://localhost:80"),
        ("127.0.0.1:80", False, "wss://127.0.0.1:80"),
        ("wss://127.0.0.1:80", True, "wss://127.0.0.1:80"),
    ],
)
def test_addresses(text: str, insecure: bool, url: str) -> None:
    assert parse_hub(text, insecure=insecure).url == url


@pytest.mark.parametrize(
    ("text", "insecure", "sentence"),
    [
        (
            "ws://127.0.0.1:80",
            False,
            "is not encrypted; use wss://, or --insecure if the hub runs on this machine",
        ),
        ("ws://hub.example.org:80", True, "hub.example.org is another machine, and without TLS anybody on the network"),
        ("ws://10.0.0.1:80", True, "10.0.0.1 is another machine"),
        ("ftp://hub", False, "The hub's address is wss://HOST:PORT, not 'ftp://hub'"),
        ("", False, "The hub's address is wss://HOST:PORT, not ''"),
        ("hub:port", False, "The hub's address 'hub:port' is not valid"),
        ("wss://hub/agent", False, "The hub's address is wss://HOST:PORT"),
    ],
)
def test_addresses_that_will_not_do(text: str, insecure: bool, sentence: str) -> None:
    with pytest.raises(CredentialError) as caught:
        parse_hub(text, insecure=insecure)
    assert sentence in str(caught.value)


# ---------------------------------------------------------------- joining


async def test_two_steps_and_a_welcome(hub: Any) -> None:
    session = await joined(hub)
    assert session.welcome.public_id == "public"
    assert session.welcome.journal == "j1"
    ((claims, register),) = hub.registrations
    assert (claims["sub"], claims["scope"], claims["exp"] - claims["iat"]) == ("c1", "agent:client", 300)
    assert register == DETAILS
    await session.close(1000, "")


async def test_a_wrong_key_is_for_a_person_to_mend(hub: Any) -> None:
    with pytest.raises(
        RefusedError, match="The hub refused the token; give this agent the hub's current key"
    ) as caught:
        await joined(hub, key="x" * 40)
    assert caught.value.wait is None
    assert "bad token" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "sentence", "wait"),
    [
        (401, "The hub refused the token; give this agent the hub's current key or a new join string.", None),
        (403, "The hub does not let this agent in. It says: ", 10.0),
        (429, "The hub has refused this address too often and makes it wait; trying again in 60 s.", 60.0),
        (426, "This hub uses another version of the protocol; install the same release of agent and hub", None),
    ],
)
async def test_refusals_are_one_sentence_and_say_what_to_do(
    hub: Any, status: int, sentence: str, wait: float | None
) -> None:
    hub.refuse = (status, "Because the tests want it.\n\x1b[31mred\n")
    with pytest.raises(RefusedError) as caught:
        await joined(hub)
    assert str(caught.value).startswith(sentence)
    assert str(caught.value).endswith("It says: Because the tests want it. [31mred")
    assert (caught.value.wait, caught.value.status) == (wait, status)


@pytest.mark.parametrize(("again", "wait"), [("7", 7.0), ("900", 60.0), ("soon", 10.0)])
async def test_who_is_kept_out_for_a_time_asks_again_and_does_not_give_up(hub: Any, again: str, wait: float) -> None:
    hub.refuse = (403, "An operator has disconnected this agent until 14:05:00.")
    hub.refuse_headers = {"Retry-After": again}
    with pytest.raises(RefusedError, match=r"until 14:05:00\.") as caught:
        await joined(hub)
    assert caught.value.wait == wait
    assert (caught.value.status == 403) == (again == "soon"), "six refusals with 403 end an agent"


@pytest.mark.parametrize("status", [404, 500, 502, 503])
async def test_other_answers_are_worth_another_try(hub: Any, status: int) -> None:
    hub.refuse = (status, "")
    with pytest.raises(AwayError, match=f"answered with HTTP status {status} instead of a session"):
        await joined(hub)


async def test_a_wrong_clock_is_named(hub: Any) -> None:
    hub.refuse = (401, "The token is expired.")
    hub.refuse_headers = {"Date": formatdate(time.time() - 3600, usegmt=True)}
    with pytest.raises(
        RefusedError, match=r"this machine's clock is 3[56]\d\d s ahead of the hub's: set the clock"
    ) as e:
        await joined(hub)
    assert e.value.wait == 60.0


async def test_a_hub_that_says_goodbye_at_once(hub_double: Any) -> None:
    class Full(hub_double):
        async def _handle(self, one: Any) -> None:
            await one.recv()
            await one.send(connection.encode(Goodbye("no room", again=self.again)).decode())  # type: ignore[attr-defined]

    for again, wait in ((True, 60.0), (False, None)):
        Full.again = again
        async with Full().up() as hub:
            with pytest.raises(RefusedError, match="The hub does not register this agent: no room") as caught:
                await joined(hub)
            assert caught.value.wait == wait


async def test_nobody_there() -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    address = parse_hub(f"ws://127.0.0.1:{port}", insecure=True)
    with pytest.raises(AwayError, match="cannot be reached: "):
        await join(address, Trust(address), token(), DETAILS)


async def test_a_port_that_accepts_and_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "OPEN_SECONDS", 0.2)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        address = parse_hub(f"ws://127.0.0.1:{s.getsockname()[1]}", insecure=True)
        with pytest.raises(AwayError, match="did not answer within"):
            await join(address, Trust(address), token(), DETAILS)


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b""])
async def test_something_else_than_a_hub(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        address = parse_hub(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", insecure=True)
        with pytest.raises(AwayError):
            await join(address, Trust(address), token(), DETAILS)


# ---------------------------------------------------------------- trust


async def test_a_pinned_hub_is_trusted_whatever_its_name(hub_double: Any, certificate: Callable[..., Any]) -> None:
    pem, pin = certificate("some-other-name")
    async with hub_double().up(pem) as hub:
        address = parse_hub(hub.url, insecure=False)
        trust = Trust(address, pin=pin.upper().replace("SHA256", "sha256"))
        for _ in range(2):
            session = await join(address, trust, token(), DETAILS)
            await session.close(1000, "")
        assert len(hub.registrations) == 2


async def test_no_token_reaches_a_hub_with_another_key(hub_double: Any, certificate: Callable[..., Any]) -> None:
    _, pin = certificate("right")
    wrong, wrong_pin = certificate("wrong")
    async with hub_double().up(wrong) as hub:
        with pytest.raises(RefusedError, match=f"shows another key .{wrong_pin}. than the pin says; nothing was sent"):
            await joined(hub, pin=pin)
        assert hub.registrations == []


async def test_the_pin_is_looked_at_on_a_connection_that_sends_nothing(
    certificate: Callable[..., Any], eventually: Any
) -> None:
    pem, _ = certificate("wrong")
    heard = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heard.append(await reader.read())
        except OSError:
            heard.append(b"")
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        address = parse_hub(f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}", insecure=False)
        with pytest.raises(RefusedError, match="shows another key"):
            await join(address, Trust(address, pin="sha256:" + "0" * 64), token(), DETAILS)
        await eventually(lambda: heard, "end of the connection")
    assert heard == [b""]


async def test_a_renewed_certificate_with_the_same_pin_is_fetched_again(
    hub_double: Any, certificate: Callable[..., Any]
) -> None:
    pem, pin = certificate("one")
    other, other_pin = certificate("two")
    hub = hub_double()
    async with hub.up(pem):
        address = parse_hub(hub.url, insecure=False)
        trust = Trust(address, pin=pin)
        await (await join(address, trust, token(), DETAILS)).close(1000, "")
    async with hub.up(other):
        with pytest.raises(AwayError, match="has changed its certificate"):
            await join(address, trust, token(), DETAILS)
        with pytest.raises(RefusedError, match=f"shows another key .{other_pin}."):
            await join(address, trust, token(), DETAILS)
    async with hub.up(pem):
        await (await join(address, trust, token(), DETAILS)).close(1000, "")


async def test_without_a_pin_a_ca_must_vouch(hub_double: Any, certificate: Callable[..., Any]) -> None:
    pem, _ = certificate("hub")
    async with hub_double().up(pem) as hub:
        with pytest.raises(RefusedError, match=r"is not trusted .*; give the hub's pin with --pin, or the CA"):
            await joined(hub)
        assert hub.registrations == []


async def test_an_operators_own_ca(hub_double: Any, certificate: Callable[..., Any]) -> None:
    pem, _ = certificate("localhost")
    async with hub_double().up(pem) as hub:
        address = parse_hub(f"wss://localhost:{hub.port}", insecure=False)
        session = await join(address, Trust(address, ca_file=pem), token(), DETAILS)
        await session.close(1000, "")


def test_trust_that_cannot_be_used(tmp_path: Path) -> None:
    address = parse_hub("wss://hub", insecure=False)
    with pytest.raises(CredentialError, match="A pin is"):
        Trust(address, pin="sha256:12")
    with pytest.raises(CredentialError, match=r"The CA file .* cannot be used"):
        Trust(address, ca_file=tmp_path / "none.pem")


# ---------------------------------------------------------------- staying


async def staying(hub: Any, role: Idle, waits: list[float], **options: Any) -> str:
    """`stay` with waits that are only noted."""
    address = parse_hub(hub.url, insecure=True)

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    return await stay(address, Trust(address), token, role, sleep=sleep, **options)


async def test_heartbeats_come_whatever_the_role_does(hub: Any, linked: Any) -> None:
    class Busy(Idle):
        async def obey(self, message: FromHub, session: Session) -> None:
            await asyncio.get_running_loop().create_future()

    async with linked(hub, Busy(), "c1", "client"):
        await hub.in_session()
        await hub.say(Ask("report"))
        for beats in (1, 2, 3):
            await hub.until(lambda n=beats: sum(isinstance(m, Heartbeat) for m in hub.received) > n, "heartbeat")


async def test_the_clock_question_is_answered_at_once(hub: Any, linked: Any) -> None:
    role = Idle()
    async with linked(hub, role, "c1", "client"):
        await hub.next(Heartbeat)
        count = len(hub.received)
        await hub.say(Ask("time"))
        await hub.until(lambda: len(hub.received) > count, "answer")
    assert role.obeyed == []


async def test_it_comes_back_after_a_cut(hub: Any, linked: Any) -> None:
    role = Idle()
    async with linked(hub, role, "c1", "client") as state:
        await hub.in_session()
        hub.cut()
        await hub.until(lambda: hub.sessions == 2 and hub.sockets, "second session")
        await hub.until(lambda: role.attending == 2, "second attendance")
        assert state.connected
        assert state.sessions == 2
    assert len(role.welcomes) == 2


async def test_it_waits_for_a_hub_that_is_not_there_yet(hub_double: Any, linked: Any, eventually: Any) -> None:
    hub = hub_double()
    async with hub.up():
        pass
    async with linked(hub, Idle(), "c1", "client") as state:
        await eventually(lambda: "cannot be reached" in state.sentence, "failure")
        assert not state.connected
        async with hub.up():
            await hub.in_session()


async def test_waits_grow_and_are_spread(hub_double: Any, eventually: Any) -> None:
    hub = hub_double()
    async with hub.up():
        pass
    waits: list[float] = []
    task = asyncio.get_running_loop().create_task(staying(hub, Idle(), waits), name="stay")
    await eventually(lambda: len(waits) >= 12, "waits")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert all(0 < wait <= 15 for wait in waits)
    assert waits[0] <= 2
    assert len(set(waits)) == len(waits)


async def test_a_goodbye_for_good_ends_it(hub: Any) -> None:
    waits: list[float] = []
    task = asyncio.get_running_loop().create_task(staying(hub, Idle(), waits), name="stay")
    await hub.in_session()
    await hub.say(Goodbye("This agent was revoked.", again=False))
    assert await task == "The hub ended the session for good: This agent was revoked."
    assert waits == []


async def test_a_goodbye_until_later_does_not(hub: Any, linked: Any) -> None:
    async with linked(hub, Idle(), "c1", "client"):
        await hub.in_session()
        await hub.say(Goodbye("the hub is being stopped"))
        await hub.until(lambda: hub.sessions == 2, "second session")


async def test_a_message_that_is_none_begins_the_session_anew(
    hub: Any, linked: Any, caplog: pytest.LogCaptureFixture
) -> None:
    role = Idle()
    async with linked(hub, role, "c1", "client"):
        await hub.in_session()
        await hub.sockets[-1].send('{"type":"run","command":"rm -rf /"}')
        await hub.until(lambda: hub.sessions == 2, "second session")
    assert role.obeyed == []
    assert "sent an invalid message" in caplog.text


async def test_a_name_in_use_is_waited_for_but_not_for_ever(hub: Any) -> None:
    hub.refuse = (403, "The name c1 is in use.")
    waits: list[float] = []
    assert "The name c1 is in use." in await staying(hub, Idle(), waits)
    assert waits == [10.0] * 5


async def test_a_used_up_invitation_is_not_tried_again(hub: Any) -> None:
    hub.refuse = (403, "The invitation is used up; ask for a new one.")
    waits: list[float] = []
    assert "used up" in await staying(hub, Idle(), waits, patient=lambda: False)
    assert waits == []


async def test_too_many_refusals_are_waited_out(hub: Any, eventually: Any) -> None:
    hub.refuse = (429, "")
    waits: list[float] = []
    task = asyncio.get_running_loop().create_task(staying(hub, Idle(), waits), name="stay")
    await eventually(lambda: len(waits) >= 3, "waits")
    hub.refuse = None
    await hub.in_session()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert waits[:3] == [60.0] * 3


async def test_secrets_are_not_in_the_log(hub: Any, linked: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with linked(hub, Idle(), "c1", "client"):
        await hub.next(Heartbeat)
    ours = [record.getMessage() for record in caplog.records if record.name != "websockets.server"]  # the double's
    assert any("> Heartbeat" in text for text in ours)
    for secret in (KEY, "secret", "eyJ", "Bearer"):
        assert not [text for text in ours if secret in text]
