"""Remote windows and commands: the feed for observers, commands for operators."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from agent.messages import MAX_MESSAGE, Finding, Goodbye, Notice, Registered, ServerReport, encode
from gui.hub.feed import Feed
from gui.hub.keys import new_key
from gui.hub.operate import (
    MAX_UNDER_WAY,
    Command,
    CommandRefusedError,
    OperatorWelcome,
    Part,
    Query,
    RegisterOperator,
    Reply,
    decode_to_operator,
)
from gui.hub.roster import public_id
from gui.hub.sessions import FORGET_SECONDS

HELLO = RegisterOperator(host="desk", version="1")


class Operator:
    """An operator's connection, spoken by hand."""

    def __init__(self, agent: Any) -> None:
        self.socket = agent.socket

    async def say(self, message: Any) -> None:
        await self.socket.send(message if isinstance(message, str) else encode(message), text=True)

    async def hear(self, kind: type, topic: str = "") -> Any:
        """The next message of a kind; feeds of other topics are passed over."""
        async with asyncio.timeout(60):
            while True:
                message = decode_to_operator(await self.socket.recv())
                if isinstance(message, kind) and (not topic or message.topic == topic):
                    return message
                assert isinstance(message, Feed), message


@pytest.fixture
async def key(place: Any) -> Any:
    """A key for observers and operators that the hub knows."""
    return put_key(place)


def put_key(place: Any) -> Any:
    made = new_key(["observer", "operator"], place.clock.now, sub="anna")
    place.store.put_key(made)
    return made


async def operator(place: Any, key: Any, scope: str) -> Operator:
    token = place.token(key=key.secret, kid=key.kid, sub="anna", scope=scope)
    client_id = await place.register(token, HELLO)
    session = Operator(await place.open(f"/operate?client_id={client_id}"))
    welcome = await session.hear(OperatorWelcome)
    assert (welcome.public_id, welcome.hub_time) == (public_id(key.kid, "anna"), place.clock.now)
    assert welcome.may == scope.split()
    return session


def rows(feed: Feed) -> dict[str, Any]:
    return {key: msgspec.json.decode(raw) for key, raw in feed.put.items()}


async def test_an_observer_sees_agents_and_progress(place: Any, key: Any) -> None:
    watching = await operator(place, key, "observer")
    assert await watching.hear(Feed, "agents") == Feed(topic="agents", put={}, gone=[], first=True)
    _, welcome = await place.join("c1", host="worker-7")
    agent = rows(await watching.hear(Feed, "agents"))[welcome.public_id]
    assert (agent["name"], agent["host"], agent["state"]) == ("c1", "worker-7", "up")
    assert "report" not in agent, "that is in a topic of its own"

    for read in range(1, 101):
        place.hub.topics.publish("run", lambda read=read: {"run": {"read": read}})
    assert rows(await watching.hear(Feed, "run"))["run"]["read"] == 100, "only the newest is sent"


