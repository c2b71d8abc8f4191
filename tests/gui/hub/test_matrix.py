"""The table of joins in docs/hub.md: each of its rows is tried at a running hub, on SQLite and on PostgreSQL, and the
page has just these."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from gui.hub.tokens import Reason
from tests.gui.hub.matrix import CASES, IN, Case, table

PAGE = Path(__file__).parents[3] / "docs" / "hub.md"
OUTSIDE = {"too_many", "too_many_from_address", "not_named", "origin", "sign_in"}
"""Reasons of connections that come no further than the door (`test_entrance`), and of people (`web`, `signin`)."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.group}: {case.words}")
async def test_the_answer_is_as_in_the_table(stored_place: Any, case: Case) -> None:
    place = stored_place
    before = place.hub._refusals.counts.copy()
    assert await case.act(place) == case.answer
    counted = place.hub._refusals.counts - before
    if case.reason:
        assert counted[case.reason] >= 1
    elif case.answer == IN:
        assert counted.total() in (0, 61), "only the tries that were meant to be refused"
        assert place.hub.counts().joined


def test_the_table_is_in_the_documents() -> None:
    assert len(CASES) >= 40
    assert table() in PAGE.read_text("utf-8"), "put what `python -m tests.gui.hub.matrix` prints into docs/hub.md"


def test_every_reason_is_in_the_table() -> None:
    assert set(get_args(Reason)) - OUTSIDE == {case.reason for case in CASES if case.reason}
