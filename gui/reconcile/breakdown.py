"""What is not matched, counted in the database: by cause and stage, by server, by time, by the clients' errors.

A report lists some requests one by one; what it says about all of them comes from here, never from such a list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from sqlalchemy import func, select

from gui.reconcile.injected import not_injected
from gui.store import Store, VerdictKind, answer, schema

Key = TypeVar("Key")

MAX_GROUPS = 1000
"""Causes, and errors, that are listed; the others are summed. A client may report any text as an error."""
OTHERS = "(others)"
MAX_BINS = 24
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400, 604_800)


@dataclass(frozen=True, slots=True)
class Loss:
    """How many missing records have this cause."""

    lost_at: str
    cause: str
    certain: bool
    count: int

    @property
    def answer(self) -> str:
        """The cause as it is shown everywhere: with ``probably`` in front when it is inferred, not proven."""
        return answer(self.cause, self.certain, self.lost_at)


@dataclass(frozen=True, slots=True)
class Stage:
    """How many missing records were lost at this stage; empty where no cause was sought."""

    lost_at: str
    certain: bool
    count: int


@dataclass(frozen=True, slots=True)
class OddServer:
    """What is not matched at a server."""

    server_id: int
    name: str
    missing: int
    wrong_bytes: int
    duplicate: int
    late: int
    client_failed: int
    not_waited: int

    @property
    def count(self) -> int:
        """All that is not matched."""
        return self.missing + self.wrong_bytes + self.duplicate + self.late + self.client_failed + self.not_waited


@dataclass(frozen=True, slots=True)
class OddTime:
    """What was opened in the `seconds` from `t` (Unix seconds) on and is not matched."""

    t: float
    seconds: int
    missing: int
    wrong_bytes: int
    duplicate: int
    late: int
    client_failed: int
    not_waited: int


@dataclass(frozen=True, slots=True)
class ClientError:
    """How many requests failed at their client with this text, with ``…`` in place of the path."""

    status: int
    error: str
    count: int


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How many requests of this verdict are explained by these known behaviours; empty: by none."""

    verdict: str
    names: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Breakdown:
    """What is not matched in some repeats. Each part is sorted with the largest first, `times` by time."""

    causes: tuple[Loss, ...] = ()
    stages: tuple[Stage, ...] = ()
    servers: tuple[OddServer, ...] = ()
    times: tuple[OddTime, ...] = ()
    errors: tuple[ClientError, ...] = ()
    behaviours: tuple[Behaviour, ...] = ()


ODD_KINDS = (
    VerdictKind.MISSING,
    VerdictKind.WRONG_BYTES,
    VerdictKind.DUPLICATE,
    VerdictKind.LATE,
    VerdictKind.CLIENT_FAILED,
    VerdictKind.NOT_WAITED,
)
"""Every verdict but `matched`, the worst first."""


def break_down(store: Store, scoring_ids: Sequence[int], *, without_injected: bool = False) -> Breakdown:
    """What is not matched in these scorings (one for each repeat). `without_injected`: leave out what the plan
    injected itself."""
    request, server, verdict = schema.request, schema.server, schema.verdict
    # Most errors contain the path; without it they are the same for all files.
    error = func.replace(func.coalesce(request.c.error, ""), request.c.path, "…")
    alike = (
        request.c.server_id, server.c.name, verdict.c.verdict, verdict.c.lost_at, verdict.c.certain, verdict.c.cause,
        verdict.c.behaviours, request.c.status, error,
    )  # fmt: skip
    mine = verdict.c.scoring_id.in_(list(scoring_ids)) & (verdict.c.verdict != int(VerdictKind.MATCHED))
    if without_injected:
        mine &= not_injected()
    joined = verdict.join(request, request.c.id == verdict.c.request_id)
    groups = (
        select(*alike, func.count())
        .select_from(joined.join(server, server.c.id == request.c.server_id))
        .where(mine)
        .group_by(*alike)
    )
    when = func.coalesce(func.nullif(request.c.t_open, 0.0), request.c.t_started)
    times = select(verdict.c.verdict, when).select_from(joined).where(mine)

    causes: Counter[tuple[str, str, bool]] = Counter()
    stages: Counter[tuple[str, bool]] = Counter()
    servers: dict[tuple[int, str], Counter[VerdictKind]] = {}
    errors: Counter[tuple[int, str]] = Counter()
    behaviours: Counter[tuple[str, tuple[str, ...]]] = Counter()
    with store.database.read() as connection:
        for server_id, name, number, lost_at, certain, cause, names, status, text, count in connection.execute(groups):
            kind = VerdictKind(number)
            servers.setdefault((server_id, name), Counter())[kind] += count
            if kind is VerdictKind.MISSING:
                proven = certain is None or bool(certain)
                causes[(lost_at or "", cause or "", proven)] += count
                stages[(lost_at or "", proven)] += count
            elif kind is VerdictKind.CLIENT_FAILED:
                errors[(status, text)] += count
            elif kind in (VerdictKind.WRONG_BYTES, VerdictKind.DUPLICATE):
                known = tuple(msgspec.json.decode(names, type=list[str])) if names else ()
                behaviours[(kind.word, known)] += count
        seconds: Counter[tuple[int, VerdictKind]] = Counter()
        for number, t in connection.execution_options(stream_results=True).execute(times):
            if t is not None:
                seconds[(int(t), VerdictKind(number))] += 1
    return Breakdown(
        causes=tuple(
            Loss(lost_at, cause, certain, count)
            for (lost_at, cause, certain), count in _largest(causes, ("", OTHERS, True))
        ),
        stages=tuple(Stage(lost_at, certain, count) for (lost_at, certain), count in _largest(stages, ("", True))),
        servers=tuple(
            sorted(
                (OddServer(key, name, **_by_kind(kinds)) for (key, name), kinds in servers.items()),
                key=lambda one: (-one.count, one.server_id),
            )
        ),
        times=tuple(binned(seconds)),
        errors=tuple(ClientError(status, text, count) for (status, text), count in _largest(errors, (0, OTHERS))),
        behaviours=tuple(Behaviour(word, names, count) for (word, names), count in _largest(behaviours, ("", ()))),
    )


def binned(seconds: Mapping[tuple[int, VerdictKind], int]) -> Iterable[OddTime]:
    """Counts by second and kind in at most `MAX_BINS` intervals of a round length; empty ones are left out."""
    if not seconds:
        return
    first, last = min(t for t, _ in seconds), max(t for t, _ in seconds)
    width = step_for(first, last, MAX_BINS)
    bins: dict[int, Counter[VerdictKind]] = {}
    for (t, kind), count in seconds.items():
        bins.setdefault(t // width, Counter())[kind] += count
    for place in sorted(bins):
        yield OddTime(float(place * width), width, **_by_kind(bins[place]))


def step_for(first: int, last: int, most: int) -> int:
    """The shortest round number of seconds that divides the time from `first` to `last` into at most `most` parts."""
    return next((step for step in _STEPS if last // step - first // step < most), last - first + 1)


def _by_kind(kinds: Counter[VerdictKind]) -> dict[str, Any]:
    return {kind.word: kinds[kind] for kind in ODD_KINDS}


def _largest(counts: Counter[Key], others: Key) -> list[tuple[Key, int]]:
    """The largest first, ties in order of their keys; the rest beyond `MAX_GROUPS` is summed under `others`."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in ordered[MAX_GROUPS:])
    return ordered[:MAX_GROUPS] + ([(others, rest)] if rest else [])
