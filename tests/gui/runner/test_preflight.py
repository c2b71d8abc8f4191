"""The checklist before a big run."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import jwt
import msgspec
import pytest

from agent.messages import CatalogueFile, Finding, LabFault, LabState, Probe, Probed, ServerReport
from gui.campaign.planfile import parse_plan
from gui.hub import AgentView
from gui.runner.checklist import ITEMS, Check, checklist_text, in_order, items_of, kept, verdict
from gui.runner.preflight import Preflight, preflight
from shoveler.bus import Outgoing
from shoveler.service import CollectorStatus, ShovelerStatus, encode_status, routing_key
from shoveler.service.status import ShovelerSender
from shoveler.service.tasks import start_task
from tests.gui.runner.test_lab import STATE, write

PLAN = """
name = "p"
[[test]]
servers = ["root://127.0.0.1:1094", "root://127.0.0.1:1095"]
files_per_server = 10
per_round = 10
[test.files]
list = "files.txt"
"""
FILES = "/store/a 7\n/store/b 7\n"


async def look(stage: Any, text: str = PLAN, files: str = FILES) -> dict[str, Check]:
    return {check.name: check async for check in preflight(stage.workspace, parse_plan(text), files=files)}


def hear(stage: Any, free: int = 2**40, **received: int) -> None:
    """The shoveler tells how many datagrams it has had of each server (by port)."""
    now = time.time()
    senders = {f"127.0.0.1:{port[1:]}": ShovelerSender(received=count) for port, count in received.items()}
    message = ShovelerStatus(id="sp", started=1.0, t=now, host="h", version="1", senders=senders, spool_free=free)
    stage.monitoring._statuses.send([Outgoing(encode_status(message), f"x{now}", routing_key(message))])
    stage.monitoring._statuses.outcomes(5)


async def test_all_is_well(stage: Any) -> None:
    async with stage.open() as workspace:
        (c1,) = await stage.join("c1", on_probe=lambda: hear(stage, p1=6, p2=6))
        await stage.until(lambda: workspace.bus.status_state.connected)  # what is told before nobody hears
        hear(stage, p1=5, p2=5)
        await stage.until(lambda: workspace.records_state.connected and workspace.members())
        checks = await look(stage)
        assert {check.name: check.state for check in checks.values() if check.state != "ok"} == {
            "clients": "failed",
            "config": "skipped",
            "ttl": "skipped",
        }
        assert "no XRootD client library" in checks["clients"].text, "the agents of these tests have none"
        assert checks["answers"].text.startswith("2 servers, XRootD v5.7; slowest 127.0.0.1:109")
        assert (checks["answers"].figure, checks["queue"].figure) == ("2 of 2", "0 waiting")
        assert checks["spool"].figure == "1.0 TiB"
        assert checks["sizes"].text == "4 files checked on 2 servers; all as stated."
        assert checks["datagrams"].text == "Datagrams of 2 servers reached a shoveler."
        assert checks["room"].text.startswith("20 requests take about ")
        assert workspace.store.runs() == []
        assert c1.requested == []


async def test_nothing_is_there(stage: Any) -> None:
    async with stage.open(bus=""):
        checks = await look(
            stage, PLAN.replace('servers = ["root://127.0.0.1:1094", "root://127.0.0.1:1095"]', "servers = 2")
        )
    assert {name: check.state for name, check in checks.items()} == {
        "bus": "failed",
        "queue": "skipped",
        "clients": "failed",
        "clocks": "skipped",
        "load": "skipped",
        "servers": "failed",
        "files": "skipped",
        "answers": "skipped",
        "sizes": "skipped",
        "datagrams": "skipped",
        "ttl": "skipped",
        "room": "skipped",
        "config": "skipped",
        "spool": "skipped",
    }
    assert all(check.text for check in checks.values())
    assert all(check.remedy for check in checks.values() if check.state == "failed")


async def test_files_that_differ_are_named(stage: Any) -> None:
    async with stage.open():
        await stage.join("c1")
        checks = await look(stage, files="/store/a 8\n/store/b 7\n")
    assert checks["sizes"].state == "failed"
    assert checks["sizes"].text == "2 of 4 checked files differ."
    assert checks["sizes"].details[0].endswith("/store/a has 7 bytes, not 8")


async def test_servers_that_do_not_answer(stage: Any) -> None:
    def answer(question: Probe) -> list[Probed]:
        if question.server.endswith("1095"):
            return [Probed(question.id, question.server, False, error="connection refused")]
        files = [CatalogueFile(path, None, "no such file") for path in question.paths]
        return [Probed(question.id, question.server, True, "v5", files=files)]

    async with stage.open():
        await stage.join("c1", answer=answer)
        checks = await look(stage)
    assert checks["answers"].state == "failed"
    assert checks["answers"].details == ("127.0.0.1:1095 (root://127.0.0.1:1095): connection refused",)
    assert "is not there (no such file)" in checks["sizes"].details[0]


async def test_servers_that_are_not_heard_of(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gui.runner.preflight.DATAGRAM_SECONDS", 0.3)
    async with stage.open() as workspace:
        await stage.join("c1", on_probe=lambda: hear(stage, p1=6, p2=5))
        await stage.until(lambda: workspace.bus.status_state.connected)  # what is told before nobody hears
        hear(stage, p1=5, p2=5)
        await stage.until(lambda: workspace.members())
        checks = await look(stage)
    assert checks["datagrams"].state == "warning"
    assert checks["datagrams"].figure == "1 of 2"
    assert checks["datagrams"].text == "No datagrams of 1 of 2 servers arrived within 0.3 s."
    assert "check-config" in checks["datagrams"].remedy


async def test_on_a_lab_nobody_is_sent_to_add_an_agent(stage: Any) -> None:
    async with stage.open() as workspace:
        away = await look(stage)
        assert [fix.text for fix in away["clients"].fixes] == ["Add an agent"]
        workspace.lab = STATE
        workspace.local_clients = object()
        starting = await look(stage)
        assert [fix.kind for fix in starting["clients"].fixes] == ["again"]
        assert "are being started" in starting["clients"].remedy
        workspace.local_clients = None
        assert "--local-clients" in (await look(stage))["clients"].remedy
        await stage.join("c1")
        checks = await look(stage)
    assert (checks["config"].state, checks["config"].fixes) == ("skipped", ())
    assert "written the configuration of its servers itself" in checks["config"].text
    for found in (starting, checks):
        assert not any("agent" in fix.text for check in found.values() for fix in check.fixes)


async def test_a_fault_that_is_still_on_is_found_with_what_ends_it(stage: Any, tmp_path: Any) -> None:
    def lab(*faults: LabFault) -> LabState:
        state = msgspec.structs.replace(STATE, directory=str(tmp_path), active=list(faults))
        write(tmp_path, state)
        return state

    async with stage.open() as workspace:
        assert "lab" not in await look(stage), "there is no lab"
        workspace.lab = lab()
        assert (await look(stage))["lab"].state == "ok"
        lab(LabFault("udp-loss", 5.0, time.time() + 90, text="40 % of all datagrams are lost"))
        check = (await look(stage))["lab"]
        assert (check.state, check.figure) == ("warning", "1 on")
        assert check.text.startswith("udp-loss that no run here began is still on, until ")
        assert check.remedy == f"End it: tally-agent lab fault udp-loss --percent 0 --dir {tmp_path}."
        assert [(fix.kind, fix.value) for fix in check.fixes] == [("end", "udp-loss"), ("again", "")]
        lab(LabFault("kill-shoveler", 5.0, time.time() + 9))
        assert [fix.kind for fix in (await look(stage))["lab"].fixes] == ["again"]
        (tmp_path / "state.json").unlink()
        assert (await look(stage))["lab"].state == "failed"


async def test_clocks_and_load(stage: Any) -> None:
    async with stage.open() as workspace:
        await stage.join("c1", clock=5.0, cpu=95.0)
        await stage.until(lambda: (workspace.hub.roster.agents[0].clock_offset or 0) > 4)
        checks = await look(stage)
    assert checks["clocks"].details == ("c1: +5.0 s",)
    assert checks["load"].details == ("c1: 95 % of a core",)


async def test_plans_that_take_long_or_too_much(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    long = PLAN + '[test.workload]\nkind = "long"\nreads = 3\npause = "20h"\n'
    async with stage.open():
        checks = await look(stage, long)
    assert checks["ttl"].state == "warning"
    assert checks["room"].state == "failed"


def remember(stage: Any, ttl: float | None) -> None:
    """A collector tells how long it remembers an open file."""
    message = CollectorStatus(id="c", started=1.0, t=time.time(), host="h", version="1", ttl=ttl)
    stage.monitoring._statuses.send([Outgoing(encode_status(message), "c1", routing_key(message))])
    stage.monitoring._statuses.outcomes(5)


@pytest.mark.parametrize(
    ("ttl", "state", "figure"), [(86_400.0, "warning", "24h"), (200_000.0, "ok", "200000s"), (None, "warning", "")]
)
async def test_what_collectors_remember_is_what_they_say(stage: Any, ttl, state: str, figure: str) -> None:
    long = PLAN + '[test.workload]\nkind = "long"\nreads = 3\npause = "20h"\n'
    async with stage.open() as workspace:
        await stage.join("c1")
        await stage.until(lambda: workspace.bus.status_state.connected)
        remember(stage, ttl)
        await stage.until(workspace.members)
        check = (await look(stage, long))["ttl"]
    assert (check.state, check.figure) == (state, figure)


async def test_a_spool_without_room_is_named(stage: Any) -> None:
    async with stage.open() as workspace:
        await stage.until(lambda: workspace.bus.status_state.connected)
        hear(stage, free=1000, p1=5)
        await stage.until(workspace.members)
        check = (await look(stage))["spool"]
    assert check.state == "failed"
    assert check.details == ("sp on h: 1,000 B",)


def beside(workspace: Any, port: int, *findings: Finding) -> None:
    """An agent beside a server has read its configuration."""
    url = f"root://127.0.0.1:{port}"
    report = ServerReport(t=time.time(), server=url, answering=True, findings=list(findings))
    workspace.hub.roster.put(
        AgentView(f"a{port}", "k", f"a{port}", "server", "up", servers=(url,), reports={url: report})
    )


async def test_what_is_wrong_with_a_configuration_comes_with_the_line_and_a_way_out(stage: Any) -> None:
    async with stage.open() as workspace:
        beside(workspace, 1094, Finding("info", "could be shorter"))
        beside(workspace, 1095, Finding("error", "fstat without xfr", "no close is sent", 3, "xrootd.monitor all …"))
        check = (await look(stage))["config"]
    assert (check.state, check.figure) == ("failed", "1 of 2")
    assert check.text == "a1095: fstat without xfr (no close is sent)."
    assert check.line == "xrootd.monitor all …"
    assert [(fix.kind, fix.text) for fix in check.fixes] == [
        ("copy", "Copy fixed line"),
        ("go", "Show in Fleet"),
        ("plan", "Leave a1095 out"),
    ]
    assert check.fixes[1].place == {"server": "root://127.0.0.1:1095"}
    assert check.fixes[2].plan is not None
    assert check.fixes[2].plan.tests[0].servers == ("a1094",)


async def test_a_warning_of_a_configuration_is_no_failure_and_what_was_not_seen_is_said(stage: Any) -> None:
    async with stage.open() as workspace:
        beside(workspace, 1094, Finding("warning", "long flush"))
        check = (await look(stage))["config"]
        assert (check.state, check.figure) == ("warning", "0 of 1")
        assert check.text == "a1094: long flush; 1 without an agent was not looked at."


async def test_servers_that_do_not_answer_can_be_left_out(stage: Any) -> None:
    def answer(question: Probe) -> list[Probed]:
        return [Probed(question.id, question.server, not question.server.endswith("1095"), "v5", error="")]

    async with stage.open():
        await stage.join("c1", answer=answer)
        check = (await look(stage))["answers"]
    assert (check.state, check.figure) == ("failed", "1 of 2")
    assert check.fixes[1].plan is not None
    assert check.fixes[1].plan.tests[0].servers == ("root://127.0.0.1:1094",)


async def test_clients_that_nobody_knows_are_named_and_those_that_are_up_can_be_used(stage: Any) -> None:
    async with stage.open():
        await stage.join("c1")
        await stage.join("c2")
        check = (await look(stage, PLAN + '[test.who]\nclients = ["c1", "c9"]\n'))["clients"]
        assert check.text == "There is no client 'c9' (the nearest is 'c2')."
        (fix,) = check.fixes
        assert fix.text == "Use the 2 that are up"
        assert fix.plan is not None
        assert fix.plan.tests[0].who.clients == ("c1", "c2")
        waiting = (await look(stage, PLAN + "[test.who]\nclients = 3\n"))["clients"]
        assert waiting.text == "Waiting for 3 clients; 2 ready."


async def test_one_line_is_looked_at_again_with_what_it_needs(stage: Any) -> None:
    async with stage.open():
        (agent,) = await stage.join("c1", cpu=95.0)
        preflight = Preflight(stage.workspace, parse_plan(PLAN), files=FILES)
        first = {found.name: found async for found in preflight.look() if isinstance(found, Check)}
        assert first["load"].state == "warning"
        agent.cpu = 5.0
        found = [one async for one in preflight.look(["load"])]
    assert [(type(one).__name__, one.name) for one in found] == [
        ("Item", "clients"), ("Check", "clients"), ("Item", "load"), ("Check", "load"),
    ]  # fmt: skip


async def test_tokens_are_looked_at_beforehand(stage: Any, tmp_path: Any) -> None:
    now = time.time()
    long = PLAN.replace("per_round = 10", 'per_round = 1\nwait = "1h"')
    plan = parse_plan(long.replace("[test.files]", '[test.auth]\ntoken_file = "token"\n[test.files]'))
    assert "auth" not in {item.name for item in items_of(parse_plan(PLAN))}

    async def said(token: str) -> Check:
        (tmp_path / "token").write_text(token)
        preflight = Preflight(stage.workspace, plan, files=FILES, directory=tmp_path)
        return [one async for one in preflight.look(["auth"]) if isinstance(one, Check)][-1]

    async with stage.open():
        await stage.join("c1")
        lasts = jwt.encode({"sub": "alice", "aud": "https://s", "exp": now + 86_400}, "x" * 32)
        good, soon, old, none = [
            await said(token)
            for token in (
                lasts,
                jwt.encode({"sub": "alice", "exp": now + 1800}, "x" * 32),
                jwt.encode({"sub": "alice", "exp": now - 600}, "x" * 32),
                "hunter2",
            )
        ]
    assert (good.state, good.text) == ("ok", "Token of alice, for https://s.")
    assert (soon.state, old.state, none.state) == ("warning", "failed", "failed")
    assert "the plan takes at least 9" in soon.text
    assert old.text.startswith("The token ended at ")
    assert none.text == "The file token has no bearer token (a JWT: three parts with dots between them, nothing else)."


async def test_looking_can_be_stopped_and_begun_again(stage: Any) -> None:
    gate = asyncio.Event()
    async with stage.open() as workspace:
        await stage.join("c1", answer=lambda question: [] if not gate.is_set() else found_all(question))
        preflight = Preflight(workspace, parse_plan(PLAN), files=FILES)
        seen: list[str] = []

        async def watch() -> None:
            async for found in preflight.look():
                seen.extend([found.name])

        task = start_task(watch(), "look")
        await stage.until(lambda: seen and seen[-1] == "answers")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()
        again = {found.name: found async for found in preflight.look(["sizes"]) if isinstance(found, Check)}
        assert again["sizes"].state == "ok"


def found_all(question: Probe) -> list[Probed]:
    files = [CatalogueFile(path, 7) for path in question.paths]
    return [Probed(question.id, question.server, True, "v5", files=files)]


def test_lines_need_only_lines_before_them_and_texts_say_each_once() -> None:
    names = [item.name for item in ITEMS]
    for place, item in enumerate(ITEMS):
        assert set(item.needs) <= set(names[:place])
        assert item.explain.endswith(".")
    assert [item.name for item in in_order(["sizes"], ITEMS)] == ["clients", "servers", "files", "answers", "sizes"]
    assert "faults" not in {item.name for item in items_of(parse_plan(PLAN))}


def test_the_checklist_in_words() -> None:
    checks = [
        Check("a", "A", "ok", "Fine.", figure="2 of 2"),
        Check("b", "B", "skipped", "Nobody knows."),
        Check("c", "C", "warning", "Hm.", "Look there.", ("one: bad",), line="fixed line"),
    ]
    assert verdict(checks) == "1 of 3 ok, 1 to look at, 1 not checked."
    assert verdict([*checks, Check("d", "D", "failed", "No.")]) == "1 check of 4 failed."
    text = checklist_text(checks)
    assert "not checked  B" in text
    assert "→ Look there." in text
    assert text.splitlines()[-1].strip() == "fixed line"
    assert kept(checks)[1] == {"name": "B", "state": "not checked", "found": "Nobody knows."}


# ---------------------------------------------------------------- over HTTP

OVER_HTTP = PLAN.replace("per_round = 10", 'per_round = 10\nprotocol = "https"')


def of_version(version: str, unwritable: str = "") -> Any:
    def answer(question: Probe) -> list[Probed]:
        files = [CatalogueFile(path, 7) for path in question.paths]
        why = unwritable if question.write else ""
        return [Probed(question.id, question.server, True, version, files=files, unwritable=why)]

    return answer


async def test_newer_servers_are_recognised_by_the_user_agent(stage: Any) -> None:
    async with stage.open():
        await stage.join("c1", answer=of_version("v5.8.1"))
        checks = await look(stage, OVER_HTTP)
    assert (checks["identity"].state, checks["identity"].text) == ("ok", "By the User-Agent at 2 servers.")
    assert checks["clients"].text == "1 of 1 clients have no libcurl."
    assert checks["clients"].remedy == "Install it there: pip install 'xrootd-tally[http]'."
    assert "slowest 127.0.0.1:1094 over https" in checks["answers"].text or "1095 over https" in checks["answers"].text


async def test_older_servers_are_recognised_by_files_that_may_be_written_there(stage: Any) -> None:
    async with stage.open():
        await stage.join("c1", answer=of_version("v5.5.3"))
        checks = await look(stage, OVER_HTTP)
    assert checks["identity"].state == "ok"
    assert checks["identity"].text == (
        "By the User-Agent at 0 servers; at 2 servers by files of the client's own, since they are older than 5.6.3."
    )


async def test_where_they_may_not_the_plan_cannot_run(stage: Any) -> None:
    async with stage.open():
        await stage.join("c1", answer=of_version("Apache/2", "405 Method Not Allowed"))
        checks = await look(stage, OVER_HTTP)
    assert (checks["identity"].state, checks["identity"].figure) == ("failed", "0 of 2")
    assert checks["identity"].text.startswith("127.0.0.1:1094 (Apache/2) reports nothing of a client over HTTP")
    assert "may not write to /store/write (405 Method Not Allowed)" in checks["identity"].text
    assert len(checks["identity"].details) == 1


async def test_a_mix_is_asked_at_each_of_its_doors(stage: Any) -> None:
    asked: list[tuple[str, int]] = []

    def answer(question: Probe) -> list[Probed]:
        asked.append((question.protocol, question.port))
        return of_version("v5.8.1")(question)

    mix = PLAN + '[[test.mix]]\n[[test.mix]]\nprotocol = "https"\nport = 8443\n[[test.mix]]\nkind = "long"\n'
    async with stage.open():
        await stage.join("c1", answer=answer)
        checks = await look(stage, mix)
    assert sorted(set(asked)) == [("https", 8443), ("root", 0)]
    assert checks["sizes"].text == "8 files checked on 2 servers; all as stated."
    assert checks["clients"].text == "1 of 1 clients have no XRootD client library."


def test_a_plan_that_never_uses_http_has_no_line_for_it() -> None:
    assert "identity" not in [item.name for item in items_of(parse_plan(PLAN))]
