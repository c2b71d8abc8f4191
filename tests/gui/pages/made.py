"""Runs, tests, servers and requests as pages are given them."""

from __future__ import annotations

import dataclasses
from typing import Any

from gui.models.runs import RunView, TestRow
from gui.reconcile import ServerFigures, TestFigures
from gui.store import RequestEntry, RequestState, RunEntry, TestEntry, TestSpec, VerdictKind

EMPTY_RUN = RunEntry(1, "u", "plan", "", 90.0, "passed", 1.0, 1.0, 24.0, "", {}, {}, False, "")


def figures(**changes) -> TestFigures:
    fields: dict[str, Any] = {field.name: 0 for field in dataclasses.fields(TestFigures)}
    fields |= {
        "spec": TestSpec(2, 10, 5, repeats=3), "repeats": 3, "total": 60, "counted": 60, "good": 60, "matched": 60,
        "recorded_avg": 20.0, "recorded_min": 20, "recorded_max": 20, "success": 100.0, "worst": 100.0,
        "interval": (94.0, 100.0), "offered": 10.0, "achieved": 9.5, "conclusion": "pass",
    }  # fmt: skip
    return TestFigures(**(fields | changes))


def view(run: int = 1, name: str = "osdf", **changes) -> RunView:
    f = figures(**changes)
    entry = TestEntry(run * 10, run, 1, f.spec)
    row = TestRow(1, entry, f, (), None)
    state = {"pass": "passed", "fail": "failed"}[f.conclusion]
    return RunView(dataclasses.replace(EMPTY_RUN, id=run, name=name, state=state), (row,), (), f.conclusion)


def server(number: int, name: str = "", **changes) -> ServerFigures:
    fields: dict[str, Any] = {field.name: 0 for field in dataclasses.fields(ServerFigures)}
    fields |= {
        "server_id": number, "name": name or f"s{number:02}", "url": f"root://s{number}", "requested": 30, "read": 30,
        "recorded": 30, "matched": 30, "success": 100.0, "lost_at": "", "cause": "", "certain": True,
    }  # fmt: skip
    return ServerFigures(**(fields | changes))


def request(number: int, verdict: VerdictKind = VerdictKind.MATCHED, **changes) -> RequestEntry:
    fields: dict[str, Any] = {
        "id": number, "repeat_id": 1, "round": 1, "tag": f"tag{number:05}", "path": f"/store/f{number:04}",
        "server": "s01", "server_url": "root://s01", "agent": "shared/c1", "slot": 0, "size": 100,
        "state": RequestState.DONE, "ok": True, "t_started": 1.0, "t_open": 1.0, "t_close": 2.0, "read_asked": 100,
        "read_got": 100, "readv_asked": 0, "readv_got": 0, "written": 0, "read_ops": 1, "readv_ops": 0, "write_ops": 0,
        "reached": "", "status": 0, "error": "", "verdict": verdict,
    }  # fmt: skip
    return RequestEntry(**(fields | changes))
