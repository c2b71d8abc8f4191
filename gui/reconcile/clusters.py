"""Where the losses of a test were: by repeat, server and round, as `interval` needs it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from gui.reconcile.injected import not_injected
from gui.reconcile.interval import Place
from gui.store import ScoringEntry, Store, VerdictKind, schema

_LOST = [int(kind) for kind in (VerdictKind.MISSING, VerdictKind.WRONG_BYTES, VerdictKind.DUPLICATE)]


def places(
    store: Store, scorings: Sequence[ScoringEntry], *, without_injected: bool = False
) -> dict[int, dict[Place, int]]:
    """By scoring id: how many requests of which server and round (from 0) count as losses of monitoring. Scorings
    without losses are not read. `without_injected`: those that the plan injected do not count."""
    wanted = [entry.id for entry in scorings if entry.good < entry.counted]
    if not wanted:
        return {}
    request, verdict = schema.request, schema.verdict
    columns = (verdict.c.scoring_id, request.c.server_id, request.c.round)
    query = (
        select(*columns, func.count())
        .join(request, request.c.id == verdict.c.request_id)
        .where(verdict.c.scoring_id.in_(wanted), verdict.c.verdict.in_(_LOST))
        .group_by(*columns)
    )
    if without_injected:
        query = query.where(not_injected())
    found: dict[int, dict[Place, int]] = {number: {} for number in wanted}
    with store.database.read() as connection:
        for number, server, place, lost in connection.execute(query):
            found[number][server, max(0, place - 1)] = int(lost)
    return found
