"""Runs from plan to result: real hub, store and bus; agents and monitoring with faults dialled in."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from agent.messages import Awaited, Probe, Probed, Request, Sample, Silence
from gui.campaign import limits
from gui.models.environment import facts_of as shown
from gui.report import build, remarks_of, text_table
from gui.report.facts import facts_of
from gui.runner import RunRefusedError, driver
from gui.runner.checklist import Check
from gui.store import VerdictKind
from shoveler.service.tasks import start_task


async def test_a_run_goes_through_to_a_saved_result(stage: Any) -> None:
    async with stage.open() as workspace:
        await stage.join("c1", "c2")
        result = await stage.run()
        assert (result.outcome, result.exit_code) == ("passed", 0)
        (row,) = result.tests
        assert (row.total, row.matched, row.missing, row.client_failed) == (12, 12, 0, 0)
        run = workspace.store.run(result.run)
        assert (run.state, run.plan_text) == ("passed", stage.plan_text)
        assert run.message == "12 of 12 requests matched; the worst repeat has 100.00 %."
        assert [client["name"] for client in run.environment["clients"]] == ["c1", "c2"]
        (repeat,) = workspace.store.repeats(result.run)
        assert (repeat.state, repeat.settle_complete) == ("settled", True)
        assert {m.text for m in workspace.store.markers(result.run)} >= {"round 1", "round 2", "test 1, repeat 1"}
        samples = workspace.store.samples(repeat.id)
        assert [s.requested for s in samples if s.requested is not None][-2:] == [6, 6]
    asked = [(r.tag, r.path) for agent in stage.agents.values() for r in agent.requested]
    assert len(set(asked)) == len(asked) == 12
    assert {name: len(agent.requested) for name, agent in stage.agents.items()} == {"c1": 6, "c2": 6}
    assert all(len({r.server for r in agent.requested}) == 2 for agent in stage.agents.values())
    assert all(r.size == 1000 + int(r.path[-2:]) for agent in stage.agents.values() for r in agent.requested)


async def test_progress_tells_the_whole_story(stage: Any) -> None:
    """Rounds and settlings last until they were seen: what is over between two snapshots nobody is told of."""

    async def shown(*moment: Any) -> None:
        await stage.until(lambda: stage.seen and (p := stage.seen[-1]) and (p.repeat, p.phase, p.round) == moment)

    text = stage.plan_text.replace("repeats = 1", "repeats = 2").replace('settle = "10s"', 'settle = "90s"')
    stage.monitoring.lose = lambda _: True
    async with stage.open(fstat_seconds=30.0, flush_seconds=30.0):
        (agent,) = await stage.join("c1", hold=lambda _: True)
        running = stage.start(text)
        for repeat in (1, 2):
            for number, asked in ((1, 8), (2, 4)):
                await shown(repeat, "round", number)
                await stage.until(lambda asked=asked: len(agent.held) == asked)
                await agent.release()
            await shown(repeat, "settling", 2)
            stage.monitoring.find()
        await running
    phases = list(dict.fromkeys((p.repeat, p.phase) for p in stage.seen if p.phase in ("round", "settling", "done")))
    assert phases == [(1, "round"), (1, "settling"), (2, "round"), (2, "settling"), (2, "done")]
    last = stage.seen[-1]
    assert (last.phase, last.outcome, last.total, last.requested, last.read, last.recorded, last.gap) == (
        "done",
        "passed",
        12,
        12,
        12,
        12,
        0,
    )
    assert [row.requested for row in last.servers] == [6, 6]
    assert last.clients[0].name == "c1"
    assert last.repeats == 2
    assert all(b.t - a.t > 0.05 for a, b in zip(stage.seen, stage.seen[1:-1], strict=False)), "at most ten a second"


async def test_the_same_seed_asks_the_same_again(stage: Any) -> None:
    async with stage.open():
        await stage.join("c1", "c2")
        await stage.run()
        first = {name: [(r.server, r.path, r.seed, r.slot) for r in a.requested] for name, a in stage.agents.items()}
        tags = {r.tag for agent in stage.agents.values() for r in agent.requested}
        for agent in stage.agents.values():
            agent.requested.clear()
        await stage.run()
    assert {n: [(r.server, r.path, r.seed, r.slot) for r in a.requested] for n, a in stage.agents.items()} == first
    assert not tags & {r.tag for agent in stage.agents.values() for r in agent.requested}, "tags are new always"


async def test_a_lost_record_fails_the_run_and_a_late_one_mends_the_score(stage: Any) -> None:
    stage.monitoring.lose = lambda done: done.path == done.path and not stage.monitoring.lost
    text = stage.plan_text.replace('settle = "10s"', 'settle = "1s"')
    async with stage.open() as workspace:
        await stage.join("c1")
        result = await stage.run(text)
        assert (result.outcome, result.exit_code) == ("failed", 1)
        assert (result.tests[0].missing, result.tests[0].matched) == (1, 11)
        (repeat,) = workspace.store.repeats(result.run)
        assert repeat.settle_complete is True, "nobody told positions, and it was quiet"
        assert repeat.settle_reason == "1 request without a record, and none came for 0.3 s"
        stage.monitoring.find()
        await stage.until(lambda: len(workspace.store.scorings(repeat.id)) == 2)
        settled, late = workspace.store.scorings(repeat.id)
        assert (settled.kind, settled.good, late.kind, late.good, late.late) == ("settle", 11, "late", 12, 1)
        await stage.until(lambda: stage.now.late == 1)


async def test_wrong_bytes_and_strangers(stage: Any) -> None:
    def change(record: dict[str, Any]) -> list[dict[str, Any]]:
        if record["file_id"] == 3:
            return [record | {"read": record["read"] + 1}]
        stranger = {"session_tag": "someone", "record_id": "f" + record["record_id"][1:], "access_id": "x"}
        return [record, record, record | stranger]

    stage.monitoring.change = change
    async with stage.open() as workspace:
        await stage.join("c1")
        result = await stage.run()
        assert (result.tests[0].wrong_bytes, result.tests[0].matched) == (1, 11)
        assert result.outcome == "failed"
        assert workspace.progress.latest.wrong == 1
        assert stage.now.foreign == 11


async def test_client_failures_are_not_monitoring_losses_v1_v6(stage: Any) -> None:
    async with stage.open() as workspace:
        failed: list[Any] = []
        await stage.join("c1", fail=lambda request: not failed and not failed.append(request))
        result = await stage.run()
        assert result.outcome == "inconclusive", "one of twelve is more than 1 %"
        assert result.exit_code == 1
        (row,) = result.tests
        assert (row.client_failed, row.matched, row.missing, row.success) == (1, 11, 0, 100.0)
        (entry,) = workspace.store.requests(
            workspace.store.repeats(result.run)[0].id, verdict=VerdictKind.CLIENT_FAILED
        )
        assert (entry.error, entry.status) == ("no such file", 3011)


async def test_nothing_settles_before_the_collectors_have_seen_what_the_shovelers_had_taken(stage: Any) -> None:
    async with stage.open() as workspace:
        await stage.join("c1")
        await stage.until(lambda: workspace.bus.status_state.connected)  # what is told before nobody hears
        stage.monitoring.status(taken=90, seen=90)
        await stage.until(lambda: len(workspace.members()) == 2)
        running = stage.start()
        await stage.until(lambda: stage.now.phase == "settling" and "asking the shovelers" in stage.now.message)
        stage.monitoring.status(taken=100, seen=95)
        await stage.until(lambda: "5 datagrams not seen" in stage.now.message)
        assert stage.now.recorded == 12
        stage.monitoring.status(taken=900, seen=100)
        result = await running
        assert result.outcome == "passed"
        (repeat,) = workspace.store.repeats(result.run)
        assert (repeat.settle_complete, repeat.settle_reason) == (True, "all that the servers sent is loaded")
        assert [step.program for step in workspace.store.status_steps(result.run)][-2:] == ["shoveler", "collector"]


async def test_a_run_that_is_stopped_in_its_settle_has_requests_that_were_not_waited_for(stage: Any) -> None:
    stage.monitoring.lose = lambda done: not stage.monitoring.lost
    async with stage.open(fstat_seconds=30.0, flush_seconds=30.0) as workspace:
        await stage.join("c1")
        running = stage.start(stage.plan_text.replace('settle = "10s"', 'settle = "90s"'))
        await stage.until(lambda: stage.now.phase == "settling" and "1 request without a record" in stage.now.message)
        workspace.stop()
        workspace.stop()
        result = await running
        (row,) = result.tests
        assert (row.missing, row.not_waited, row.matched, row.counted, row.success) == (0, 1, 11, 11, 100.0)
        assert (result.outcome, row.conclusion) == ("aborted", "none")
        (repeat,) = workspace.store.repeats(result.run)
        (entry,) = workspace.store.requests(repeat.id, verdict=VerdictKind.NOT_WAITED)
        assert entry.answer == "the run was stopped before its record could have come"
        stage.monitoring.find()
        await stage.until(lambda: len(workspace.store.scorings(repeat.id)) == 2)
        late = workspace.store.scorings(repeat.id)[-1]
        assert (late.not_waited, late.late, late.good) == (0, 1, 12)


async def test_a_run_waits_for_its_clients(stage: Any) -> None:
    text = stage.plan_text.replace("slots = 2", "slots = 2\nclients = 2")
    async with stage.open():
        await stage.join("c1")
        running = stage.start(text)
        await stage.until(lambda: stage.now.phase == "waiting_clients")
        assert stage.now.message == "waiting for 2 clients; 1 ready"
        await stage.join("c2")
        assert (await running).outcome == "passed"


async def test_clients_that_do_not_come(stage: Any) -> None:
    async with stage.open(client_wait=0.2) as workspace:
        with pytest.raises(RunRefusedError, match="Not all clients have connected: still waiting for a client"):
            await stage.run()
        assert workspace.store.runs() == []


async def test_one_run_at_a_time(stage: Any) -> None:
    async with stage.open() as workspace:
        running = stage.start()
        await stage.until(lambda: workspace.running)
        with pytest.raises(RunRefusedError, match="under way"):
            await stage.run()
        await stage.join("c1")
        assert (await running).outcome == "passed"


async def test_without_a_bus_nothing_runs(stage: Any) -> None:
    async with stage.open(bus=""):
        await stage.join("c1")
        with pytest.raises(RunRefusedError, match="no bus to take records from"):
            await stage.run()


# ---------------------------------------------------------------- agents that come and go


async def test_a_cut_loses_nothing(stage: Any) -> None:
    async with stage.open():
        await stage.join("c1", "c2", hold=lambda request: request.path.endswith(("1", "3", "5")))
        running = stage.start()
        c1 = stage.agents["c1"]
        await stage.until(lambda: c1.held and stage.agents["c2"].requested)
        c1.hold = stage.agents["c2"].hold = lambda request: False
        await stage.cut("c1")
        await c1.release()
        if stage.agents["c2"].held:
            await stage.agents["c2"].release()
        await stage.join("c1")
        result = await running
    assert (result.outcome, result.tests[0].matched) == ("passed", 12)
    asked = [(r.tag, r.path) for agent in stage.agents.values() for r in agent.requested]
    assert len(set(asked)) == len(asked) == 12


async def test_a_restarted_agent_goes_on_with_what_it_had_not_begun(stage: Any) -> None:
    """What it had begun is interrupted, and given to nobody; the rest is given to it again."""
    async with stage.open():
        c1, c2 = await stage.join("c1", "c2", hold=lambda request: True)
        running = stage.start()
        await stage.until(lambda: c1.held and c2.held)
        interrupted = {(request.tag, request.path) for _, request in c1.held}
        await stage.cut("c1")
        c1.forget()
        c1.hold = lambda request: False
        before = len(c1.requested)
        await stage.join("c1")
        await stage.until(lambda: "lost its workers" in " ".join(problem.text for problem in stage.now.problems))
        await stage.until(lambda: len(c1.orders) == 2)
        c2.hold = lambda request: False
        await c2.release()
        result = await running
    assert result.outcome == "inconclusive"
    (row,) = result.tests
    assert (row.client_failed, row.unreported, row.total) == (len(interrupted), 0, 12)
    assert row.matched == 12 - len(interrupted)
    assert interrupted & {(r.tag, r.path) for r in (*c2.requested, *c1.requested[before:])} == set()
    asked = [(r.tag, r.path) for agent in stage.agents.values() for r in agent.requested]
    assert len(set(asked)) == len(asked) == 12, "nothing is asked twice"
    assert len(c1.requested) > before, "it takes part in the rounds after it"


async def test_what_a_restarted_agent_had_not_begun_is_not_waited_for(stage: Any) -> None:
    async with stage.open() as workspace:
        c1, _ = await stage.join("c1", "c2")
        c1.hold = lambda request: request.server.endswith("s1:1094")
        c1.ignore = lambda request: request.server.endswith("s2:1094")
        running = stage.start(stage.plan_text.replace('settle = "10s"', 'settle = "1h"'))
        await stage.until(lambda: c1.held)
        await stage.cut("c1")
        await stage.until(lambda: stage.now.phase == "settling")
        c1.forget()
        await stage.join("c1")
        result = await running
        (row,) = result.tests
        assert (row.client_failed, row.unreported, row.matched) == (4, 2, 8)
        assert workspace.store.repeats(result.run)[0].settle_complete


async def test_a_silent_agent_stays_pending_and_its_report_is_scored_later(stage: Any) -> None:
    text = stage.plan_text.replace('settle = "10s"', 'settle = "1s"')
    async with stage.open() as workspace:
        await stage.join("c1", "c2")
        c1 = stage.agents["c1"]
        c1.hold = lambda request: True
        running = stage.start(text)
        await stage.until(lambda: c1.held)
        await stage.cut("c1")
        result = await running
        (row,) = result.tests
        assert (row.unreported, row.client_failed, row.total) == (4, 4, 12)
        assert result.outcome == "inconclusive"
        c1.hold = lambda request: False
        await c1.release()
        await stage.join("c1")
        (repeat,) = workspace.store.repeats(result.run)
        await stage.until(lambda: workspace.store.scorings(repeat.id)[-1].good == 12)
        await stage.until(lambda: "Abort" in c1.told), "its workers are not left behind"


async def test_who_cannot_start_is_left_out(stage: Any) -> None:
    async with stage.open():
        await stage.join("c1", "c2")
        stage.agents["c1"].refuse = "No XRootD client is installed."
        result = await stage.run()
        assert (result.outcome, result.tests[0].total) == ("passed", 12)
        assert any("No XRootD client is installed." in problem.text for problem in stage.now.problems)
        stage.agents["c2"].refuse = "No room."
        result = await stage.run()
        assert (result.outcome, result.exit_code) == ("error", 1)
        assert stage.agents["c1"].requested == []


# ---------------------------------------------------------------- stopping


async def test_stop_finishes_the_round_and_scores_it(stage: Any) -> None:
    async with stage.open() as workspace:
        await stage.join("c1", hold=lambda request: True)
        running = stage.start(stage.plan_text.replace("repeats = 1", "repeats = 5"))
        await stage.until(lambda: stage.agents["c1"].held)
        assert workspace.stop()
        stage.agents["c1"].hold = lambda request: False
        await stage.agents["c1"].release()
        result = await running
        assert (result.outcome, result.exit_code) == ("stopped", 1)
        assert result.message == "The run was stopped after 1 of 5 repeats."
        assert (result.tests[0].total, result.tests[0].matched) == (8, 8)
        assert workspace.store.run(result.run).state == "stopped"
        assert not workspace.stop()
        assert not workspace.abort()


async def test_abort_ends_at_once(stage: Any) -> None:
    async with stage.open() as workspace:
        await stage.join("c1", hold=lambda request: True)
        running = stage.start()
        await stage.until(lambda: stage.agents["c1"].held)
        assert workspace.abort()
        result = await running
        assert result.outcome == "aborted"
        assert "Abort" in stage.agents["c1"].told
        assert result.tests[0].client_failed == 8


async def test_stop_before_the_clients_are_there(stage: Any) -> None:
    async with stage.open() as workspace:
        running = stage.start()
        await stage.until(lambda: stage.now.phase == "waiting_clients")
        workspace.stop()
        with pytest.raises(RunRefusedError, match="stopped before it began"):
            await running


async def test_closing_the_workspace_ends_the_run(stage: Any) -> None:
    async with stage.open() as workspace:
        await stage.join("c1", hold=lambda request: True)
        running = stage.start()
        await stage.until(lambda: stage.agents["c1"].held)
    result = await running
    assert result.outcome == "aborted"
    assert workspace.store.database is not None


# ---------------------------------------------------------------- files and workloads


async def test_files_of_a_directory_are_listed_by_a_client(stage: Any) -> None:
    text = stage.plan_text.replace('list = "files.txt"', 'dir = "/data"')
    async with stage.open():
        await stage.join("c1")
        assert (await stage.run(text)).outcome == "passed"
    assert {(r.path, r.size) for r in stage.agents["c1"].requested} == {("/data/a", 5), ("/data/b", 6)}


async def test_writes_get_new_names(stage: Any) -> None:
    text = stage.plan_text + '[test.workload]\nkind = "write"\nbytes = 100\n'
    async with stage.open():
        await stage.join("c1")
        await stage.run(text)
        await stage.run(text)
    asked = [(r.server, r.path) for r in stage.agents["c1"].requested]
    assert len(set(asked)) == len(asked) == 24
    assert all(path.startswith("/store/write/") for _, path in asked)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('servers = ["root://s1:1094", "root://s2:1094"]', "servers = 3", "asks for 3 servers"),
        ('list = "files.txt"', "", "names no files"),
    ],
)
async def test_what_is_not_there_is_said_before_anything_is_asked(stage: Any, old: str, new: str, says: str) -> None:
    async with stage.open() as workspace:
        await stage.join("c1")
        with pytest.raises(Exception, match=says):
            await stage.run(stage.plan_text.replace(old, new))
        assert workspace.store.runs() == []
        assert not workspace.running


async def test_faults_that_cannot_be_done_are_said_before_anything_begins(stage: Any) -> None:
    text = stage.plan_text + (
        '[[test.fault]]\nat = "0s"\ndo = "kill-shoveler"\n[[test.fault]]\nat = "0s"\ndo = "kill-agent"\nfor = "1s"\n'
    )
    async with stage.open() as workspace:
        with pytest.raises(RunRefusedError) as refused:
            await stage.run(text)
        assert workspace.store.runs() == []
    assert str(refused.value) == (
        "The fault kill-shoveler needs a lab. "
        "The fault kill-agent needs clients that this program has started (--local-clients)."
    )


async def test_a_server_that_does_not_answer_is_left_out_named_and_asked_for_the_rest_afterwards(stage: Any) -> None:
    text = stage.plan_text.replace("per_round = 4", "per_round = 2")
    s1, s2 = "root://s1:1094", "root://s2:1094"
    async with stage.open() as workspace:
        (agent,) = await stage.join("c1", hold=lambda request: request.server == s1)
        running = stage.start(text)
        await stage.until(lambda: len(agent.held) == 2)
        assert len(agent.requested) == 4
        agent.silence = Silence({s1: Awaited(2, 3.5)})
        await agent.say(Sample("1.1.1", time.time(), {}, silence=Silence({s1: Awaited(2, 3.5)})))
        await stage.until(lambda: len(agent.requested) == 8)
        assert [r.server for r in agent.requested[4:]] == [s2] * 4, "its two other rounds"
        (problem,) = [p for p in workspace.problems.all() if p.where.startswith("server")]
        assert problem.text == (
            "s1:1094 has not answered c1 for 4 s: 2 requests wait; the run goes on with the other server."
        )
        await stage.until(lambda: stage.now.message == "all other servers are done; s1:1094 does not answer")
        agent.hold, agent.silence = lambda request: False, None
        await agent.release()
        await agent.say(Sample("1.1.1", time.time(), {}))
        result = await running
        assert result.outcome == "passed"
        (row,) = result.tests
        assert (row.total, row.matched) == (12, 12)
        assert not [p for p in workspace.problems.all() if p.where.startswith("server")], "it is over"
        report = text_table(build(workspace.store, result.run))
        assert re.search(r"Z: s1:1094 did not answer for \d+ s; 2 requests had to wait\.", report), report
        kinds = [marker.kind for marker in workspace.store.markers(result.run)]
        assert [kind for kind in kinds if kind in ("hold", "held")] == ["hold", "held"]
    asked = [(r.server, r.path, r.seed) for r in agent.requested]
    assert len(set(asked)) == 12


async def test_a_barrier_waits_for_a_silent_server_no_longer_than_the_limit_of_a_call(stage: Any) -> None:
    text = stage.plan_text.replace("per_round = 4", 'per_round = 2\nbarrier = true\ntimeout = "5s"')
    s1, s2 = "root://s1:1094", "root://s2:1094"
    async with stage.open() as workspace:
        (agent,) = await stage.join("c1", hold=lambda request: request.server == s1)
        running = stage.start(text)
        await stage.until(lambda: len(agent.held) == 2)
        await agent.say(Sample("1.1.1", time.time(), {}, silence=Silence({s1: Awaited(2, 3.5)})))
        await stage.until(lambda: [p for p in workspace.problems.all() if p.where.startswith("server")])
        (problem,) = [p for p in workspace.problems.all() if p.where.startswith("server")]
        assert problem.text == (
            "s1:1094 has not answered c1 for 4 s: 2 requests wait, and so does the other server, at most 5 s (barrier)."
        )
        assert len(agent.requested) == 4, "all wait for it"
        agent.silence = Silence({s1: Awaited(2, 5.0)})
        await agent.say(Sample("1.1.1", time.time(), {}, silence=agent.silence))
        await stage.until(lambda: len(agent.requested) == 8)
        assert [r.server for r in agent.requested[4:]] == [s2] * 4
        agent.hold, agent.silence = lambda request: False, None
        await agent.release()
        await agent.say(Sample("1.1.1", time.time(), {}))
        result = await running
    assert (result.outcome, result.tests[0].matched) == ("passed", 12)


async def test_a_server_that_never_answers_again_ends_the_repeat_with_a_sentence(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SILENCE_LIMIT", 0.5)
    monkeypatch.setattr(limits, "SILENCE_TIMEOUTS", 0.0)
    text = stage.plan_text.replace("per_round = 4", "per_round = 2").replace('settle = "10s"', 'settle = "1s"')
    s1 = "root://s1:1094"
    async with stage.open() as workspace:
        (agent,) = await stage.join("c1", hold=lambda request: request.server == s1)
        running = stage.start(text)
        await stage.until(lambda: len(agent.held) == 2)
        agent.silence = Silence({s1: Awaited(2, 3.0)})
        await agent.say(Sample("1.1.1", time.time(), {}, silence=agent.silence))
        result = await running
        assert (result.outcome, result.exit_code) == ("inconclusive", 1), "2 of 8 failed at the client"
        assert result.message.endswith("Test 1, repeat 1 is not complete: s1:1094 did not answer.")
        assert (result.tests[0].total, result.tests[0].matched) == (8, 6)
        (repeat,) = workspace.store.repeats(result.run)
        assert repeat.state == "stopped"
        (problem,) = [p.text for p in workspace.problems.all() if "in the end" in p.text]
        assert problem == (
            "s1:1094 did not answer in the end: what waits for it is cut short, and 2 of its 3 rounds are not asked "
            "for. Nothing else was left to do for 0.5 s."
        )


async def test_the_checks_made_before_a_run_are_kept_with_it_and_make_no_difference_between_runs(stage: Any) -> None:
    check = Check("bus", "Records can be taken from the bus", "skipped", "Nobody knows on s1.")
    async with stage.open() as workspace:
        await stage.join("c1", "c2")
        first = await stage.run(checks=(check,))
        second = await stage.run()
        store = workspace.store
        kept = {"name": check.title, "state": "not checked", "found": "Nobody knows on s1."}
        assert store.run(first.run).environment["preflight"] == [kept]
        assert "preflight" not in store.run(second.run).environment
        assert not any("preflight" in fact.what for fact in facts_of(store, store.run(first.run)))
        assert any(fact.group == "preflight" and fact.value == "not checked" for fact in shown(store.run(first.run)))


# ---------------------------------------------------------------- over HTTP


MIXED = """
[[test.mix]]
weight = 2
protocol = "https"
[[test.mix]]
kind = "write"
bytes = 100
protocol = "http"
[[test.mix]]
"""


def of_version(version: str, unwritable: str = "") -> Any:
    def answer(question: Probe) -> list[Probed]:
        return [Probed(question.id, question.server, True, version, unwritable=unwritable if question.write else "")]

    return answer


def over_http(record: dict[str, Any], requested: list[Request]) -> list[dict[str, Any]]:
    """What a server before 5.6.3 reports: nothing of the client."""
    (asked,) = [r for r in requested if (r.tag, r.path) == (record["session_tag"], record["filename"])]
    if asked.share == 2:
        return [record]
    return [record | {"protocol": "https", "session_tag": None}]


async def test_a_token_reaches_the_clients_and_again_when_its_file_changes(
    stage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "RENEW_SECONDS", 0.0)
    first, second = "eyJh.Zmlyc3Q.x", "eyJh.c2Vjb25k.x"
    file = tmp_path / "token"
    file.write_text(first)
    held: list[Any] = []
    async with stage.open() as workspace:
        (agent,) = await stage.join("c1", hold=lambda request: not held and not held.append(request))
        text = stage.plan_text + f'[test.auth]\ntoken_file = "{file}"\n'
        running = start_task(stage.run(text), "run")
        await stage.until(lambda: agent.held)
        file.write_text(second + "\n\n")
        await stage.until(lambda: agent.renewals)
        (renewal,) = agent.renewals
        file.write_text("no token at all")
        await stage.until(lambda: any("token" in one.where for one in workspace.problems.all()))
        await agent.release()
        await running
    assert [order.auth.token for order in agent.orders] == [first]
    assert (renewal.job, renewal.auth.token) == (agent.orders[0].job, second)
    database = b"".join(path.read_bytes() for path in tmp_path.rglob("*.db*"))
    assert first.encode() not in database
    assert second.encode() not in database


async def test_older_servers_are_asked_for_files_of_the_clients_own(stage: Any) -> None:
    async with stage.open() as workspace:
        (agent,) = await stage.join("c1", answer=of_version("v5.5.3"))
        stage.monitoring.change = lambda record: over_http(record, agent.requested)
        result = await stage.run(stage.plan_text + MIXED)
        (test,) = workspace.store.tests(result.run)
    assert result.outcome == "passed"
    asked = agent.requested
    assert sorted(request.share for request in asked) == [0] * 6 + [1] * 3 + [2] * 3
    assert all(request.own is (request.share == 0) for request in asked)
    assert all(request.path.startswith(f"/store/write/{request.tag}/") is (request.share != 2) for request in asked)
    assert {request.size for request in asked if request.share == 1} == {100}
    assert [one.protocol for one in test.spec.workloads] == ["https", "http", ""]
    (order,) = agent.orders
    assert order.protocols == ["http", "https", "root"]
    assert order.workloads == list(test.spec.workloads)


async def test_newer_servers_are_asked_for_the_files_as_they_are(stage: Any) -> None:
    async with stage.open():
        (agent,) = await stage.join("c1", answer=of_version("v5.6.3"))
        stage.monitoring.change = lambda record: [
            record | {"protocol": "https", "session_tag": None, "appinfo": f"tally/1 ({record['session_tag']})"}
        ]
        assert (await stage.run(stage.plan_text.replace("repeats", 'protocol = "https"\nrepeats'))).outcome == "passed"
    assert not any(request.own for request in agent.requested)
    assert all(request.path.startswith("/store/f") for request in agent.requested)


async def test_an_older_server_that_lets_nobody_write_is_refused(stage: Any) -> None:
    async with stage.open() as workspace:
        await stage.join("c1", answer=of_version("v5.5.3", "permission denied"))
        with pytest.raises(RunRefusedError, match=r"s1:1094 \(XRootD v5.5.3\) reports nothing of a client over HTTP.*"
                           r"may not write to /store/write \(permission denied\)"):  # fmt: skip
            await stage.run(stage.plan_text.replace("repeats", 'protocol = "https"\nrepeats'))
        assert workspace.store.runs() == []


async def test_a_client_at_its_limit_is_named_live_and_in_the_report(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gui.campaign.generators.STEADY", 0.0)
    monkeypatch.setattr("gui.runner.driver.WATCH_SECONDS", 0.0)
    async with stage.open() as workspace:
        c1, _ = await stage.join("c1", "c2", hold=lambda request: True)
        c1.cpu = 99.0
        running = stage.start()
        await stage.until(lambda: "c1 is at its limit" in " ".join(problem.text for problem in stage.now.problems))
        rows = {client.name: client for client in stage.now.clients}
        assert (rows["c1"].busy, rows["c2"].busy) == (True, False)
        for agent in stage.agents.values():
            agent.hold = lambda request: False
            await agent.release()
        result = await running
        assert "c1 is at its limit" not in " ".join(problem.text for problem in workspace.progress.latest.problems)
        (said,) = [remark for remark in remarks_of(build(workspace.store, result.run)) if "at its limit" in remark]
    assert "c1 was at its limit for " in said
    assert "99 % in all" in said
    assert "the generator, not the servers, may be what was measured" in said
