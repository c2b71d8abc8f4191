"""The verdict on one request, from what was asked and the group of its records. Pure: facts in, verdict out.

The scorer (`gui.reconcile.scoring`) finds the plain cases in SQL and calls `judge` only for the others; `judge` is
nevertheless the complete rule and holds for the plain cases too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gui.reconcile.behaviours import explain
from gui.store import RequestState, VerdictKind


class Asked(NamedTuple):
    """What became of a request at the client, and the bytes that the server should have counted for it."""

    state: RequestState
    ok: bool
    read: int
    readv: int
    write: int


class Recorded(NamedTuple):
    """One record of the group. `access` names the access, `source` the open file (server id, start time, file id)."""

    access: int
    final: bool
    source: tuple[str, int, int]
    read: int
    readv: int
    write: int
    issues: tuple[str, ...] = ()


class Judged(NamedTuple):
    """The verdict. `accesses` and sums are of the group, in which a final record replaces its provisional one."""

    verdict: VerdictKind
    accesses: int
    recorded: bool
    """There is a final record."""
    read: int
    readv: int
    write: int
    behaviours: tuple[str, ...] = ()


def judge(asked: Asked, records: Sequence[Recorded]) -> Judged:
    """The verdict on a request. `LATE` is not decided here: it requires an earlier scoring.

    In this order: what the client did not do is client failed, never a loss; no final record is missing; two final
    records of one access are duplicate; sums that agree are matched; several accesses with more bytes than asked are
    duplicate, since something was counted twice; everything else is wrong bytes."""
    closed = {record.access for record in records if record.final}
    group = [record for record in records if record.final or record.access not in closed]
    sums = (sum(r.read for r in group), sum(r.readv for r in group), sum(r.write for r in group))
    wanted = (asked.read, asked.readv, asked.write)

    def judged(verdict: VerdictKind, behaviours: tuple[str, ...] = ()) -> Judged:
        return Judged(verdict, len(group), bool(closed), *sums, behaviours)

    if asked.state is not RequestState.DONE or not asked.ok:
        return judged(VerdictKind.CLIENT_FAILED)
    issues = [issue for record in group for issue in record.issues]
    if not closed:
        return judged(VerdictKind.MISSING, tuple(dict.fromkeys(issues)))
    finals = [record.source for record in group if record.final]
    if len(set(finals)) < len(finals):
        return judged(VerdictKind.DUPLICATE)
    if sums == wanted:
        return judged(VerdictKind.MATCHED)
    behaviours = explain(wanted, sums, issues, len(group))
    if len(group) > 1 and any(got > want for got, want in zip(sums, wanted, strict=True)):
        return judged(VerdictKind.DUPLICATE, behaviours)
    return judged(VerdictKind.WRONG_BYTES, behaviours)
