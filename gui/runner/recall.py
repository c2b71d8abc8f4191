"""A run whose program was killed, put together again from the database and what was `kept`: for a hub that goes on
with it.

Clients go on with what they have, keep their journals and join again, as after any cut: a request that has its last
line in the database is made; the others are sent again to those who had them, who know them by tag and path. So what
was asked stays asked, and nothing is asked or counted twice. What was only shown (the curves of the last seconds) is
read from the database as well, or begins anew.

`recall` blocks. It returns what a program that ends in good order hands over (`handover`).
"""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.messages import Request
from gui.campaign.assign import Assigner, TagUser
from gui.campaign.doors import door_of
from gui.campaign.limits import limits_of
from gui.campaign.plan import Plan
from gui.campaign.planfile import PlanError, parse_plan
from gui.campaign.repeat import Repeat
from gui.hub.roster import public_id
from gui.reconcile import newest
from gui.runner.current import Handed, ResolvedTest
from gui.runner.elsewhere import Elsewhere
from gui.runner.events import Event, Stop
from gui.runner.handover import HandedBoard, HandedRun
from gui.runner.kept import KeptNow, KeptPlan, kept_now, kept_plan
from gui.runner.live import Live
from gui.runner.outlook import Outlook
from gui.runner.ownership import UNDER_WAY
from gui.runner.progress import MAX_MARKERS, Marker
from gui.runner.session import step_of_repeat, work_of
from gui.store import HandedRequest, RepeatEntry, RunEntry, ServerEntry, Store

log = logging.getLogger("tally.runner")


def recall(store: Store, now: float) -> HandedRun | None:
    """The run that was under way when the last program with this workspace ended; None if there is none, or if it
    cannot be gone on with."""
    run = next((one for one in store.runs(20) if one.state in UNDER_WAY), None)
    kept, decided = kept_plan(store), kept_now(store)
    if run is None or kept is None or decided is None or not run.id == kept.run == decided.run:
        return None
    try:
        plan = parse_plan(run.plan_text)
        return _recalled(store, run, plan, kept, decided, now)
    except (PlanError, ValueError, LookupError) as error:
        log.warning("! run %d cannot be gone on with: %s", run.id, error)
        return None


def _recalled(store: Store, run: RunEntry, plan: Plan, kept: KeptPlan, decided: KeptNow, now: float) -> HandedRun:
    resolved = [
        ResolvedTest(
            one.number,
            plan.tests[one.number - 1],
            list(one.servers),
            list(one.clients),
            kept.files[one.files],
            frozenset(one.own),
        )
        for one in kept.tests
    ]
    repeats = store.repeats(run.id)
    entries = {repeat.id: newest(store.scorings(repeat.id)) for repeat in repeats}
    scored = [repeat for repeat in repeats if entries[repeat.id]]
    current = next((repeat for repeat in repeats if not entries[repeat.id]), None)
    outlook = Outlook([work_of(one) for one in resolved])
    for repeat in scored:
        entry = entries[repeat.id][0]
        step = step_of_repeat(resolved[repeat.test_number - 1], entry)
        began, ended, settled = repeat.started or now, repeat.ended or now, repeat.settled or now
        outlook.finish(repeat.test_number, repeat.number, step, took=settled - began, worked=ended - began,
                       handed=entry.total)  # fmt: skip
    series: dict[str, str] = {}
    for repeat in repeats:
        series |= {s.url: s.name for s in resolved[repeat.test_number - 1].servers if s.url not in series}
    if current is not None:
        outlook.begin(current.test_number, current.number)
    seen = Elsewhere(store).look(now, "")
    same = seen is not None and list(seen.series) == list(series.values())  # otherwise its curves have other places
    board = HandedBoard(
        "preparing",
        "the hub was restarted, and goes on with the run",
        "running",
        run.started or run.created,
        outlook,
        current.id if current is not None else None,
        tuple(Marker(m.t, m.kind, m.text) for m in store.markers(run.id)[-MAX_MARKERS:]),  # type: ignore[arg-type]
        (),
        series,
        seen.samples if seen is not None and same else (),
        decided.paused,
    )
    unread: list[Event] = [Stop(decided.ending == "abort")] if decided.ending else []
    return HandedRun(
        plan,
        run.plan_text,
        None,
        Path(),
        run.id,
        resolved,
        frozenset((repeat.test_number, repeat.number) for repeat in scored),
        None if current is None else _repeat(store, run.id, resolved, current, decided, tuple(series)),
        unread,
        board,
        list(decided.incomplete),
        bool(decided.ending),
        decided.ending == "abort",
        restarted=True,
    )


