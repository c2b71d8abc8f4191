"""The list of recent workspaces: the last one opened comes first, and what another version wrote is no error."""

from __future__ import annotations

import pytest

from gui.models.recent import MOST, Recent, opened_now, read_recent, with_runs, write_recent


def test_the_last_one_opened_comes_first_and_keeps_what_is_known_of_it() -> None:
    before = [Recent("a", "a.db", 1.0), Recent("b", "b.db", 0.0, runs=3, success="99 %", outcome="failed")]
    assert opened_now(before, "b", "b.db", 2.0) == [Recent("b", "b.db", 2.0, 3, "99 %", "failed"), before[0]]


def test_the_list_is_bounded() -> None:
    entries: list[Recent] = []
    for number in range(MOST + 3):
        entries = opened_now(entries, str(number), f"{number}.db", number)
    assert [entry.name for entry in entries] == [str(MOST + 2 - place) for place in range(MOST)]


def test_the_last_run_is_noted_where_it_belongs() -> None:
    before = [Recent("a", "a.db", 1.0), Recent("b", "b.db", 0.0)]
    assert with_runs(before, "b.db", 2, "100 %", "passed") == [
        before[0],
        Recent("b", "b.db", 0.0, 2, "100 %", "passed"),
    ]


def test_what_is_written_can_be_read() -> None:
    entries = [Recent("<b>", "a b.db", 1.5, 2, "100 %", "passed")]
    assert read_recent(write_recent(entries)) == entries


@pytest.mark.parametrize("stored", ["", "[", '[{"name": "a", "colour": "red"}]', "[3]"])
def test_what_another_version_wrote_is_begun_anew(stored: str) -> None:
    assert read_recent(stored) == []
