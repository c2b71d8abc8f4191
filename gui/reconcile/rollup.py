"""The servers of a run, a test or a repeat side by side: what was requested of each, what was recorded, what was
lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, select

from gui.reconcile.clusters import places
from gui.reconcile.figures import TestFigures, figures
from gui.reconcile.injected import is_injected, not_injected
from gui.reconcile.standing import Standing, standing
from gui.store import RequestState, ScoringEntry, Store, VerdictKind, answer, schema


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """One server, summed over some repeats. `success` in per cent, None when nothing was counted.

    `lost_at` and `cause` are those of most of its missing records."""

    server_id: int
    name: str
    url: str
    requested: int
    read: int
    recorded: int
    matched: int
    late: int
    missing: int
    wrong_bytes: int
    duplicate: int
    client_failed: int
    not_waited: int
    bytes_asked: int
    bytes_got: int
    bytes_recorded: int
    success: float | None
    lost_at: str
    cause: str
    certain: bool
    left_out: int = 0
    """Missing requests that the plan injected and that are left out, also of `missing`."""

    @property
    def counted(self) -> int:
        """Requests by which monitoring is judged."""
        return self.requested - self.client_failed - self.not_waited - self.left_out

    @property
    def answer(self) -> str:
        """The cause as it is shown everywhere: with ``probably`` in front when it is inferred, not proven."""
        return answer(self.cause, self.certain, self.lost_at)


def by_server(store: Store, scoring_ids: Sequence[int], *, without_injected: bool = False) -> list[ServerFigures]:
    """The figures of each server over these scorings (one for each repeat), in the order of the directory.
    `without_injected`: what the plan injected itself does not count."""
    request, scoring, server, verdict = schema.request, schema.scoring, schema.server, schema.verdict
    asked = request.c.read_asked + request.c.readv_asked + request.c.written
    got = request.c.read_got + request.c.readv_got + request.c.written
    repeats = select(scoring.c.repeat_id).where(scoring.c.id.in_(list(scoring_ids)))
    done = (request.c.state == int(RequestState.DONE)) & (request.c.ok == 1)
    all_requests = (
        select(server.c.id, server.c.name, server.c.url, func.count(), func.sum(asked), func.sum(got))
        .join(server, server.c.id == request.c.server_id)
        .where(request.c.repeat_id.in_(repeats))
        .group_by(server.c.id, server.c.name, server.c.url)
        .order_by(server.c.id)
    )
    readable = (
        select(request.c.server_id, func.count())
        .where(request.c.repeat_id.in_(repeats), done)
        .group_by(request.c.server_id)
    )
    odd = (
        select(
            request.c.server_id,
            verdict.c.verdict,
            func.count(),
            func.sum(verdict.c.recorded),
            func.sum(asked),
            func.sum(verdict.c.read + verdict.c.readv + verdict.c.write),
        )
        .join(request, request.c.id == verdict.c.request_id)
        .where(verdict.c.scoring_id.in_(list(scoring_ids)))
        .group_by(request.c.server_id, verdict.c.verdict)
    )
    losses = (
        select(request.c.server_id, verdict.c.lost_at, verdict.c.cause, verdict.c.certain, func.count())
        .join(request, request.c.id == verdict.c.request_id)
        .where(verdict.c.scoring_id.in_(list(scoring_ids)), verdict.c.verdict == int(VerdictKind.MISSING))
        .group_by(request.c.server_id, verdict.c.lost_at, verdict.c.cause, verdict.c.certain)
    )
    left_out = (
        select(request.c.server_id, func.count())
        .join(request, request.c.id == verdict.c.request_id)
        .where(verdict.c.scoring_id.in_(list(scoring_ids)), is_injected())
        .group_by(request.c.server_id)
    )
    if without_injected:
        losses = losses.where(not_injected())
    with store.database.read() as connection:
        rows = connection.execute(all_requests).all()
        read = {row[0]: int(row[1]) for row in connection.execute(readable)}
        odd_ones: dict[int, _Odd] = {}
        for server_id, kind, count, recorded, asked_sum, recorded_sum in connection.execute(odd):
            sums = odd_ones.setdefault(server_id, _Odd(Counter()))
            sums.kinds[VerdictKind(kind)] += int(count)
            sums.recorded += int(recorded)
            sums.bytes_asked += int(asked_sum)
            sums.bytes_recorded += int(recorded_sum)
        for server_id, lost_at, cause, certain, count in connection.execute(losses):
            sums = odd_ones[server_id]
            if int(count) > sums.loss[0]:
                sums.loss = (int(count), lost_at or "", cause or "", certain is None or bool(certain))
        for server_id, count in connection.execute(left_out) if without_injected else ():
            odd_ones[server_id].left_out = int(count)
    return [_figures(row, read.get(row[0], 0), odd_ones.get(row[0], _Odd(Counter()))) for row in rows]


def newest(scorings: Iterable[ScoringEntry]) -> list[ScoringEntry]:
    """The newest scoring of each repeat: the one that counts."""
    latest: dict[int, ScoringEntry] = {}
    for scoring in scorings:
        known = latest.get(scoring.repeat_id)
        if known is None or scoring.id > known.id:
            latest[scoring.repeat_id] = scoring
    return list(latest.values())


def run_figures(store: Store, run_id: int) -> list[TestFigures]:
    """The current figures of every test of a run, including those that never started."""
    latest = newest(store.scorings_of_run(run_id))
    where = places(store, latest)
    test_of = {repeat.id: repeat.test_id for repeat in store.repeats(run_id)}
    return [
        figures(test.spec, [entry for entry in latest if test_of.get(entry.repeat_id) == test.id], where)
        for test in store.tests(run_id)
    ]


def restate(store: Store, run_id: int) -> Standing:
    """The outcome of the run by its current figures; stores it, too. Raises NoSuchRowError."""
    run = store.run(run_id, hidden=True)
    now = standing(run, run_figures(store, run_id))
    if (now.run.state, now.run.message) != (run.state, run.message):
        store.set_run(run_id, state=now.run.state, message=now.run.message)
    return now


@dataclass(slots=True)
class _Odd:
    """Sums over the requests of a server that have a verdict of their own."""

    kinds: Counter[VerdictKind]
    recorded: int = 0
    bytes_asked: int = 0
    bytes_recorded: int = 0
    loss: tuple[int, str, str, bool] = (0, "", "", True)
    left_out: int = 0


def _figures(row: Row[Any], read: int, odd: _Odd) -> ServerFigures:
    server_id, name, url, requested, asked, got = tuple(row)
    plain = requested - odd.kinds.total()
    matched = plain + odd.kinds[VerdictKind.MATCHED]
    late = odd.kinds[VerdictKind.LATE]
    failed = odd.kinds[VerdictKind.CLIENT_FAILED]
    not_waited = odd.kinds[VerdictKind.NOT_WAITED]
    counted = requested - failed - not_waited - odd.left_out
    return ServerFigures(
        server_id=server_id,
        name=name,
        url=url,
        requested=requested,
        read=read,
        recorded=plain + odd.recorded,
        matched=matched,
        late=late,
        missing=odd.kinds[VerdictKind.MISSING] - odd.left_out,
        wrong_bytes=odd.kinds[VerdictKind.WRONG_BYTES],
        duplicate=odd.kinds[VerdictKind.DUPLICATE],
        client_failed=failed,
        not_waited=not_waited,
        bytes_asked=int(asked),
        bytes_got=int(got),
        bytes_recorded=int(asked) - odd.bytes_asked + odd.bytes_recorded,
        success=100 * (matched + late) / counted if counted else None,
        lost_at=odd.loss[1],
        cause=odd.loss[2],
        certain=odd.loss[3],
        left_out=odd.left_out,
    )
