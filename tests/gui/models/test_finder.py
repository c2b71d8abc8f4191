"""Finding by a few letters: what fits, and what fits best."""

from __future__ import annotations

import pytest

from gui.models.finder import fit, rank

ACTIONS = ["Fleet", "Plans", "Runs", "Run the plan", "New plan", "Save plan", "Import plan…", "Add agent…", "Refresh"]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("run", "Runs"),
        ("plan", "Plans"),
        ("new", "New plan"),
        ("rtp", "Run the plan"),
        ("plan run", "Run the plan"),
        ("impl", "Import plan…"),
        ("AGENT", "Add agent…"),
        ("rfsh", "Refresh"),
    ],
)
def test_what_was_meant_comes_first(query: str, first: str) -> None:
    assert rank(query, ACTIONS, str)[0] == first


@pytest.mark.parametrize("query", ["xyz", "planx", "z", "fleet runs"])
def test_what_does_not_fit_is_not_offered(query: str) -> None:
    assert rank(query, ACTIONS, str) == []


def test_nothing_asked_keeps_everything_in_order_up_to_the_limit() -> None:
    assert rank("  ", ACTIONS, str, most=3) == ["Fleet", "Plans", "Runs"]


def test_servers_are_found_by_number_and_host() -> None:
    servers = [f"s{n:02} root://xrd{n}.example.org:1094" for n in range(50)]
    assert rank("s07", servers, str)[0].startswith("s07")
    assert rank("s7", servers, str)[0].startswith("s07")
    assert rank("xrd12.", servers, str) == [servers[12]]


def test_signs_of_patterns_and_endless_names_are_only_text() -> None:
    assert fit(".*", "Runs") is None
    assert fit("(a", "x (a b)") is not None
    assert fit("b", "a" * 1000 + "b") is None
    assert fit("\\", "a\\b") is not None