async def test_an_observer_asks_for_results_in_parts(place: Any, key: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("gui.hub.operate.PART", 10)

    async def answerer(query: Query) -> bytes:
        if query.what == "plan":
            raise CommandRefusedError(f"There is no run {query.run}.")
        return b'{"runs": [1, 2, 3, "\xc3\xa4\xc3\xb6"]}'

    watching = await operator(place, key, "observer")
    await watching.say(Query(id=1, what="runs"))
    assert "no results" in (await watching.hear(Reply)).text
    place.hub.answerer = answerer
    await watching.say(Query(id=2, what="runs"))
    texts = []
    while (part := await watching.hear(Part)).more:
        texts.append(part.text)
    assert len(texts) == 2
    assert msgspec.json.decode("".join([*texts, part.text])) == {"runs": [1, 2, 3, "äö"]}
    await watching.say(Query(id=3, what="plan", run=9))
    assert await watching.hear(Reply) == Reply(id=3, ok=False, text="There is no run 9.")


async def test_what_is_not_answered_yet_is_bounded(place: Any, key: Any) -> None:
    go_on = asyncio.Event()

    async def answerer(query: Query) -> bytes:
        await go_on.wait()
        return b"[]"

    place.hub.answerer = answerer
    watching = await operator(place, key, "observer")
    for number in range(MAX_UNDER_WAY + 1):
        await watching.say(Query(id=number, what="runs"))
    refused = await watching.hear(Reply)
    assert (refused.id, refused.ok) == (MAX_UNDER_WAY, False)
    go_on.set()
    assert {(await watching.hear(Part)).id for _ in range(MAX_UNDER_WAY)} == set(range(MAX_UNDER_WAY))


async def test_an_observer_may_not_command_a1_a2_a12(place: Any, key: Any) -> None:
    asked: list[Command] = []

    async def conductor(command: Command, by: str) -> Any:
        asked.append(command)

    place.hub.conductor = conductor
    watching = await operator(place, key, "observer")
    await watching.say(Command(id=7, do="run", plan="x"))
    reply = await watching.hear(Reply)
    assert (reply.id, reply.ok) == (7, False)
    assert "look on only" in reply.text
    assert asked == []


async def test_an_operator_runs_and_may_stop_meanwhile(place: Any, key: Any) -> None:
    stopped = asyncio.Event()

    async def conductor(command: Command, by: str) -> Any:
        if command.do == "run":
            await stopped.wait()
            return {"plan": command.plan}
        stopped.set()
        return None

    place.hub.conductor = conductor
    acting = await operator(place, key, "operator")
    await acting.say(Command(id=1, do="run", plan="the plan"))
    await acting.say(Command(id=2, do="stop"))
    replies = {reply.id: reply for reply in [await acting.hear(Reply), await acting.hear(Reply)]}
    assert replies[1].value == {"plan": "the plan"}
    assert replies[2].ok


async def test_a_refused_command_says_why(place: Any, key: Any) -> None:
    acting = await operator(place, key, "observer operator")
    await acting.say(Command(id=1, do="run"))
    assert "runs no campaigns" in (await acting.hear(Reply)).text

    async def conductor(command: Command, by: str) -> Any:
        raise CommandRefusedError("Not today.")

    place.hub.conductor = conductor
    await acting.say(Command(id=2, do="abort"))
    assert (await acting.hear(Reply)) == Reply(id=2, ok=False, text="Not today.")


async def test_operators_invite_drain_disconnect_and_revoke(place: Any, key: Any) -> None:
    acting = await operator(place, key, "operator")
    agent, welcome = await place.join("c1")
    await acting.say(Command(id=1, do="drain", agent=welcome.public_id))
    assert (await acting.hear(Reply)).ok
    assert (await agent.hear()).what == "drain"
    await acting.say(Command(id=2, do="revoke", agent=welcome.public_id))
    assert "shared key" in (await acting.hear(Reply)).text
    await acting.say(Command(id=3, do="disconnect", agent=welcome.public_id))
    assert (await acting.hear(Reply)).ok
    assert isinstance(await agent.hear(), Goodbye)
    await acting.say(Command(id=4, do="disconnect", agent="nobody"))
    assert not (await acting.hear(Reply)).ok
    await acting.say(Command(id=5, do="invite", role="server", ttl=60, uses=2))
    assert (await acting.hear(Reply)).value["join"]
    (issued,) = place.store.invitations()
    assert (issued.role, issued.uses) == ("server", 2)
    await acting.say(Command(id=6, do="invite", uses=0))
    assert not (await acting.hear(Reply)).ok


async def test_who_revoked_an_agent_from_elsewhere_is_kept(place: Any, key: Any) -> None:
    issued, _ = await place.hub.invite("client")
    bearer = place.token(key=issued.secret, kid=issued.id, sub="join", scope="join")
    agent = await place.open(f"/agent?client_id={await place.register(bearer, place.details(name='c2'))}")
    personal = (await agent.hear()).personal_key.kid
    acting = await operator(place, key, "operator")
    (view,) = (view for view in place.hub.roster.agents if view.name == "c2")
    await acting.say(Command(id=1, do="revoke", agent=view.id))
    assert (await acting.hear(Reply)).ok
    (entry,) = (entry for entry in place.store.audit if entry.what == "revoked")
    assert (entry.who, entry.text) == (personal, f"by operator anna on desk with key {key.kid}")


@pytest.mark.parametrize(
    "text", ["{", '{"type":"command"}', '{"type":"command","id":-1,"do":"run"}', encode(HELLO).decode()]
)
async def test_a_bad_message_ends_that_session(place: Any, key: Any, text: str) -> None:
    acting = await operator(place, key, "operator")
    await acting.say(text)
    assert "could not be taken" in (await acting.hear(Goodbye)).reason


async def test_agents_and_operators_do_not_take_each_others_doors(place: Any, key: Any) -> None:
    client_id = await place.register(place.token(key=key.secret, kid=key.kid, sub="anna", scope="operator"), HELLO)
    assert (await place.refused(f"/agent?client_id={client_id}"))[0] == 403
    client_id = await place.register()
    assert (await place.refused(f"/operate?client_id={client_id}"))[0] == 403
    agent = await place.open("/register", f"Bearer {place.token()}")
    await agent.say(HELLO)
    assert isinstance(await agent.hear(), Goodbye)
    agent = await place.open(
        "/register", f"Bearer {place.token(key=key.secret, kid=key.kid, sub='anna', scope='observer')}"
    )
    await agent.say(place.details())
    assert not isinstance(await agent.hear(), Registered)


async def test_a_revoked_operator_is_shown_out(place: Any, key: Any) -> None:
    acting = await operator(place, key, "operator")
    await place.hub._keyring.revoke(key.kid)
    assert await acting.hear(Goodbye) == Goodbye(reason="the key was revoked", again=False)


async def test_stopping_says_goodbye_to_operators(mortal_place: Any) -> None:
    key = put_key(mortal_place)
    acting = await operator(mortal_place, key, "operator")
    await mortal_place.stop()
    assert (await acting.hear(Goodbye)).again


async def test_nine_agents_with_the_largest_reports_do_not_end_remote_operation(place: Any, key: Any) -> None:
    """Whatever agents say, each message of the feed is far below the limit of a message, and all of it arrives."""
    worst = "\x01" * 2000  # six bytes each in JSON
    finding = Finding("error", worst, worst, fixed=worst, file="\x01" * 4096)
    report = ServerReport(t=1.0, server="root://s", monitor_line=worst, findings=[finding] * 60)
    assert 3_500_000 < len(encode(report)) < MAX_MESSAGE
    watching = await operator(place, key, "observer")
    ids = []
    for number in range(9):
        agent, welcome = await place.join(f"s{number}", role="server", labels=["x" * 64] * 32, host="\x01" * 256)
        ids.append(welcome.public_id)
        await agent.say(report)
        for _ in range(60):
            await agent.say(Notice("info", worst, 1.0))
    told: dict[str, dict[str, Any]] = {}
    noticed: dict[str, int] = {}
    async with asyncio.timeout(60):
        while len(told) < 9 or list(noticed.values()) != [8] * 9:
            raw = await watching.socket.recv(decode=False)
            assert len(raw) < MAX_MESSAGE / 2
            message = decode_to_operator(raw)
            if isinstance(message, Feed) and message.topic == "reports":
                for key, row in rows(message).items():
                    told.setdefault(key, {}).update(row)
            if isinstance(message, Feed) and message.topic == "notices":
                noticed |= {agent_id: len(row["notices"]) for agent_id, row in rows(message).items()}
    assert set(told) == {f"{agent_id} root://s" for agent_id in ids}
    assert "more findings are left out" in told[f"{ids[0]} root://s"]["findings"][-1]["what"]
    await watching.say(Query(id=1, what="runs"))
    assert (await watching.hear(Reply)).id == 1


async def test_ghosts_leave_the_roster_and_the_feed(place: Any, key: Any) -> None:
    watching = await operator(place, key, "observer")
    client, welcome = await place.join("pod-7f9")
    server, _ = await place.join("s1", role="server")
    while welcome.public_id not in (await watching.hear(Feed, "agents")).put:
        pass
    for agent in (client, server):
        await agent.socket.close()
    await place.until(lambda: all(not view.live for view in place.hub.roster.agents))
    place.clock.advance(FORGET_SECONDS["client"] - 1)
    place.hub.check_heartbeats()
    assert len(place.hub.roster.agents) == 2, "who is away for less than an hour is missing"
    place.clock.advance(2)
    place.hub.check_heartbeats()
    assert [view.name for view in place.hub.roster.agents] == ["s1"]
    gone: list[str] = []
    while welcome.public_id not in gone:
        gone += (await watching.hear(Feed, "agents")).gone
    place.clock.advance(FORGET_SECONDS["server"])
    place.hub.check_heartbeats()
    assert place.hub.roster.agents == ()


async def test_one_key_has_a_bounded_number_of_sessions(place: Any, key: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("gui.hub.operators.MAX_OF_KEY", 2)
    first = await operator(place, key, "observer")
    await operator(place, key, "operator")
    token = place.token(key=key.secret, kid=key.kid, sub="anna", scope="observer")
    third = Operator(await place.open(f"/operate?client_id={await place.register(token, HELLO)}"))
    goodbye = await third.hear(Goodbye)
    assert "This key has 2 sessions" in goodbye.reason
    assert goodbye.again
    await first.socket.close()
    await place.until(lambda: len(place.hub._operators) == 1)
    await operator(place, key, "observer")


async def test_nothing_is_taken_of_an_operator_who_is_being_shown_out(place: Any, key: Any) -> None:
    asked: list[Command] = []

    async def conductor(command: Command, by: str) -> Any:
        asked.append(command)

    place.hub.conductor = conductor
    acting = await operator(place, key, "operator")
    (session,) = place.hub._operators._live
    session._ending = True  # the Goodbye is on its way
    await acting.say(Command(id=1, do="abort"))
    await acting.say(Command(id=2, do="abort"))
    await place.hub._keyring.revoke(key.kid)
    assert not (await acting.hear(Goodbye)).again
    assert asked == []
