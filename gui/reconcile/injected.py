"""Which losses the plan of a run injected itself, by the causes that its scorings have stored.

They count like all others unless somebody leaves them out: figures, servers and reports then say how many are left out,
and what the success is with them.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select

from gui.reconcile.ladder import INJECTED
from gui.store import ScoringEntry, Store, VerdictKind, schema


def is_injected() -> ColumnElement[bool]:
    """Whether a row of ``verdict`` is a missing request whose cause names a fault of the plan itself."""
    verdict = schema.verdict
    return (verdict.c.verdict == int(VerdictKind.MISSING)) & verdict.c.cause.contains(INJECTED, autoescape=True)


def not_injected() -> ColumnElement[bool]:
    """Any other row."""
    return ~is_injected() | schema.verdict.c.cause.is_(None)


def injected_losses(store: Store, scorings: Sequence[ScoringEntry]) -> dict[int, int]:
    """By scoring id: how many of its missing requests the plan injected. Scorings without any are left out."""
    wanted = [entry.id for entry in scorings if entry.missing]
    if not wanted:
        return {}
    verdict = schema.verdict
    query = (
        select(verdict.c.scoring_id, func.count())
        .where(verdict.c.scoring_id.in_(wanted), is_injected())
        .group_by(verdict.c.scoring_id)
    )
    with store.database.read() as connection:
        return {number: int(count) for number, count in connection.execute(query)}
