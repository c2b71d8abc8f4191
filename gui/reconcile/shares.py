"""The workloads of a test side by side: what was requested with each, what was recorded, and how long its requests
took, phase by phase."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from gui.reconcile.timing import Latency
from gui.store import RequestState, Store, VerdictKind, schema

PART = 5_000
"""Rows that are taken from the database at once."""
PHASES = ("name", "connect", "tls", "open", "first", "total")
"""Of a request, in their order. name, connect, tls: only where a connection was made for it; open: over root; first:
the first byte of the file, from the beginning; total: all of it."""


@dataclass(frozen=True, slots=True)
class ShareFigures:
    """One workload of a test, summed over some repeats. `share` is its place in the mix; `success` in per cent, None
    when nothing was counted; `phases` has those that were measured, by name."""

    share: int
    requested: int
    recorded: int
    matched: int
    late: int
    missing: int
    wrong_bytes: int
    duplicate: int
    client_failed: int
    not_waited: int
    bytes_asked: int
    bytes_recorded: int
    success: float | None
    phases: dict[str, Latency]

    @property
    def counted(self) -> int:
        """Requests by which monitoring is judged."""
        return self.requested - self.client_failed - self.not_waited


@dataclass(slots=True)
class _Odd:
    """Sums over the requests of a workload that have a verdict of their own."""

    kinds: Counter[VerdictKind]
    recorded: int = 0
    bytes_asked: int = 0
    bytes_recorded: int = 0


def by_share(store: Store, scoring_ids: Sequence[int]) -> list[ShareFigures]:
    """The figures of each workload of a test over these scorings (one for each repeat). Takes a look at every
    request."""
    with store.database.read() as connection:
        odd = _odd(connection, scoring_ids)
        request = schema.request
        asked = request.c.read_asked + request.c.readv_asked + request.c.written
        rows = connection.execute(
            select(request.c.share, func.count(), func.sum(asked))
            .where(request.c.repeat_id.in_(_repeats(scoring_ids)))
            .group_by(request.c.share)
            .order_by(request.c.share)
        ).all()
        times = _times(connection, scoring_ids)
    return [
        _figures(share, count, int(total or 0), odd.get(share, _Odd(Counter())), times.get(share, {}))
        for share, count, total in rows
    ]


def _repeats(scoring_ids: Sequence[int]) -> Any:
    return select(schema.scoring.c.repeat_id).where(schema.scoring.c.id.in_(list(scoring_ids)))


def _odd(connection: Connection, scoring_ids: Sequence[int]) -> dict[int, _Odd]:
    request, verdict = schema.request, schema.verdict
    found: dict[int, _Odd] = {}
    for share, kind, count, recorded, asked_sum, recorded_sum in connection.execute(
        select(
            request.c.share,
            verdict.c.verdict,
            func.count(),
            func.sum(verdict.c.recorded),
            func.sum(request.c.read_asked + request.c.readv_asked + request.c.written),
            func.sum(verdict.c.read + verdict.c.readv + verdict.c.write),
        )
        .join(request, request.c.id == verdict.c.request_id)
        .where(verdict.c.scoring_id.in_(list(scoring_ids)))
        .group_by(request.c.share, verdict.c.verdict)
    ):
        sums = found.setdefault(share, _Odd(Counter()))
        sums.kinds[VerdictKind(kind)] += int(count)
        sums.recorded += int(recorded)
        sums.bytes_asked += int(asked_sum)
        sums.bytes_recorded += int(recorded_sum)
    return found


def _times(connection: Connection, scoring_ids: Sequence[int]) -> dict[int, dict[str, Latency]]:
    """By workload and phase; of requests without error."""
    request = schema.request
    done = (request.c.state == int(RequestState.DONE)) & (request.c.ok == 1) & (request.c.t_open > 0)
    columns = [request.c[name] for name in schema.PHASES]
    query = select(request.c.share, *columns, request.c.t_close - request.c.t_open).where(
        request.c.repeat_id.in_(_repeats(scoring_ids)), done
    )
    seconds: defaultdict[int, list[array[float]]] = defaultdict(lambda: [array("d") for _ in PHASES])
    for part in connection.execute(query).partitions(PART):
        for share, *took in part:
            for known, value in zip(seconds[share], took, strict=True):
                if value is not None:
                    known.append(max(0.0, value))
    return {
        share: {name: _latency(values) for name, values in zip(PHASES, phases, strict=True) if values}
        for share, phases in seconds.items()
    }


def _latency(seconds: array[float]) -> Latency:
    """Percentiles by nearest rank, as `gui.reconcile.speed` has them."""
    values = sorted(seconds)

    def rank(part: int) -> float:
        return values[max(0, -(-part * len(values) // 100) - 1)]

    return Latency(len(values), rank(50), rank(95), rank(99), values[-1])


def _figures(share: int, requested: int, asked: int, odd: _Odd, phases: dict[str, Latency]) -> ShareFigures:
    plain = requested - odd.kinds.total()
    matched = plain + odd.kinds[VerdictKind.MATCHED]
    late = odd.kinds[VerdictKind.LATE]
    counted = requested - odd.kinds[VerdictKind.CLIENT_FAILED] - odd.kinds[VerdictKind.NOT_WAITED]
    return ShareFigures(
        share=share,
        requested=requested,
        recorded=plain + odd.recorded,
        matched=matched,
        late=late,
        missing=odd.kinds[VerdictKind.MISSING],
        wrong_bytes=odd.kinds[VerdictKind.WRONG_BYTES],
        duplicate=odd.kinds[VerdictKind.DUPLICATE],
        client_failed=odd.kinds[VerdictKind.CLIENT_FAILED],
        not_waited=odd.kinds[VerdictKind.NOT_WAITED],
        bytes_asked=asked,
        bytes_recorded=asked - odd.bytes_asked + odd.bytes_recorded,
        success=100 * (matched + late) / counted if counted else None,
        phases=phases,
    )