def _repeat(
    store: Store,
    run: int,
    resolved: Sequence[ResolvedTest],
    entry: RepeatEntry,
    decided: KeptNow,
    series: tuple[str, ...],
) -> dict[str, Any]:
    """The repeat under way, as `CurrentRepeat.kept` would have given it."""
    one, mine = resolved[entry.test_number - 1], decided.repeat == entry.id
    if mine:
        one = replace(one, clients=list(decided.clients))
    test = one.test
    requests = store.handed_requests(entry.id)
    ids = {agent: public_id(*_split(agent)) for agent in {request.agent for request in requests}}
    machine = Repeat(
        {client.id: client.name for client in one.clients},
        [server.url for server in one.servers],
        rounds=test.rounds,
        wait=test.wait,
        barrier=test.barrier,
        limits=limits_of(test, one.files),
    )
    machine.paused = decided.paused
    live = Live([(server.name, server.url) for server in one.servers], series)
    assigner = Assigner(test.who.slots)
    undone: dict[str, dict[tuple[str, str], Handed]] = {}
    began = decided.began or (entry.started or 0.0) if requests else 0.0
    for client in one.clients:
        live.client(client.id, client.name)
    if requests:
        _go_through(one, requests, ids, machine, live, assigner, undone, began)
    return {
        "id": entry.id,
        "job": f"{run}.{one.number}.{entry.number}",
        "number": entry.number,
        "resolved": one,
        "machine": machine,
        "live": live,
        "assigner": assigner,
        "server_ids": _server_ids(store, one),
        "base": dict(decided.base) if mine else {},
        "opened": entry.started or time.time(),
        "began": began,
        "undone": undone,
        "stored": {
            (ids[agent], journal): last for agent in ids for journal, last in store.journal_positions(agent).items()
        },
        "marked": max((request.round for request in requests), default=0),
        "injected": set(decided.injected) if mine else set(),
    }


def _go_through(
    one: ResolvedTest,
    requests: Sequence[HandedRequest],
    ids: Mapping[str, str],
    machine: Repeat,
    live: Live,
    assigner: Assigner,
    undone: dict[str, dict[tuple[str, str], Handed]],
    began: float,
) -> None:
    """What was handed out, and what is left of it. Its handouts are told apart by their round: all that matters."""
    handed: dict[str, int] = {}
    left: defaultdict[str, Counter[tuple[str, int]]] = defaultdict(Counter)
    asked, reported = Counter[str](), Counter[str]()
    turns: list[tuple[TagUser, str, str]] = []
    for request in requests:
        client, workload = ids[request.agent], one.test.workloads[request.share]
        handed[request.server] = max(handed.get(request.server, 0), request.round)
        own = request.server in one.own and door_of(request.server, workload).over_http
        name = request.path.rpartition("/")[2] if own else request.path
        turns.append((TagUser(client, request.slot, request.server), name, request.tag))
        asked[client] += 1
        if request.done:
            reported[client] += 1
            continue
        left[client][request.server, request.round] += 1
        order = Request(request.tag, request.slot, request.server, request.path, request.size, request.seed,
                        request.share, own and workload.kind != "write")  # fmt: skip
        undone.setdefault(client, {})[request.tag, request.path] = Handed(request.round, order)
    assigner.recall(turns)
    for client, count in asked.items():
        live.handed(client, count, began)
        live.reported(client, reported[client])
    machine.recall(asked.keys(), handed, left, time.monotonic())


def _server_ids(store: Store, one: ResolvedTest) -> dict[str, int]:
    return store.put_servers([ServerEntry(server.url, server.name, server.labels) for server in one.servers])


def _split(identity: str) -> tuple[str, str]:
    kid, _, name = identity.rpartition("/")
    return kid, name
